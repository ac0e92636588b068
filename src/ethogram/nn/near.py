"""Nearest neighbours on torch, on whatever device it has: a back end of `ethogram.numeric.density`."""

from __future__ import annotations

import numpy as np
import torch

BLOCK = 4_096
"""Points that ask at once; their scores of a block of others are held."""
BETWEEN = 65_536


@torch.no_grad()
def search(x: np.ndarray, k: int, device: str | torch.device | None = None) -> np.ndarray:
    """The k nearest rows of each row of x, nearly by distance: int32[n, k], the row itself among them.

    Scores are products in single precision (see `ethogram.numeric.density.metric`), so that where rounding matters a
    neighbour may be missed: `density` measures how many were.

    Parameters
    ----------
    x : float[n, d]. k : cut to n. device : default the GPU, if there is one.

    Examples
    --------
    >>> search(np.array([[0.0], [1.0], [5.0]]), 2, "cpu").tolist()
    [[0, 1], [1, 0], [2, 1]]
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    near = torch.from_numpy((x - x.mean(0)).astype(np.float32)).to(where)
    half = near.square().sum(1) / 2
    k = min(k, len(x))
    out = np.empty((len(x), k), np.int32)
    for a in range(0, len(x), BLOCK):
        asking = near[a : a + BLOCK]
        best: list[torch.Tensor] = []
        for b in range(0, len(x), BETWEEN):
            scores = torch.addmm(-half[b : b + BETWEEN], asking, near[b : b + BETWEEN].T)
            top = scores.topk(min(k, scores.shape[1]), 1)
            best = _better(best, [top.values, top.indices + b], k)
        out[a : a + BLOCK] = best[1].cpu().numpy()
    return out


def _better(one: list[torch.Tensor], other: list[torch.Tensor], k: int) -> list[torch.Tensor]:
    if not one:
        return other
    values, codes = (torch.cat(pair, 1) for pair in zip(one, other, strict=True))
    top = values.topk(min(k, values.shape[1]), 1)
    return [top.values, codes.gather(1, top.indices)]
