"""Files of other people's making: bombs are refused by size, and no file ever runs code."""

import ast
import gzip
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import evenkeel
from evenkeel.cli.model import load
from evenkeel.data.arrays import array_batches
from evenkeel.data.idx import read_idx
from evenkeel.doctor.checkpoints import observe_checkpoint
from evenkeel.errors import BadData, EvenkeelError
from evenkeel.files import refuse_bomb
from evenkeel.port.files import open_tensors
from evenkeel.train.checkpoint import load_checkpoint

PACKAGE = Path(evenkeel.__file__).parent
READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "arrays": ("data.npz", lambda path: array_batches(path, 4)),
    "weights": ("model.pt", lambda path: load(torch.nn.Linear(1, 1), path)),
    "inspect": ("model.pt", open_tensors),
    "doctor": ("model.pt", observe_checkpoint),
    "checkpoint": ("last.ckpt", lambda path: load_checkpoint(path, {})),
}
every_reader = pytest.mark.parametrize(("name", "read"), READERS.values(), ids=READERS.keys())


def bomb(path: Path, inner: str = "x.npy", size: int = 5 * 2**28) -> None:
    """A small zip archive whose one member is a run of zeros, made without holding them."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (size,)}
    )
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(inner, "w") as member,
    ):
        member.write(header.getvalue())
        for _ in range(size // 2**24):
            member.write(bytes(2**24))


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bomb") / "bomb.zip"
    bomb(path)
    return path


@every_reader
def test_a_zip_bomb_is_refused_by_its_size(
    name: str, read: Callable[[Path], Any], zipped: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    os.link(zipped, path)
    with pytest.raises(EvenkeelError, match="unpacks to more than"):
        read(path)


def test_what_compresses_well_and_is_small_is_read(tmp_path: Path) -> None:
    path = tmp_path / "zeros.npz"
    np.savez_compressed(path, x=np.zeros((4, 2**20), np.uint8))
    assert path.stat().st_size * 100 < 4 * 2**20
    refuse_bomb(path)
    assert len(array_batches(path, 4)) == 1


def test_an_idx_bomb_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    header = struct.pack(">BBBBIII", 0, 0, 8, 3, 2**20, 2**10, 2**10)
    for name, content in (("plain", header), ("packed.gz", gzip.compress(header + bytes(2**20)))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadData, match="as long as its header says"):
            read_idx(tmp_path / name)


class Hostile:
    """What runs a command when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@every_reader
@pytest.mark.parametrize("form", ["torch", "bare pickle", "npz"])
def test_a_hostile_pickle_is_never_run(
    form: str, name: str, read: Callable[[Path], Any], tmp_path: Path
) -> None:
    path, target = tmp_path / name, tmp_path / "made by the pickle"
    if form == "torch":
        torch.save({"state_dict": Hostile(target)}, path)
    elif form == "bare pickle":
        path.write_bytes(pickle.dumps(Hostile(target), protocol=2))
    else:
        with path.open("wb") as file:
            np.savez(file, x=np.array([Hostile(target)], dtype=object))
    with pytest.raises(EvenkeelError):
        read(path)
    assert not target.exists()
    pickle.loads(pickle.dumps(Hostile(target)))  # our own: it would have worked
    assert target.is_dir()


def loads(source: str) -> list[str]:
    """The calls of a module that may run what is in a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        call, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
        unsafe = {
            "torch.load": options.get("weights_only") != "True",
            "np.load": options.get("allow_pickle") != "False",
        }.get(
            call, call.split(".")[-1] in ("all_gather_object", "broadcast_object_list", "Unpickler")
        )
        module = call.split(".")[0]
        dangerous = module in ("pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle")
        if unsafe or (dangerous and call.split(".")[-1] in ("load", "loads", "open")):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def test_nothing_in_the_package_unpickles() -> None:
    found = {p: loads(p.read_text(encoding="utf-8")) for p in PACKAGE.rglob("*.py")}
    assert not {str(p): calls for p, calls in found.items() if calls}


@pytest.mark.parametrize(
    "line",
    ["torch.load(f)", "pickle.loads(b)", "np.load(f)", "distributed.all_gather_object(a, b)"],
)
def test_a_line_that_unpickles_is_seen(line: str) -> None:
    assert loads(line)
