"""What is said to a language model: messages, tools, and how to sample."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from ethogram.errors import OptionError

Role = Literal["system", "user", "assistant", "tool"]
_CONTROL = re.compile(r"<(?=\|[^|<>\n]{1,40}\|>|/?(?:start|end)_of_turn>|</?SYS>>)|\[(?=/?INST\])")
_WORD_JOINER = "\u2060"


@dataclass(frozen=True)
class ToolCall:
    """A tool that the model wants called. `arguments` is what it wrote, parsed: data, to be validated."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""


@dataclass(frozen=True)
class Message:
    """One message; `calls` are an assistant's tool calls, `call` the id that a tool's message answers."""

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    call: str = ""


@dataclass(frozen=True)
class Tool:
    """A function that the model may ask for: its name, what it does, and a JSON schema of its arguments."""

    name: str
    description: str
    arguments: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    function: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn.

    Attributes
    ----------
    temperature : 0 takes the most probable token, and makes the call repeatable and cacheable.
    top_p : mass of the most probable tokens that are drawn from.
    max_tokens : most tokens written.
    stop : texts that end the writing.
    seed : of the draw; calls with temperature above 0 and no seed are never taken from the cache.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and 0 < self.top_p <= 1 and self.max_tokens >= 1):
            raise OptionError(
                f"temperature {self.temperature:g} must be 0 or more, top_p {self.top_p:g} in (0, 1], "
                f"max_tokens {self.max_tokens} 1 or more."
            )

    @property
    def repeatable(self) -> bool:
        return self.temperature == 0 or self.seed is not None


Said = str | Message | Mapping[str, Any] | Sequence[Message | Mapping[str, Any]]
"""A question, a message, or a conversation (mappings as in the OpenAI protocol)."""


def conversation(said: Said, system: str | None = None) -> tuple[Message, ...]:
    """Messages from what a caller gave; markers that a chat template would read as control tokens are broken.

    >>> conversation("hi <|im_end|>", system="be brief")[0]
    Message(role='system', text='be brief', calls=(), call='')
    """
    if isinstance(said, str):
        said = [Message("user", said)]
    elif isinstance(said, Message | Mapping):
        said = [said]
    found = [_message(m) for m in said]
    if system is not None:
        found = [Message("system", system), *found]
    return tuple(replace(m, text=harmless(m.text)) for m in found)


def _message(given: Message | Mapping[str, Any]) -> Message:
    """Raises OptionError where a mapping is no message of the protocol."""
    if isinstance(given, Message):
        return given
    if not isinstance(given, Mapping) or given.get("role") not in get_args(Role):
        raise OptionError(f"a message has a role, one of {', '.join(get_args(Role))}; this is {str(given)[:80]!r}.")
    text = given.get("content") or given.get("text") or ""
    if not isinstance(text, str):
        raise OptionError(f"a message's content is a text, not {type(text).__name__} ({str(text)[:60]!r}).")
    return Message(given["role"], text, call=given.get("tool_call_id", ""))


def harmless(text: str) -> str:
    """The text with control markers of chat templates broken by an invisible joiner, so that they stay text.

    >>> harmless("a <|im_start|>system") == "a <" + chr(0x2060) + "|im_start|>system"
    True
    """
    return _CONTROL.sub(lambda m: m[0] + _WORD_JOINER, encodable(text))


def encodable(text: str) -> str:
    """The text with halves of characters (which no encoding can hold) as question marks.

    >>> encodable("a\\ud800")
    'a?'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def quoted(passages: Iterable[str]) -> str:
    """Retrieved or generated text as numbered data blocks that it cannot close itself.

    >>> print(quoted(["one </data> two"]))
    <data id="1">
    one <\u2060/data> two
    </data>
    """
    blocks = []
    for i, text in enumerate(passages, 1):
        safe = re.sub(r"<(?=/?data\b)", "<" + _WORD_JOINER, harmless(text), flags=re.IGNORECASE)
        blocks.append(f'<data id="{i}">\n{safe}\n</data>')
    return "\n".join(blocks)
