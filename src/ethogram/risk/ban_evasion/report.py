"""How evading accounts differ from others, and returning ones from strangers: every attribute, tested, corrected.

    evading / malicious     accounts whose person came back, and banned ones whose person is not known to have
    evading / benign        the same, and accounts that nobody banned
    pairs / random pairs    (parent, child), and (parent, the child of somebody else that was made nearest in time)
    success                 among children: the longer half of the lives before the ban, and the shorter

Means are compared by Welch's test (random pairs: paired), q is Holm's over all attributes of a comparison. On pairs an
attribute is a similarity, or the absolute difference of two accounts. Attributes stand under four axes: username,
pages, added content, psycholinguistics.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ethogram.evaluate.contrasts import contrasts
from ethogram.evaluate.matching import match
from ethogram.risk.ban_evasion.pairs import AXIS, SEEN, SIMILARITIES, pair_columns
from ethogram.risk.ban_evasion.profiles import ATTRIBUTES, AXES
from ethogram.risk.ban_evasion.tasks import Tasks

LEVEL = 0.01
FAR = 60 * 86_400.0
"""How far in time the child of somebody else may have been made."""


def characterise(tasks: Tasks, level: float = LEVEL) -> pa.Table:
    """A row per comparison and attribute: `comparison`, `axis`, and the columns of `evaluate.contrasts.contrasts`.

    Comparisons for which the log has fewer than three rows of a kind are left out.
    """
    a, n = tasks.accounts, tasks.n
    made = []
    evading = tasks.old(n[a.kind == 0]).numbers
    for kind, name in ((1, "evading / malicious"), (2, "evading / benign")):
        other = tasks.reported(n[a.kind == kind]).numbers
        if min(len(evading), len(other)) >= 3:
            made.append(_told(name, contrasts(evading, other, ATTRIBUTES, level=level), AXES))
    true, random = pairs(tasks)
    if len(true) >= 3:
        names = (*SIMILARITIES, *(f"difference: {s}" for s in SEEN))
        axes = AXIS | {f"difference: {s}": AXES[s] for s in SEEN}
        found = contrasts(true, random, names, paired=True, level=level)
        made.append(_told("pairs / random pairs", found, axes))
    children = n[(a.parent >= 0) & np.isfinite(a.blocked)]
    if len(children) >= 6:
        life = a.blocked[children] - a.created[children]
        kept = [i for i, name in enumerate(ATTRIBUTES) if name != "age"]
        own = tasks.reported(children).numbers[:, kept]
        like = _pairs(tasks, a.parent[children], children)[:, : len(SIMILARITIES)]
        columns, names = np.column_stack([own, like]), (*(ATTRIBUTES[i] for i in kept), *SIMILARITIES)
        long = life > np.median(life)
        found = contrasts(columns[long], columns[~long], names, level=level)
        made.append(_told("success: long / short lives", found, AXES | AXIS))
    return pa.concat_tables(made) if made else pa.table({"comparison": pa.array([], pa.string())})


def pairs(tasks: Tasks) -> tuple[np.ndarray, np.ndarray]:
    """Columns of (parent, child) and of (the same parent, somebody else's child), row by row; float64[m, ...] each."""
    a = tasks.accounts
    children = tasks.n[(a.parent >= 0)]
    made = match_others(a.created[children], a.master[children])
    kept = made >= 0
    parent, child, other = a.parent[children][kept], children[kept], children[made[kept]]
    width = len(SIMILARITIES) + len(SEEN)
    return tuple(_pairs(tasks, parent, c)[:, :width] for c in (child, other))  # type: ignore[return-value]


def match_others(created: np.ndarray, master: np.ndarray) -> np.ndarray:
    """For each child the row of the one made nearest in time among other people's, each at most once; -1 for none.

    Children are split into two halves at random that look for partners in each other, so that nobody is their own.
    """
    half = np.random.default_rng(0).random(len(created)) < 0.5
    found = np.full(len(created), -1, np.int64)
    for side in (half, ~half):
        rows, pool = np.flatnonzero(side), np.flatnonzero(~side)
        if len(rows) and len(pool):
            made = match(created[rows], created[pool], FAR)
            one, other = rows[made.cases], pool[made.controls]
            apart = master[one] != master[other]
            found[one[apart]] = other[apart]
    return found


def _pairs(tasks: Tasks, parent: np.ndarray, child: np.ndarray) -> np.ndarray:
    old, i = np.unique(parent, return_inverse=True)
    new, j = np.unique(child, return_inverse=True)
    return pair_columns(tasks.old(old), tasks.reported(new), i, j, tasks.idf)


def _told(name: str, table: pa.Table, axes: dict[str, str]) -> pa.Table:
    axis = [axes[a] for a in table["attribute"].to_pylist()]
    return table.add_column(0, "comparison", [[name] * len(table)]).add_column(1, "axis", [axis])
