"""What a formula means, read off its definition: the judge of the automaton, not its maker.

For a trace of n symbols and a position i: ``X f`` needs i + 1 < n and f there; ``N f`` is true at i = n - 1;
``f U g`` is true where some j >= i has g, and f holds from i to j - 1; ``f R g`` is ``!(!f U !g)``. Every trace of a
length is judged at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ethogram.text.ltl.formula import Formula


def every_trace(symbols: int, length: int) -> np.ndarray:
    """All traces of a length over so many symbols, int8[symbols ** length, length]."""
    number = np.arange(symbols**length)
    return np.stack([number // symbols**i % symbols for i in range(length)], 1).astype(np.int8)


def holds(formula: Formula, names: Sequence[str], traces: np.ndarray) -> np.ndarray:
    """Whether each trace satisfies the formula at its first position, bool[T]; traces int[T, n], n >= 1."""
    return np.asarray(_at_each(formula, names, traces)[:, 0])


def _at_each(formula: Formula, names: Sequence[str], traces: np.ndarray) -> np.ndarray:
    """Truth at each position, bool[T, n]."""
    op, parts = formula.op, [_at_each(p, names, traces) for p in formula.parts]
    none = np.zeros(traces.shape, bool)
    if op in ("p", "!p"):
        here = traces == names.index(formula.name)
        return here if op == "p" else ~here
    if op in ("true", "false"):
        return none if op == "false" else ~none
    if op == "&":
        return np.asarray(np.logical_and.reduce(parts))
    if op == "|":
        return np.asarray(np.logical_or.reduce(parts))
    n, found = traces.shape[1], none.copy()
    if op in ("X", "N"):
        found[:, : n - 1] = parts[0][:, 1:]
        found[:, n - 1] = op == "N"
        return found
    # U over the definition's j; R as its dual
    f, g = (parts[0], parts[1]) if op == "U" else (~parts[0], ~parts[1])
    for i in range(n):
        kept = np.ones(len(traces), bool)
        for j in range(i, n):
            found[:, i] |= kept & g[:, j]
            kept &= f[:, j]
    return found if op == "U" else ~found


def random_formula(names: Sequence[str], rng: np.random.Generator, size: int) -> Formula:
    """A random formula in negation normal form with about `size` operators."""
    if size <= 0:
        kind = rng.integers(0, 10)
        if kind == 0:
            return Formula(("true", "false")[int(rng.integers(2))])
        return Formula(("p", "!p")[int(rng.integers(2))], names[int(rng.integers(len(names)))])
    op = ("&", "|", "X", "N", "U", "R")[int(rng.integers(6))]
    if op in ("X", "N"):
        return Formula(op, "", (random_formula(names, rng, size - 1),))
    left = int(rng.integers(0, size))
    return Formula(op, "", (random_formula(names, rng, left), random_formula(names, rng, size - 1 - left)))
