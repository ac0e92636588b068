"""Tool calls for models that make none by themselves: the call is asked for as a typed answer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ethogram.errors import AnswerError
from ethogram.lm import answers
from ethogram.lm.messages import Message, Sampling, Tool, ToolCall
from ethogram.lm.replies import Reply

if TYPE_CHECKING:
    from ethogram.lm.model import LM

NO_TOOL = "no_tool"


def schema(tools: Sequence[Tool], must_call: bool) -> dict[str, Any]:
    """One of the tools with its arguments, or (unless one must be called) a plain reply."""
    found = [_one(t.name, {**t.arguments}) for t in tools]
    if not must_call:
        found.append(
            _one(NO_TOOL, {"type": "object", "properties": {"reply": {"type": "string"}}, "required": ["reply"]})
        )
    return found[0] if len(found) == 1 else {"type": "object", "anyOf": found}


def _one(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": {"tool": {"const": name}, "arguments": arguments},
        "required": ["tool", "arguments"], "additionalProperties": False,
    }  # fmt: skip


async def through_schema(
    lm: LM, messages: Sequence[Message], tools: Sequence[Tool], must_call: bool, sampling: Sampling, purpose: str
) -> Reply:
    """A reply with at most one tool call, validated against the tool's schema."""
    told = "\n".join(f"- {t.name}: {t.description} Arguments: {json.dumps(t.arguments)}" for t in tools)
    rest = "" if must_call else f'\n- {NO_TOOL}: reply in words. Arguments: {{"reply": ...}}'
    shown = [m if m.role != "tool" else Message("user", f"Result of the tool: {m.text}") for m in messages]
    # the list of tools stands with the question: small models lose what stands far from the end
    shown[-1] = Message(shown[-1].role, f"{shown[-1].text}\n\nTools:\n{told}{rest}\nName one tool and its arguments.")
    answer = await answers.answer(
        lm, shown, schema(tools, must_call), temperature=sampling.temperature, max_tokens=sampling.max_tokens,
        seed=sampling.seed, purpose=purpose,
    )  # fmt: skip
    value = answer.value
    if not isinstance(value, dict) or "tool" not in value:
        raise AnswerError(f"{lm.identity} named no tool.")
    if value["tool"] == NO_TOOL:
        return dataclasses.replace(answer.reply, text=str(value["arguments"]["reply"]))
    return dataclasses.replace(
        answer.reply, text="", calls=(ToolCall(value["tool"], value["arguments"], "call-1"),), finish="tool_calls"
    )
