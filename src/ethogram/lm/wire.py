"""The one thing that every model behind a connection has in common: JSON in, JSON out, by path.

Paths are those of the OpenAI protocol below its base (``/chat/completions``, ``/embeddings``) and one of ours,
``/score``: {"prompt" or "messages", "continuations": [...], "end": bool} -> {"method", "scores": [[[token, logprob],
...], ...], "usage"}. Scoring takes several requests at some endpoints; above the wire it is one call, cached,
recorded and replayed as one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from ethogram.lm.capabilities import Capabilities

CHAT, SCORE, EMBED = "/chat/completions", "/score", "/embeddings"


class Wire(Protocol):
    """A model that can be sent to.

    `identity` is equal exactly where the same weights (or the same endpoint and model name) answer; it is part of
    every cache key. `lanes` is how many calls at once are worth sending where nothing else was asked for.
    """

    identity: str
    lanes: int

    async def model(self) -> str:
        """The model's name, as requests carry it."""
        ...

    async def capabilities(self) -> Capabilities:
        """What the model can do; probed."""
        ...

    async def send(self, path: str, body: bytes, seconds: float) -> bytes:
        """One request; raises LMError (with `again` and `after`) where there is no answer within `seconds`."""
        ...

    def stream(self, path: str, body: bytes, seconds: float) -> AsyncIterator[bytes]:
        """The JSON events of a streamed reply; `seconds` bounds the silence between two of them."""
        ...

    async def close(self) -> None:
        """Free what is held."""
        ...
