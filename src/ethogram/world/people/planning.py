"""A mind with memory, reflection and a plan for the day; a language model behind all three.

    wake     on the first decision of a day: a plan of the day from the person, what is remembered and yesterday's plan
    recall   what it sees brings memories to mind, by recency, importance and relevance
    act      the plan's present item, memories and what it sees -> one act that the world offers
    keep     what it saw (once, however long it lasts) and did; how important that is, is asked, never of the idle
    reflect  when enough has been taken in: questions about what it met, conclusions with their evidence

Specialised by what subclasses write: `who`, `planned`, `asked`. After Park et al.: Generative Agents (UIST 2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.lm.memory import HOUR, Memory
from ethogram.lm.reflecting import importance, reflect
from ethogram.text.table import TextTable
from ethogram.world.acts import NOTHING, Decision
from ethogram.world.minds import Context
from ethogram.world.offering import offered, read
from ethogram.world.people.persona import Persona

DAY = 24 * HOUR
PLAN = 5.0
"""Importance of a plan in memory."""
DID = "I did: "
PLANNED = {
    "type": "object",
    "properties": {
        "plan": {
            "type": "array", "minItems": 1, "maxItems": 8,
            "items": {
                "type": "object",
                "properties": {"hour": {"type": "integer", "minimum": 0, "maximum": 23},
                               "activity": {"type": "string", "maxLength": 80}},
                "required": ["hour", "activity"], "additionalProperties": False,
            },
        }
    },
    "required": ["plan"], "additionalProperties": False,
}  # fmt: skip


class PlanningMind:
    """See the module; declared as ``minds={"neighbour": PlanningMind}``, promoted with a persona (`Persona.to_json()`
    or any mapping).

    Parameters
    ----------
    verbs : what it may do, None for everything. recall : memories in a prompt. reflects : importance taken in between
        reflections, 0 for never. plans : whether it plans its days. retention : latest observations that are not kept
        again. most : records that are kept, the weakest go. every : ticks between decisions.
    """

    def __init__(
        self, persona: Mapping[str, Any], *, verbs: Sequence[str] | None = None, recall: int = 8,
        reflects: float = 150.0, plans: bool = True, retention: int = 5, most: int = 2_000, every: int = 1,
        texts: TextTable | None = None, temperature: float = 0.0, max_tokens: int = 96,
    ):  # fmt: skip
        self.persona, self.verbs, self.recall, self.plans, self.every = dict(persona), verbs, recall, plans, every
        self.reflects, self.retention, self.most = reflects, retention, most
        self.temperature, self.max_tokens = temperature, max_tokens
        self.texts = texts or TextTable()
        self.memory = Memory(self.texts, threshold=reflects or 1.0)
        self.plan: list[tuple[int, str]] = []
        self.day = -1

    def who(self) -> str:
        """The person in words."""
        if "id" in self.persona:
            return f"You are a person in a simulated world. {Persona.from_json(self.persona).text()}"
        told = "; ".join(f"{k}: {v}" for k, v in self.persona.items())
        return f"You are a person in a simulated world. {told}".strip()

    def asked(self, seen: Context, plan: Sequence[tuple[int, str]]) -> str:
        """What the model is asked at a tick."""
        lines = self._remembered(seen.text, seen)
        hour = seen.time % DAY // HOUR
        if doing := next((what for at, what in reversed(plan) if at <= hour), ""):
            lines += [f"You planned for now: {doing}"]
        return "\n".join(
            [*lines, f"You see: {seen.text}", "", "You can:", offered(seen, self.verbs)[1], "", "What do you do?"]
        )

    def planned(self, seen: Context) -> str:
        """What the model is asked in the morning."""
        lines = self._remembered("plans and what happened lately", seen)
        if self.plan:
            lines += ["Yesterday you planned: " + "; ".join(f"{h}:00 {what}" for h, what in self.plan)]
        return "\n".join([*lines, f"You see: {seen.text}", "", "Plan your day in 4 to 8 items, each with its hour."])

    def prompt(self, seen: Context) -> str:
        """What the model would be told now."""
        return f"{self.who()}\n\n{self.asked(seen, self.plan)}"

    async def act(self, seen: Context) -> Decision:
        """Plan if the day is new, decide, weigh what happened, reflect if due; LMError where no valid answer came.

        Nothing of it changes the mind: it goes into the notes of the decision, and comes back in `remember`.
        """
        notes: dict[str, Any] = {}
        plan = self.plan
        if self.plans and seen.time // DAY != self.day:
            plan = notes["plan"] = await self._planned(seen)
        answer = await seen.lm.answer(
            self.asked(seen, plan), offered(seen, self.verbs)[0], system=self.who(), temperature=self.temperature,
            seed=seen.seed, max_tokens=self.max_tokens, purpose="mind: act",
        )  # fmt: skip
        decision = read(seen, answer.value)
        latest = self._latest()
        fresh = [t for t in (seen.text, did(decision, seen)) if t and t not in latest]
        notes["seen"] = [[t, await importance(seen.lm, t, purpose="mind: importance")] for t in fresh]
        taken_in = self.memory.pending + sum(worth for _, worth in notes["seen"])
        if self.reflects and taken_in >= self.reflects:
            notes["thoughts"], notes["met"] = await self._reflected(seen, notes)
        return replace(decision, notes=notes)

    def remember(self, seen: Context, acts: Sequence[Decision]) -> None:
        """Take over what the notes of the first decision hold."""
        notes, now = acts[0].notes, seen.time
        if not isinstance(notes, Mapping):  # a fallback decided; nobody was asked
            return
        if self.recall and len(self.memory):
            self.memory.retrieve(seen.text, self.recall, now=now)  # what came to mind was thereby met again
        self._take(self.memory, notes, now, acts[0].granted)
        if "plan" in notes:
            self.plan, self.day = [(int(h), str(w)) for h, w in notes["plan"]], now // DAY
        if "thoughts" in notes:
            self.memory.column("accessed")[list(notes["met"])] = now
            for text, worth, evidence, expires in notes["thoughts"]:
                self.memory.add(text, time=now, kind="thought", importance=worth, evidence=evidence, expires=expires)
            self.memory.pending = 0.0
        if len(self.memory) > self.most:
            self.memory.forget(now, most=self.most)

    @staticmethod
    def _take(memory: Memory, notes: Mapping[str, Any], now: int, granted: bool = True) -> None:
        """Add the day's plan and what was seen and done."""
        if "plan" in notes:
            told = "; ".join(f"{hour}:00 {what}" for hour, what in notes["plan"])
            memory.add(f"my plan for today: {told}", time=now, kind="plan", importance=PLAN)
        for text, worth in notes["seen"]:
            lost = text.startswith(DID) and not granted
            memory.add(f"{text} But it was taken." if lost else text, time=now, importance=worth)

    async def _planned(self, seen: Context) -> list[tuple[int, str]]:
        answer = await seen.lm.answer(
            self.planned(seen), PLANNED, system=self.who(), seed=seen.seed, max_tokens=256, purpose="mind: plan"
        )
        return sorted({int(i["hour"]): str(i["activity"]) for i in answer.value["plan"]}.items())

    async def _reflected(self, seen: Context, notes: Mapping[str, Any]) -> tuple[list[list[Any]], list[int]]:
        """What follows from the memory with this tick's observations: thoughts with evidence, and records met again."""
        trial = (
            Memory.from_arrow(self.memory.to_arrow(), self.texts.copy())
            if len(self.memory)
            else Memory(self.texts.copy())
        )
        self._take(trial, notes, seen.time)
        before, accessed = len(trial), trial.column("accessed").copy()
        await reflect(trial, seen.lm, now=seen.time, purpose="mind: reflection")
        worth, expires = trial.column("importance"), trial.column("expires")
        thoughts = [
            [trial.text(r), float(worth[r]), list(trial.evidence[r]), int(expires[r])]
            for r in range(before, len(trial))
        ]
        return thoughts, np.flatnonzero(trial.column("accessed")[:before] != accessed).tolist()

    def _latest(self) -> set[str]:
        """The latest observations, which are not kept again."""
        observed = np.flatnonzero(self.memory.column("kind") == _place(self.memory, "observation"))
        return {self.memory.text(int(r)) for r in observed[max(len(observed) - self.retention, 0) :]}

    def _remembered(self, about: str, seen: Context) -> list[str]:
        if not self.recall or not len(self.memory):
            return []
        # looking does not touch: a prompt that is only shown must not change what is remembered
        found = self.memory.retrieve(about, self.recall, now=seen.time, touch=False)
        return ["You remember:", *(f"- {t}" for t in found.texts), ""] if found.texts else []

    async def answer(self, seen: Context, question: str, schema: Mapping[str, Any]) -> Any:
        """An interview: answered from persona and memory, and not remembered."""
        lines = [*self._remembered(question, seen), f"You see: {seen.text}", "", question]
        told = await seen.lm.answer(
            "\n".join(lines), dict(schema), system=self.who(), seed=seen.seed, purpose="mind: interview"
        )
        return told.value

    def whisper(self, thought: str, time: int, worth: float = 8.0) -> int:
        """Put a thought into the person's mind, as if it were its own; the place of the record."""
        return self.memory.add(thought, time=time, kind="thought", importance=worth)

    def state(self) -> dict[str, Any]:
        return {"memory": self.memory.to_arrow().to_pylist(), "pending": self.memory.pending, "day": self.day,
                "plan": [[hour, what] for hour, what in self.plan]}  # fmt: skip

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.day, self.plan = int(kept["day"]), [(int(h), str(w)) for h, w in kept["plan"]]
        if kept["memory"]:
            table = pa.Table.from_pylist(kept["memory"]).replace_schema_metadata({"pending": str(kept["pending"])})
            self.memory = Memory.from_arrow(table, self.texts, threshold=self.reflects or 1.0)


def did(decision: Decision, seen: Context) -> str:
    """An act as its own memory; "" for doing nothing."""
    if decision.verb == NOTHING:
        return ""
    thing = seen.world.thing(decision.verb)
    on = f" {seen.named(thing)[decision.object]}" if thing and decision.object >= 0 else ""
    return f"{DID}{decision.verb}{on}. {decision.text}".strip()


def _place(memory: Memory, kind: str) -> int:
    return memory.kinds.index(kind) if kind in memory.kinds else -1
