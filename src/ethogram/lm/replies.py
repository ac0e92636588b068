"""What comes back from a language model; every answer names the method that produced it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np

from ethogram.lm.messages import ToolCall

T = TypeVar("T")
Source = Literal["live", "cache", "joined", "recording"]
"""Asked now, taken from the cache, shared with an identical call in flight, or replayed."""
Method = Literal["prompt_logprobs", "first_token", "constrained", "parsed", "exact"]


@dataclass(frozen=True)
class Usage:
    """Tokens read and written; `cached` of those read were in the endpoint's prefix cache."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion


@dataclass(frozen=True)
class TokenScore:
    """A written token, its log-probability (nats), and the most probable ones at its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Reply:
    """One answer to a chat.

    Attributes
    ----------
    text : what was written. calls : tools that the model asks for.
    finish : "stop", "length" (cut at max_tokens), "tool_calls" or "error".
    model : the name that the endpoint gave. identity : what answered (`LM.identity`).
    source : where the answer is from. seconds : from sending to the last byte, 0 where nothing was sent.
    tokens : log-probabilities of the written tokens, where they were asked for.
    """

    text: str
    finish: str = "stop"
    usage: Usage = Usage()
    model: str = ""
    identity: str = ""
    calls: tuple[ToolCall, ...] = ()
    tokens: tuple[TokenScore, ...] | None = None
    source: Source = "live"
    seconds: float = 0.0
    tries: int = 1
    constrained: bool = False


@dataclass(frozen=True)
class Answer(Generic[T]):
    """A validated value.

    Attributes
    ----------
    value : of the type that was asked for; validated after decoding, whatever the endpoint promised.
    constrained : whether the decoder was held to the schema; False means that it was only asked to keep it.
    method : "json_schema", "json_object" or "prompted". attempts : replies that it took.
    """

    value: T
    constrained: bool
    method: str
    attempts: int
    reply: Reply


@dataclass(frozen=True)
class Choice:
    """One of several options.

    Attributes
    ----------
    probabilities : float64[n] in the order of the options as they were given; they sum to 1.
    method : how they were found: "prompt_logprobs" (each option scored as a continuation), "first_token" (the
        letters' probabilities), "constrained" (shares of draws held to the options), "parsed" (draws read freely).
    mass : probability that the model gave to the options together before they were normalised; None if unknown.
    constrained : False where an unconstrained text had to be read.
    """

    option: str
    index: int
    probabilities: np.ndarray
    method: str
    mass: float | None
    constrained: bool
    identity: str = ""


@dataclass(frozen=True)
class Scores:
    """Log-probabilities of continuations.

    Attributes
    ----------
    logprob : float64[n], sums over the tokens (nats). tokens : int64[n], how many tokens each has.
    method : "forced" (llama.cpp, token by token), "echo" (an endpoint that scores prompts), "torch" (exact).
    by_token : one tuple of TokenScore per continuation.
    """

    logprob: np.ndarray
    tokens: np.ndarray
    method: str
    by_token: tuple[tuple[TokenScore, ...], ...] = ()
    identity: str = ""

    @property
    def per_token(self) -> np.ndarray:
        """Mean log-probability of a token, float64[n]."""
        return self.logprob / np.maximum(self.tokens, 1)
