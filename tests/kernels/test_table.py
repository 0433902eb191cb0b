"""Dispatch: the order of rows, refusals with reasons, a forced row and its limits."""

import threading
from typing import Any

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

from evenkeel.errors import NoKernel, UnknownName
from evenkeel.functional import fused_batch_norm, moments
from evenkeel.kernels import KERNELS, Call, Choice, Kernel, choose, record_choices, use_kernel
from evenkeel.kernels.library import refuses, why_missing
from evenkeel.kernels.table import refusals_of
from evenkeel.views import View

PLANAR = Call.of(torch.zeros(2, 3, 4, 4))
DENSE = Call.of(torch.zeros(8, 3))


def row(name: str, reason: str = "", on_request: bool = False) -> Kernel:
    return Kernel(name, lambda: name, lambda _: reason, on_request=on_request)


def test_a_call_says_what_kernels_may_look_at() -> None:
    def seen(x: torch.Tensor) -> Call:
        return Call.of(x)._replace(rows=None)

    x = torch.zeros(2, 3, 4, 4, dtype=torch.float16)
    assert seen(x) == Call(torch.float16, "cpu", View(2, 3, 16), 32, True)
    assert Call.of(x.movedim(1, 3).contiguous().movedim(3, 1)).planar is False
    assert seen(x[:, :, ::2]) == Call(torch.float16, "cpu", None, 16, False)
    assert seen(torch.zeros(8, 3)) == Call(torch.float32, "cpu", View(8, 3, 1), 8, False)
    assert Call.of(torch.zeros(8, 1)).rows_of_x.shape == (1, 1, 8)


def test_a_call_says_who_must_see_the_operators() -> None:
    x = torch.zeros(8, 3)
    modes: list[str] = []

    def look(t: torch.Tensor) -> torch.Tensor:
        modes.append(Call.of(t).mode)
        return t.sum()

    look(x)
    torch.func.grad(look)(x)
    torch.vmap(look)(torch.stack([x, x]))
    with forward_ad.dual_level():
        look(x)
    with FakeTensorMode():
        look(torch.zeros(8, 3))
    make_fx(look)(x)
    assert modes == ["", "transform", "transform", "transform", "trace", "trace"]


def test_a_call_described_by_hand_has_no_rows() -> None:
    with pytest.raises(NoKernel, match="described by hand"):
        _ = Call(torch.float32, "cpu", None, 8).rows_of_x


def test_the_first_row_that_accepts_runs() -> None:
    assert choose((row("a"), row("b")), PLANAR).name == "a"
    assert choose((row("a", "cannot do it"), row("b")), PLANAR).name == "b"
    assert choose((row("a", on_request=True), row("b")), PLANAR).name == "b"


def test_a_forced_row_runs_even_if_it_waits_for_requests() -> None:
    with use_kernel("reference"):
        assert choose((row("a"), row("reference", on_request=True)), PLANAR).name == "reference"


def test_when_every_row_refuses_each_reason_is_given() -> None:
    with pytest.raises(NoKernel) as caught:
        choose((row("a", "too small"), row("b", "too large")), PLANAR)
    assert "a: too small; b: too large" in str(caught.value)
    assert "View(outer=2, channels=3, inner=16)" in caught.value.got


def test_a_forced_row_that_refuses_is_an_error_that_says_why() -> None:
    x = torch.zeros(8, 3)
    with use_kernel("torch"), pytest.raises(NoKernel) as caught:
        fused_batch_norm(x, None, None)
    text = str(caught.value)
    assert "no kernel can run this call. torch: not contiguous NCHW" in text
    assert "dtype=torch.float32" in text
    assert "do:  leave use_kernel('torch') out" in text
    assert fused_batch_norm(x, None, None)[0].shape == (8, 3)


def test_operations_without_a_row_of_that_name_run_as_usual() -> None:
    with use_kernel("torch"):
        assert moments(torch.tensor([1.0, 3.0]), 0).var.item() == 1.0


def test_the_choice_ends_with_the_block_also_after_an_error() -> None:
    rows = (row("eager"), row("reference", on_request=True))
    with use_kernel("reference"):
        with use_kernel("eager"):
            assert choose(rows, PLANAR).name == "eager"
        assert choose(rows, PLANAR).name == "reference"
    with pytest.raises(ZeroDivisionError), use_kernel("reference"):
        raise ZeroDivisionError
    assert choose(rows, PLANAR).name == "eager"


def test_another_thread_keeps_its_own_choice() -> None:
    rows = (row("eager"), row("reference", on_request=True))
    seen: list[str] = []
    with use_kernel("reference"):
        thread = threading.Thread(target=lambda: seen.append(choose(rows, PLANAR).name))
        thread.start()
        thread.join()
    assert seen == ["eager"]


def test_an_unknown_kernel_is_named_and_the_known_are_listed() -> None:
    with pytest.raises(UnknownName) as caught, use_kernel("refrence"):
        pass
    assert "no kernel is called 'refrence'" in str(caught.value)
    assert caught.value.do == "try reference"


def test_refusals_say_why_each_row_does_not_run() -> None:
    got = refusals_of(KERNELS["train"], DENSE)
    assert got["native"] == why_missing()
    assert got["torch"].startswith("not contiguous NCHW")
    assert got["eager"] == ""
    assert got["reference"] == "runs only when asked for by name"
    only = refusals_of(KERNELS["train"], DENSE, "eager")
    assert only == {name: "eager was asked for" if name != "eager" else "" for name in got}


@pytest.mark.parametrize(
    ("x", "name"),
    [
        (torch.zeros(2, 3, 4, 4), "torch"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.float64), "torch"),
        (torch.zeros(1, 3, 7), "torch"),
        (torch.zeros(8, 3), "eager"),
        (torch.zeros(8, 3, dtype=torch.float64), "eager"),
        (torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last), "eager"),
        (torch.zeros(2, 3, 4, 8)[..., ::2], "eager"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.float16), "eager"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.bfloat16), "eager"),
        (torch.zeros(1, 3), "eager"),
        (torch.zeros(1, 3, 1, 1), "eager"),
    ],
)
def test_what_trains_on_the_cpu(x: torch.Tensor, name: str) -> None:
    call = Call.of(x)
    assert choose(KERNELS["train"][1:], call).name == name
    native = not why_missing() and call.view is not None
    assert choose(KERNELS["train"], call).name == ("native" if native else name)
    transformed = choose(KERNELS["train"], call._replace(mode="transform"))
    assert transformed.name == "composite"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": "cuda"}, "x is on cuda"),
        ({"mode": "trace"}, "recording operators"),
        ({"mode": "transform"}, "torch.func"),
        ({"view": None}, "gaps in memory"),
        ({"count": 0}, "x is empty"),
    ],
)
def test_what_the_native_kernels_refuse(change: dict[str, Any], reason: str) -> None:
    assert reason in refuses(DENSE._replace(**change))
    assert refuses(DENSE) == why_missing()


def test_choices_are_recorded_with_the_reasons_of_the_others() -> None:
    choices: list[Choice] = []
    with record_choices(choices.append):
        moments(torch.zeros(4, 3), 0)
    (choice,) = choices
    names = {kernel.name for kernel in KERNELS["moments"]}
    assert choice.operation == "moments"
    assert {choice.kernel, *choice.refusals} == names
    assert all(choice.refusals.values())
    moments(torch.zeros(4, 3), 0)
    assert len(choices) == 1
