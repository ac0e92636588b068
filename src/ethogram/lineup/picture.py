"""Quality against cost as one SVG that stands alone: labelled points with intervals, floors marked, the frontier.

Drawn by hand rather than by Altair because some twenty labels have to find room, and because the page stays small.
Colours are the CSS variables of `evaluate.plots.PALETTE`, so that the picture follows the page into the dark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.evaluate.plots import FONT, PALETTE, frontier, told
from ethogram.lineup.placing import LINE, Label, place

WIDTH, HEIGHT = 880, 560
_LEFT, _TOP, _RIGHT, _BOTTOM = 70, 16, 16, 62
_STYLE = (
    f".q text{{font:12px {FONT};fill:var(--ink)}}.q .m{{fill:var(--muted)}}.q .l{{paint-order:stroke;"
    "stroke:var(--paper);stroke-width:3.5px;stroke-linejoin:round}.q .s{fill:var(--accent);stroke:var(--accent)}"
    ".q .f{fill:var(--paper);stroke:var(--floor);stroke-width:1.8}.q .b{stroke-width:1.5;opacity:.5}"
    ".q .bs{stroke:var(--accent)}.q .bf{stroke:var(--floor)}.q .g{stroke:var(--rule)}"
    ".q .p{fill:none;stroke:var(--third);stroke-width:1.8;stroke-dasharray:7 4}"
    ".q .h{stroke:var(--second);stroke-width:1.2;stroke-dasharray:3 3}.q .j{stroke:var(--muted);stroke-width:.8}"
)


def quality_cost(
    rows: Sequence[Mapping[str, Any]], metric: str, cost: str, *, low: bool = False, best: str = "", alone: bool = False
) -> str:
    """The picture.

    Parameters
    ----------
    rows : `label`, `value`, `low`, `high`, `cost` (those without a cost above 0 are left out), `floor`.
    metric, cost : titles of the axes. low : whether less of the metric is better. best : label of the best floor, whose
        value is a dotted line. alone : with its own colours, for a file; without, for a page that has them.
    """
    rows = [r for r in rows if r["cost"] > 0]
    x, y = _Log([r["cost"] for r in rows]), _Linear([v for r in rows for v in (r["low"], r["high"], r["value"])])
    at = np.array([(x(r["cost"]), y(r["value"])) for r in rows]).reshape(-1, 2)
    bars = np.array([(y(r["high"]), y(r["low"])) for r in rows]).reshape(-1, 2)
    room = (_LEFT + 4.0, _TOP - 4.0, WIDTH - 4.0, HEIGHT - _BOTTOM - 2.0)
    edge, right = frontier(rows, low=low), WIDTH - _RIGHT
    flat = [(float(_LEFT), y(r["value"]), right) for r in rows if r["label"] == best]
    ends = [x(r["cost"]) for r in edge[1:]] + [float(right)]
    flat += [(x(r["cost"]), y(r["value"]), end) for r, end in zip(edge, ends, strict=bool(edge))]
    crossed = np.array([(start, down - 1, end, down + 1) for start, down, end in flat], np.float64).reshape(-1, 4)
    labels = place(at, [r["label"] for r in rows], bars, room, crossed)
    parts = [*_axes(x, y, metric, cost), *_lines(rows, edge, x, y, best)]
    for r, (across, _), (top, bottom) in zip(rows, at, bars, strict=True):
        kind = "f" if r["floor"] else "s"
        parts.append(f'<line class="b b{kind}" x1="{across:.1f}" x2="{across:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>')
    parts += [_join(point, label) for point, label in zip(at, labels, strict=True) if label is not None and label.far]
    parts += [_mark(r, *point) for r, point in zip(rows, at, strict=True)]
    for r, label in zip(rows, labels, strict=True):
        if label is not None:
            parts.append(
                f'<text class="l" x="{label.left + 1:.1f}" y="{label.bottom - 3:.1f}">{_safe(r["label"])}</text>'
            )
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}"' + (f' width="{WIDTH}" height="{HEIGHT}"' if alone else "")
    title = f"<title>{_safe(metric)} against {_safe(cost)}</title>"
    style = f"<style>{_colours() if alone else ''}{_STYLE}</style>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" class="q" role="img" {size}>{title}{style}{"".join(parts)}</svg>\n'


class _Linear:
    """Values to pixels from below, with round ticks."""

    def __init__(self, values: Sequence[float]):
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        pad = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
        self.low, self.high = (max(0.0, low - pad) if low >= 0 else low - pad), high + pad
        rough = (self.high - self.low) / 6
        unit = 10 ** math.floor(math.log10(rough))
        self.step = unit * next(m for m in (1, 2, 2.5, 5, 10) if m * unit >= rough)

    def __call__(self, value: float) -> float:
        return HEIGHT - _BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - _TOP - _BOTTOM)

    def ticks(self) -> list[float]:
        first, last = math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9)
        return [n * self.step for n in range(first, last + 1)]


class _Log:
    """Costs to pixels on a logarithmic scale, with ticks at 1, 2, 5 where few decades are spanned, else at 1."""

    def __init__(self, values: Sequence[float]):
        low, high = (min(values), max(values)) if values else (1.0, 10.0)
        span = max(math.log10(high / low), 0.3)
        self.low, self.high = math.log10(low) - 0.07 * span, math.log10(high) + 0.12 * span

    def __call__(self, value: float) -> float:
        return _LEFT + (math.log10(value) - self.low) / (self.high - self.low) * (WIDTH - _LEFT - _RIGHT)

    def ticks(self) -> list[float]:
        marks = (1, 2, 5) if self.high - self.low < 3.5 else (1,)
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        return [m * 10.0**p for p in powers for m in marks if self.low <= math.log10(m * 10.0**p) <= self.high]


def _axes(x: _Log, y: _Linear, metric: str, cost: str) -> list[str]:
    bottom, right, made = HEIGHT - _BOTTOM, WIDTH - _RIGHT, []
    for value in y.ticks():
        made.append(f'<line class="g" x1="{_LEFT}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        made.append(f'<text class="m" x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for value in x.ticks():
        made.append(f'<line class="g" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{bottom}" y2="{bottom + 5}"/>')
        made.append(f'<text class="m" x="{x(value):.1f}" y="{bottom + 20}" text-anchor="middle">{value:g}</text>')
    middle = (_LEFT + right) / 2
    made.append(f'<text class="m" x="{middle:.0f}" y="{HEIGHT - 24}" text-anchor="middle">{_safe(cost)}</text>')
    across = f'<text class="m" transform="translate(16 {(_TOP + bottom) / 2:.0f}) rotate(-90)" text-anchor="middle">'
    return [*made, f"{across}{_safe(metric)}</text>", *_key()]


def _key() -> list[str]:
    """What the marks mean, below the picture."""
    down = HEIGHT - 6
    entries = (
        (_circle(_LEFT + 6, down - 4), "system"), (_diamond(_LEFT + 86, down - 4), "floor or other baseline"),
        (f'<line class="h" x1="{_LEFT + 246}" x2="{_LEFT + 270}" y1="{down - 4}" y2="{down - 4}"/>', "the best floor"),
        (f'<line class="p" x1="{_LEFT + 386}" x2="{_LEFT + 410}" y1="{down - 4}" y2="{down - 4}"/>',
         "frontier: nothing is better for as little"),
    )  # fmt: skip
    starts = (_LEFT + 17, _LEFT + 97, _LEFT + 276, _LEFT + 416)
    return [
        f'{mark}<text class="m" x="{s}" y="{down}">{words}</text>'
        for (mark, words), s in zip(entries, starts, strict=True)
    ]


def _lines(
    rows: Sequence[Mapping[str, Any]], edge: Sequence[Mapping[str, Any]], x: _Log, y: _Linear, best: str
) -> list[str]:
    made, path, right = [], "", WIDTH - _RIGHT
    for r in rows:
        if r["label"] == best:
            made.append(
                f'<line class="h" x1="{_LEFT}" x2="{right}" y1="{y(r["value"]):.1f}" y2="{y(r["value"]):.1f}"/>'
            )
    for r in edge:
        across, down = x(r["cost"]), y(r["value"])
        path += f"H{across:.1f}V{down:.1f}" if path else f"M{across:.1f} {down:.1f}"
    return [*made, f'<path class="p" d="{path}H{right}"/>'] if path else made


def _mark(row: Mapping[str, Any], across: float, down: float) -> str:
    words = f"<title>{_safe(told(row))}, {row['cost']:.3g} s</title>"
    shape = _diamond(across, down) if row["floor"] else _circle(across, down)
    return shape.replace("/>", f">{words}</{'path' if row['floor'] else 'circle'}>")


def _circle(across: float, down: float) -> str:
    return f'<circle class="s" cx="{across:.1f}" cy="{down:.1f}" r="5"/>'


def _diamond(across: float, down: float) -> str:
    return f'<path class="f" d="M{across:.1f} {down - 6:.1f}l6 6l-6 6l-6-6z"/>'


def _join(point: np.ndarray, label: Label) -> str:
    """A thin line from a point to a label that had to go far."""
    across, down = min(max(point[0], label.left), label.right), label.top + LINE / 2
    return f'<line class="j" x1="{point[0]:.1f}" y1="{point[1]:.1f}" x2="{across:.1f}" y2="{down:.1f}"/>'


def _safe(text: str) -> str:
    return html.escape(str(text), quote=True)


def _colours() -> str:
    light, dark = ("".join(f"--{n}:{pair[i]};" for n, pair in PALETTE.items()) for i in (0, 1))
    return f"svg{{{light}background:var(--paper)}}@media (prefers-color-scheme:dark){{svg{{{dark}}}}}"
