"""Plan: a day in a few items, then by the hour, and the coming hour in steps of 5 to 15 minutes just before it begins.

The minutes of a schedule sum to 1,440, whatever the model answers: what is too long is cut, what is missing is filled.
"""

from __future__ import annotations

from collections.abc import Sequence

from ethogram.simulate.generative_agents import prompts
from ethogram.simulate.generative_agents.life import Entry
from ethogram.simulate.generative_agents.turn import DAY, Turn

MINUTES = 1_440
SLEEP = "sleeping"
WORTH = 5
"""Importance of a plan in memory."""
DIFFERENT, TRIES = 5, 3
"""An hourly schedule has so many activities, or it is asked for again, so often."""


def rests(activity: str) -> bool:
    """Whether an activity is sleep."""
    return "sleep" in activity.lower()


async def plan_day(turn: Turn) -> None:
    """A new day: what is on the mind, when to get up, items, hours; also yesterday's demands are asked for anew."""
    life, name, date = turn.life, turn.person.first, turn.date()
    first = life.day < 0
    life.day = turn.now // DAY
    lines = turn.told(turn.recall([f"plans for {date}", "what happened lately, what matters"], turn.how.recall))
    if not first:
        told = await turn.ask(prompts.mind(name, date, lines), "mind", 160)
        life.currently = told["currently"]
    if turn.minute < 12 * 60:
        life.rises = int((await turn.ask(prompts.rising(name, date), "rising", 24))["hour"])
    items = (await turn.ask(prompts.day(name, date, life.rises, lines), "day", 320))["items"]
    best: list[str] = []
    for attempt in range(TRIES):
        text, schema = prompts.hours(name, date, life.rises, items)
        again = f" Before, there were only {len(set(best))}." if attempt else ""
        found = (await turn.ask((text + again, schema), "hours", 640))["hours"]
        best = max(best, found, key=lambda h: len(set(h)))
        if len(set(best)) >= DIFFERENT:
            break
    life.schedule = hourly([SLEEP] * life.rises + best[life.rises :])
    plan = "; ".join(items)
    turn.keep(f"My plan for {date}: {plan}", WORTH, kind="plan", days=30)


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
            made.append([60 * hour, 60, what, what, False])
    return made


def filled(schedule: Sequence[Entry]) -> list[Entry]:
    """The schedule without gaps, overlaps or more than a day, in order; gaps are slept.

    >>> [e[:3] for e in filled([[60, 1500, "work", "work", False]])]
    [[0, 60, 'sleeping'], [60, 1380, 'work']]
    """
    made: list[Entry] = []
    at = 0
    for start, minutes, *more in sorted(schedule, key=lambda e: e[0]):
        start, end = min(start, MINUTES), min(start + minutes, MINUTES)
        if start > at:
            made.append([at, start - at, SLEEP, SLEEP, False])
            at = start
        if end > at:
            made.append([at, end - at, *more])
            at = end
    if at < MINUTES:
        made.append([at, MINUTES - at, SLEEP, SLEEP, False])
    return made


def entry(schedule: Sequence[Entry], minute: int) -> Entry:
    """What is planned for a minute of the day."""
    return next(e for e in schedule if e[0] <= minute < e[0] + e[1])


async def current(turn: Turn) -> Entry:
    """What the plan says for now; a long block's coming hour is split when it begins."""
    life, minute = turn.life, turn.minute
    found = entry(life.schedule, minute)
    left = found[0] + found[1] - minute
    if rests(found[2]) or found[4] or found[1] < 60 or left < 2 * prompts.LEAST:
        return found
    whole = min(left, 60)
    told = await turn.ask(prompts.split(found[2], turn.clock(), whole), "split", 320)
    parts: list[Entry] = []
    at, end = minute, minute + whole
    for part in told["parts"]:
        if end - at < prompts.LEAST:
            break
        long = min(int(part["minutes"]), end - at)
        parts.append([at, long, str(part["activity"]), found[2], True])
        at += long
    if at < end:  # too few steps: the last one goes on
        parts.append([at, end - at, parts[-1][2] if parts else found[2], found[2], True])
    before = [[found[0], minute - found[0], found[2], found[3], found[4]]] if minute > found[0] else []
    behind = [[end, left - whole, found[2], found[3], False]] if left > whole else []
    rest = [e for e in life.schedule if e is not found]
    life.schedule = filled([*rest, *before, *parts, *behind])
    return entry(life.schedule, minute)


async def plan_rest(turn: Turn) -> None:
    """Plan the hours that are left again, after something that may change them."""
    if not turn.how.planning or not turn.life.schedule:
        return
    first = turn.minute // 60 + 1
    if first > 23:
        return
    life = turn.life
    left = [str(entry(life.schedule, 60 * h)[3]) for h in range(first, 24)]
    lines = turn.told(turn.recall([f"plans for {turn.date()}", "what I was told just now"], turn.how.recall))
    told = await turn.ask(prompts.rest(turn.person.first, turn.date(), first, left, lines), "rest", 640)
    if told["hours"] != left:
        stays = [e for e in life.schedule if e[0] < 60 * first]
        stays = [[e[0], min(e[1], 60 * first - e[0]), *e[2:]] for e in stays]
        life.schedule = filled([*stays, *hourly(told["hours"], first)])
        turn.keep(f"I changed my plan for {turn.date()}: " + "; ".join(dict.fromkeys(told["hours"])), WORTH,
                  kind="plan", days=30)  # fmt: skip
