import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
from safetensors import safe_open

from evenkeel.data import load, write_idx
from evenkeel.errors import BadRun
from evenkeel.train.evaluate import evaluate
from evenkeel.train.plain import from_json, to_json
from evenkeel.train.run import Run, train
from evenkeel.train.weights import Origin

OPTIONS: dict[str, Any] = {"steps": 60, "threads": 1, "progress": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train("dnn-elu", out=tmp_path_factory.mktemp("run") / "run", **OPTIONS)


def test_the_figures_are_those_of_the_run(run: Run) -> None:
    [found] = evaluate(run.folder)
    assert found.test.accuracy == run.results[0].test_accuracy
    assert found.check == run.results[0].check
    assert found.label == run.results[0].label
    assert (found.folder, found.data) == (run.folder, "digits")


def test_a_comparison_is_scored_on_both_sides(tmp_path: Path) -> None:
    run = train("ioffe-sigmoid", compare=True, out=tmp_path / "run", **OPTIONS)
    found = evaluate(run.folder)
    assert [one.test.accuracy for one in found] == [r.test_accuracy for r in run.results]
    assert [one.folder.name for one in found] == ["with-bn", "without-bn"]
    [one] = evaluate(run.folder / "without-bn")
    assert one.test == found[1].test


def test_it_notices_harmed_statistics(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes((run.folder / "run.json").read_bytes())
    with safe_open(run.folder / "model.safetensors", framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- no dict
    for name, tensor in tensors.items():
        if "running" in name:
            tensor.copy_(tensor.roll(7))
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors", metadata)
    with pytest.raises(BadRun, match="damaged, or were changed by hand"):
        evaluate(tmp_path)
    origin = replace(from_json(Origin, metadata["evenkeel"]), checksum="")
    metadata = {"evenkeel": to_json(origin)}
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors", metadata)
    [found] = evaluate(tmp_path)
    assert not found.check.passed
    assert found.test.accuracy < run.results[0].test_accuracy


def test_other_data_can_be_given(run: Run, tmp_path: Path) -> None:
    digits = load()
    for part, split in (("train", digits.train), ("t10k", digits.test)):
        images = (split.images[:, 0] * 255).round().byte().numpy()
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", split.labels.byte().numpy())
    [found] = evaluate(run.folder, data=tmp_path)
    assert found.data == tmp_path.name
    assert found.test.accuracy == pytest.approx(run.results[0].test_accuracy, abs=0.02)


def test_what_is_no_finished_run_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(BadRun, match="not a run of evenkeel's"):
        evaluate(tmp_path)
    config = json.loads((run.folder / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(config))
    with pytest.raises(BadRun, match="weights cannot be read"):
        evaluate(tmp_path)
