"""From a formula to a table: formula progression, made deterministic, minimal, and aware of dead ends.

What is left to be satisfied after a symbol s (phi in negation normal form):

    P(p) = [p = s]      P(X f) = f & more      P(f U g) = P(g) | (P(f) & f U g)      P(end) = false
    P(!p) = [p != s]    P(N f) = f | end       P(f R g) = P(g) & (P(f) | f R g)      P(more) = true

and after the last symbol: true, end, N, R accept; false, more, symbols, X, U do not. Progression only ever joins
subformulas by & and |, so that a state is a monotone function of them; kept as its minimal disjunction of
conjunctions it is canonical, and there are finitely many. States are then merged by what they accept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from ethogram.errors import OptionError, unknown
from ethogram.text.ltl.formula import END, MORE, Formula, parse, symbols

Cube = frozenset[Formula]
State = frozenset[Cube]
"""A disjunction of conjunctions; no conjunction holds another. Empty: false; holding the empty conjunction: true."""
NEVER = np.iinfo(np.int32).max
MOST_STATES = 20_000


@dataclass(frozen=True, eq=False)
class Automaton:
    """A deterministic automaton over named symbols.

    Attributes
    ----------
    names : the symbols; a trace is a sequence of them, or of their places.
    table : int32[S, K], the state after each symbol. accepting : bool[S]. start : a state.
    distance : int32[S], fewest symbols from which a state can still end well; `NEVER` where it cannot.
    """

    names: tuple[str, ...]
    table: np.ndarray
    accepting: np.ndarray
    distance: np.ndarray
    start: int = 0

    @classmethod
    def of(cls, formula: str | Formula, names: Iterable[str] | None = None) -> Automaton:
        """Compile a formula over the symbols `names` (default: those in it).

        Raises
        ------
        OptionError
            See `parse`; a formula that no trace satisfies; one whose automaton would be too large.
        """
        told = list(dict.fromkeys(names)) if names is not None else None
        made = parse(formula, told) if isinstance(formula, str) else formula
        alphabet = tuple(told if told is not None else symbols(made))
        if not alphabet:
            raise OptionError("an automaton needs symbols; name them.")
        table, accepting = _explore(made, alphabet)
        table, accepting = _minimal(table, accepting)
        distance = _distances(table, accepting)
        if distance[0] == NEVER:
            raise OptionError(f"no trace satisfies the formula '{formula}'.")
        return cls(alphabet, table, accepting, distance)

    def __len__(self) -> int:
        return len(self.table)

    def code(self, name: str) -> int:
        """Place of a symbol."""
        if name not in self.names:
            raise OptionError(unknown("symbol", name, self.names))
        return self.names.index(name)

    def coded(self, trace: Sequence[str | int]) -> np.ndarray:
        """A trace as places, int64[n]."""
        return np.array([self.code(s) if isinstance(s, str) else int(s) for s in trace], np.int64)

    def admissible(self, state: int, left: int | None = None) -> np.ndarray:
        """Which symbols may come now, bool[K]: after them the trace can still end well (in `left` symbols in all)."""
        most = NEVER - 1 if left is None else left - 1
        return np.asarray(self.distance[self.table[state]] <= most)

    def states(self, trace: Sequence[str | int]) -> np.ndarray:
        """The state before each symbol and after the last, int64[n + 1]."""
        found = np.empty(len(trace) + 1, np.int64)
        found[0] = self.start
        for at, code in enumerate(self.coded(trace)):
            found[at + 1] = self.table[found[at], code]
        return found

    def accepts(self, trace: Sequence[str | int]) -> bool:
        """Whether a whole trace satisfies the formula."""
        return bool(self.accepting[self.states(trace)[-1]])

    def run(self, codes: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """States along many traces at once.

        Parameters
        ----------
        codes : int[T, n] places of symbols. lengths : int[T] of each trace, n where None.

        Returns
        -------
        int32[T, n + 1]; past its end a trace keeps its last state.
        """
        found = np.empty((len(codes), codes.shape[1] + 1), np.int32)
        found[:, 0] = self.start
        for at in range(codes.shape[1]):
            after = self.table[found[:, at], codes[:, at]]
            found[:, at + 1] = after if lengths is None else np.where(at < lengths, after, found[:, at])
        return found


def _explore(formula: Formula, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """All states that the formula can become, breadth first: table int32[S, K] and acceptance bool[S]."""

    @cache
    def after(atom: Formula, name: str) -> State:
        op, parts = atom.op, atom.parts
        if op in ("p", "!p"):
            return _TRUE if (atom.name == name) == (op == "p") else _FALSE
        if op == "X":
            return _and(_state(parts[0]), _state(MORE))
        if op == "N":
            return _or(_state(parts[0]), _state(END))
        if op == "U":
            return _or(whole(_state(parts[1]), name), _and(whole(_state(parts[0]), name), _state(atom)))
        if op == "R":
            return _and(whole(_state(parts[1]), name), _or(whole(_state(parts[0]), name), _state(atom)))
        return _TRUE if op == "more" else _FALSE

    @cache
    def whole(state: State, name: str) -> State:
        found = _FALSE
        for cube in state:
            kept = _TRUE
            for atom in cube:
                kept = _and(kept, after(atom, name))
            found = _or(found, kept)
        return found

    places = {_state(formula): 0}
    todo: list[State] = [_state(formula)]
    rows: list[list[int]] = []
    while len(rows) < len(todo):
        row = []
        for name in names:
            reached = whole(todo[len(rows)], name)
            if reached not in places:
                places[reached] = len(todo)
                todo.append(reached)
            row.append(places[reached])
        rows.append(row)
        if len(todo) > MOST_STATES:
            raise OptionError(f"the formula needs more than {MOST_STATES} states; split it into several.")
    return np.array(rows, np.int32), np.array([_accepts(s) for s in todo])


_TRUE: State = frozenset({frozenset()})
_FALSE: State = frozenset()


@cache
def _state(formula: Formula) -> State:
    if formula.op == "true":
        return _TRUE
    if formula.op == "false":
        return _FALSE
    if formula.op in "&|":
        found = _state(formula.parts[0])
        for part in formula.parts[1:]:
            found = (_and if formula.op == "&" else _or)(found, _state(part))
        return found
    return frozenset({frozenset({formula})})


def _or(a: State, b: State) -> State:
    return a if a == b or not b else b if not a else _least(a | b)


def _and(a: State, b: State) -> State:
    if not a or not b:
        return _FALSE
    if a == b or b == _TRUE:
        return a
    return b if a == _TRUE else _least({x | y for x, y in product(a, b) if not _clash(x | y)})


def _least(cubes: Iterable[Cube]) -> State:
    """Without conjunctions that hold another one: those are true only where it is."""
    kept: list[Cube] = []
    for cube in sorted(cubes, key=len):
        if not any(small <= cube for small in kept):
            kept.append(cube)
    return frozenset(kept)


def _clash(cube: Cube) -> bool:
    """Whether a conjunction is false whatever comes: two symbols at once, a symbol and its negation, end and more."""
    named = {f.name for f in cube if f.op == "p"}
    return (
        len(named) > 1
        or any(f.op == "!p" and f.name in named for f in cube)
        or (END in cube and (MORE in cube or bool(named) or any(f.op in ("!p", "X", "U") for f in cube)))
    )


def _accepts(state: State) -> bool:
    return any(all(f.op in ("end", "N", "R") for f in cube) for cube in state)


def _minimal(table: np.ndarray, accepting: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States merged by what they accept (Moore): split classes until the successors' classes agree."""
    kind = accepting.astype(np.int64)
    while True:
        _, finer = np.unique(np.c_[kind, kind[table]], axis=0, return_inverse=True)
        if finer.max() == kind.max():
            break
        kind = finer.ravel()
    # the class of the start becomes 0, the others keep the order in which they are first met
    order = {int(c): i for i, c in enumerate(dict.fromkeys(kind.tolist()))}
    place = np.array([order[int(c)] for c in kind])
    first = np.array([int(np.argmax(place == i)) for i in range(len(order))])
    return place[table[first]].astype(np.int32), accepting[first]


def _distances(table: np.ndarray, accepting: np.ndarray) -> np.ndarray:
    found = np.where(accepting, 0, NEVER).astype(np.int64)
    while True:
        nearer = np.minimum(found, np.minimum(found[table].min(1) + 1, NEVER))
        if (nearer == found).all():
            return np.asarray(found.astype(np.int32))
        found = nearer
