"""One attention block that serves many conditions: who asks only scales and shifts its layer norms.

    q_r = W_q norm_1r(e_t),   k_j = W_k norm(s_j),   v_j = W_v norm(s_j)
    a_r = W_o [softmax_j(q_r . k_j / sqrt(d_h)) v_j  for each head]
    u_r = a_r + W_2 relu(W_1 norm_2r(a_r)),   0 without events
    norm_ir(x) = gamma_ir * (x - mean(x)) / sd(x) + beta_ir

Where nothing is learned yet, W_v = W_o = I and W_2 = 0: training starts from an average of the events, whose numbers
stand at the candidate's places, and learns to deviate. A condition r is the pair of a goal and a kind of behaviour.
`Hypernetwork` makes its gamma and beta out of two small vectors; its last layer begins at zero, so that all conditions
begin as one.

Layer norms conditioned so: H. de Vries et al.: Modulating early visual processing by language. NeurIPS 2017; made by a
network: D. Ha, A. Dai, Q. Le: HyperNetworks. ICLR 2017.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.nn.attention import TargetAttention
from ethogram.nn.mlp import linear
from ethogram.nn.ragged import segments

NORMS = 2
"""Layer norms of a block that a condition moves: of the question and in front of the feed-forward layer."""


class AttentionBlock(nn.Module):
    """Multi-head attention of candidates over the events of their question, and a feed-forward layer.

    Parameters
    ----------
    width : of events and candidates. heads : they divide the width as evenly as it goes.
    """

    def __init__(self, width: int, heads: int = 2, seed: int = 0) -> None:
        super().__init__()
        if not 1 <= heads <= width:
            raise OptionError(f"attention block: {heads} heads of {width} numbers; give 1 to {width}.")
        generator = torch.Generator().manual_seed(seed)
        self.sizes = [width // heads + (i < width % heads) for i in range(heads)]
        self.query, self.key, self.value, self.out = (linear(width, width, generator, bias=False) for _ in range(4))
        self.up, self.down = linear(width, 2 * width, generator), linear(2 * width, width, generator)
        with torch.no_grad():  # begins as an average of the events, number for number comparable with a candidate
            nn.init.eye_(self.value.weight)
            nn.init.eye_(self.out.weight)
            self.down.weight.zero_()
        self.attend = nn.ModuleList(TargetAttention(size, "dot") for size in self.sizes)

    def forward(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor, moved: Tensor
    ) -> Tensor:
        """[Q, R, width] of R conditions.

        Parameters
        ----------
        keys : [T, width]. queries : [Q, width]. moved : [R, NORMS, 2, width], gamma and beta of each norm.
        """
        conditions, width = len(moved), queries.shape[1]
        asked = norm(queries).unsqueeze(1) * moved[:, 0, 0] + moved[:, 0, 1]
        asked = self.query(asked).reshape(-1, width)
        plain = norm(keys)
        k, v = self.key(plain), self.value(plain)
        spans = query_offsets * conditions
        parts = [
            attend(own.contiguous(), key_offsets, one.contiguous(), spans, values=said.contiguous())
            for attend, own, one, said in zip(
                self.attend, k.split(self.sizes, 1), asked.split(self.sizes, 1), v.split(self.sizes, 1), strict=True
            )
        ]
        found = self.out(torch.cat(parts, 1)).view(-1, conditions, width)
        found = found + self.down(torch.relu(self.up(norm(found) * moved[:, 1, 0] + moved[:, 1, 1])))
        some = (key_offsets.diff() > 0).to(found.device)[segments(query_offsets, found.device)]
        return found * some.view(-1, 1, 1)


def norm(x: Tensor) -> Tensor:
    """Layer norm without scale and shift; an embedding's numbers are small, so little is added to their variance."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-8)


class Hypernetwork(nn.Module):
    """gamma = 1 + H_g [z_k ; z_b] and beta = H_b [z_k ; z_b] of every pair of a goal k and a kind b.

    Parameters
    ----------
    condition : width of z_k and of z_b.
    """

    def __init__(self, goals: int, kinds: int, width: int, condition: int = 4, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.goal = nn.Parameter(torch.empty(goals, condition).normal_(generator=generator))
        self.kind = nn.Parameter(torch.empty(kinds, condition).normal_(generator=generator))
        self.made = linear(2 * condition, NORMS * 2 * width, generator)
        with torch.no_grad():
            self.made.weight.zero_()
        self.width = width

    def forward(self) -> Tensor:
        """[goals, kinds, NORMS, 2, width]."""
        goals, kinds = len(self.goal), len(self.kind)
        pairs = torch.cat([self.goal.unsqueeze(1).expand(-1, kinds, -1), self.kind.expand(goals, -1, -1)], 2)
        return plain(self.width, goals, kinds).to(pairs) + self.made(pairs).view(goals, kinds, NORMS, 2, self.width)


def plain(width: int, *shape: int) -> Tensor:
    """gamma = 1 and beta = 0."""
    out = torch.zeros(*shape, NORMS, 2, width)
    out[..., 0, :] = 1.0
    return out
