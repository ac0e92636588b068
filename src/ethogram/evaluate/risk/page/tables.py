"""The tables of the case report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.evaluate.bootstrap import Interval
from ethogram.evaluate.report.html import Html, join, table, tag
from ethogram.evaluate.risk.approval import Approval
from ethogram.evaluate.risk.cases import Cases
from ethogram.evaluate.risk.judging import Judgement
from ethogram.evaluate.risk.shift import BANDS

TITLES = {
    "auc": "AUC", "pr_auc": "PR-AUC", "ks": "KS", "recall": "bad ones declined at the wanted approval rate",
    "brier": "Brier", "ece": "ECE",
}  # fmt: skip


def money(value: float) -> str:
    """An amount to three digits, or whole.

    >>> money(12.345), money(1234.5), money(2_345_678)
    ('12.3', '1,234', '2,345,678')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def warnings(said: Iterable[str]) -> Html | None:
    """Sentences that must not be overlooked."""
    said = list(said)
    return tag("ul", *(tag("li", s) for s in said), class_="warnings") if said else None


def windows(judged: Judgement) -> Html:
    """What the threshold does in both windows."""
    rows = [_window("validation", judged.valid), _window("test", judged.test)]
    head = ("Window", "cases", "approved", "bad among them", "bad ones declined", "no outcome yet")
    caption = f"Threshold {judged.threshold:.4g}, chosen on the validation window alone."
    return table(head, rows, numbers=range(1, 6), caption=caption, wide=True)


def costs(judged: Judgement, test: Cases) -> Html | None:
    """What the threshold costs beside others."""
    best = judged.cheapest
    if best is None:
        return None
    rows = [
        ("this threshold", _level(judged.threshold), money(judged.chosen_cost)),
        (
            "the cheapest of this window",
            _level(best.threshold),
            money(best.cost),
        ),
        ("approve all", "–", money(best.approve_all)),
        ("decline all", "–", money(best.decline_all)),
    ]
    head = ("Policy", "threshold", "cost per case")
    note = f"Money: {test.money_is}. The cheapest threshold was seen on the test window, so it flatters itself."
    return join([table(head, rows, numbers=(1, 2)), tag("p", note, class_="note")])


def metrics(judged: Judgement) -> Html:
    """Metrics with intervals, and what they would be if unknown outcomes were only left out."""
    weighted = judged.weights is not None
    rows = []
    for name, title in TITLES.items():
        value = judged.metrics[name]
        cells: list[Any] = [title, _interval(value, "{:.3f}")]
        rows.append([*cells, f"{judged.plain[name]:.3f}"] if weighted else cells)
    head = ["Metric", "value", *(["unknown only left out"] if weighted else [])]
    return table(head, rows, numbers=range(1, len(head)), caption="Test window, 95% intervals from resampling users.")


def top(judged: Judgement) -> Html | None:
    """What a desk that looks at the riskiest few would catch."""
    if judged.top is None:
        return None
    rows = [
        (f"riskiest {r['share']:.0%}", f"{r['recall']:.1%}", f"{r['precision']:.1%}", f"{r['lift']:.2f}")
        for r in judged.top.to_pylist()
    ]
    return table(("Looked at", "of all bad ones", "bad among them", "lift"), rows, numbers=(1, 2, 3))


def drift(moved: pa.Table) -> Html:
    """PSI of the score and of features, with bands in words."""
    names = [name for _, name in BANDS]
    rows = [
        (
            r["feature"],
            _number(r["psi"]),
            _number(r["chance"]),
            tag("span", r["band"], class_="tag warn" if r["band"] in names[1:] else "tag good"),
            r["most"],
        )
        for r in moved.to_pylist()
    ]
    head = ("Feature", "PSI", "by chance", "band", "moved most")
    words = "Below 0.1 stable, below 0.25 a moderate shift, then a large one. By chance: what equal windows stay below."
    return join([table(head, rows, numbers=(1, 2), wide=True), tag("p", words, class_="note")])


def groups(errors: pa.Table | None) -> Html | None:
    """Error rates by a protected attribute."""
    if errors is None or not len(errors):
        return None
    rows = []
    for r in errors.to_pylist():
        rates = [
            _interval(Interval(*(r[f"{n}{e}"] for e in ("", "_low", "_high"))), "{:.1%}")
            for n in ("approval", "fpr", "fnr")
        ]
        rows.append([r["group"], f"{r['cases']:,}", *rates, _percent(r["risk"]), _percent(r["bad_rate"])])
    head = ("Group", "cases", "approved", "good ones declined", "bad ones approved", "mean risk", "bad rate")
    words = "Rates with 95% intervals; differences beyond chance are named at the top of this page."
    return join([table(head, rows, numbers=range(1, 7), wide=True), tag("p", words, class_="note")])


def _window(name: str, one: Approval) -> list[Any]:
    shares = [_interval(v, "{:.1%}") for v in (one.rate, one.bad_rate, one.recall)]
    return [name, f"{one.cases:,}", *shares, f"{one.unknown:,}"]


def _interval(value: Interval, form: str) -> Html | str:
    if value.value != value.value:
        return "–"
    ends = f"{form.format(value.low)}–{form.format(value.high)}" if value.low == value.low else None
    return join([form.format(value.value), tag("small", ends) if ends else None])


def _level(threshold: float) -> str:
    return f"{threshold:.3g}" if np.isfinite(threshold) else "none passes"


def _percent(value: float) -> str:
    return f"{value:.1%}" if value == value else "–"


def _number(value: float) -> str:
    return f"{value:.3f}" if value == value else "–"
