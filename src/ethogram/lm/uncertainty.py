"""How unsure a model is of what it says: by its own probabilities, and by saying it again.

    perplexity   exp(-mean log p) of the tokens that it wrote
    meanings     sum_i max(0, 1 - lambda_i), about the number of different things among k draws: lambda_i are the
                 eigenvalues of I - D^(-1/2) W D^(-1/2), W_ij >= 0 the likeness of draws i and j, D its row sums
    agreement    share of the draws that say what most of them say (self-consistency)

Probabilities need an endpoint that tells them, draws need none. None of these is a probability of being right before it
is calibrated on answers that are known (`ethogram.numeric.calibrate`).

Lin, Trivedi and Sun: Generating with Confidence (TMLR 2024); Wang and others: Self-Consistency (ICLR 2023).
"""

from __future__ import annotations

import asyncio
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.errors import OptionError
from ethogram.lm.messages import Said
from ethogram.lm.replies import Reply

Likeness = Callable[[Sequence[str]], np.ndarray]
"""Texts -> float[k, k], symmetric, 0 (unlike) to 1 (the same)."""


@dataclass(frozen=True)
class Uncertainty:
    """What several draws of one answer show.

    Attributes
    ----------
    answer : the draw that most agree with, as it was written first. agreement : their share, in (0, 1].
    meanings : about how many different things were said, 1 to the number of draws.
    perplexity : mean over the draws; None where the model tells no log-probabilities.
    draws : the texts, in the order of their seeds.
    """

    answer: str
    agreement: float
    meanings: float
    perplexity: float | None
    draws: tuple[str, ...]


async def unsure(
    lm: Any, said: Said, *, draws: int = 10, temperature: float = 1.0, max_tokens: int = 64, system: str | None = None,
    likeness: Likeness | None = None, seed: int = 0, purpose: str = "uncertainty",
) -> Uncertainty:  # fmt: skip
    """Ask the same question several times and compare what comes.

    Parameters
    ----------
    draws : how many; each has a seed of its own, so that they can be kept and repeated.
    likeness : of the draws; None takes the cosine of sentence vectors, below 0 as 0.

    Raises
    ------
    OptionError
        Fewer than two draws, or a temperature of 0, at which all are the same. LMError: as `LM.chat`.
    """
    if draws < 2 or not temperature > 0:
        raise OptionError(
            f"uncertainty needs two or more draws and a temperature above 0, not {draws} at {temperature}."
        )
    told = (await lm.capabilities()).top_logprobs > 0
    replies: list[Reply] = await asyncio.gather(
        *(
            lm.chat(
                said, system=system, temperature=temperature, max_tokens=max_tokens, seed=seed + i,
                logprobs=1 if told else 0, purpose=purpose,
            )
            for i in range(draws)
        )
    )  # fmt: skip
    texts = [r.text for r in replies]
    alike = likeness(texts) if likeness is not None else await _cosines(lm, texts)
    same = Counter(plain(t) for t in texts)
    most, count = same.most_common(1)[0]
    odd = [p for p in map(perplexity, replies) if p is not None]
    answer = next(t for t in texts if plain(t) == most)
    return Uncertainty(answer, count / draws, meanings(alike), float(np.mean(odd)) if odd else None, tuple(texts))


def meanings(alike: np.ndarray) -> float:
    """About how many different things k texts say, from their likeness float[k, k].

    Raises
    ------
    OptionError
        It is not square and symmetric, or has a value outside [0, 1] or a diagonal of 0.

    >>> meanings(np.ones((4, 4))), meanings(np.eye(4)), meanings(np.kron(np.eye(2), np.ones((2, 2))))
    (1.0, 4.0, 2.0)
    """
    w = np.asarray(alike, np.float64)
    if w.ndim != 2 or not len(w) or w.shape[0] != w.shape[1] or not np.allclose(w, w.T, atol=1e-6):
        raise OptionError(f"likeness must be a symmetric square, not {w.shape}.")
    if not ((w > -1e-6) & (w < 1 + 1e-6)).all() or not (np.diag(w) > 0).all():
        raise OptionError("likeness must lie in [0, 1], and above 0 with itself.")
    root = 1 / np.sqrt(np.clip(w, 0, 1).sum(1))
    eigenvalues = np.linalg.eigvalsh(np.eye(len(w)) - root[:, None] * np.clip(w, 0, 1) * root)
    return round(float(np.maximum(0, 1 - eigenvalues).sum()), 9)


def perplexity(reply: Reply) -> float | None:
    """Of the tokens that were written; None without their log-probabilities."""
    return float(np.exp(-np.mean([t.logprob for t in reply.tokens]))) if reply.tokens else None


def plain(text: str) -> str:
    """A text by which equal answers are known: small letters, single spaces, no marks at its ends.

    >>> plain(" The  Seine.")
    'the seine'
    """
    return " ".join(text.casefold().split()).strip(string.punctuation + " ")


async def _cosines(lm: Any, texts: Sequence[str]) -> np.ndarray:
    vectors = await lm.embed([t if t.strip() else "nothing" for t in texts])
    return np.clip(vectors @ vectors.T, 0, 1)
