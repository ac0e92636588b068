"""Runs in implicit's interpreter: fit a model and recommend to all users, some turns each, the fastest told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.inside import Clock, answer, peak, versions


def run(question: dict[str, Any]) -> dict[str, Any]:
    """See `benchmarks.peers.implicit.ask` for question and answer."""
    import numpy as np
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.cpu.bpr import BayesianPersonalizedRanking
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    kinds = {"als": AlternatingLeastSquares, "bpr": BayesianPersonalizedRanking, "cosine": CosineRecommender}
    folder = Path(question["folder"])
    with np.load(folder / "pairs.npz") as held:
        shape = len(held["offsets"]) - 1, question["width"]
        matrix = csr_matrix((held["counts"], held["items"], held["offsets"].astype(np.int32)), shape)
    seeded = {} if question["model"] == "cosine" else {"random_state": 0}
    asked, fits, answers = np.arange(shape[0]), [], []
    with peak() as highest:
        for _ in range(question["turns"]):
            model = kinds[question["model"]](num_threads=1, **seeded, **question["settings"])
            with Clock() as fit:
                model.fit(matrix, show_progress=False)
            with Clock() as recommend:
                model.recommend(asked, matrix, N=question["k"], filter_already_liked_items=question["filtered"])
            fits.append(fit.read())
            answers.append(recommend.read())
        memory = highest()
    if question["model"] == "cosine":
        rows = model.similarity.tocsr()
        learned = {"offsets": rows.indptr, "columns": rows.indices, "weights": rows.data}
    else:
        learned = {"users": np.asarray(model.user_factors), "items": np.asarray(model.item_factors)}
    np.savez(folder / "learned.npz", **learned)
    least = {"fit": min(fits, key=lambda r: r["cpu"]), "recommend": min(answers, key=lambda r: r["cpu"])}
    return {**least, "peak_mb": memory, "versions": versions(("implicit", "numpy", "scipy"))}


if __name__ == "__main__":
    answer(run)
