"""A layer's card: its numbers, and three small plots drawn as paths (300 layers make a light page)."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from evenkeel.doctor.finding import Finding
from evenkeel.doctor.measures import drift, fewest, finite, pooled
from evenkeel.doctor.trace import Layer

SIDE, EDGE, MOST = 160, 8, 200
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Card:
    """One layer on the page; plots are SVG elements, "" where there is nothing to draw."""

    path: str
    kind: str
    facts: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    plots: tuple[tuple[str, Markup], ...]


def card(layer: Layer, findings: tuple[Finding, ...], number: int = 0) -> Card:
    """The card of a layer; ``number`` is its place on the axes over depth."""
    numbered = (("layer", f"{number}"),) if number else ()
    facts = (*numbered, *_facts(layer))
    return Card(layer.path or "the model", layer.kind, facts, findings, _plots(layer))


def _facts(layer: Layer) -> tuple[tuple[str, str], ...]:
    momentum = "–" if layer.momentum is None else f"{layer.momentum:g}"
    facts = [("channels", f"{layer.channels}"), ("eps", f"{layer.eps:g}"), ("momentum", momentum)]
    if layer.calls:
        facts.append(("values per channel", f"{fewest(layer):,}"))
    if layer.calls and layer.running_mean and finite(layer):
        found = drift(layer)
        facts += [("mean gap", f"{found.mean:.3f}"), ("variance gap", f"{found.var:.3f}")]
    return tuple(facts)


def _plots(layer: Layer) -> tuple[tuple[str, Markup], ...]:
    if not layer.calls:
        return ()
    plots = []
    if layer.running_mean and layer.running_var and finite(layer):
        mean, var = pooled(layer)
        logs = np.log10(np.stack([var, np.array(layer.running_var)]) + layer.eps)
        plots = [
            ("mean: batch →, running ↑", _scatter(mean, np.array(layer.running_mean))),
            ("log variance: batch →, running ↑", _scatter(logs[0], logs[1])),
        ]
    levels = np.array([call.percentiles for call in layer.calls if call.percentiles])
    if len(levels) > 1:
        plots.append(("output by batch: 15th, 50th, 85th percentile", _lines(levels)))
    return tuple(plots)


def _scatter(x: Array, y: Array) -> Markup:
    """A dot a channel about the diagonal on which both agree."""
    keep = np.linspace(0, len(x) - 1, min(len(x), MOST)).astype(int)
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    dots = zip(_scaled(x[keep], low, high), _scaled(y[keep], low, high), strict=True)
    path = "".join(f"M{a:.1f} {SIDE - b:.1f}h0" for a, b in dots)
    diagonal = f"M{EDGE} {SIDE - EDGE}L{SIDE - EDGE} {EDGE}"
    return _svg(f'<path class="rule" d="{diagonal}"/><path class="dots" d="{path}"/>')


def _lines(levels: Array) -> Markup:
    low, high = float(np.nanmin(levels)), float(np.nanmax(levels))
    x = np.linspace(EDGE, SIDE - EDGE, len(levels))
    paths = []
    for values in levels.T:
        points = zip(x, _scaled(values, low, high), strict=True)
        paths.append("M" + "L".join(f"{a:.1f} {SIDE - b:.1f}" for a, b in points))
    return _svg("".join(f'<path class="line" d="{path}"/>' for path in paths))


def _scaled(values: Array, low: float, high: float) -> Array:
    span = high - low or 1.0
    return np.nan_to_num(EDGE + (values - low) / span * (SIDE - 2 * EDGE))


def _svg(inside: str) -> Markup:
    # Only numbers of ours go in.
    return Markup(f'<svg viewBox="0 0 {SIDE} {SIDE}" role="img">{inside}</svg>')
