"""The documents' networks on real MNIST, against what TensorFlow 1.15.5 reached: minutes each."""

from pathlib import Path

import pytest
import torch

from evenkeel.data import load
from evenkeel.train.check import check_inference
from evenkeel.train.run import train
from evenkeel.train.weights import load_network

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mnist(shared: Path) -> Path:
    return shared / "data" / "mnist"


def test_conv20_reaches_the_documents_accuracy_and_passes_its_check(
    mnist: Path, tmp_path: Path
) -> None:
    run = train("conv20", data=mnist, out=tmp_path / "run", progress=False)
    [result] = run.results
    assert result.test_accuracy >= 0.95
    assert result.check.accuracy >= 0.95
    assert result.check.agreement >= 97
    assert result.check.passed
    test = load(mnist).test
    for harm in ("permuted", "reset"):
        network = load_network(run.folder / "model.safetensors")
        with torch.no_grad():
            for name, buffer in network.named_buffers():
                if "running" in name:
                    reset = torch.ones_like if "var" in name else torch.zeros_like
                    buffer.copy_(buffer.roll(1) if harm == "permuted" else reset(buffer))
        assert not check_inference(network, test).passed, harm


def test_dnn_elu_reaches_the_documents_accuracy(mnist: Path, tmp_path: Path) -> None:
    [result] = train("dnn-elu", data=mnist, out=tmp_path / "run", progress=False).results
    assert result.steps == 5500
    assert result.valid_accuracy >= 0.955


def test_the_papers_first_experiment_comes_out_as_in_the_paper(mnist: Path, tmp_path: Path) -> None:
    with_bn, without = train(
        "ioffe-sigmoid", data=mnist, compare=True, steps=5000, out=tmp_path / "run", progress=False
    ).results
    pairs = [
        (a, b)
        for a, b in zip(with_bn.evaluations, without.evaluations, strict=True)
        if a.step >= 500
    ]
    assert len(pairs) >= 16
    assert all(a.step == b.step and a.accuracy > b.accuracy for a, b in pairs)
    assert len(with_bn.percentiles) == len(without.percentiles) >= 200
