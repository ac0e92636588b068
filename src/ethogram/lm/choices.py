"""One of several options, with probabilities, by the best way that the endpoint has.

The ladder: the options scored as continuations (exact up to tokenisation) -> the probabilities of their letters as
first token -> shares of draws that are held to the options -> shares of draws that are read. The method is told.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ethogram.errors import AnswerError, CapabilityError, OptionError, nearest
from ethogram.lm.answers import with_data
from ethogram.lm.messages import Message, Said, conversation
from ethogram.lm.replies import Choice

if TYPE_CHECKING:
    from ethogram.lm.model import LM

METHODS = ("prompt_logprobs", "first_token", "constrained", "parsed")
_LETTERS = string.ascii_uppercase


async def choose(
    lm: LM, prompt: Said, options: Sequence[str], *, data: Sequence[str] = (), system: str | None = None,
    method: str | None = None, listed: bool = True, permutations: int = 1, normalise: Literal["sum", "mean"] = "sum",
    draws: int = 5, purpose: str = "choose",
) -> Choice:  # fmt: skip
    """See `LM.choose`."""
    options = list(options)
    if len(options) < 2 or len(set(options)) < len(options) or not all(o.strip() for o in options):
        raise OptionError(f"choose() needs two or more different, non-empty options; it got {options!r}.")
    if method is not None and method not in METHODS:
        raise OptionError(f"unknown method '{method}'.{nearest(method, METHODS)} Known: {', '.join(METHODS)}.")
    facts = await lm.capabilities()
    ladder = [m for m in facts.choices if m != "first_token" or len(options) <= min(len(_LETTERS), facts.top_logprobs)]
    if method is not None and method not in ladder:
        raise CapabilityError(
            f"{lm.identity} cannot choose by {method} among {len(options)}; it can by {', '.join(ladder)}."
        )
    way = method or ladder[0]
    messages = with_data(conversation(prompt, system), data)
    total, masses, identity = np.zeros(len(options)), [], lm.identity
    # a small model prefers a place in the list: rotations put every option into several places
    for shift in range(max(1, min(permutations, len(options)))):
        order = [(i + shift) % len(options) for i in range(len(options))]
        shown = [options[i] for i in order]
        if way == "prompt_logprobs":
            found, mass = await _scored(lm, messages, shown, listed, normalise, purpose)
        elif way == "first_token":
            found, mass = await _lettered(lm, messages, shown, facts.top_logprobs, purpose)
        else:
            found, mass = await _drawn(lm, messages, shown, draws, shift, way == "constrained", purpose)
        total[order] += found
        masses.append(mass)
    probabilities = total / total.sum()
    index = int(np.argmax(probabilities))
    told = [m for m in masses if m is not None]
    mass = float(np.mean(told)) if told else None
    return Choice(options[index], index, probabilities, way, mass, way != "parsed", identity)


def _ask(messages: Sequence[Message], line: str) -> tuple[Message, ...]:
    last = messages[-1]
    return (*messages[:-1], Message(last.role, f"{last.text}\n\n{line}"))


async def _scored(
    lm: LM, messages: Sequence[Message], options: Sequence[str], listed: bool, normalise: str, purpose: str
) -> tuple[np.ndarray, float | None]:
    if listed:
        messages = _ask(messages, f"Answer with one of: {'; '.join(options)}.")
    scores = await lm.logprob(messages, options, end=True, purpose=purpose)
    values = scores.per_token if normalise == "mean" else scores.logprob
    found = np.exp(values - values.max())
    return found / found.sum(), float(np.exp(scores.logprob).sum())


def lettered(options: Sequence[str]) -> str:
    """Options as `first_token` lists them: "A) ...", a line each."""
    return "\n".join(f"{letter}) {option}" for letter, option in zip(_LETTERS, options, strict=False))


async def _lettered(
    lm: LM, messages: Sequence[Message], options: Sequence[str], top: int, purpose: str
) -> tuple[np.ndarray, float | None]:
    asked = _ask(messages, f"{lettered(options)}\nAnswer with the letter only.")
    reply = await lm.chat(asked, max_tokens=1, logprobs=top, purpose=purpose)
    if not reply.tokens:
        raise AnswerError(f"{lm.identity} told no log-probabilities of its first token.")
    seen: dict[str, float] = {}
    for token, logprob in reply.tokens[0].top:
        letter = token.strip().strip("().*")
        seen[letter] = seen.get(letter, 0.0) + float(np.exp(logprob))
    told = [float(np.exp(p)) for _, p in reply.tokens[0].top]
    # a letter outside the list is at most as probable as the last in it, and as what is left
    unseen = min(min(told), max(0.0, 1 - sum(told)))
    found = np.array([seen.get(letter, unseen) for letter in _LETTERS[: len(options)]])
    mass = float(sum(seen.get(letter, 0.0) for letter in _LETTERS[: len(options)]))
    return found / found.sum(), min(1.0, mass)


async def _drawn(
    lm: LM, messages: Sequence[Message], options: Sequence[str], draws: int, shift: int, held: bool, purpose: str
) -> tuple[np.ndarray, float | None]:
    schema: Mapping[str, Any] = {
        "type": "object", "properties": {"choice": {"enum": list(options)}}, "required": ["choice"],
        "additionalProperties": False,
    }  # fmt: skip
    named = {"name": "choice", "strict": True, "schema": schema}
    extra = {"response_format": {"type": "json_schema", "json_schema": named}} if held else None
    line = f"Answer with one of: {'; '.join(options)}."
    asked = _ask(messages, f"{line} Write it as JSON with choice." if held else line)
    size = 24 + max(map(len, options))
    counts = np.zeros(len(options))
    for i in range(draws):
        reply = await lm.chat(
            asked, temperature=1.0 if draws > 1 else 0.0, seed=1 + i + 1000 * shift, max_tokens=size, extra=extra,
            constrained=held, purpose=purpose,
        )  # fmt: skip
        index = _read(reply.text, options)
        if index is not None:
            counts[index] += 1
    if not counts.sum():
        raise AnswerError(f"{lm.identity} named none of the options in {draws} draws; last: {reply.text[:80]!r}")
    return counts / counts.sum(), None if held else float(counts.sum() / draws)


def _read(text: str, options: Sequence[str]) -> int | None:
    """The option that a text names: as JSON, whole, or as the only one that it mentions."""
    try:
        told = json.loads(text)
        text = str(told.get("choice", "")) if isinstance(told, dict) else str(told)
    except ValueError:
        pass
    plain = text.strip().strip("\"'.` ").casefold()
    for i, option in enumerate(options):
        if plain == option.strip().casefold():
            return i
    named = [
        i for i, o in enumerate(options) if re.search(rf"(?<!\w){re.escape(o.strip())}(?!\w)", text, re.IGNORECASE)
    ]
    return named[0] if len(named) == 1 else None
