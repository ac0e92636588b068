"""The small transformer that reads a prompt as patches of bytes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchTransformer(nn.Module):
    """Byte embeddings, four of them joined to a patch, attention over the patches, their mean, one number per model.

    Input int64[n, letters] with 0 for no letter; output float32[n, outputs].
    """

    def __init__(self, width: int, patches: int, outputs: int, *, patch: int = 4, layers: int = 2, heads: int = 4):
        super().__init__()
        self.patch = patch
        self.letter = nn.Embedding(257, 16, padding_idx=0)
        self.join = nn.Linear(16 * patch, width)
        self.place = nn.Parameter(0.02 * torch.randn(patches, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, outputs))

    def forward(self, letters: Tensor) -> Tensor:
        used = max(1, int((letters > 0).any(0).sum()))
        patches = -(-used // self.patch)
        letters = letters[:, : patches * self.patch]
        x = self.join(self.letter(letters).unflatten(1, (patches, self.patch)).flatten(2)) + self.place[:patches]
        there = (letters.unflatten(1, (patches, self.patch)) > 0).any(-1)
        there[:, 0] = True  # an empty prompt is still asked
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=~there)
        weight = there.float()[..., None]
        pooled = (x * weight).sum(1) / weight.sum(1)
        found: Tensor = self.out(pooled)
        return found
