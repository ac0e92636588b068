"""Answers to questions about people: read the history, let the model judge, order, give reasons. Runs in one thread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec import UNSET

from ethogram.errors import OptionError
from ethogram.log import Candidates
from ethogram.serve import wire
from ethogram.serve.problems import Refused
from ethogram.serve.questions import TIMELESS, Question
from ethogram.serve.scoring import Plain
from ethogram.serve.shelf import Served
from ethogram.serve.state import Entry, Store

FOUND = 200
"""Items that a recommender hands to a ranker."""
REASONS, EVENTS = 3, 12
"""Items that are named as reasons, and past events that are looked at for them: one item may stand in several."""


@dataclass(frozen=True)
class Job:
    """What is to be answered.

    Attributes
    ----------
    brought : the history that came along. candidates : to judge; empty where `served` shall find. asked : microseconds.
    """

    served: Served
    user: str | None
    brought: Sequence[Entry] | None
    candidates: Sequence[str]
    k: int | None
    asked: int
    ranker: Served | None = None
    exclude_seen: bool | None = None
    among: Sequence[str] = ()
    context: dict[str, Any] | None = None
    explain: bool = False


class Answering:
    """Answers jobs in groups: those of one model are scored by one call."""

    def __init__(self, store: Store):
        self.store = store

    def __call__(self, jobs: list[Job]) -> list[wire.Answer | Exception]:
        read = [self._read(job) for job in jobs]
        items: list[list[tuple[str, float]]] = [[] for _ in jobs]
        for key, rows in _groups([_finding(j) for j in jobs]):
            served, k, exclude, among = key
            questions = [read[i][0] for i in rows]
            for i, found in zip(rows, served.finder.find(questions, k, exclude_seen=exclude, among=among), strict=True):
                items[i] = found
        for served, rows in _groups([_scoring(j) for j in jobs]):
            questions = [self._judged(jobs[i], read[i][0], items[i]) for i in rows]
            for i, question, scores in zip(rows, questions, scored(served, questions), strict=True):
                items[i] = best(question.candidates, scores, jobs[i].k)
        return [self._answer(*each) for each in zip(jobs, read, items, strict=True)]

    def _read(self, job: Job) -> tuple[Question, str, int]:
        """The question, where its history comes from, and how long that is: the store's where it has any."""
        readers: list[Any] = [] if job.candidates else [job.served.finder]
        if judge := job.served if job.candidates else job.ranker:
            readers.append(judge.scorer)
        # reasons may lie anywhere in the history, also where scores come from a table of it
        last = None if job.explain or any(r.last is None for r in readers) else max(r.last for r in readers)
        candidates, context = job.candidates, job.context or {}
        if job.user is not None:
            held = self.store.user(job.user, last)
            if held.ring:
                events = [k.entry for k in held.ring]
                question = Question(job.user, events, candidates, context, job.asked, held.revision)
                # a table stands for the whole ring, of which the last events were read
                tabled = judge is not None and getattr(judge.scorer, "derived", None) is not None
                return question, "store", min(held.count, self.store.keep) if tabled else len(question.done)
        if job.brought:
            return Question(job.user, job.brought, candidates, context, job.asked), "request", len(job.brought)
        return Question(job.user, (), candidates, context, job.asked), "nothing", 0

    def _judged(self, job: Job, question: Question, found: list[tuple[str, float]]) -> Question:
        if job.candidates:
            return question
        return Question(
            question.user, question.events, [i for i, _ in found], question.context, question.asked, question.revision
        )

    def _answer(self, job: Job, read: tuple[Question, str, int], items: list[tuple[str, float]]) -> wire.Answer:
        answers = job.ranker or job.served
        judge: Any = answers.scorer if job.ranker or job.candidates else answers.finder
        explains = job.explain and "explain" in answers.system.info.verbs
        why = self._why(answers.system, judge.plain, read[0], [i for i, _ in items]) if explains else {}
        told = judge.items.told
        ranked = [
            wire.Ranked(
                item_id=item, position=n + 1, score=score if math.isfinite(score) else None,
                status=("known" if judge.items.knows(item) else "unknown") if told else UNSET,
                because=why.get(item, []) if explains else UNSET,
            )
            for n, (item, score) in enumerate(items)
        ]  # fmt: skip
        return wire.Answer(
            items=ranked, model=answers.name, version=answers.version, read=read[1], events=read[2],  # type: ignore[arg-type]
            note=f"{answers.system.info.key} cannot say why" if job.explain and not explains else UNSET,
        )  # fmt: skip

    def _why(self, system: Any, plain: Plain, question: Question, items: list[str]) -> dict[str, list[wire.Reason]]:
        if not items or not question.done:
            return {}
        histories, candidates = plain.asked([Question(question.user, question.events, items, {}, question.asked)])
        shown = Candidates(candidates.items[None, :], candidates.vocabulary)
        shares: dict[str, dict[str, float]] = {}
        for row in system.explain(histories, shown, k=EVENTS).to_pylist():
            if row["share"] and math.isfinite(row["share"]):
                mine = shares.setdefault(str(row["candidate"]), {})
                mine[str(row["item"])] = mine.get(str(row["item"]), 0.0) + float(row["share"])
        most = {c: sorted(mine.items(), key=lambda r: -abs(r[1]))[:REASONS] for c, mine in shares.items()}
        return {c: [wire.Reason(item_id=i, share=s) for i, s in mine] for c, mine in most.items()}


def scored(served: Served, questions: list[Question]) -> list[np.ndarray]:
    """Scores of a model.

    Raises
    ------
    Refused
        The context holds what the model cannot read.
    """
    assert served.scorer is not None
    try:
        return served.scorer.score(questions)
    except (pa.ArrowException, OptionError, TypeError, ValueError) as error:
        if len(questions) == 1 and questions[0].context:
            right = "columns of the kind that they were in the log it learned from"
            raise Refused("invalid", "The model cannot read the context.", "$.context", right) from error
        raise


def best(candidates: Sequence[str], scores: np.ndarray, k: int | None) -> list[tuple[str, float]]:
    """The best k candidates with their scores; equal scores keep the order in which the candidates came."""
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")[:k]
    return [(candidates[i], s) for i, s in zip(order.tolist(), scores[order].tolist(), strict=True)]


def brought(
    history: Sequence[str | int | wire.Past] | None, user: str | None, times: Sequence[int | None]
) -> list[Entry] | None:
    """A stranger's history as entries; without times where one of them is missing."""
    if history is None:
        return None
    timed = len(history) > 0 and all(t is not None for t in times)
    made = []
    for n, (past, time) in enumerate(zip(history, times, strict=True)):
        item = past.item_id if isinstance(past, wire.Past) else past
        kind = (past.kind or "") if isinstance(past, wire.Past) else ""
        made.append(Entry(f"{n}", user or "", str(item), kind, int(time or 0) if timed else TIMELESS))
    return sorted(made, key=lambda e: e.time) if timed else made


def _finding(job: Job) -> Any:
    return None if job.candidates else (job.served, FOUND if job.ranker else job.k, job.exclude_seen, tuple(job.among))


def _scoring(job: Job) -> Any:
    return job.served if job.candidates else job.ranker


def _groups(keys: Sequence[Any]) -> list[tuple[Any, list[int]]]:
    """Numbers of the jobs of each key, those without one left out."""
    found: dict[Any, tuple[Any, list[int]]] = {}
    for n, key in enumerate(keys):
        if key is not None:
            name = id(key) if isinstance(key, Served) else (id(key[0]), *key[1:])
            found.setdefault(name, (key, []))[1].append(n)
    return list(found.values())
