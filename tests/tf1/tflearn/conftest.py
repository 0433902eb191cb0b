"""TFLearn 0.5.0 as it was published: installed, and its source distribution with its own tests."""

import importlib.util
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a program's text under `evenkeel run`, in a process of its own and an empty folder."""
    if importlib.util.find_spec("tflearn") is None:
        pytest.skip("TFLearn is not installed: pip install evenkeel[tflearn]")

    def run(text: str, folder: Path = tmp_path) -> "subprocess.CompletedProcess[str]":
        (folder / "train.py").write_text(text)
        start = "from evenkeel.cli import main; main()"
        command = [sys.executable, "-c", start, "run", "train.py"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the source distribution's tests; skips where pip reaches no index."""
    folder = tmp_path_factory.mktemp("tflearn")
    options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", str(folder)]
    command = [sys.executable, "-m", "pip", "download", "-q", *options, "tflearn==0.5.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = sorted(folder.glob("tflearn-*.tar.gz"))
    if not archives:
        pytest.skip(f"pip brought no source distribution of TFLearn: {done.stderr.strip()[-200:]}")
    with tarfile.open(archives[0]) as archive:
        for member in archive.getmembers():  # the installed TFLearn is what is tested
            data = archive.extractfile(member) if member.isfile() else None
            if data is not None and Path(member.name).parent == Path("tflearn-0.5.0/tests"):
                (folder / member.name).parent.mkdir(parents=True, exist_ok=True)
                (folder / member.name).write_bytes(data.read())
    return folder / "tflearn-0.5.0"
