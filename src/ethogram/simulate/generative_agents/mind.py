"""A resident as a mind of a `World`: perceive, retrieve, plan or react, reflect, execute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ethogram.lm.embed import embed
from ethogram.lm.memory import Memory
from ethogram.lm.reflecting import reflect
from ethogram.simulate.generative_agents import acting, planning, prompts, talking
from ethogram.simulate.generative_agents.life import Life, apply, changes, kept
from ethogram.simulate.generative_agents.perceiving import perceive, whispered
from ethogram.simulate.generative_agents.turn import DAY, Turn
from ethogram.text.dense import hashed
from ethogram.text.table import TextTable
from ethogram.world import Decision
from ethogram.world.minds import Context
from ethogram.world.town.folk import Resident
from ethogram.world.town.living import Living, known_arenas

PAPER, RELEASED = (1.0, 1.0, 1.0), (0.5, 2.0, 3.0)
"""Weights of recency, importance and relevance: as the paper has them, and as in the code that was released."""


class Interview(NamedTuple):
    """An answer, places of the records that it was given from, and the event that the first of them goes back to (-1:
    none), all such events."""

    answer: Any
    records: tuple[int, ...]
    event: int
    events: tuple[int, ...] = ()


def stream(how: Any, texts: TextTable) -> Memory:
    """An empty memory stream with the options' weights."""
    ranked = how.scoring == "released"
    return Memory(
        texts, decay=0.99 if ranked else 0.995, weights=RELEASED if ranked else PAPER, threshold=how.threshold,
        ranked=ranked,
    )  # fmt: skip


def table(how: Any) -> TextTable:
    """The table of texts that all residents share."""
    if how.encoder != "hash":
        return TextTable(partial(embed, encoder=how.encoder))

    @lru_cache(maxsize=4_096)  # people ask the same of their memories again and again
    def one(text: str) -> np.ndarray:
        return hashed([text], width=256)[0]

    def hashes(texts: Sequence[str]) -> np.ndarray:
        return hashed(texts, width=256) if len(texts) > 1 else one(texts[0])[None]

    return TextTable(hashes)


class Townsman:
    """See the module and `ethogram.world.minds`; `persona` is what `Resident.json` gives."""

    every = 6
    "Ticks until a resident without an answer of the model tries again."

    def __init__(self, persona: Mapping[str, Any], how: Any, living: Living, texts: TextTable):
        self.person = Resident.of(persona)
        self.how, self.living, self.texts = how, living, texts
        self.memory, self.sources = stream(how, texts), list[int]()
        row = [p.name for p in living.people].index(self.person.name)
        self.life = Life(rises=self.person.up, currently=self.person.currently, known=known_arenas(living, row))
        if how.memory:
            for text in self.person.memories:
                self.memory.add(text, time=living.start, importance=8, kind="thought")
                self.sources.append(-1)
            self.memory.pending = 0.0

    def _turn(self, seen: Context) -> Turn:
        return Turn(self.how, self.living, self.person, seen, self.memory.copy(), self.life.copy(), list(self.sources))

    async def act(self, seen: Context) -> list[Decision]:
        """What to do now; nothing of it is remembered before the world has taken it."""
        turn = self._turn(seen)
        acts = await self._lived(turn)
        notes = changes(turn.memory, turn.life, self.memory, self.life, turn.sources, seen.time)
        return [replace(acts[0], notes=notes or None), *acts[1:]]

    async def _lived(self, turn: Turn) -> list[Decision]:
        state, row, life = turn.seen.state, turn.seen.row, turn.life
        stirred = await whispered(turn)
        if life.asleep and turn.tick < life.until:
            return [Decision("stay", wait=life.until - turn.tick)]
        life.asleep = False
        if state["partner"][row] >= 0:
            return await talking.converse(turn)
        pause = await talking.close(turn) if life.talk is not None else 0
        if self.how.planning and life.day != turn.now // DAY:
            await planning.plan_day(turn)
        elif stirred:
            await planning.plan_rest(turn)
        fresh = await perceive(turn)
        if pause:
            return [Decision("stay", why="still talking", wait=pause)]
        if (reaction := await talking.react(turn, fresh)) is not None:
            return reaction
        if turn.tick >= life.until:
            await acting.begin(turn)
        acts = acting.execute(turn)
        if self.how.reflection and self.how.memory and turn.memory.due:
            await reflect(turn.memory, turn.seen.lm, now=turn.now, k=self.how.recall, purpose="resident: reflection")
            turn.sources += [-1] * (len(turn.memory) - len(turn.sources))
        return acts

    def remember(self, seen: Context, acts: Sequence[Decision]) -> None:
        """Take over what was thought, and whether the world let it happen."""
        first = acts[0]
        if first.via == "fallback":
            return
        apply(first.notes or {}, self.memory, self.life, self.sources, seen.time)
        if not first.granted:
            self.life.blocked += 1
        elif first.verb in ("walk", "enter", "unlock"):
            self.life.blocked = 0
        if len(self.memory) > self.how.most:
            self.memory.forget(seen.time, most=self.how.most)

    def prompt(self, seen: Context) -> str:
        """Who speaks, what comes to mind and what is planned, now."""
        turn = self._turn(seen)
        lines = turn.told(turn.recall([seen.text], self.how.recall, touch=False))
        plan = acting.describes(turn)
        return "\n".join([turn.system(), "", prompts.remembered(lines), f"Plan:\n{plan}\n" if plan else "", seen.text])

    async def answer(self, seen: Context, question: str, schema: Mapping[str, Any]) -> Any:
        """An interview under a schema with the field `answer`; it changes nothing."""
        return (await self.interview(seen, question, schema)).answer

    async def interview(self, seen: Context, question: str, schema: Mapping[str, Any]) -> Interview:
        """As `answer`, with the records that it was given from."""
        turn = self._turn(seen)
        records = turn.recall([question], self.how.recall_interview, touch=False)
        options = [str(o) for o in schema["properties"]["answer"].get("enum", ())]
        asked = prompts.interview(
            self.person.first, turn.clock(), seen.text, acting.describes(turn), question, options, turn.told(records)
        )
        cited = {"type": "array", "items": {"type": "integer"}, "maxItems": 5}
        fields = {**schema["properties"], "because_of": cited}
        told = await turn.ask((asked, {**schema, "properties": fields, "required": list(fields)}), "interview", 96)
        named = tuple(records[n - 1] for n in told["because_of"] if 1 <= n <= len(records))
        return Interview(told["answer"], named, turn.origin(named), turn.origins(named))

    def state(self) -> dict[str, Any]:
        return {
            "memory": self.memory.to_arrow().to_pylist(), "pending": self.memory.pending, "sources": self.sources,
            "life": kept(self.life),
        }  # fmt: skip

    def restore(self, told: Mapping[str, Any]) -> None:
        self.memory = stream(self.how, self.texts)
        if told["memory"]:
            kept_ = pa.Table.from_pylist(told["memory"]).replace_schema_metadata({"pending": str(told["pending"])})
            options = vars(self.memory)
            names = ("decay", "weights", "threshold", "ranked")
            self.memory = Memory.from_arrow(kept_, self.texts, **{n: options[n] for n in names})
        self.memory.pending = float(told["pending"])
        self.sources, self.life = list(told["sources"]), Life(**told["life"])
