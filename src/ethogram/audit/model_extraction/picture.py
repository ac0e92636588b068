"""How much a copy agrees with the service, by the queries that its maker asked, without and with each defence."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

UNDEFENDED = "no defence"
WIDTH, HEIGHT = 560, 300
CAPTION = "Agreement against queries, with and without each defence"
READING = (
    "Each line is the full attack against one defence, tried anew with a part of the sequences: the share of the "
    "service's lists of 10 that the copy repeats, mean over test people and seeds. The lower, the more the defence "
    "helps. Refused queries count, too."
)
Points = Mapping[str, list[dict[str, float]]]


def points(table: Mapping[str, np.ndarray]) -> Points:
    """Defence -> its points, by number of queries; `none` first."""
    found: dict[str, list[dict[str, float]]] = {}
    for group in dict.fromkeys(table["group"].tolist()):
        name = group.split(" at ")[0]
        if name != "full" and not name.startswith("full against "):
            continue
        rows = table["group"] == group
        queries, agreement = (np.array(table[n][rows], float).mean() for n in ("queries", "agreement@10"))
        label = UNDEFENDED if name == "full" else name.removeprefix("full against ")
        found.setdefault(label, []).append({"queries": float(queries), "agreement@10": float(agreement)})
    return {label: sorted(held, key=lambda p: p["queries"]) for label, held in found.items()}


def curve(told: Points) -> Any:
    """The picture, an Altair chart: lines named at their ends, the undefended one heavy."""
    from ethogram.evaluate.plots import FONT, altair_

    alt = altair_()
    data = [
        {"label": label, "queries": p["queries"], "agreement": p["agreement@10"], "plain": label == UNDEFENDED,
         "told": f"{label}, {p['queries']:,.0f} queries: {p['agreement@10']:.3f}"}
        for label, held in told.items() for p in held
    ]  # fmt: skip
    most = max((d["agreement"] for d in data), default=1.0)
    ends = [{"label": label, "x": held[-1]["queries"], "at": held[-1]["agreement@10"],
             "plain": label == UNDEFENDED} for label, held in told.items()]  # fmt: skip
    for end, place in zip(ends, spread([e["at"] for e in ends], most * 16 / HEIGHT), strict=True):
        end["place"] = place
    colour = alt.condition("datum.plain", alt.value("var(--accent)"), alt.value("var(--second)"))
    y = alt.Y("agreement:Q", title="agreement of lists of 10", scale=alt.Scale(domain=[0, most * 1.08]))
    x = alt.X("queries:Q", title="queries, refused ones too", axis=alt.Axis(grid=False), scale=alt.Scale(nice=False))
    base = alt.Chart(alt.Data(values=data)).encode(x=x, y=y, detail="label:N")
    heavy = alt.condition("datum.plain", alt.value(3), alt.value(1.5))
    drawn = [
        base.mark_line().encode(color=colour, strokeWidth=heavy),
        base.mark_point(size=36, filled=True, opacity=1, tooltip=alt.TooltipContent("data")).encode(
            color=colour, tooltip=alt.Tooltip("told:N", title="")
        ),
        alt.Chart(alt.Data(values=ends)).mark_text(align="left", dx=8, fontSize=12).encode(
            x="x:Q", y=alt.Y("place:Q"), text="label:N", color=colour
        ),
    ]  # fmt: skip
    muted = {"labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--rule)"}
    whole = alt.layer(*drawn).properties(
        width=WIDTH, height=HEIGHT, padding={"right": 90, "left": 5, "top": 5, "bottom": 5}
    )
    whole = whole.configure(font=FONT, background="transparent").configure_view(stroke=None)
    return whole.configure_axis(**muted, domainColor="var(--rule)", tickColor="var(--rule)", titleFontWeight="normal")


def spread(values: list[float], gap: float) -> list[float]:
    """The values, moved up where they lie closer than `gap`, so that names do not cover each other; never below 0."""
    order = np.argsort(values, kind="stable")
    placed = np.array(values, float)
    for before, after in pairwise(order.tolist()):
        placed[after] = max(placed[after], placed[before] + gap)
    if len(placed):  # back to the middle of what was moved
        placed -= max(0.0, float((placed - np.array(values)).mean()))
    return [float(v) for v in placed]
