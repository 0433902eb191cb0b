"""Models that leave: to ONNX, torch.export, torch.jit, and as weights in a file."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenkeel.errors import BadOption, BadRun, MissingExtra, OutputsDiffer
from evenkeel.nn import BatchNorm2d
from evenkeel.recipes import RECIPES
from evenkeel.recipes.recipe import Variant
from evenkeel.surgery import convert, export_onnx, fold, freeze, load_model, save_model
from evenkeel.surgery.export import export_program
from oracles.compare import assert_close
from surgery import models
from surgery.same import scrambled

X = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(4))
FORMS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "torch": lambda m: m,
    "converted": convert,
    "frozen": lambda m: freeze(convert(m)),
    "folded": fold,
    "converted, folded": lambda m: fold(convert(m)),
    "there and back": lambda m: convert(convert(m), to="torch"),
}


def model() -> nn.Module:
    torch.manual_seed(0)
    return scrambled(nn.Sequential(models.Basic(), BatchNorm2d(4, activation="silu"))).eval()


@pytest.fixture
def onnx() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)


@pytest.mark.parametrize("form", ["converted", "converted, folded"])  # a second or two each
@pytest.mark.usefixtures("onnx")
def test_onnxruntime_computes_the_same(form: str, tmp_path: Path) -> None:
    import onnxruntime

    made, path = FORMS[form](model()), tmp_path / "m.onnx"
    made.train()
    modes = [m.training for m in made.modules()]
    if form == "converted":
        assert export_onnx(made, X, path) < 1e-6
    else:
        export_onnx(made, {"input": X}, path)
    assert [m.training for m in made.modules()] == modes
    session = onnxruntime.InferenceSession(path)
    more = torch.cat([X, X + 1, X - 1])  # the batch may have any size
    (got,) = session.run(None, {session.get_inputs()[0].name: more.numpy()})
    with torch.no_grad():
        assert_close(torch.from_numpy(got), model()(more), 1e-5, "y")
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


@pytest.mark.usefixtures("onnx")
def test_a_folded_graph_has_no_normalization(tmp_path: Path) -> None:
    import onnx

    net = scrambled(RECIPES["mnist-estimator"].build(Variant())).eval()
    export_onnx(fold(net), torch.rand(2, 1, 28, 28), tmp_path / "m.onnx")
    kinds = {node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node}
    assert not kinds & {"BatchNormalization", "Mul", "Sub", "Sqrt"}
    assert {"Conv", "Relu", "Gemm"} <= kinds


@pytest.mark.usefixtures("onnx")
def test_a_file_that_was_there_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"old")
    small, x = nn.Linear(3, 2), torch.ones(2, 3)
    with pytest.raises(OutputsDiffer, match="no file was written"):
        export_onnx(small, x, path, tolerance=-1.0)
    with pytest.raises(RuntimeError):
        export_onnx(small, X, path)
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        export_onnx(small, x, path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match="no onnx"):
        export_onnx(model(), X, "m.onnx")


@pytest.mark.parametrize("form", FORMS)
def test_torch_export_computes_the_same(form: str) -> None:
    made = FORMS[form](model())
    assert_close(torch.export.export(made, (X,)).module()(X), model()(X), 1e-5, "y")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # shapes that we check
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_torch_jit_traces_the_same(form: str, training: bool) -> None:
    made = FORMS[form](scrambled(models.Basic()).eval()).train(training)
    kept = copy.deepcopy(made.state_dict())
    traced: Any = torch.jit.trace(made, X, check_trace=False)  # type: ignore[no-untyped-call]
    more = torch.cat([X, X + 1])  # the batch may have any size
    for given in (X, more):
        made.load_state_dict(kept)
        assert_close(traced(given), made(given), 1e-5, "y")


@pytest.mark.parametrize("form", ["converted", "folded"])
def test_a_program_is_written_and_read_back(form: str, tmp_path: Path) -> None:
    made, path = FORMS[form](model()).train(), tmp_path / "m.pt2"
    assert export_program(made, X, path) < 1e-6
    assert all(m.training for m in made.modules())
    back = torch.export.load(path).module()
    more = torch.cat([X, X + 1, X - 1])
    assert_close(back(more), model()(more), 1e-5, "y")
    with pytest.raises(OutputsDiffer, match="the exported program"):
        export_program(made, X, path, tolerance=-1.0)
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt2"]


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_saved_and_loaded(form: str, tmp_path: Path) -> None:
    made = FORMS[form](model())
    save_model(made, tmp_path / "w.safetensors")
    other = copy.deepcopy(made)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            tensor.zero_()
    assert load_model(other, tmp_path / "w.safetensors") is other
    for name, value in made.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
    save_model(made, tmp_path / "again.safetensors")
    assert len({p.read_bytes() for p in tmp_path.iterdir()}) == 1


def state(module: nn.Module) -> list[Tensor]:
    return [v.clone() for v in module.state_dict().values()]


def test_another_convention_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_model(nn.Sequential(BatchNorm2d(3, eps=1e-3, running_var="biased")), path)
    others = {
        "eps": BatchNorm2d(3, running_var="biased"),
        "running_var": BatchNorm2d(3, eps=1e-3),
        "activation": BatchNorm2d(3, eps=1e-3, running_var="biased", activation="relu"),
        "channel_axis": BatchNorm2d(3, eps=1e-3, running_var="biased", channel_axis=-1),
    }
    for name, layer in others.items():
        before = state(layer)
        with pytest.raises(BadOption, match=rf"(?s)at:  0.*{name} .*in the file"):
            load_model(nn.Sequential(layer), path)
        assert all(torch.equal(a, b) for a, b in zip(state(layer), before, strict=True))
    load_model(nn.Sequential(BatchNorm2d(3, eps=1e-3, running_var="biased", momentum=0.5)), path)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(BadRun, match="cannot be read"):
        load_model(model(), path)
    path.write_bytes(b"nothing")
    with pytest.raises(BadRun, match="cannot be read"):
        load_model(model(), path)
    save_model(fold(model()), path)
    with pytest.raises(BadRun, match=r"(?s)do not fit.*0\.bn1"):
        load_model(model(), path)
    save_model(nn.Linear(2, 2), path)
    with pytest.raises(BadRun, match="do not fit"):
        load_model(nn.Linear(2, 3), path)
