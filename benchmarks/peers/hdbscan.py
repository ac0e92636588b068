"""hdbscan and fast-hdbscan (BSD): clusters of the points that they are handed, one thread.

Neither counts the point itself among `min_samples`, so that they are asked with one less than ours and scikit-learn.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import Peer

PEER = Peer("hdbscan", "benchmarks.peers.hdbscan_inside", {"NUMBA_NUM_THREADS": "1"})


def ask(
    library: str, x: np.ndarray, *, least: int, samples: int, exact: bool = False, seconds: float | None = None
) -> dict[str, Any]:
    """Cluster points once, warm.

    Parameters
    ----------
    library : hdbscan or fast_hdbscan. x : float[n, d]. least : of a cluster. samples : the point itself counted.
    exact : hdbscan's ``approx_min_span_tree=False``. seconds : on the clock, after which it is given up.

    Returns
    -------
    dict
        `cpu`, `wall`, `peak_mb` above imports, `labels` int32[n], `versions`.

    Raises
    ------
    PeerError
        It is not installed, fails, or takes longer.
    """
    with tempfile.TemporaryDirectory(prefix="ethogram-hdbscan-") as made:
        np.save(Path(made) / "points.npy", x)
        question = {"library": library, "least": least, "samples": samples - 1, "exact": exact, "folder": made}
        answer = PEER.ask(question, seconds=seconds)
        return answer | {"labels": np.load(Path(made) / "labels.npy")}
