"""Error memories of reloop2: a request of 64 candidates read and its answers written, after few and many writes.

The sketch has tables of fixed size, so neither its time nor its bytes may grow. Exact neighbours are asked the same;
they hold all that was written. Random keys: speed only, quality is the claims' business.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import Case, Target

WRITES = (10_000, 100_000, 1_000_000)
DIM, ASKED, TABLES, BITS, NEIGHBOURS, HALF_LIFE = 32, 64, 16, 16, 50, 5_000.0
BLOCK = 10_000
BYTES = 8 * (TABLES * 2**BITS * 3 + TABLES * BITS * DIM)
"""Of a sketch: three sums per cell and the directions of its hashes, in float64."""


class Problem(NamedTuple):
    """Memories after `writes` answers (`few`: a sketch after the fewest), and a request."""

    writes: int
    sketch: Any
    few: Any
    exact: Any
    asked: Any
    values: np.ndarray


def keys(rng: np.random.Generator, n: int) -> Any:
    """Random directions."""
    from ethogram.nn.error_memory import Keys
    from ethogram.numeric.identity import unit

    vectors = unit(rng.standard_normal((n, DIM)).astype(np.float32))
    return Keys(vectors, np.arange(n, dtype=np.uint64))


def setup(writes: int) -> Problem:
    """Write in blocks of 10,000."""
    from ethogram.nn.error_memory import Nearest, Sketched

    rng = np.random.default_rng(0)
    sketch, few = (Sketched(DIM, TABLES, BITS, HALF_LIFE, 0) for _ in range(2))
    exact = Nearest(DIM, NEIGHBOURS, 0.1, HALF_LIFE, writes)
    for first in range(0, writes, BLOCK):
        some, values, clock = keys(rng, BLOCK), rng.standard_normal((BLOCK, 3)), first + np.arange(BLOCK, dtype=float)
        for memory in (sketch, exact, *([few] if first < WRITES[0] else [])):
            memory.write(some, values, clock)
    return Problem(writes, sketch, few, exact, keys(rng, ASKED), rng.standard_normal((ASKED, 3)))


def sketch(p: Problem) -> np.ndarray:
    """Read, then write."""
    return _access(p, p.sketch)


def few(p: Problem) -> np.ndarray:
    """The same on a sketch of 10,000 writes."""
    return _access(p, p.few)


def _access(p: Problem, memory: Any) -> np.ndarray:
    now = np.full(ASKED, float(p.writes))
    found: np.ndarray = memory.read(p.asked, now)
    memory.write(p.asked, p.values, now)
    return found


def exact(p: Problem) -> np.ndarray:
    """Read only: a ring that is full takes a write in no time."""
    found: np.ndarray = p.exact.read(p.asked, np.full(ASKED, float(p.writes)))
    return found


def check(p: Problem, answers: Mapping[str, np.ndarray]) -> None:
    """A sketch holds the same bytes whatever was written, and finds support everywhere.

    Raises
    ------
    AssertionError
        It does not.
    """
    assert p.sketch.nbytes == p.few.nbytes == BYTES, f"{p.sketch.nbytes} bytes after {p.writes} writes, not {BYTES}"
    assert (answers[OURS] != 0).any()


OURS, SHORT, EXACT = "ethogram sketch", "ethogram sketch, 10,000 writes", "ethogram exact neighbours"
RUN = {OURS: sketch, SHORT: few, EXACT: exact}


def cases() -> Iterable[Case]:
    """The harness's form: one case per number of writes."""
    flat = Target("sketch after these writes / after 10,000", lambda f: f[OURS].cpu / f[SHORT].cpu, most=1.3)
    for writes in WRITES:
        yield Case(
            f"reloop_{writes}",
            f"error memory after {writes:,} writes: {ASKED} candidates read and written, d={DIM}, one thread",
            functools.partial(setup, writes),
            RUN,
            check,
            [flat],
            notes=f"{TABLES} tables of 2^{BITS} cells: {BYTES:,} bytes after any number of writes; exact: read only",
            least=0.02,
        )
