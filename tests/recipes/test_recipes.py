"""What holds for every recipe in every variant."""

import math
import pickle
from itertools import pairwise, product

import pytest
import torch
from torch import Tensor, nn

from evenkeel import recipes
from evenkeel.nn import BatchNorm
from evenkeel.recipes import RECIPES, Recipe, Variant

VARIANTS = [Variant(*v) for v in product((True, False), ("before", "after"))]
ACTIVATIONS = (nn.ReLU, nn.ELU, nn.Tanh, nn.Sigmoid)


@pytest.fixture(params=list(RECIPES))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return RECIPES[request.param]


def built(recipe: Recipe, variant: Variant, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return recipe.build(variant)


def batch(size: int = 12) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.rand(size, 1, 28, 28), torch.randint(0, 10, (size,))


def leaves(network: nn.Module) -> list[nn.Module]:
    """Modules without children, in the order in which a Sequential runs them."""
    return [m for m in network.modules() if not list(m.children())]


def test_names() -> None:
    names = ["conv20", "convnet-lrn", "dnn-elu", "ioffe-sigmoid", "mnist-estimator", "sgd-relu"]
    assert sorted(RECIPES) == names
    assert all(RECIPES[name].name == name for name in names)
    exported = {v.name for v in vars(recipes).values() if isinstance(v, Recipe)}
    assert exported == set(names)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_one_training_step(recipe: Recipe, variant: Variant) -> None:
    network = built(recipe, variant)
    optimizer = recipe.optimizer(network, recipe.lr)
    assert {g["lr"] for g in optimizer.param_groups} == {recipe.lr}
    images, labels = batch()
    logits = network(images)
    assert logits.shape == (12, 10)
    loss = recipe.loss(logits, labels)
    assert loss.shape == ()
    loss.backward()  # type: ignore[no-untyped-call]
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimizer.step()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
        assert bool(parameter.isfinite().all()), name
    assert any(not torch.equal(before[n], p) for n, p in network.named_parameters())


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_inference_of_single_images_equals_that_of_a_batch(
    recipe: Recipe, variant: Variant
) -> None:
    network = built(recipe, variant)
    images, _ = batch()
    network(images)
    network.eval()
    with torch.no_grad():
        together, alone = network(images), torch.cat([network(i[None]) for i in images])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


def test_optimizer_holds_every_parameter_once(recipe: Recipe) -> None:
    network = built(recipe, Variant())
    held = [id(p) for g in recipe.optimizer(network, 0.1).param_groups for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in network.parameters())


def biases_are_where_they_belong(network: nn.Module) -> bool:
    follows = {id(a): b for a, b in pairwise(leaves(network))}
    linear = [m for m in leaves(network) if isinstance(m, nn.Linear | nn.Conv2d)]
    return all((m.bias is None) == isinstance(follows.get(id(m)), BatchNorm) for m in linear)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_biases_stand_where_no_batch_norm_follows(recipe: Recipe, variant: Variant) -> None:
    assert biases_are_where_they_belong(built(recipe, variant))


def test_a_bias_before_batch_norm_is_seen() -> None:
    assert not biases_are_where_they_belong(nn.Sequential(nn.Linear(3, 2), BatchNorm(2)))
    assert not biases_are_where_they_belong(nn.Sequential(nn.Linear(3, 2, bias=False), nn.ReLU()))


def test_placement_changes_the_order(recipe: Recipe) -> None:
    before = leaves(built(recipe, Variant(placement="before")))
    after = leaves(built(recipe, Variant(placement="after")))
    blocks = [b for a, b in pairwise(before) if isinstance(a, nn.Linear | nn.Conv2d)]
    fused = [b for b in blocks if isinstance(b, BatchNorm)]
    assert fused
    assert all(b.spec.activation is not None for b in fused)
    # after: no normalization right behind a linear operation, and none holds an activation
    assert not [
        b
        for a, b in pairwise(after)
        if isinstance(a, nn.Linear | nn.Conv2d) and isinstance(b, BatchNorm)
    ]
    assert not [m for m in after if isinstance(m, BatchNorm) and m.spec.activation]
    normalized = [i for i, m in enumerate(after) if isinstance(m, BatchNorm)]
    input_only = {
        i for i in normalized if not any(isinstance(m, nn.Linear | nn.Conv2d) for m in after[:i])
    }
    for i in set(normalized) - input_only:
        assert isinstance(after[i - 1], (*ACTIVATIONS, nn.MaxPool2d))
    assert len(normalized) == len([m for m in before if isinstance(m, BatchNorm)])


def test_without_batch_norm_there_is_none(recipe: Recipe) -> None:
    for placement in ("before", "after"):
        network = built(recipe, Variant(batch_norm=False, placement=placement))
        assert not [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    one, other = (built(recipe, Variant(False, p)) for p in ("before", "after"))
    assert [type(m) for m in leaves(one)] == [type(m) for m in leaves(other)]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_probe_is_in_every_variant(recipe: Recipe, variant: Variant) -> None:
    found = built(recipe, variant).get_submodule(recipe.probe)
    assert isinstance(found, BatchNorm) or type(found) in ACTIVATIONS
    if isinstance(found, BatchNorm):
        assert found.spec.activation is not None


def test_probe_sees_one_row_for_each_image(recipe: Recipe) -> None:
    network, seen = built(recipe, Variant()), []
    network.get_submodule(recipe.probe).register_forward_pre_hook(
        lambda _, x: seen.append(x[0].shape)
    )
    network(batch()[0])
    assert [len(shape) for shape in seen] == [2]
    assert seen[0][0] == 12


def test_seed_decides_the_weights(recipe: Recipe) -> None:
    one, same, other = (built(recipe, recipe.default, seed) for seed in (3, 3, 4))
    pairs = zip(one.state_dict().values(), same.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    others = zip(one.parameters(), other.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in others)


def test_recipes_are_plain_data(recipe: Recipe) -> None:
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert (recipe.steps is None) != (recipe.epochs is None)
    assert recipe.lr > 0
    assert recipe.title
    assert recipe.source
    assert recipe.without
    if recipe.schedule is not None:
        factors = [recipe.schedule(step, 10_000) for step in range(0, 10_000, 100)]
        assert factors[0] == 1.0
        assert all(factor > 0 and math.isfinite(factor) for factor in factors)


def test_networks_round_trip(recipe: Recipe) -> None:
    for variant in VARIANTS:
        network = built(recipe, variant).eval()
        again = built(recipe, variant, seed=9).eval()
        again.load_state_dict(network.state_dict())
        copied = pickle.loads(pickle.dumps(network))
        with torch.no_grad():
            expected = network(batch()[0])
            assert torch.equal(again(batch()[0]), expected)
            assert torch.equal(copied(batch()[0]), expected)
