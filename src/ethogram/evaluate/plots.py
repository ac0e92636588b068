"""Pictures of an evaluation as Altair charts.

Colours are CSS variables (`var(--accent)`), so that one chart serves light pages, dark pages and paper; the
page that shows a chart defines the variables of `PALETTE`. Lines and points are told apart by labels, dashes and
shapes as well as by colour. Every function takes plain numbers, needs no data frame, and returns an Altair chart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.errors import MissingExtra

PALETTE: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#15181c"),
    "ink": ("#1b1e23", "#e8e9eb"),
    "muted": ("#5c636e", "#a2a9b4"),
    "rule": ("#dfe2e7", "#343a43"),
    "accent": ("#0a5fa8", "#6cb2f0"),
    "second": ("#b8560b", "#eda15c"),
    "third": ("#00785c", "#54c3a1"),
    "floor": ("#8a919c", "#7d858f"),
}
"""Variable -> (light, dark). Blue, orange and bluish green stay apart in every common colour blindness."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
WIDTH = 660
ROW = 30
_DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4])
_KINDS = ["system", "floor"]

Row = Mapping[str, Any]


def forest(rows: Iterable[Row], metric: str, *, reference: float | None = None) -> Any:
    """One line per row: the value as a point, its interval as a bar; floors are hollow and grey.

    Parameters
    ----------
    rows : mappings with `label`, `value`, optionally `low`, `high`, `floor` (bool), from the top.
    metric : title of the axis.
    reference : a value to mark with a dashed line, such as the best floor's.
    """
    alt = altair_()
    data: list[dict[str, Any]] = [
        {
            "label": str(r["label"]),
            "value": float(r["value"]),
            "low": float(r.get("low", r["value"])),
            "high": float(r.get("high", r["value"])),
            "kind": _kind(r),
            "told": told(r),
        }
        for r in rows
    ]
    # The picture is about differences, so the axis follows the intervals and not zero.
    scale, ticks = alt.Scale(zero=False, nice=True, padding=12), alt.Axis(tickCount=6)
    base = alt.Chart(alt.Data(values=data)).encode(y=_names(alt, [d["label"] for d in data]))
    layers = [
        base.mark_rule(strokeWidth=2, tooltip=_told(alt)).encode(
            x=alt.X("low:Q", scale=scale, title=metric, axis=ticks), x2="high:Q", color=_look(alt)["color"]
        ),
        base.mark_point(size=80, opacity=1, strokeWidth=2, tooltip=_told(alt)).encode(
            x=alt.X("value:Q", scale=scale, title=metric, axis=ticks), **_look(alt)
        ),
    ]
    if reference is not None:
        line = alt.Chart(alt.Data(values=[{"at": float(reference)}])).encode(x="at:Q")
        layers.insert(0, line.mark_rule(color="var(--floor)", strokeDash=[4, 4], strokeWidth=1.2))
    return finished(alt.layer(*layers), height=ROW * max(len(data), 1) + 6)


def quality_cost(
    rows: Iterable[Row], metric: str, *, cost: str = "CPU seconds to fit and score", unit: str = "s", low: bool = False
) -> Any:
    """Quality over cost on a logarithmic scale, each point named, with its interval; the frontier is a line.

    On the frontier lies what nothing beats in quality at its cost or less.

    Parameters
    ----------
    rows : mappings with `label`, `value`, `cost` (rows without a cost above 0 are left out), `floor`, and where they
        are known `low`, `high`.
    cost, unit : title of the axis, and what its numbers are. low : whether less of the metric is better.
    """
    alt = altair_()
    data: list[dict[str, Any]] = [
        {
            "label": _shortened(str(r["label"])),
            "value": float(r["value"]),
            "low": float(r.get("low", r["value"])),
            "high": float(r.get("high", r["value"])),
            "cost": float(r["cost"]),
            "kind": _kind(r),
            "told": f"{told(r)}, {float(r['cost']):.3g} {unit}",
        }
        for r in rows
        if float(r["cost"]) > 0
    ]
    places = label_places(data)
    for d, (right, lift) in zip(data, places, strict=True):
        d["place"] = f"{right}{lift}"
    x = alt.X(
        "cost:Q",
        scale=alt.Scale(type="log", nice=False, padding=40),
        title=cost,
        axis=alt.Axis(tickCount=6, grid=False, format="~g"),
    )
    scale = alt.Scale(zero=False, nice=True, padding=14)
    y = alt.Y("value:Q", scale=scale, title=metric, axis=alt.Axis(tickCount=5))
    base = alt.Chart(alt.Data(values=data)).encode(x=x, y=y)
    best = [{k: d[k] for k in ("label", "cost", "value")} for d in frontier(data, low=low)]
    edge = alt.Chart(alt.Data(values=best)).encode(x=x, y=y)
    ends = alt.Y("low:Q", scale=scale, title=metric)
    layers = [
        edge.mark_line(color="var(--third)", strokeWidth=1.6, strokeDash=[6, 4], interpolate="step-after"),
        base.mark_rule(strokeWidth=1.5, opacity=0.6, tooltip=_told(alt)).encode(
            y=ends, y2="high:Q", color=_look(alt)["color"]
        ),
        base.mark_point(size=90, opacity=1, strokeWidth=2, tooltip=_told(alt)).encode(**_look(alt)),
    ]
    for right, lift in sorted(set(places)):
        words = base.transform_filter(f"datum.place == '{right}{lift}'").encode(text="label:N")
        side: dict[str, Any] = {"align": "left", "dx": 10} if right else {"align": "right", "dx": -10}
        for outline in ({"stroke": "var(--paper)", "strokeWidth": 4, "opacity": 0.85}, {}):  # legible over lines
            layers.append(words.mark_text(**side, **outline, dy=12 * lift, fontSize=12, color="var(--ink)"))
    return finished(alt.layer(*layers), height=320)


def frontier(rows: Sequence[Row], *, low: bool = False) -> list[Row]:
    """The rows that nothing beats in `value` at their `cost` or less, from the cheapest.

    >>> rows = [{"value": 0.6, "cost": 1.0}, {"value": 0.5, "cost": 2.0}, {"value": 0.7, "cost": 3.0}]
    >>> [r["cost"] for r in frontier(rows)]
    [1.0, 3.0]
    """
    kept: list[Row] = []
    sign = -1 if low else 1
    for row in sorted(rows, key=lambda r: (r["cost"], -sign * r["value"])):
        if not kept or sign * row["value"] > sign * kept[-1]["value"]:
            kept.append(row)
    return kept


def calibration(bins: Mapping[str, Any]) -> Any:
    """Observed rate over predicted probability, one line per system, with the diagonal.

    Parameters
    ----------
    bins : label -> reliability table (see `evaluate.reliability`): mean `score` and mean `label` of each bin.
    """
    alt = altair_()
    data: list[dict[str, Any]] = [
        {
            "label": str(label),
            "predicted": float(b["score"]),
            "observed": float(b["label"]),
            "told": f"{label}: predicted {b['score']:.3f}, observed {b['label']:.3f}",
        }
        for label, table in bins.items()
        for b in (table.to_pylist() if hasattr(table, "to_pylist") else table)
    ]
    top = 1.05 * max((max(d["predicted"], d["observed"]) for d in data), default=1.0)
    ticks = alt.Axis(tickCount=5)
    scale = alt.Scale(domain=[0, top], nice=False)
    x = alt.X("predicted:Q", scale=scale, title="predicted probability", axis=ticks)
    y = alt.Y("observed:Q", scale=scale, title="observed rate", axis=ticks)
    ends = [{"predicted": 0.0, "observed": 0.0}, {"predicted": top, "observed": top}]
    diagonal = alt.Chart(alt.Data(values=ends)).encode(x=x, y=y)
    lines = named_lines(alt, alt.Chart(alt.Data(values=data)).encode(x=x, y=y), data)
    dashed = diagonal.mark_line(color="var(--floor)", strokeDash=[4, 4], strokeWidth=1.2)
    return finished(alt.layer(dashed, *lines), height=340, width=380)


def history_lengths(lengths: Any) -> Any:
    """How many users have how long a history, in bins that double.

    Parameters
    ----------
    lengths : events per user, int[n].
    """
    alt = altair_()
    lengths = np.asarray(lengths, np.int64)
    lengths = lengths[lengths > 0]
    power = np.floor(np.log2(lengths)).astype(np.int64)
    counts = np.bincount(power) if len(lengths) else np.zeros(1, np.int64)
    first = int(power.min()) if len(lengths) and np.ptp(power) >= 5 else 0
    data: list[dict[str, Any]] = [
        {
            "bin": "1" if p == 0 else f"{_short(low)}–{_short(2 * low - 1)}",
            "users": int(counts[p]),
            "told": f"{counts[p]:,} users with {low:,} to {2 * low - 1:,} events",
        }
        for p in range(first, len(counts))
        for low in [2**p]
    ]
    base = alt.Chart(alt.Data(values=data)).encode(
        x=alt.X(
            "bin:N",
            sort=[d["bin"] for d in data],
            title="events in the history",
            axis=alt.Axis(labelAngle=0, grid=False, ticks=False, labelOverlap=True, labelSeparation=8),
        ),
        y=alt.Y("users:Q", title="users", axis=alt.Axis(tickCount=4, tickMinStep=1)),
    )
    return finished(base.mark_bar(color="var(--accent)", cornerRadiusEnd=2, tooltip=_told(alt)), height=200)


def repeat_explore(rows: Iterable[Row], metric: str) -> Any:
    """Two marks per row: the metric on targets that the user had before, and on new ones.

    Parameters
    ----------
    rows : mappings with `label`, `repeat`, `explore`, in order from the top.
    """
    alt = altair_()
    rows = list(rows)
    words = {"repeat": "had before", "explore": "new to the user"}
    data: list[dict[str, Any]] = [
        {
            "label": str(r["label"]),
            "kind": kind,
            "value": float(r[name]),
            "told": f"{r['label']}, {kind}: {r[name]:.4f}",
        }
        for r in rows
        for name, kind in words.items()
    ]
    pairs = [
        {
            "label": str(r["label"]),
            "low": min(r["repeat"], r["explore"]),
            "high": max(r["repeat"], r["explore"]),
        }
        for r in rows
    ]
    names = _names(alt, [str(r["label"]) for r in rows])
    legend = _legend(alt)
    kinds, ticks = list(words.values()), alt.Axis(tickCount=6)
    span = alt.Chart(alt.Data(values=pairs)).encode(x=alt.X("low:Q", title=metric, axis=ticks), x2="high:Q", y=names)
    points = alt.Chart(alt.Data(values=data)).encode(
        x=alt.X("value:Q", title=metric, axis=ticks),
        y=names,
        color=alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=_COLOURS[:2]), legend=legend),
        shape=alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=["circle", "square"]), legend=legend),
    )
    layers = (
        span.mark_rule(color="var(--rule)", strokeWidth=3),
        points.mark_point(size=90, filled=True, opacity=1, tooltip=_told(alt)),
    )
    return finished(alt.layer(*layers), height=ROW * max(len(rows), 1) + 6)


def learning(curves: Mapping[str, Iterable[Row]], value: str, *, step: str = "epoch") -> Any:
    """A value over training, one line per system.

    Parameters
    ----------
    curves : label -> what `watch` was told: mappings that may hold `step` and `value`.
    value : which fact to draw ("loss", "valid").
    """
    alt = altair_()
    data: list[dict[str, Any]] = [
        {
            "label": str(label),
            "step": float(p[step]),
            "value": float(p[value]),
            "told": f"{label}, {step} {p[step]}: {p[value]:.4g}",
        }
        for label, points in curves.items()
        for p in points
        if p.get(value) is not None and p.get(step) is not None
    ]
    base = alt.Chart(alt.Data(values=data)).encode(
        x=alt.X("step:Q", title=step, axis=alt.Axis(grid=False, tickMinStep=1), scale=alt.Scale(nice=False)),
        y=alt.Y("value:Q", title=value, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5)),
    )
    return finished(alt.layer(*named_lines(alt, base, data)), height=240, width=WIDTH)


def told(row: Row) -> str:
    """The words of a tooltip: label, value, interval.

    >>> told({"label": "sdim", "value": 0.72, "low": 0.71, "high": 0.73})
    'sdim: 0.7200 [0.7100, 0.7300]'
    """
    interval = f" [{row['low']:.4f}, {row['high']:.4f}]" if "low" in row and "high" in row else ""
    return f"{row['label']}: {row['value']:.4f}{interval}"


def label_places(data: Sequence[Row]) -> list[tuple[bool, int]]:
    """(label on the right, lines down) of each point of `quality_cost`, so that no label covers another."""
    if not data:
        return []
    x, y = np.log10([d["cost"] for d in data]), np.array([d["value"] for d in data])
    # the axis spans the intervals, where there are any
    bottom, top = (pick(float(d.get(end, d["value"])) for d in data) for pick, end in ((min, "low"), (max, "high")))
    x, y = (x - x.min()) / (np.ptp(x) or 1.0), (y - bottom) / ((top - bottom) or 1.0)
    bars = [
        [(float(d.get(end, d["value"])) - bottom) / ((top - bottom) or 1.0) for end in ("low", "high")] for d in data
    ]
    taken: list[tuple[float, float, float]] = []
    places: list[tuple[bool, int]] = []
    for i, d in enumerate(data):
        wide = 0.0115 * len(str(d["label"])) + 0.03
        fits = bool(x[i] + wide <= 1.02)
        options = [(right, lift) for lift in (0, -1, 1, -2, 2) for right in (fits, not fits)]
        costs = []
        for right, lift in options:
            low, high = (x[i], x[i] + wide) if right else (x[i] - wide, x[i])
            at = y[i] - 0.045 * lift
            clash = sum(low < b and a < high and abs(at - h) < 0.05 for a, b, h in taken)
            clash += sum(low < x[j] < high and abs(at - y[j]) < 0.04 for j in range(len(data)) if j != i)
            clash += 0.5 * sum(low < x[j] < high and bars[j][0] < at < bars[j][1] for j in range(len(data)) if j != i)
            costs.append((clash + 2 * (high > 1.1 or low < -0.1), low, high, at))
        best = min(range(len(options)), key=lambda o: costs[o][0])
        taken.append(costs[best][1:])
        places.append(options[best])
    return places


_COLOURS = ["var(--accent)", "var(--second)", "var(--third)"]


def altair_() -> Any:
    try:
        import altair
    except ImportError as error:
        raise MissingExtra("charts need the packages altair and vl-convert-python; install them.") from error
    return altair


def _shortened(label: str, most: int = 30) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _short(count: int) -> str:
    return str(count) if count < 1000 else f"{round(count / 1024):,}k"


def _kind(row: Row) -> str:
    return "floor" if row.get("floor") else "system"


def _told(alt: Any) -> Any:
    return alt.ExprRef("datum.told")


def _names(alt: Any, labels: list[str]) -> Any:
    look = {"grid": False, "ticks": False, "domain": False, "labelPadding": 10}
    axis = alt.Axis(**look, labelColor="var(--ink)", labelFontSize=13)
    return alt.Y("label:N", sort=labels, title=None, axis=axis)


def _look(alt: Any) -> dict[str, Any]:
    """Channels that tell systems from floors: colour, shape and filling."""
    ranges = {
        "color": (alt.Color, ["var(--accent)", "var(--floor)"]),
        "shape": (alt.Shape, ["circle", "diamond"]),
        "fill": (alt.Fill, ["var(--accent)", "var(--paper)"]),
    }
    return {
        name: channel("kind:N", scale=alt.Scale(domain=_KINDS, range=values), legend=None)
        for name, (channel, values) in ranges.items()
    }


def named_lines(alt: Any, base: Any, data: Sequence[Row], *, size: int = 36, step: bool = False) -> list[Any]:
    """Lines with points, told apart by colour and dash, named above the picture."""
    labels = list(dict.fromkeys(d["label"] for d in data))
    colours = [_COLOURS[i % 3] for i in range(len(labels))]
    dashes = [_DASHES[(i // 3) % len(_DASHES)] for i in range(len(labels))]
    colour = alt.Color("label:N", scale=alt.Scale(domain=labels, range=colours), legend=_legend(alt))
    dash = alt.StrokeDash("label:N", scale=alt.Scale(domain=labels, range=dashes), legend=_legend(alt))
    points = base.mark_point(size=size, filled=True, opacity=1, tooltip=_told(alt)).encode(color=colour)
    line = base.mark_line(strokeWidth=2, interpolate="step-after" if step else "linear")
    return [line.encode(color=colour, strokeDash=dash), points]


def _legend(alt: Any) -> Any:
    look = {"labelColor": "var(--ink)", "labelFontSize": 12, "labelLimit": 190, "symbolSize": 80, "columnPadding": 18}
    return alt.Legend(orient="top", title=None, columns=2, **look)


def finished(chart: Any, *, height: int, width: int = WIDTH) -> Any:
    muted = {"labelColor": "var(--muted)", "titleColor": "var(--muted)"}
    rules = {"gridColor": "var(--rule)", "domainColor": "var(--rule)", "tickColor": "var(--rule)"}
    sizes = {"labelFontSize": 12, "titleFontSize": 12, "titlePadding": 10, "labelLimit": 260}
    return (
        chart.properties(width=width, height=height)
        .configure(font=FONT, background="transparent", padding=4)
        .configure_view(stroke=None)
        .configure_axis(**muted, **rules, **sizes, titleFontWeight="normal")
    )
