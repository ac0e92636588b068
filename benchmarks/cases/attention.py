"""Attention of 256 candidates over one long history: SDIM against dot products and DIN's network, one thread.

SDIM with its bucket table kept up to date outside the request (what a state store serves), and with the whole
history hashed inside the request. Peers in their best idiom: dot-product attention by torch's fused kernel and by
hand, DIN's attention fused (ours) and as everybody writes it, with the (candidates x events x 4 d) tensor;
retrieve-then-attend by category and by hash distance. Random vectors: speed only, quality is the claims' business.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import Case, Figure, Target

LENGTHS = (256, 1_024, 4_096, 16_384)
WIDTH, CANDIDATES, HASHES, BITS, CATEGORIES, KEPT = 64, 256, 48, 3, 100, 50
HIDDEN = 36
MATERIALISED = 4_096
"""Longest history that the materialised form of DIN's attention is asked for: it takes seconds there."""
PIECE = 16
"""Candidates at a time that it is given, the fastest of 1, 4, 16, 64, 256."""


@dataclass(frozen=True)
class Problem:
    """One user's events [L, d] and the candidates [C, d] of a request, their offsets, and who answers."""

    events: Any
    asked: Any
    spans: tuple[Any, Any]
    tags: tuple[Any, Any]
    hashed: Any
    table: Any
    short_table: Any
    dot: Any
    din: Any
    topk: Any


def setup(length: int, seed: int = 0) -> Problem:
    """Normal vectors; a table of the whole history and one of its last 256 events."""
    import torch

    from ethogram.nn.attention import TargetAttention
    from ethogram.nn.buckets import BucketTable
    from ethogram.nn.lsh import Hashed

    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    events = rng.standard_normal((length, WIDTH), np.float32)
    asked = torch.from_numpy(rng.standard_normal((CANDIDATES, WIDTH), np.float32))
    hashed = Hashed(WIDTH, HASHES, BITS).eval()
    codes = hashed.hash.codes(events)
    tags = tuple(torch.from_numpy(rng.integers(0, CATEGORIES, (n, 1))) for n in (length, CANDIDATES))
    return Problem(
        torch.from_numpy(events), asked, (torch.tensor([0, length]), torch.tensor([0, CANDIDATES])), tags, hashed,
        BucketTable.of(codes, events, 2**BITS), BucketTable.of(codes[-LENGTHS[0] :], events[-LENGTHS[0] :], 2**BITS),
        TargetAttention(WIDTH, "dot").eval(), TargetAttention(WIDTH, hidden=(HIDDEN,), act="dice").eval(),
        TargetAttention(WIDTH, "topk", k=KEPT, hidden=(HIDDEN,), act="dice").eval(),
    )  # fmt: skip


def table(p: Problem) -> np.ndarray:
    """Ours, as served: candidates hashed, their buckets gathered; the history is not touched."""
    found: np.ndarray = p.table.gather(p.hashed.hash.codes(p.asked.numpy()))
    return found


def short_table(p: Problem) -> np.ndarray:
    """The same of a user with 256 events."""
    found: np.ndarray = p.short_table.gather(p.hashed.hash.codes(p.asked.numpy()))
    return found


def _quietly(fn: Callable[[Problem], Any]) -> Callable[[Problem], np.ndarray]:
    @functools.wraps(fn)
    def call(p: Problem) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return np.asarray(fn(p).numpy())

    return call


@_quietly
def inside(p: Problem) -> Any:
    """Ours without a table: everything is hashed in the request."""
    return p.hashed(p.events, p.spans[0], p.asked, p.spans[1])


@_quietly
def dot_fused(p: Problem) -> Any:
    import torch

    q, k = p.asked[None, None], p.events[None, None]
    return torch.nn.functional.scaled_dot_product_attention(q, k, k)[0, 0]


def dot_by_hand(p: Problem) -> np.ndarray:
    keys, asked = p.events.numpy(), p.asked.numpy()
    share = (asked * WIDTH**-0.5) @ keys.T
    share -= share.max(1, keepdims=True)
    np.exp(share, out=share)
    share /= share.sum(1, keepdims=True)
    return np.asarray(share @ keys)


@_quietly
def din_fused(p: Problem) -> Any:
    return p.din(p.events, p.spans[0], p.asked, p.spans[1])


@_quietly
def din_materialised(p: Problem) -> Any:
    """[k ; q ; k*q ; q-k] held for every pair of a piece of the candidates, and the layers called on it."""
    import torch

    unit, parts = p.din.unit, []
    weight = torch.cat([unit.key, unit.query, unit.product, torch.zeros_like(unit.key)], 1)
    for at in range(0, CANDIDATES, PIECE):
        asked = p.asked[at : at + PIECE]
        q = asked.unsqueeze(1).expand(-1, len(p.events), -1)
        k = p.events.unsqueeze(0).expand(len(asked), -1, -1)
        z = torch.nn.functional.linear(torch.cat([k, q, k * q, q - k], 2), weight, unit.bias)
        share = unit.layers[0](unit.acts[0](z.view(-1, HIDDEN))).view(len(asked), -1)
        parts.append(share @ p.events)
    return torch.cat(parts)


@_quietly
def by_category(p: Problem) -> Any:
    return p.topk(p.events, p.spans[0], p.asked, p.spans[1], key_tags=p.tags[0], query_tags=p.tags[1])


@_quietly
def by_hash(p: Problem) -> Any:
    bits = p.hashed.hash.bits
    return p.topk(p.events, p.spans[0], p.asked, p.spans[1], key_tags=bits(p.events), query_tags=bits(p.asked))


TABLE, INSIDE, SHORT = "ethogram SDIM, bucket table", "ethogram SDIM, hashed in the request", "ethogram, 256 events"
FUSED, HAND = "dot product, torch fused", "dot product, numpy"
DIN, NAIVE = "ethogram DIN, fused", "DIN, materialised"
CATEGORY, NEAREST = "top 50 by category, then DIN", "top 50 by hash distance, then DIN"

run: Mapping[str, Callable[[Problem], np.ndarray]] = {
    TABLE: table, SHORT: short_table, INSIDE: inside, FUSED: dot_fused, HAND: dot_by_hand, DIN: din_fused,
    NAIVE: din_materialised, CATEGORY: by_category, NEAREST: by_hash,
}  # fmt: skip


def check(p: Problem, answers: Mapping[str, np.ndarray]) -> None:
    """The two ways of SDIM, of the dot product and of DIN agree, each among themselves.

    Raises
    ------
    AssertionError
        Two contestants disagree.
    """
    for one, other in ((TABLE, INSIDE), (FUSED, HAND), (DIN, NAIVE)):
        if other in answers:
            scale = np.abs(answers[one]).max()
            np.testing.assert_allclose(answers[one], answers[other], atol=2e-5 * scale, err_msg=f"{one} / {other}")


def _over(few: tuple[str, ...], ours: str) -> Callable[[Mapping[str, Figure]], float]:
    return lambda figures: min(figures[name].cpu for name in few if name in figures) / figures[ours].cpu


def _targets(length: int) -> list[Target]:
    dot, din = _over((FUSED, HAND), TABLE), _over((DIN, NAIVE), TABLE)
    inside = Target("fastest dot product / SDIM hashed in the request", _over((FUSED, HAND), INSIDE), least=1.0)
    flat = Target("bucket table of this history / of 256 events", lambda f: f[TABLE].cpu / f[SHORT].cpu, most=1.3)
    if length < MATERIALISED:
        return [flat, inside]
    return [
        Target("fastest dot product / bucket table", dot, least=8.0),
        Target("fastest DIN attention / bucket table", din, least=100.0),
        flat,
        inside,
    ]


def cases() -> Iterable[Case]:
    """The harness's form: one case per length of the history."""
    for length in LENGTHS:
        yield Case(
            f"attention_{length}",
            f"attention of {CANDIDATES} candidates over {length:,} events, d={WIDTH}, one user, one thread",
            functools.partial(setup, length),
            run,
            check,
            _targets(length),
            notes="the bucket table is made outside the request; SDIM approximates what the others compute exactly",
            available=lambda p: {NAIVE: len(p.events) <= MATERIALISED},
            least=0.02,
        )
