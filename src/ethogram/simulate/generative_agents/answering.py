"""How the rule-based townsfolk answer interviews: from who they are, what comes to mind, and the plan they were shown.

They look things up and do not count: what takes many records together they know only if they have concluded it when
they reflected. Where they know nothing they say so if that is offered, else the first option, a guess without source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Note(NamedTuple):
    """A record as it was shown: its number, day ("13 February"), minute of the day, and text."""

    number: int
    day: str
    minute: int
    text: str


_NOTE = re.compile(r"^(\d+)\. \[\w+ (\d+ \w+), (\d+):(\d+)\] (.*)$", re.MULTILINE)
_SAID = re.compile(r"^([^\":]+?) said to me: ")
Answer = tuple[str | None, Sequence[int]]


def answered(person: Any, text: str) -> dict[str, Any]:
    """{"answer", "because_of"} to the question at the end of a prompt; `person` is a `scripted.Person`."""
    asked, _, offered = text.partition("Question: ")[2].partition("\nAnswer with one of: ")
    options = offered.partition("\n")[0].split("; ") if offered else []
    question = asked.partition("\n\n")[0]
    notes = [Note(int(n), day, 60 * int(h) + int(m), told) for n, day, h, m, told in _NOTE.findall(text)]
    for pattern, rule in _RULES:
        if found := re.search(pattern, question):
            said, numbers = rule(person, notes, text, *found.groups())
            break
    else:
        said, numbers = _from_words(notes, question), ()
    return {"answer": _offered(said, options), "because_of": list(numbers)[:5]}


def _offered(said: str | None, options: Sequence[str]) -> str:
    if not options:
        return said or "I do not know."
    if said in options:
        return str(said)
    return next((o for o in options if o in ("no", "nobody", "nothing", "0")), options[0])


def _from_words(notes: Sequence[Note], question: str) -> str | None:
    words = set(re.findall(r"\w{4,}", question.lower()))
    best = max(notes, key=lambda n: len(words & set(re.findall(r"\w{4,}", n.text.lower()))), default=None)
    return best.text if best else None


def _field(name: str) -> Callable[..., Answer]:
    def rule(person: Any, notes: Sequence[Note], text: str) -> Answer:
        found = re.search(rf"^{name}: ([^,\n]*)", person.text, re.MULTILINE)
        return (found[1] if found else None), ()

    return rule


def _up(person: Any, notes: Sequence[Note], text: str) -> Answer:
    return str(person.up), ()


def _heard(person: Any, notes: Sequence[Note], text: str, what: str) -> Answer:
    named = [n.number for n in notes if what in n.text]
    return ("yes" if named or what in person.own_news() else "no"), named


def _today(notes: Sequence[Note], text: str) -> list[tuple[Note, str]]:
    """Lines that were said to the person today, and by whom, by time."""
    day = re.search(r"Task: interview\. It is \w+ (\d+ \w+),", text)
    said = [(n, m[1]) for n in notes if (m := _SAID.match(n.text)) and day and n.day == day[1]]
    return sorted(said, key=lambda s: s[0].minute)


def _edge(last: bool) -> Callable[..., Answer]:
    def rule(person: Any, notes: Sequence[Note], text: str) -> Answer:
        said = _today(notes, text)
        if not said:
            return None, ()
        note, who = said[-1 if last else 0]
        return who, [note.number]

    return rule


def _talked(person: Any, notes: Sequence[Note], text: str, other: str) -> Answer:
    found = [n.number for n in notes if n.text.startswith(f"{other} said to me") or n.text == f"I talked with {other}"]
    return ("yes" if found else "no"), found


def _will_be(person: Any, notes: Sequence[Note], text: str, hour: str) -> Answer:
    """From the plan; without one, at work in working hours and else at home."""
    from ethogram.simulate.generative_agents.scripted import expanded

    minute = 60 * int(hour) + 30
    for a, b, c, d, told in re.findall(r"^(\d+):(\d+) to (\d+):(\d+) (.*)$", text, re.MULTILINE):
        if 60 * int(a) + int(b) <= minute < 60 * int(c) + int(d):
            what = expanded(told, int(a), int(hour) + 1)[-1]
            place = re.search(r" (?:at|in) (?:the )?([A-Z].*)$", what)
            return (place[1] if place else person.home), ()
    return (person.work if person.hours[0] <= int(hour) < person.hours[1] else person.home), ()


def _latest(notes: Sequence[Note], pattern: str) -> tuple[str, int] | None:
    """(what a conclusion says, its number), of the one that was drawn last."""
    drawn = [((n.day, n.minute), n.number, m[1]) for n in notes if (m := re.search(pattern, n.text))]
    if not drawn:
        return None
    _, number, said = max(drawn)
    return said.strip(" ."), number


def _concluded(begins: str, pattern: str) -> Callable[..., Answer]:
    """From the latest conclusion; else from the first note that says anything of the kind."""

    def rule(person: Any, notes: Sequence[Note], text: str) -> Answer:
        found = _latest(notes, rf"^{begins} (.*)$") or next(
            ((m[1], n.number) for n in notes if (m := re.search(pattern, n.text))), None
        )
        return (None, ()) if found is None else (found[0], [found[1]])

    return rule


def _how_many(person: Any, notes: Sequence[Note], text: str) -> Answer:
    found = _latest(notes, r"^So many people have talked with me: (\d+)")
    count = int(found[0]) if found else int(any(_SAID.match(n.text) for n in notes))
    few = "nobody" if not count else "one to three" if count < 4 else "four to six" if count < 7 else "seven or more"
    return few, [found[1]] if found else ()


def _news(person: Any, notes: Sequence[Note], text: str) -> Answer:
    from ethogram.simulate.generative_agents.scripted import TOPIC, news

    found = _latest(notes, rf"^{TOPIC} this: (.*)$")
    if found:
        return next(iter(news(f"{found[0]}.")), None), [found[1]]
    return next(((one, [n.number]) for n in notes if _SAID.match(n.text) for one in news(n.text)), (None, ()))


def _asking(person: Any, notes: Sequence[Note], text: str) -> Answer:
    if found := _latest(notes, r"^People come to me (\w+)"):
        return found[0], [found[1]]
    first = next((n for n in notes if _SAID.match(n.text)), None)
    return ("both", ()) if first is None else ("asking" if "?" in first.text else "telling", [first.number])


def _rules() -> list[tuple[str, Callable[..., Answer]]]:
    from ethogram.simulate.generative_agents.scripted import PLACE, SEEN, WHO

    return [
        (r"^What is your name", _field("Name")),
        (r"^How old are you", _field("Age")),
        (r"^Where is your home", _field("Home")),
        (r"^Where do you work", _field("Work")),
        (r"^At what hour do you usually get up", _up),
        (r"^Have you heard of this: (.*)\?$", _heard),
        (r"^Who was the first to say something to you today", _edge(False)),
        (r"^Who was the last to say something to you today", _edge(True)),
        (r"^You meet ([\w ]+)\. Have the two of you talked before", _talked),
        (r"^Have you talked with ([\w ]+)\?", _talked),
        (r"^Where will you be at (\d+):30", _will_be),
        (r"^Who talks most with you", _concluded(WHO, r"^([^\":]+?) said to me: ")),
        (r"^How many people have talked with you", _how_many),
        (r"^Which news is told to you most", _news),
        (r"^Do people come to you asking or telling", _asking),
        (r"^Where are you most, besides", _concluded(PLACE, SEEN)),
    ]


_RULES = _rules()
