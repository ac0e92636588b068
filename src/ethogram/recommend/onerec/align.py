"""Iterative preference alignment: the model writes lists, the judge names the best and the worst, the model learns.

    L = L_NTP + lambda * -ln sigmoid(beta [ln M(S_w|H) / M_t(S_w|H) - ln M(S_l|H) / M_t(S_l|H)])

M_t is the model at the beginning of round t, which wrote the lists; the next round begins from what was learned.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ethogram.nn.encdec import EncoderDecoder
from ethogram.recommend.onerec.past import Past
from ethogram.recommend.onerec.reward import TOWERS, Reward

PAIRS = 32
"""Pairs of a step."""


@dataclass(frozen=True)
class Round:
    """How a round went: mean reward of the lists written, of the best and the worst, and how far the model moved.

    `kl` is the mean of ln M_(t+1)(S|H) - ln M_1(S|H) over the best lists, which M_(t+1) has come to write.
    """

    mean: float
    best: float
    worst: float
    loss: float
    kl: float


def log_likelihood(model: EncoderDecoder, codes: np.ndarray, past: Past, lists: np.ndarray) -> Tensor:
    """ln M(S|H) of one list for each past, [n]; -1 is no item."""
    memory = model.encode(*past.read(codes, model.shape.length))
    there = torch.from_numpy(lists >= 0)
    letters = torch.from_numpy(codes[np.maximum(lists, 0)].astype(np.int64))
    logp = torch.log_softmax(model(memory, letters), -1).gather(-1, letters[..., None])[..., 0]
    return (logp.sum(2) * there).sum(1)


def align(
    model: EncoderDecoder, judge: Reward, codes: np.ndarray, past: Past, ntp: Callable[[np.random.Generator], Tensor],
    draw: Callable[[Past, int], np.ndarray], *, rounds: int, share: float, lists: int, steps: int, weight: float,
    beta: float, lr: float, tower: str, pairs: str, seed: int,
) -> list[Round]:  # fmt: skip
    """Align `model` in place.

    Parameters
    ----------
    past : of all samples; `share` of them are drawn each round. ntp : the loss of a batch of shown lists.
    draw : (pasts, seed) -> lists int64[n, lists, m] that the model writes now. steps : of each round.
    pairs : ``reward`` (best against worst), or ``random``, which is the control.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout draws from torch's own generator
        told, first = [], copy.deepcopy(model).eval()
        for number in range(rounds):
            rng = np.random.default_rng([seed, number])
            chosen = np.sort(rng.choice(len(past), max(2, round(share * len(past))), replace=False))
            asked = past[chosen]
            written = draw(asked, int(rng.integers(2**31)))
            value = judge.judge(asked, written, model.shape.length)[:, :, TOWERS.index(tower)]
            ranks = rng.permuted(np.tile(np.arange(lists), (len(asked), 1)), axis=1) if pairs == "random" else value
            here = np.arange(len(asked))
            sides = written[here, ranks.argmax(1)], written[here, ranks.argmin(1)]
            loss = _round(model, codes, asked, sides, ntp, rng, steps=steps, weight=weight, beta=beta, lr=lr)
            with torch.no_grad():
                kl = float((_each(model, codes, asked, sides[0]) - _each(first, codes, asked, sides[0])).mean())
            told.append(Round(float(value.mean()), float(value.max(1).mean()), float(value.min(1).mean()), loss, kl))
    return told


def _round(
    model: EncoderDecoder, codes: np.ndarray, asked: Past, sides: tuple[np.ndarray, np.ndarray],
    ntp: Callable[[np.random.Generator], Tensor], rng: np.random.Generator, *, steps: int, weight: float, beta: float,
    lr: float,
) -> float:  # fmt: skip
    """Train on the best and the worst lists; the mean loss."""
    with torch.no_grad():  # the reference is the model as it is now
        before = [_each(model.eval(), codes, asked, side) for side in sides]
    optimiser, total = torch.optim.Adam(model.parameters(), lr, fused=True), 0.0
    model.train()
    for _ in range(steps):
        part = np.sort(rng.choice(len(asked), min(PAIRS, len(asked)), replace=False))
        best, worst = (
            log_likelihood(model, codes, asked[part], side[part]) - told[part]
            for side, told in zip(sides, before, strict=True)
        )
        loss = ntp(rng) - weight * F.logsigmoid(beta * (best - worst)).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        total += float(loss.detach())
    model.eval()
    return total / max(steps, 1)


def _each(model: EncoderDecoder, codes: np.ndarray, past: Past, lists: np.ndarray) -> Tensor:
    parts = [log_likelihood(model, codes, past[p], lists[p])
             for p in np.array_split(np.arange(len(past)), -(-len(past) // 256))]  # fmt: skip
    return torch.cat(parts)
