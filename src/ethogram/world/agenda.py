"""What is to happen when: commands in the order (tick, priority, origin, number).

First those from outside that were planned, then those that effects planned, last those that were done at once.

Everything that changes a world and is nobody's act is a command: a name and arguments that JSON can hold. So it can be
logged, saved, and done again when a run is repeated.
"""

from __future__ import annotations

import heapq
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ethogram.errors import StateError, WorldError

NAME = "commands.jsonl"
PLANNED, INSIDE, AT_ONCE = 0, 1, 2
LAST = 2**31
"""Priority of what is done at once: whatever was due at the tick has been done then."""


@dataclass(frozen=True)
class Command:
    """Something to be done to a world, for `World.intervene` and `World.fork`.

    >>> Command("set", {"column": "rain", "value": 1.0}).by
    'director'
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    by: str = "director"

    def __post_init__(self) -> None:
        try:
            plain = json.loads(json.dumps(dict(self.arguments), default=_plain, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise WorldError(f"command '{self.name}': its arguments must be what JSON can hold ({error}).") from None
        object.__setattr__(self, "arguments", plain)

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "arguments": self.arguments, "by": self.by}


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is none")


@dataclass(frozen=True, order=True)
class Due:
    """A command in its place; `origin` is PLANNED, INSIDE or AT_ONCE."""

    at: int
    priority: int
    origin: int
    number: int
    command: Command = field(compare=False)


class Agenda:
    """The queue of commands. Those from outside are also written to a file of the run's folder when they are given.

    `history` holds all that were ever given from outside.
    """

    def __init__(self, path: Path | None = None):
        self.path = path
        self._heap: list[Due] = []
        self.history: list[Due] = []
        self.inside = 0

    def outer(self, command: Command, at: int, priority: int = 0) -> None:
        """Plan a command from outside; it is on the disk before the call returns."""
        heapq.heappush(self._heap, self._given(command, at, priority, PLANNED))

    def at_once(self, command: Command, tick: int) -> None:
        """Keep a command from outside that was just done."""
        self._given(command, tick, LAST, AT_ONCE)

    def _given(self, command: Command, at: int, priority: int, origin: int) -> Due:
        due = Due(at, priority, origin, len(self.history), command)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_told(due)) + "\n")
                file.flush()
                os.fsync(file.fileno())
        self.history.append(due)
        return due

    def inner(self, command: Command, at: int) -> None:
        """A command that an effect scheduled; it is scheduled again where the effect happens again."""
        heapq.heappush(self._heap, Due(at, 0, INSIDE, self.inside, command))
        self.inside += 1

    def next(self) -> int | None:
        return self._heap[0].at if self._heap else None

    def take(self, tick: int) -> Command | None:
        """The next command that is due at a tick, None where none is."""
        if not self._heap or self._heap[0].at > tick:
            return None
        return heapq.heappop(self._heap).command

    def json(self) -> dict[str, Any]:
        return {
            "due": [_told(d) for d in sorted(self._heap)], "history": [_told(d) for d in self.history],
            "inside": self.inside,
        }  # fmt: skip

    @classmethod
    def restore(cls, kept: Mapping[str, Any], path: Path | None = None) -> Agenda:
        made = cls(path)
        made._heap, made.history = [_due(d) for d in kept["due"]], [_due(d) for d in kept["history"]]
        heapq.heapify(made._heap)
        made.inside = int(kept["inside"])
        return made

    def copy(self) -> Agenda:
        """The same queue, written to no file."""
        made = Agenda()
        made._heap, made.history, made.inside = list(self._heap), list(self.history), self.inside
        return made

    def as_given(self, history: list[Due]) -> None:
        """Hold also what a run was commanded from outside after this state was kept."""
        for due in history[len(self.history) :]:
            heapq.heappush(self._heap, due)
        self.history = list(history)

    def left_alone(self) -> None:
        """Drop the commands from outside that are still due."""
        self._heap = [d for d in self._heap if d.origin == INSIDE]
        heapq.heapify(self._heap)

    def catch_up(self, first: int) -> None:
        """Read what was commanded from outside after the state was saved; what is due at `first` or later is queued."""
        if self.path is None or not self.path.exists():
            return
        lines = self.path.read_text("utf-8").splitlines(keepends=True)
        for i, line in enumerate(lines):
            try:
                due = _due(json.loads(line))
            except (ValueError, KeyError, TypeError):
                if i == len(lines) - 1:  # cut in half: the call that gave it never returned
                    self.path.write_text("".join(lines[:-1]), "utf-8")
                    break
                raise StateError(f"{self.path}, line {i + 1}, is not a command.") from None
            if due.number == len(self.history):
                self.history.append(due)
                if due.at >= first:
                    heapq.heappush(self._heap, due)


def _told(due: Due) -> dict[str, Any]:
    return {
        "at": due.at, "priority": due.priority, "origin": due.origin, "number": due.number,
        **due.command.json(),
    }  # fmt: skip


def _due(kept: Mapping[str, Any]) -> Due:
    command = Command(kept["name"], kept["arguments"], kept["by"])
    at, priority, origin, number = (int(kept[n]) for n in ("at", "priority", "origin", "number"))
    return Due(at, priority, origin, number, command)
