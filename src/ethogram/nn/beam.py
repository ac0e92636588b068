"""Writes lists of existing things, letter by letter, for many questions at once: beam search or draws along a trie.

A letter is possible where an offered thing that the list does not hold yet lies behind it; probabilities are of the
possible letters only, so that those of all things add up to 1. Beams of one question never hold the same list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ethogram.numeric.trie import Trie

Next = Callable[[Tensor | None, Tensor | None], Tensor]
"""(letters written last int64[n, w], the beams they go on from) -> logits [n, w, k]; see `nn.encdec.Cached`."""


@dataclass(frozen=True)
class Lists:
    """Best first: `things` int64[n, w, m], -1 where nothing was left; `logp` float32[n, w, m], of each in its turn.

    Where there are fewer lists than beams, the others have -inf.
    """

    things: np.ndarray
    logp: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Log probability of each list, [n, w]."""
        return np.asarray(self.logp.sum(2))


@torch.no_grad()
def write(
    step: Next, trie: Trie, left: np.ndarray, *, width: int, things: int, offered: np.ndarray,
    generator: torch.Generator | None = None, heat: float = 1.0,
) -> Lists:  # fmt: skip
    """Lists of `things` things.

    Parameters
    ----------
    left : int32[n, nodes], offered things under each node (`Trie.left`). offered : bool[n, things].
    width : beams. generator : draw `width` lists independently in the place of searching; heat : of the draws.
    """
    n, nodes = left.shape
    child, levels = torch.from_numpy(trie.child).long(), trie.path.shape[1]
    behind = torch.where(child < 0, nodes, child)  # the column behind the last says that nothing is there
    room = torch.from_numpy(np.concatenate([left, np.zeros((n, 1), np.int32)], 1))
    question = torch.arange(n)[:, None]
    node, score = torch.zeros(n, width, dtype=torch.int64), torch.zeros(n, width)
    if generator is None:
        score[:, 1:] = -torch.inf  # all beams begin alike: one goes on
    held, each = np.full((n, width, things), -1), torch.zeros(n, width, things)
    used = torch.full((n, width, things, levels), nodes)
    ended = torch.zeros(n, width, dtype=torch.bool)
    letters: Tensor | None = None
    parents: Tensor | None = None
    for t in range(things * levels):
        turn, level = divmod(t, levels)
        logits = step(letters, parents)
        k, after = logits.shape[2], behind[node]
        free = room[question[:, :, None], after]
        for j in range(turn):
            free = free - (used[:, :, j, level, None] == after).int()
        possible = free > 0
        if level == 0:
            ended = ended | ~possible.any(2)
        # a list that can hold nothing more goes on as it is, by letter 0 that costs nothing
        possible[ended] = torch.arange(k) == 0
        logp = torch.log_softmax(torch.where(possible, logits / heat, -torch.inf), 2)
        logp = torch.where(possible, logp, -torch.inf)
        if generator is None:
            best, flat = (score[:, :, None] + logp).view(n, -1).topk(width, 1)
            parents, letters = flat // k, flat % k
        else:
            drawn = torch.empty_like(logp).exponential_(generator=generator).log().neg()
            letters = (logp + drawn).argmax(2)
            parents = torch.arange(width).expand(n, width)
            best = score + logp.gather(2, letters[:, :, None])[:, :, 0]
        gain = logp[question, parents, letters]
        ended = ended[question, parents]
        node = torch.where(ended, 0, after[question, parents, letters]).clamp(max=nodes - 1)
        used, each = used[question, parents], each[question, parents]
        used[:, :, turn, level] = torch.where(ended, nodes, node)
        each[:, :, turn] += gain
        score, held = best, held[question.numpy(), parents.numpy()]
        if level == levels - 1:
            held[:, :, turn] = _settle(trie, node.numpy(), held, offered, (torch.isfinite(score) & ~ended).numpy())
            node = torch.zeros_like(node)
    return Lists(held, torch.where(torch.isfinite(score)[..., None], each, -torch.inf).numpy())


def _settle(trie: Trie, leaf: np.ndarray, held: np.ndarray, offered: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """The first choice of each leaf that is offered and not in the list yet; -1 for beams that have died."""
    out = trie.order[np.minimum(trie.first[leaf], len(trie.order) - 1)]
    out = np.where(alive, out, -1)
    several = trie.first[leaf + 1] - trie.first[leaf] > 1
    taken = ~offered[np.arange(len(leaf))[:, None], np.maximum(out, 0)] | (held == out[:, :, None]).any(2)
    for i, b in zip(*np.nonzero(several & taken & alive), strict=True):
        options = trie.things(leaf[i, b])
        out[i, b] = next(o for o in options if offered[i, o] and o not in held[i, b])
    return out
