"""A few sentences about a cluster, from its card; a language model may tell them anew, but no number of its own.

The model gets the sentences and answers once with a text, held to a schema where it can be. A number of its text must
stand in ours, a share as a share, no more often than there, and with a word of the clause that has it there; the size
of the group must be told, no number is written in words, a path is told as it is or not at all, and the text has an
end. Else it is refused, and ours stays. Who wrote a note, and what became of the model's words, is told with it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ethogram.errors import LMError
from ethogram.numeric.rules import Rule, number

TEMPLATE, TOLD, REFUSED, FAILED = OUTCOMES = ("template", "told", "refused", "failed")
"""What may have become of a note: no model was asked, its words stand, it changed a number, it gave no valid answer."""
ASKED = (
    "Tell a risk analyst in two plain sentences what the note above says of this group of transactions, how many they "
    "are first. Copy each number that you mention exactly as it is written, and mention no other."
)
LETTERS, TOKENS = 400, 200
"""Of an answer, at most: a schema that ends the text is what keeps a small model from writing on."""
_NUMBER = re.compile(r"(\d+(?:,\d{3})*(?:\.\d+)?)(\s?%|\s?percent\b)?")
_PATH = re.compile(r"[^\s,;]+(?: > [^\s,;.]+)+")
_CLAUSE = re.compile(r"(?<=[.;:!?])\s|[()]")
_COMMON = {
    w[:3] for w in ("the", "them", "that", "this", "they", "and", "for", "from", "with", "were", "was", "are", "has")
}
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
        f"{size:,} transactions that click alike{when}: {_percent(tagged / size)} tagged against {_percent(base)} of "
        f"all, {_percent(declined / size)} declined by the engine."
    ]
    if path:
        said.append(f"{_percent(share)} took the same path, {' > '.join(path)}; the median session took "
                    f"{number(round(seconds))} seconds.")  # fmt: skip
    if rules:
        held = rules[0].held
        measured = (
            f" (of {held.covered:,} that such a rule met and had not learned from, {_percent(held.precision)} are "
            "of the group)"
            if held is not None and held.covered
            else ""
        )
        said.append(f"What they share: {rules[0]}{measured}.")
    said.append(f"{through:,} of them passed untagged, worth {number(round(at_risk))}.")
    if growth >= 3:
        said.append(f"They came suddenly: the largest step from one window to the next was {growth:.1f}-fold.")
    return " ".join(said)


class Note(NamedTuple):
    """What is said of a cluster, who wrote it, the template's words, and one of `OUTCOMES`."""

    text: str
    by: str
    template: str
    outcome: str = TEMPLATE


def narrated(notes: Mapping[int, Note], lm: Any) -> dict[int, Note]:
    """The notes told anew by a language model, as many at once as its broker lets through."""
    from ethogram.lm import blocking

    async def every() -> list[Note]:
        return list(await asyncio.gather(*(_rewritten(n.template, lm) for n in notes.values())))

    return dict(zip(notes, blocking.run(every()), strict=True))


def counted(notes: Mapping[int, Note]) -> dict[str, int]:
    """Outcome -> notes."""
    return {outcome: sum(n.outcome == outcome for n in notes.values()) for outcome in OUTCOMES}


async def _rewritten(note: str, lm: Any) -> Note:
    schema = {
        "type": "object", "required": ["text"], "additionalProperties": False,
        "properties": {"text": {"type": "string", "maxLength": LETTERS}},
    }  # fmt: skip
    try:
        found = await lm.answer(ASKED, schema, data=[note], attempts=1, max_tokens=TOKENS, purpose="narrative")
    except LMError as error:
        return Note(note, f"{TEMPLATE} ({type(error).__name__} of {lm.identity})", note, FAILED)
    text = " ".join(str(found.value["text"]).split())
    if not locked(text, note):
        return Note(note, f"{TEMPLATE} (numbers changed by {lm.identity})", note, REFUSED)
    return Note(text, str(lm.identity), note, TOLD)


def locked(text: str, note: str) -> bool:
    """Whether a text states what a note states and nothing else, as far as its numbers tell; see the module.

    >>> note = "38 orders: 61% tagged; the median took 14 seconds."
    >>> locked("Of 38 orders, 61% were tagged.", note), locked("Of 38 orders, 61 were tagged.", note)
    (True, False)
    >>> locked("Of 38 orders 14 were tagged.", note), locked("Many orders.", note)
    (False, False)
    """
    spelled = {w.lower() for w in _WORDS.findall(text)} - {w.lower() for w in _WORDS.findall(note)}
    first = numbers(note)[:1]
    walked = set(_PATH.findall(text)) <= set(_PATH.findall(note))
    stated, known = numbers(text), numbers(note)
    often = set(first) <= set(stated) and all(stated.count(n) <= known.count(n) for n in set(stated))
    ours = [(set(numbers(c)), _stems(c)) for c in _CLAUSE.split(note)]
    placed = all(
        any(n in held and words & _stems(c) for held, words in ours) for c in _CLAUSE.split(text) for n in numbers(c)
    )
    return walked and not spelled and often and placed and text.rstrip().endswith((".", "!"))


def _stems(clause: str) -> set[str]:
    """What stands for a clause: its longer words, by their beginnings, so that tags and tagged are one."""
    return {w[:3] for w in re.findall(r"[a-z]{3,}", clause.lower())} - _COMMON


def numbers(text: str) -> list[tuple[float, bool]]:
    """The numbers that stand in a text, and whether each is a percentage."""
    return [(float(n.replace(",", "")), bool(unit)) for n, unit in _NUMBER.findall(text)]


def _percent(share: float) -> str:
    return (f"{100 * share:.2f}".rstrip("0").rstrip(".") if 0 < share < 0.1 else f"{100 * share:.0f}") + "%"


def _moment(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _span(micros: int) -> str:
    minutes = round(micros / 60e6)
    days, hours = minutes // 1440, minutes // 60
    return f"{days} days" if days > 2 else f"{hours} hours" if hours > 2 else f"{minutes} minutes"
