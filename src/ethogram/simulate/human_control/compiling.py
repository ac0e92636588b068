"""A description in words becomes a scenario: a language model fills the schema, the schema's checks decide.

What was not said stays null; what is required and was not said is refused by name, never invented. `grammar` is a
model by rule for the sentences that it knows; any other model answers under the same schema.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

from ethogram.lm import LM, ScriptedLM
from ethogram.lm.messages import Message
from ethogram.simulate.human_control.scenario import Scenario

_CHANCE = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_WHOLE = {"type": ["integer", "null"], "minimum": 0}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "habit": {"type": ["string", "null"], "maxLength": 60}, "people": _WHOLE, "until": _WHOLE,
        "innovation": _CHANCE, "imitation": _CHANCE, "abandonment": _CHANCE, "quota": _WHOLE,
        "campaigns": {
            "type": "array", "maxItems": 8,
            "items": {
                "type": "object", "properties": {"at": {"type": "integer"}, "strength": {"type": "number"}},
                "required": ["at", "strength"], "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}  # fmt: skip
SCHEMA["required"] = list(SCHEMA["properties"])
ASKED = (
    "Fill in the settings of a simulation of how a habit spreads. habit: what people take up. people: how many. until: "
    "days. innovation, imitation, abandonment: chances per day. quota: how many may take it up per day. campaigns: day "
    "and strength (0 to 1). What the description does not say is null."
)


def compiled(text: str, lm: LM | None = None) -> Scenario:
    """The scenario that a description means.

    Raises
    ------
    OptionError
        The description does not say something that is required (named), or asks for what cannot be.
        LMError: the model gave no answer under the schema.
    """
    model = lm or ScriptedLM(grammar, name="scenario grammar")
    found = model.sync.answer(ASKED, SCHEMA, data=[text], max_tokens=300, purpose="control: compile")
    return Scenario.of({"purpose": text.strip(), **found.value})


_UNITS = {"day": 1, "week": 7, "month": 30}
_WORDS = {"rarely": 0.005, "weak": 0.1, "weakly": 0.1, "strong": 0.6, "strongly": 0.6, "often": 0.1, "seldom": 0.01}
_NUMBER = r"(\d[\d,]*)"
_HABIT = re.compile(
    r"\b(?:spread of|adopt(?:s|ing)?|take(?:s)? up|taking up|start(?:s)?|begin(?:s)?)\s+"
    r"(?!and\b|it\b|a day\b|per day\b)([a-z][a-z -]{2,40}?)"
    r"(?=\s+(?:among|in|for|over|with|from|where|during|and|if|while|through)\b|[,.:;?]|$)",
    re.IGNORECASE,
)
_PEOPLE = re.compile(_NUMBER + r"\s+(?:\w+ )?(?:people|residents|neighbours|students|households|employees|persons)\b")
_UNTIL = re.compile(r"\b(?:for|over|during|run)\s+" + _NUMBER + r"\s+(day|week|month)s?\b", re.IGNORECASE)
_QUOTA = re.compile(r"\b(?:at most|no more than|quota of|up to)\s+" + _NUMBER + r"\b")
_SHOCK = re.compile(
    r"\bcampaign[s]?\b(?: of strength (\d*\.?\d+))?\s+(?:on|at|from|after)\s+day\s+(\d+)(?: of strength (\d*\.?\d+))?"
)
_RATE = {
    "innovation": re.compile(r"\binnovation(?: is| of| at|:)?\s+(\d*\.?\d+)", re.IGNORECASE),
    "imitation": re.compile(
        r"\bimitat(?:ion|e)(?: is| of| at|:)?\s+(?:each other )?(\d*\.?\d+|strongly|weakly|strong|weak)"
        r"|\b(strong|weak)\s+imitation",
        re.IGNORECASE,
    ),
    "abandonment": re.compile(
        r"\b(?:abandonment(?: is| of| at|:)?|gives? (?:(?:it|them) )?up|drop (?:it|them))\s+"
        r"(\d*\.?\d+|rarely|often|seldom)",
        re.IGNORECASE,
    ),
}


def grammar(messages: Sequence[Message], luck: random.Random) -> dict[str, Any]:
    """The settings that a description says, by pattern."""
    quoted = re.search(r"<data[^>]*>(.*?)</data>", messages[-1].text, re.DOTALL)
    text = quoted.group(1) if quoted else messages[-1].text
    text = " ".join(text.split())

    def whole(pattern: re.Pattern[str]) -> int | None:
        found = pattern.search(text)
        return int(found.group(1).replace(",", "")) if found else None

    habit, span = _HABIT.search(text), _UNTIL.search(text)
    rates: dict[str, float | None] = {}
    for name, pattern in _RATE.items():
        found = pattern.search(text)
        said = next((g for g in found.groups() if g), "").lower() if found else ""
        rates[name] = None if not said else _WORDS[said] if said in _WORDS else float(said)
    shocks = [{"at": int(d), "strength": float(a or b or 0.1)} for a, d, b in _SHOCK.findall(text)]
    return {
        "habit": habit.group(1).strip() if habit else None, "people": whole(_PEOPLE),
        "until": int(span.group(1).replace(",", "")) * _UNITS[span.group(2)] if span else None,
        **rates, "quota": whole(_QUOTA), "campaigns": shocks,
    }  # fmt: skip
