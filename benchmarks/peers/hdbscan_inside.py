"""Runs in hdbscan's interpreter: a small clustering so that everything is compiled, then the one that counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.inside import Clock, answer, peak, versions


def run(question: dict[str, Any]) -> dict[str, Any]:
    """See `benchmarks.peers.hdbscan.ask` for question and answer."""
    import numpy as np

    folder = Path(question["folder"])
    x = np.load(folder / "points.npy")
    settings = {"min_cluster_size": question["least"], "min_samples": question["samples"]}
    if question["library"] == "hdbscan":
        from hdbscan import HDBSCAN

        settings |= {"core_dist_n_jobs": 1, "approx_min_span_tree": not question["exact"]}
    else:
        from fast_hdbscan import HDBSCAN
    HDBSCAN(**settings).fit(x[:2_000])
    with peak() as highest:
        with Clock() as clock:
            labels = HDBSCAN(**settings).fit(x).labels_
        memory = highest()
    np.save(folder / "labels.npy", labels.astype(np.int32))
    named = ("hdbscan", "fast-hdbscan", "pynndescent", "scikit-learn", "numpy", "numba")
    return {**clock.read(), "peak_mb": memory, "versions": versions(named)}


if __name__ == "__main__":
    answer(run)
