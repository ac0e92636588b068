"""Several processes that train one model: each reads its share of the questions, and gradients are summed.

    g = sum over ranks r of (n_r / n) g_r         g_r: gradient of the mean loss of rank r's n_r rows,  n = sum of n_r

is the gradient of the mean loss of all n rows, so ranks that begin with equal weights keep equal weights. Nothing of
the log moves between ranks. What moves in a step, sent by each of N ranks:

    dense parameters, one all-reduce of D numbers       2 (N - 1) / N * 4 D          bytes
    a table of width d, the rows that any rank touched  (N - 1) * m (4 + 4 d)        m: most rows that a rank touched
    (or, where that is less, all of its rows R          2 (N - 1) / N * 4 R d)
    weight of the step, kinds of P parameters           2 (N - 1) / N * 8 (1 + P)
    number of touched rows per table                    (N - 1) * 8              bytes

with ring algorithms, and `Moved` counts it. Processes are started by torchrun; Accelerate joins them (gloo on CPUs).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from ethogram.errors import MissingExtra, OptionError
from ethogram.nn.rows import add_rows

T = TypeVar("T")
NUMBER = 8
"""Bytes of a count or a weight."""


@dataclass
class Moved:
    """Bytes that this rank has sent, by what they were for."""

    steps: int = 0
    dense: float = 0.0
    rows: float = 0.0
    control: float = 0.0
    touched: list[list[int]] = field(default_factory=list)
    "For each step the most rows that a rank touched, per table; -1 where the whole table was summed."

    @property
    def per_step(self) -> float:
        """Mean bytes of a step."""
        return (self.dense + self.rows + self.control) / max(self.steps, 1)


@dataclass
class Group:
    """The processes that train together; `rank` counts from 0 among `size`."""

    rank: int
    size: int
    moved: Moved = field(default_factory=Moved)

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over all ranks, in float64."""
        found = torch.tensor(list(values), dtype=torch.float64)
        dist.all_reduce(found)
        return found.tolist()

    def reduce(self, parameters: Iterable[nn.Parameter], weight: float, total: float) -> None:
        """Replace the gradients by those of all ranks' rows; `weight` of `total` rows are this rank's.

        A rank without a batch has weight 0 and brings nothing; it still has to call.
        """
        held = list(parameters)
        share = weight / total
        # by kind, which a rank without a batch does not see in its gradients
        flags = torch.tensor([_kind(p) for p in held], dtype=torch.int64)
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        kinds = flags.tolist()
        self.moved.steps += 1
        self.moved.control += control(self.size, len(held), kinds.count(SPARSE))
        dense = [p for p, k in zip(held, kinds, strict=True) if k == DENSE]
        if dense:
            flat = torch.cat([_flat(p, share) for p in dense])
            dist.all_reduce(flat)
            self.moved.dense += ring_reduce(self.size, flat.numel() * flat.element_size())
            for p, part in zip(dense, flat.split([p.numel() for p in dense]), strict=True):
                p.grad = part.view_as(p)
        self._rows([p for p, k in zip(held, kinds, strict=True) if k == SPARSE], share)

    def _rows(self, tables: list[nn.Parameter], share: float) -> None:
        if not tables:
            return
        mine = [_touched(p, share) for p in tables]
        counts = torch.tensor([len(ids) for ids, _ in mine], dtype=torch.int64)
        every = [torch.empty_like(counts) for _ in range(self.size)]
        dist.all_gather(every, counts)
        told = []
        for i, (p, (ids, values)) in enumerate(zip(tables, mine, strict=True)):
            sizes = [int(c[i]) for c in every]
            width, most = p.shape[1], max(sizes)
            told.append(most if cheaper(self.size, most, len(p), width) else -1)
            if told[-1] < 0:
                whole = torch.zeros_like(p)
                whole[ids] = values
                dist.all_reduce(whole)
                self.moved.rows += ring_reduce(self.size, whole.numel() * whole.element_size())
                rows = torch.cat(self._gather(ids.int(), sizes)).long().unique()
                self.moved.rows += ring_gather(self.size, 4 * most)
                p.grad = torch.sparse_coo_tensor(rows[None], whole[rows], p.shape, check_invariants=False)
                continue
            rows = torch.cat(self._gather(ids.int(), sizes)).long()
            found = torch.cat(self._gather(values, sizes))
            self.moved.rows += ring_gather(self.size, most * (4 + 4 * width))
            p.grad = torch.sparse_coo_tensor(rows[None], found, p.shape, check_invariants=False)
        self.moved.touched.append(told)

    def _gather(self, part: Tensor, sizes: list[int]) -> list[Tensor]:
        """The parts of all ranks in order; they travel padded to the longest."""
        padded = part.new_zeros((max(sizes), *part.shape[1:]))
        padded[: len(part)] = part
        every = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(every, padded)
        return [found[:n] for found, n in zip(every, sizes, strict=True)]

    def sums(self, named: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Arrays summed over all ranks."""
        made = {}
        for name in sorted(named):
            found = torch.from_numpy(np.array(named[name]))
            dist.all_reduce(found)
            made[name] = found.numpy()
        return made

    def wait(self) -> None:
        """Until all ranks are here."""
        dist.barrier()


DENSE, SPARSE = 1, 2
_joined: Group | None = None


def group() -> Group | None:
    """The processes that this one trains with; None where it is alone."""
    return _joined


def launched() -> bool:
    """Whether torchrun started this process."""
    return "LOCAL_RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextlib.contextmanager
def joined() -> Iterator[Group]:
    """Join the processes that torchrun started, for the time of the block.

    Raises
    ------
    MissingExtra
        Accelerate is not installed.
    OptionError
        This process was not started by torchrun.
    """
    global _joined
    if not launched():
        raise OptionError("several processes: start them with torchrun (`ethogram fit --devices 2` does).")
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise MissingExtra("several processes need Accelerate: pip install 'ethogram[distributed]'.") from error
    state = PartialState(cpu=True)
    _joined = Group(state.process_index, state.num_processes)
    try:
        yield _joined
    finally:
        _joined = None
        state.destroy_process_group()


def bounds(work: np.ndarray) -> tuple[int, int]:
    """(first, last) of the rows that this rank reads: one run of rows, with about its share of the work."""
    if _joined is None:
        return 0, len(work)
    ends = np.cumsum(work, dtype=np.float64)
    cuts = np.searchsorted(ends, np.arange(_joined.size + 1) / _joined.size * (ends[-1] if len(ends) else 0.0))
    cuts[0], cuts[-1] = 0, len(work)
    return int(cuts[_joined.rank]), int(cuts[_joined.rank + 1])


def part(number: int) -> int:
    """A rank's part of a number for all: of the rows of a batch."""
    return number if _joined is None else max(1, number // _joined.size)


def mean(values: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean of all ranks' values that are not NaN."""
    there = ~np.isnan(values)
    weight = there.astype(np.float64) if weights is None else np.where(there, weights, 0.0)
    over, under = float(np.sum(np.where(there, values, 0.0) * weight)), float(weight.sum())
    if _joined is not None:
        over, under = _joined.total([over, under])
    return over / under if under else float("nan")


# -- what a step costs -------------------------------------------------------------------------------------------


def ring_reduce(size: int, number: float) -> float:
    """Bytes that each rank sends for an all-reduce of so many bytes."""
    return 2 * (size - 1) / size * number


def ring_gather(size: int, number: float) -> float:
    """Bytes that each rank sends for an all-gather to which every rank brings so many bytes."""
    return (size - 1) * number


def cheaper(size: int, most: int, rows: int, width: int) -> bool:
    """Whether gathering the touched rows moves less than summing the whole table."""
    whole = ring_reduce(size, 4 * rows * width) + ring_gather(size, 4 * most)
    return ring_gather(size, most * (4 + 4 * width)) <= whole


def control(size: int, parameters: int, tables: int) -> float:
    """Bytes of what ranks tell each other before gradients move."""
    return ring_reduce(size, NUMBER * (1 + parameters)) + ring_gather(size, NUMBER * tables)


def bytes_per_step(size: int, dense: int, tables: Iterable[tuple[int, int, int]] = (), parameters: int = 1) -> float:
    """Bytes that each of `size` ranks sends in a step.

    Parameters
    ----------
    dense : parameters that are not rows of tables.
    tables : (most rows that a rank touches, rows, width) of each table.
    parameters : tensors that learn, tables among them.

    Examples
    --------
    >>> round(bytes_per_step(2, 1_000, [(100, 50_000, 32)], parameters=5))
    17256
    """
    known = list(tables)
    total = ring_reduce(size, 4 * dense) + control(size, parameters, len(known))
    for most, rows, width in known:
        if cheaper(size, most, rows, width):
            total += ring_gather(size, most * (4 + 4 * width))
        else:
            total += ring_reduce(size, 4 * rows * width) + ring_gather(size, 4 * most)
    return total


# -- gradients -----------------------------------------------------------------------------------------------


def _kind(p: nn.Parameter) -> int:
    if p.grad is None:
        return 0
    return SPARSE if p.grad.is_sparse else DENSE


def _flat(p: nn.Parameter, share: float) -> Tensor:
    return torch.zeros_like(p).view(-1) if p.grad is None else p.grad.reshape(-1) * share


def _touched(p: nn.Parameter, share: float) -> tuple[Tensor, Tensor]:
    """(different rows, their summed gradients) of a row-sparse gradient, by row."""
    if p.grad is None:
        return torch.zeros(0, dtype=torch.int64), p.new_zeros((0, p.shape[1]))
    ids, values = p.grad._indices()[0], p.grad._values()
    rows, place = torch.unique(ids, return_inverse=True)
    return rows, add_rows(values.new_zeros(len(rows), values.shape[1]), place, values) * share


def facts(group: Group) -> dict[str, Any]:
    """What a command tells of a training in several processes."""
    moved = group.moved
    return {"processes": group.size, "steps": moved.steps, "bytes_per_step": moved.per_step}
