"""The characterisation as one HTML page that opens offline: what differs, how much, how sure, under four axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from ethogram.evaluate.report.html import Html, table, tag
from ethogram.evaluate.report.page import Page
from ethogram.evaluate.report.sections import limits
from ethogram.risk.ban_evasion.card import said

GROUPS = {
    "evading / malicious": ("evading", "malicious", "Evading and other banned accounts",
        "Banned accounts whose person is known to have come back, and banned ones whose person is not."),
    "evading / benign": ("evading", "benign", "Evading and benign accounts",
        "The same, and accounts that nobody banned."),
    "pairs / random pairs": ("pairs", "random", "Pairs of one person and random pairs",
        "A banned account and the next one of its person, and the same banned account with somebody else's next one, "
        "made nearest in time. An attribute is a similarity, or how far the two accounts lie apart."),
    "success: long / short lives": ("long", "short", "Returns that last and returns that do not",
        "Accounts of people who came back: the half that lived longer before its ban, and the other."),
}  # fmt: skip
"""Comparison -> short names of its two groups, heading, words."""
LIMITS = (
    "It describes groups. No attribute, and no number of them, says of one account whose it is.",
    "An evading account is one that was found out: who came back and was never recognised stands among the others.",
    "Logarithms are told as such: a difference of 0.7 there is twice as much.",
)
STYLE = """
.effect { display: inline-block; position: relative; width: 7rem; height: 0.7rem; margin-left: 0.6rem;
  border-left: 0; background: linear-gradient(var(--rule), var(--rule)) center / 1px 100% no-repeat; }
.effect i { position: absolute; top: 0.1rem; height: 0.5rem; background: var(--accent); }
.effect i.less { background: var(--second); }
"""
WIDEST = 2.0
"""Effect size at which a bar ends."""


def characterisation(path: str | Path, rows: pa.Table, title: str, subtitle: str, level: float) -> Path:
    """Write what `report.characterise` found; the path."""
    page, told = Page(title, subtitle, charts=False, style=STYLE), rows.to_pylist()
    page.charts = True  # it has none, so there is no need to say that they are left out
    for name, (one, other, heading, words) in GROUPS.items():
        mine = [r for r in told if r["comparison"] == name]
        if not mine:
            continue
        differ = [r for r in mine if r["differs"]]
        first = max(differ, key=lambda r: abs(r["d"]), default=None)
        most = f" Most of all: {said(first['attribute'])} (d = {first['d']:+.2f})." if first else ""
        page.lead(f"{heading}: {len(differ)} of {len(mine)} attributes differ.{most}")
        page.section(
            name.split(" ")[0].strip(":/") + str(len(page._sections)), heading, tag("p", words),
            tag("p", f"Those that differ (q ≤ {level:g} by Holm's correction), by axis, the largest effect first. d: "
                f"the difference of the means in standard deviations, to the right where more in {one}.",
                class_="note"),
            _table(differ, one, other) if differ else tag("p", "None differs."), _rest(mine, one, other),
        )  # fmt: skip
    page.section("limits", "What it does not say", limits(LIMITS))
    target = Path(path)
    target.write_text(page.html(), encoding="utf-8")
    return target


def _rest(rows: list[dict[str, Any]], one: str, other: str) -> Html | None:
    kept = [r for r in rows if not r["differs"]]
    if not kept:
        return None
    return tag("details", tag("summary", f"{len(kept)} that do not differ"), _table(kept, one, other))


def _table(rows: list[dict[str, Any]], one: str, other: str) -> Html:
    rows = sorted(rows, key=lambda r: (r["axis"], -abs(r["d"] or 0.0)))
    body = [
        (said(r["attribute"]), r["axis"], _number(r["a_mean"]), _number(r["b_mean"]), _effect(r["d"]), _chance(r["q"]))
        for r in rows
    ]
    return table(("attribute", "axis", one, other, "effect d", "q"), body, numbers=(2, 3, 4, 5))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}".replace("-", "−")


def _chance(q: float | None) -> str:
    return "–" if q is None else "< 0.0001" if q < 1e-4 else f"{q:.4f}"


def _effect(d: float | None) -> Html | str:
    if d is None:
        return "–"
    wide = 50 * min(abs(d), WIDEST) / WIDEST
    bar = tag("i", style=f"left:{50 if d > 0 else 50 - wide:.1f}%;width:{wide:.1f}%", class_=None if d > 0 else "less")
    return tag("span", f"{d:+.2f}".replace("-", "−"), tag("span", bar, class_="effect", aria_hidden="true"))
