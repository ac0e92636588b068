"""Clusters of cases as cards: how large, how often tagged, how much money, by which rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ethogram.evaluate.report.html import Html, tag
from ethogram.evaluate.risk.page.tables import money

SHOWN = 24
FIGURES = {
    "size": ("cases", "{:,.0f}"), "tag_rate": ("tagged", "{:.1%}"), "lift": ("times the base rate", "{:.1f}"),
    "at_risk": ("money at risk: passed, untagged", ""), "money": ("money in all", ""),
    "growth": ("times the window before, at most", "{:.1f}"),
    "stability": ("stability: how far it stands apart", "{:.2f}"),
}  # fmt: skip
"""Column of a card -> (words, format)."""


def clusters(cards: pa.Table | None) -> Html | None:
    """A card per cluster, in the order of the table; those that are not flagged lie folded behind the others."""
    if cards is None or not len(cards):
        return None
    rows = cards.to_pylist()
    flagged = [r for r in rows if r.get("flagged", True)]
    others = [r for r in rows if not r.get("flagged", True)]
    said = f"{len(flagged):,} of {len(rows):,} clusters are flagged."
    return tag(
        "div",
        tag("p", said if flagged else f"None of {len(rows):,} clusters is flagged.", class_="note"),
        _listed(flagged),
        tag("details", tag("summary", f"{len(others):,} that are not flagged"), _listed(others)) if others else None,
    )


def _listed(rows: list[dict[str, Any]]) -> Html | None:
    if not rows:
        return None
    left = len(rows) - SHOWN
    more = tag("p", f"{left:,} further ones are not shown.", class_="note") if left > 0 else None
    return tag("div", tag("div", *map(_card, rows[:SHOWN]), class_="clusters"), more)


def _card(row: dict[str, Any]) -> Html:
    figures = []
    for name, (words, form) in FIGURES.items():
        value = row.get(name)
        if value is None or value != value:
            continue
        said = money(value) if not form else form.format(value)
        low, high = (row.get(f"{name.removesuffix('_rate')}_{end}") for end in ("low", "high"))
        ends = f" ({form.format(low)}–{form.format(high)})" if form and low is not None and high is not None else ""
        figures.append(tag("div", tag("dd", said), tag("dt", words + ends)))
    rules = row.get("rules") or ()
    rules = [rules] if isinstance(rules, str) else rules
    flagged = row.get("flagged")
    told = tag("span", "flagged", class_="tag warn") if flagged else None
    return tag(
        "article",
        tag("h3", f"Cluster {row.get('cluster')} ", told),
        tag("p", row["narrative"]) if row.get("narrative") else None,
        tag("dl", *figures, class_="facts"),
        tag("ul", *(tag("li", tag("code", r)) for r in rules), class_="plain") if rules else None,
        _steps(row.get("steps") or ()) if rules else None,
        class_="cluster",
    )


def _steps(path: Sequence[str]) -> Html | None:
    """What "steps of the group" counts, folded."""
    if not path:
        return None
    said = tag("summary", f"the {len(path)} steps of this group")
    note = tag("p", "A case takes a step if it looks at the page for so long, at whatever point.", class_="note")
    return tag("details", said, note, tag("ul", *(tag("li", step) for step in path), class_="plain"))
