"""Downloads from a real server with real faults: what arrives is whole, or the error says why."""

import hashlib
import random
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

import evenkeel.data.download as download
from evenkeel.data.download import cache_folder, fetch
from evenkeel.data.remotes import REMOTES, Remote, RemoteFile
from evenkeel.errors import DownloadFailed

BODY = random.Random(0).randbytes(300_000)
FILE = RemoteFile("values.gz", len(BODY), f"sha256:{hashlib.sha256(BODY).hexdigest()}")
Server = Any  # tests/data/conftest.py


def remote(server: Server, *ways: str) -> Remote:
    server.files[FILE.name] = BODY
    return Remote("values", tuple(server.url(way) for way in ways), (FILE,))


def leave_part(folder: Path, content: bytes) -> Path:
    part = folder / f"{FILE.name}.part"
    part.write_bytes(content)
    return part


def assert_whole(folder: Path) -> None:
    assert (folder / FILE.name).read_bytes() == BODY
    assert not (folder / f"{FILE.name}.part").exists()


def failure(source: Remote, folder: Path) -> str:
    with pytest.raises(DownloadFailed) as caught:
        fetch(source, folder, progress=False)
    assert not (folder / FILE.name).exists()
    return str(caught.value)


@pytest.mark.parametrize("way", ["good", "no-range"])
def test_a_file_arrives_in_a_new_folder(server: Server, tmp_path: Path, way: str) -> None:
    fetch(remote(server, way), tmp_path / "a" / "b", progress=False)
    assert_whole(tmp_path / "a" / "b")
    assert server.log == [(way, "")]


def test_a_file_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    for offline in (False, False, True):
        fetch(remote(server, "good"), tmp_path, progress=False, offline=offline)
    assert len(server.log) == 1


def test_a_part_is_continued_by_range(server: Server, tmp_path: Path) -> None:
    leave_part(tmp_path, BODY[:12345])
    fetch(remote(server, "good"), tmp_path, progress=False)
    assert_whole(tmp_path)
    assert server.log == [("good", "bytes=12345-")]


def test_a_server_that_ignores_range_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    leave_part(tmp_path, BODY[:12345])
    fetch(remote(server, "no-range"), tmp_path, progress=False)
    assert_whole(tmp_path)
    assert server.log == [("no-range", "bytes=12345-")]


def test_a_whole_part_needs_no_request(server: Server, tmp_path: Path) -> None:
    leave_part(tmp_path, BODY)
    fetch(remote(server, "good"), tmp_path, progress=False)
    assert_whole(tmp_path)
    assert server.log == []


def test_a_connection_that_breaks_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    fetch(remote(server, "breaks-once"), tmp_path, progress=False)
    assert_whole(tmp_path)
    assert server.log == [("breaks-once", ""), ("breaks-once", f"bytes={len(BODY) // 2}-")]


def test_a_mirror_that_keeps_breaking_is_left_with_what_it_gave(
    server: Server, tmp_path: Path
) -> None:
    fetch(remote(server, "breaks-always", "good"), tmp_path, progress=False)
    assert_whole(tmp_path)
    tries = len(server.log) - 1
    assert server.log[-1] == ("good", f"bytes={1000 * tries}-")
    assert 1 < tries < 10


@pytest.mark.parametrize("part", [BODY[:50], b"\0" * 777, b"\0" * len(BODY), BODY + b"more"])
def test_a_part_of_another_file_is_thrown_away(server: Server, tmp_path: Path, part: bytes) -> None:
    leave_part(tmp_path, part)
    fetch(remote(server, "good"), tmp_path, progress=False)
    assert_whole(tmp_path)


def test_a_range_beyond_the_file_starts_over(server: Server, tmp_path: Path) -> None:
    leave_part(tmp_path, BODY[:777])
    fetch(remote(server, "unsatisfied"), tmp_path, progress=False)
    assert_whole(tmp_path)
    assert server.log == [("unsatisfied", "bytes=777-"), ("unsatisfied", "")]


def test_corrupt_bytes_are_thrown_away_and_the_next_mirror_asked(
    server: Server, tmp_path: Path
) -> None:
    fetch(remote(server, "corrupt", "good"), tmp_path, progress=False)
    assert_whole(tmp_path)
    assert server.log == [("corrupt", ""), ("good", "")]


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("corrupt", "wrong checksum"),
        ("missing", "HTTP 404 Not Found"),
        ("web-page", "its file has 25 bytes, not 300000"),
        ("longer", "its file has 300004 bytes, not 300000"),
        ("endless", "it sent more than 300000 bytes"),
        ("breaks-at-once", "it broke off after 0 of 300000 bytes"),
        ("breaks-always", "it broke off after 5000 of 300000 bytes"),
    ],
)
def test_the_reason_of_each_mirror_is_listed(
    server: Server, tmp_path: Path, way: str, reason: str
) -> None:
    text = failure(remote(server, way, "missing"), tmp_path)
    assert f"{server.url(way)}: {reason}" in text
    assert f"{server.url('missing')}: HTTP 404 Not Found" in text
    assert f"into {tmp_path} by hand" in text
    if way in ("corrupt", "missing", "web-page"):
        assert not (tmp_path / f"{FILE.name}.part").exists()


@pytest.mark.parametrize("way", ["misplaced", "longer", "web-page", "missing"])
def test_a_wrong_answer_to_a_range_leaves_the_part_for_the_next_mirror(
    server: Server, tmp_path: Path, way: str
) -> None:
    leave_part(tmp_path, BODY[:999])
    fetch(remote(server, way, "good"), tmp_path, progress=False)
    assert_whole(tmp_path)
    assert server.log == [(way, "bytes=999-"), ("good", "bytes=999-")]


def test_nobody_at_home(server: Server, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = replace(remote(server), mirrors=(f"http://127.0.0.1:{port}/",))
    assert "Connection refused" in failure(source, tmp_path)


def test_a_silent_server_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    assert "timed out" in failure(remote(server, "silent"), tmp_path)


def test_offline_says_where_to_put_which_files(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed) as caught:
        fetch(remote(server, "good"), tmp_path / "values", offline=True)
    assert f"missing {FILE.name}" in str(caught.value)
    assert f"into {tmp_path / 'values'} by hand, from {server.url('good')}" in caught.value.do
    assert server.log == []
    assert not (tmp_path / "values").exists()


def test_a_cache_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    text = failure(remote(server, "good"), tmp_path / "file" / "values")
    assert "Not a directory" in text
    assert "EVENKEEL_CACHE" in text


def test_a_full_disk_is_not_blamed_on_the_mirrors(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{FILE.name}.part").symlink_to("/dev/full")
    text = failure(remote(server, "good", "good"), tmp_path)
    assert "No space left on device" in text
    assert "EVENKEEL_CACHE" in text
    assert len(server.log) == 1


def test_progress_is_shown_on_stderr(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(remote(server, "good"), tmp_path)
    shown = capsys.readouterr()
    assert FILE.name in shown.err
    assert "300.0/300.0 kB" in shown.err
    assert shown.out == ""


def start_fetch(server: Server, folder: Path, way: str) -> "subprocess.Popen[str]":
    code = (
        "from evenkeel.data.download import fetch\n"
        "from evenkeel.data.remotes import Remote, RemoteFile\n"
        f"file = RemoteFile({FILE.name!r}, {FILE.size}, {FILE.checksum!r})\n"
        f"fetch(Remote('values', ({server.url(way)!r},), (file,)), {str(folder)!r}, progress=False)"
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


def test_of_two_processes_one_works_and_one_waits(server: Server, tmp_path: Path) -> None:
    remote(server, "pause")
    with start_fetch(server, tmp_path, "pause") as first:
        assert server.halfway.wait(60)
        with start_fetch(server, tmp_path, "pause") as second:
            stderr: IO[str] = second.stderr  # type: ignore[assignment]
            assert "waiting for another process" in stderr.readline()
            server.go_on.set()
            assert (first.wait(60), second.wait(60)) == (0, 0)
    assert_whole(tmp_path)
    assert server.log == [("pause", "")]


def test_a_killed_process_leaves_a_part_that_the_next_one_continues(
    server: Server, tmp_path: Path
) -> None:
    remote(server, "pause")
    with start_fetch(server, tmp_path, "pause") as killed:
        assert server.halfway.wait(60)
        part = tmp_path / f"{FILE.name}.part"
        while not (part.exists() and part.stat().st_size):
            assert killed.poll() is None
        killed.kill()
    left = part.stat().st_size
    assert 0 < left < len(BODY)
    fetch(remote(server, "good"), tmp_path, progress=False)
    assert_whole(tmp_path)
    assert server.log[-1] == ("good", f"bytes={left}-")


def test_the_real_files_arrive_under_the_sums_of_the_catalogue(
    server: Server, tmp_path: Path, real_mnist: Path
) -> None:
    mnist = replace(REMOTES["mnist"], mirrors=(server.url("breaks-once"),))
    server.files = {file.name: (real_mnist / file.name).read_bytes() for file in mnist.files}
    fetch(mnist, tmp_path, progress=False)
    for file in mnist.files:
        assert (tmp_path / file.name).read_bytes() == server.files[file.name]
    assert len(server.log) == 8


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    for name in ("EVENKEEL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == Path("/home/someone/.cache/evenkeel")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path("/home/someone/.cache/evenkeel")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert cache_folder() == Path("/var/cache/evenkeel")
    monkeypatch.setenv("EVENKEEL_CACHE", "~/mine")
    assert cache_folder() == Path("/home/someone/mine")
