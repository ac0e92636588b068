"""The closed loop in words, tables and pictures: a page that opens offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ethogram.evaluate.plots import forest
from ethogram.evaluate.report.html import Html, table, tag
from ethogram.evaluate.report.page import Page
from ethogram.world.people.loop import NOTHING, Loop
from ethogram.world.people.validating import AGAIN, FITTED

HEADLINE = ("purchases", "repeat share", "categories")
PICTURED = ("purchases", "repeat share", "category entropy")


def sentences(found: Loop) -> list[str]:
    """What was found, in words; what fails is said as plainly as what holds."""
    told = []
    if found.check is not None:
        rows = found.check.rows
        for verdict, words in (
            ("better", "better than resampling"), ("worse", "WORSE than resampling"),
            ("undecided", "neither better nor worse than resampling, as far as this tells,"),
        ):  # fmt: skip
            those = [str(r["what"]) for r in rows if r["verdict"] == verdict]
            if those:
                told.append(f"The simulator predicts the real held-out days {words} in: {', '.join(those)}.")
    for row in found.effects:
        if row["arm"] != NOTHING and row["outcome"] in HEADLINE:
            sure = "" if row["p"] < 0.05 else " (not distinguishable from none)"
            told.append(
                f"{row['arm']}: {row['outcome']} {row['change']:+.1%} "
                f"[{row['change_low']:+.1%}, {row['change_high']:+.1%}]{sure}."
            )
    for row in found.retrained:
        if "difference" in row:
            sure = "" if row["p"] < 0.05 else " (not distinguishable from none)"
            told.append(
                f"{row['recommender']} trained on the real past {row['trained on']}: {row['metric']} on the real days "
                f"behind {row['difference']:+.4f} [{row['difference_low']:+.4f}, {row['difference_high']:+.4f}]{sure}."
            )
    return told


def check_rows(found: Loop) -> tuple[list[str], list[list[Any]]]:
    """The check of the simulator as a table."""
    assert found.check is not None
    head = ["what", "score (lower is better)", FITTED, AGAIN, "difference", "interval", "fitted is"]
    return head, [
        [r["what"], r["score"], r[FITTED], r[AGAIN], r["difference"], _ends(r["low"], r["high"]), r["verdict"]]
        for r in found.check.rows
    ]  # fmt: skip


def effect_rows(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Effects as a table."""
    head = ["shown by", "outcome", "value", "interval", "effect", "of it", "interval of the effect"]
    return head, [
        [r["arm"], r["outcome"], r["value"], _ends(r["low"], r["high"]), r.get("difference", ""),
         f"{r['change']:+.1%}" if "change" in r else "",
         _ends(r["difference_low"], r["difference_high"]) if "difference" in r else ""]
        for r in rows
    ]  # fmt: skip


def retrained_rows(found: Loop) -> tuple[list[str], list[list[Any]]]:
    """What training again brought, as a table."""
    head = ["recommender", "trained on the real past", "metric", "value", "interval", "difference", "interval of it"]
    return head, [
        [r["recommender"], "" if r["trained on"] == "real past" else r["trained on"], r["metric"], r["value"],
         _ends(r["low"], r["high"]), r.get("difference", ""),
         _ends(r["difference_low"], r["difference_high"]) if "difference" in r else ""]
        for r in found.retrained
    ]  # fmt: skip


def sensitivity_rows(found: Loop) -> tuple[list[str], list[list[Any]]]:
    """Effects on purchases and repeats under other assumptions."""
    head = ["response", "displacement", "shown by", "outcome", "of it", "interval of the effect"]
    return head, [
        [r["response"], r["displacement"], r["arm"], r["outcome"], f"{r['change']:+.1%}",
         _ends(r["difference_low"], r["difference_high"])]
        for r in found.sensitivity if r["outcome"] in ("purchases", "repeat share")
    ]  # fmt: skip


def page(found: Loop, path: Path, title: str = "The loop, closed") -> Path:
    """Write the page."""
    f = found.facts
    made = Page(title, (
        f"{f['households']:,} households fitted on {f['fitted on days']} real days, then {f['simulated days']} "
        f"simulated days, {f['seeds']} times, {f['k']} items shown on each trip. Assumed: what is shown is bought "
        f"{f['response']:g} times as readily, {f['displacement']:.0%} of that in place of something else."
    ))  # fmt: skip
    made.lead(*sentences(found))
    for outcome in PICTURED:
        rows = _changes(found, outcome)
        made.section(
            outcome.replace(" ", "-"), outcome.capitalize(),
            made.chart(
                outcome.replace(" ", "-"), lambda rows=rows: forest(rows, "change, %", reference=0.0),
                f"Effect on {outcome}", "Point: change against being shown nothing. Bar: 95% interval over households "
                "and seeds. Dashed: no effect.",
            ),
        )  # fmt: skip
    made.section("effects", "All outcomes", _table(*effect_rows(found.effects)))
    if found.check is not None:
        made.section("check", "Is the simulator any good?", _table(*check_rows(found)))
    made.section("retrained", "Trained again", _table(*retrained_rows(found)))
    if found.sensitivity:
        made.section("sensitivity", "Under other assumptions", _table(*sensitivity_rows(found)))
    path.write_text(made.html(), "utf-8")
    return path


def picture(found: Loop, path: Path) -> Path:
    """The effects as one SVG file, in the light colours of the pages.

    Raises
    ------
    MissingExtra
        Altair or vl-convert is not installed.
    """
    from ethogram.evaluate.plots import PALETTE, altair_

    altair_()
    import vl_convert

    specs = [
        forest(_changes(found, o), f"{o}: change against being shown nothing, %", reference=0.0).to_dict()
        for o in PICTURED
    ]
    whole = {"$schema": specs[0]["$schema"], "config": {**specs[0]["config"], "background": PALETTE["paper"][0]}}
    inner = [{k: v for k, v in s.items() if k not in ("$schema", "config")} for s in specs]
    drawn: str = vl_convert.vegalite_to_svg({**whole, "vconcat": inner})
    for name, (light, _) in PALETTE.items():
        drawn = drawn.replace(f"var(--{name})", light)
    path.write_text(drawn, "utf-8")
    return path


def _changes(found: Loop, outcome: str) -> list[dict[str, Any]]:
    parts = (("value", "change"), ("low", "change_low"), ("high", "change_high"))
    return [
        {"label": r["arm"], **{k: 100 * r[c] for k, c in parts}}
        for r in found.effects if r["outcome"] == outcome and r["arm"] != NOTHING
    ]  # fmt: skip


def _ends(low: float, high: float) -> str:
    return f"[{low:.4g}, {high:.4g}]"


def _table(head: list[str], rows: list[list[Any]]) -> Html:
    told = [[f"{v:.4g}" if isinstance(v, float) else v for v in row] for row in rows]
    return tag("div", table(head, told, numbers=[i for i, v in enumerate(rows[0]) if isinstance(v, float)]))
