"""Can people (or programs) tell generated threads from real ones? Pairs, a forced choice, the error rate of each arm.

sheet = trial_sheet(pairs)                     # what a rater sees: `pair`, `left`, `right`; to CSV and back
rates = error_rates(pairs, answers)            # answers: `rater`, `pair`, `choice` ("left" or "right" is real)

error = share of wrong choices; 1/2 is chance. Interval: raters are drawn with replacement, or pairs where there is
only one rater.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.evaluate import bootstrap
from ethogram.lm.blocking import run as wait_for

SIDES = ("left", "right")
Rater = Callable[[str, str], str]
"""(left, right) -> which of them is real."""


@dataclass(frozen=True)
class Pair:
    """A real and a generated text, and where the real one stands. arm : which generator (or ablation) wrote it."""

    number: int
    arm: str
    left: str
    right: str
    real: str


def paired(real: Sequence[str], generated: Mapping[str, Sequence[str]], *, seed: int = 0) -> list[Pair]:
    """A pair for each generated text of each arm; real texts are drawn without repetition within an arm.

    Raises
    ------
    OptionError
        Fewer real texts than an arm has generated ones, or none.
    """
    rng = np.random.default_rng(seed)
    made: list[Pair] = []
    for arm, texts in generated.items():
        if not texts or len(real) < len(texts):
            raise OptionError(f"pairs: {len(real)} real texts for {len(texts)} of '{arm}'; as many are needed.")
        for text, r in zip(texts, rng.permutation(len(real))[: len(texts)].tolist(), strict=True):
            side = SIDES[int(rng.integers(2))]
            both = (real[r], text) if side == "left" else (text, real[r])
            made.append(Pair(len(made), arm, *both, side))
    # arms are mixed, so that nobody can learn an arm's manner in a row
    order = rng.permutation(len(made)).tolist()
    return [Pair(i, made[j].arm, made[j].left, made[j].right, made[j].real) for i, j in enumerate(order)]


def trial_sheet(pairs: Sequence[Pair]) -> pa.Table:
    """What raters see; neither the arm nor the answer is on it."""
    return pa.table(
        {"pair": [p.number for p in pairs], "left": [p.left for p in pairs], "right": [p.right for p in pairs]}
    )


def answered(pairs: Sequence[Pair], raters: Mapping[str, Rater]) -> pa.Table:
    """The answers of scripted raters: `rater`, `pair`, `choice`."""
    rows = [
        {"rater": name, "pair": p.number, "choice": rater(p.left, p.right)}
        for name, rater in raters.items()
        for p in pairs
    ]
    return pa.Table.from_pylist(rows)


def asked(pairs: Sequence[Pair], lm: Any, *, rater: str = "model") -> pa.Table:
    """The answers of a language model, by its probabilities, in both orders."""

    async def one(p: Pair) -> str:
        import asyncio

        prompts = [f"Of these two threads one is real, one is generated.\n\nleft:\n{a}\n\nright:\n{b}\n\nWhich is real?"
                   for a, b in ((p.left, p.right), (p.right, p.left))]  # fmt: skip
        told = await asyncio.gather(*(lm.choose(q, SIDES, purpose="social simulacra: tell apart") for q in prompts))
        left = told[0].probabilities[0] + told[1].probabilities[1]
        return "left" if left >= 1 else "right"

    async def every() -> list[str]:
        return [await one(p) for p in pairs]

    choices = wait_for(every())
    return pa.table({"rater": [rater] * len(pairs), "pair": [p.number for p in pairs], "choice": choices})


def error_rates(pairs: Sequence[Pair], answers: pa.Table, *, seed: int = 0) -> pa.Table:
    """Columns `arm`, `error`, `low`, `high` (95%), `raters`, `answers`, `missing` (choices not given).

    Raises
    ------
    OptionError
        A column lacks, a pair is unknown or answered twice by one rater, or a choice is neither left nor right.
    """
    if lacking := [c for c in ("rater", "pair", "choice") if c not in answers.column_names]:
        raise OptionError(f"answers: the column '{lacking[0]}' lacks; rater, pair and choice are needed.")
    by = {p.number: p for p in pairs}
    seen: set[tuple[Any, Any]] = set()
    rows: list[tuple[str, Any, int, float]] = []
    missing: dict[str, int] = {}
    for i, r in enumerate(answers.to_pylist()):
        if r["pair"] not in by:
            raise OptionError(f"answers, row {i}: there is no pair {r['pair']!r}.")
        if (r["rater"], r["pair"]) in seen:
            raise OptionError(f"answers, row {i}: rater {r['rater']!r} answers pair {r['pair']} twice.")
        seen.add((r["rater"], r["pair"]))
        pair = by[r["pair"]]
        if r["choice"] in (None, ""):
            missing[pair.arm] = missing.get(pair.arm, 0) + 1
            continue
        if r["choice"] not in SIDES:
            raise OptionError(f"answers, row {i}: '{r['choice']}' is neither left nor right.")
        rows.append((pair.arm, r["rater"], r["pair"], float(r["choice"] != pair.real)))
    made = []
    for arm in dict.fromkeys(p.arm for p in pairs):
        mine = [r for r in rows if r[0] == arm]
        if not mine:
            continue
        raters = sorted({str(r[1]) for r in mine})
        units = [str(r[1]) for r in mine] if len(raters) > 1 else [str(r[2]) for r in mine]
        found = bootstrap.mean(np.array([r[3] for r in mine]), units=units, seed=seed)
        made.append(
            {
                "arm": arm, "error": found.value, "low": found.low, "high": found.high, "raters": len(raters),
                "answers": len(mine), "missing": missing.get(arm, 0),
            }
        )  # fmt: skip
    if not made:
        raise OptionError("answers: nobody has answered any pair.")
    return pa.Table.from_pylist(made)
