"""A case's events as a strip: time runs to the right, a stroke is as high as the root of its value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ethogram.evaluate.report.html import Html, tag

WIDTH, HEIGHT = 600, 72
MOST = 400
"""Strokes that are drawn, the latest."""


def strip(events: list[dict[str, Any]], reasons: Sequence[str]) -> Html | None:
    """The picture, None without events; marked are those of the item, kind or category that a reason names.

    Parameters
    ----------
    reasons : what they name, the weightiest first; the first that is found among the events is marked.
    """
    drawn = events[-MOST:]
    if not drawn:
        return None
    clocks = [e.get("time") for e in drawn]
    timed = all(c is not None for c in clocks)
    at = np.array([c.timestamp() for c in clocks if c is not None] if timed else range(len(drawn)), np.float64)
    span = at[-1] - at[0]
    x = 4 + (WIDTH - 8) * ((at - at[0]) / span if span else np.full(len(at), 0.5))
    value = np.array([abs(e.get("value") or 0.0) for e in drawn], np.float64)
    high = np.sqrt(value / value.max()) if value.max() > 0 else np.full(len(drawn), 0.5)
    named = [{n.lower(), n.lower().partition(" (")[0]} for n in reasons]
    place = next((i for i, names in enumerate(named) if any(_names(e, names) for e in drawn)), None)
    strokes = []
    for event, left, size in zip(drawn, x, high, strict=True):
        hit = place is not None and _names(event, named[place])
        top = HEIGHT - 4 - (HEIGHT - 10) * max(float(size), 0.08)
        said = " ".join(str(event[c]) for c in ("kind", "item") if event.get(c) is not None)
        said += f" {event['value']:,.2f}" if event.get("value") is not None else ""
        said += f", {event['time']:%Y-%m-%d %H:%M}" if event.get("time") is not None else ""
        ends_at = {"x1": f"{left:.1f}", "x2": f"{left:.1f}", "y1": HEIGHT - 4, "y2": f"{top:.1f}"}
        strokes.append(tag("line", tag("title", said), **ends_at, class_="hit" if hit else None))
    base = tag("line", x1=0, x2=WIDTH, y1=HEIGHT - 3, y2=HEIGHT - 3, class_="base")
    ends = None
    if timed and clocks[0] is not None and clocks[-1] is not None:
        form = "%Y-%m-%d" if span > 2 * 86_400 else "%Y-%m-%d %H:%M"
        ends = tag("p", *(tag("span", c.strftime(form)) for c in (clocks[0], clocks[-1])), class_="ends")
    made = tag(
        "svg",
        base,
        *sorted(strokes, key=lambda s: 'class="hit"' in s),  # marked strokes lie above the others
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{len(events)} events over time",
        class_="strip",
    )
    key = None if place is None else tag("p", tag("i", class_="key"), reasons[place], class_="note")
    return tag("div", made, ends, key)


def _names(event: dict[str, Any], names: set[str]) -> bool:
    return any(isinstance(v, str) and v.lower() in names for v in event.values())
