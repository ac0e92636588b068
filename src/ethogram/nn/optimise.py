"""Optimisers that touch only the rows that a batch touched, for tables larger than any batch.

A row that is not in the batch keeps its weights, its moments and its place in memory untouched: a step costs what
the batch costs, whatever the size of the table. On the CPU in float32 a step is one compiled pass over the touched
rows, and the moments of rows that no batch ever touches are never given memory.

Every optimiser here takes a mini-batch aware L2 penalty (G. Zhou et al., Deep Interest Network, KDD 2018, eq. 6-8): a
touched row's gradient gains ``decay / counts * w``, so that the sum over an epoch shrinks every row about as often as
a penalty on all rows would. It costs one multiplication inside the same pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn

from ethogram.errors import OptionError
from ethogram.nn.prefetch import AHEAD, fetch
from ethogram.nn.rows import add_rows, distinct, fresh_rows
from ethogram.nn.stepper import Stepper


class RowOptimiser(Stepper, ABC):
    """What the optimisers below share: a rule is its compiled pass and the same with torch operations.

    Parameters
    ----------
    parameters : matrices [rows, dim] whose gradients are sparse by rows (`Table.weight`); a dense gradient moves all
        rows. Row 0 stands for nothing and is never moved.
    lr : learning rate.
    decay, counts : mini-batch aware L2; `counts[i]` is float[rows] or None for parameter i, how often training holds
        each row.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        decay: float = 0.0,
        counts: Iterable[Tensor | None] | None = None,
    ) -> None:
        if not lr > 0 or decay < 0:
            raise OptionError(f"row-wise optimiser: lr = {lr}, decay = {decay}; lr is above 0, decay not below.")
        super().__init__(parameters, lr)
        given = list(counts) if counts is not None else [None] * len(self.parameters)
        # per row the factor of w, made once: in the loop a division would cost as much as the rest
        self._shrink = [
            None if c is None or not decay else (decay / c.clamp_min(1)).float().to(p.device)
            for p, c in zip(self.parameters, given, strict=True)
        ]

    @torch.no_grad()
    def step(self) -> None:
        self.steps += 1
        for i, p in enumerate(self.parameters):
            if p.grad is None:
                continue
            rows, grad = self._rows(p.grad)
            if not len(rows):
                continue
            if p.device.type == "cpu" and p.dtype == torch.float32 and p.is_contiguous():
                shrink = _NOTHING if self._shrink[i] is None else self._shrink[i].numpy()  # type: ignore[union-attr]
                self._compiled(i, p.detach().numpy(), rows.numpy(), grad.contiguous().numpy(), shrink)
                continue
            weight = p.index_select(0, rows)
            if (factor := self._shrink[i]) is not None:
                grad = grad + factor[rows].unsqueeze(1) * weight
            p.index_copy_(0, rows, weight - self._change(i, rows, grad.to(p.dtype)))

    def _rows(self, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Touched rows and their summed gradients, added in the order of the look-ups."""
        if not grad.is_sparse:
            return torch.arange(1, len(grad), device=grad.device), grad[1:].float()
        ids, values = grad._indices()[0], grad._values().float()
        if ids.device.type == "cpu" and ids.is_contiguous():
            rows, total = np.empty(len(ids), np.int64), np.empty(values.shape, np.float32)
            slots = np.full(2 ** (2 * len(ids)).bit_length(), -1, np.int32)
            found = _summed(ids.numpy(), values.contiguous().numpy(), slots, rows, total)
            return torch.from_numpy(rows[:found]), torch.from_numpy(total[:found])
        rows, inverse = distinct(ids)
        values = add_rows(values.new_zeros(len(rows), values.shape[1]), inverse, values)
        return rows[rows > 0], values[rows > 0]

    def _zeros(self, shape: Callable[[int, int], tuple[int, ...]]) -> list[Tensor]:
        """A state for each parameter, its shape from the parameter's."""
        made = []
        for p in self.parameters:
            wanted = shape(*p.shape)
            if p.device.type == "cpu" and p.dtype == torch.float32:
                made.append(fresh_rows(*wanted))
            else:
                made.append(torch.zeros(wanted, dtype=p.dtype, device=p.device))
        return made

    @abstractmethod
    def _compiled(self, i: int, w: np.ndarray, rows: np.ndarray, grad: np.ndarray, shrink: np.ndarray) -> None:
        """Move the touched rows of `w` in place; `shrink` is the penalty's factor of each row, empty without one."""

    @abstractmethod
    def _change(self, i: int, rows: Tensor, grad: Tensor) -> Tensor:
        """What is taken off the touched rows: the same rule with torch operations."""


class RowAdam(RowOptimiser):
    """Adam on the touched rows.

        m_j <- b1 m_j + (1 - b1) g_j,   v_j <- b2 v_j + (1 - b2) g_j^2      (touched rows j only)
        w_j <- w_j - lr m_j / (1 - b1^t) / (sqrt(v_j / (1 - b2^t)) + eps)

    betas, eps as in Adam (D. Kingma, J. Ba, ICLR 2015); t counts steps, not touches.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        decay: float = 0.0,
        counts: Iterable[Tensor | None] | None = None,
    ) -> None:
        super().__init__(parameters, lr, decay=decay, counts=counts)
        self.betas, self.eps = betas, eps
        # both moments of a row side by side: one look-up in memory instead of two
        self._moments = self._zeros(lambda rows, dim: (rows, 2, dim))
        self.held = {"first": [m[:, 0] for m in self._moments], "second": [m[:, 1] for m in self._moments]}

    def _fix(self) -> tuple[float, float]:
        b1, b2 = self.betas
        return 1 / (1 - b1**self.steps), 1 / (1 - b2**self.steps)

    def _compiled(self, i: int, w: np.ndarray, rows: np.ndarray, grad: np.ndarray, shrink: np.ndarray) -> None:
        numbers = (np.float32(x) for x in (self.lr, *self.betas, self.eps, *self._fix()))
        _adam(w, self._moments[i].numpy(), rows, grad, shrink, *numbers)

    def _change(self, i: int, rows: Tensor, grad: Tensor) -> Tensor:
        (b1, b2), (fix1, fix2) = self.betas, self._fix()
        first = self.held["first"][i].index_select(0, rows).lerp_(grad, 1 - b1)
        second = self.held["second"][i].index_select(0, rows).mul_(b2).addcmul_(grad, grad, value=1 - b2)
        self.held["first"][i].index_copy_(0, rows, first)
        self.held["second"][i].index_copy_(0, rows, second)
        return self.lr * fix1 * first / ((fix2 * second).sqrt() + self.eps)


class RowAdagrad(RowOptimiser):
    """Row-wise Adagrad: one number per row instead of one per weight.

    a_j <- a_j + mean(g_j^2),   w_j <- w_j - lr g_j / (sqrt(a_j) + eps)
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 1e-2,
        eps: float = 1e-8,
        *,
        decay: float = 0.0,
        counts: Iterable[Tensor | None] | None = None,
    ) -> None:
        super().__init__(parameters, lr, decay=decay, counts=counts)
        self.eps = eps
        self.held = {"total": self._zeros(lambda rows, dim: (rows,))}

    def _compiled(self, i: int, w: np.ndarray, rows: np.ndarray, grad: np.ndarray, shrink: np.ndarray) -> None:
        total = self.held["total"][i].numpy()
        _adagrad(w, total, rows, grad, shrink, np.float32(self.lr), np.float32(self.eps))

    def _change(self, i: int, rows: Tensor, grad: Tensor) -> Tensor:
        total = self.held["total"][i].index_add_(0, rows, grad.square().mean(1))
        return self.lr * grad / (total[rows].sqrt() + self.eps).unsqueeze(1)


class RowSGD(RowOptimiser):
    """w_j <- w_j - lr g_j on the touched rows."""

    def _compiled(self, i: int, w: np.ndarray, rows: np.ndarray, grad: np.ndarray, shrink: np.ndarray) -> None:
        _sgd(w, rows, grad, shrink, np.float32(self.lr))

    def _change(self, i: int, rows: Tensor, grad: Tensor) -> Tensor:
        return self.lr * grad


_NOTHING = np.zeros(0, np.float32)


@njit(cache=True, nogil=True)
def _summed(ids, values, slots, rows, total):  # type: ignore[no-untyped-def]
    """Different ids above 0 in order of first appearance, and the sums of their values; how many there are.

    `slots` holds -1, a power of two times at least twice the ids: places among `rows`, found by hash. An array with a
    place for every row of a large table would bring a line of memory for each of them.
    """
    found, mask = 0, len(slots) - 1
    for i in range(len(ids)):
        row = ids[i]
        if row == 0:
            continue
        at = (row * 2_654_435_769 >> 12) & mask
        while slots[at] >= 0 and rows[slots[at]] != row:
            at = (at + 1) & mask
        place = slots[at]
        if place >= 0:
            for k in range(values.shape[1]):
                total[place, k] += values[i, k]
            continue
        slots[at], rows[found] = found, row
        for k in range(values.shape[1]):
            total[found, k] = values[i, k]
        found += 1
    return found


@njit(cache=True, nogil=True)
def _soon(row, w, held, shrink):  # type: ignore[no-untyped-def]
    fetch(w, row)
    fetch(held, row)
    if len(shrink):
        fetch(shrink, row)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _adam(w, moments, rows, grad, shrink, lr, b1, b2, eps, fix1, fix2):  # type: ignore[no-untyped-def]
    one = np.float32(1)
    for i in range(len(rows)):
        if i + AHEAD < len(rows):
            _soon(rows[i + AHEAD], w, moments, shrink)
        r = rows[i]
        c = shrink[r] if len(shrink) else np.float32(0)
        for k in range(w.shape[1]):
            g = grad[i, k] + c * w[r, k]
            m = b1 * moments[r, 0, k] + (one - b1) * g
            v = b2 * moments[r, 1, k] + (one - b2) * g * g
            moments[r, 0, k] = m
            moments[r, 1, k] = v
            w[r, k] -= lr * (m * fix1) / (np.sqrt(v * fix2) + eps)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _adagrad(w, total, rows, grad, shrink, lr, eps):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        if i + AHEAD < len(rows):
            _soon(rows[i + AHEAD], w, total, shrink)
        r = rows[i]
        c = shrink[r] if len(shrink) else np.float32(0)
        square = np.float32(0)
        for k in range(w.shape[1]):
            g = grad[i, k] + c * w[r, k]
            square += g * g
        total[r] += square / np.float32(w.shape[1])
        step = lr / (np.sqrt(total[r]) + eps)
        for k in range(w.shape[1]):
            w[r, k] -= step * (grad[i, k] + c * w[r, k])


@njit(cache=True, nogil=True, fastmath=True)
def _sgd(w, rows, grad, shrink, lr):  # type: ignore[no-untyped-def]
    for i in range(len(rows)):
        r = rows[i]
        c = shrink[r] if len(shrink) else np.float32(0)
        for k in range(w.shape[1]):
            w[r, k] -= lr * (grad[i, k] + c * w[r, k])
