"""What a resident's model is asked, and the schema of each answer. No name of a person or place is in a template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Asked = tuple[str, dict[str, Any]]
LEAST, MOST = 5, 15
"""Minutes of a part of an hour."""
STEPS = 6
"""Parts of an hour at most, none of which is needed; the last one goes on."""
STROKE, BRIEF = 72, 60
"""Letters of a stroke, and of what is done in an hour or less."""


def _object(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _text(most: int = 120) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most}


def _list(item: dict[str, Any], least: int, most: int) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": least, "maxItems": most}


def remembered(lines: Sequence[str]) -> str:
    """Memories, numbered from 1."""
    told = [f"{i}. {line}" for i, line in enumerate(lines, 1)] or ["nothing of this"]
    return "\n".join(["You remember:", *told, ""])


def worths(name: str, events: Sequence[str]) -> Asked:
    told = "\n".join(f"{i}. {event}" for i, event in enumerate(events, 1))
    asked = (
        "Task: worths. On a scale from 1 (brushing teeth) to 10 (a break-up), how important is each of these to "
        f"{name}?\n{told}"
    )
    number = {"type": "integer", "minimum": 1, "maximum": 10}
    return asked, _object(importance=_list(number, len(events), len(events)))


def rising(name: str, date: str) -> Asked:
    schema = _object(hour={"type": "integer", "minimum": 3, "maximum": 11})
    return f"Task: rising. It is {date}. At what hour does {name} get up?", schema


def mind(name: str, date: str, lines: Sequence[str]) -> Asked:
    asked = f"Task: mind. It is {date}. In one or two sentences, what is on {name}'s mind for the days to come?"
    return f"{remembered(lines)}\n{asked}", _object(currently=_text(300))


def _at(hour: int) -> str:
    return f"at {hour}:00"


def by_hour(told: Mapping[str, Any], hours: Iterable[int]) -> list[str]:
    """Answers that are named by hours, in their order."""
    return [str(told[_at(h)]) for h in hours]


def day(name: str, date: str, hours: Sequence[int], lines: Sequence[str]) -> Asked:
    """Fields named by hours: a small model fills them with what is done, where a list gets it to count."""
    asked = (
        f"Task: day. {name} gets up at {hours[0]}:00. What does {name} do on {date} from each hour on? In a few words, "
        "such as: working, having lunch with a friend, reading at home."
    )
    return f"{remembered(lines)}\n{asked}", _object(**{_at(h): _text(STROKE) for h in hours})


def hours(name: str, hours: Sequence[int], stroke: str) -> Asked:
    asked = (
        f"Task: hours. From {hours[0]}:00 to {hours[-1] + 1}:00 the plan of {name} is: {stroke}\n"
        f"What does {name} do at each hour? In a few words, such as: talking with a guest."
    )
    return asked, _object(**{_at(h): _text(BRIEF) for h in hours})


def rest(name: str, date: str, left: Mapping[int, str], lines: Sequence[str]) -> Asked:
    told = "\n".join(f"{hour}:00 {what}" for hour, what in left.items())
    asked = (
        f"Task: rest. It is {date}, {next(iter(left))}:00. The rest of the day of {name} was planned as:\n{told}\n"
        "Does what was just heard change it? Give it again, changed or not."
    )
    return f"{remembered(lines)}\n{asked}", _object(**{_at(h): _text(STROKE) for h in left})


def split(activity: str, clock: str, minutes: int) -> Asked:
    part = _object(activity=_text(BRIEF), minutes={"type": "integer", "minimum": LEAST, "maximum": MOST})
    asked = f"Task: split. From {clock} on, for {minutes} minutes: {activity}. In which steps of 5 to 15 minutes?"
    return asked, _object(parts=_list(part, 1, STEPS))


def now(name: str, clock: str, place: str, lines: Sequence[str]) -> Asked:
    asked = f"Task: now. It is {clock}. {name} is in {place}. What does {name} do now, and for how many minutes?"
    schema = _object(activity=_text(80), minutes={"type": "integer", "minimum": 10, "maximum": 600})
    return f"{remembered(lines)}\n{asked}", schema


def place(activity: str, here: str, options: Sequence[str]) -> Asked:
    asked = (
        f"Task: place. Activity: {activity}. Where? The person is in {here}, and stays there if it serves. "
        f"Open are: {'; '.join(options)}."
    )
    return asked, _object(place={"enum": list(options)})


def use(name: str, activity: str, arena: str, objects: Sequence[str]) -> Asked:
    asked = (
        f"Task: use. {name} is {activity} in the {arena}. With which object of {'; '.join(objects)}? In which state is "
        "it then, in a few words, and which emoji stands for the act?"
    )
    return asked, _object(object={"enum": list(objects)}, state=_text(60), emoji={"type": "string", "maxLength": 8})


def react(name: str, clock: str, doing: str, sight: str, lines: Sequence[str]) -> Asked:
    asked = (
        f"Task: react. It is {clock}. {name} is {doing}, and sees: {sight}. Talk to them, wait until they are done, or "
        "ignore it? For waiting, how many minutes?"
    )
    schema = _object(
        reaction={"enum": ["talk", "wait", "ignore"]}, minutes={"type": "integer", "minimum": 0, "maximum": 30}
    )
    return f"{remembered(lines)}\n{asked}", schema


def relation(name: str, other: str, lines: Sequence[str]) -> Asked:
    asked = f"Task: relation. In one sentence, what are {name} and {other} to each other?"
    return f"{remembered(lines)}\n{asked}", _object(summary=_text(200))


def line(name: str, other: str, clock: str, relation: str, said: Sequence[str], lines: Sequence[str]) -> Asked:
    so_far = "\n".join(said) or "(nobody has spoken yet)"
    asked = (
        f"Task: line. It is {clock}. {name} talks with {other}. {relation}\nConversation so far:\n{so_far}\n\n"
        f"What does {name} say next, does it end the conversation, and from which numbers of what is remembered is it?"
    )
    numbers = {"type": "array", "items": {"type": "integer"}, "maxItems": 5}
    return f"{remembered(lines)}\n{asked}", _object(say=_text(240), end={"type": "boolean"}, because_of=numbers)


def keep(name: str, other: str, said: Sequence[str]) -> Asked:
    lines = "\n".join(f"{i}. {one}" for i, one in enumerate(said, 1))
    asked = (
        f"Task: keep. The conversation:\n{lines}\n\nWhat of it should {name} remember for plans, from which lines is "
        f"that, and what was it to {name}, in a sentence each?"
    )
    numbers = {"type": "array", "items": {"type": "integer"}, "maxItems": 5}
    return asked, _object(remember=_text(240), because_of=numbers, memo=_text(160))


def interview(
    name: str, clock: str, told: str, plan: str, question: str, options: Sequence[str], lines: Sequence[str]
) -> str:
    one_of = f"\nAnswer with one of: {'; '.join(options)}" if options else ""
    planned = f"Planned for today:\n{plan}\n\n" if plan else ""
    return (
        f"{remembered(lines)}\n{planned}Task: interview. It is {clock}. {told}\nAnswer as {name}, from what is known "
        f"above only.\nQuestion: {question}{one_of}"
    )
