"""The network that weighs an event for a candidate: DIN's local activation unit, first layer decomposed.

a(k, q) = MLP([k ; q ; k*q ; q-k])
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ethogram.nn.activation import Activation, Dice, activation
from ethogram.nn.blocks import Block
from ethogram.nn.mlp import linear
from ethogram.nn.pairs import expand, pair_scores
from ethogram.nn.rows import Picked
from ethogram.nn.swept import interests


class PairNetwork(nn.Module):
    """Scores of (event, candidate) pairs.

    The parameters are those of the split layer: `key` = W_k - W_d, `query` = W_q + W_d, `product` = W_kq. Their
    start is the split of a Glorot-uniform [h, 4 dim] layer, so the function is the published one at the start and
    spans the same functions later.

    Parameters
    ----------
    dim : width of events and candidates. hidden : widths of the hidden layers.
    limit : with several layers, hidden floats held at once for the way back; beyond it blocks are
        computed again. A single layer never holds them.
    """

    def __init__(self, dim: int, hidden: Sequence[int], act: Activation, limit: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        w_k, w_q, w_kq, w_d = linear(4 * dim, hidden[0], generator, bias=False).weight.detach().split(dim, 1)
        self.key, self.query = nn.Parameter(w_k - w_d), nn.Parameter(w_q + w_d)
        self.product, self.bias = nn.Parameter(w_kq.clone()), nn.Parameter(torch.zeros(hidden[0]))
        self.acts = nn.ModuleList(activation(act, h) for h in hidden)
        widths = [*hidden, 1]
        self.layers = nn.ModuleList(linear(a, b, generator) for a, b in itertools.pairwise(widths))
        self.limit = limit

    @property
    def single(self) -> bool:
        """One hidden layer: its values are never held."""
        return len(self.acts) == 1

    @property
    def cells(self) -> int:
        """Floats that one cell of a block needs."""
        return 1 if self.single else max(len(self.key), *(layer.in_features for layer in self.layers))

    def bias_of(self, queries: Tensor) -> Tensor:
        """The candidates' own part of the first layer, [Q, h]."""
        return queries @ self.query.T + self.bias

    def one_each(self, key_offsets: Tensor, keys: Tensor, queries: Tensor) -> Tensor:
        """Scores [T] of the events of questions with one candidate each; one hidden layer."""
        return self._pairs(key_offsets, keys, queries, self.bias_of(queries))[0]

    def swept(self, keys: Picked, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor) -> Tensor:
        """Interests [Q, d] by compiled sweeps; one hidden layer, weights as they are."""
        (act,), (last,) = self.acts, self.layers
        bias = self.bias_of(queries)
        return interests(keys, key_offsets, queries, query_offsets, bias, act, self.product, self.key, last)

    def _pairs(self, frame: list[Block] | Tensor, *given: Tensor) -> list[Tensor]:
        (act,), (last,) = self.acts, self.layers
        found = pair_scores(frame, act, *given, self.product, self.key, last.weight[0])
        return [f + last.bias for f in found]

    def scorer(self, blocks: list[Block], *given: list[Tensor]) -> Callable[[int], Tensor]:
        """What gives the scores [B, L, C] of block number i.

        `given` are the blocks' events, candidates and `bias_of` the candidates. In training Dice asks for the
        mean over all blocks before the first score.
        """
        ready = not self.training or not any(isinstance(act, Dice) for act in self.acts)
        if self.single and ready:
            return lambda i: self._pairs([blocks[i]], *(g[i] for g in given))[0]
        if self.single:
            scores = self._pairs(blocks, *(torch.cat(g) for g in given))
            return lambda i: scores[i]
        held = sum(b.size for b in blocks) * self.cells
        again = torch.is_grad_enabled() and held > self.limit

        def run(function: Callable[..., Any], *args: Any) -> Any:
            if not again:
                return function(*args)
            return checkpoint(function, *args, use_reentrant=False, preserve_rng_state=False)

        steps: list[tuple[Tensor, Tensor] | None] = []
        for act in self.acts:
            if ready or not isinstance(act, Dice):
                steps.append(None)
                continue
            parts = [run(self._moments, act, list(steps), *row) for row in zip(blocks, *given, strict=True)]
            steps.append(act.follow(*Dice.join(parts)))
        return lambda i: run(self._scores, steps, blocks[i], *(g[i] for g in given))

    def _hidden(self, steps: list[Any], block: Block, keys: Tensor, queries: Tensor, bias: Tensor) -> Tensor:
        """What goes into activation number ``len(steps)``, [B, L, C, h]."""
        k, q, p = block.keys(keys), block.queries(queries), block.queries(bias)
        layer = expand(q, self.product, self.key)
        z = torch.baddbmm(p.reshape(len(p), 1, -1), k, layer.transpose(1, 2)).view(*block.shape, -1)
        for act, step, following in zip(self.acts, steps, self.layers, strict=False):
            z = following(_bend(act, z, step))
        return z

    def _moments(self, act: Dice, steps: list[Any], block: Block, *given: Tensor) -> tuple[Tensor, ...]:
        z = self._hidden(steps, block, *given)
        mask = block.cell_mask
        return act.moments(z, None if mask is None else mask.to(z.device))

    def _scores(self, steps: list[Any], block: Block, *given: Tensor) -> Tensor:
        return self._hidden(steps, block, *given).squeeze(-1)


def _bend(act: nn.Module, z: Tensor, step: tuple[Tensor, Tensor] | None) -> Tensor:
    if isinstance(act, Dice) and step is not None:
        return act.bend(z, *step)
    return act(z.reshape(-1, z.shape[-1])).view(z.shape)  # nn.PReLU takes its channels from axis 1
