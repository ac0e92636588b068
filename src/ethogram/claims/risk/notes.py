"""What becomes of the notes when a language model tells them: one that copies their numbers, and one that lies."""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ethogram.claims import Estimate
from ethogram.claims.risk.rings import Week
from ethogram.risk.fin_deep_cluster.narrative import REFUSED, TOLD, Note, narrated, numbers


class Told(NamedTuple):
    """Notes with a number that is not on the card, or of the copier that were refused; share of the liar's that are
    refused; share of the notes that are told a second time without a call."""

    wrong: float
    refused: Estimate
    saved: Estimate


def told_by_models(bench: Any, weeks: Sequence[Week]) -> Told:
    """Of the notes of all weeks. The liar puts a number of its own in the place of one of each note."""
    from ethogram.lm import Broker, ScriptedLM
    from ethogram.lm.cache import AnswerCache

    if not hasattr(bench, "_told"):
        notes = dict(enumerate(n for week in weeks for n in week.fitted.fitted.notes.values()))

        def copier(messages: Any, _: random.Random) -> str:
            return json.dumps({"text": _short(_given(messages[-1].text, notes))})

        def liar(messages: Any, rng: random.Random) -> str:
            return json.dumps({"text": _changed(_short(_given(messages[-1].text, notes)), rng)})

        with tempfile.TemporaryDirectory() as folder:
            broker = Broker(cache=AnswerCache(Path(folder) / "answers.sqlite"), keep=False)
            copying, lying = ScriptedLM(copier, name="copier", broker=broker), ScriptedLM(liar, name="liar")
            first, lies = narrated(notes, copying), narrated(notes, lying)
            once = len(copying.asked)
            second = narrated(notes, copying)
            calls = len(copying.asked) - once
            broker.close()
        every = [*first.values(), *second.values(), *lies.values()]
        wrong = sum(not set(numbers(n.text)) <= set(numbers(n.template)) for n in every)
        wrong += sum(n.outcome != TOLD for n in (*first.values(), *second.values()))
        refused = np.array([n.outcome == REFUSED for n in lies.values()], bool)

        bench._told = Told(float(wrong), _exact(refused), _exact(np.arange(once) >= calls))
    return bench._told  # type: ignore[no-any-return]


def _exact(hits: np.ndarray) -> Estimate:
    return Estimate.exact(float(hits.mean()) if len(hits) else float("nan"))


def _given(prompt: str, notes: dict[int, Note]) -> str:
    return next(n.template for n in notes.values() if n.template in prompt)


def _short(note: str) -> str:
    """The first sentence, and the one that tells the money."""
    money = next(s for s in re.split(r"(?<=[.]) (?=[A-Z0-9])", note) if "untagged, worth" in s)
    return f"In short: {note[: note.index(' engine.')]} engine. {money}"


def _changed(note: str, rng: random.Random) -> str:
    places = list(re.finditer(r"\d[\d,.]*\d|\d", note))
    place = rng.choice(places)
    known = {value for value, _ in numbers(note)}
    value = next(v for v in range(7, 10_000) if v not in known)
    return note[: place.start()] + str(value) + note[place.end() :]
