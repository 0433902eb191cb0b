from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from evenkeel.data import Dataset, Split
from evenkeel.train.ranks import Ranks
from evenkeel.train.score import CHUNK, inference, score


def test_score_is_that_of_the_whole_split_at_once(trained: nn.Module, digits: Dataset) -> None:
    split = digits.train
    assert len(split) > 2 * CHUNK
    assert len(split) % CHUNK
    trained.eval()
    with torch.no_grad():
        logits = trained(split.images)
    found = score(trained, split, cross_entropy)
    assert found.loss == pytest.approx(float(cross_entropy(logits, split.labels)), rel=1e-5)
    assert found.accuracy == float((logits.argmax(1) == split.labels).double().mean())


def test_scoring_changes_nothing_in_the_network(trained: nn.Module, digits: Dataset) -> None:
    trained.get_submodule("3").eval()  # a mode of its own, such as a frozen layer has
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    modes = [module.training for module in trained.modules()]
    assert modes.count(False) == 1
    score(trained, digits.valid, cross_entropy)
    assert [module.training for module in trained.modules()] == modes
    for name, value in trained.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_modes_come_back_after_an_error(trained: nn.Module) -> None:
    with pytest.raises(RuntimeError), inference(trained):
        assert not any(module.training for module in trained.modules())
        raise RuntimeError
    assert all(module.training for module in trained.modules())


def test_dropout_is_off_and_no_generator_is_moved(digits: Dataset) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = score(network, digits.valid, cross_entropy)
    assert torch.equal(torch.get_rng_state(), state)
    assert score(network, digits.valid, cross_entropy) == first


def test_the_mean_weighs_the_last_chunk_by_its_size() -> None:
    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return labels.double().mean()

    labels = torch.cat([torch.zeros(CHUNK, dtype=torch.int64), torch.ones(1, dtype=torch.int64)])
    split = Split(torch.zeros(CHUNK + 1, 1, 2, 2), labels)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert score(network, split, loss).loss == pytest.approx(1 / (CHUNK + 1))


class Part(Ranks):
    """One process of several that run one after another: the last one has everybody's sums."""

    sums: ClassVar[list[Tensor]] = []

    def total(self, values: Tensor) -> Tensor:
        self.sums.append(values)
        return torch.stack(self.sums).sum(0)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_processes_share_the_chunks_and_get_the_same_score_to_the_bit(
    trained: nn.Module, digits: Dataset, size: int
) -> None:
    """Also where there are more processes than chunks."""
    Part.sums.clear()
    found = [score(trained, digits.train, cross_entropy, Part(n, size)) for n in range(size)]
    assert found[-1] == score(trained, digits.train, cross_entropy)
    assert int((torch.stack(Part.sums) != 0).sum(0).max()) == 1  # no chunk twice
