"""Questions to minds, at any time: what they answer changes nothing in the world.

An answer is not remembered by who gave it, and is no event of the run: a simulation that is changed by being looked at
is another simulation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ethogram.errors import LMError, OptionError, WorldError
from ethogram.world.declared import Declared
from ethogram.world.live import Live
from ethogram.world.minds import Context, context


@dataclass(frozen=True)
class Question:
    """An item of a questionnaire.

    Attributes
    ----------
    options : the answer is one of these. low, high : the answer is a whole number between. Neither: free text.
    """

    text: str
    options: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise OptionError("a question needs a text.")
        if self.options and self.low is not None:
            raise OptionError(f"'{self.text}': give options or a scale, not both.")
        if (self.low is None) != (self.high is None) or (self.low is not None and self.low >= (self.high or 0)):
            raise OptionError(f"'{self.text}': a scale needs low below high.")

    @property
    def schema(self) -> dict[str, Any]:
        """The answer as a JSON schema with the one field `answer`."""
        kind: dict[str, Any] = {"type": "string", "maxLength": 300}
        if self.options:
            kind = {"enum": list(self.options)}
        elif self.low is not None:
            kind = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return {
            "type": "object", "properties": {"answer": kind}, "required": ["answer"], "additionalProperties": False
        }  # fmt: skip


def question(given: str | Question) -> Question:
    return given if isinstance(given, Question) else Question(given)


async def asked(live: Live, world: Declared, row: int, item: Question, temporary: str = "") -> Any:
    """The answer of one person.

    Raises
    ------
    WorldError
        This row has no mind, or one that answers no questions. LMError: its model gave no answer.
    """
    told, mind = _who(live, world, row, temporary)
    if not hasattr(mind, "answer"):
        raise WorldError(f"the mind of row {row} answers no questions; give it `async answer(seen, text, schema)`.")
    found = await mind.answer(told, item.text, item.schema)
    return found["answer"] if isinstance(found, Mapping) else found


def _who(live: Live, world: Declared, row: int, temporary: str) -> tuple[Context, Any]:
    if temporary and row not in live.overlay.held:
        from ethogram.world.minds import Overlay

        guest = Overlay(world.minds)
        guest.put(row, temporary, {})
        held = guest.of(row)
    else:
        held = live.overlay.of(row)
    return context(row, held, live.frozen(), world), held.mind


async def surveyed(
    live: Live, world: Declared, uids: Sequence[int], items: Sequence[Question], temporary: str
) -> pa.Table:
    """Columns `uid`, `question`, `answer` (as text), `error` (null where there is none), one row for each answer."""

    async def one(uid: int, item: Question) -> tuple[str | None, str | None]:
        try:
            return str(await asked(live, world, live.row(uid), item, temporary)), None
        except LMError as error:
            return None, f"{type(error).__name__}: {error}"

    pairs = [(u, q) for u in uids for q in items]
    found = await asyncio.gather(*(one(u, q) for u, q in pairs))
    return pa.table(
        {
            "uid": pa.array([u for u, _ in pairs], pa.int64()), "question": pa.array([q.text for _, q in pairs]),
            "answer": pa.array([a for a, _ in found], pa.string()),
            "error": pa.array([e for _, e in found], pa.string()),
        }
    )  # fmt: skip


def shown(live: Live, world: Declared, row: int) -> str:
    """The prompt that the mind of a row would be given now; a row without a mind shows what it observes."""
    held = live.overlay.held.get(row)
    told = context(row, held, live.frozen(), world)
    if held is None or not hasattr(held.mind, "prompt"):
        return told.text
    return str(held.mind.prompt(told))
