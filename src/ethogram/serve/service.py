"""The decision service without its sockets: what each request does, and what goes on behind."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from ethogram.errors import EthogramError, StoreError
from ethogram.numeric.rules import Rule
from ethogram.serve import parse, wire
from ethogram.serve.answering import Answering, Job, brought
from ethogram.serve.assessing import Assessing, Case
from ethogram.serve.experiments import Experiment
from ethogram.serve.lane import Lane
from ethogram.serve.limits import Limits
from ethogram.serve.metrics import Metrics
from ethogram.serve.problems import Refused, decoded
from ethogram.serve.shelf import Served, Shelf
from ethogram.serve.state import Appended, Entry, Store

log = logging.getLogger("ethogram.serve")
TICK = 0.25
"""Seconds between two looks at what goes on behind: new versions, answers to decisions, forgotten users."""
AFTER_START = 10.0
"""Seconds behind its start after which a server removes what was forgotten before."""
STEP = 512
"""Entries of the ledger that an error memory reads at once, so that requests do not wait for it."""
_rank = msgspec.json.Decoder(wire.Rank)
_recommend = msgspec.json.Decoder(wire.Recommend)
_activate = msgspec.json.Decoder(wire.Activate)
Ask = wire.Rank | wire.Recommend


class Service:
    """What a server does.

    Parameters
    ----------
    store, shelf : owned by the caller. experiments : by name. rules : see `Assessing`.
    """

    def __init__(
        self, store: Store, shelf: Shelf, *, limits: Limits | None = None, experiments: Sequence[Experiment] = (),
        rules: Mapping[str, Sequence[tuple[str, Rule]]] | None = None,
    ):  # fmt: skip
        self.store, self.shelf, self.limits = store, shelf, limits or Limits()
        self.experiments = {e.name: e for e in experiments}
        self.metrics = Metrics()
        waiting = self.limits.waiting
        self.scoring: Lane[Job, wire.Answer] = Lane("score", Answering(store), waiting=waiting)
        self.assessing: Lane[Case, wire.Assessed] = Lane("assess", Assessing(store, rules), waiting=waiting)
        self.writing: Lane[tuple[list[Entry], bool], Appended] = Lane("write", self._write, waiting=waiting, batch=64)
        self.rest: Lane[Any, Any] = Lane("rest", lambda calls: [call() for call in calls], waiting=waiting, batch=1)
        shelf.switched = lambda name: self.metrics.switched.labels(name).inc()
        for lane in self._lanes:
            self.metrics.waiting.labels(lane.name).set_function(functools.partial(_depth, lane))
        self._compact_at: float | None = None
        self._keep, self._learning = threading.Event(), threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def _lanes(self) -> tuple[Lane[Any, Any], ...]:
        return self.scoring, self.assessing, self.writing, self.rest

    # -- events -------------------------------------------------------------------------------------------------------

    async def events(self, body: bytes) -> wire.Received:
        """Store a batch; returns when it is durable.

        Raises
        ------
        Refused
            Something is wrong with the batch, and nothing is stored; or ids are taken by other content (conflict),
            and the outcomes say which events were stored.
        """
        self.writing.check()
        entries = parse.events(body, self.limits)
        found = await self.writing.ask((entries, True))
        self._read_on()
        outcomes = [wire.Outcome(event_id=e.id, status=o) for e, o in zip(entries, found.outcomes, strict=True)]
        counts = {o: found.outcomes.count(o) for o in ("accepted", "duplicate", "conflict", "forgotten")}
        for outcome, n in counts.items():
            if n:
                self.metrics.events.labels(outcome).inc(n)
        if counts["conflict"]:
            at = found.outcomes.index("conflict")
            raise Refused(
                "conflict", f"Event id '{entries[at].id}' is taken by an event with other content.",
                f"$.events[{at}].event_id", "a new id for a new event", outcomes=outcomes,
            )  # fmt: skip
        return wire.Received(
            accepted=counts["accepted"], duplicate=counts["duplicate"], forgotten=counts["forgotten"], outcomes=outcomes
        )

    def _write(self, asked: list[tuple[list[Entry], bool]]) -> list[Appended | Exception]:
        """Requests that came together share one durable write."""
        answers: list[Appended | Exception] = [Appended((), {})] * len(asked)
        for ring in (True, False):
            rows = [i for i, (_, r) in enumerate(asked) if r is ring]
            if not rows:
                continue
            found = self.store.append([e for i in rows for e in asked[i][0]], ring=ring)
            self._follow(found)
            at = 0
            for i in rows:
                n = len(asked[i][0])
                answers[i] = Appended(found.outcomes[at : at + n], {})
                at += n
        return answers

    def _follow(self, found: Appended) -> None:
        """Move on what models keep of these users, so that the next question finds it; failing costs a build later."""
        for derived in self.shelf.following if found.moved else ():
            try:
                derived.follow(found.moved)
            except Exception:
                log.exception(
                    "what is derived of %d users could not follow; it is built when it is read", len(found.moved)
                )

    # -- questions ----------------------------------------------------------------------------------------------------

    async def rank(self, body: bytes) -> wire.Answer:
        """Judge the candidates of a request."""
        self.scoring.check()
        asked = decoded(_rank, body)
        if len(asked.candidates) > self.limits.candidates:
            raise Refused(
                "too-large",
                f"{len(asked.candidates):,} candidates at once.",
                "$.candidates",
                f"at most {self.limits.candidates:,}",
            )
        for name, value in (asked.context or {}).items():
            if isinstance(value, list | dict):
                raise Refused("invalid", "It has layers.", f"$.context.{parse.shortened(name)}", "a single value")
        model, arm = self._arm(asked, "score")
        job = self._job(asked, model, parse.ids(asked.candidates, "$.candidates"), asked.k, context=asked.context)
        return await self._answered(asked, job, arm)

    async def recommend(self, body: bytes) -> wire.Answer:
        """Choose items for a request."""
        self.scoring.check()
        asked = decoded(_recommend, body)
        among = parse.ids(asked.among or (), "$.among")
        if asked.k > self.limits.k:
            raise Refused("invalid", f"k is {asked.k:,}.", "$.k", f"at most {self.limits.k:,}")
        if len(among) > self.limits.candidates:
            raise Refused(
                "too-large", f"{len(among):,} items at once.", "$.among", f"at most {self.limits.candidates:,}"
            )
        model, arm = self._arm(asked, "recommend")
        ranker = None if asked.ranker is None else self.shelf.find(asked.ranker, "score", "$.ranker")
        job = self._job(asked, model, [], asked.k, ranker=ranker, among=among, exclude_seen=asked.exclude_seen)
        return await self._answered(asked, job, arm)

    async def assess(self, body: bytes) -> wire.Assessed:
        """Judge the risk of a request's person."""
        self.assessing.check()
        entries, asked = parse.case(body, self.limits)
        now = time.time_ns() // 1_000
        decided = now if asked.time is None else parse.microseconds(asked.time, "$.time")
        served = self.shelf.find(asked.model, "assess")
        # an event of this very moment is read, and a clock that is ahead of this one does no harm
        at = decided if asked.time is not None else max([decided, *(e.time + 1 for e in entries)])
        late = [n for n, e in enumerate(entries) if e.time >= at]
        if late:
            right = "an event before 'time', the instant of the decision"
            raise Refused("invalid", "It lies at or behind the decision.", f"$.events[{late[0]}].time", right)
        case = Case(served, asked.user_id, asked.session, entries, at, asked.profile or {})
        answer = await self.assessing.ask(case)
        self.metrics.judged.labels(served.name).inc()
        return answer

    def _arm(self, asked: Ask, verb: str) -> tuple[Served, tuple[str, float] | None]:
        """The model that answers, and, in an experiment, (arm, propensity)."""
        if asked.experiment is None:
            return self.shelf.find(asked.model, verb), None
        experiment = self.experiments.get(asked.experiment)
        if experiment is None:
            right = (
                f"one of {', '.join(self.experiments)}" if self.experiments else "start the service with --experiment"
            )
            raise Refused("not-found", "There is no experiment of that name.", "$.experiment", right)
        if asked.user_id is None:
            raise Refused("invalid", "An experiment assigns arms by the user.", "$.user_id", "give 'user_id'")
        if asked.model is not None:
            raise Refused("invalid", "The experiment chooses the model.", "$.model", "give 'experiment' or 'model'")
        arm, propensity = experiment.assign(asked.user_id)
        return self.shelf.find(arm, verb, "$.experiment"), (arm, propensity)

    def _job(self, asked: Ask, served: Served, candidates: list[str], k: int | None, **more: Any) -> Job:
        parse.no_line_end(asked.user_id, "$.user_id")
        history = asked.history
        if history is not None and len(history) > self.limits.history:
            raise Refused(
                "too-large", f"A history of {len(history):,} events.", "$.history", f"at most {self.limits.history:,}"
            )
        given = [p.time if isinstance(p, wire.Past) else None for p in history or ()]
        times = [None if t is None else parse.microseconds(t, f"$.history[{n}].time") for n, t in enumerate(given)]
        came = brought(history, asked.user_id, times)
        now = time.time_ns() // 1_000
        return Job(served, asked.user_id, came, candidates, k, now, explain=asked.explain, **more)

    async def _answered(self, asked: Ask, job: Job, arm: tuple[str, float] | None) -> wire.Answer:
        answer = await self.scoring.ask(job)
        self.metrics.judged.labels(job.served.name).inc(len(job.candidates) or len(answer.items))
        if arm is None and not asked.record:
            return answer
        answer.decision_id = uuid.uuid4().hex
        answer.arm, answer.propensity = arm or (UNSET, UNSET)
        found = await self.writing.ask(([decision(asked, job, answer)], False))
        assert found.outcomes == ("accepted",)
        return answer

    # -- people -------------------------------------------------------------------------------------------------------

    async def user(self, user: str, last: int) -> wire.Person:
        """What is stored of somebody."""
        if not 1 <= last <= self.limits.recent:
            raise Refused("invalid", f"limit is {last}.", "query limit", f"1 to {self.limits.recent:,}")
        _check_user(user)
        held = await self.rest.ask(lambda: self.store.user(user, last))
        recent = [parse.sent(k) for k in held.ring]
        return wire.Person(user_id=user, count=held.count, counters=dict(held.counters), recent_events=recent)

    async def forget(self, user: str) -> wire.Forgotten:
        """Forget somebody: obeyed at once by every read; the bytes go within `limits.compact` seconds."""
        _check_user(user)
        gone = await self.rest.ask(lambda: self.store.forget(user))
        self.metrics.forgotten.inc(gone)
        if self._compact_at is None:
            self._compact_at = time.monotonic() + self.limits.compact / 2
        trained = [wire.Trained(model=m.name, version=m.version) for m in self.shelf.told()]
        return wire.Forgotten(
            user_id=user, forgotten=gone, bytes_gone_within_seconds=self.limits.compact, not_forgotten=trained
        )

    # -- models -------------------------------------------------------------------------------------------------------

    async def models(self) -> wire.Models:
        """What is served."""
        told = await self.rest.ask(self.shelf.told)
        return wire.Models(models=told, experiments={n: dict(e.arms) for n, e in self.experiments.items()})

    async def activate(self, name: str, body: bytes) -> tuple[bool, wire.Model]:
        """(whether it answers already, the model)."""
        asked = decoded(_activate, body) if body.strip() else wire.Activate()
        return await self._switch(name, lambda: self.shelf.activate(name, asked.version), asked.wait)

    async def roll_back(self, name: str) -> tuple[bool, wire.Model]:
        """The version before answers again."""
        return await self._switch(name, lambda: self.shelf.roll_back(name), wire.Activate().wait)

    async def _switch(self, name: str, begin: Any, wait: float) -> tuple[bool, wire.Model]:
        thread: threading.Thread | None = await self.rest.ask(begin)
        until = time.monotonic() + wait
        while thread is not None and thread.is_alive() and time.monotonic() < until:
            await asyncio.sleep(0.01)
        model = next(m for m in (await self.models()).models if m.name == name)
        if model.failed is not None and (thread is None or not thread.is_alive()):
            raise Refused("conflict", f"Not activated: {model.failed}.", "path", "a version that loads")
        return thread is None or not thread.is_alive(), model

    # -- the service itself -------------------------------------------------------------------------------------------

    async def ready(self) -> wire.Health:
        """Whether a write would be durable now."""
        try:
            await asyncio.wait_for(self.rest.ask(self.store.check), 5)
        except (EthogramError, TimeoutError, Refused):
            return wire.Health(status="not ready", why="the store cannot be written")
        return wire.Health(status="ok")

    @contextlib.asynccontextmanager
    async def running(self, _: object = None) -> AsyncIterator[None]:
        """Keep house while the service runs; what waits is finished before it ends."""
        self._keep.clear()
        # somebody may have been forgotten just before a stop
        self._compact_at = time.monotonic() + min(AFTER_START, self.limits.compact / 2)
        self._keeper = threading.Thread(target=self._house, name="ethogram-keeper", daemon=True)
        self._keeper.start()
        try:
            yield
        finally:
            self._keep.set()
            for lane in self._lanes:
                await asyncio.to_thread(lane.close)
            await asyncio.to_thread(self._keeper.join, 5)
            for memory in self.shelf.learning:
                with contextlib.suppress(StoreError):
                    await asyncio.to_thread(memory.keep)

    def _read_on(self) -> None:
        """Let error memories read what is new in the ledger, unless that is under way."""
        if self.shelf.learning and not self._learning.is_set():
            self._learning.set()
            self.scoring.soon(self._learn)

    def _learn(self) -> None:
        """Let error memories read on; in the thread that scores, so that nothing is read while it is written."""
        self._learning.clear()
        for memory in self.shelf.learning:
            try:
                if memory.step(STEP) == STEP:
                    self._learning.set()
            except Exception:
                log.exception("an error memory could not read on; it is tried again")
        if self._learning.is_set():
            self.scoring.soon(self._learn)

    def _compact(self) -> None:
        # who is forgotten from here on is not in this pass, and asks for another
        self._compact_at = None
        try:
            log.info("%d entries of forgotten users removed", self.store.compact())
        except StoreError:
            self._compact_at = time.monotonic() + AFTER_START
            raise

    def _house(self) -> None:
        while not self._keep.wait(TICK):
            try:
                self.shelf.follow()
                self._read_on()
                if self._compact_at is not None and time.monotonic() >= self._compact_at:
                    self._compact()
            except (StoreError, Refused) as error:
                log.warning("housekeeping: %s", error)
            except Exception:
                log.exception("housekeeping failed; it is tried again")


def decision(asked: Ask, job: Job, answer: wire.Answer) -> Entry:
    """What was shown, as an entry of the ledger: candidates in the order of their positions, with scores."""
    content: dict[str, Any] = {
        "model": answer.model, "version": answer.version, "candidates": [i.item_id for i in answer.items],
        "scores": [i.score for i in answer.items], "positions": [i.position for i in answer.items],
        "propensity": 1.0 if answer.propensity is UNSET else answer.propensity,
    }  # fmt: skip
    if asked.experiment is not None:
        content |= {"experiment": asked.experiment, "arm": answer.arm}
    if job.context:
        content["context"] = job.context
    return Entry(str(answer.decision_id), job.user or "", None, parse.DECISION, job.asked, content)


def _depth(lane: Lane[Any, Any]) -> float:
    return lane.depth


def _check_user(user: str) -> None:
    try:
        msgspec.convert(user, wire.Id)
    except msgspec.ValidationError:
        raise Refused("invalid", "This is no id of a user.", "path", wire.TEXT) from None
    parse.no_line_end(user, "path")
