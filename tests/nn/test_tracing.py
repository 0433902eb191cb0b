"""torch.fx: a layer is one call, which follows the mode of the traced network."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenkeel.errors import BadOption
from evenkeel.nn import BatchNorm1d, BatchNorm2d, FrozenBatchNorm
from nn.rows import ROWS, Row
from oracles.compare import assert_close


class Model(nn.Module):
    """A layer that gets residual and mask beside its input."""

    def __init__(self, layer: nn.Module, *names: str) -> None:
        super().__init__()
        self.layer, self.names = layer, names

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        options = dict.fromkeys(self.names, other)
        y: Tensor = self.layer(x, **options)
        return y


@pytest.mark.parametrize("traced_in", [True, False], ids=["traced in train", "traced in eval"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_traced_network_follows_train_and_eval(row: Row, traced_in: bool) -> None:
    plain = nn.Sequential(row.layer())
    traced: Any = torch.fx.symbolic_trace(copy.deepcopy(plain).train(traced_in))
    assert list(traced.state_dict()) == list(plain.state_dict())
    for seed, training in enumerate([traced_in, not traced_in, True, False]):
        x = row.input(seed=seed)
        assert torch.equal(traced.train(training)(x), plain.train(training)(x))
        for name, tensor in plain.state_dict().items():
            assert torch.equal(traced.state_dict()[name], tensor), name


def test_running_statistics_move_in_the_traced_network() -> None:
    model = nn.Sequential(BatchNorm2d(3))
    traced: Any = torch.fx.symbolic_trace(model)
    traced(torch.randn(8, 3, 4, 4))
    assert int(model.state_dict()["0.num_batches_tracked"]) == 1


@pytest.mark.parametrize("names", [("residual",), ("weights",), ("residual", "weights")])
def test_what_goes_in_beside_the_input_is_recorded(names: tuple[str, ...]) -> None:
    x, other = torch.randn(8, 1, 4, 4), torch.rand(8, 1, 4, 4)
    model = Model(BatchNorm2d(1), *names)
    traced: Any = torch.fx.symbolic_trace(copy.deepcopy(model))
    assert torch.equal(traced(x, other), model(x, other))


def test_a_layer_alone_cannot_be_traced() -> None:
    for layer in (BatchNorm2d(3), FrozenBatchNorm(3)):
        with pytest.raises(BadOption, match="by itself"):
            torch.fx.symbolic_trace(layer)


def network(norm: type[nn.Module], flat_norm: type[nn.Module], **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        norm(4, **options),
        nn.Flatten(),
        nn.Linear(16, 5),
        flat_norm(5, **options),
    )


@pytest.mark.parametrize("options", [{}, {"activation": "relu"}], ids=str)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_fx_fusion_leaves_our_layers_alone_and_right(options: dict[str, Any]) -> None:
    from torch.fx.experimental import optimization  # warns when it is imported

    x = torch.randn(6, 3, 4, 4)
    model = network(BatchNorm2d, BatchNorm1d, **options)
    model(x)
    want = model.eval()(x)
    fused: Any = optimization.fuse(model)
    assert_close(fused(x), want, 1e-6, "y")
    assert len([m for m in fused.modules() if isinstance(m, nn.BatchNorm2d)]) == 1
    torchs = network(nn.BatchNorm2d, nn.BatchNorm1d)
    gone: Any = optimization.fuse(torchs.eval())
    assert not [m for m in gone.modules() if isinstance(m, nn.BatchNorm2d)]
