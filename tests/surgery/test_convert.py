"""convert: what is fused, what is not and why; the model that comes out computes what went in."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import evenkeel.nn
from evenkeel.errors import BadOption, BadShape, OutputsDiffer
from evenkeel.surgery import convert, report_of
from oracles.compare import assert_close
from surgery import models
from surgery.same import assert_same, kinds, randomized

BN = nn.BatchNorm2d


def x4(channels: int = 3) -> Tensor:
    return torch.randn(4, channels, 6, 6, generator=torch.Generator().manual_seed(1)) * 2 + 1


@pytest.mark.parametrize("case", models.CASES, ids=lambda case: case.name)
def test_each_case_is_fused_or_not_with_its_reason_and_computes_the_same(case: models.Case) -> None:
    model = randomized(case.build())
    converted = convert(model)
    assert_same(model, converted, case.input())
    report = report_of(converted)
    assert kinds(report) == case.kinds, str(report)
    for part in case.says:
        assert part in str(report), str(report)
    assert list(converted.state_dict()) == list(model.state_dict())
    assert type(converted) is type(model) or isinstance(converted, type(model))


@pytest.mark.parametrize("case", models.CASES, ids=lambda case: case.name)
def test_each_case_survives_deepcopy_and_pickle_and_converts_once(case: models.Case) -> None:
    if not case.pickles:
        pytest.skip("holds a hook that is a local function")
    converted = convert(randomized(case.build()))
    for back in (copy.deepcopy(converted), pickle.loads(pickle.dumps(converted))):  # our own bytes
        assert_same(converted, back, case.input(), exactly=True)
        assert report_of(back) == report_of(converted)
        again = convert(back)
        assert_same(converted, again, case.input(), exactly=True)
        assert report_of(again) == report_of(converted)
        assert repr(again) == repr(converted)


def test_the_probe_runs_and_leaves_no_trace() -> None:
    model = randomized(models.Basic())
    before = copy.deepcopy(model.state_dict())
    state = torch.get_rng_state()
    converted = convert(model, x4(4))
    assert torch.equal(state, torch.get_rng_state())
    for name, value in before.items():
        assert torch.equal(value, model.state_dict()[name])
        assert torch.equal(value, converted.state_dict()[name])
    assert all(p.grad is None for p in converted.parameters())
    assert all(m.training for m in converted.modules())


@pytest.mark.parametrize("inplace", [True, False])
def test_a_difference_on_the_probe_leaves_the_model_as_it_was(
    inplace: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evenkeel.surgery import activations

    # The mistake: a tanh that counts as a sigmoid.
    monkeypatch.setitem(activations.MODULES, nn.Tanh, activations.SIGMOID)
    model = randomized(nn.Sequential(BN(3), nn.Tanh()))
    printed, attributes = repr(model), [set(vars(m)) for m in model.modules()]
    with pytest.raises(OutputsDiffer, match="output differs by"):
        convert(model, x4(), inplace=inplace)
    assert repr(model) == printed
    assert [set(vars(m)) for m in model.modules()] == attributes
    assert type(model[0]) is BN
    assert_same(nn.Sequential(copy.deepcopy(model[0]), nn.Tanh()), model, x4(), exactly=True)
    convert(model, x4(), tolerance=10.0)


def test_an_error_of_the_probe_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(BN(3), nn.ReLU())
    with pytest.raises(ValueError, match="4D"):
        convert(model, torch.zeros(3), inplace=True)
    assert [type(m) for m in model] == [BN, nn.ReLU]


def test_in_place_keeps_every_object_and_an_optimizer_goes_on() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), BN(4), nn.ReLU())
    twin = copy.deepcopy(model)
    parts, tensors = list(model.modules()), [*model.parameters(), *model.buffers()]
    both = [(m, torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9)) for m in (model, twin)]
    assert convert(model, inplace=True) is model
    assert all(a is b for a, b in zip(model.modules(), parts, strict=True))
    after = [*model.parameters(), *model.buffers()]
    assert all(a is b for a, b in zip(after, tensors, strict=True))
    for _ in range(3):
        for network, optimizer in both:
            optimizer.zero_grad()
            (network(x4()) ** 2).mean().backward()
            optimizer.step()
    for name, value in twin.state_dict().items():
        if value.is_floating_point():
            assert_close(model.state_dict()[name], value, 1e-5, name)


def test_the_original_is_another_model() -> None:
    model = nn.Sequential(BN(3), nn.ReLU())
    converted = convert(model)
    assert not {id(p) for p in model.parameters()} & {id(p) for p in converted.parameters()}
    assert [type(m) for m in model] == [BN, nn.ReLU]
    with pytest.raises(BadOption, match="no report"):
        report_of(model)


def test_hyperparameters_flags_and_tensors_are_kept() -> None:
    layers = [
        BN(3, eps=1e-3, momentum=None),
        BN(3, momentum=0.3, affine=False),
        BN(3, track_running_stats=False),
        nn.BatchNorm2d(3).double(),
        nn.BatchNorm3d(3).eval().requires_grad_(False),
    ]
    for layer in layers:
        layer.note = "mine"  # type: ignore[assignment]
        new: Any = convert(layer)
        assert isinstance(new, evenkeel.nn.BatchNorm)
        assert type(new).__name__ == type(layer).__name__
        for name in ("eps", "momentum", "affine", "track_running_stats", "num_features", "note"):
            assert getattr(new, name) == getattr(layer, name)
        assert new.training == layer.training
        assert [p.requires_grad for p in new.parameters()] == [
            p.requires_grad for p in layer.parameters()
        ]
        assert [v.dtype for v in new.state_dict().values()] == [
            v.dtype for v in layer.state_dict().values()
        ]


def test_state_loads_both_ways() -> None:
    model = randomized(models.Basic())
    converted = convert(models.Basic())
    converted.load_state_dict(model.state_dict())
    assert_same(model, converted, x4(4))
    buffer = io.BytesIO()
    torch.save(convert(model).state_dict(), buffer)
    buffer.seek(0)
    back = models.Basic()
    back.load_state_dict(torch.load(buffer))
    assert_same(back, model, x4(4), exactly=True)


def test_a_frozen_layer_in_a_training_model_stays_frozen() -> None:
    model = randomized(nn.Sequential(BN(3), nn.ReLU(), BN(3), nn.ReLU()))
    model[0].eval()
    converted: Any = convert(model, x4())
    assert [m.training for m in converted] == [False, True, True, True]
    mean = converted[0].running_mean.clone()
    assert_close(converted(x4()), model(x4()), 1e-5, "y")
    assert torch.equal(converted[0].running_mean, mean)


def test_hooks_of_every_kind_still_run() -> None:
    seen: list[str] = []
    layer: Any = BN(3)
    layer.register_forward_hook(lambda m, a, y: seen.append(f"forward {type(m).__module__}"))
    layer.register_forward_pre_hook(lambda m, a: seen.append("pre"))
    layer.register_full_backward_hook(lambda m, gi, go: seen.append("backward"))
    layer.register_state_dict_post_hook(lambda m, s, p, meta: seen.append("state"))
    layer.register_load_state_dict_pre_hook(lambda m, *rest: seen.append(f"load {m is layer}"))
    model = nn.Sequential(nn.Conv2d(3, 3, 1), layer, nn.ReLU())
    convert(model, inplace=True)
    assert type(model[2]) is nn.ReLU
    model(x4()).sum().backward()
    model.load_state_dict(model.state_dict())
    assert seen == ["pre", "forward evenkeel.nn.batch_norm", "backward", "state", "load True"]
    assert "it carries hooks" in str(report_of(model))


def test_a_block_keeps_its_class_methods_attributes_and_hooks() -> None:
    calls: list[int] = []
    model = randomized(models.Basic())
    traced: Any = torch.fx.symbolic_trace(convert(model))
    assert_same(model, traced, x4(4))
    model.register_forward_hook(lambda *_: calls.append(1))
    converted: Any = convert(model)
    assert isinstance(converted, models.Basic)
    assert type(converted).__name__ == "Basic"
    assert converted.width() == 4
    converted(x=x4(4))
    assert len(calls) == 1


def test_a_sum_that_broadcasts_into_the_layer_is_right_and_another_is_named() -> None:
    model = randomized(models.Two())
    converted = convert(model)
    assert kinds(report_of(converted)) == "f"
    x = x4()
    assert_close(converted(x, x[:1, :, :1]), model(x, x[:1, :, :1]), 1e-5, "y")
    with pytest.raises(BadShape, match="this sum was fused"):
        converted(x, torch.zeros(2, *x.shape))
    with pytest.raises(BadShape, match="this sum was fused"):
        converted(x, x.double())
    with pytest.raises(BadShape, match="this sum was fused"):
        convert(model, (x, torch.zeros(2, *x.shape)), inplace=True)
    assert type(model) is models.Two
    assert type(model.bn) is BN
    convert(model, {"x": x, "other": x})


def test_modules_read_in_a_list_elsewhere_change_with_the_model() -> None:
    model = randomized(models.ByList())
    converted = convert(model, x4())
    assert kinds(report_of(converted)) == "f"
    assert_same(model, converted, x4())


def test_a_model_without_batch_norm_says_so() -> None:
    model = convert(nn.Sequential(nn.Linear(2, 2)), torch.ones(1, 2))
    assert "no batch-norm layer" in str(report_of(model))
    with pytest.raises(BadOption, match="takes a model"):
        convert("resnet")  # type: ignore[arg-type]


def test_outputs_that_nest_are_compared() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bn, self.act = BN(3), nn.Tanh()

        def forward(self, x: Tensor) -> dict[str, Any]:
            y = self.act(self.bn(x))
            return {"a": [y, (y * 2,)], "b": None}

    assert kinds(report_of(convert(Nested(), x4()))) == "f"


def test_a_loop_of_random_sequentials() -> None:
    parts: list[Callable[[], nn.Module]] = [
        lambda: BN(3),
        nn.ReLU,
        nn.Sigmoid,
        nn.Identity,
        lambda: nn.Conv2d(3, 3, 1),
        lambda: nn.LeakyReLU(0.2),
        lambda: nn.Sequential(BN(3), nn.SiLU()),
        lambda: nn.Sequential(nn.Sequential(BN(3))),
    ]
    generator = torch.Generator().manual_seed(3)
    fused = 0
    for _ in range(25):
        order = torch.randint(len(parts), (7,), generator=generator).tolist()
        model = randomized(nn.Sequential(*(parts[i]() for i in order)))
        converted = convert(model)
        assert_same(model, converted, x4())
        fused += len(report_of(converted).of("fused"))
    assert fused > 20


def test_a_forward_set_on_one_object_is_not_read() -> None:
    model = nn.Sequential(BN(3), nn.ReLU())
    old: Any = model.forward
    vars(model)["forward"] = lambda x: old(x)
    assert "replaced on this one object" in str(report_of(convert(model)))
    layer = BN(3)
    vars(layer)["forward"] = lambda x: x
    assert kinds(report_of(convert(nn.Sequential(layer)))) == "k"


def test_a_graph_module_takes_activations_and_keeps_its_forward() -> None:
    model = randomized(models.Basic())
    traced: Any = torch.fx.symbolic_trace(nn.Sequential(BN(4), nn.ReLU(), model))
    converted = convert(traced)
    assert kinds(report_of(converted)) == "frr"
    assert_same(traced, converted, x4(4))


def test_layers_of_other_kinds_are_kept() -> None:
    model = nn.Sequential(
        nn.SyncBatchNorm(3),
        nn.LazyBatchNorm2d(),
        evenkeel.nn.BatchNorm2d(3),
        evenkeel.nn.FrozenBatchNorm(3),
    )
    report = report_of(convert(model, inplace=True))  # a lazy layer cannot be copied
    assert kinds(report) == "kkkk"
    for part in ("all workers", "first batch", "of evenkeel already"):
        assert part in str(report)


def test_an_exported_model_computes_the_same() -> None:
    model = randomized(models.Basic()).eval()
    exported = torch.export.export(convert(model), (x4(4),)).module()
    assert_close(exported(x4(4)), model(x4(4)), 1e-5, "y")


def test_reading_leaves_modes_random_numbers_and_attributes_alone() -> None:
    model = models.Mode(a=BN(3), b=BN(3).eval(), act=nn.ReLU())
    before, state = [dict(vars(m)) for m in model.modules()], torch.get_rng_state()
    modes = [m.training for m in model.modules()]
    convert(model)
    convert(models.Random(a=BN(3)))
    assert torch.equal(state, torch.get_rng_state())
    assert [dict(vars(m)) for m in model.modules()] == before
    assert [m.training for m in convert(model).modules()] == modes
    assert "training" not in vars(nn.Module)


def test_a_layer_whose_input_is_written_before_the_sum_is_not_moved_there() -> None:
    model = randomized(models.WritesInput(a=BN(3))).eval()
    converted = convert(model)
    assert "may be written before the sum" in str(report_of(converted))
    with torch.no_grad():
        assert_close(converted(x4()), model(x4()), 1e-5, "y")


def test_blocks_with_ways_of_their_own_are_not_written_anew() -> None:
    class Pickled(models.Basic):
        def __reduce_ex__(self, protocol: Any) -> Any:
            return object.__reduce_ex__(self, protocol)

    class Dictionary(models.Body):
        def forward(self, x: Tensor) -> Any:
            return {"y": torch.relu(self.a(x))}

    class Constant(models.Body):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = torch.relu(self.a(x)) + torch.ones(1)
            return y

    assert "in a way of its own" in str(report_of(convert(Pickled())))
    assert "returns a dictionary" in str(report_of(convert(Dictionary(a=BN(3)))))
    assert "tensors of its own" in str(report_of(convert(Constant(a=BN(3)))))


def test_a_layer_that_lost_its_counter_is_kept() -> None:
    layer = BN(3)
    layer.num_batches_tracked = None
    assert kinds(report_of(convert(nn.Sequential(layer)))) == "k"


def test_hooks_on_a_module_between_see_what_they_saw() -> None:
    seen: list[Tensor] = []
    model = nn.Sequential(nn.Sequential(BN(3)), nn.ReLU())
    model[0].register_forward_hook(lambda m, a, y: seen.append(y))
    converted = convert(model)
    assert kinds(report_of(converted)) == "r"
    seen.clear()
    converted(x4())
    assert (seen[0] < 0).any()
