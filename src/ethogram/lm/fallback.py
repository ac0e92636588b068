"""A chain of models: when one cannot answer, the next is asked, and the answer says which one did."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from ethogram.errors import (
    AnswerError,
    BudgetSpent,
    CapabilityError,
    ContextExceeded,
    EthogramError,
    LMError,
    NotRecorded,
    OptionError,
    SchemaError,
)
from ethogram.lm.capabilities import Capabilities
from ethogram.lm.model import LM
from ethogram.lm.replies import Answer, Choice, Reply, Scores

_FINAL = (NotRecorded, SchemaError)
"""Errors that are about the run or the question, which no other model would answer better."""
_KINDS = (AnswerError, BudgetSpent, CapabilityError, ContextExceeded)
"""What the last model's error stays in the error of all."""


class Fallback(LM):
    """Models in the order in which they are asked; made by `LM.connect([...])` or `lm.otherwise(other)`.

    A call goes to the first model; where that is down, busy to the end of its tries, refuses, lacks the capability,
    gives no valid answer or may spend no more, the next one gets the whole call, with its own ladder of methods. A
    budget binds all of them but those that `Broker(free=...)` names. `identity` names all, because any may answer; each
    reply names the one that did, and the transcript holds the failed call before.
    """

    def __init__(self, models: list[LM]):
        if not models:
            raise OptionError("a chain of models needs at least one.")
        super().__init__(models[0].wire, models[0].broker)
        self.models = models

    @property
    def identity(self) -> str:
        return " > ".join(m.identity for m in self.models)

    async def _first(self, call: Callable[[LM], Awaitable[Any]]) -> Any:
        failed: list[str] = []
        for lm in self.models:
            try:
                return await call(lm)
            except _FINAL:
                raise
            except LMError as error:
                failed.append(f"{lm.identity}: {error}")
                last: EthogramError = error
        kind = type(last) if isinstance(last, _KINDS) else LMError
        raise kind(f"none of {len(self.models)} models answered. " + " | ".join(failed)) from None

    async def chat(self, *args: Any, **options: Any) -> Reply:
        found: Reply = await self._first(lambda lm: lm.chat(*args, **options))
        return found

    async def answer(self, *args: Any, **options: Any) -> Answer[Any]:
        found: Answer[Any] = await self._first(lambda lm: lm.answer(*args, **options))
        return found

    async def choose(self, *args: Any, **options: Any) -> Choice:
        found: Choice = await self._first(lambda lm: lm.choose(*args, **options))
        return found

    async def logprob(self, *args: Any, **options: Any) -> Scores:
        found: Scores = await self._first(lambda lm: lm.logprob(*args, **options))
        return found

    async def capabilities(self) -> Capabilities:
        found: Capabilities = await self._first(lambda lm: lm.capabilities())
        return found

    async def stream(self, *args: Any, **options: Any) -> AsyncIterator[str]:
        """As `LM.stream`; the next model is asked only as long as nothing was written."""
        for i, lm in enumerate(self.models):
            begun = False
            try:
                async for text in lm.stream(*args, **options):
                    begun = True
                    yield text
                return
            except _FINAL:
                raise
            except LMError:
                if begun or i == len(self.models) - 1:
                    raise

    async def close(self) -> None:
        for lm in self.models:
            await lm.close()
