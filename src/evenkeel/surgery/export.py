"""export_onnx: a model as an ONNX file that was run before it was written."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evenkeel.errors import MissingExtra, OutputsDiffer
from evenkeel.files import write_whole
from evenkeel.surgery.modes import inference
from evenkeel.surgery.probe import (
    allowed_in,
    arguments,
    check_whole,
    relative_error,
    tensors_in,
)


def export_onnx(
    model: nn.Module, probe: Any, path: str | Path, *, tolerance: float | None = None
) -> float:
    """Write ``model`` in inference to ``path`` as ONNX, checked with onnxruntime; its error.

    Math:    the same function; the first axis of every input may have any size where the model allows
    Shapes:  as the probe's
    Dtypes:  as the model's
    Error:   the largest difference over the largest value of each output on the probe; at most
             ``tolerance``, by default 1e-4 in f32, 1e-9 in f64, 2e-2 in f16 and bf16
    Raises:  MissingExtra without onnx, onnxscript and onnxruntime; BadData for a probe with NaN;
             OutputsDiffer when onnxruntime computes something else; then no file is written and one
             that was there is kept
    Source:  torch.onnx.export with dynamo=True; onnxruntime

    ``probe`` is a tensor, a tuple of arguments, or a mapping of named ones. The model itself is not
    touched. ``fold`` it first for the smallest graph.

    >>> export_onnx(nn.Linear(2, 2), torch.ones(1, 2), "/tmp/x.onnx")  # doctest: +SKIP
    0.0
    """
    _check_installed()
    check_whole(probe)
    args, options = arguments(probe)
    with inference(model), torch.no_grad():
        want = _outputs(model(*args, **options))
        written = _exported(model, args, options)
    error = _compared(_run(written, args, options), want, tolerance)
    write_whole(Path(path), written)
    return error


def export_program(
    model: nn.Module, probe: Any, path: str | Path, *, tolerance: float | None = None
) -> float:
    """Write ``model`` in inference to ``path`` as a torch.export program (.pt2); its error.

    Math:    the same function; the first axis of every input may have any size where the model allows
    Error:   as ``export_onnx``, of the program as it was read back
    Raises:  BadData for a probe with NaN; OutputsDiffer when it computes something else; then no file
             is written and one that was there is kept
    Source:  torch.export.export, torch.export.save

    >>> export_program(nn.Linear(2, 2), torch.ones(2, 2), "/tmp/x.pt2")  # doctest: +SKIP
    0.0
    """
    check_whole(probe)
    args, options = arguments(probe)
    file = io.BytesIO()
    with inference(model), torch.no_grad():
        want = _outputs(model(*args, **options))
        shapes = _any_batch(args, options)
        program = torch.export.export(model, args, dict(options), dynamic_shapes=shapes)
        torch.export.save(program, file)
        again = torch.export.load(io.BytesIO(file.getvalue())).module()
        got = _outputs(again(*args, **options))
    error = _compared(got, want, tolerance, "the exported program")
    write_whole(Path(path), file.getbuffer())
    return error


def _outputs(outputs: Any) -> list[Tensor]:
    return [value for _, value in tensors_in("output", outputs)]


def _exported(model: nn.Module, args: tuple[Any, ...], options: Mapping[str, Any]) -> bytes:
    shapes = _any_batch(args, options)
    with warnings.catch_warnings():  # the exporter's own, about its use of torch
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model, args, kwargs=dict(options), dynamic_shapes=shapes, dynamo=True, verbose=False
        )
    if program is None:
        raise MissingExtra(
            "the exporter gave nothing", got="None", do="install onnx and onnxscript anew"
        )
    content: bytes = program.model_proto.SerializeToString()
    return content


def _any_batch(args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """That the first axis of every input may have any size."""
    sizes = {0: torch.export.Dim.AUTO}

    def of(value: Any) -> Any:
        return sizes if isinstance(value, Tensor) and value.ndim else None

    if options:
        return {name: of(value) for name, value in options.items()}
    return tuple(of(value) for value in args)


def _run(written: bytes, args: tuple[Any, ...], options: Mapping[str, Any]) -> list[Tensor]:
    """The outputs of onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    values = [v for v in (*args, *options.values()) if isinstance(v, Tensor)]
    fed = {i.name: v.cpu().numpy() for i, v in zip(session.get_inputs(), values, strict=True)}
    return [torch.from_numpy(value) for value in session.run(None, fed)]


def _compared(
    got: list[Tensor], want: list[Tensor], tolerance: float | None, by: str = "onnxruntime"
) -> float:
    allowed = allowed_in(want) if tolerance is None else tolerance
    same = len(got) == len(want)
    errors = [relative_error(g, w.cpu()) for g, w in zip(got, want, strict=False)]
    worst = max(errors, default=0.0) if same else float("inf")
    if not worst <= allowed:
        raise OutputsDiffer(
            f"{by} does not compute what the model computes; no file was written",
            got=f"{len(got)} outputs for {len(want)}, error {worst:.1e}, allowed {allowed:.1e}",
            do="give a larger tolerance if the difference is rounding",
        )
    return worst


def _check_installed() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(name)
        except ImportError:
            raise MissingExtra(
                "the export to ONNX needs packages that are not installed",
                got=f"no {name}",
                do="pip install onnx onnxscript onnxruntime",
            ) from None
