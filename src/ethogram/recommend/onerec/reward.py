"""What a list is worth to a person, learned from the lists that were shown: the judge that alignment asks.

    u = U mean of the vectors of the past,   e_i = v_i * u,   h = e + attention over e_1 ... e_m,   r = sigmoid F(sum h)

Towers: ``swt``, the worth of the whole list as a share of the largest (its 99th percentile), and ``vtr``, the share of
items that were worth more than the middle one; binary cross-entropy with these as soft labels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.nn.losses import bce
from ethogram.nn.train import train
from ethogram.recommend.onerec.past import Past, Shown
from ethogram.verbs import Watch

TOWERS = ("swt", "vtr")
BATCH = 64


class Reward(nn.Module):
    """See the module; `vectors` float32[M, d] begin the item table."""

    def __init__(self, vectors: np.ndarray, *, heads: int = 2, seed: int = 0) -> None:
        super().__init__()
        dim = vectors.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.items = nn.Embedding.from_pretrained(torch.from_numpy(vectors.copy()), freeze=False)
            self.person = nn.Linear(dim, dim)
            self.place = nn.Parameter(torch.zeros(64, dim))
            self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.towers = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, len(TOWERS)))
        self.heads = heads

    def forward(self, past: tuple[Tensor, Tensor], lists: Tensor) -> Tensor:
        """Logits [n, lists, towers].

        Parameters
        ----------
        past : (rows int64[n, T], there bool[n, T]). lists : int64[n, s, m], -1 for no item.
        """
        rows, there = past
        mean = (self.items(rows) * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp_min(1)
        person = self.person(mean)[:, None, None]
        held = (lists >= 0)[..., None]
        v = self.items(lists.clamp_min(0))
        x = (v * person + v + self.place[: lists.shape[2]]) * held
        n, s, m, dim = x.shape
        q, k, w = self.qkv(x).view(n * s, m, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        mask = (held.view(n * s, 1, 1, m)) | ~held.view(n * s, m).any(1)[:, None, None, None]
        told = F.scaled_dot_product_attention(q, k, w, attn_mask=mask).transpose(1, 2).reshape(n, s, m, dim)
        return self.towers(((x + self.out(told)) * held).sum(2))

    @torch.no_grad()
    def judge(self, past: Past, lists: np.ndarray, length: int) -> np.ndarray:
        """Probabilities float32[n, s, towers] of lists int64[n, s, m]."""
        self.eval()
        found = [np.zeros((0, lists.shape[1], len(TOWERS)), np.float32)]
        for at in range(0, len(lists), BATCH):
            part = slice(at, at + BATCH)
            given = rows_of(past[part], length), torch.from_numpy(np.ascontiguousarray(lists[part]))
            found.append(torch.sigmoid(self(*given)).numpy())
        return np.concatenate(found)


def rows_of(past: Past, length: int) -> tuple[Tensor, Tensor]:
    """(item rows [n, T], there [n, T])."""
    items, _, there = past.read(np.arange(int(past.item.max(initial=-1)) + 1)[:, None], length)
    return items[..., 0], there


def learn(vectors: np.ndarray, shown: Shown, *, length: int, epochs: int, lr: float, seed: int,
          watch: Watch | None = None) -> Reward | None:  # fmt: skip
    """The judge of lists whose worth was logged; None where none was."""
    there = np.flatnonzero(~np.isnan(shown.value).all(1))
    if not len(there):
        return None
    value = np.nan_to_num(shown.value[there])
    items = shown.items[there]
    total = value.sum(1)
    watched = np.where(items >= 0, value > np.median(value[items >= 0]), False).sum(1) / (items >= 0).sum(1)
    scale = max(float(np.quantile(total, 0.99)), 1e-12)
    label = np.stack([np.clip(total / scale, 0, 1), watched], 1).astype(np.float32)
    model, past = Reward(vectors, seed=seed), shown.past[there]

    def batches(rng: np.random.Generator) -> Iterator[np.ndarray]:
        yield from np.array_split(rng.permutation(len(there)), -(-len(there) // BATCH))

    def loss(part: np.ndarray) -> Tensor:
        said = model(rows_of(past[part], length), torch.from_numpy(items[part, None]))
        return bce(said[:, 0], torch.from_numpy(label[part]))

    how = {"optimisers": [torch.optim.Adam(model.parameters(), lr, fused=True)], "epochs": epochs, "seed": seed}
    train(model, batches, loss, watch=watch, **how)
    return model
