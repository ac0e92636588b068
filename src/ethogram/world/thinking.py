"""A mind that asks a language model: persona, memory, what it observes, what it may do; a typed act back.

    prompt = who you are + what you remember of this + what you see + what you can do

What it observed and did is remembered after the decision; only that, never an interview.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ethogram.lm.memory import Memory
from ethogram.text.table import TextTable
from ethogram.world.acts import NOTHING, Decision
from ethogram.world.minds import Context
from ethogram.world.offering import offered, read


class LMMind:
    """See the module; declared as ``minds={"townsman": LMMind}`` or with options in a lambda.

    Parameters
    ----------
    persona : what is told of this person; `name` is used where there is one.
    verbs : what it may do, None for everything. recall : memories that a prompt holds, 0 for a mind without memory.
    most : records that are kept, the weakest go. every : ticks between its decisions.
    texts : table that minds share; None gives each its own. temperature, max_tokens : of the call.
    """

    def __init__(
        self, persona: Mapping[str, Any], *, verbs: Sequence[str] | None = None, recall: int = 5, most: int = 1_000,
        every: int = 1, texts: TextTable | None = None, temperature: float = 0.0, max_tokens: int = 96,
        purpose: str = "mind: act",
    ):  # fmt: skip
        self.persona, self.verbs, self.recall, self.most, self.every = persona, verbs, recall, most, every
        self.temperature, self.max_tokens, self.purpose = temperature, max_tokens, purpose
        self.texts = texts or TextTable()
        self.memory = Memory(self.texts)
        self._found: tuple[tuple[int, int], list[int]] = ((-1, -1), [])

    def _system(self) -> str:
        told = "; ".join(f"{k}: {v}" for k, v in self.persona.items())
        return f"You are a person in a simulated world. {told}".strip()

    def prompt(self, seen: Context) -> str:
        """What the model is told at this tick, system and question."""
        return f"{self._system()}\n\n{self._asked(seen)}"

    def _asked(self, seen: Context) -> str:
        lines = []
        if found := self._recalled(seen):
            lines += ["You remember:", *(f"- {self.memory.text(r)}" for r in found), ""]
        lines += [f"You see: {seen.text}", "", "You can:", offered(seen, self.verbs)[1], "", "What do you do?"]
        return "\n".join(lines)

    def _recalled(self, seen: Context) -> list[int]:
        """Records that come to mind. They are not touched: a prompt that is only shown must change nothing."""
        if not self.recall or not len(self.memory):
            return []
        if self._found[0] != (seen.tick, len(self.memory)):
            found = self.memory.retrieve(seen.text, self.recall, now=seen.time, touch=False)
            self._found = ((seen.tick, len(self.memory)), found.records.tolist())
        return self._found[1]

    async def act(self, seen: Context) -> Decision:
        """One call; LMError where no valid answer came."""
        schema = offered(seen, self.verbs)[0]
        answer = await seen.lm.answer(
            self._asked(seen), schema, system=self._system(), temperature=self.temperature, seed=seen.seed,
            max_tokens=self.max_tokens, purpose=self.purpose,
        )  # fmt: skip
        return read(seen, answer.value)

    def remember(self, seen: Context, acts: Sequence[Decision]) -> None:
        """Keep what was seen and done."""
        decision = acts[0]
        if not self.recall or decision.via == "fallback":
            return
        self.memory.column("accessed")[self._recalled(seen)] = seen.time
        did = "did nothing" if decision.verb == NOTHING else f"I did: {decision.verb}"
        if decision.object >= 0 and (thing := seen.world.thing(decision.verb)):
            did += f" {seen.named(thing)[decision.object]}"
        if not decision.granted:
            did += ", but it was taken"
        self.memory.add(f"I saw: {seen.text}", time=seen.time, importance=2)
        self.memory.add(f"{did}. {decision.text}".strip(), time=seen.time, importance=3)
        if len(self.memory) > self.most:
            self.memory.forget(seen.time, most=self.most)

    async def answer(self, seen: Context, question: str, schema: Mapping[str, Any]) -> Any:
        """An interview: answered from persona and memory, and not remembered."""
        lines = []
        if self.recall and len(self.memory):
            found = self.memory.retrieve(question, self.recall, now=seen.time, touch=False)
            lines += ["You remember:", *(f"- {t}" for t in found.texts), ""]
        lines += [f"You see: {seen.text}", "", question]
        told = await seen.lm.answer(
            "\n".join(lines), dict(schema), system=self._system(), seed=seen.seed, purpose="mind: interview"
        )
        return told.value

    def state(self) -> dict[str, Any]:
        rows = self.memory.to_arrow()
        return {"memory": rows.to_pylist(), "pending": self.memory.pending}

    def restore(self, kept: Mapping[str, Any]) -> None:
        import pyarrow as pa

        if kept["memory"]:
            table = pa.Table.from_pylist(kept["memory"]).replace_schema_metadata({"pending": str(kept["pending"])})
            self.memory = Memory.from_arrow(table, self.texts)
