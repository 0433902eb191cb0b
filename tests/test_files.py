import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import evenkeel
from evenkeel.errors import BadRun
from evenkeel.files import replace_file

SOURCE = str(Path(evenkeel.__file__).parents[1])
WRITER = """
import sys
from pathlib import Path
from evenkeel.files import replace_file
number = 0
while True:
    replace_file(Path(sys.argv[1]), str(number % 10) * 2_000_000)
    if not number:
        print("writing", flush=True)
    number += 1
"""


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    replace_file(path, "one")
    replace_file(path, memoryview(b"two"))
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_what_a_kill_left_half_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".a.bin.part").write_text("half of someth")
    replace_file(tmp_path / "a.bin", "whole")
    assert (tmp_path / "a.bin").read_text() == "whole"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    interrupted_writes = 0
    for attempt in range(60):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.006 * (attempt % 10))
        process.kill()
        process.wait()
        process.stdout.close()
        content = path.read_text()
        assert len(content) == 2_000_000
        assert len(set(content)) == 1
        interrupted_writes += (tmp_path / ".a.txt.part").exists()
        if interrupted_writes and attempt >= 5:
            break
    assert interrupted_writes, "no kill fell into a write: the test has not tested anything"


def test_a_full_disk_is_a_clear_error_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    replace_file(path, b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(BadRun) as caught:
            replace_file(path, b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "a.bin cannot be written" in str(caught.value)
    assert "File too large" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("path", ["no such folder/a.bin", "file/a.bin"])
def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BadRun, match=r"a\.bin cannot be written"):
        replace_file(tmp_path / path, b"x")
