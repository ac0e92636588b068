"""What a copy learns from ranked lists alone: their order, what they leave out, and where its own lists differ.

    list    mean_j max(0, m - (s(r_j) - s(r_(j+1)))) + mean_j max(0, m - (s(r_j) - s(n_j)))       n_j at random
    repair  mean over i in R_v \\ R_s, j in R_s \\ R_v of w_i softplus(s_j - s_i + m),  w_i = 1 / log2(1 + rank_v(i))

R_v is the list that was given, R_s the copy's own of the same length: forward repair lifts what it misses, backward
repair lowers what does not belong.

Reference: Z. Yue, Z. He, H. Zeng, J. McAuley: Black-Box Attacks on Sequential Recommenders via Data-Free Model
Extraction. RecSys 2021 (list); H. Zhang, F. Liu: Few-shot Model Extraction Attacks against Sequential Recommender
Systems. 2024 (repair; formulas of its abstract).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def list_loss(scores: Tensor, given: Tensor, others: Tensor, margin: float = 0.5) -> Tensor:
    """Mean over the rows.

    Parameters
    ----------
    scores : [n, V]. given : int64[n, k], best first, -1 behind the end. others : int64[n, k], drawn at random;
        those that the list holds do not count.
    """
    there = (given >= 0).to(scores.dtype)
    own, drawn = scores.gather(1, given.clamp_min(0)), scores.gather(1, others)
    order = F.relu(margin - (own[:, :-1] - own[:, 1:])) * there[:, 1:]
    listed = torch.zeros_like(scores, requires_grad=False).scatter_reduce_(1, given.clamp_min(0), there, "amax")
    outside = there * (1 - listed.gather(1, others))
    apart = F.relu(margin - (own - drawn)) * outside
    return order.sum() / there[:, 1:].sum().clamp_min(1) + apart.sum() / outside.sum().clamp_min(1)


def repair_loss(scores: Tensor, given: Tensor, margin: float = 0.5) -> Tensor:
    """Mean over the pairs of a missed item and an intruder of each row.

    Parameters
    ----------
    scores : [n, V]. given : int64[n, k], best first, -1 behind the end; lists are compared at its length.
    """
    there = given >= 0
    lengths = there.sum(1, keepdim=True)
    mine = scores.detach().topk(given.shape[1], 1).indices
    counted = torch.arange(given.shape[1], device=given.device) < lengths
    same = (given[:, :, None] == mine[:, None, :]) & counted[:, None, :]
    missed, intruder = there & ~same.any(2), counted & ~same.any(1)
    weight = 1 / torch.log2(torch.arange(given.shape[1], device=given.device) + 2.0)
    pairs = (missed.to(scores.dtype) * weight)[:, :, None] * intruder[:, None, :]
    gap = scores.gather(1, mine)[:, None, :] - scores.gather(1, given.clamp_min(0))[:, :, None]
    return (F.softplus(gap + margin) * pairs).sum() / (pairs > 0).sum().clamp_min(1)
