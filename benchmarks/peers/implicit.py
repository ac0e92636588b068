"""implicit (benfred/implicit, MIT): its factorisations and neighbours on a matrix of counts, one thread.

It is handed the matrix that our systems learn from, and leaves its vectors (or the lists that it recommends) beside
it, so that both sides are judged by the same evaluation.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import Peer
from ethogram.numeric.interactions import Interactions

PEER = Peer("implicit", "benchmarks.peers.implicit_inside", {"NUMBA_NUM_THREADS": "1"})


def ask(
    model: str, pairs: Interactions, settings: Mapping[str, Any], *, k: int, filtered: bool, turns: int = 3
) -> dict[str, Any]:  # fmt: skip
    """Train one of its models and ask it for every user's best items.

    Parameters
    ----------
    model : als, bpr or cosine. pairs : counts of (user, item), with whatever confidence the model shall read.
    settings : of the model's class. filtered : leave out what a user has met. turns : of each, the fastest counts.

    Returns
    -------
    dict
        `fit` and `recommend` (CPU and wall seconds), `peak_mb` above imports, `versions`; `users` and `items` float32
        vectors where the model has them (for neighbours, `offsets`, `columns` and `weights` of the rows instead).

    Raises
    ------
    PeerError
        implicit is not installed or fails.
    """
    with tempfile.TemporaryDirectory(prefix="ethogram-implicit-") as made:
        folder = Path(made)
        np.savez(folder / "pairs.npz", offsets=pairs.offsets, items=pairs.items, counts=pairs.counts)
        question = {"model": model, "settings": dict(settings), "k": k, "filtered": filtered, "turns": turns}
        answer = PEER.ask({**question, "folder": str(folder), "width": pairs.width})
        with np.load(folder / "learned.npz") as held:
            return answer | {name: held[name] for name in held.files}
