import pytest
import torch
from torch import nn

from evenkeel.nn import SyncBatchNorm
from evenkeel.recipes import RECIPES
from evenkeel.recipes.recipe import Variant
from evenkeel.train.ranks import ALONE, Ranks
from evenkeel.train.spread import SharedDropout, spread


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_parts_of_a_batch_get_the_mask_of_the_whole(p: float, dtype: torch.dtype) -> None:
    x = torch.randn(7, 5, 3, dtype=dtype)
    torch.manual_seed(1)
    whole = nn.Dropout(p)(x)
    after = torch.get_rng_state()
    for rank in range(3):
        rows = Ranks(rank, 3).part(7)
        torch.manual_seed(1)
        y = SharedDropout(p, batch_size=7, rows=rows)(x[rows])
        assert torch.equal(y, whole[rows])
        assert torch.equal(torch.get_rng_state(), after)


def test_in_evaluation_it_does_nothing() -> None:
    x = torch.randn(3, 4)
    assert SharedDropout(0.5, batch_size=9, rows=slice(0, 2)).eval()(x) is x


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_keeps_its_weights_and_their_names(name: str) -> None:
    torch.manual_seed(0)
    network = RECIPES[name].build(Variant())
    expected = {key: value.clone() for key, value in network.state_dict().items()}
    assert spread(network, 8, ALONE) is network
    parted = spread(network, 8, Ranks(1, 2))
    found = parted.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    norms = [m for m in parted.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(isinstance(norm, SyncBatchNorm) for norm in norms)
    drops = [m for m in parted.modules() if isinstance(m, nn.Dropout)]
    assert all(isinstance(d, SharedDropout) and d.rows == slice(4, 8) for d in drops)
