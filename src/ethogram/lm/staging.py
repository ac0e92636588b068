"""What a model adds to a memory in three stages: what is noticed of an observation, and what follows from several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ethogram.lm.stages import Stages


async def sensed(lm: Any, observation: str, *, seed: int = 0, purpose: str = "memory: sensory") -> tuple[str, int]:
    """(an observation in one sentence, its importance from 1 to 10)."""
    schema = {
        "type": "object",
        "properties": {
            "sentence": {"type": "string", "minLength": 3, "maxLength": 160},
            "importance": {"type": "integer", "minimum": 1, "maximum": 10},
        },
        "required": ["sentence", "importance"], "additionalProperties": False,
    }  # fmt: skip
    asked = "Say in one sentence what happened, and how important it is to the person: 1 (trivial) to 10 (moving)."
    answer = await lm.answer(asked, schema, data=[observation], max_tokens=96, seed=seed, purpose=purpose)
    return " ".join(str(answer.value["sentence"]).split()), int(answer.value["importance"])


async def insight(lm: Any, texts: Sequence[str], *, seed: int = 0, purpose: str = "memory: insight") -> str:
    """What follows from several memories, in other words than theirs; "" where the model only repeats one of them."""
    listed = "\n".join(f"- {t}" for t in texts)
    schema = {
        "type": "object", "properties": {"insight": {"type": "string", "minLength": 3, "maxLength": 160}},
        "required": ["insight"], "additionalProperties": False,
    }  # fmt: skip
    asked = "What do these memories say about the person? One sentence, in other words than theirs."
    answer = await lm.answer(asked, schema, data=[listed], max_tokens=80, seed=seed, purpose=purpose)
    said = " ".join(str(answer.value["insight"]).split())
    return "" if said.lower() in {t.lower() for t in texts} else said


async def reflection(lm: Any, memory: Stages, *, now: int, seed: int = 0) -> tuple[str, list[str]] | None:
    """(insight, the records it cites) by one question about what lately came in; None where nothing was concluded.

    Nothing is changed: `Stages.conclude` takes it.
    """
    if not memory.long:
        return None
    latest = [m.text for m in sorted(memory.long, key=lambda m: m.accessed)[-10:]]
    schema = {
        "type": "object", "properties": {"question": {"type": "string", "minLength": 3, "maxLength": 120}},
        "required": ["question"], "additionalProperties": False,
    }  # fmt: skip
    asked = await lm.answer(
        "What is the most important question about the person that these memories can answer?", schema,
        data=["\n".join(latest)], max_tokens=64, seed=seed, purpose="memory: question",
    )  # fmt: skip
    cited = memory.retrieve(str(asked.value["question"]), 5, now=now, touch=False)
    said = await insight(lm, cited, seed=seed, purpose="memory: reflection")
    return (said, cited) if said else None
