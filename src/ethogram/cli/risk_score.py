"""``ethogram risk score MODEL LOG``: risks of all cases, a threshold chosen earlier, and how well both do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ethogram.cli.asking import check_ending, write
from ethogram.cli.opening import Reading
from ethogram.cli.options import Set
from ethogram.cli.output import Json, Output
from ethogram.cli.risk_cases import Judging, judged, judging, remarks, windows

if TYPE_CHECKING:
    from ethogram.evaluate.risk import Approval, Cases, Judgement

SHOWN = 10
NAMES = {
    "auc": "AUC",
    "pr_auc": "PR-AUC",
    "ks": "KS",
    "recall": "recall at the approval rate",
    "brier": "Brier",
    "ece": "ECE",
}
"""Metric -> its name, in the order in which they are told."""


def score(
    model: str,
    log: str,
    /,
    *,
    how: Judging | None = None,
    out: Path | None = None,
    sets: Set = (),
    json: Json = None,
    reading: Reading | None = None,
) -> None:
    """Score the cases of a log, and hold the risks against what is known of them.

    The cases are cut into a validation window and a later test window. The validation window chooses the threshold
    that approves the wanted share; the test window shows what it then does. With outcomes in the table of users: how
    well risks tell bad from good, what mistakes cost, and error rates by group.

    Parameters
    ----------
    model
        Folder of a saved system (`ethogram fit SYSTEM LOG --out FOLDER`), or the key of a system that need not learn.
    log
        A log directory, a file or folder of events, or the name of a data set.
    out
        Also write every case of the test window with risk, decision and reasons to this file (.parquet or .csv).
    """
    say, how = Output(json), how or Judging()
    check_ending(out)
    built = judging(model, sets)
    found, events = windows(model, built, log, how, reading, say)
    told = judged(found, how)
    notes = [*remarks(model, built, events, how), *told.notes]
    say.line(found.words)
    shown(told, found.test, say)
    for note in [*notes, *told.warnings]:
        say.line(f"note: {note}")
    whole = decided(found.test, told.threshold)
    if out is not None:
        write(whole, out)
        say.line(f"{len(whole):,} cases written to {out}")
    if json:
        more = {"notes": notes, "warnings": told.warnings, "cases": whole.to_pylist()}
        say.result({"windows": found.words, **facts(told), **more})


def shown(told: Judgement, test: Cases, say: Output) -> None:
    """A judgement as tables."""
    say.line(
        f"threshold {told.threshold:.4g}: the largest risk that approves at most {told.wanted:.1%} of the validation"
    )
    head = ("window", "cases", "approved", "bad rate of those", "bad ones declined", "no outcome yet")
    say.table(head, [_window("validation", told.valid), _window("test", told.test)])
    if told.metrics:
        head = ("metric", "value", "95% interval", "without weights")
        rows = [
            (title, v.value, _ends(v), told.plain[name] if told.weights is not None else None)
            for name, title in NAMES.items()
            for v in (told.metrics[name],)
        ]
        say.table(head, rows)
        assert told.top is not None
        rows = [
            (f"top {r['share']:.0%}", _percent(r["recall"]), _percent(r["precision"]), r["lift"])
            for r in told.top.to_pylist()
        ]
        say.table(("riskiest", "share of all bad", "bad among them", "lift"), rows)
        assert told.cheapest is not None
        least = told.cheapest
        say.line(
            f"cost per case: {told.chosen_cost:.4g} at this threshold; {least.cost:.4g} at the cheapest of this window "
            f"({least.threshold:.4g}); approve all {least.approve_all:.4g}, decline all {least.decline_all:.4g}"
        )
    rows = [(r["feature"], r["psi"], r["chance"], r["band"], r["most"]) for r in told.drift.to_pylist()]
    say.table(("drift since validation", "PSI", "chance alone", "band", "moved most"), rows)
    if told.groups is not None:
        head = ("group", "cases", "approved", "false alarms", "missed", "mean risk", "bad rate")
        rates = ("approval", "fpr", "fnr", "risk", "bad_rate")
        say.table(head, [(r["group"], r["cases"], *(_percent(r[n]) for n in rates)) for r in told.groups.to_pylist()])
    first = decided(test.take(np.argsort(-test.risk, kind="stable")[:SHOWN]), told.threshold)
    there = [c for c in ("user", "session", "risk", "decision", "reason") if c in first.column_names]
    say.table(there, [[str(r[c]) if c in ("user", "session") else r[c] for c in there] for r in first.to_pylist()])
    if len(test) > SHOWN:
        say.line(f"... and {len(test) - SHOWN:,} more (--out FILE); `ethogram risk explain` tells why, one by one")


def decided(cases: Cases, threshold: float) -> pa.Table:
    """The system's table with `decision`, and `outcome` where one is known."""
    table = cases.table.append_column(
        "decision", pa.array(np.where(cases.risk <= threshold, "approve", "decline").tolist())
    )
    if cases.outcome is not None:
        table = table.append_column("outcome", pa.array(cases.label, from_pandas=True))
    return table


def facts(told: Judgement) -> dict[str, Any]:
    """A judgement as plain data."""
    made = {"threshold": told.threshold, "wanted": told.wanted}
    made |= {name: _approval(getattr(told, name)) for name in ("valid", "test")}
    made |= {"metrics": {n: v._asdict() for n, v in told.metrics.items()}, "unweighted": told.plain}
    if told.weights is not None:
        made["censoring"] = {n: getattr(told.weights, n) for n in ("known", "unknown", "effective")}
    if told.cheapest is not None:
        made["cost"] = {"at_threshold": told.chosen_cost, **told.cheapest._asdict()}
    for name in ("top", "drift", "groups"):
        if (table := getattr(told, name)) is not None:
            made[name] = table.to_pylist()
    return made


def _approval(one: Approval) -> dict[str, Any]:
    return {n: v._asdict() if hasattr(v, "_asdict") else v for n, v in one._asdict().items()}


def _window(name: str, one: Approval) -> tuple[Any, ...]:
    return (name, one.cases, *map(_share, (one.rate, one.bad_rate, one.recall)), one.unknown)


def _share(value: Any) -> str:
    ends = f" ({value.low:.1%} to {value.high:.1%})" if value.low == value.low else ""
    return _percent(value.value) + ends


def _percent(value: float) -> str:
    return f"{value:.1%}" if value == value else "-"


def _ends(value: Any) -> str:
    return f"{value.low:.4g} to {value.high:.4g}" if value.low == value.low else "-"
