"""Who beats the best floor: chosen on validation, tested on the test part, corrected for the number of tests.

    floor  = the floor with the best validation value of the metric       (the test part has no say)
    gap_a  = test value of arm a - that of the floor, paired over users on equal resamples
    p'_a   = Holm's correction of the gaps' p-values over all arms but the floor

An arm beats the floor where p' < 0.05 and the gap is for it, is below where p' < 0.05 and the gap is against it, and is
not told apart otherwise. The interval beside a gap is that of the one gap, uncorrected. Holm's correction is made for
each metric by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.errors import OptionError, UnknownName, unknown
from ethogram.evaluate.comparison import arms_of, gap_of, level_of
from ethogram.evaluate.correction import holm
from ethogram.evaluate.record import Record
from ethogram.evaluate.report.rows import is_better_low, metric_title, number, signed

BEATS, BELOW, LEVEL = "beats", "below", "not told apart"
_TESTED = 0.05
_WAYS = {"fold_in=strangers": "as trained", "fold_in=always": "folded in"}


@dataclass(frozen=True)
class Standing:
    """Arms beside a floor.

    Attributes
    ----------
    metrics : of the tests, the first decides. reference : the best floor's label. chosen : how it was found, in words.
    rows : a mapping per arm, best first: `arm`, `system`, `floor`, `seeds`, `valid` (of the first metric), `verdict`
        (empty for the reference), and for each metric m: m, `m low`, `m high`, `m gap`, `m gap low`, `m gap high`,
        `m p`, `m p corrected`.
    ways : for systems that stand as trained and folded in, the gap of folded in to trained, likewise.
    """

    metrics: tuple[str, ...]
    reference: str
    chosen: str
    rows: tuple[Mapping[str, Any], ...]
    ways: tuple[Mapping[str, Any], ...] = ()

    def words(self) -> list[str]:
        """The finding in sentences: about the floor, then about each system that is no floor, then about floors."""
        return [self.chosen, *(self.word(row) for row in self.rows if row["verdict"])]

    def short(self) -> list[str]:
        """The finding where there is little room: each system in a sentence, the floors of one verdict in one."""
        said = [self.chosen, *(self.word(row) for row in self.rows if row["verdict"] and not row["floor"])]
        told = {BEATS: "beat it", BELOW: "are below it", LEVEL: "are not told apart from it"}
        for verdict, words in told.items():
            arms = [f"`{row['arm']}`" for row in self.rows if row["floor"] and row["verdict"] == verdict]
            said += [f"Of the other floors and baselines, these {words}: {'; '.join(arms)}."] if arms else []
        return said

    def word(self, row: Mapping[str, Any]) -> str:
        """Whether an arm beats the best floor, with the numbers that say so."""
        metric = self.metrics[0]
        told = {
            BEATS: f"`{row['arm']}` beats the best floor",
            BELOW: f"`{row['arm']}` does not beat the best floor, it is below it",
            LEVEL: f"`{row['arm']}` does not beat the best floor, the two are not told apart",
        }[row["verdict"]]
        value, low, high = (signed(row[f"{metric} {n}"]) for n in ("gap", "gap low", "gap high"))
        p = row[f"{metric} p corrected"]
        return f"{told}: {metric_title(metric)} {value} [{low}, {high}], corrected p = {p:.2g}."


def standing(
    records: Sequence[Record], metrics: Sequence[str], floors: Collection[str], reference: str | None = None
) -> Standing:
    """Choose the best floor on validation and test every other arm against it.

    Parameters
    ----------
    records : of a line-up (fact `valid`). metrics : to test by, the first decides. floors : keys of the floors.
    reference : key or label of the arm to test against, in place of the best floor.

    Raises
    ------
    OptionError
        No floor among the records, and no reference. UnknownName : no such arm or metric.
    """
    arms = arms_in(records)
    there = next(iter(arms.values()))[0].metrics
    for metric in metrics:
        if metric not in there:
            raise UnknownName(unknown("metric", metric, there))
    first, sign = metrics[0], -1 if is_better_low(metrics[0]) else 1
    valid = {name: float(np.mean([r.facts["valid"][first] for r in runs])) for name, runs in arms.items()}
    is_floor = {name: runs[0].system in floors for name, runs in arms.items()}
    chosen, told = _reference(arms, valid, is_floor, reference, first, sign)
    rows = []
    for name, runs in arms.items():
        row = {"arm": name, "system": runs[0].system, "floor": is_floor[name], "seeds": len(runs), "valid": valid[name]}
        for metric in metrics:
            gap = None if name == chosen else gap_of(runs, arms[chosen], metric)
            row |= dict(zip((metric, f"{metric} low", f"{metric} high"), level_of(runs, metric), strict=True))
            row |= {f"{metric} {n}": getattr(gap, a, np.nan) for n, a in _GAP.items()}
        rows.append(row)
    for metric in metrics:
        for row, p in zip(rows, holm([row[f"{metric} p"] for row in rows]), strict=True):
            row[f"{metric} p corrected"] = float(p)
    for row in rows:
        row["verdict"] = "" if row["arm"] == chosen else _verdict(row, first, sign)
    rows.sort(key=lambda row: -sign * row[first])
    return Standing(tuple(metrics), chosen, told, tuple(rows), tuple(_ways(arms, first, sign)))


_GAP = {"gap": "value", "gap low": "low", "gap high": "high", "p": "p"}


def arms_in(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Runs by arm, as people call it."""
    return {labelled(name): runs for name, runs in arms_of(records).items()}


def labelled(name: str) -> str:
    """An arm as people call it.

    >>> labelled("als (fold_in=always)"), labelled("item_knn")
    ('als, folded in', 'item_knn')
    """
    for way, words in _WAYS.items():
        name = name.replace(f" ({way})", f", {words}").replace(f"{way})", f"{words})")
    return name


def _reference(
    arms: Mapping[str, Any], valid: Mapping[str, float], is_floor: Mapping[str, bool], asked: str | None,
    metric: str, sign: int,
) -> tuple[str, str]:  # fmt: skip
    if asked is not None:
        names = [n for n, runs in arms.items() if asked in (n, runs[0].system)]
        if not names:
            raise UnknownName(unknown("arm", asked, arms))
        return names[0], f"Every system is tested against `{names[0]}`, as was asked."
    able = [n for n in arms if is_floor[n]]
    if not able:
        raise OptionError("no floor was measured, so nothing says what a system has to beat; add one, or --reference.")
    best = max(able, key=lambda n: sign * valid[n])
    value = f"{metric_title(metric)} {number(valid[best])} there"
    return (
        best,
        f"The best floor is `{best}`, chosen on the validation part among {len(able)} floors and baselines ({value}).",
    )


def _verdict(row: Mapping[str, Any], metric: str, sign: int) -> str:
    if not row[f"{metric} p corrected"] < _TESTED:
        return LEVEL
    return BEATS if sign * row[f"{metric} gap"] > 0 else BELOW


def _ways(arms: Mapping[str, Sequence[Record]], metric: str, sign: int) -> list[dict[str, Any]]:
    trained, folded = _WAYS.values()
    made = []
    for name, runs in arms.items():
        other = arms.get(name.replace(trained, folded)) if trained in name else None
        if other is None:
            continue
        gap = gap_of(other, runs, metric)
        own = {trained: level_of(runs, metric).value, folded: level_of(other, metric).value}
        made.append({"system": runs[0].system, **own, **{n: getattr(gap, a) for n, a in _GAP.items()}})
    for row, p in zip(made, holm([row["p"] for row in made]), strict=True):
        row["p corrected"] = float(p)
        row["verdict"] = {BEATS: "folded in is better", BELOW: "as trained is better", LEVEL: LEVEL}[
            _verdict({f"{metric} {n}": v for n, v in row.items()}, metric, sign)
        ]
    return made
