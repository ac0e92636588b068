"""One decision of one resident, on copies of memory and life: nothing of it counts until the world has taken it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ethogram.lm.memory import HOUR, Memory
from ethogram.simulate.generative_agents import prompts
from ethogram.simulate.generative_agents.life import Life
from ethogram.simulate.generative_agents.prompts import Asked
from ethogram.world.minds import Context
from ethogram.world.town.folk import Resident
from ethogram.world.town.living import Living

DAY = 24 * HOUR
MINUTE = HOUR // 60
IDLE = "idle"
"""Kind of records of people who do nothing: importance 1 without a call, never retrieved."""


@dataclass
class Turn:
    """What the stages of a decision work on.

    Attributes
    ----------
    how : options (`GenerativeAgents`). sources : event that each record was made from, -1 none.
    """

    how: Any
    living: Living
    person: Resident
    seen: Context
    memory: Memory
    life: Life
    sources: list[int]

    @property
    def now(self) -> int:
        return self.seen.time

    @property
    def tick(self) -> int:
        return self.seen.tick

    @property
    def minute(self) -> int:
        """Of the day."""
        return self.now % DAY // MINUTE

    @property
    def here(self) -> int:
        """The tile."""
        return int(self.seen.state["tile"][self.seen.row])

    def ticks(self, minutes: float) -> int:
        """Ticks of so many minutes, 1 or more."""
        return max(1, round(minutes * MINUTE / self.living.length))

    def clock(self, time: int | None = None) -> str:
        return f"{datetime.fromtimestamp((self.now if time is None else time) / 1e6, UTC):%A %-d %B, %H:%M}"

    def date(self) -> str:
        return f"{datetime.fromtimestamp(self.now / 1e6, UTC):%A %-d %B}"

    def name_of(self, row: int) -> str:
        return self.living.people[row].name

    def system(self) -> str:
        """Who the model speaks for."""
        return f"You are a person of {self.living.town.name}.\n{self.person.text()}\nCurrently: {self.life.currently}"

    async def ask(self, asked: Asked, purpose: str, tokens: int = 128) -> dict[str, Any]:
        """An answer under the schema; LMError where there is none."""
        drawn = {"temperature": self.how.temperature, "seed": self.seen.seed} if self.how.temperature else {}
        text, schema = asked
        told = await self.seen.lm.answer(
            text, schema, system=self.system(), max_tokens=tokens, purpose=f"resident: {purpose}", **drawn
        )
        return dict(told.value)

    async def worths(self, texts: Sequence[str]) -> list[int]:
        """How important events are to the person, 1 to 10 each; who remembers nothing is not asked."""
        if not texts or not self.how.memory:
            return [1] * len(texts)
        told = await self.ask(prompts.worths(self.person.first, texts), "importance", 8 + 8 * len(texts))
        return [int(n) for n in told["importance"]]

    def recall(self, queries: Sequence[str], k: int, *, touch: bool = True) -> list[int]:
        """Places of the records that come to mind: k for all queries together, each record once."""
        if not self.how.memory or not len(self.memory):
            return []
        kinds = [kind for kind in self.memory.kinds if kind != IDLE]
        found: list[int] = []
        for query in queries:
            told = self.memory.retrieve(query, -(-k // len(queries)), now=self.now, kinds=kinds, touch=touch)
            found += [r for r in told.records.tolist() if r not in found]
        return found[:k]

    def told(self, records: Sequence[int]) -> list[str]:
        """Records in words, with their times."""
        created = self.memory.column("created")
        return [f"[{self.clock(int(created[r]))}] {self.memory.text(r)}" for r in records]

    def keep(
        self, text: str, worth: float, *, kind: str = "observation", evidence: Sequence[int] = (), source: int = -1,
        days: int | None = None,
    ) -> int:  # fmt: skip
        """Remember something; -1 for who has no memory."""
        if not self.how.memory:
            return -1
        cited = [e for e in evidence if e >= 0]
        expires = None if days is None else self.now + days * DAY
        made = self.memory.add(text, time=self.now, importance=worth, kind=kind, evidence=cited, expires=expires)
        self.sources.append(source)
        return made

    def origins(self, records: Sequence[int]) -> tuple[int, ...]:
        """All events that these records go back to."""
        reached = [one for record in records for one in (record, *self.memory.sources(record))]
        return tuple(dict.fromkeys(self.sources[one] for one in reached if self.sources[one] >= 0))

    def origin(self, records: Sequence[int]) -> int:
        """The event that the first of these records goes back to, -1 where none does."""
        return next(iter(self.origins(records)), -1)
