"""What the records of a run say, in words and numbers: headline, steps to reach, advice, command."""

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evenkeel.train.records import InferenceCheck, LayerGap, RunResult

MEAN_GUIDE = 0.5
"""A mean gap above this moves what the layer hands on by half a standard deviation."""

VAR_GUIDE = math.log(2)
"""A variance gap above this means variances apart by a factor of 2."""

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995)
SETTLED = 300
"""Updates after which the initial mean 0 and variance 1 weigh under 5 % at momentum 0.01."""


def percent(share: float) -> str:
    """A share of 1 as a percentage with one decimal.

    >>> percent(0.9731), percent(float("nan"))
    ('97.3%', 'not known')
    """
    return f"{100 * share:.1f}%" if math.isfinite(share) else "not known"


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(4.21), duration(62.4), duration(7384), duration(float("nan"))
    ('4.2 s', '1 min 2 s', '2 h 3 min', 'not known')
    """
    if not math.isfinite(seconds):
        return "not known"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {round(seconds) % 60} s"
    return f"{minutes // 60} h {minutes % 60} min"


def printable(name: str) -> str:
    r"""A name without characters that no font and no markup has.

    >>> printable("a\x07b")
    'a�b'
    """
    plain = (letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
    return "".join(plain)


def shortened(name: str, limit: int) -> str:
    """A name short enough for an axis; its two ends are kept.

    >>> shortened("encoder.stages.3.blocks.11.bn2", 20)
    'encoder.st…cks.11.bn2'
    """
    plain, half = printable(name), limit // 2
    return plain if len(plain) <= limit else f"{plain[:half]}…{plain[-half:]}"


def arm_name(result: RunResult) -> str:
    """The short name of one side of a comparison."""
    return "with BN" if result.batch_norm else "without BN"


def arm_names(results: Sequence[RunResult]) -> list[str]:
    """Short names that tell the results apart: by batch normalization, else by their labels."""
    names = [arm_name(result) for result in results]
    if len(set(names)) == len(names):
        return names
    return [shortened(result.label, 30) for result in results]


def headline(results: Sequence[RunResult]) -> str:
    """The outcome in one sentence."""
    scores = [
        percent(result.test_accuracy) + (f" {name}" if len(results) > 1 else "")
        for result, name in zip(results, arm_names(results), strict=True)
    ]
    failed = (
        "" if all(result.check.passed for result in results) else "; the inference check FAILED"
    )
    return f"{results[0].recipe} scores {' and '.join(scores)} on the test images{failed}"


def account(result: RunResult) -> str:
    """How one network was trained and what it scores, in one sentence."""
    return (
        f"Trained for {count(result.steps, 'step')} of {count(result.batch_size, 'image')} "
        f"(data: {result.data}) in {duration(result.seconds)}. Accuracy on the validation images: "
        f"{percent(result.valid_accuracy)}, on the test images: {percent(result.test_accuracy)}."
    )


def count(number: int, noun: str) -> str:
    """A number and its noun.

    >>> count(1, "step"), count(12000, "step"), count(2, "batch")
    ('1 step', '12,000 steps', '2 batches')
    """
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number:,} {noun}{ending}"


def first_step(result: RunResult, accuracy: float) -> int | None:
    """The first evaluated step whose validation accuracy is at least ``accuracy``."""
    return min((e.step for e in result.evaluations if e.accuracy >= accuracy), default=None)


def best_accuracy(result: RunResult) -> float:
    """The highest validation accuracy of a run; NaN where there is none."""
    known = [e.accuracy for e in result.evaluations if math.isfinite(e.accuracy)]
    return max(known, default=math.nan)


@dataclass(frozen=True, slots=True)
class Reach:
    """When each result first had a validation accuracy; None where it never had.

    ``of``: the name of the result whose best accuracy this is, or "" for a round number.
    """

    accuracy: float
    steps: tuple[int | None, ...]
    of: str = ""

    @property
    def ratio(self) -> float | None:
        """Steps of the second result per step of the first."""
        first, second = self.steps
        return second / first if first and second is not None else None


def steps_to_reach(results: Sequence[RunResult]) -> list[Reach]:
    """Steps to round accuracies and to each result's best, lowest accuracy first.

    Source:  the table "steps to 72.2 %" of Ioffe & Szegedy 2015, §4.2.2
    """
    marks = [(level, "") for level in LEVELS]
    bests = zip(map(best_accuracy, results), arm_names(results), strict=True)
    marks += [(best, name) for best, name in bests if math.isfinite(best)]
    rows = [
        Reach(level, tuple(first_step(result, level) for result in results), name)
        for level, name in sorted(marks)
    ]
    return [row for row in rows if any(step is not None for step in row.steps)]


def race(results: Sequence[RunResult]) -> str:
    """When the first of two results had what the second ended up with, or the other way round."""
    names = arm_names(results)
    bests = [best_accuracy(result) for result in results]
    if not all(map(math.isfinite, bests)):
        return "One of the two was never evaluated, so there is no race to tell of."
    ahead, behind = (0, 1) if bests[0] >= bests[1] else (1, 0)
    target = bests[behind]
    early, late = (first_step(results[index], target) for index in (ahead, behind))
    return (
        f"The best validation accuracy {names[behind]} is {percent(target)}, at step {late:,}; "
        f"the network {names[ahead]} was there by step {early:,}."
    )


def over(layer: LayerGap) -> bool:
    """Whether a layer's gap is above a guide, or not finite."""
    return not (layer.mean_gap <= MEAN_GUIDE and layer.var_gap <= VAR_GUIDE)


def meaning(check: InferenceCheck) -> str:
    """What the outcome of the check says about the network."""
    if not check.layers:
        return (
            "There are no running statistics that could differ from those of a batch, "
            "so this run has nothing for the check to find."
        )
    if check.passed:
        return (
            "The running statistics stand in well for those of a batch: "
            "scored alone, an image gets the answer that the network learnt to give."
        )
    return (
        "Scored alone, images do not get the answers that the network gives within a batch: "
        "the running statistics do not describe its activations. Every accuracy in inference mode, "
        "validation and test included, is that of the spoilt statistics, not of the weights."
    )


def advice(check: InferenceCheck) -> list[str]:
    """What to do about a failed check, the likeliest cause first; nothing after a passed one."""
    if check.passed or not check.layers:
        return []
    silent = [layer for layer in check.layers if layer.updates == 0]
    apart = [layer for layer in check.layers if layer.updates > 0 and over(layer)]
    young = [layer for layer in apart if layer.updates < SETTLED]
    old = [layer for layer in apart if layer.updates >= SETTLED]
    found = []
    if silent:
        found.append(
            f"No training batch ever entered the running statistics of {_named(silent)}. "
            "Put the network in training mode while it trains, and unfreeze these layers."
        )
    if young:
        found.append(
            f"The running statistics of {_named(young)} have seen "
            f"{count(max(layer.updates for layer in young), 'batch')} and may still remember their "
            f"initial values, mean 0 and variance 1: at momentum 0.01 for about {SETTLED} batches. "
            "Train for more steps, or raise the momentum, the weight of a new batch."
        )
    if old:
        found.append(
            f"The running statistics of {_named(old)} are far from those of the images. They may "
            "belong to other weights or other data, or their momentum may be too small to follow "
            "the weights: raise it, lower the learning rate towards the end, or compute the "
            "statistics anew from training images with the weights fixed."
        )
    return found or [
        "No layer stands out: small gaps add up. Train for more steps or with larger batches, "
        "or compute the statistics anew from training images with the weights fixed."
    ]


def _named(layers: Sequence[LayerGap], limit: int = 4) -> str:
    names = [layer.layer for layer in layers[:limit]]
    rest = len(layers) - len(names)
    return ", ".join(names) + (f" and {count(rest, 'more layer')}" if rest else "")


def command(results: Sequence[RunResult]) -> list[str]:
    """The command line that trains these networks again, word by word, quoted for a shell."""
    first = results[0]
    words = ["evenkeel", "train", first.recipe, "--data", first.data]
    words += ["--steps", str(first.steps), "--batch-size", str(first.batch_size)]
    words += ["--lr", repr(first.lr), "--seed", str(first.seed), "--threads", str(first.threads)]
    if first.device != "cpu":
        words += ["--device", first.device]
    if first.nproc > 1:
        words += ["--nproc", str(first.nproc)]
    if first.dtype != "float32":
        words += ["--dtype", first.dtype]
    if any(result.batch_norm for result in results):
        words += ["--placement", first.placement]
    if len(results) > 1:
        words.append("--compare")
    elif not first.batch_norm:
        words.append("--without-bn")
    return [shlex.quote(word) for word in words]


def missing(steps: Sequence[int], values: Iterable[Sequence[float]], what: str) -> str:
    """What a history lacks, in words; "" if every value of it is finite.

    >>> missing([], [], "training loss")
    'No training loss recorded.'
    >>> missing([10, 20], [[0.5], [float("nan")]], "training loss")
    'Training loss: not finite at 1 of 2 records, first at step 20; the line has a gap there.'
    """
    if not steps:
        return f"No {what} recorded."
    lost = [
        step for step, row in zip(steps, values, strict=True) if not all(map(math.isfinite, row))
    ]
    if not lost:
        return ""
    if len(lost) == len(steps):
        return f"{what.capitalize()}: NaN or infinite at every record, nothing to draw."
    return (
        f"{what.capitalize()}: not finite at {len(lost)} of {count(len(steps), 'record')}, "
        f"first at step {lost[0]:,}; the line has a gap there."
    )


def sentence(words: str) -> str:
    """Words with a capital at the start; names further on keep their own.

    >>> sentence("with BN")
    'With BN'
    """
    return words[:1].upper() + words[1:]
