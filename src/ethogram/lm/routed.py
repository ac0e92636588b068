"""Several models as one: each prompt goes to the one that a rule picks, and the reply says which it was.

router = ethogram.load("router")                                 # a system with the verb `route`
lm = Routed({"small": LM.connect("local"), "large": LM.connect(URL)}, picker(router))
await lm.chat("Explain this contract. [Flag: smallest model]")
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from ethogram.errors import OptionError, unknown
from ethogram.lm.capabilities import Capabilities
from ethogram.lm.messages import Message, Said, conversation
from ethogram.lm.model import LM
from ethogram.lm.replies import Answer, Choice, Reply, Scores

Pick = Callable[[str], tuple[str, str]]
"""The last thing that the user said -> (name of the model, what it is sent in its place)."""


class Routed(LM):
    """A model that is a library of models.

    Parameters
    ----------
    models : name -> model. pick : which of them a prompt goes to; see `Pick`.

    `identity` names all of them, because any may answer; a reply's own identity is that of the one that did.
    `embed` and what is not asked of a prompt go to the first.

    Raises
    ------
    OptionError
        No models; at a call: the rule picks one that is not there, or nobody but the system has said anything.
    """

    def __init__(self, models: Mapping[str, LM], pick: Pick):
        if not models:
            raise OptionError("a routed model needs at least one model.")
        first = next(iter(models.values()))
        super().__init__(first.wire, first.broker)
        self.models, self.pick = dict(models), pick

    @property
    def identity(self) -> str:
        return " | ".join(f"{name}={lm.identity}" for name, lm in self.models.items())

    def _to(self, said: Said) -> tuple[LM, list[Message]]:
        messages = list(conversation(said))
        at = next((i for i in reversed(range(len(messages))) if messages[i].role == "user"), None)
        if at is None:
            raise OptionError("there is no message of a user that could be routed.")
        name, text = self.pick(messages[at].text)
        if name not in self.models:
            raise OptionError(unknown("model of the library", name, self.models))
        messages[at] = dataclasses.replace(messages[at], text=text)
        return self.models[name], messages

    async def chat(self, said: Said, **options: Any) -> Reply:
        lm, messages = self._to(said)
        return await lm.chat(messages, **options)

    async def answer(self, question: Said, schema: Any, **options: Any) -> Answer[Any]:
        lm, messages = self._to(question)
        return await lm.answer(messages, schema, **options)

    async def choose(self, prompt: Said, options: Any, **how: Any) -> Choice:
        lm, messages = self._to(prompt)
        return await lm.choose(messages, options, **how)

    async def logprob(self, prompt: Said, continuations: Any, **options: Any) -> Scores:
        lm, messages = self._to(prompt)
        return await lm.logprob(messages, continuations, **options)

    async def stream(self, said: Said, **options: Any) -> AsyncIterator[str]:
        lm, messages = self._to(said)
        async for piece in lm.stream(messages, **options):
            yield piece

    async def capabilities(self) -> Capabilities:
        return await next(iter(self.models.values())).capabilities()

    async def close(self) -> None:
        for lm in self.models.values():
            await lm.close()


def picker(router: Any) -> Pick:
    """The rule of a system with the verb `route`; `[Flag: ...]` is read and not sent on."""
    import re

    def pick(prompt: str) -> tuple[str, str]:
        table = router.route([prompt])
        sent = re.sub(r"\s*\[\s*flag\s*:[^\[\]]*\]", "", prompt, flags=re.IGNORECASE).strip()
        return str(table.column("model")[0].as_py()), sent or prompt

    return pick
