"""How a real forum goes, as options of the process: how unequal its members are, how often and how deep it replies.

    zipf     slope of log activity on log rank (`community.zipf_exponent`)
    first    share of posts with a reply                        P(a reply to the post itself) = first
    deeper   the d whose threads are as long, on average, as the forum's

Heat is left out: it is about nothing but attacks, which a log of acts alone does not tell.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError, RolesError
from ethogram.simulate.social_simulacra.community import zipf_exponent
from ethogram.simulate.social_simulacra.threads import LONGEST, OFTENEST
from ethogram.verbs import Log

SIMULATED = 4_000
"""Threads of each trial."""


def calibrated(log: Log, *, longest: int = LONGEST, seed: int = 0) -> dict[str, float]:
    """Options of `SocialSimulacra` (`zipf`, `first`, `deeper`) from a forum.

    Parameters
    ----------
    log : its items are posts and replies, with `parent` (null for a post) and `author`, as `Prototype.log` and
        `ethogram.world.social` write them. longest : nodes at which a thread is cut.

    Raises
    ------
    RolesError
        The items have no `parent` or no `author`. OptionError: no posts, or too few authors.
    """
    items = log.items
    if items is None or not {"item", "parent", "author"} <= set(items.column_names):
        raise RolesError("calibrated: the log needs a table of items with `item`, `parent` and `author`.")
    n = len(items)
    where = pc.index_in(items["parent"].combine_chunks(), value_set=items["item"].combine_chunks(), skip_nulls=True)
    parent = pc.fill_null(where, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    posts = np.flatnonzero(items["parent"].is_null().to_numpy(zero_copy_only=False))
    if not len(posts):
        raise OptionError("calibrated: no item is a post (with no parent).")
    root = np.where(parent < 0, np.arange(n), parent)
    while (root[root] != root).any():
        root = root[root]
    size = np.minimum(np.bincount(root, minlength=n)[posts], longest)
    counts = pc.value_counts(items["author"].cast(pa.string())).field("counts").to_numpy(zero_copy_only=False)
    first = float(np.clip((size > 1).mean(), 0.01, OFTENEST))
    low, high = 0.3, 1.0
    for _ in range(12):  # lengths grow with d: halving finds it
        middle = (low + high) / 2
        low, high = (middle, high) if lengths(first, middle, longest, seed).mean() < size.mean() else (low, middle)
    return {"zipf": zipf_exponent(counts), "first": first, "deeper": (low + high) / 2}


def lengths(first: float, deeper: float, longest: int, seed: int) -> np.ndarray:
    """Nodes of threads without heat, int64[SIMULATED]; the same numbers are drawn for every `deeper`."""
    rng = np.random.default_rng(seed)
    depth = np.zeros((SIMULATED, longest), np.int64)
    size = np.ones(SIMULATED, np.int64)
    going = np.ones(SIMULATED, bool)
    for step in range(1, longest):
        u = rng.random((3, SIMULATED))
        parent = np.where(u[0] < 0.6, step - 1, (u[1] * step).astype(np.int64))
        at = depth[np.arange(SIMULATED), parent]
        going &= u[2] < min(OFTENEST, first) * deeper**at
        depth[going, step] = at[going] + 1
        size += going
    return size
