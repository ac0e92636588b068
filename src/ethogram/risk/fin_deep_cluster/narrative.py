"""A few sentences about a cluster, from its card; a language model may rewrite them, but no number.

The model gets the sentences and answers with a text. Every number of its text must stand in ours, every number of ours
in its, and it may write none in words; else ours stay. Who wrote it is told with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ethogram.errors import LMError
from ethogram.numeric.rules import Rule, number

TEMPLATE = "template"
ASKED = (
    "Rewrite the note above for a risk analyst, in plain sentences. Keep every number exactly as it is written, leave "
    "none out and add none."
)
SCHEMA = {
    "type": "object", "required": ["text"], "additionalProperties": False,
    "properties": {"text": {"type": "string"}},
}  # fmt: skip
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_WORDS = re.compile(
    r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|twenty|thirty|forty|fifty|sixty|"
    r"seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?|half|third|quarter|double|twice|triple)\b",
    re.IGNORECASE,
)


def tell(
    size: int, tagged: int, declined: int, base: float, began: int, ended: int, seconds: float, at_risk: float,
    through: int, growth: float, path: Sequence[str], share: float, rules: Sequence[Rule],
) -> str:  # fmt: skip
    """The note by template. `began`, `ended` in microseconds since 1970, 0 without a clock."""
    when = f" within {_span(ended - began)}, from {_moment(began)}" if began > 0 else ""
    said = [
        f"{size:,} transactions with like clicks{when}: {_percent(tagged / size)} tagged against {_percent(base)} of "
        f"all, {_percent(declined / size)} declined by the engine."
    ]
    if path:
        said.append(f"{_percent(share)} took the same path, {' > '.join(path)}; the median session took "
                    f"{number(round(seconds))} seconds.")  # fmt: skip
    if rules:
        held = rules[0].held
        measured = (
            f" (of {held.covered:,} kept back that meet it, {_percent(held.precision)} are of the group)"
            if held is not None and held.covered
            else ""
        )
        said.append(f"What they share: {rules[0]}{measured}.")
    said.append(f"{through:,} of them passed untagged, worth {number(round(at_risk))}.")
    if growth >= 3:
        said.append(f"They came suddenly: the largest step from one window to the next was {growth:.1f}-fold.")
    return " ".join(said)


def rewritten(note: str, lm: Any) -> tuple[str, str]:
    """(text, who wrote it): the model's words where its numbers are ours, else the note."""
    try:
        found = lm.sync.answer(ASKED, SCHEMA, data=[note], max_tokens=400, purpose="narrative")
    except LMError as error:
        return note, f"{TEMPLATE} ({type(error).__name__} of {lm.identity})"
    text = " ".join(str(found.value["text"]).split())
    if not locked(text, note):
        return note, f"{TEMPLATE} (numbers changed by {lm.identity})"
    return text, str(lm.identity)


def locked(text: str, note: str) -> bool:
    """Whether a text has the numbers of a note, all of them and no other, in digits.

    >>> locked("Of 38 orders, 61% were tagged.", "38 orders: 61% tagged"), locked("About 40 orders.", "38 orders")
    (True, False)
    """
    spelled = {w.lower() for w in _WORDS.findall(text)} - {w.lower() for w in _WORDS.findall(note)}
    return not spelled and numbers(text) == numbers(note)


def numbers(text: str) -> set[float]:
    """The numbers that stand in a text."""
    return {float(n.replace(",", "")) for n in _NUMBER.findall(text)}


def _percent(share: float) -> str:
    return (f"{100 * share:.2f}".rstrip("0").rstrip(".") if 0 < share < 0.1 else f"{100 * share:.0f}") + "%"


def _moment(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _span(micros: int) -> str:
    minutes = round(micros / 60e6)
    days, hours = minutes // 1440, minutes // 60
    return f"{days} days" if days > 2 else f"{hours} hours" if hours > 2 else f"{minutes} minutes"
