"""Townspeople by rule: a model that answers what residents are asked from the prompt alone.

It knows nothing of the world. Who speaks, what comes to mind, what was said and what is planned stand in the prompt;
so news goes from one to another only if it was said, kept, and came to mind again. Its people have habits by the hour,
pass on what sounds like news, keep appointments that they remember when they plan, and count when they reflect.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from itertools import pairwise
from typing import Any

from ethogram.errors import LMError
from ethogram.lm import ScriptedLM
from ethogram.lm.messages import Message
from ethogram.simulate.generative_agents.planning import LONG
from ethogram.simulate.generative_agents.prompts import STROKE

NEWS = re.compile(r"[A-Z][^\"\n.]*\b(?:is a party|is running for|is a concert|are closing)\b[^\"\n.]*\.")
"""A sentence that is passed on."""
_DATED = re.compile(r"the ([\w' é]+?) on (\d+ \w+) at (\d+):00")
_LINE = re.compile(r"^(\d+)\. \[([^\]]+)\] (.*)$", re.MULTILINE)
_SAID = re.compile(r'^(?:\d+\. )?(.*?): "(.*)"$', re.MULTILINE)
_TASK = re.compile(r"^Task: (\w+)\. ", re.MULTILINE)


HEARD = "has heard this."
TALKS, TELLS = 0.1, 0.4
"""Chances that somebody who comes into sight is talked to, and that a piece of news is told that comes to mind."""


class Person:
    """Who speaks, as the system's message tells it."""

    def __init__(self, system: str, talks: float = TALKS, tells: float = TELLS):
        self.talks, self.tells = talks, tells

        def field(name: str, default: str = "") -> str:
            found = re.search(rf"^{name}: (.*)$", system, re.MULTILINE)
            return found.group(1) if found else default

        self.name, self.home, self.currently = field("Name"), field("Home"), field("Currently")
        work = re.match(r"(.*), from (\d+):00 to (\d+):00", field("Work"))
        self.work, self.hours = (work.group(1), (int(work[2]), int(work[3]))) if work else ("", (9, 17))
        times = [int(h) for h in re.findall(r"(\d+):00", field("Lifestyle"))]
        self.up, self.bed = (times[0], times[1]) if len(times) > 1 else (7, 23)
        self.text = system

    @property
    def first(self) -> str:
        return self.name.split(" ")[0]

    def own_news(self) -> list[str]:
        """News that is the person's own matter; what was only heard comes to mind as a memory, with its source."""
        return [] if HEARD in self.currently else news(self.currently)

    def taste(self, about: str, n: int) -> int:
        """A number below n that is this person's own."""
        return blake2b(f"{self.name} {about}".encode(), digest_size=2).digest()[0] % n

    def habit(self, hour: int, rises: int | None = None) -> str:
        """What the person usually does at an hour."""
        up = self.up if rises is None else rises
        if not up <= hour < self.bed:
            return "sleeping"
        if hour == up:
            return "washing and getting ready at home"
        if hour == 12 + self.taste("lunch", 2):
            where = ("Lantern Café", "River Park", "Lantern Café", self.work or self.home)[self.taste("table", 4)]
            return f"having lunch at {where}"
        if self.work and self.hours[0] <= hour < self.hours[1]:
            return f"working at {self.work}"
        if hour < 12:
            return "having breakfast at home"
        if hour < 20:
            leisure = ("having a drink at Lantern Café", "walking in River Park", "reading at Library",
                       "shopping at Corner Store", "having a drink at Lantern Café")  # fmt: skip
            return leisure[self.taste(f"leisure {hour // 2}", 5)]
        return "resting at home"


def news(text: str) -> list[str]:
    """Sentences of a text that sound like news, each once."""
    # what somebody said about it ("I should remember: ...") is no part of it
    return list(dict.fromkeys(m.group(0).rpartition(": ")[2] for m in NEWS.finditer(text)))


def appointments(text: str, date: str) -> dict[int, str]:
    """Hour to what a text says is on at this date ("Friday 13 February" or with a time)."""
    found = {}
    for where, day, hour in _DATED.findall(text):
        if day in date:
            found[int(hour)] = f"attending the party at {where}"
    return found


def townsfolk(seed: int = 0, *, talks: float = TALKS, tells: float = TELLS, **options: Any) -> ScriptedLM:
    """The model.

    Parameters
    ----------
    talks : chance that somebody who comes into sight is talked to. tells : that news which comes to mind is told.
    **options : of `ScriptedLM`.
    """
    name = f"townsfolk {seed}" if (talks, tells) == (TALKS, TELLS) else f"townsfolk {seed} {talks} {tells}"
    return ScriptedLM(partial(_rule, talks=talks, tells=tells), name=name, seed=seed, **options)


def _rule(messages: Sequence[Message], rng: random.Random, talks: float = TALKS, tells: float = TELLS) -> Any:
    text = messages[-1].text
    person = Person(messages[0].text, talks, tells)
    if found := _TASK.search(text):
        return _TASKS[found.group(1)](person, text, rng)
    if "most important questions about the person" in text:
        asked = ["Who said something to me?", "Where is everybody working?", "What was said to me, I talked with"]
        return {"questions": asked}
    if "What follows from these notes about:" in text:
        return {"insights": _insights(text)}
    raise LMError(f"the townsfolk have no rule for this: {text[-120:]!r}")


def _worth(text: str) -> int:
    if news(text):
        return 8
    if "said to me" in text or "talked with" in text:
        return 4
    return 2 if " is " in text else 3


def _worths(person: Person, text: str, rng: random.Random) -> Any:
    return {"importance": [_worth(told) for told in re.findall(r"^\d+\. (.*)$", text, re.MULTILINE)]}


def _lines(text: str) -> list[tuple[int, str]]:
    """(number, text) of what is remembered."""
    return [(int(n), told) for n, _, told in _LINE.findall(text)]


def _goes(person: Person, text: str) -> bool:
    """Whether this person keeps such an appointment; who gives a party does."""
    return "is the host" in person.currently or person.taste("parties", 10) < 8


_LATER = re.compile(r"; (\d+):\d\d ")
"""Within a stroke: from then on something else."""


def expanded(stroke: str, first: int, until: int) -> list[str]:
    """What a stroke says for each of its hours.

    >>> expanded("reading; 11:00 eating", 9, 12)
    ['reading', 'reading', 'eating']
    """
    begin, *rest = _LATER.split(stroke)
    made = [begin] * (until - first)
    for hour, what in zip(rest[::2], rest[1::2], strict=True):
        at = max(int(hour) - first, 0)
        made[at:] = [what] * (until - first - at)
    return made


def folded(hours: Sequence[str], first: int) -> str:
    """Hours as a stroke; what is too long to be said is left out, the last first, appointments last of all.

    >>> folded(["reading", "reading", "eating"], 9)
    'reading; 11:00 eating'
    """
    parts = [(first, hours[0])]
    parts += [(h, what) for h, (before, what) in enumerate(pairwise(hours), first + 1) if what != before]
    while True:
        told = "; ".join([parts[0][1], *(f"{h}:00 {what}" for h, what in parts[1:])])
        if len(told) <= STROKE or len(parts) == 1:
            return told[:STROKE]
        parts.remove(max(parts[1:], key=lambda part: ("attending" not in part[1], part[0])))


def _by_stroke(hours: Sequence[str], starts: Sequence[int]) -> dict[str, str]:
    ends = [*starts[1:], 24]
    return {f"at {a}:00": folded(hours[a:b], a) for a, b in zip(starts, ends, strict=True)}


def _hours(person: Person, text: str, rng: random.Random) -> Any:
    found = re.search(r"From (\d+):00 to (\d+):00 the plan of \S+ is: (.*)", text)
    first, until, stroke = int(found[1]), int(found[2]), found[3]  # type: ignore[index]
    made = {}
    for hour, what in enumerate(expanded(stroke, first, until), first):
        made[f"at {hour}:00"] = what if "attending" in what else person.habit(hour)
    return made


def _day(person: Person, text: str, rng: random.Random) -> Any:
    rises = int(re.search(r"gets up at (\d+):00", text)[1])  # type: ignore[index]
    date = re.search(r"do on (\w+ \d+ \w+) from", text)[1]  # type: ignore[index]
    made = [person.habit(h, rises) for h in range(24)]
    told = text + person.currently
    if (dates := appointments(told, date)) and _goes(person, told):
        for hour, what in dates.items():
            for h in range(hour, min(hour + 2, person.bed)):
                made[h] = what
    return _by_stroke(made, list(range(rises, 24, LONG)))


def _rest(person: Person, text: str, rng: random.Random) -> Any:
    planned = [(int(h), what) for h, what in re.findall(r"^(\d+):00 (.*)$", text, re.MULTILINE)]
    dates = appointments(text.partition("Task: rest")[0], re.search(r"It is (\w+ \d+ \w+),", text)[1])  # type: ignore[index]
    if not dates or not _goes(person, text):
        return {f"at {h}:00": what for h, what in planned}
    starts = [h for h, _ in planned]
    made = [""] * 24
    for (a, what), b in zip(planned, [*starts[1:], 24], strict=True):
        made[a:b] = expanded(what, a, b)
    for hour in range(starts[0], 24):
        new = next((w for h, w in dates.items() if h <= hour < h + 2), None)
        made[hour] = new if new and "sleep" not in made[hour] else made[hour]
    return _by_stroke(made, starts)


def _now(person: Person, text: str, rng: random.Random) -> Any:
    day, hour = re.search(r"It is (\w+ \d+ \w+), (\d+):", text).groups()  # type: ignore[union-attr]
    told = text.partition("Task: now")[0] + person.currently
    if (dates := appointments(told, day)) and int(hour) in dates and _goes(person, told):
        return {"activity": dates[int(hour)], "minutes": 120}
    what = person.habit(int(hour))
    if what == "sleeping":
        return {"activity": what, "minutes": 480}
    return {"activity": what, "minutes": rng.choice([60, 90, 120, 180])}


def _place(person: Person, text: str, rng: random.Random) -> Any:
    activity = re.search(r"Activity: (.*?)\. Where\?", text)[1]  # type: ignore[index]
    here = re.search(r"The person is in (.*?), and stays", text)[1]  # type: ignore[index]
    options = re.search(r"Open are: (.*?)\.(?:\n|$)", text)[1].split("; ")  # type: ignore[index]
    named = [o for o in options if o in activity]
    if "home" in activity and person.home in options:
        named = [person.home]
    if "washing" in activity and "bathroom" in options:
        named = ["bathroom"]
    if not named:
        named = [o for o in options if o in here] or [o for o in options if o not in ("bathroom", "bedroom")]
    return {"place": (named or options)[0]}


def _use(person: Person, text: str, rng: random.Random) -> Any:
    options = re.search(r"With which object of (.*?)\? In", text)[1].split("; ")  # type: ignore[index]
    activity = re.search(r"Task: use\. \S+ is (.*?) in the ", text)[1]  # type: ignore[index]
    return {"object": rng.choice(options), "state": f"in use for {activity}"[:60], "emoji": "🙂"}


def _split(person: Person, text: str, rng: random.Random) -> Any:
    minutes, activity = re.search(r"for (\d+) minutes: (.*?)\. In which", text).groups()  # type: ignore[union-attr]
    steps = ("beginning with", "busy with", "going on with", "finishing")
    short = activity[:44]
    return {"parts": [{"activity": f"{s} {short}", "minutes": 15} for s in steps[: max(1, int(minutes) // 15)]]}


def _react(person: Person, text: str, rng: random.Random) -> Any:
    if rng.random() < (0.5 if "attending" in text else person.talks):
        return {"reaction": "talk", "minutes": 0}
    return {"reaction": "wait" if rng.random() < 0.1 else "ignore", "minutes": 2}


def _relation(person: Person, text: str, rng: random.Random) -> Any:
    other = re.search(r"what are \S+ and (.*?) to each other", text)[1]  # type: ignore[index]
    if other in person.text or any(other in told for _, told in _lines(text)):
        return {"summary": f"{person.first} knows {other}."}
    return {"summary": f"{person.first} has not talked with {other} before."}


def _line(person: Person, text: str, rng: random.Random) -> Any:
    so_far = text.partition("Conversation so far:")[2]
    mine = [said for who, said in _SAID.findall(so_far) if who == person.name]
    spoken = set(news(so_far))
    for number, told in _lines(text):
        for one in news(told):
            if one not in spoken and rng.random() < person.tells:
                return {"say": one, "end": len(mine) >= 2, "because_of": [number]}
    for one in person.own_news():
        if one not in spoken:
            return {"say": one, "end": len(mine) >= 2, "because_of": []}
    talk = ("How are you today?", f"It was busy at {person.work or person.home}.", "I must get on. Goodbye.")
    return {"say": talk[min(len(mine), 2)], "end": len(mine) >= 2, "because_of": []}


def _keep(person: Person, text: str, rng: random.Random) -> Any:
    lines = [(n, who, said) for n, (who, said) in enumerate(_SAID.findall(text), 1) if who != person.name]
    told = [(n, one) for n, _, said in lines for one in news(said)]
    other = next((who for who, _ in _SAID.findall(text) if who != person.name), "them")
    remember = f"I should remember: {told[0][1]}" if told else f"Nothing for my plans came from {other}."
    cited = [n for n, one in told if one == told[0][1]][:5]
    return {"remember": remember[:240], "because_of": cited, "memo": f"It was pleasant to talk with {other}."}


def _mind(person: Person, text: str, rng: random.Random) -> Any:
    held = news(person.currently) or [one for _, told in _lines(text) for one in news(told)][:1]
    kept = person.currently if news(person.currently) else f"{person.first} {HEARD} {held[0]}" if held else ""
    return {"currently": (kept or f"{person.first} follows the usual days at {person.work}.")[:300]}


def _rising(person: Person, text: str, rng: random.Random) -> Any:
    return {"hour": person.up}


WHO, PLACE, TOPIC = "The person who talks most with me is", "The place where I am most is", "Most is said about"


SEEN = r"^[\w ]+ is .*\b(?:at|in) ([A-Z][\w']+ [A-Z][\wé]+|Library|School|Workshop|Surgery)$"
"""A note of somebody doing something at a place."""


def _insights(text: str) -> list[dict[str, Any]]:
    """Counts over the notes that are shown, as sentences, each with notes that it comes from."""
    notes = [(int(n), told) for n, told in re.findall(r"^(\d+)\. (.*)$", text, re.MULTILINE)]
    made = []
    for begins, pattern in ((WHO, r"^(?:I talked with )([\w ]+)$|^([\w ]+) said to me:"),
                            (PLACE, SEEN)):  # fmt: skip
        found = [(n, next(g for g in m.groups() if g)) for n, told in notes if (m := re.search(pattern, told))]
        if found:
            top, _ = min(Counter(w for _, w in found).items(), key=lambda c: (-c[1], c[0]))
            made.append({"insight": f"{begins} {top}.", "because_of": [n for n, w in found if w == top][:5]})
    heard = [(n, one) for n, told in notes if " said to me: " in told for one in news(told)]
    if heard:
        top, _ = min(Counter(w for _, w in heard).items(), key=lambda c: (-c[1], c[0]))
        made.append({"insight": f"{TOPIC} this: {top}"[:160], "because_of": [n for n, w in heard if w == top][:5]})
    said = [(n, m[1], told) for n, told in notes if (m := re.match(r"([^\":]+?) said to me: ", told))]
    if said:
        names = {who: n for n, who, _ in said}
        asks = sum(told.rstrip('"').endswith("?") for *_, told in said)
        way = "asking" if 2 * asks > len(said) else "telling" if 2 * asks < len(said) else "both"
        cited = [n for n, *_ in said][:5]
        made.append({"insight": f"So many people have talked with me: {len(names)}.", "because_of": cited})
        made.append({"insight": f"People come to me {way}.", "because_of": cited})
    if not made:
        made.append({"insight": "These were quiet hours.", "because_of": [n for n, _ in notes[:1]] or [1]})
    return made[:5]


def _interview(person: Person, text: str, rng: random.Random) -> Any:
    from ethogram.simulate.generative_agents.answering import answered

    return answered(person, text)


_TASKS: dict[str, Callable[[Person, str, random.Random], Any]] = {
    "worths": _worths, "rising": _rising, "mind": _mind, "day": _day, "hours": _hours, "rest": _rest, "split": _split,
    "now": _now, "place": _place, "use": _use, "react": _react, "relation": _relation, "line": _line, "keep": _keep,
    "interview": _interview,
}  # fmt: skip
