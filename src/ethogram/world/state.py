"""The state of a world: frozen while people observe and decide, written only while effects are applied.

Arrays may be shared between a world, its snapshots and its forks: a column is copied when one of them first writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.errors import WorldError, unknown
from ethogram.text.table import TextTable
from ethogram.world.columns import UID, WAKE
from ethogram.world.draws import WORLD, Draws, Luck
from ethogram.world.mapped import Stored, owned

NEVER = np.iinfo(np.int64).max
"""Tick of waking of whoever sleeps until somebody wakes them."""


class Frozen(Mapping[str, np.ndarray]):
    """The state as it can be seen: ``seen["hunger"]`` is read-only.

    Attributes
    ----------
    tick : the tick that is being decided. draws : the run's random numbers. texts : what columns of codes stand for.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], tick: int, draws: Draws, texts: TextTable | None = None):
        self._arrays, self.tick, self.draws = arrays, tick, draws
        self.texts = TextTable() if texts is None else texts
        self._views: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._views:
            if name not in self._arrays:
                raise WorldError(unknown("column", name, self._arrays))
            view = self._arrays[name].view()
            view.flags.writeable = False
            self._views[name] = view
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    @property
    def people(self) -> int:
        """How many people there are."""
        return len(self._arrays[UID])

    def size(self, thing: str) -> int:
        """How many there are of a thing; WorldError where there is no such thing."""
        for name, array in self._arrays.items():
            if name.partition(".")[0] == thing and "." in name:
                return len(array)
        raise WorldError(unknown("thing", thing, {n.partition(".")[0] for n in self._arrays if "." in n}))

    def text(self, code: int) -> str:
        """The text that a column holds the code of; "" for -1."""
        return self.texts[int(code)] if code >= 0 else ""

    def luck(self, rows: Any = None) -> Luck:
        """The numbers of some people at this tick; without rows those of the world itself."""
        return self.draws.at(WORLD if rows is None else self._arrays[UID][rows], self.tick)


class State(Frozen):
    """The state while effects are applied: columns can be written, texts kept, people woken, commands scheduled.

    >>> state = State({"uid": np.arange(2), "hunger": np.zeros(2)}, 0, Draws(0))
    >>> state["hunger"][0] += 1; state["hunger"] = [3, 4]; state["hunger"].tolist()
    [3.0, 4.0]
    """

    def __init__(
        self, arrays: dict[str, np.ndarray], tick: int, draws: Draws, shared: set[str] | None = None,
        wake: Any = None, schedule: Any = None, texts: TextTable | None = None,
        stored: Mapping[str, Stored] | None = None,
    ):  # fmt: skip
        super().__init__(arrays, tick, draws, texts)
        self._own, self._wake, self._schedule = arrays, wake, schedule
        self._shared: set[str] = set() if shared is None else shared
        self._stored = stored or {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name in (UID, WAKE):
            self._views.pop(name, None)  # waking somebody may have made it another array
            return super().__getitem__(name)
        if name not in self._own:
            raise WorldError(unknown("column", name, self._own))
        return owned(self._own, name, self._shared, self._stored)

    def __setitem__(self, name: str, value: Any) -> None:
        if name in (UID, WAKE):
            raise WorldError(f"column '{name}' is the engine's; wake people with state.wake(rows, ticks).")
        try:
            self[name][...] = value
        except (ValueError, TypeError) as error:
            raise WorldError(f"column '{name}' cannot take this: {error}.") from None

    def intern(self, texts: Sequence[str]) -> np.ndarray:
        """Codes of texts int32[n], to be kept in a column; equal texts have one code."""
        return self.texts.add(texts)

    def wake(self, rows: Any, ticks: Any = 1) -> None:
        """Wake people after so many ticks (1 or more, one number or one each; NEVER lets them sleep).

        It takes the place of when they would have been awake next. In a command that is this very tick where they are
        due: commands come before people, so whoever is put off by one does not act at its tick.
        """
        self._wake(np.atleast_1d(np.asarray(rows, np.int64)), ticks)

    def schedule(self, command: str, after: int = 1, **arguments: Any) -> None:
        """Have a command of the world done after so many ticks."""
        self._schedule(command, after, arguments)

    def grow(self, thing: str, size: int) -> None:
        """More of a thing: every column of it gets rows of 0 behind its own, until there are `size`."""
        for name in [n for n in self._own if n.partition(".")[0] == thing and "." in n]:
            column = self._own[name]
            more = np.zeros((max(0, size - len(column)), *column.shape[1:]), column.dtype)
            self._own[name] = np.concatenate([column, more])
            self._shared.discard(name)
