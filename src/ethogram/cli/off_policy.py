"""``ethogram off-policy``: what another policy would have earned, from a log of decisions with propensities."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ethogram.cli.opening import LogName, Reading, describes, open_log
from ethogram.cli.output import Json, Output

WORDS = {
    "ips": "inverse propensity", "snips": "self-normalised", "dm": "model alone", "dr": "doubly robust",
    "ips clipped": "inverse propensity, clipped", "snips clipped": "self-normalised, clipped",
    "dr clipped": "doubly robust, clipped",
}  # fmt: skip


def off_policy(
    *,
    log: LogName,
    target: Annotated[str, Parameter(allow_leading_hyphen=False)],
    reward: str | None = None,
    clip: float = 10.0,
    folds: int = 3,
    unseen: float = 0.05,
    resamples: int = 1000,
    seed: int = 0,
    json: Json = None,
    reading: Reading | None = None,
) -> None:
    """Estimate what a policy would have earned that did not write the log.

    Parameters
    ----------
    log
        A log of decisions: the item that was chosen, the probability with which it was (propensity), what came of it.
    target
        The other policy: uniform (every item alike), or a log whose choices it makes as often, by position.
    reward
        Column of the reward; the label, else the value, if not given.
    clip
        Largest weight of a row in the clipped estimators.
    folds
        Parts of the decisions, each of which is predicted by a model of the others, for the doubly robust estimate.
    unseen
        Share of the target that the log may never show.
    resamples
        Resamples of the decisions, for intervals.
    seed
        Of resamples and folds.
    """
    from ethogram.evaluate.logged import Decisions

    out = Output(json)
    events = open_log(log, reading, out)
    out.line(f"log: {describes(events)}")
    rows = Decisions.of(events, reward)
    if target == "uniform":
        policy = rows.uniform()
    else:
        policy = rows.frequencies(Decisions.of(open_log(target, reading, out), reward))
    found = rows.evaluate(policy, clip=clip, folds=folds, unseen=unseen, resamples=resamples, seed=seed)
    own, overlap = found.logged, found.overlap
    table = [["logged", "the log's own policy", own.value, own.low, own.high, None, None]]
    for name, value in found.values.items():
        gain = found.gains[name]
        table.append([name, WORDS[name], value.value, value.low, value.high, gain.value, gain.p])
    out.table(
        ["estimator", "", "reward", "low", "high", "gain", "p"], table,
        title=f"reward of a row under '{target}'; 95% intervals and gains over the log, paired by decision",
    )  # fmt: skip
    out.line(
        f"overlap: {overlap.rows:,} rows of {overlap.decisions:,} decisions, worth {overlap.effective:,.0f} after "
        f"weighing; mean weight {overlap.mean_weight.value:.3g}, largest {overlap.largest:.3g}, "
        f"{overlap.above:.1%} clipped"
    )
    for warning in overlap.warnings():
        out.line(f"warning: {warning}")
    out.result(
        {
            "target": target,
            "logged": own._asdict(),
            "values": {name: value._asdict() for name, value in found.values.items()},
            "gains": {name: gain._asdict() for name, gain in found.gains.items()},
            "overlap": {**vars(overlap), "mean_weight": overlap.mean_weight._asdict()},
            "warnings": overlap.warnings(),
        }
    )
