"""Observation leaves a model as it was, sees what happened, and passes the model's own errors on."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import evenkeel as ek
from evenkeel.doctor import diagnose
from evenkeel.doctor.observe import observe
from evenkeel.doctor.passes import Ways
from evenkeel.errors import BadData, BadOption, EmptyBatch, UnknownName


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(0.2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)),
    )


def batches(number: int = 4) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(8, 3, 9, 9, generator=generator), torch.arange(8) % 5) for _ in range(number)
    ]


def test_the_model_is_as_it_was() -> None:
    model = network().train()
    model[1].eval()
    model(batches()[0][0]).sum().backward()
    state = copy.deepcopy(model.state_dict())
    tensors = [id(t) for t in (*model.parameters(), *model.buffers())]
    grads = [p.grad for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    chance = torch.get_rng_state()
    diagnose(model, batches())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [id(t) for t in (*model.parameters(), *model.buffers())] == tensors
    assert all(a is b for a, b in zip(grads, (p.grad for p in model.parameters()), strict=True))
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), chance)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_step_of_the_users_is_undone() -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters())

    def step(net: nn.Module, batch: Any) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(batch[0]), batch[1]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step(model, batches()[0])
    state, moments = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    report = diagnose(model, batches(), step=step, optimizer=optimizer)
    assert report.trace.forwards_per_step == 1
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    for key, values in optimizer.state_dict()["state"].items():
        assert torch.equal(values["exp_avg"], moments["state"][key]["exp_avg"])


def test_statistics_are_those_of_the_input() -> None:
    model = network()
    trace = observe(model, batches(), Ways())
    (layer,) = trace.layers
    for call, (x, _) in zip(layer.calls, batches(), strict=True):
        want = model[0](x).double()
        var, mean = torch.var_mean(want, (0, 2, 3), correction=0)
        assert torch.tensor(call.mean).sub(mean).abs().max() < 1e-6
        assert torch.tensor(call.var).sub(var).abs().max() < 1e-6
        assert call.count == 8 * 7 * 7
    assert layer.flow is not None
    assert (layer.flow.before_path, layer.flow.before_bias, layer.flow.after) == ("0", 8, "ReLU")


def test_two_forwards_a_step_are_seen() -> None:
    model = network()

    def step(net: nn.Module, batch: Any) -> None:
        (net(batch[0]) + net(batch[0] + 1)).sum().backward()

    report = diagnose(model, batches(), step=step, select=["EK106"])
    assert [found.number for found in report.findings] == [2]


def test_padding_is_seen() -> None:
    model = nn.Sequential(nn.Conv1d(4, 8, 1, bias=False), nn.BatchNorm1d(8))
    x = torch.randn(6, 4, 20)
    for row, length in enumerate((20, 12, 9, 20, 5, 16)):
        x[row, :, length:] = 0
    (found,) = diagnose(model, [x, x], select=["EK110"]).findings
    assert found.number == pytest.approx(38 / 120)
    assert diagnose(model, [torch.randn(6, 4, 20)], select=["EK110"]).findings == ()


def test_a_comment_or_an_option_takes_a_rule_out() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.BatchNorm1d(4, momentum=0.9)  # evenkeel: ignore[EK105]
            self.two = nn.BatchNorm1d(4, momentum=0.9)

        def forward(self, x: Tensor) -> Any:
            return self.two(self.one(x))

    data = [torch.randn(64, 4)] * 2
    places = [f.place for f in diagnose(Net(), data, select=["EK105"]).findings]
    assert places == ["two"]
    assert diagnose(Net(), data, select=["EK105"], ignore=["EK105:tw*"]).findings == ()


def test_errors_of_the_models_own_come_through() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(5, 2))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        diagnose(model, [torch.randn(8, 4)])
    assert not model[0]._forward_hooks


def test_a_forward_that_ends_in_a_layer_says_nothing_of_what_is_used() -> None:
    """torch refuses one value per channel, so no output is ever seen: EK309 is not for the others."""
    norms = nn.BatchNorm2d(4), nn.BatchNorm1d(4)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), norms[0], nn.AdaptiveAvgPool2d(1), nn.Flatten(), norms[1]
    )
    found = {finding.code for finding in diagnose(model, [torch.randn(1, 3, 8, 8)] * 3).findings}
    assert "EK203" in found
    assert "EK309" not in found


def test_what_cannot_be_looked_at() -> None:
    with pytest.raises(EmptyBatch):
        diagnose(network(), [])
    with pytest.raises(BadOption, match="takes a model"):
        diagnose(print, [])  # type: ignore[arg-type]  # the point
    with pytest.raises(UnknownName):
        diagnose(network(), batches(), select=["EK999"])
    for limit, steps in ((0, None), (-1, None), (8, -1)):
        with pytest.raises(BadOption, match="limit counts batches"):
            diagnose(network(), batches(), limit=limit, steps=steps)
    for wrong in (None, "digits", torch.ones(8, 4), {"input": torch.ones(8, 4)}):
        with pytest.raises(BadOption, match="batches are a list"):
            diagnose(network(), wrong)  # type: ignore[arg-type]  # the point
    bad = torch.ones(8, 4)
    bad[3, 1] = float("nan")
    with pytest.raises(BadData, match="batch 1: 1 of 32 values are NaN"):
        diagnose(network(), [torch.ones(8, 4), bad])


def test_one_code_may_be_given_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=0.9))
    data = [torch.randn(64, 4)] * 2
    (found,) = diagnose(model, data, select="EK105").findings
    assert found.code == "EK105"
    assert not diagnose(model, data, select="EK105", ignore="EK1").findings


def test_channels_that_live_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU())
    looks: list[int] = []
    plain = Tensor.amax

    def amax(x: Tensor, *axes: Any) -> Tensor:
        looks.append(1)
        return plain(x, *axes)

    def looked(count: int) -> int:
        looks.clear()
        diagnose(model, [torch.randn(64, 4) for _ in range(count)])
        return len(looks)

    monkeypatch.setattr(Tensor, "amax", amax)
    assert looked(6) == looked(2)
    with torch.no_grad():
        model[1].bias[2] = -20.0
    (dead,) = diagnose(model, [torch.randn(64, 4)] * 3, select="EK113").findings
    assert dead.number == 0.25
    assert looked(6) == looked(2) + 4


def test_it_is_among_the_public_names() -> None:
    assert getattr(ek, "diagnose") is diagnose  # noqa: B009  # mypy takes it for a module
    assert ek.Monitor(network()).every == 100
