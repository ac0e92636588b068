"""Contrastive losses that compare pairs of states with all others of their batch, both views of it.

    loss(a_i, b_i) = -ln exp(a_i . b_i / tau) / (exp(a_i . b_i / tau) + sum over others x of the 2n states of
                     exp(a_i . x / tau)),   and the same for b_i; the mean over all 2n

Others that `same` names are no negatives (T. Chen et al., SimCLR, ICML 2020, there without such a mask).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def both_views(first: Tensor, second: Tensor, temperature: float = 1.0, *, same: Tensor | None = None) -> Tensor:
    """The loss over the 2n states of n pairs; zero for fewer than one.

    Parameters
    ----------
    first, second : [n, d]; row i of both belong together. Normalise them for cosines.
    same : bool[n, n], pairs i, j whose states are no negatives of each other (the diagonal is ignored).
    """
    n = len(first)
    if not n:
        return first.sum() * 0.0
    states = torch.cat([first, second])
    logits = states @ states.T / temperature
    hidden = torch.eye(n, dtype=torch.bool, device=states.device) if same is None else same.clone().fill_diagonal_(True)
    hidden = hidden.repeat(2, 2)
    target = torch.arange(2 * n, device=states.device).roll(n)
    hidden[torch.arange(2 * n, device=states.device), target] = False
    return F.cross_entropy(logits.masked_fill(hidden, -torch.inf), target)


def to_centres(
    states: Tensor, centres: Tensor, cluster: Tensor, temperature: float = 1.0, *, mask: bool = True
) -> Tensor:
    """States against their own centre, the negatives being the centres of the batch's other states.

    Parameters
    ----------
    states : [n, d]. centres : [K, d], not learned. cluster : int64[n], each state's centre.
    mask : leave the centres of states of the same cluster out of the negatives.
    """
    if not len(states):
        return states.sum() * 0.0
    logits = states @ centres[cluster].T / temperature
    if mask:
        hidden = (cluster.unsqueeze(0) == cluster.unsqueeze(1)).fill_diagonal_(False)
        logits = logits.masked_fill(hidden, -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(states), device=states.device))
