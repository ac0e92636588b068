"""Why: the merchants that the answer looked at most, and what changed in their payments, in words."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ethogram.log.groups import keyed
from ethogram.numeric.deciding import listed, money
from ethogram.risk.lbsf.encoding import DAY, Encoded

RISES = 1.25
"""Ratio of later to earlier payments from which a change is told."""


def reasons(
    encoded: Encoded, share: np.ndarray, moved: np.ndarray | None, k: int, category: str, fold: str
) -> tuple[pa.Array, pa.Array]:
    """(a sentence for each case, its k groups of most share with what changed there).

    Parameters
    ----------
    share : of each group in its case. moved : by how much the logit is higher with the group than without it; None
        where the share is attention, which has no sign.
    """
    whole, cases = encoded.whole, encoded.folded.cases
    best = np.lexsort((np.arange(len(share)), -share, whole.owner))
    place = np.arange(len(share)) - cases[whole.owner[best]]
    picked = best[place < k]
    counts = np.bincount(whole.owner[picked], minlength=len(encoded))
    what = _names(encoded, picked, category, fold)
    value = _changes(encoded, picked)
    if moved is None:
        how = [f"Looks most at {w} ({s:.0%} of the attention)" for w, s in zip(what, share[picked], strict=True)]
    else:
        value = [f"{'raises' if m > 0 else 'lowers'} the risk: {v}" for v, m in zip(value, moved[picked], strict=True)]
        how = [f"Most depends on {w}, which" for w in what]
    first = np.cumsum(counts) - counts
    said = [
        f"{how[at]}{':' if moved is None else ''} {value[at]}."
        if n
        else "There is no payment before the decision; the answer rests on the profile alone."
        for at, n in zip(first.tolist(), counts.tolist(), strict=True)
    ]
    lists = listed(what, value, share[picked].astype(np.float64), np.append(first, len(picked)))
    return pa.array(said, pa.string()), lists


def _names(encoded: Encoded, picked: np.ndarray, category: str, fold: str) -> list[str]:
    log, whole = encoded.cases.log, encoded.whole
    newest = whole.rows[whole.groups[picked + 1] - 1]
    kinds = [None] * len(picked)
    if category in encoded.codes:
        code, ids = keyed(log, category)
        kinds = ids.decode(code[newest]).to_pylist()
    pooled, key = whole.pooled[picked], whole.key[picked]
    if fold in ("all", "time", "random"):
        told = {"all": "the payments", "random": "a group made by chance"}
        return [
            ("other payments" if p else told.get(fold, f"the payments of stretch {n} before the decision"))
            for p, n in zip(pooled.tolist(), key.tolist(), strict=True)
        ]
    code, ids = keyed(log, fold)
    names = ids.decode(np.where(pooled, -1, key)).to_pylist()
    made = []
    for name, kind, other in zip(names, kinds, pooled.tolist(), strict=True):
        if other:
            made.append(f"the other merchants of '{kind}'" if kind is not None else "the other merchants")
        else:
            known = "payments without a name" if name is None else str(name)
            made.append(known if kind is None or fold == category else f"{known} ({kind})")
    return made


def _changes(encoded: Encoded, picked: np.ndarray) -> list[str]:
    """What differs most between the earlier and the later half of each group's payments."""
    whole, sequences = encoded.whole, encoded.cases.sequences
    time = np.asarray(sequences.columns["time"])
    amount = np.asarray(sequences.columns["value"], np.float64) if "value" in sequences.columns else None
    made = []
    for g in picked.tolist():
        rows = whole.rows[whole.groups[g] : whole.groups[g + 1]]
        made.append(_change(time[rows], None if amount is None else np.nan_to_num(np.abs(amount[rows]))))
    return made


def _change(time: np.ndarray, amount: np.ndarray | None) -> str:
    n = len(time)
    if n < 4:
        total = "" if amount is None else f" of {money(amount.mean())} on average"
        return f"{n} payment{'s' if n > 1 else ''}{total}, too few to tell a change"
    half = n // 2
    facts: list[tuple[float, str]] = []
    if amount is not None and amount[:half].mean() > 0 and amount[half:].mean() > 0:
        before, after = amount[:half].mean(), amount[half:].mean()
        word = "rose" if after > before else "fell"
        facts.append((abs(np.log(after / before)), f"amounts {word} from {money(before)} to {money(after)} on average"))
    gaps = np.diff(time) / DAY
    before, after = np.median(gaps[:half]), np.median(gaps[half - 1 :])
    if before > 0 and after > 0:
        word = "longer" if after > before else "shorter"
        facts.append(
            (
                abs(np.log(after / before)),
                f"the time between payments grew {word}, from {before:.1f} to {after:.1f} days",
            )
        )
    hour = (time % DAY) / DAY * 24
    nights = [float(((h < 5) | (h >= 23)).mean()) for h in (hour[:half], hour[half:])]
    if abs(nights[1] - nights[0]) >= 0.2:
        facts.append(
            (1.5 * abs(nights[1] - nights[0]), f"payments at night went from {nights[0]:.0%} to {nights[1]:.0%}")
        )
    told = max(facts, default=(0.0, ""))
    if told[0] < np.log(RISES):
        return f"{n} payments, much the same throughout"
    return f"{told[1]}, over {n} payments"
