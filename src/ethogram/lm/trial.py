"""Models of a library put to the same prompts: their losses as a log, from which a router learns.

    bits     L = -log2 p(reference | prompt) / bytes of the reference        where given text can be scored
    answer   L = 1 - F1 of the words of reply and reference                  any endpoint

Bits are counted per byte, so that models with different tokenizers compare. What is measured of the replies on the way
(latency, verbosity, readability) goes into the items table beside what was told of each model.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from ethogram.errors import LMError, OptionError, SourceError
from ethogram.lm.messages import Message
from ethogram.lm.model import LM
from ethogram.log import Log
from ethogram.text import readable


class Case(NamedTuple):
    """A prompt and what would be right to say to it."""

    prompt: str
    reference: str
    id: str = ""


class Trial(NamedTuple):
    """The log (user: the prompt's id, item: the model, value: its loss, text: the prompt; items: the library), and how
    often each model gave no answer."""

    log: Log
    failed: dict[str, int]


def cases(path: str | Path) -> list[Case]:
    """Cases of a file with a JSON object on each line: prompt, reference, id (or not).

    Raises
    ------
    SourceError
        The file cannot be read, or a line (told) is no case.
    """
    found = []
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read ({error}).") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            found.append(Case(str(row["prompt"]), str(row["reference"]), str(row.get("id", f"prompt {number:06d}"))))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SourceError(f"{path} line {number}: a case is an object with prompt and reference.") from None
    if not found:
        raise SourceError(f"{path} holds no cases.")
    return found


def facts_of(path: str | Path | None) -> dict[str, dict[str, Any]]:
    """Model -> what is known of it, from a JSON file; nothing without a file.

    Raises
    ------
    SourceError
        The file holds no object of objects.
    """
    if path is None:
        return {}
    try:
        told = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read as JSON ({error}).") from None
    if not isinstance(told, dict) or not all(isinstance(v, dict) for v in told.values()):
        raise SourceError(f"{path} must hold an object: model -> object of what is known of it.")
    return told


async def trial(
    library: Mapping[str, LM], given: Sequence[Case], *, loss: Literal["bits", "answer"] = "answer",
    facts: Mapping[str, Mapping[str, Any]] | None = None, max_tokens: int = 128, lanes: int = 8, watch: Any = None,
) -> Trial:  # fmt: skip
    """Put every prompt to every model.

    Parameters
    ----------
    facts : model -> what is known of it (size, released, price, security, card ...), columns of the items table.
    lanes : prompts under way at once for each model. watch : told {"done", "questions"}.

    A model that does not answer a prompt leaves no event of it.

    Raises
    ------
    OptionError
        Fewer than two models, no cases, an empty reference, two cases of one id. LMError: a model answered nothing.
    """
    ids = [c.id or f"prompt {i:06d}" for i, c in enumerate(given)]
    if len(library) < 2 or not given or len(set(ids)) < len(ids) or not all(c.reference.strip() for c in given):
        raise OptionError("a trial needs two models or more, and cases with references and ids of their own.")
    gates = {name: asyncio.Semaphore(max(1, lanes)) for name in library}
    errors: dict[str, list[LMError]] = {name: [] for name in library}
    said: dict[str, list[tuple[str, float]]] = {name: [] for name in library}
    done = 0

    async def one(name: str, lm: LM, case: Case) -> float | None:
        nonlocal done
        async with gates[name]:
            try:
                if loss == "bits":
                    found = await bits(lm, case)
                else:
                    reply = await lm.chat(case.prompt, max_tokens=max_tokens, purpose="trial")
                    said[name].append((reply.text, reply.seconds if reply.source == "live" else math.nan))
                    found = 1.0 - overlap(reply.text, case.reference)
            except LMError as error:
                errors[name].append(error)
                found = None
            done += 1
            if watch is not None:
                watch({"done": done, "questions": len(given) * len(library)})
            return found

    asked = [(i, name) for i in range(len(given)) for name in library]
    values = await asyncio.gather(*(one(name, library[name], given[i]) for i, name in asked))
    for name in library:
        if len(errors[name]) == len(given):
            raise errors[name][0]
    rows = [(i, name, v) for (i, name), v in zip(asked, values, strict=True) if v is not None]
    events = pa.table(
        {
            "user": [ids[i] for i, _, _ in rows],
            "order": list(range(len(rows))),
            "item": [name for _, name, _ in rows],
            "value": [v for _, _, v in rows],
            "text": [given[i].prompt for i, _, _ in rows],
        }
    )
    known = facts or {}
    items = [{"item": n, **measured(said[n]), **known.get(n, {})} for n in library]
    names = list(dict.fromkeys(column for row in items for column in row))
    table = pa.table({n: [row.get(n) for row in items] for n in names})
    return Trial(Log.open(events, items=table), {n: len(e) for n, e in errors.items()})


async def bits(lm: LM, case: Case) -> float:
    """Bits per byte of the reference as the reply to the prompt.

    Raises
    ------
    CapabilityError
        The model scores no given text.
    """
    found = await lm.logprob([Message("user", case.prompt)], case.reference, purpose="trial")
    return float(-found.logprob[0] / math.log(2) / len(case.reference.encode()))


def overlap(reply: str, reference: str) -> float:
    """F1 of the words and numbers of two texts, each as often as it stands; 1 for equal texts without any.

    >>> round(overlap("Paris, of course", "It is Paris"), 3), overlap("24", "6")
    (0.333, 0.0)
    """
    a, b = (Counter(re.findall(r"\w+", t.lower())) for t in (reply, reference))
    common = (a & b).total()
    return 2 * common / (a.total() + b.total()) if common else float(reply.strip() == reference.strip())


def measured(said: Sequence[tuple[str, float]]) -> dict[str, float | None]:
    """latency (median seconds of a reply), verbosity (mean words), readability (mean reading ease) of replies."""
    if not said:
        return {}
    seconds = [s for _, s in said if not math.isnan(s)]
    ease = [e for text, _ in said if (e := readable.ease(text)) is not None]
    return {
        "latency": statistics.median(seconds) if seconds else None,
        "verbosity": statistics.fmean(len(readable.words(text)) for text, _ in said),
        "readability": statistics.fmean(ease) if ease else None,
    }
