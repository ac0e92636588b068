"""`LM`: one language model, however it is reached."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ethogram.errors import CapabilityError, OptionError, unknown
from ethogram.lm import answers, choices, protocol
from ethogram.lm.broker import Asked, Broker
from ethogram.lm.capabilities import Capabilities
from ethogram.lm.messages import Said, Sampling, Tool, conversation, harmless
from ethogram.lm.replies import Answer, Choice, Reply, Scores, TokenScore
from ethogram.lm.wire import CHAT, EMBED, SCORE, Wire

if TYPE_CHECKING:
    from ethogram.lm.blocking import Blocking

KINDS = ("local", "local:PATH.gguf", "torch", "http://HOST/v1", "scripted:TEXT")


class LM:
    """A language model behind a broker. Made by `LM.connect`; all calls are asynchronous, `LM.sync` has them blocking.

    Attributes
    ----------
    identity : what answers; equal exactly where the same weights, or the same endpoint and model name, answer.
    broker : cache, limits, budget, ledger and transcript of the calls; may be shared by several models.
    """

    def __init__(self, wire: Wire, broker: Broker):
        self.wire, self.broker = wire, broker

    @property
    def identity(self) -> str:
        return self.wire.identity

    def __repr__(self) -> str:
        return f"LM({self.identity})"

    @classmethod
    def connect(
        cls, where: str = "local", *, model: str | None = None, key: str | None = None, broker: Broker | None = None,
        **options: Any,
    ) -> LM:  # fmt: skip
        """A model by where it is; nothing is sent and nothing loaded before the first call.

        Parameters
        ----------
        where : "local" (embedded), "local:PATH.gguf" or "local:NAME" (see `ethogram lm ls`), "torch", "torch:PATH",
            the URL of an endpoint, "scripted:TEXT"; or several of these, asked in turn where one fails.
        model : name at the endpoint. key : where its API key is, "env:NAME" or "file:PATH".
        broker : None makes one with the shared cache and a transcript (for "scripted:": one that keeps nothing).
        options : of the embedded server (`embedded.Settings`) or the endpoint (`endpoint.Endpoint`).

        Raises
        ------
        OptionError
            `where` is none of these. WeightsError, KeyMissing.
        """
        if not isinstance(where, str):
            from ethogram.lm.fallback import Fallback

            shared = broker or Broker()
            return Fallback([cls.connect(w, model=model, key=key, broker=shared, **options) for w in where])
        kind, _, rest = where.partition(":")
        if kind == "scripted":
            from ethogram.lm.scripted import Scripted

            return cls(Scripted.named(rest), broker or Broker.bare())
        return cls(_wire(kind, rest, where, model, key, options), broker or Broker())

    async def chat(
        self, said: Said, *, system: str | None = None, tools: Sequence[Tool] = (), must_call: bool = False,
        temperature: float = 0.0, top_p: float = 1.0, max_tokens: int = 256, stop: Sequence[str] = (),
        seed: int | None = None, logprobs: int = 0, purpose: str = "chat", extra: Mapping[str, Any] | None = None,
        constrained: bool = False,
    ) -> Reply:  # fmt: skip
        """The reply to a text, a message or a conversation.

        Parameters
        ----------
        system : a message of the system before it. tools : what the model may call; `must_call` makes it call one.
        logprobs : alternatives told for each written token. extra : more fields of the request.
        constrained : what the reply says of itself; set by callers that hold the decoder to a shape through `extra`.

        Raises
        ------
        LMError
            EndpointDown, EndpointRefused, ContextExceeded, EndpointBusy, BadReply, BudgetSpent, NotRecorded.
        """
        sampling = Sampling(temperature, top_p, max_tokens, tuple(stop), seed)
        messages = conversation(said, system)
        if tools and not (await self.capabilities()).tools:
            from ethogram.lm.tools import through_schema

            return await through_schema(self, messages, tools, must_call, sampling, purpose)
        body = protocol.body(
            await self._name(), messages, sampling, tools=tools, must_call=must_call, logprobs=logprobs, extra=extra
        )
        asked = Asked(CHAT, body, purpose, sampling.repeatable, protocol.estimate(body, sampling))
        got = await self.broker.call(self.wire, asked)
        reply = protocol.reply(got.reply, self.identity, got.source, got.seconds, got.tries)
        return dataclasses.replace(reply, constrained=True) if constrained else reply

    async def stream(
        self, said: Said, *, system: str | None = None, temperature: float = 0.0, top_p: float = 1.0,
        max_tokens: int = 256, stop: Sequence[str] = (), seed: int | None = None, purpose: str = "chat",
    ) -> AsyncIterator[str]:  # fmt: skip
        """The pieces of a reply as they are written; kept whole under the same key as `chat`."""
        sampling = Sampling(temperature, top_p, max_tokens, tuple(stop), seed)
        body = protocol.body(await self._name(), conversation(said, system), sampling)
        asked = Asked(CHAT, body, purpose, sampling.repeatable, protocol.estimate(body, sampling))
        async with aclosing(self.broker.stream(self.wire, asked, protocol.whole, protocol.pieces)) as events:
            async for event in events:
                if text := protocol.piece(event):
                    yield text

    async def answer(
        self, question: Said, schema: Any, *, data: Sequence[str] = (), system: str | None = None, attempts: int = 3,
        temperature: float = 0.0, max_tokens: int = 256, seed: int | None = None, purpose: str = "answer",
    ) -> Answer[Any]:  # fmt: skip
        """A typed answer.

        Parameters
        ----------
        schema : a pydantic model, a dataclass, any type that pydantic reads, or a JSON schema as a dict.
        data : texts found elsewhere; they are quoted before the question and give no instructions.
        attempts : replies until a valid one, each told what was wrong with the last.

        Raises
        ------
        SchemaError
            The schema cannot be read or satisfied. AnswerError: no valid reply. LMError: as `chat`.
        """
        return await answers.answer(
            self, question, schema, data=data, system=system, attempts=attempts, temperature=temperature,
            max_tokens=max_tokens, seed=seed, purpose=purpose,
        )  # fmt: skip

    async def choose(
        self, prompt: Said, options: Sequence[str], *, data: Sequence[str] = (), system: str | None = None,
        method: str | None = None, listed: bool = True, permutations: int = 1,
        normalise: Literal["sum", "mean"] = "sum", draws: int = 5, purpose: str = "choose",
    ) -> Choice:  # fmt: skip
        """One of the options, with probabilities.

        Parameters
        ----------
        method : one of `choices.METHODS`; None takes the best that the model has.
        listed : whether the prompt tells the options. permutations : rotations of the options that are averaged.
        normalise : "sum" (probability of the whole option) or "mean" (per token), where options are scored.
        draws : where shares are drawn.

        Raises
        ------
        OptionError
            Fewer than two options, or equal ones. CapabilityError: the method is not to be had. LMError: as `chat`.
        """
        return await choices.choose(
            self, prompt, options, data=data, system=system, method=method, listed=listed, permutations=permutations,
            normalise=normalise, draws=draws, purpose=purpose,
        )  # fmt: skip

    async def logprob(
        self, prompt: Said, continuations: str | Sequence[str], *, end: bool = False, purpose: str = "logprob"
    ) -> Scores:
        """Log-probabilities of texts after a prompt.

        Parameters
        ----------
        prompt : a text is continued as it stands; messages are put through the chat template first, and the
            continuations are what the assistant says.
        end : whether the token that ends a turn counts as part of each continuation.

        Raises
        ------
        CapabilityError
            The model tells no log-probabilities of given text.
        """
        texts = [continuations] if isinstance(continuations, str) else list(continuations)
        if not texts or not all(texts):
            raise OptionError("logprob() needs one or more non-empty continuations.")
        asked: dict[str, Any] = {"continuations": texts, "end": end}
        if isinstance(prompt, str):
            asked["prompt"] = harmless(prompt)
        else:
            asked["messages"] = [protocol.said(m) for m in conversation(prompt)]
        body = protocol.encode(asked)
        got = await self.broker.call(self.wire, Asked(SCORE, body, purpose, True, len(body) // 4))
        method, scored = protocol.scores(got.reply, self.identity, len(texts))
        by_token = tuple(tuple(TokenScore(t, p) for t, p in one) for one in scored)
        return Scores(
            np.array([sum(t.logprob for t in one) for one in by_token]), np.array([len(one) for one in by_token]),
            method, by_token, self.identity,
        )  # fmt: skip

    async def embed(self, texts: Sequence[str], *, encoder: str = "minilm", purpose: str = "embed") -> np.ndarray:
        """Vectors of texts, float32[n, d], rows of length 1.

        Parameters
        ----------
        encoder : of `ethogram.lm.embed` (packaged, on this machine), or "endpoint": the model's own, through the
            broker, one call for each different text.

        Raises
        ------
        CapabilityError
            The endpoint embeds nothing. UnknownName, OptionError: as `ethogram.lm.embed.embed`.
        """
        if encoder != "endpoint":
            from ethogram.lm.embed import embed

            return await asyncio.to_thread(embed, texts, encoder)
        if not (await self.capabilities()).embeddings:
            raise CapabilityError(f"{self.identity} embeds nothing; use encoder='minilm'.")
        name = await self._name()

        async def one(text: str) -> np.ndarray:
            body = protocol.encode({"model": name, "input": [text]})
            got = await self.broker.call(self.wire, Asked(EMBED, body, purpose, True, len(body) // 4))
            return protocol.vector(got.reply, self.identity)

        different = list(dict.fromkeys(texts))
        found = dict(zip(different, await asyncio.gather(*map(one, different)), strict=True))
        return np.stack([found[t] for t in texts]) if found else np.empty((0, 0), np.float32)

    async def capabilities(self) -> Capabilities:
        """What the model can do; probed once and stored, and noted with the run."""

        async def probed() -> dict[str, Any]:
            return (await self.wire.capabilities()).json()

        if not hasattr(self, "_facts"):
            self._facts = Capabilities(**await self.broker.fact(f"capabilities {self.identity}", probed))
        return self._facts

    async def _name(self) -> str:
        if not hasattr(self, "_named"):
            self._named = str(await self.broker.fact(f"model {self.identity}", self.wire.model))
        return self._named

    def otherwise(self, other: LM) -> LM:
        """This model, and where it cannot answer, the other."""
        from ethogram.lm.fallback import Fallback

        return Fallback([*getattr(self, "models", [self]), *getattr(other, "models", [other])])

    @property
    def sync(self) -> Blocking:
        """The same calls, blocking."""
        from ethogram.lm.blocking import Blocking

        return Blocking(self)

    async def close(self) -> None:
        """Close connections (and the embedded server, if nobody else uses it), and the broker's files."""
        await self.wire.close()
        self.broker.close()


def _wire(kind: str, rest: str, where: str, model: str | None, key: str | None, options: dict[str, Any]) -> Wire:
    if kind in ("http", "https"):
        from ethogram.lm.endpoint import Endpoint

        _known(options, ("headers", "lanes"), kind)
        return Endpoint(where, model, key=key, **options)
    if kind == "local":
        from ethogram.lm.embedded import Embedded, Settings

        _known(options, [f.name for f in dataclasses.fields(Settings)], kind)
        return Embedded(rest, Settings(**options))
    if kind == "torch":
        from ethogram.lm.constrain import masking
        from ethogram.lm.torchface import TorchFace

        _known(options, ("masking", "source"), kind)
        return TorchFace(rest, **{"masking": masking, **options})
    hint = " A file of weights is 'local:PATH.gguf'." if Path(where).suffix == ".gguf" else ""
    raise OptionError(f"'{where}' is not where a model is.{hint} Known: {', '.join(KINDS)}.")


def _known(options: Mapping[str, Any], valid: Sequence[str], kind: str) -> None:
    """OptionError where an option is none of this kind of connection."""
    for name in options:
        if name not in valid:
            raise OptionError(unknown(f"option of '{kind}'", name, valid))
