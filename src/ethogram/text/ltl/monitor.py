"""Does behaviour keep to a formula? Where it first breaks, what it breaks, and the least change that mends it.

A trace breaks a formula at the first symbol after which it can no longer end well; a trace that could go on but stops
too early breaks it at its end. What is broken is told by the formula's conjuncts, each watched by itself. The least
change is a shortest path through (position, state): keep, replace, leave out or put in a symbol.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ethogram.text.ltl.automaton import NEVER, Automaton
from ethogram.text.ltl.formula import Formula, parse, symbols


@dataclass(frozen=True)
class Finding:
    """What a monitor says of one trace.

    Attributes
    ----------
    accepted : whether it satisfies the formula.
    position : place of the first wrong symbol; the length of the trace if it stops too early; None if accepted.
    violated : the conjuncts that are broken there.
    expected : the symbols that might have stood there.
    repair : the nearest trace that satisfies the formula; the trace itself if accepted. edits : changes to it.
    """

    accepted: bool
    position: int | None
    violated: tuple[str, ...]
    expected: tuple[str, ...]
    repair: tuple[str, ...]
    edits: int


class Monitor:
    """Watches traces of a formula over named symbols.

    Examples
    --------
    >>> found = Monitor("G (fail -> X mend) & F done", ["fail", "mend", "done"]).check(["fail", "done"])
    >>> found.position, found.violated, found.repair
    (1, ('G (!fail | X mend)',), ('done',))
    """

    def __init__(self, formula: str | Formula, names: Iterable[str] | None = None):
        told = list(names) if names is not None else None
        self.formula = parse(formula, told) if isinstance(formula, str) else formula
        told = symbols(self.formula) if told is None else told
        self.automaton = Automaton.of(self.formula, told)
        conjuncts = self.formula.parts if self.formula.op == "&" else (self.formula,)
        self.parts = tuple((str(part), Automaton.of(part, told)) for part in conjuncts)

    def check(self, trace: Sequence[str | int]) -> Finding:
        """Judge one trace.

        Raises
        ------
        OptionError
            A symbol that does not exist.
        """
        machine, codes = self.automaton, self.automaton.coded(trace)
        said = tuple(machine.names[c] for c in codes)
        position = self.broken_at(codes[None, :], np.array([len(codes)]))[0]
        if position < 0:
            return Finding(True, None, (), (), said, 0)
        before = machine.states(codes[:position].tolist())[-1]
        expected = tuple(n for n, ok in zip(machine.names, machine.admissible(int(before)), strict=True) if ok)
        edits, mended = repair(machine, codes)
        return Finding(
            False, int(position), self.violated(codes, int(position)), expected,
            tuple(machine.names[c] for c in mended), edits,
        )  # fmt: skip

    def broken_at(self, codes: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """First violation of many traces at once.

        Parameters
        ----------
        codes : int[T, n] places of symbols, padded with any place. lengths : int[T].

        Returns
        -------
        int64[T]: position of the first wrong symbol, the length where a trace stops too early, -1 where it is right.
        """
        states = self.automaton.run(codes, lengths)
        dead = self.automaton.distance[states] == NEVER
        died = np.where(dead.any(1), dead.argmax(1) - 1, lengths)
        return np.asarray(np.where(self.automaton.accepting[states[:, -1]], -1, died), np.int64)

    def violated(self, codes: np.ndarray, position: int) -> tuple[str, ...]:
        """The conjuncts that a trace breaks by its symbol at `position` (or by ending there)."""
        found, whole = [], position == len(codes)
        for text, machine in self.parts:
            state = machine.states(codes[: position + 1].tolist())[-1]
            if machine.distance[state] == NEVER or (whole and not machine.accepting[state]):
                found.append(text)
        # none by itself: the conjuncts can be kept one by one but no longer all together
        return tuple(found) or (str(self.formula),)


def repair(machine: Automaton, codes: Sequence[int] | np.ndarray) -> tuple[int, tuple[int, ...]]:
    """Fewest edits that make a trace accepted, and a trace so made (one of the nearest)."""
    n, start = len(codes), (0, machine.start)
    cost = {start: 0}
    came: dict[tuple[int, int], tuple[tuple[int, int], int]] = {}
    queue = [(0, 0, machine.start)]
    while queue:
        spent, at, state = heapq.heappop(queue)
        if spent > cost[(at, state)]:
            continue
        if at == n and machine.accepting[state]:
            made, place = [], (at, state)
            while place != start:
                place, code = came[place]
                if code >= 0:
                    made.append(code)
            return spent, tuple(reversed(made))
        steps = [(spent + 1, at + 1, state, -1)] if at < n else []
        for code, after in enumerate(machine.table[state].tolist()):
            if machine.distance[after] == NEVER:
                continue
            if at < n:
                steps.append((spent + int(code != codes[at]), at + 1, after, code))
            steps.append((spent + 1, at, after, code))
        for total, next_at, after, code in steps:
            if total < cost.get((next_at, after), NEVER):
                cost[(next_at, after)] = total
                came[(next_at, after)] = ((at, state), code)
                heapq.heappush(queue, (total, next_at, after))
    raise AssertionError("an automaton that can be satisfied has a repair for every trace")
