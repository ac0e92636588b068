"""The case report: one HTML file that an analyst can act on; the riskiest money first, each case with its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate import plots
from ethogram.evaluate.report.html import Html, join, prose, tag
from ethogram.evaluate.report.page import Page
from ethogram.evaluate.report.sections import facts, limits
from ethogram.evaluate.risk import plots as pictures
from ethogram.evaluate.risk.cases import Cases
from ethogram.evaluate.risk.judging import Judgement
from ethogram.evaluate.risk.page import clusters, queue, tables
from ethogram.log import Log

LIMITS = (
    "A risk is a reason to look, not a finding. Whoever is declined is owed the reasons, and a way to be heard.",
    "Figures are of cases like these. Another time, product or kind of customer needs its own validation window.",
)


def risk_report(
    path: str | Path, judged: Judgement, valid: Cases, test: Cases, log: Log, *, title: str = "Cases by risk",
    subtitle: str = "", words: str = "", cards: pa.Table | None = None, limit: int = 50, charts: bool = True,
    notes: Sequence[str] = (), machine: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """Write the report.

    Parameters
    ----------
    judged : of `valid` and `test`. log : with the events of the test window's cases.
    words : how the windows were cut. cards : clusters, as `cards()` of a system gives them.
    limit : cases that are shown whole, those with most risk times money; the rest is counted.
    notes : further warnings, above everything.

    Raises
    ------
    OptionError
        `limit` is below 1.
    """
    if limit < 1:
        raise OptionError(f"report: {limit} cases; give 1 or more.")
    page = Page(title, subtitle, charts=charts, style=_file("page.css"), script=_file("page.js"))
    expected = test.risk * test.money
    order = np.argsort(-expected, kind="stable")[:limit]
    page.lead(*lead(judged, test, expected, order))
    warned = tables.warnings([*notes, *judged.notes, *judged.warnings])
    page.section("queue", "Queue", warned, queue.queue(test, order, log, judged.threshold))
    page.section("clusters", "Clusters", clusters.clusters(cards))
    page.section("threshold", "Threshold", *_threshold(page, judged, valid, test, words))
    page.section("costs", "Costs", *_costs(page, judged, test))
    page.section("quality", "How well risks tell bad from good", *_quality(page, judged))
    page.section("drift", "Drift since the validation window", tables.drift(judged.drift))
    page.section("groups", "Groups", tables.groups(judged.groups))
    page.section("limits", "Honest limits", limits(LIMITS), facts(machine) if machine else None)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page.html(), "utf-8")
    return target


def lead(judged: Judgement, test: Cases, expected: np.ndarray, order: np.ndarray) -> list[str]:
    """What was found, in a few sentences."""
    declined = len(test) - judged.test.approved
    said = [
        f"{declined:,} of {len(test):,} cases lie above the threshold of {judged.threshold:.3g} and would be declined; "
        f"{judged.test.rate.value:.1%} would be approved, where {judged.wanted:.0%} was wanted in validation."
    ]
    total = float(expected.sum())
    if total > 0:
        said.append(
            f"The {len(order):,} cases below hold {expected[order].sum() / total:.0%} of the money that is expected "
            f"to be lost (risk times money, {tables.money(total)} in all)."
        )
    if judged.metrics:
        auc, bad = judged.metrics["auc"], judged.test.bad_rate
        said.append(
            f"Risks tell bad from good with AUC {auc.value:.3f} (95% interval {auc.low:.3f} to {auc.high:.3f}). Of "
            f"the approved, {bad.value:.1%} turned out bad ({bad.low:.1%} to {bad.high:.1%})."
        )
    return said


def _threshold(page: Page, judged: Judgement, valid: Cases, test: Cases, words: str) -> list[Html | None]:
    drawn = page.chart(
        "risks", lambda: pictures.histogram(valid.risk, test.risk, judged.threshold), "Risks in both windows.",
        "Share of the cases by risk; the dashed line is the threshold, what lies right of it is declined.",
    )  # fmt: skip
    table = judged.trade_off
    other = None if table is None else page.chart(
        "trade-off", lambda: pictures.trade_off(table, judged.test.rate.value), "What approving more would do.",
        "Of the test window, as far as outcomes are known; the dashed line is what the threshold approves.",
    )  # fmt: skip
    return [tag("p", prose(words)) if words else None, tables.windows(judged), drawn, other]


def _costs(page: Page, judged: Judgement, test: Cases) -> list[Html | None]:
    spent, curve = judged.costs, judged.curve
    if spent is None or curve is None:
        return []
    drawn = page.chart(
        "cost", lambda: pictures.costs(spent, judged.test.rate.value), "Expected cost per case.",
        "What bad cases that are approved and good ones that are declined cost, by how many are approved; the dashed "
        "line is what the threshold approves.",
    )  # fmt: skip
    other = page.chart(
        "cost-curve", lambda: pictures.cost_curve(curve), "Whatever tomorrow's costs and bad rate are.",
        "Cost curve of Drummond and Holte: expected cost with the best threshold, beside approving all or none. Far "
        "below the triangle, risks are worth something.",
    )  # fmt: skip
    return [tables.costs(judged, test), drawn, other]


def _quality(page: Page, judged: Judgement) -> list[Html | None]:
    if not judged.metrics:
        return []
    reliable = judged.reliability
    drawn = page.chart(
        "calibration", lambda: plots.calibration({"test window": reliable}), "Is a risk of 20% bad in 20 of 100?",
        "Mean risk and share of bad ones in bins of equal weight; on the dashed line they agree.", square=True,
    )  # fmt: skip
    return [join([tables.metrics(judged), tables.top(judged)]), drawn]


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
