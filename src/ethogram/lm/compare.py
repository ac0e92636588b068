"""Two runs side by side: the same questions, whoever answered them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pair:
    """One question: its purpose, and what either run was told; None where the run did not ask it."""

    purpose: str
    question: str
    first: str | None
    second: str | None

    @property
    def state(self) -> str:
        if self.second is None:
            return "only first"
        if self.first is None:
            return "only second"
        return "same" if self.first == self.second else "differs"


def compare(first: Iterable[Mapping[str, Any]], second: Iterable[Mapping[str, Any]]) -> list[Pair]:
    """Pairs by purpose and question, in the order of the first run and then of what only the second has.

    The model's name is no part of the question, so that runs of two models can be compared. Equal questions are
    paired in the order in which they were asked.
    """
    left: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for call in second:
        left[_key(call)].append(call)
    found = []
    for call in first:
        others = left.get(_key(call))
        other = others.pop(0) if others else None
        found.append(Pair(call["purpose"], question(call), told(call), told(other) if other else None))
    rest = sorted((c for calls in left.values() for c in calls), key=lambda c: c["seq"])
    return [*found, *(Pair(c["purpose"], question(c), None, told(c)) for c in rest)]


def _key(call: Mapping[str, Any]) -> tuple[str, str]:
    request = {k: v for k, v in (call["request"] or {}).items() if k != "model"}
    return call["purpose"], json.dumps([call["path"], request], sort_keys=True) if request else call["key"]


def question(call: Mapping[str, Any]) -> str:
    """What was asked last, in words."""
    request = call["request"] or {}
    if "messages" in request:
        said = str(request["messages"][-1].get("content") or "")
    else:
        said = str(request.get("prompt") or request.get("input") or "")
    more = request.get("continuations")
    return f"{said} | {' | '.join(map(str, more))}" if more else said


def told(call: Mapping[str, Any]) -> str:
    """What was answered, in words; an error as it was written down."""
    if call["error"]:
        return str(call["error"])
    reply = call["reply"] or {}
    if "choices" in reply:
        message = reply["choices"][0].get("message") or {}
        calls = [c["function"] for c in message.get("tool_calls") or ()]
        return str(message.get("content") or "") + "".join(f"{f['name']}({f['arguments']})" for f in calls)
    if "scores" in reply:
        return " | ".join(f"{sum(p for _, p in one):.4f}" for one in reply["scores"])
    return ""
