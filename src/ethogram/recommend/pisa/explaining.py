"""Which past events made a score, and through what: the favourites that last, or the recent sessions.

With the norms N of z and L of u_lt taken as they are, the score of item i is a sum,

    s_i = (g_l / N + lambda) u_lt . v_i + g_s / N  u_st . v_i + m / N . v_i

u_lt is a sum over favourites, and a favourite's part is shared among its events by (t - t_j)^-d; m is a sum over the
items of the last session. The part of an earlier session in u_st is what the score loses without it, shared among its
items as they stand in its vector. Events of one item in one session share equally.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from ethogram.log import Candidates, Histories
from ethogram.nn.transformer import last_states
from ethogram.numeric.reasons import reasons
from ethogram.numeric.sessions import Sessions
from ethogram.numeric.traces import forgotten
from ethogram.recommend.pisa.fitted import Fitted
from ethogram.verbs import Table

COMPONENTS = ("long term", "recent sessions")


class Parts(NamedTuple):
    """Vectors whose products with a candidate are parts of its score: of items, of session items from `first` on."""

    lasting: np.ndarray
    recent: np.ndarray
    first: int


def explain(fitted: Fitted, histories: Histories, candidates: Candidates, k: int) -> Table:
    """See the module; columns of `ethogram.numeric.reasons`, and `component`."""
    rows, own = fitted.known.rows_in(histories.vocabularies["item"]), fitted.known.rows_in(candidates.vocabulary)
    sessions = Sessions.of(histories, rows, fitted.options.pause)
    traces, vectors = forgotten(histories, fitted.known.items, fitted.options.decay), fitted.vectors.astype(np.float64)

    def terms(question: int, codes: np.ndarray, past: slice) -> np.ndarray:
        out, entry = np.zeros((2, len(codes), past.stop - past.start)), sessions.entry[past]
        if (entry < 0).all():
            return out
        made, judged = parts(fitted, sessions, question), own[codes]
        asked = np.where(judged[:, None] >= 0, vectors[judged], 0.0)
        met = entry >= 0
        item, weight = sessions.items[entry[met]], traces.weights[past][met]
        share = weight / np.bincount(item, weight, minlength=len(vectors))[item]
        out[0][:, met] = asked @ (made.lasting[item] * share[:, None]).T
        new = entry >= made.first
        place = entry[new] - made.first
        out[1][:, new] = asked @ (made.recent[place] / np.bincount(place)[place][:, None]).T
        return out

    return reasons(histories, candidates, terms, k, components=COMPONENTS)


@torch.no_grad()
def parts(fitted: Fitted, sessions: Sessions, question: int) -> Parts:
    """The sum over everything of the products with v_i is the score of i but for what no single session explains."""
    network, o = fitted.network.eval(), fitted.options
    n = int(min(sessions.counts[question], o.length))
    found = fitted.read(sessions, np.array([question]), np.array([n]))
    norm = found.fused.norm().clamp_min(1e-12)
    gate_long, gate_short = found.gates[0]
    lasting = np.zeros((fitted.known.trained, found.vectors.shape[1]))
    if o.favourites:
        liked, weight = found.held.favourites[-1], found.held.weights[-1]
        liked, weight = liked[liked >= 0], weight[liked >= 0]
        v = network.embed(liked)
        length = (v * weight[:, None]).sum(0).norm().clamp_min(1e-12)
        scale = (gate_long / norm + o.long_weight) / length
        lasting[liked.numpy()] = (v * weight[:, None] * scale).numpy()
    lost = gate_short / norm * (found.short - _without_each(network, found.sessions))
    if o.skip:
        lost[-1] += found.sessions[-1] / norm
    # a session's part is shared among its items as their vectors stand in m
    owner = torch.repeat_interleave(torch.arange(n), found.held.offsets.diff())
    recent = lost[owner] * found.shares[:, None]
    return Parts(lasting, recent.double().numpy(), int(sessions.offsets[sessions.bounds[question + 1] - n]))


def _without_each(network: object, m: torch.Tensor) -> torch.Tensor:
    """u_st [n, dim] of a course of n sessions without the first, the second ...; zero for a course of one."""
    n = len(m)
    if n == 1:
        return torch.zeros_like(m)
    kept = torch.arange(n).repeat(n, 1)[~torch.eye(n, dtype=torch.bool)]
    offsets = torch.arange(n + 1) * (n - 1)
    group = torch.arange(n - 1).repeat(n)
    return last_states(network.short(m[kept], offsets, group), offsets, group)  # type: ignore[attr-defined]
