"""Exact top-k by inner product, seen items masked, one thread: against faiss IndexFlatIP and the machine's sgemm rate.

`setup()` makes the problem, `run` holds the contestants, `check` compares their answers, `limit` gives the share of
the machine's limit: the rate at which the same BLAS multiplies two square matrices of 2048 rows in the same run.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import Case, Target

ITEMS, WIDTH, K, QUERIES, SEEN = 100_000, 64, 20, 1024, 100
TITLE = f"exact top-{K} of {ITEMS:,} items, d={WIDTH}, {QUERIES} queries, {SEEN} seen items each, one thread"


@dataclass(frozen=True)
class Problem:
    """items float32[V, d], queries float32[n, d]; query i has seen ``seen[offsets[i]:offsets[i + 1]]``."""

    items: np.ndarray
    queries: np.ndarray
    offsets: np.ndarray
    seen: np.ndarray
    ours: Any
    faiss: Any
    rate: float


def setup(order: str = "random", *, queries: int = QUERIES, seed: int = 0) -> Problem:
    """Normal items and queries; `order` of the items' scores is `random` or `ascending`.

    In ascending order every item scores higher than the one before it for nearly every query, which is the worst
    case for a scan that keeps the best so far.
    """
    from ethogram.numeric.topk import TopK

    rng = np.random.default_rng(seed)
    items = rng.standard_normal((ITEMS, WIDTH), np.float32)
    asked = rng.standard_normal((queries, WIDTH), np.float32)
    if order == "ascending":
        # one shared direction carries the order, the rest is noise below the step between neighbours' thousands
        direction = np.full(WIDTH, WIDTH**-0.5, np.float32)
        items += np.linspace(0, 400, ITEMS, dtype=np.float32)[:, None] * direction
        asked += 4 * direction
    elif order != "random":
        raise ValueError(f"order '{order}' is neither 'random' nor 'ascending'")
    offsets = np.arange(queries + 1, dtype=np.int64) * SEEN
    # seen items are what a history holds: half random, half near the top of the query's own list
    seen = rng.integers(0, ITEMS, (queries, SEEN)).astype(np.int32)
    for q in range(queries):
        seen[q, : SEEN // 2] = np.argpartition(items @ asked[q], -SEEN)[-SEEN:][: SEEN // 2]
    return Problem(items, asked, offsets, seen.ravel(), TopK(items), _faiss(items), sgemm_rate())


def _faiss(items: np.ndarray) -> Any:
    try:
        import faiss
    except ImportError:
        return None
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    return index


def ethogram(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Ours: scores and codes."""
    return problem.ours.search(problem.queries, K, exclude=(problem.offsets, problem.seen))


def faiss_flat(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """faiss in its best idiom here: one batch, K items.

    Its selectors hold for all queries alike, so that nothing is masked: it does less than the others.
    """
    scores, codes = problem.faiss.search(problem.queries, K)
    return scores, codes


def numpy_partition(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """What one writes by hand: all scores, seen items to -inf, argpartition."""
    scores = np.empty((len(problem.queries), K), np.float32)
    codes = np.empty((len(problem.queries), K), np.int64)
    for a in range(0, len(problem.queries), 64):
        b = min(a + 64, len(problem.queries))
        full = problem.queries[a:b] @ problem.items.T
        rows = np.repeat(np.arange(b - a), np.diff(problem.offsets[a : b + 1]))
        full[rows, problem.seen[problem.offsets[a] : problem.offsets[b]]] = -np.inf
        part = np.argpartition(full, -K, axis=1)[:, -K:]
        held = np.take_along_axis(full, part, 1)
        best = np.argsort(-held, axis=1)
        codes[a:b], scores[a:b] = np.take_along_axis(part, best, 1), np.take_along_axis(held, best, 1)
    return scores, codes


run: Mapping[str, Callable[[Problem], tuple[np.ndarray, np.ndarray]]] = {
    "ethogram": ethogram,
    "faiss IndexFlatIP": faiss_flat,
    "numpy argpartition": numpy_partition,
}


def check(problem: Problem, answers: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Ours must hold the same scores as the hand-written one, and never a seen item; faiss is compared unmasked.

    Raises
    ------
    AssertionError
        Two contestants disagree.
    """
    ours, codes = answers["ethogram"]
    for q in range(0, len(problem.queries), 97):
        mine = problem.seen[problem.offsets[q] : problem.offsets[q + 1]]
        assert not np.isin(codes[q], mine).any(), f"query {q} got an item that it has seen"
    if "numpy argpartition" in answers:
        np.testing.assert_allclose(ours, answers["numpy argpartition"][0], rtol=1e-4, atol=1e-3)
    if "faiss IndexFlatIP" in answers:
        free, _ = problem.ours.search(problem.queries, K)
        np.testing.assert_allclose(free, answers["faiss IndexFlatIP"][0], rtol=1e-4, atol=1e-3)


def sgemm_rate(size: int = 2048, repeats: int = 5) -> float:
    """Floating-point operations a CPU second of a square float32 product, the fastest of some."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, size, size), np.float32)
    out = np.empty((size, size), np.float32)
    np.dot(a, b, out=out)
    fastest = float("inf")
    for _ in range(repeats):
        begun = time.process_time()
        np.dot(a, b, out=out)
        fastest = min(fastest, time.process_time() - begun)
    return 2 * size**3 / fastest


def limit(problem: Problem, seconds: float) -> float:
    """Share of the sgemm rate, the higher of before and after the turns, that CPU `seconds` for a turn come to."""
    work = 2 * len(problem.queries) * problem.items.shape[0] * problem.items.shape[1]
    return work / seconds / max(problem.rate, sgemm_rate())


def cases() -> Iterable[Case]:
    """The harness's form: random and ascending order of the items."""
    for order in ("random", "ascending"):
        yield Case(
            f"topk_{order}",
            f"{TITLE}; items in {order} order of score",
            functools.partial(setup, order),
            run,
            check,
            [
                Target("faiss CPU / ours", lambda f: f["faiss IndexFlatIP"].cpu / f["ethogram"].cpu, least=2.0),
                Target("share of the sgemm rate of this run", lambda f: f["ethogram"].share or 0.0, least=0.5),
            ],
            limit=limit,
            limit_name="2048^3 sgemm",
            notes="faiss does not mask the seen items; ours and numpy do",
            available=lambda p: {"faiss IndexFlatIP": p.faiss is not None},
        )
