"""React and talk: whom one sees is talked to, waited for, or let be; a conversation goes line by line, from memory.

Each line is an event of the world whose cause is the event that what it says was learned from. What is heard is kept
with the event it was heard in, so that whatever anybody knows can be traced through the log to where it came from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ethogram.simulate.generative_agents import planning, prompts
from ethogram.simulate.generative_agents.perceiving import is_idle
from ethogram.simulate.generative_agents.turn import Turn
from ethogram.world import Decision
from ethogram.world.town.living import MOST_LINES, Sight

PATIENCE = 5.0
"""Minutes that somebody waits for the next line."""
AGAIN = 30
"""Minutes until somebody who was let be is considered again."""
LATE = 23
"""Hour at which nobody begins to talk."""


async def react(turn: Turn, fresh: Sequence[Sight]) -> list[Decision] | None:
    """A conversation begun, a wait, or None: go on."""
    state, row, life = turn.seen.state, turn.seen.row, turn.life
    people = [s for s in fresh if s.person >= 0 and not state["asleep"][s.person]]
    if not people or turn.minute // 60 == LATE or state["partner"][row] >= 0:
        return None
    sight = min(people, key=lambda s: (is_idle(s), s.far, s.person))
    other = sight.person
    if state["partner"][other] >= 0 or life.after.get(str(other), 0) > turn.tick:
        return None
    life.after = {**life.after, str(other): turn.tick + turn.ticks(AGAIN)}
    name = turn.name_of(other)
    lines = turn.told(turn.recall([name], turn.how.recall // 2))
    doing = life.activity or "idle"
    told = await turn.ask(prompts.react(turn.person.first, turn.clock(), doing, sight.text, lines), "react", 48)
    if told["reaction"] == "talk":
        life.talk = await _opened(turn, other)
        said, cause, _ = await _line(turn)
        why = f"saw: {sight.text}"
        talk = Decision("talk", other, text=said, cause=cause, why=why, wait=turn.ticks(PATIENCE))
        return [talk, _standing(turn, other)]
    if told["reaction"] == "wait" and told["minutes"] > 0:
        return [Decision("stay", why=f"waits for {name}", wait=turn.ticks(int(told["minutes"])))]
    return None


def _standing(turn: Turn, other: int) -> Decision:
    return Decision("stay", text=f"{turn.person.name} is talking with {turn.name_of(other)}")


async def _opened(turn: Turn, other: int) -> dict[str, Any]:
    name = turn.name_of(other)
    lines = turn.told(turn.recall([name], turn.how.recall // 2))
    told = await turn.ask(prompts.relation(turn.person.first, name, lines), "relation", 96)
    return {"with": other, "lines": [], "records": [], "relation": str(told["summary"]), "since": turn.tick}


async def converse(turn: Turn) -> list[Decision]:
    """In a conversation: hear and answer where it is one's turn, else wait, not for ever."""
    state, row = turn.seen.state, turn.seen.row
    other = int(state["partner"][row])
    if turn.life.talk is None or turn.life.talk["with"] != other:
        turn.life.talk = await _opened(turn, other)
    assert turn.life.talk is not None
    if not state["turn"][row]:
        left = turn.life.talk["since"] + turn.ticks(PATIENCE) - turn.tick
        return [Decision("stay", wait=left)] if left > 0 else [Decision("leave", why="no answer", wait=1)]
    if len(turn.life.talk["lines"]) + 1 != int(state["lines"][row]):
        turn.life.talk = {**turn.life.talk, "lines": []}  # both began at once, and only the other was heard
    await _heard(turn)
    said, cause, end = await _line(turn)
    last = end or int(state["lines"][row]) + 1 >= MOST_LINES
    made = Decision("say", other, float(last), said, cause, wait=1 if last else turn.ticks(PATIENCE))
    return [made, _standing(turn, other)]


async def _heard(turn: Turn) -> None:
    """Keep the line that was said last, if it was not heard yet."""
    state, row, life = turn.seen.state, turn.seen.row, turn.life
    event = int(state["line_event"][row])
    if life.talk is None or event == life.heard:
        return
    said = state.text(state["line"][row])
    name = turn.name_of(life.talk["with"])
    worth = (await turn.worths([said]))[0]
    record = turn.keep(f'{name} said to me: "{said}"', worth, kind="chat", source=event)
    life.heard = event
    life.talk = {
        **life.talk, "lines": [*life.talk["lines"], f'{name}: "{said}"'], "records": [*life.talk["records"], record],
    }  # fmt: skip


async def _line(turn: Turn) -> tuple[str, int, bool]:
    """(what to say next, the event that it was learned from, whether it is the last)."""
    talk = turn.life.talk
    assert talk is not None
    name = turn.name_of(talk["with"])
    last = talk["lines"][-1] if talk["lines"] else "what is new, what matters"
    records = turn.recall([f"{name}: {talk['relation']}", last, "news to tell"], turn.how.recall_talk)
    asked = prompts.line(
        turn.person.first, name, turn.clock(), talk["relation"], talk["lines"], turn.told(records)
    )  # fmt: skip
    told = await turn.ask(asked, "line", 160)
    cited = [records[n - 1] for n in told["because_of"] if 1 <= n <= len(records)]
    said = str(told["say"])
    turn.life.talk = {**talk, "lines": [*talk["lines"], f'{turn.person.name}: "{said}"'], "since": turn.tick}
    return said, turn.origin(cited), bool(told["end"])


def _lines(talk: Mapping[str, Any], other: str) -> dict[int, int]:
    """Number of a line of a conversation -> the record of it, for what the other said."""
    mine = [n for n, line in enumerate(talk["lines"], 1) if line.startswith(f"{other}: ")]
    records = talk["records"][len(talk["records"]) - len(mine) :] if mine else []
    return {n: r for n, r in zip(mine, records, strict=False) if r >= 0}


async def close(turn: Turn) -> int:
    """After a conversation: keep it, and what of it matters for plans; ticks that it still takes.

    It took ceil(characters / 8 / 30) minutes from its beginning.
    """
    state, row, life = turn.seen.state, turn.seen.row, turn.life
    await _heard(turn)
    talk, life.talk = life.talk, None
    assert talk is not None
    heard = [r for r in talk["records"] if r >= 0]
    if not talk["records"]:  # the other was taken, or never answered
        return 0
    name = turn.name_of(talk["with"])
    cool = turn.tick + turn.ticks(turn.how.cooldown)
    life.after = {**life.after, str(talk["with"]): cool}
    if turn.how.memory:
        told = await turn.ask(prompts.keep(turn.person.first, name, talk["lines"]), "keep", 192)
        texts = [told["remember"], told["memo"], f"I talked with {name}"]
        kinds, lines = ("thought", "thought", "chat"), _lines(talk, name)
        # a thought goes back to the lines that it is from: the first one heard may be of other things
        from_ = [lines[n] for n in told["because_of"] if n in lines]
        for text, worth, kind, why in zip(texts, await turn.worths(texts), kinds, (from_, heard, heard), strict=True):
            turn.keep(text, worth, kind=kind, evidence=why or heard, days=30 if kind == "thought" else None)
        await planning.plan_rest(turn)
    minutes = math.ceil(int(state["chars"][row]) / 8 / 30)
    return max(0, int(state["began"][row]) + turn.ticks(minutes) - turn.tick)
