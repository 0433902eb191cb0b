"""Runs from beginning to end in this process, on the digits."""

import csv
import logging
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import evenkeel.train
from evenkeel.data import Batches, load
from evenkeel.errors import BadData, BadOption, BadRun, EvenkeelError, MissingExtra, UnknownName
from evenkeel.recipes import RECIPES, Variant
from evenkeel.train.arm import run_arm
from evenkeel.train.checkpoint import Diverged
from evenkeel.train.folder import load_result, open_folder
from evenkeel.train.interrupt import StopWish
from evenkeel.train.run import Run, resume, train
from evenkeel.train.score import score
from evenkeel.train.weights import load_network

FILES = [
    "last.ckpt",
    "metrics.csv",
    "model.safetensors",
    "report.html",
    "report.png",
    "result.json",
    "run.json",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("run") / "run"
    return train("dnn-elu", steps=120, threads=1, batch_size=64, out=out, progress=False)


def test_it_trains_and_says_so(run: Run) -> None:
    [result] = run.results
    assert result.test_accuracy > 0.9
    assert result.valid_accuracy > 0.9
    assert result.check.passed, result.check.reason
    assert result.check.agreement >= 95
    assert [gap.updates for gap in result.check.layers] == [120, 120]
    assert result.label == "dnn-elu: batch normalization before the activation"
    assert (result.steps, result.batch_size, result.lr, result.seed) == (120, 64, 0.01, 0)
    assert result.seconds > 0


def test_it_leaves_these_files_and_no_others(run: Run) -> None:
    assert sorted(path.name for path in run.folder.iterdir()) == FILES
    assert run.report == run.folder / "report.html"


def test_its_result_and_configuration_come_back(run: Run) -> None:
    assert load_result(run.folder) == run.results[0]
    _, config = open_folder(run.folder)
    assert (config.recipe, config.steps, config.threads, config.data) == ("dnn-elu", 120, 1, None)


def test_metrics_hold_every_row_of_the_result(run: Run) -> None:
    [result] = run.results
    with (run.folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {
        event: [int(row["step"]) for row in rows if row["event"] == event]
        for event in ("train", "valid", "unit_input")
    }
    assert found["train"] == [row.step for row in result.train] == list(range(1, 121))
    assert found["valid"] == [row.step for row in result.evaluations]
    assert found["unit_input"] == [row.step for row in result.percentiles] == list(range(1, 121))
    assert len(rows) == sum(map(len, found.values()))
    assert result.evaluations[-1].step == 120
    assert result.evaluations[-1].accuracy == result.valid_accuracy


def test_its_weights_give_its_accuracies(run: Run) -> None:
    network, data = load_network(run.folder / "model.safetensors"), load()
    recipe = RECIPES["dnn-elu"]
    assert score(network, data.test, recipe.loss).accuracy == run.results[0].test_accuracy
    found = score(network, data.valid, recipe.loss)
    assert found.accuracy == run.results[0].valid_accuracy
    assert found.loss == pytest.approx(run.results[0].evaluations[-1].loss, rel=1e-6)


def test_the_percentiles_are_those_of_normalized_input(run: Run) -> None:
    for row in run.results[0].percentiles:
        assert -4 < row.p15 < row.p50 < row.p85 < 4


def test_the_same_seed_gives_the_same_files_and_another_seed_others(
    run: Run, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"steps": 120, "threads": 1, "batch_size": 64, "progress": False}
    again = train("dnn-elu", **options, out=tmp_path / "again")
    other = train("dnn-elu", **options, out=tmp_path / "other", seed=1)
    for name in ("metrics.csv", "model.safetensors"):
        content = (run.folder / name).read_bytes()
        assert (again.folder / name).read_bytes() == content
        assert (other.folder / name).read_bytes() != content


def test_a_loop_written_by_hand_ends_with_the_same_weights(run: Run) -> None:
    """The definition: seed, build, and for each batch forward, backward, step."""
    recipe, before = RECIPES["dnn-elu"], torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = recipe.build(Variant())
    optimizer = recipe.optimizer(network, 0.01)
    losses = []
    for images, labels in Batches(load().train, 64, seed=0, stop=120):
        optimizer.zero_grad()
        loss = recipe.loss(network(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    torch.set_num_threads(before)
    expected = load_network(run.folder / "model.safetensors").state_dict()
    assert all(torch.equal(v, expected[name]) for name, v in network.state_dict().items())
    assert losses == [row.loss for row in run.results[0].train]


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(run: Run) -> None:
    before = {name: (run.folder / name).read_bytes() for name in FILES}
    again = resume(run.folder, progress=False)
    assert again.results == run.results
    for name in set(FILES) - {"report.html", "report.png"}:
        assert (run.folder / name).read_bytes() == before[name], name


def test_the_rate_follows_the_schedule(tmp_path: Path) -> None:
    out = tmp_path / "run"
    [result] = train("mnist-estimator", steps=30, threads=1, out=out, progress=False).results
    schedule = RECIPES["mnist-estimator"].schedule
    assert schedule is not None
    assert [row.lr for row in result.train] == [0.0201 * schedule(step, 30) for step in range(30)]


def test_a_comparison_trains_both_from_one_seed_with_one_report(tmp_path: Path) -> None:
    run = train(
        "ioffe-sigmoid", steps=60, threads=1, compare=True, out=tmp_path / "r", progress=False
    )
    assert [result.batch_norm for result in run.results] == [True, False]
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "report.html",
        "report.png",
        "run.json",
        "with-bn",
        "without-bn",
    ]
    single = train(
        "ioffe-sigmoid", steps=60, threads=1, batch_norm=False, out=tmp_path / "s", progress=False
    )
    for name in ("model.safetensors", "metrics.csv"):
        ours = (run.folder / "without-bn" / name).read_bytes()
        assert ours == (single.folder / name).read_bytes()
    assert run.results[1].check.reason == "no batch normalization layers"


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("batch_norm", [True, False])
def test_every_recipe_trains(recipe: str, batch_norm: bool, run: Run, tmp_path: Path) -> None:
    _, config = open_folder(run.folder)
    config = replace(config, recipe=recipe, batch_norm=batch_norm, steps=2, batch_size=16)
    result = run_arm(tmp_path, config, load(), StopWish(), progress=False)
    assert len(result.train) == 2
    assert all(np.isfinite(row.p50) for row in result.percentiles)
    assert bool(result.check.layers) == batch_norm
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        name for name in FILES if not name.startswith(("report", "run"))
    ]


def test_the_process_is_left_as_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    expected = (random.random(), np.random.rand(), torch.rand(3))
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    threads, level = torch.get_num_threads(), logging.getLogger("lightning.pytorch").level
    other = 1 if threads > 1 else 2
    train("dnn-elu", steps=3, threads=other, out="out", progress=False)
    assert torch.get_num_threads() == threads
    assert logging.getLogger("lightning.pytorch").level == level
    assert random.random() == expected[0]
    assert np.random.rand() == expected[1]
    assert torch.equal(torch.rand(3), expected[2])
    assert torch.is_grad_enabled()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert capfd.readouterr() == ("", "")


def test_progress_is_plain_lines_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [result] = train("dnn-elu", steps=20, threads=1, out=tmp_path / "run").results
    printed = capsys.readouterr()
    assert printed.out == ""
    label, *lines = printed.err.splitlines()
    assert label == result.label
    assert len(lines) == len(result.evaluations) == 20
    last = result.evaluations[-1]
    assert lines[-1].startswith(f"step 20 of 20  loss {result.train[-1].loss:.4f}  ")
    assert lines[-1].endswith(f"validation loss {last.loss:.4f}, accuracy {last.accuracy:.4f}")


@pytest.mark.parametrize(
    ("options", "kind", "word"),
    [
        ({"recipe": "conv2"}, UnknownName, "conv20"),
        ({"steps": 0}, BadOption, "steps"),
        ({"batch_size": 0}, BadOption, "batch-size"),
        ({"batch_size": 5000}, BadOption, "1297"),
        ({"lr": 0.0}, BadOption, "lr"),
        ({"seed": -3}, BadOption, "seed"),
        ({"threads": 0}, BadOption, "threads"),
        ({"placement": "inside"}, BadOption, "before or after"),
        ({"device": "tpu"}, BadOption, "tpu"),
        ({"compare": True, "batch_norm": True}, BadOption, "comparison"),
        ({"data": "mnits"}, UnknownName, "mnist"),
        ({"data": "/no/such/folder"}, BadData, "folder"),
    ],
)
def test_a_mistake_is_found_before_anything_is_written(
    tmp_path: Path, options: dict[str, Any], kind: type[EvenkeelError], word: str
) -> None:
    with pytest.raises(kind, match=word):
        train(**{"recipe": "dnn-elu", "out": tmp_path / "run", "progress": False, **options})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="no CUDA device"):
        train("dnn-elu", device="cuda", out=tmp_path / "run", progress=False)
    auto = train("dnn-elu", device="auto", steps=1, out=tmp_path / "run", progress=False)
    assert open_folder(auto.folder)[1].device == "cpu"


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def schedule(step: int, steps: int) -> float:
        return 1e30 if step >= 70 else 1.0

    exploding = replace(RECIPES["dnn-elu"], name="exploding", schedule=schedule)
    monkeypatch.setitem(RECIPES._rows, "exploding", exploding)
    out = tmp_path / "run"
    with pytest.raises(Diverged, match=r"not finite any more at step 7\d") as caught:
        train("exploding", steps=200, threads=1, batch_norm=False, out=out, progress=False)
    assert "learning rate 1e+28" in str(caught.value)
    saved = torch.load(out / "last.ckpt", weights_only=True)
    assert saved["step"] == 50
    assert all(bool(torch.isfinite(v).all()) for v in saved["network"].values())
    assert not (out / "model.safetensors").exists()


def test_tensorboard_events_hold_every_row(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "run"
    options: dict[str, Any] = {"steps": 20, "threads": 1, "progress": False}
    [result] = train("mnist-estimator", tensorboard=True, out=out, **options).results
    events = accumulator.EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    for tag, expected in {
        "train/loss": [(row.step, row.loss) for row in result.train],
        "train/accuracy": [(row.step, row.accuracy) for row in result.train],
        "lr": [(row.step, row.lr) for row in result.train],
        "valid/loss": [(row.step, row.loss) for row in result.evaluations],
        "valid/accuracy": [(row.step, row.accuracy) for row in result.evaluations],
    }.items():
        found = [(event.step, event.value) for event in events.Scalars(tag)]
        assert [step for step, _ in found] == [step for step, _ in expected]
        assert [v for _, v in found] == pytest.approx([v for _, v in expected], rel=1e-6)


def test_without_tensorboard_events_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match="tensorboard"):
        train("dnn-elu", steps=2, tensorboard=True, out=tmp_path / "run", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_the_checkpoint_it_had_is_refused(run: Run, tmp_path: Path) -> None:
    for name in set(FILES) - {"last.ckpt"}:
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    with pytest.raises(BadRun, match=r"no last\.ckpt any more"):
        resume(tmp_path, progress=False)


def test_a_checkpoint_of_another_run_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes((run.folder / "last.ckpt").read_bytes())
    text = (run.folder / "run.json").read_text()
    for ours, theirs in (('"seed": 0', '"seed": 1'), ('"dnn-elu"', '"conv20"')):
        (tmp_path / "run.json").write_text(text.replace(ours, theirs))
        with pytest.raises(BadRun, match="belongs to another run"):
            resume(tmp_path, progress=False)


def test_the_package_gives_the_loop_when_it_is_asked_for(run: Run) -> None:
    assert evenkeel.train.train is train
    assert evenkeel.train.resume is resume
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        evenkeel.train.fit  # noqa: B018
