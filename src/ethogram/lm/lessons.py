"""What a model is taught, read from JSON lines: conversations, or pairs of a better and a worse answer.

    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
    {"prompt": "Hi", "response": "Hello."}
    {"prompt": "Hi", "better": "Hello.", "worse": "What?"}

A prompt is a text or a list of messages; `completion`, `chosen` and `rejected` are read as other names. A file holds
conversations or pairs, not both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast, get_args

import numpy as np

from ethogram.errors import OptionError, SourceError
from ethogram.lm.messages import Message, Role, Said, conversation

Talk = tuple[Message, ...]
T = TypeVar("T")
_OTHER_NAMES = {"completion": "response", "chosen": "better", "rejected": "worse"}
_KNOWN = 'one of {"messages"}, {"prompt", "response"}, {"prompt", "better", "worse"}'


class Pair(NamedTuple):
    """A prompt with a better and a worse answer."""

    prompt: Said
    better: str
    worse: str


def read(path: str | Path) -> list[Talk] | list[Pair]:
    """The lessons of a file.

    Raises
    ------
    SourceError
        The file cannot be read, a line is no lesson, or it holds both kinds; the line is told.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read as lessons ({getattr(error, 'strerror', None) or error}).") from None
    found: list[Talk | Pair] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            one = _lesson(json.loads(line))
        except ValueError as error:
            told = "it is not JSON" if isinstance(error, json.JSONDecodeError) else error
            raise SourceError(f"{path}, line {number}: {told}.") from None
        if found and isinstance(one, Pair) != isinstance(found[0], Pair):
            raise SourceError(f"{path}, line {number}: a file holds conversations or pairs, not both.")
        found.append(one)
    if not found:
        raise SourceError(f"{path} holds no lesson; a line is {_KNOWN}.")
    return cast("list[Talk] | list[Pair]", found)


def split(lessons: Sequence[T], share: float, seed: int = 0) -> tuple[list[T], list[T]]:
    """Lessons to learn from and lessons held out; lessons of the same prompt stay together.

    Raises
    ------
    OptionError
        `share` is not in [0, 1), or leaves nothing to learn from or to hold out.
    """
    if not 0 <= share < 1:
        raise OptionError(f"the share that is held out, {share}, must lie in [0, 1).")
    prompts = [conversation(one.prompt) if isinstance(one, Pair) else cast(Talk, one)[:-1] for one in lessons]
    different = list(dict.fromkeys(prompts))
    count = round(share * len(different))
    if share and not 0 < count < len(different):
        raise OptionError(f"{len(different)} different prompts cannot be parted at a share of {share}; give more.")
    order = np.random.default_rng(seed).permutation(len(different))[:count]
    held = {different[i] for i in order}
    parts: tuple[list[T], list[T]] = ([], [])
    for one, prompt in zip(lessons, prompts, strict=True):
        parts[prompt in held].append(one)
    return parts


def _lesson(told: Any) -> Talk | Pair:
    """ValueError says what is wrong."""
    if not isinstance(told, Mapping):
        raise ValueError(f"a lesson is an object, {_KNOWN}")
    told = {_OTHER_NAMES.get(name, name): value for name, value in told.items()}
    if "messages" in told:
        return _talk(told["messages"])
    if "prompt" not in told:
        raise ValueError(f"a lesson is {_KNOWN}; this has {', '.join(told) or 'nothing'}")
    prompt = told["prompt"] if isinstance(told["prompt"], str) else _talk(told["prompt"])
    if "response" in told:
        return (*conversation(prompt), Message("assistant", _text(told, "response")))
    return Pair(prompt, _text(told, "better"), _text(told, "worse"))


def _text(told: Mapping[str, Any], name: str) -> str:
    """A text, or the last message of a list."""
    value = told.get(name)
    if isinstance(value, list):
        value = _talk(value)[-1].text
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"'{name}' must be a text")
    return value


def _talk(told: Any) -> Talk:
    if not isinstance(told, list) or not told:
        raise ValueError("a conversation is a list of messages")
    for one in told:
        if not isinstance(one, Mapping) or one.get("role") not in get_args(Role):
            raise ValueError(f"a message has a role, one of {', '.join(get_args(Role))}")
        if not isinstance(one.get("content"), str):
            raise ValueError("a message has a content, a text")
    return conversation(told)
