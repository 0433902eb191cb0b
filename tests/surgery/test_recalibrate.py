"""recalibrate: the statistics are the data's; nothing else moves, whatever happens on the way."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenkeel.errors import BadData, BadOption, EmptyBatch
from evenkeel.nn import BatchNorm1d, BatchNorm2d, BatchRenorm, FrozenBatchNorm, Population
from evenkeel.surgery import recalibrate
from oracles.compare import assert_close, max_error
from surgery import models
from surgery.same import scrambled

BN = nn.BatchNorm2d
DATA = torch.randn(30, 3, 6, 6, generator=torch.Generator().manual_seed(11)) * 3 + 2


def batches(size: int, order: Tensor | None = None) -> list[Tensor]:
    return list(torch.split(DATA if order is None else DATA[order], size))


def deep() -> nn.Module:
    torch.manual_seed(0)
    return scrambled(
        nn.Sequential(
            BN(3),
            nn.Conv2d(3, 4, 3, padding=1),
            BN(4),
            nn.ReLU(),
            models.Basic(),
            nn.Dropout(0.5),
            nn.Flatten(),
            nn.Linear(144, 5),
            BatchNorm1d(5, activation="relu"),
        )
    )


def norms(model: nn.Module) -> list[Any]:
    return [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def statistics(model: nn.Module) -> Tensor:
    pairs = [torch.cat([m.running_mean, m.running_var]) for m in norms(model)]
    return torch.cat(pairs).double()


def population(model: nn.Module, x: Tensor) -> Tensor:
    """The statistics layer by layer in float64: the definition, with the whole data as one batch."""
    exact = copy.deepcopy(model).double().eval().requires_grad_(False)
    order: list[Any] = []
    handles = [m.register_forward_hook(lambda m, a, y: order.append(m)) for m in norms(exact)]
    exact(x.double())
    for handle in handles:
        handle.remove()
    for layer in order:
        seen: list[Tensor] = []
        hook = layer.register_forward_pre_hook(lambda m, a, seen=seen: seen.append(a[0]))
        exact(x.double())
        hook.remove()
        rows = seen[0].movedim(1, -1).flatten(0, -2)
        layer.running_mean, layer.running_var = rows.mean(0), rows.var(0, unbiased=True)
    return statistics(exact)


@pytest.mark.parametrize("size", [30, 7, 1])
def test_layer_by_layer_gives_the_population_in_any_order_and_size(size: int) -> None:
    model = deep()
    order = torch.randperm(30, generator=torch.Generator().manual_seed(size))
    done = recalibrate(model, batches(size, order), layerwise=True)
    assert_close(statistics(done), population(model, DATA), 1e-6, "statistics")


def test_joint_gives_the_population_of_what_the_first_layer_sees() -> None:
    done: Any = recalibrate(deep(), batches(7))
    rows = DATA.double().movedim(1, -1).flatten(0, -2)
    assert_close(done[0].running_mean.double(), rows.mean(0), 1e-6, "mean")
    assert_close(done[0].running_var.double(), rows.var(0), 1e-6, "var")
    # With all data in one batch, training and inference see the same.
    model = deep()
    whole = recalibrate(model, [DATA])
    assert_close(statistics(whole), population_joint(model, DATA), 2e-5, "statistics")


def population_joint(model: nn.Module, x: Tensor) -> Tensor:
    """As torch's own layers have it after one training batch with momentum 1, without dropout."""
    exact = copy.deepcopy(model).double()
    for part in exact.modules():
        part.training = isinstance(part, nn.modules.batchnorm._BatchNorm)
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.momentum = 1.0
    exact(x.double())
    return statistics(exact)


def test_a_short_batch_counts_for_what_it_holds() -> None:
    model = nn.Sequential(BN(3))
    done: Any = recalibrate(model, [DATA[:28], DATA[28:]])
    rows = DATA.double().movedim(1, -1).flatten(0, -2)
    assert_close(done[0].running_mean.double(), rows.mean(0), 1e-6, "mean")
    average: Any = recalibrate(model, [DATA[:28], DATA[28:]], method="average")
    parts = [p.double().movedim(1, -1).flatten(0, -2) for p in (DATA[:28], DATA[28:])]
    want = sum(p.var(0) for p in parts) / 2
    assert_close(average[0].running_var.double(), torch.as_tensor(want), 1e-6, "var")
    assert max_error(average[0].running_mean, done[0].running_mean) > 1e-3


def test_each_layer_keeps_its_convention() -> None:
    x = DATA[:4]
    model: Any = nn.Sequential(
        BN(3),
        BatchNorm2d(3, running_var="biased"),
        BatchRenorm(3),
        BatchNorm2d(3, running=Population()),
    )
    for layer in model:
        done: Any = recalibrate(nn.Sequential(layer), [x[:3], x[3:]], layerwise=True)
        rows = x.double().movedim(1, -1).flatten(0, -2)
        biased = isinstance(layer, BatchNorm2d | BatchRenorm) and not layer.spec.unbiased
        assert_close(done[0].running_var.double(), rows.var(0, unbiased=not biased), 1e-6, "var")
    assert_close(done[0].population_count, torch.full((3,), 144.0).double(), 0.0, "count")
    assert_close(done[0].population_m2, rows.var(0, unbiased=False) * 144, 1e-9, "m2")
    done.train()(x)  # the population goes on
    twice = torch.cat([x, x]).double().movedim(1, -1).flatten(0, -2)
    assert_close(done[0].running_var.double(), twice.var(0), 1e-6, "var")


def test_a_mask_counts() -> None:
    x, mask = DATA[:4], torch.ones(4, 6, 6, dtype=torch.bool)
    mask[:, 3:] = False
    layer = BatchNorm2d(3)
    done: Any = recalibrate(layer, [(x, mask)], forward=lambda m, b: m(b[0], mask=b[1]))
    rows = x[:, :, :3].double().movedim(1, -1).flatten(0, -2)
    assert_close(done.running_mean.double(), rows.mean(0), 1e-6, "mean")


def test_frozen_layers_modes_and_counters_stay() -> None:
    model: Any = nn.Sequential(
        BN(3),
        BN(3),
        BN(3, momentum=0.0),
        FrozenBatchNorm(3),
        nn.Dropout(),
        BN(3),
        nn.Dropout().eval(),
    )
    scrambled(model)
    model[1].eval()
    model[0].num_batches_tracked.fill_(17)
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    state = torch.get_rng_state()
    assert recalibrate(model, batches(7), inplace=True) is model
    assert torch.equal(state, torch.get_rng_state())
    moved = {n for n, v in model.state_dict().items() if not torch.equal(v, before[n])}
    assert moved == {f"{i}.running_{name}" for i in (0, 5) for name in ("mean", "var")}
    assert [m.training for m in model.modules()] == modes
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_batches_of_any_structure() -> None:
    model = deep()
    want = statistics(recalibrate(model, batches(10)))
    kinds: list[tuple[list[Any], Any]] = [
        ([(b, 3) for b in batches(10)], None),
        ([[b] for b in batches(10)], None),
        ([{"input": b} for b in batches(10)], None),
        ([{"x": {"y": b}} for b in batches(10)], lambda m, b: m(b["x"]["y"])),
    ]
    for data, forward in kinds:
        assert torch.equal(statistics(recalibrate(model, data, forward=forward)), want)
    assert torch.equal(statistics(recalibrate(model, iter(batches(10)))), want)
    with pytest.raises(BadOption, match="a batch is a tensor"):
        recalibrate(model, ["text"])


def stops() -> Iterator[Tensor]:
    yield DATA[:5]
    raise KeyboardInterrupt


class Shrinks:
    """Batches that are one fewer each time."""

    def __init__(self) -> None:
        self.left = 4

    def __iter__(self) -> Iterator[Tensor]:
        self.left -= 1
        return iter(batches(5)[: self.left])


class Late:
    """Batches whose second pass is interrupted."""

    passes = 0

    def __iter__(self) -> Iterator[Tensor]:
        self.passes += 1
        yield DATA[:5]
        if self.passes == 3:
            raise RuntimeError("the disk is gone")


NAN = [DATA[:5], torch.full((2, 3, 6, 6), float("nan"))]
FAILURES: dict[str, tuple[Callable[[], Any], bool, type[BaseException], str]] = {
    "interrupted": (stops, False, KeyboardInterrupt, ""),
    "late": (Late, True, RuntimeError, "the disk"),
    "NaN": (lambda: NAN, False, BadData, "at:  0\n.*batch 2"),
    "NaN, layer by layer": (lambda: NAN, True, BadData, "NaN or infinity"),
    "shrinks": (Shrinks, True, BadData, "3 batches at first, 2 later"),
    "empty": (list, False, EmptyBatch, "no batch"),
    "iterator": (lambda: iter(batches(5)), True, BadOption, "many times"),
    "wrong shape": (lambda: [DATA[:5], DATA[:, :2]], False, ValueError, ""),
}


@pytest.mark.parametrize("name", FAILURES)
def test_whatever_goes_wrong_the_model_is_as_it_was(name: str) -> None:
    data, layerwise, error, says = FAILURES[name]
    model = deep()
    state, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    tensors = [*model.parameters(), *model.buffers()]
    with pytest.raises(error, match=f"(?s){says}"):
        recalibrate(model, data(), layerwise=layerwise, inplace=True, memory=0)
    assert [m.training for m in model.modules()] == modes
    assert all(
        a is b for a, b in zip([*model.parameters(), *model.buffers()], tensors, strict=True)
    )
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), key
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_an_error_while_writing_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from evenkeel.surgery import gathering

    model = deep()
    state = copy.deepcopy(model.state_dict())
    real = gathering.Gathering._new

    def broken(self: Any, site: Any) -> Any:
        pairs = real(self, site)
        return [(b, v[:2] if site.path == "8" else v) for b, v in pairs]

    monkeypatch.setattr(gathering.Gathering, "_new", broken)
    with pytest.raises(RuntimeError):
        recalibrate(model, batches(5), inplace=True)
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_statistics_that_do_not_fit_the_dtype_are_named() -> None:
    model = nn.Sequential(BN(3)).half()
    with pytest.raises(BadData, match="do not fit"):
        recalibrate(model, [DATA.half() * 1000])


def test_a_layer_that_is_not_reached_keeps_its_statistics() -> None:
    model = models.DataFlow(a=BN(3), block=nn.Sequential(BN(3), nn.ReLU()), b=scrambled(BN(3)))
    want = model.b.running_mean.clone()  # type: ignore[operator]
    for layerwise in (False, True):
        done: Any = recalibrate(model, batches(5), layerwise=layerwise)
        assert torch.equal(done.b.running_mean, want)


def test_a_layer_called_twice_sees_both() -> None:
    model: Any = models.Twice(a=BN(3))
    done: Any = recalibrate(model, [DATA], layerwise=False)
    first = nn.functional.batch_norm(DATA.double(), None, None, training=True).relu()
    rows = torch.cat([DATA.double(), first]).movedim(1, -1).flatten(0, -2)
    assert_close(done.a.running_mean.double(), rows.mean(0), 1e-4, "mean")
    recalibrate(model, [DATA], layerwise=True)


def test_options_are_checked() -> None:
    with pytest.raises(BadOption, match="unknown method"):
        recalibrate(deep(), [DATA], method="mean")
    with pytest.raises(BadOption, match="takes a model"):
        recalibrate("model", [DATA])  # type: ignore[arg-type]
    assert type(recalibrate(nn.Linear(2, 2), [torch.ones(1, 2)])) is nn.Linear


def test_a_bar_is_shown_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recalibrate(deep(), batches(5))
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    recalibrate(deep(), batches(5), progress=False)
    assert capsys.readouterr() == ("", "")
    recalibrate(deep(), batches(5), progress=True)
    assert "batches" in capsys.readouterr().err


class Counting(nn.Conv2d):
    """A convolution that counts its calls."""

    calls = 0

    def forward(self, input: Tensor) -> Tensor:
        Counting.calls += 1
        return super().forward(input)


class CountingNet(nn.Module):
    """Two convolutions and two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.a = Counting(3, 3, 1), BN(3)
        self.second, self.b = Counting(3, 3, 1), BN(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(self.first(x))
        return self.b(self.second(y).relu()) + y  # type: ignore[no-any-return]


@pytest.mark.parametrize(("memory", "calls"), [(2**30, 2 * 5), (0, 5 * (2 + 1 + 2)), (20_000, 0)])
def test_layer_by_layer_runs_each_operation_once_where_memory_allows(
    memory: int, calls: int
) -> None:
    torch.manual_seed(4)
    model = CountingNet()
    want = statistics(recalibrate(model, batches(6), layerwise=True, memory=0))
    Counting.calls = 0
    done = recalibrate(model, batches(6), layerwise=True, memory=memory)
    assert Counting.calls == calls or not calls
    assert calls or Counting.calls > 5 * 5  # began, and had to begin anew
    assert_close(statistics(done), want, 1e-12, "statistics")
    assert_close(statistics(done), population(model, DATA), 1e-6, "statistics")


def test_one_pass_takes_named_and_many_arguments() -> None:
    model = models.Two()
    data = [{"x": b, "other": b * 2} for b in batches(7)]
    done: Any = recalibrate(model, data, layerwise=True)
    rows = DATA.double().movedim(1, -1).flatten(0, -2)
    assert_close(done.bn.running_mean.double(), rows.mean(0), 1e-6, "mean")


def test_averaged_weights_get_statistics_of_their_own() -> None:
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model = deep()
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    averaged.update_parameters(model)
    kept = copy.deepcopy(dict(averaged.named_parameters()))
    for layerwise in (False, True):
        done: Any = recalibrate(averaged, [DATA], layerwise=layerwise)
        want = recalibrate(averaged.module, [DATA], layerwise=layerwise)
        assert torch.equal(statistics(done), statistics(want))
        assert all(torch.equal(p, kept[n]) for n, p in done.named_parameters())
        assert int(done.n_averaged) == int(averaged.n_averaged)


def _rank(rank: int, folder: str, layerwise: bool, method: str, wrong: bool) -> None:
    """One of two processes, with its part of the data."""
    import torch.distributed as dist

    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    own = [DATA[:5], DATA[5:12]] if rank == 0 else [DATA[12:28], DATA[28:], DATA[:0]][:2]
    if wrong and rank == 0:
        own = [*own, NAN[1]]
    try:
        options: dict[str, Any] = {"layerwise": layerwise, "method": method}
        done = recalibrate(deep(), own, group=dist.group.WORLD, **options)
        torch.save(statistics(done), f"{folder}/{rank}")
    except BadData as error:
        torch.save(str(error), f"{folder}/{rank}")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("method", ["population", "average"])
def test_ranks_come_to_the_same_statistics(tmp_path: Any, layerwise: bool, method: str) -> None:
    from torch.multiprocessing.spawn import spawn

    spawn(_rank, (str(tmp_path), layerwise, method, False), nprocs=2)  # type: ignore[no-untyped-call]
    one, other = (torch.load(tmp_path / str(rank)) for rank in range(2))
    assert torch.equal(one, other)
    parts = [DATA[:5], DATA[5:12], DATA[12:28], DATA[28:]]
    alone = recalibrate(deep(), parts, layerwise=layerwise, method=method)
    assert_close(one, statistics(alone), 1e-6, "statistics")


@pytest.mark.slow
def test_a_rank_that_fails_stops_the_others(tmp_path: Any) -> None:
    from torch.multiprocessing.spawn import spawn

    spawn(_rank, (str(tmp_path), False, "population", True), nprocs=2)  # type: ignore[no-untyped-call]
    one, other = (torch.load(tmp_path / str(rank)) for rank in range(2))
    assert "NaN or infinity" in one
    assert "BadData on rank 0" in other


def test_a_group_needs_a_beginning() -> None:
    with pytest.raises(BadOption, match="has not begun"):
        recalibrate(deep(), [DATA], group=object())


def test_batches_of_several_kinds_of_memory_are_all_seen() -> None:
    """What a layer learnt of one kind of input is not used for another."""
    kinds = [DATA[:5], DATA[5:20:2], DATA[6:20:2].transpose(2, 3), DATA[20:25, :, :3], DATA[25:]]
    rows = [b.double().movedim(1, -1).flatten(0, -2) for b in [*kinds, DATA[:5]]]
    done: Any = recalibrate(nn.Sequential(BN(3)), [*kinds, DATA[:5]])
    assert_close(done[0].running_mean.double(), torch.cat(rows).mean(0), 1e-6, "mean")
    assert_close(done[0].running_var.double(), torch.cat(rows).var(0), 1e-6, "var")
