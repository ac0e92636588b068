"""What is claimed of `generative_agents`, and how it is measured.

The seeds begin at 40: those below 20, and 101 and 102, were looked at while the streams of records and the rules of the
townsfolk were written. The townsfolk answer by rule from their prompts: steps between ablations say that memory, plans
and reflections reach the prompt and are needed there, not that a language model would use them so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ethogram.claims import Estimate, Law, Laws, claim
from ethogram.claims.simulate import towns
from ethogram.claims.simulate.streams import SCORERS, recalls

FIRST, SEEDS, EXAMS, STREAMS = 40, 2, 5, 20


@claim("generative_agents", "Recency, importance and relevance together find what none of them finds alone")
def retrieval(bench: Any) -> Laws:
    singles = [n for n in SCORERS if n != "combined"]
    return Laws(
        *(Law(f"recall@10, combined − {n} (paired by question)", _over(n, 1.0), ">=", 0.0) for n in singles),
        Law("recall@10, combined − 1.15 × the best single one", _over(None, 1.15), ">=", 0.0),
    )


@claim("generative_agents", "News spreads by memory and talk, truly; plans bring people together")
def diffusion(bench: Any) -> Laws:
    return Laws(
        Law("people of 25 who know of the party after two days, fewest of the seeds", _fewest("party"), ">=", 8),
        Law("who know of the candidacy", _fewest("candidacy"), ">=", 8),
        Law("who say they know, and no chain of lines leads to the source", _all("full", "made_up", max), "<=", 0),
        Law("who know of the party without memory", _all("no memory", "party", max), "<=", 1),
        Law("who came to the party, fewest of the seeds", _all("full", "attended", min), ">=", 5),
        Law("came without planning over came with planning (both seeds)", _unplanned, "<=", 0.5),
        Law("density of acquaintance after over before", _denser, ">", 1.0),
    )


@claim("generative_agents", "Asked about themselves, people need memory, plans and reflections, each of them")
def interviews(bench: Any) -> Laws:
    return Laws(
        *(Law(f"right answers, {a} − {b} (least of the seeds)", _step(a, b), ">", 0.0)
          for a, b in zip(towns.LADDER, towns.LADDER[1:], strict=False)),
    )  # fmt: skip


@claim("generative_agents", "Many calls at once, the same course; who sleeps asks nothing; a replay asks nobody")
def speed(bench: Any) -> Laws:
    return Laws(
        Law("time one by one over 16 at once, midnight to rising, 0.2 s a call", _raced("ratio"), ">=", 8.0),
        Law("share of the two that end in the same", _raced("same"), ">=", 1.0),
        Law("calls while all sleep", _replayed("asleep"), "<=", 0),
        Law("CPU seconds of a replayed day", _replayed("seconds"), "<=", 60),
        Law("calls that a strict replay sends", _replayed("sent"), "<=", 0),
        Law("share of replays that end in the same", _replayed("same"), ">=", 1.0),
        Law("calls of the model per person and day", _replayed("calls"), "<=", 1_000),
        Law("tokens per person and day (words of the rule-based model)", _replayed("tokens"), "<=", 500_000),
    )


@claim("generative_agents", "A run that is broken off goes on to the same end")
def recovery(bench: Any) -> Laws:
    return Laws(Law("share of runs killed at a random step that end in the same", towns.resumed, ">=", 1.0))


def _seeds(bench: Any, many: int) -> range:
    return range(FIRST, FIRST + (1 if bench.quick else many))


def _recalls(bench: Any) -> dict[str, np.ndarray]:
    from functools import partial

    from ethogram.lm.embed import embed
    from ethogram.text.dense import hashed
    from ethogram.text.table import TextTable

    def made() -> dict[str, np.ndarray]:
        texts = TextTable(hashed if bench.quick else partial(embed, keep=False))
        return recalls(texts, _seeds(bench, STREAMS), 200 if bench.quick else 1_000)

    return dict(towns.once(bench, "recalls", made))


def _over(single: str | None, times: float) -> Any:
    def measured(bench: Any) -> Estimate:
        from ethogram.evaluate.bootstrap import mean_difference

        found = _recalls(bench)
        other = single or max((n for n in found if n != "combined"), key=lambda n: found[n].mean())
        gap = mean_difference(found["combined"], times * found[other])
        return Estimate(gap.value, gap.low, gap.high, units=len(found["combined"]), unit="questions")

    return measured


def _spreads(bench: Any, arm: str) -> list[towns.Spread]:
    return [towns.spread(bench, arm, seed) for seed in _seeds(bench, SEEDS)]


def _all(arm: str, what: str, of: Any) -> Any:
    return lambda bench: float(of(getattr(s, what) for s in _spreads(bench, arm)))


def _fewest(what: str) -> Any:
    return _all("full", what, min)


def _unplanned(bench: Any) -> float:
    planned, without = (sum(s.attended for s in _spreads(bench, a)) for a in ("full", "no planning"))
    return without / planned if planned else float("inf")


def _denser(bench: Any) -> float:
    return min(s.after / max(s.before, 1e-9) for s in _spreads(bench, "full"))


def _exams(bench: Any, arm: str) -> list[float]:
    return [towns.examined(bench, arm, seed) for seed in _seeds(bench, EXAMS)]


def _step(a: str, b: str) -> Any:
    return lambda bench: min(x - y for x, y in zip(_exams(bench, a), _exams(bench, b), strict=True))


def _raced(what: str) -> Any:
    return lambda bench: towns.raced(bench)[what]


def _replayed(what: str) -> Any:
    return lambda bench: towns.replayed(bench)[what]
