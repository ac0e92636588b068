"""Attention by collision: events that hash like the candidate are summed, nobody else is looked at.

    h_i(x)   = 1[R_i . x > 0]                               m Gaussian directions R_i, fixed by a seed
    sig_g(x) = the g-th group of `width` bits as a number   G = m / width signatures
    A(t)     = 1/G sum_g l2( sum_j 1[sig_g(s_j) = sig_g(t)] s_j )

Two vectors at angle theta share a signature with probability (1 - theta / pi)^width, so without the l2 norm the
expectation of A weighs event j by that power of its angle: attention whose sharpness is `width`, and whose variance
falls with m. The sums per bucket are the same for every candidate, so they are made once per history.

Y. Cao, X. Zhou, J. Feng et al.: Sampling Is All You Need on Modeling Long-Term User Behaviors for CTR Prediction.
CIKM 2022. Collisions: M. Charikar: Similarity Estimation Techniques from Rounding Algorithms. STOC 2002.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.nn.collisions import bucket_interest, bucket_sums, inverse_norm
from ethogram.nn.ragged import Ragged, segments
from ethogram.nn.rows import Picked


class SimHash(nn.Module):
    """Signatures of vectors.

    Parameters
    ----------
    dim : width of the vectors. hashes : directions, a multiple of `width`. width : bits per signature, 1 to 16.
    seed : of the directions, which are part of the state and never trained.

    Examples
    --------
    >>> SimHash(8, hashes=12, width=3).codes(np.ones((5, 8), np.float32)).shape
    (5, 4)
    """

    directions: Tensor

    def __init__(self, dim: int, hashes: int = 48, width: int = 3, seed: int = 0) -> None:
        super().__init__()
        if not 1 <= width <= 16 or hashes < 1 or hashes % width:
            raise OptionError(f"hashes = {hashes} is no multiple of width = {width}, or width is not in 1 ... 16.")
        self.dim, self.hashes, self.width = dim, hashes, width
        drawn = np.random.default_rng(seed).standard_normal((hashes, dim))
        # float64: which side of a direction a vector lies on must not hang on the order of a float32 sum, since a
        # bucket that was filled event by event is read with codes made in batches
        self.register_buffer("directions", torch.from_numpy(drawn))
        self._made: tuple[Tensor, int] | None = None

    @property
    def groups(self) -> int:
        """Signatures per vector."""
        return self.hashes // self.width

    @property
    def buckets(self) -> int:
        """Values of a signature."""
        return 2**self.width

    def _apply(self, fn: Any, recurse: bool = True) -> SimHash:
        # .half(), .float() move the model, not the precision of the signs
        kept = self.directions
        super()._apply(fn, recurse)
        self.directions = kept.to(self.directions.device)
        return self

    @overload
    def codes(self, vectors: np.ndarray) -> np.ndarray: ...
    @overload
    def codes(self, vectors: Tensor) -> Tensor: ...
    def codes(self, vectors: np.ndarray | Tensor) -> np.ndarray | Tensor:
        """Signatures int32[n, G] of vectors [n, dim], read as float32; array for array, tensor for tensor."""
        if isinstance(vectors, np.ndarray):
            return self.codes(torch.from_numpy(np.ascontiguousarray(vectors))).numpy()
        with torch.no_grad(), torch.autocast(vectors.device.type, enabled=False):
            if vectors.device.type != "cpu":
                positive = (vectors.float().double() @ self.directions.T > 0).view(
                    len(vectors), self.groups, self.width
                )
                return (positive.int() << torch.arange(self.width, device=vectors.device)).sum(2, dtype=torch.int32)
            x = vectors.detach().float().contiguous()
            single, exact = self._by_bit()
            packed = np.empty((len(x), self.groups), np.int32)
            _pack(x.numpy(), (x @ single).numpy(), exact, packed)
            return torch.from_numpy(packed)

    def bits(self, vectors: Tensor) -> Tensor:
        """The signs themselves, bool[n, hashes]: tags for retrieval by Hamming distance."""
        with torch.no_grad():
            return vectors.float().double() @ self.directions.T > 0

    def _by_bit(self) -> tuple[Tensor, np.ndarray]:
        """Directions as float32 [dim, hashes] and float64 [hashes, dim], the first bits of all groups first.

        In that order one instruction packs a bit of many groups.
        """
        made = (self.directions, self.directions._version)
        if self._made is None or self._made[0] is not made[0] or self._made[1] != made[1]:
            exact = self.directions.numpy().reshape(self.groups, self.width, self.dim).swapaxes(0, 1)
            exact = np.ascontiguousarray(exact.reshape(self.hashes, self.dim))
            self._made, self._kept = made, (torch.from_numpy(np.ascontiguousarray(exact.T, np.float32)), exact)
        return self._kept


class Hashed(nn.Module):
    """The interest A(t) of every candidate, differentiable in the events that are summed and in nothing else.

    Parameters
    ----------
    dim, hashes, width, seed : of the `SimHash`.
    normalise : l2 norm of each bucket's sum; without it long histories weigh by their length, and A is an unbiased
        estimate of attention with the collision weights.
    memory : microseconds after which an event weighs 1/e in its buckets, by `key_times`; None lets all weigh alike.
    """

    version: str | None = None
    "Of the vectors and directions, once a server asked for it."

    def __init__(
        self, dim: int, hashes: int = 48, width: int = 3, *, normalise: bool = True, memory: float | None = None,
        seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        if memory is not None and not memory > 0:
            raise OptionError(f"hashed interest: memory = {memory} is no time; give one above 0, or None.")
        self.hash, self.normalise, self.memory, self.width = SimHash(dim, hashes, width, seed), normalise, memory, dim

    def forward(
        self, keys: Tensor | Picked, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor,
        *, key_times: Tensor | None = None, **_: Tensor,
    ) -> Tensor:  # fmt: skip
        """[Q, dim] for packed events [T, dim] and candidates [Q, dim]; `key_times` are int64[T] microseconds."""
        values, rows = keys = Picked.of(keys)
        left = self.hash.codes(values).index_select(0, rows)  # an item that happened often is hashed once
        right = self.hash.codes(queries)
        faded = self._fade(key_offsets, key_times)
        weighed = keys if faded is None else keys.dense() * faded.to(values).unsqueeze(1)
        return bucket_interest(
            weighed, left, key_offsets, right, query_offsets, self.hash.buckets, normalise=self.normalise
        )

    @torch.no_grad()
    def weights(
        self, keys: Tensor, key_offsets: Tensor, queries: Tensor, query_offsets: Tensor,
        *, key_times: Tensor | None = None, **_: Tensor,
    ) -> Ragged:  # fmt: skip
        """Factor of each event in each candidate's interest; segment q holds those of query q's events."""
        left, right = self.hash.codes(keys), self.hash.codes(queries)
        groups = self.hash.groups
        faded = self._fade(key_offsets, key_times)
        values = keys if faded is None else keys * faded.to(keys).unsqueeze(1)
        scale = None
        if self.normalise:
            scale = inverse_norm(bucket_sums(values, left, key_offsets, self.hash.buckets))
            scale = scale.view(-1, groups, self.hash.buckets)
        owner = segments(query_offsets)
        lengths = key_offsets.diff()[owner]
        spans = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        query = torch.repeat_interleave(torch.arange(len(owner)), lengths)
        event = torch.arange(len(query)) - spans[query] + key_offsets[owner[query]]
        query, event, owner = (t.to(keys.device) for t in (query, event, owner))
        share = keys.new_zeros(len(query))
        for g in range(groups):
            same = (left[event, g] == right[query, g]).to(share.dtype)
            share += same if scale is None else same * scale[owner[query], g, right[query, g].long()]
        if faded is not None:
            share *= faded.to(keys)[event]
        return Ragged(share / groups, spans)

    def _fade(self, offsets: Tensor, times: Tensor | None) -> Tensor | None:
        """Weight of each event beside the last one of its history, float64[T]."""
        if self.memory is None or times is None:
            return None
        last = times[(offsets[1:] - 1).clamp_min(0)] if len(times) else times[:0].expand(len(offsets) - 1)
        age = torch.repeat_interleave(last, offsets.diff()) - times
        return torch.exp(age.double() / -self.memory)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _pack(x: np.ndarray, sides: np.ndarray, directions: np.ndarray, out: np.ndarray) -> None:
    """Signatures from x @ directions in float32; where that is too close to 0 for its sign, again in float64.

    |float32 product - exact| <= (dim + 3) 2^-24 |x| |direction|, the rounding of the direction included.
    """
    n, m = sides.shape
    groups, dim = out.shape[1], x.shape[1]
    longest = 0.0
    for j in range(m):
        longest = max(longest, np.sqrt(np.sum(directions[j] ** 2)))
    for i in range(n):
        size = 0.0
        for k in range(dim):
            size += np.float64(x[i, k]) * x[i, k]
        doubt = np.float32((dim + 4) * 2.0**-24 * np.sqrt(size) * longest + 1e-30)
        near = 0
        for j in range(m):
            near += np.int32(abs(sides[i, j]) <= doubt)
        if near:
            for j in range(m):
                if abs(sides[i, j]) <= doubt:
                    exact = 0.0
                    for k in range(dim):
                        exact += x[i, k] * directions[j, k]
                    sides[i, j] = np.float32(np.sign(exact))
        for g in range(groups):
            out[i, g] = 0
        for b in range(m // groups):
            for g in range(groups):
                out[i, g] += np.int32(sides[i, b * groups + g] > 0) << b
