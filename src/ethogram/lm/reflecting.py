"""What a model adds to a memory: how important something is, and what follows from what was met."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ethogram.lm.memory import HOUR, Memory

DAYS = 24 * HOUR
IDLE = ("idle", "asleep", "sleeping")


class Reflection(NamedTuple):
    """Places of the thoughts kept, and how many conclusions were dropped because they cited no record."""

    thoughts: tuple[int, ...]
    dropped: int


async def importance(lm: Any, text: str, *, purpose: str = "memory: importance") -> int:
    """How much a person would mind an event, 1 (brushing teeth) to 10 (a break-up); nothing is asked of the idle."""
    if any(word in text.lower().split() for word in IDLE):
        return 1
    schema = {
        "type": "object", "properties": {"importance": {"type": "integer", "minimum": 1, "maximum": 10}},
        "required": ["importance"], "additionalProperties": False,
    }  # fmt: skip
    asked = "On a scale from 1 (brushing teeth) to 10 (a break-up), how important is this to a person?"
    answer = await lm.answer(asked, schema, data=[text], max_tokens=24, purpose=purpose)
    return int(answer.value["importance"])


async def reflect(
    memory: Memory, lm: Any, *, now: int, recent: int = 100, questions: int = 3, insights: int = 5, k: int = 30,
    keep: int = 30 * DAYS, purpose: str = "memory: reflection",
) -> Reflection:  # fmt: skip
    """Ask what lately mattered, look for answers in the memory, keep the conclusions as thoughts with evidence.

    A conclusion that cites none of the records that the model was shown is dropped, never kept without evidence.
    """
    there = np.flatnonzero(memory.findable(now))
    if not len(there):
        return Reflection((), 0)
    latest = there[np.argsort(memory.column("accessed")[there], kind="stable")][-recent:]
    asked = await lm.answer(
        f"What are the {questions} most important questions about the person that these notes can answer?",
        _list("questions", {"type": "string", "maxLength": 120}, questions),
        data=["\n".join(memory.text(int(i)) for i in latest)], max_tokens=64 * questions, purpose=purpose,
    )  # fmt: skip
    thoughts: list[int] = []
    dropped = 0
    item = {
        "type": "object",
        "properties": {
            "insight": {"type": "string", "maxLength": 160},
            "because_of": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 5},
        },
        "required": ["insight", "because_of"], "additionalProperties": False,
    }  # fmt: skip
    for question in asked.value["questions"][:questions]:
        found = memory.retrieve(str(question), k, now=now)
        listed = "\n".join(f"{i}. {text}" for i, text in enumerate(found.texts, 1))
        told = await lm.answer(
            f"What follows from these notes about: {question} Give up to {insights} insights, each with the numbers "
            "of the notes that it follows from.",
            _list("insights", item, insights), data=[listed], max_tokens=96 * insights, purpose=purpose,
        )  # fmt: skip
        for one in told.value["insights"][:insights]:
            cited = sorted({int(n) for n in one["because_of"] if 1 <= int(n) <= len(found.records)})
            if not cited or not str(one["insight"]).strip():
                dropped += 1
                continue
            evidence = [int(found.records[n - 1]) for n in cited]
            worth = float(np.clip(np.round(memory.column("importance")[evidence].mean() + 1), 1, 10))
            told_of: dict[str, Any] = {"evidence": evidence, "importance": worth, "expires": now + keep}
            thoughts.append(memory.add(one["insight"], time=now, kind="thought", **told_of))
    memory.pending = 0.0
    return Reflection(tuple(thoughts), dropped)


def _list(name: str, item: dict[str, Any], most: int) -> dict[str, Any]:
    return {
        "type": "object", "properties": {name: {"type": "array", "items": item, "minItems": 1, "maxItems": most}},
        "required": [name], "additionalProperties": False,
    }  # fmt: skip
