"""One queue for all calls to language models.

A call goes through, in this order: the recording (where a run is replayed), the cache on disk, an identical call in
flight, the budget, the lane of its endpoint (concurrency, rates, pauses), the wire (timeout, retries); its answer is
on disk, in the cache and in the run's transcript, before the caller sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import msgspec

from ethogram import errors
from ethogram.errors import LMError, NotRecorded, OptionError, nearest
from ethogram.lm import transcript
from ethogram.lm.budget import Budget, Prices, Purse
from ethogram.lm.cache import AnswerCache
from ethogram.lm.ledger import Ledger
from ethogram.lm.limits import Lane, Limits, Retries
from ethogram.lm.replies import Source, Usage
from ethogram.lm.transcript import Recording, Row
from ethogram.lm.wire import Wire
from ethogram.lm.writer import Writer

Mode = Literal["live", "record", "replay-strict", "replay-lenient"]
MODES: tuple[Mode, ...] = ("live", "record", "replay-strict", "replay-lenient")
NAMELESS_MB = 512
"""Runs that were given no name are kept up to so much together."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: what is sent where, for what purpose.

    `repeatable` calls may be answered from the cache and shared; others (drawn with temperature, no seed) are told
    apart by how often the run asked the same before. `tokens` is an estimate of what the call takes.
    """

    path: str
    body: bytes
    purpose: str
    repeatable: bool = True
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Got:
    """The reply's bytes, where they are from, seconds on the wire, tries."""

    reply: bytes
    source: Source
    seconds: float = 0.0
    tries: int = 0


class _Counted(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int | None = 0


class _Used(msgspec.Struct):
    usage: _Counted | None = None


_usage = msgspec.json.Decoder(_Used)


class Broker:
    """See the module; all options are keyword-only.

    Parameters
    ----------
    run : name of the run, or a path ending in .lmrun. Without a name it gets one and is dropped when old.
    mode : "live"; "record": a new named run, the cache is not read; "replay-strict": only `run`'s recorded answers
        (and failures), NotRecorded for others, nothing is sent and nothing written; "replay-lenient": `run`'s recorded
        answers, the missing ones are asked for and added to it (this is also how a broken run is continued).
    cache : True (the shared one), False, or an AnswerCache.
    keep : whether the run's transcript is written.
    budget : what the run may spend. free : identities whose calls are not counted and never refused.
    prices : by identity, or one for all.
    limits : by identity, or one for all. retries : when and how often is tried again.
    timeout : seconds for one try; for streams, of silence.
    """

    def __init__(
        self,
        *,
        run: str | Path | None = None,
        mode: Mode = "live",
        cache: bool | AnswerCache = True,
        keep: bool = True,
        budget: Budget | None = None,
        free: Collection[str] = (),
        prices: Prices | Mapping[str, Prices] | None = None,
        limits: Limits | Mapping[str, Limits] | None = None,
        retries: Retries | None = None,
        timeout: float = 300.0,
    ):
        if mode not in MODES:
            raise OptionError(f"unknown mode '{mode}'.{nearest(mode, MODES)} Known: {', '.join(MODES)}.")
        if mode != "live" and run is None:
            raise OptionError(f"mode '{mode}' needs run=, the name of the run or a path ending in .lmrun.")
        self.mode, self.timeout, self.retries = mode, timeout, retries or Retries()
        self.run = str(run) if run is not None else transcript.new_name()
        self.purse, self.ledger = Purse(budget, free), Ledger()
        self._prices, self._limits = prices, limits
        self._cache = cache if isinstance(cache, AnswerCache) else None
        self._caching = bool(cache) and mode in ("live", "replay-lenient")
        self._keeping = mode != "replay-strict" and (keep or mode != "live")
        self._recording: Recording | None = None
        self._draws: Counter[bytes] = Counter()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Here] = weakref.WeakKeyDictionary()
        self._writer = Writer(self._flush)
        if mode == "record" and transcript.place(self.run).exists():
            raise OptionError(f"run '{self.run}' is there already; continue it with mode 'replay-lenient'.")
        if mode.startswith("replay"):
            self._recording = Recording(transcript.place(self.run), must=True)
        if self._recording is not None and mode == "replay-lenient":
            self.purse.spent(*self._recording.spent(self.purse.free))

    @classmethod
    def bare(cls, **options: Any) -> Broker:
        """A broker that keeps nothing on disk."""
        return cls(cache=False, keep=False, **options)

    async def call(self, wire: Wire, asked: Asked) -> Got:
        """Answer one call.

        Raises
        ------
        LMError
            NotRecorded, BudgetSpent, or what the wire raised on the last try.
        """
        key, draw = self._numbered(wire, asked)
        if (found := await self._known(wire, asked, key, draw)) is not None:
            return found
        if not asked.repeatable:
            return await self._ask(wire, asked, key, draw)
        flying = self._here().flying
        if (other := flying.get(key)) is not None:
            got = await asyncio.shield(other)
            joined = Got(got.reply, "joined")
            self.ledger.enter(asked.purpose, wire.identity, "joined", Usage(), 0, 0, 0)
            if self._keeping:
                await self._writer.write((self._row(wire, asked, key, draw, joined), False))
            return joined
        work = asyncio.ensure_future(self._ask(wire, asked, key, draw))
        flying[key] = work
        work.add_done_callback(lambda done: (flying.pop(key, None), done.cancelled() or done.exception()))
        # one of several callers giving up must not take the answer from the others
        return await asyncio.shield(work)

    def _numbered(self, wire: Wire, asked: Asked) -> tuple[bytes, int]:
        """Key of a call, and which draw of it this is."""
        key = blake2b(b"\0".join((wire.identity.encode(), asked.path.encode(), asked.body)), digest_size=16).digest()
        if asked.repeatable:
            return key, 0
        self._draws[key] += 1
        return key, self._draws[key] - 1

    async def _known(self, wire: Wire, asked: Asked, key: bytes, draw: int) -> Got | None:
        """An answer that is there already, entered."""
        found = self._kept(wire, asked, key, draw)
        if found is None:
            return None
        got = Got(*found)
        self.ledger.enter(asked.purpose, wire.identity, got.source, Usage(), 0, 0, 0)
        if got.source == "cache" and self._keeping:
            await self._writer.write((self._row(wire, asked, key, draw, got), False))
        return got

    def _kept(self, wire: Wire, asked: Asked, key: bytes, draw: int) -> tuple[bytes, Source] | None:
        # a run that is recorded answers an equal question as it did before, or its replay would differ
        if self._recording is not None and self.mode != "live":
            reply = self._recording.answer(key, draw)
            if reply is not None:
                return reply, "recording"
            if self.mode == "replay-strict":
                if told := self._recording.failure(key, draw):
                    raise failed(told)
                raise NotRecorded(
                    f"run '{self.run}' holds no answer of {wire.identity} to this call "
                    f"(purpose {asked.purpose}, {asked.path}{f', draw {draw}' if draw else ''})."
                )
        if self._caching and asked.repeatable:
            reply = self._answers().get(key)
            if reply is not None:
                return reply, "cache"
        return None

    async def _ask(self, wire: Wire, asked: Asked, key: bytes, draw: int) -> Got:
        prices = self._of(self._prices, wire.identity) or Prices()
        held = (asked.tokens, prices.of(Usage(asked.tokens)))
        usage, money, sent, got = Usage(), 0.0, False, None
        try:
            self.purse.take(wire.identity, *held)
            sent = True
            got = await self._sent(wire, asked)
            usage = used(got.reply)
            money = prices.of(usage)
        except LMError as error:
            await self._fail(wire, asked, key, draw, error)
            raise
        finally:
            if sent:
                self.purse.settle(wire.identity, held, usage, money)
        await self._done(wire, asked, key, draw, got, usage, money)
        return got

    async def _done(
        self, wire: Wire, asked: Asked, key: bytes, draw: int, got: Got, usage: Usage, money: float
    ) -> None:
        """Enter an answer that was sent for, and keep it."""
        self.ledger.enter(asked.purpose, wire.identity, "live", usage, money, got.seconds, got.tries)
        if self._keeping or self._caching:
            keep = self._caching and asked.repeatable
            await self._writer.write((self._row(wire, asked, key, draw, got, usage, money), keep))

    async def _fail(self, wire: Wire, asked: Asked, key: bytes, draw: int, error: LMError) -> None:
        """Enter a call that got no answer, and keep what was asked."""
        self.ledger.fail(asked.purpose, wire.identity, type(error).__name__)
        if self._keeping:
            await self._writer.write((self._failed(wire, asked, key, draw, error), False))

    async def _sent(self, wire: Wire, asked: Asked) -> Got:
        lane = self._lane(wire)
        tries = 0
        while True:
            await lane.enter(asked.tokens)
            tries += 1
            began = time.perf_counter()
            try:
                reply = await wire.send(asked.path, asked.body, self.timeout)
                return Got(reply, "live", time.perf_counter() - began, tries)
            except LMError as error:
                wait = self.retries.wait(tries, error)
                if wait is None:
                    raise
                if error.after is not None:
                    lane.pause(wait)
            finally:
                lane.leave()
            await asyncio.sleep(wait)

    async def stream(
        self, wire: Wire, asked: Asked, whole: Callable[[list[bytes]], bytes], pieces: Callable[[bytes], list[bytes]]
    ) -> AsyncGenerator[bytes]:
        """The events of a streamed reply; a kept reply comes as the events that `pieces` makes of it.

        `whole` makes of all events the reply that the same call would have had without streaming; it is kept under
        the same key. A stream that breaks off is not tried again: its reader has seen a part of it.
        """
        key, draw = self._numbered(wire, asked)
        if (found := await self._known(wire, asked, key, draw)) is not None:
            for event in pieces(found.reply):
                yield event
            return
        prices = self._of(self._prices, wire.identity) or Prices()
        held = (asked.tokens, prices.of(Usage(asked.tokens)))
        usage, money, sent, seen = Usage(), 0.0, False, []
        lane = self._lane(wire)
        try:
            self.purse.take(wire.identity, *held)
            sent = True
            await lane.enter(asked.tokens)
            began = time.perf_counter()
            try:
                async for event in wire.stream(asked.path, asked.body, self.timeout):
                    seen.append(event)
                    yield event
            finally:
                lane.leave()
            got = Got(whole(seen), "live", time.perf_counter() - began, 1)
            usage = used(got.reply)
            money = prices.of(usage)
        except LMError as error:
            await self._fail(wire, asked, key, draw, error)
            raise
        except GeneratorExit:  # what was read of it is paid for, and is no answer
            usage = Usage(len(asked.body) // 4, len(seen))
            money = prices.of(usage)
            with contextlib.suppress(RuntimeError):  # the broker was closed before its reader was gone
                await self._fail(wire, asked, key, draw, LMError(f"its reader left after {len(seen)} events"))
            raise
        finally:
            if sent:
                self.purse.settle(wire.identity, held, usage, money)
        await self._done(wire, asked, key, draw, got, usage, money)

    async def fact(self, name: str, find: Callable[[], Awaitable[Any]]) -> Any:
        """A JSON-able fact about an endpoint: from the recording in a replay, else found and noted with the run.

        Raises
        ------
        NotRecorded
            A strict replay does not hold it.
        """
        if self._recording is not None and self.mode.startswith("replay"):
            kept = self._recording.fact(name)
            if kept is not None:
                return kept
            if self.mode == "replay-strict":
                raise NotRecorded(f"run '{self.run}' does not hold the fact '{name}'.")
        value = await find()
        if self._keeping:
            self._record().note({name: value})
        return value

    def _flush(self, rows: list[tuple[Row, bool]]) -> None:
        """On the writer's thread: first the run, then the cache."""
        if self._keeping:
            self._record().write([row for row, _ in rows])
        cached = [(r.key, r.identity, r.path, r.reply) for r, keep in rows if keep and r.reply is not None]
        if cached:
            self._answers().put(cached)

    def _row(
        self, wire: Wire, asked: Asked, key: bytes, draw: int, got: Got, usage: Usage = Usage(), money: float = 0.0
    ) -> Row:
        return Row(
            asked.purpose, wire.identity, asked.path, key, draw, got.source, asked.body, got.reply, got.seconds,
            got.tries, usage.prompt, usage.completion, money,
        )  # fmt: skip

    def _failed(self, wire: Wire, asked: Asked, key: bytes, draw: int, error: LMError) -> Row:
        told = f"{type(error).__name__}: {error}"
        return Row(asked.purpose, wire.identity, asked.path, key, draw, "live", asked.body, None, error=told)

    def _record(self) -> Recording:
        if self._recording is None:
            self._recording = Recording(transcript.place(self.run))
        return self._recording

    def _answers(self) -> AnswerCache:
        if self._cache is None:
            self._cache = AnswerCache()
        return self._cache

    def _here(self) -> _Here:
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            found = self._loops[loop] = _Here()
        return found

    def _lane(self, wire: Wire) -> Lane:
        lanes = self._here().lanes
        if wire.identity not in lanes:
            lanes[wire.identity] = Lane(self._of(self._limits, wire.identity) or Limits(), wire.lanes)
        return lanes[wire.identity]

    @staticmethod
    def _of(given: Any, identity: str) -> Any:
        return given.get(identity) if isinstance(given, Mapping) else given

    def close(self) -> None:
        """Write what is left and close the files."""
        self._writer.close()
        if self._recording is not None:
            self._recording.close()
            self._recording = None
            transcript.prune(NAMELESS_MB)
        if self._cache is not None:
            self._cache.close()
            self._cache = None


class _Here:
    """What belongs to one event loop: calls in flight, lanes."""

    def __init__(self) -> None:
        self.flying: dict[bytes, asyncio.Future[Got]] = {}
        self.lanes: dict[str, Lane] = {}


def failed(told: str) -> LMError:
    """The error that was recorded as "KIND: message"."""
    kind, _, message = told.partition(": ")
    found = getattr(errors, kind, LMError)
    made: LMError = (found if isinstance(found, type) and issubclass(found, LMError) else LMError)(message)
    return made


def used(reply: bytes) -> Usage:
    """Tokens that a reply says it took, zero where it does not say."""
    try:
        told = _usage.decode(reply).usage
    except msgspec.DecodeError:
        return Usage()
    return Usage(told.prompt_tokens, told.completion_tokens or 0) if told else Usage()
