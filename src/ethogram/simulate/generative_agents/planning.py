"""Plan: a day in strokes of three hours, a stroke by the hour when it begins, an hour in steps of 5 to 15 minutes then.

Only what comes next is worked out, as in the paper: a day begins with few short answers, whatever model gives them. The
minutes of a schedule sum to 1,440, whatever it answers: what is too long is cut, what is missing is filled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ethogram.simulate.generative_agents import prompts
from ethogram.simulate.generative_agents.life import HOURS, STEP, STROKE, Entry
from ethogram.simulate.generative_agents.turn import DAY, Turn

MINUTES = 1_440
SLEEP = "sleeping"
LONG = 3
"""Hours of a stroke: a day has 5 to 7 of them."""
WORTH = 5
"""Importance of a plan in memory."""
DIFFERENT, TRIES = 2, 2
"""A day has so many different strokes, or it is asked for again, so often in all."""
TOKENS = 40
"""Of one short answer, with its key."""
_SLEEPS = re.compile(r"(?:[\w']+ ){0,4}sleep", re.IGNORECASE)


def rests(activity: str) -> bool:
    """Whether an activity is sleep, and nothing else before it.

    >>> rests("Ann sleeps"), rests("reading at home; 23:00 sleeping")
    (True, False)
    """
    return _SLEEPS.match(activity) is not None


async def plan_day(turn: Turn) -> None:
    """A new day: what is on the mind, when to get up, strokes; also yesterday's demands are asked for anew."""
    life, name, date = turn.life, turn.person.first, turn.date()
    first = life.day < 0
    life.day = turn.now // DAY
    lines = turn.told(turn.recall([f"plans for {date}", "what happened lately, what matters"], turn.how.recall))
    if not first:
        told = await turn.ask(prompts.mind(name, date, lines), "mind", 160)
        life.currently = told["currently"]
    if turn.minute < 12 * 60:
        life.rises = int((await turn.ask(prompts.rising(name, date), "rising", 24))["hour"])
    hours = list(range(life.rises, 24, LONG))
    best: list[str] = []
    for attempt in range(TRIES):
        text, schema = prompts.day(name, date, hours, lines)
        again = f" Before, there were only {len(set(best))} different ones." if attempt else ""
        found = prompts.by_hour(await turn.ask((text + again, schema), "day", TOKENS * len(hours)), hours)
        best = max(best, found, key=lambda h: len(set(h)))
        if len(set(best)) >= DIFFERENT:
            break
    night: Entry = [0, 60 * life.rises, SLEEP, SLEEP, HOURS]
    life.schedule = filled([night, *(_stroke(a, b, t) for a, b, t in zip(hours, [*hours[1:], 24], best, strict=True))])
    plan = "; ".join(f"at {h}:00 {told}" for h, told in zip(hours, best, strict=True))
    turn.keep(f"My plan for {date}: {plan}", WORTH, kind="plan", days=30)


def _stroke(first: int, until: int, what: str) -> Entry:
    return [60 * first, 60 * (until - first), what, what, STROKE]


def hourly(hours: Sequence[str], first: int = 0) -> list[Entry]:
    """Entries of hours from `first` on, equal ones merged.

    >>> [e[:3] for e in hourly(["sleeping"] * 23 + ["reading"])]
    [[0, 1380, 'sleeping'], [1380, 60, 'reading']]
    """
    made: list[Entry] = []
    for hour, what in enumerate(hours, first):
        if made and made[-1][2] == what:
            made[-1][1] += 60
        else:
            made.append([60 * hour, 60, what, what, HOURS])
    return made


def filled(schedule: Sequence[Entry]) -> list[Entry]:
    """The schedule without gaps, overlaps or more than a day, in order; gaps are slept.

    >>> [e[:3] for e in filled([[60, 1500, "work", "work", 1]])]
    [[0, 60, 'sleeping'], [60, 1380, 'work']]
    """
    made: list[Entry] = []
    at = 0
    for start, minutes, *more in sorted(schedule, key=lambda e: e[0]):
        start, end = min(start, MINUTES), min(start + minutes, MINUTES)
        if start > at:
            made.append([at, start - at, SLEEP, SLEEP, HOURS])
            at = start
        if end > at:
            made.append([at, end - at, *more])
            at = end
    if at < MINUTES:
        made.append([at, MINUTES - at, SLEEP, SLEEP, HOURS])
    return made


def entry(schedule: Sequence[Entry], minute: int) -> Entry:
    """What is planned for a minute of the day."""
    return next(e for e in schedule if e[0] <= minute < e[0] + e[1])


async def current(turn: Turn) -> Entry:
    """What the plan says for now; a stroke is worked out by the hour when it begins, and its coming hour in steps."""
    life, minute = turn.life, turn.minute
    found = entry(life.schedule, minute)
    if found[4] == STROKE and not rests(found[2]):
        await _by_the_hour(turn, found)
        found = entry(life.schedule, minute)
    left = found[0] + found[1] - minute
    if rests(found[2]) or found[4] == STEP or found[1] < 60 or left < 2 * prompts.LEAST:
        return found
    whole = min(left, 60)
    told = await turn.ask(prompts.split(found[2], turn.clock(), whole), "split", TOKENS * prompts.STEPS)
    parts: list[Entry] = []
    at, end = minute, minute + whole
    for part in told["parts"]:
        if end - at < prompts.LEAST:
            break
        long = min(int(part["minutes"]), end - at)
        parts.append([at, long, str(part["activity"]), found[2], STEP])
        at += long
    if at < end:  # too few steps: the last one goes on
        parts.append([at, end - at, parts[-1][2] if parts else found[2], found[2], STEP])
    _put(turn, found, parts, minute, end)
    return entry(life.schedule, minute)


async def _by_the_hour(turn: Turn, stroke: Entry) -> None:
    """The hours that are left of a stroke; one of a single hour is that hour."""
    first, until = max(stroke[0], turn.minute) // 60, (stroke[0] + stroke[1]) // 60
    if stroke[1] <= 60:
        hours = [stroke[2]]
    else:
        asked = prompts.hours(turn.person.first, range(first, until), stroke[2])
        told = await turn.ask(asked, "hours", TOKENS * (until - first))
        hours = prompts.by_hour(told, range(first, until))
    _put(turn, stroke, hourly(hours, first), 60 * first, stroke[0] + stroke[1])


def _put(turn: Turn, whole: Entry, parts: Sequence[Entry], start: int, end: int) -> None:
    """Put parts in the place of an entry, from a minute to another; what is left of it before and behind stays."""
    before = [[whole[0], start - whole[0], *whole[2:]]] if start > whole[0] else []
    behind = [[end, whole[0] + whole[1] - end, *whole[2:]]] if whole[0] + whole[1] > end else []
    rest = [e for e in turn.life.schedule if e is not whole]
    turn.life.schedule = filled([*rest, *before, *parts, *behind])


async def plan_rest(turn: Turn) -> None:
    """Plan the strokes that are left again, after something that may change them; what stays as it was is kept."""
    if not turn.how.planning or not turn.life.schedule:
        return
    first = turn.minute // 60 + 1
    if first > 23:
        return
    life = turn.life
    found = entry(life.schedule, turn.minute)
    if found[4] == STROKE and not rests(found[2]):  # what is said of the whole of it holds of no part
        await _by_the_hour(turn, found)
    left = remaining(life.schedule, first, life.rises)
    hours = list(left)
    lines = turn.told(turn.recall([f"plans for {turn.date()}", "what I was told just now"], turn.how.recall))
    asked = prompts.rest(turn.person.first, turn.date(), left, lines)
    told = prompts.by_hour(await turn.ask(asked, "rest", TOKENS * len(left)), hours)
    if told == list(left.values()):
        return
    made = [[e[0], min(e[1], 60 * first - e[0]), *e[2:]] for e in life.schedule if e[0] < 60 * first]
    for a, b, what in zip(hours, [*hours[1:], 24], told, strict=True):
        made += [_stroke(a, b, what)] if what != left[a] else _between(life.schedule, 60 * a, 60 * b)
    life.schedule = filled(made)
    turn.keep(f"I changed my plan for {turn.date()}: " + "; ".join(dict.fromkeys(told)), WORTH, kind="plan", days=30)


def remaining(schedule: Sequence[Entry], first: int, rises: int) -> dict[int, str]:
    """Hour -> what is planned from it to the next, for hour `first` and the later beginnings of strokes.

    >>> remaining([[0, 420, "sleeping", "sleeping", 1], [420, 1020, "work", "work", 0]], 6, 18)
    {6: 'sleeping; 7:00 work', 18: 'work', 21: 'work'}
    """
    starts = [first, *(h for h in range(rises, 24, LONG) if h > first)]
    made = {}
    for a, b in zip(starts, [*starts[1:], 24], strict=True):
        parts: list[tuple[int, str]] = []
        for start, _, _, whole, _ in _between(schedule, 60 * a, 60 * b):
            if not parts or parts[-1][1] != whole:
                parts.append((start, whole))
        told = [what if not i else f"{at // 60}:{at % 60:02d} {what}" for i, (at, what) in enumerate(parts)]
        made[a] = "; ".join(told)[: prompts.STROKE]
    return made


def _between(schedule: Sequence[Entry], start: int, end: int) -> list[Entry]:
    """Entries as far as they lie between two minutes."""
    made = []
    for at, minutes, *more in schedule:
        a, b = max(at, start), min(at + minutes, end)
        if a < b:
            made.append([a, b - a, *more])
    return made
