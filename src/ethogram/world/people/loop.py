"""The loop closed: a real log -> a fitted population -> recommenders tried on it -> their effects -> trained again.

1. The last `held` days of the log are put away. Households are fitted on the rest, and (`check`) compared with
   resampling on the days put away.
2. Each recommender is fitted on the same rest, and shows k items on every simulated trip for `days` days. One arm is
   shown nothing. All arms and seeds have the same luck, so differences are paired.
3. Each recommender is trained again on the rest and what its own people did, and asked for the next trip of the real
   households behind those days; beside it the same trained on the rest alone, and on the rest and what the real
   households did in those days. If the simulated days are worth something, they bring it near the real ones.

What is assumed, not learned: how strongly what is shown acts (`response`), and which share of it displaces other
purchases (`displacement`); `sensitivity` repeats the trial under other values. Nobody leaves because of a bad slate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap as boot
from ethogram.evaluate.protocol import evaluate
from ethogram.log import Log
from ethogram.world.people.advising import Advice
from ethogram.world.people.households import Households
from ethogram.world.people.outcomes import Sums, effects, outcomes
from ethogram.world.people.purchases import DAY, Purchases
from ethogram.world.people.shoppers import shopping, simulated
from ethogram.world.people.validating import Validation, validate

NOTHING = "nothing shown"
METRIC = "ndcg@10"
Fit = Callable[[Log], Any]
"""A log -> a system fitted on it."""


@dataclass
class Loop:
    """What was found.

    Attributes
    ----------
    effects : see `outcomes.effects`. retrained : a row per recommender and training log, with `metric` on the real days
        behind. sensitivity : effects on purchases and repeat share under other assumptions. check : of the simulator.
    """

    effects: list[dict[str, Any]]
    retrained: list[dict[str, Any]]
    sensitivity: list[dict[str, Any]]
    check: Validation | None
    facts: dict[str, Any] = field(default_factory=dict)


def close_loop(
    log: Log, recommenders: Mapping[str, Fit], *, days: int = 30, held: int = 56, levels: Sequence[str] = (),
    kind: str | None = None, k: int = 10, response: float = 2.0, displacement: float = 0.5, seeds: int = 3,
    sensitivity: Sequence[tuple[float, float]] = (), check: bool = True, copies: int = 10, neighbours: int = 50,
    watch: Callable[[dict[str, Any]], None] | None = None,
) -> Loop:  # fmt: skip
    """See the module.

    Parameters
    ----------
    recommenders : name -> function that fits it on a log. held : days put away, a number of whole weeks above `days`.
    levels, kind, neighbours : see `Households.fit`. seeds : number of paired runs. copies : runs of the check.
    sensitivity : further (response, displacement), one run each.

    Raises
    ------
    OptionError
        No recommender, or days that do not fit into the log.
    """
    if not recommenders or NOTHING in recommenders:
        raise OptionError(f"the loop needs one recommender or more, none called '{NOTHING}'.")
    if not 0 < days < held or held % 7 or seeds < 1:
        raise OptionError(
            f"days = {days}, held = {held}, seeds = {seeds}: whole weeks are held out, more than are simulated."
        )
    tell = watch or (lambda facts: None)
    tell({"arm": "fit of the households"})
    told = Purchases.of(log, levels, kind)
    told = told.between(0, told.days // 7 * 7)
    cut = told.days - held
    if cut < 112:
        raise OptionError(
            f"the log has {told.days} whole days; with {held} held out fewer than 112 are left to fit on."
        )
    people = Households.fit(told.between(0, cut), neighbours=neighbours)
    moment = told.start + cut * DAY
    past = log.until(moment)
    found = validate(told, days=held, copies=copies, fitted=people) if check else None
    advice: dict[str, Advice | None] = {NOTHING: None}
    for name, fit in recommenders.items():
        tell({"arm": f"fit of {name}"})
        advice[name] = Advice(fit(past), people.purchases, k)
    arms: dict[str, list[Sums]] = {name: [] for name in advice}
    facts: dict[str, list[dict[str, float]]] = {name: [] for name in advice}
    logs: dict[str, Log] = {}
    for seed in range(seeds):
        for name, adviser in advice.items():
            tell({"arm": name, "seed": seed})
            world = shopping(
                people, adviser, response=response, displacement=displacement, seed=seed, run=f"{name}, seed {seed}"
            ).run(days)
            sums, more = outcomes(world, people)
            arms[name].append(sums)
            facts[name].append(more)
            if not seed:
                logs[name] = simulated(world, people)
    swept = _swept(people, advice, sensitivity, days, tell)
    retrained = _retrained(log, past, logs, recommenders, moment, moment + days * DAY, tell)
    averages = {name: {key: float(np.mean([f[key] for f in many])) for key in many[0]} for name, many in facts.items()}
    return Loop(effects(arms, NOTHING), retrained, swept, found, {
        "households": len(people), "items": told.catalogue, "fitted on days": cut, "simulated days": days,
        "seeds": seeds, "k": k, "response": response, "displacement": displacement, "arms": averages,
    })  # fmt: skip


def _swept(
    people: Households, advice: Mapping[str, Advice | None], sensitivity: Sequence[tuple[float, float]], days: int,
    tell: Callable[[dict[str, Any]], None],
) -> list[dict[str, Any]]:  # fmt: skip
    rows: list[dict[str, Any]] = []
    if not sensitivity:
        return rows
    base = outcomes(shopping(people).run(days), people)[0]
    for response, displacement in sensitivity:
        arms: dict[str, list[Sums]] = {NOTHING: [base]}
        for name, adviser in advice.items():
            if adviser is not None:
                tell({"arm": f"{name}, response {response:g}, displacement {displacement:g}"})
                world = shopping(people, adviser, response=response, displacement=displacement).run(days)
                arms[name] = [outcomes(world, people)[0]]
        for row in effects(arms, NOTHING):
            if row["arm"] != NOTHING:
                rows.append({"response": response, "displacement": displacement, **row})
    return rows


def _retrained(
    log: Log, past: Log, logs: Mapping[str, Log], recommenders: Mapping[str, Fit], cut: int, test: int,
    tell: Callable[[dict[str, Any]], None],
) -> list[dict[str, Any]]:  # fmt: skip
    """Each recommender trained on three logs, asked for the first trip of the real households behind `test`."""
    split = log.split("temporal", valid_from=cut, test_from=test)
    rows = []
    for name, fit in recommenders.items():
        logs_of = {"real past": past, "and simulated days": joined(past, logs[name]), "and real days": log.until(test)}
        judged = {}
        for which, train in logs_of.items():
            tell({"arm": f"{name} trained on the real past{'' if train is past else ' ' + which}"})
            judged[which] = evaluate(fit(train), split, which="first", exclude_seen=False, ks=(10,))
        first = next(iter(judged.values()))
        for which, one in judged.items():
            low, high = one.intervals[METRIC]
            row = {"recommender": name, "trained on": which, "metric": METRIC, "value": one.metrics[METRIC],
                   "low": low, "high": high}  # fmt: skip
            if one is not first:
                draws = one.draws[METRIC].to_numpy() - first.draws[METRIC].to_numpy()
                gap = boot.difference(one.metrics[METRIC] - first.metrics[METRIC], draws)
                row |= {"difference": gap.value, "difference_low": gap.low, "difference_high": gap.high, "p": gap.p}
            rows.append(row)
    return rows


def joined(past: Log, more: Log) -> Log:
    """What was done in two logs as one: who, what, when, how much; with the side tables of the first."""
    columns = [c for c in ("user", "item", "time", "value") if c in past.events.schema and c in more.events.schema]
    real = past.table()
    if "label" in real.column_names and real["label"].null_count:
        real = real.filter(pc.is_null(real["label"]))  # what was shown is not what was taken
    real, made = real.select(columns), more.table().select(columns)
    whole = pa.concat_tables([real, made.cast(real.schema)])
    given: dict[str, Any] = {**{c: c for c in columns}, **past.tables}
    return Log.open(whole, **given)
