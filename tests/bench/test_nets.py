import torch

from evenkeel.bench.nets import expected, ours, start
from evenkeel.bench.networks import NETS
from evenkeel.bench.oracle import errors_of


def test_a_check_leaves_the_network_as_it_was() -> None:
    net = NETS["conv20-nchw"]
    step = ours(net, start(net))
    before = {name: value.clone() for name, value in step.layer.state_dict().items()}
    found = step.arrays()
    assert set(found) == {"y", "dweight"}
    assert max(errors_of(found, expected("conv20")).values()) < 1e-3
    for name, value in step.layer.state_dict().items():
        assert torch.equal(value, before[name]), name
    step.lap()
    moved = step.layer.state_dict()
    assert any(not torch.equal(moved[name], before[name]) for name in before)


def test_every_side_starts_from_the_same_weights() -> None:
    torch.manual_seed(7)
    net = NETS["conv20-nhwc"]
    first = start(net).state_dict()
    torch.rand(3)  # as a network with dropout would
    assert all(torch.equal(value, first[name]) for name, value in start(net).state_dict().items())
    other = start(NETS["conv20-nchw"]).state_dict()
    assert all(torch.equal(value, first[name]) for name, value in other.items())
