"""What a mind remembers, as lines to show; minds keep it in different ways."""

from __future__ import annotations

from typing import Any

from ethogram.lm.memory import Memory
from ethogram.lm.stages import Stages
from ethogram.world.world import World

MOST_CHARS = 600


def memories(mind: Any, world: World) -> list[list[Any]]:
    """[tick, kind, importance, text] of what a mind remembers at the end, the oldest first.

    Read from its memory stream (`lm.memory`) or its stages (`lm.stages`), and a list `short` of records with a text.
    """
    found: list[list[Any]] = []

    def add(micros: int, kind: str, importance: float, text: str) -> None:
        tick = max(0, (int(micros) - world.declared.start) // world.declared.length)
        found.append([tick, kind, round(float(importance), 2), text[:MOST_CHARS]])

    for name, kept in vars(mind).items():
        if isinstance(kept, Memory):
            for row in kept.to_arrow().to_pylist():
                if row["alive"]:
                    add(row["created"], row["kind"], row["importance"], row["text"])
        elif isinstance(kept, Stages):
            for term, records in (("short term", kept.short), ("long term", kept.long)):
                for held in records:
                    add(held.created, term, held.importance, held.text)
        elif name == "short" and isinstance(kept, list):
            found += [[int(m["tick"]), "lately read", 1.0, str(m["text"])[:MOST_CHARS]] for m in kept if "tick" in m]
    return sorted(found, key=lambda r: r[0])


def short(value: Any) -> str:
    """A value of a persona, as one reads it."""
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value))[:MOST_CHARS]
    if isinstance(value, dict):
        return "; ".join(f"{k}: {v}" for k, v in value.items())[:MOST_CHARS]
    return str(value)[:MOST_CHARS]
