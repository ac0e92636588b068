"""Pictures of a threshold, its costs, and the risks of two windows; see `ethogram.evaluate.plots` for the colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.evaluate.plots import altair_, finished, named_lines

BINS = 30


def histogram(valid: np.ndarray, test: np.ndarray, threshold: float) -> Any:
    """Share of the cases by risk in both windows, with the threshold."""
    alt = altair_()
    edges = np.linspace(0, 1, BINS + 1)
    data = [
        {"label": label, "risk": float(edges[b]), "share": float(n) / max(len(risk), 1),
         "told": f"{label}, risk {edges[b]:.2f} to {edges[b + 1]:.2f}: {n:,} cases"}
        for label, risk in (("validation", valid), ("test", test))
        for b, n in enumerate(np.histogram(risk, edges)[0])
    ]  # fmt: skip
    base = alt.Chart(alt.Data(values=data)).encode(
        x=alt.X("risk:Q", title="risk", axis=alt.Axis(grid=False, tickCount=6), scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("share:Q", title="share of the cases", axis=alt.Axis(format="%", tickCount=4)),
    )
    return finished(alt.layer(*_mark(alt, threshold), *named_lines(alt, base, data, size=8, step=True)), height=220)


def trade_off(table: pa.Table, approved: float) -> Any:
    """What approving more or less does: bad rate of the approved, and share of the bad ones that is declined."""
    alt = altair_()
    words = {"recall": "bad ones declined", "bad_rate": "bad rate of the approved"}
    data = [
        {"label": words[n], "approved": r["approved"], "share": r[n],
         "told": f"approving {r['approved']:.1%} (risk up to {r['threshold']:.3g}): {words[n]} {r[n]:.1%}"}
        for n in words
        for r in table.to_pylist()
        if r[n] is not None and r[n] == r[n]
    ]  # fmt: skip
    for row in data:
        row["told"] = row["told"].replace("risk up to -inf", "nobody")
    return finished(
        alt.layer(*_mark(alt, approved), *named_lines(alt, _shares(alt, data, "share"), data, size=14)), height=260
    )


def costs(table: pa.Table, approved: float, *, points: int = 120) -> Any:
    """Cost per case over the share that is approved, and what it is made of."""
    alt = altair_()
    words = {"cost": "both together", "from_approvals": "bad ones approved", "from_declines": "good ones declined"}
    rows = table.take(pa.array(np.unique(np.linspace(0, len(table) - 1, points).astype(int)))).to_pylist()
    data = [
        {"label": title, "approved": r["approved"], "share": r[n],
         "told": f"approving {r['approved']:.1%}: {title}, {r[n]:.4g} per case"}
        for n, title in words.items()
        for r in rows
    ]  # fmt: skip
    base = _shares(alt, data, "share", "cost per case", "~s")
    return finished(alt.layer(*_mark(alt, approved), *named_lines(alt, base, data, size=14)), height=260)


def cost_curve(table: pa.Table) -> Any:
    """Drummond and Holte's curve beside approving all or none."""
    alt = altair_()
    words = {"cost": "best threshold", "trivial": "approve all, or none"}
    data = [
        {"label": title, "x": r["x"], "share": r[n], "told": f"{title}: {r[n]:.3f} where bad cases hold {r['x']:.0%}"}
        for n, title in words.items()
        for r in table.to_pylist()
        if r[n] == r[n]
    ]
    base = alt.Chart(alt.Data(values=data)).encode(
        x=alt.X("x:Q", title="share of the possible cost that bad cases hold", axis=alt.Axis(format="%", tickCount=5)),
        y=alt.Y("share:Q", title="expected cost, of the worst", axis=alt.Axis(tickCount=5)),
    )
    return finished(alt.layer(*named_lines(alt, base, data, size=14)), height=260)


def _shares(alt: Any, data: list[dict[str, Any]], name: str, title: str = "share", kind: str = "%") -> Any:
    return alt.Chart(alt.Data(values=data)).encode(
        x=alt.X("approved:Q", title="share of the cases that is approved", axis=alt.Axis(format="%", tickCount=6)),
        y=alt.Y(f"{name}:Q", title=title, axis=alt.Axis(format=kind, tickCount=5)),
    )


def _mark(alt: Any, at: float) -> list[Any]:
    """A dashed line where the threshold lies."""
    if not np.isfinite(at):
        return []
    line = alt.Chart(alt.Data(values=[{"at": float(at)}])).encode(x="at:Q")
    return [line.mark_rule(color="var(--floor)", strokeDash=[4, 4], strokeWidth=1.4)]
