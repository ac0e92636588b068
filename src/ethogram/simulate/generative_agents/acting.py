"""Act: where (sector, arena, object; among what the person knows and may enter), the way there, and what is done."""

from __future__ import annotations

from ethogram.errors import WorldError
from ethogram.simulate.generative_agents import planning, prompts
from ethogram.simulate.generative_agents.turn import DAY, Turn
from ethogram.world import Decision
from ethogram.world.town.living import tree

PATIENCE = 3
"""Steps refused in a row before another place is looked for; between them a minute."""


async def begin(turn: Turn) -> None:
    """What to do now, and where: from the plan, or, without one, from the moment."""
    life = turn.life
    life.arrived = False
    if not turn.how.planning:
        await _unplanned(turn)
    else:
        start, minutes, activity, whole, _ = await planning.current(turn)
        life.activity, life.whole = activity, whole
        life.until = turn.tick + turn.ticks(start + minutes - turn.minute)
    if planning.rests(life.activity):
        life.object = turn.living.bed(turn.seen.row)
        life.arena = turn.living.town.objects[life.object].arena
        life.placed, life.state, life.emoji = "", "in use", "💤"
        life.until = turn.tick + turn.ticks(_till_morning(turn))
        return
    await _place(turn)


async def _unplanned(turn: Turn) -> None:
    life = turn.life
    place = turn.living.town.title(int(turn.living.town.arena_of[turn.here]))
    lines = turn.told(turn.recall([f"what to do at {turn.clock()}", "what matters to me"], turn.how.recall))
    told = await turn.ask(prompts.now(turn.person.first, turn.clock(), place, lines), "now", 64)
    life.activity = life.whole = str(told["activity"])
    life.until = turn.tick + turn.ticks(int(told["minutes"]))


def _till_morning(turn: Turn) -> float:
    rises = 60 * turn.life.rises
    return rises - turn.minute if turn.minute < rises else planning.MINUTES - turn.minute + rises


async def _place(turn: Turn) -> None:
    """An arena for the whole of what is done, chosen once; an object for each part."""
    life, town, living = turn.life, turn.living.town, turn.living
    open_ = [a for a in life.known if a != life.avoid and living.may_enter(turn.seen.row, a, turn.tick)]
    open_ = [a for a in open_ if town.objects_in(a)] or [town.objects[living.bed(turn.seen.row)].arena]
    if life.placed != life.whole or life.arena not in open_:
        sectors = tree(living, open_)
        here = town.title(int(town.arena_of[turn.here]))
        sector = await _chosen(turn, life.whole, here, list(sectors))
        arenas = {town.arenas[a].name: a for a in sectors[sector]}
        life.arena = arenas[await _chosen(turn, f"{life.whole} in {sector}", here, list(arenas))]
        life.placed, life.avoid = life.whole, -1
    objects = {town.objects[o].name: o for o in town.objects_in(life.arena)}
    asked = prompts.use(turn.person.first, life.activity, town.arenas[life.arena].name, list(objects))
    told = await turn.ask(asked, "use", 96)
    life.object, life.state, life.emoji = objects[told["object"]], str(told["state"]), str(told["emoji"])


async def _chosen(turn: Turn, activity: str, here: str, options: list[str]) -> str:
    if len(options) == 1:
        return options[0]
    return str((await turn.ask(prompts.place(activity, here, options), "place", 48))["place"])


def execute(turn: Turn) -> list[Decision]:
    """The next step of the way, or, where one has arrived, the act itself until it ends."""
    life, living, here = turn.life, turn.living, turn.here
    left = max(1, life.until - turn.tick)
    there = living.town.objects[life.object].tile
    if here != there:
        return _step(turn, there)
    life.blocked = 0
    text = f"{turn.person.name} is {life.activity}"
    if life.arrived and _doing(turn) == text:
        return [Decision("stay", wait=left)]
    life.arrived = True
    if planning.rests(life.activity):
        life.asleep = True
        return [Decision("sleep", life.object, text=f"{turn.person.name} is sleeping", why="sleep", wait=left)]
    doing = Decision("do", life.object, text=text, why=f"{life.whole} {life.emoji}", wait=left)
    return [doing, Decision("change", life.object, text=life.state)]


def _doing(turn: Turn) -> str:
    return turn.seen.state.text(turn.seen.state["doing"][turn.seen.row])


def _step(turn: Turn, there: int) -> list[Decision]:
    life, living = turn.life, turn.living
    if life.blocked >= PATIENCE:
        life.avoid, life.placed, life.blocked, life.until = life.arena, "", 0, turn.tick
        return [Decision("stay", text=f"{turn.person.name} is idle", why="there was no way in", wait=1)]
    try:
        next_ = living.town.step(turn.here, there)
    except WorldError:
        life.avoid, life.placed, life.until = life.arena, "", turn.tick
        return [Decision("stay", why="there is no way", wait=1)]
    verb, on, value = living.move(turn.seen.row, turn.here, next_)
    if verb == "enter" and not living.may_enter(turn.seen.row, on, turn.tick):
        life.blocked = PATIENCE  # it has closed meanwhile, and everybody can read the sign
        return [Decision("stay", why=f"{living.town.title(on)} is closed", wait=1)]
    made = [Decision(verb, on, value, wait=turn.ticks(1) if life.blocked else 1)]
    text = f"{turn.person.name} is walking to the {living.town.title(life.arena)}"
    within = int(living.town.arena_of[turn.here]) == life.arena
    return made if within or _doing(turn) == text else [*made, Decision("stay", text=text, why=life.activity)]


def describes(turn: Turn) -> str:
    """Today's plan by the hour, one line each; "" without."""
    if not turn.how.planning or turn.life.day != turn.now // DAY:
        return ""
    whole: list[tuple[int, int, str]] = []
    for start, minutes, _, what, _ in turn.life.schedule:
        if whole and whole[-1][2] == what:
            whole[-1] = (whole[-1][0], start + minutes, what)
        else:
            whole.append((start, start + minutes, what))
    return "\n".join(f"{_clock(a)} to {_clock(b)} {what}" for a, b, what in whole)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
