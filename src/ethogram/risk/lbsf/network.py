"""The network of LBSF on packed groups: payments, merchants, people; and its batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ethogram.log import kernels
from ethogram.nn.fields import Fields, MultiField, Texts
from ethogram.nn.mlp import Tower
from ethogram.nn.ragged import bucket_batches, segment_max, segment_mean, segment_softmax, segment_sum, segments
from ethogram.nn.recurrent import Recurrent
from ethogram.nn.rows import take_rows
from ethogram.nn.sets import SetTransformer
from ethogram.nn.transformer import CausalTransformer
from ethogram.risk.lbsf.encoding import STATS, Books, Encoded

BUCKETS = 4_096
"""Places of hashed n-grams."""
NEXT: dict[str, int] = {"time": 6, "amount": 3}
"""What is told of the next payment: its place among the numbers of a field (log days between, amount to usual here)."""
PERIODS = (1.0, 180.0)
"""Days of the shortest and the longest wave that Time2Vec begins with."""


class Batch(NamedTuple):
    """Some of the cases: fields of their payments, offsets of groups and cases, facts of groups and people."""

    fields: Fields
    groups: Tensor
    cases: Tensor
    step: Tensor
    when: Tensor
    stats: Tensor
    static: dict[str, Tensor]
    profile: Tensor
    label: Tensor


def read_fields(options: Any, books: Books) -> tuple[dict[str, int], dict[str, int]]:
    """(rows of the table of each categorical field, numbers of each field of numbers) that the options let through."""
    asked = set(options.fields)
    of = {"item": "merchant", options.category: "category"}
    tables = {n: len(ids) + 1 for n, ids in books.codes.items() if of.get(n, "columns") in asked}
    numbers = {n: books.scales[n].shape[1] for n in ("time", "amount") if n in books.scales and n in asked}
    if "amount" in numbers:
        tables["quantile"] = len(books.edges) + 2
    return tables, numbers


class FoldedNetwork(nn.Module):
    """From payments to the logit of each case; see the equations of `ethogram.risk.lbsf`."""

    def __init__(self, options: Any, books: Books, profile: int, text: bool, seed: int) -> None:
        super().__init__()
        dim = options.dim
        self.tables, self.numbers = read_fields(options, books)
        self.how, self.relation, self.peak = options.encoder, options.relation, options.peak
        self.waves = options.waves if "time" in self.numbers else 0
        widths = {name: width + self.waves * (name == "time") for name, width in self.numbers.items()}
        self.fields = MultiField(dim, self.tables, widths, buckets=BUCKETS if text else 0, seed=seed)
        self.encoder: nn.Module | None = None
        if self.how == "gru":
            self.encoder = Recurrent(dim, hidden=dim, dropout=options.dropout, seed=seed + 1)
        elif self.how == "transformer":
            self.encoder = CausalTransformer(
                dim, layers=options.layers, heads=options.heads, positions=options.payments, dropout=options.dropout,
                seed=seed + 1,
            )  # fmt: skip
        with torch.random.fork_rng(devices=[]):  # torch initialises layers from its global generator
            torch.manual_seed(seed + 2)
            self.look, self.ask = nn.Linear(dim + 1, dim), nn.Linear(dim, 1, bias=False)
            self.facts = nn.Linear(len(STATS), dim)
            self.norm, self.read = nn.LayerNorm(dim), nn.LayerNorm(dim)
            self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
            self.told = [name for name in NEXT if name in self.numbers]
            self.next = nn.Linear(dim, len(self.told)) if self.encoder is not None and self.told else None
            if self.waves:
                self.turn = nn.Parameter(2 * np.pi / torch.from_numpy(np.geomspace(*PERIODS, self.waves)).float())
                self.shift = nn.Parameter(2 * np.pi * torch.rand(self.waves))
        self.sets = None
        if self.relation == "transformer":
            self.sets = SetTransformer(
                dim, layers=options.relations, heads=options.heads, dropout=options.dropout, seed=seed + 3
            )
        self.head = Tower((1 + self.peak) * dim + profile, (dim,), dropout=options.dropout, seed=seed + 4)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(logits [n], share of each group in its case [G])."""
        payments = self.payments(batch)
        return self.judge(payments, self.states(payments, batch), batch)

    def judge(self, payments: Tensor, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """`forward` from the payments and their states."""
        return self.person(self.merchants(payments, states, batch), batch.cases, batch.profile)

    def person(self, merchants: Tensor, cases: Tensor, profile: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` from the merchants' vectors."""
        if self.sets is not None:
            person, share = self.sets(merchants, cases)
        else:
            person = segment_mean(merchants, cases)
            share = 1 / cases.diff().clamp_min(1)[segments(cases)].float()
        read = [person, segment_max(merchants, cases), profile] if self.peak else [person, profile]
        logit: Tensor = self.head(torch.cat(read, 1))
        return logit, share

    def without(self, merchants: Tensor, batch: Batch) -> Tensor:
        """Logit of each group's case, were the group not there, [G]."""
        cases = batch.cases.numpy()
        size = np.diff(cases)
        owner = np.repeat(np.arange(len(size)), size)
        rows = kernels.ragged_rows(cases[:-1][owner], cases[1:][owner])[0]  # a set for each group: its case ...
        left = rows != np.repeat(np.arange(len(owner)), size[owner])  # ... but for itself
        ends = np.append(0, np.cumsum(np.maximum(size[owner] - 1, 0)))
        found, _ = self.person(merchants[torch.from_numpy(rows[left])], torch.from_numpy(ends), batch.profile[owner])
        return found

    def payments(self, batch: Batch) -> Tensor:
        """Each payment by itself, [T, dim]."""
        fields = batch.fields
        if self.waves:
            days = torch.expm1(batch.when).unsqueeze(1)
            time = torch.cat([fields.numbers["time"], torch.sin(days * self.turn + self.shift)], 1)
            fields = replace(fields, numbers={**fields.numbers, "time": time})
        found: Tensor = self.fields(fields)
        return found

    def states(self, payments: Tensor, batch: Batch) -> Tensor:
        """Each payment as its merchant's encoder has it, [T, dim]; a state knows nothing of later payments."""
        return payments if self.encoder is None or not len(payments) else self._encoded(payments, batch)

    def merchants(self, payments: Tensor, states: Tensor, batch: Batch) -> Tensor:
        """Vector of each group, [G, dim]: its payments in their order, their mean, and its facts."""
        whole = segment_mean(payments, batch.groups) + self.facts(batch.stats)
        if self.encoder is not None:
            score = self.ask(torch.tanh(self.look(torch.cat([states, batch.when.unsqueeze(1)], 1))))
            weight = segment_softmax(score.squeeze(1), batch.groups)
            whole = whole + segment_sum(weight.unsqueeze(1) * states, batch.groups)
        for name, code in batch.static.items():
            if name in self.fields.tables:
                whole = whole + self.fields.tables[name](code)
        v = self.norm(whole)
        found: Tensor = self.read(v + self.down(F.gelu(self.up(v), approximate="tanh")))
        return found

    def surprise(self, states: Tensor, batch: Batch) -> Tensor:
        """Mean smooth absolute error of the next payment's numbers at the same merchant, told from the state before;
        0 where nothing is to be told, or no encoder reads payments in their order."""
        if self.next is None:
            return states.new_zeros(())
        follows = torch.ones(len(states), dtype=torch.bool)
        follows[:1] = False
        follows[batch.groups[:-1][batch.groups[:-1] < len(states)]] = False
        follows[1:] &= batch.step[1:] != batch.step[:-1]  # of equal times none is the next
        now = follows.nonzero().ravel()
        if not len(now):
            return states.new_zeros(())
        truth = torch.stack([batch.fields.numbers[n][now, NEXT[n]] for n in self.told], 1)
        return F.smooth_l1_loss(self.next(states[now - 1]), truth)

    def _encoded(self, x: Tensor, batch: Batch) -> Tensor:
        assert self.encoder is not None
        if self.how == "gru":
            found: Tensor = self.encoder(x, batch.groups, batch.step)
            return found
        # the attention pads to its longest group, so that groups go in classes of like length
        size = batch.groups.diff().numpy()
        of = np.ceil(np.log2(np.maximum(size, 1))).astype(np.int64)
        parts, places = [], []
        for c in np.unique(of[size > 0]):
            mine = np.flatnonzero((of == c) & (size > 0))
            rows, offsets = kernels.ragged_rows(batch.groups.numpy()[mine], batch.groups.numpy()[mine + 1])
            index = torch.from_numpy(rows)
            parts.append(self.encoder(x[index], torch.from_numpy(offsets), batch.step[index]))
            places.append(rows)
        back = np.argsort(np.concatenate(places))
        return take_rows(torch.cat(parts), torch.from_numpy(back))


def focal(logit: Tensor, label: Tensor, gamma: float, positive: float = 1.0) -> Tensor:
    """Weighted mean of ``(1 - p_t)^gamma * -log p_t``, p_t the probability of the true class.

    T.-Y. Lin et al.: Focal Loss for Dense Object Detection. ICCV 2017. A yes weighs `positive`; gamma = 0 is
    cross-entropy.
    """
    loss = F.binary_cross_entropy_with_logits(logit, label, reduction="none")
    weight = 1 + (positive - 1) * label
    if gamma:
        wrong = (torch.sigmoid(logit) - label).abs()
        loss = wrong.clamp_min(1e-6) ** gamma * loss
    # by the weight of all of training: a batch without a yes must not count as much as one with several
    return (weight * loss).mean() / (2 * positive / (1 + positive))


def hidden(batch: Batch, share: float) -> Batch:
    """The batch with the merchants' names of a share of the groups taken for unknown, drawn by torch's generator."""
    if not share or "item" not in batch.fields.codes:
        return batch
    kept = torch.rand(len(batch.groups) - 1) >= share
    codes = {**batch.fields.codes, "item": batch.fields.codes["item"] * kept[segments(batch.groups)]}
    static = {**batch.static, "item": batch.static["item"] * kept}
    return batch._replace(fields=replace(batch.fields, codes=codes), static=static)


class Reader:
    """Batches of encoded cases; n-grams of the distinct texts are made once."""

    def __init__(self, encoded: Encoded, network: FoldedNetwork) -> None:
        self.encoded = encoded
        self.tables, self.numbers = network.tables, network.numbers
        self.text = None
        if network.fields.grams is not None:
            self.text = encoded.text if encoded.text is not None else np.zeros(len(encoded.step), np.int64)
        texts = encoded.texts if encoded.text is not None else [None]
        self.texts = None if self.text is None else Texts.of(texts, BUCKETS)

    def batches(self, mine: np.ndarray, size: int, seed: Any = None) -> Iterator[np.ndarray]:
        """Cases `mine` in batches alike in number of groups."""
        width = np.diff(self.encoded.folded.cases)[mine] + 1
        cells = size * int(width.max(initial=1))
        for batch in bucket_batches(width, tokens=cells, padding=0.4, rows=size, seed=seed):
            yield mine[batch]

    def take(self, mine: np.ndarray) -> Batch:
        """The cases `mine` as tensors."""
        e, folded = self.encoded, self.encoded.folded
        group, cases = kernels.ragged_rows(folded.cases[mine], folded.cases[mine + 1])
        row, groups = kernels.ragged_rows(folded.groups[group], folded.groups[group + 1])
        codes = {name: torch.from_numpy(e.codes[name][row]) for name in self.tables}
        numbers = {name: torch.from_numpy(e.numbers[name][row]) for name in self.numbers}
        text = texts = None
        if self.text is not None:
            assert self.texts is not None
            told, place = np.unique(self.text[row], return_inverse=True)
            text, texts = torch.from_numpy(place.ravel()), self.texts.take(told)
        static = {name: torch.from_numpy(code[group].astype(np.int64)) for name, code in e.static.items()}
        return Batch(
            Fields(codes, numbers, text, texts), torch.from_numpy(groups), torch.from_numpy(cases),
            torch.from_numpy(e.step[row]), torch.from_numpy(e.when[row]), torch.from_numpy(e.stats[group]), static,
            torch.from_numpy(e.profile[mine]), torch.from_numpy(e.cases.label[mine]),
        )  # fmt: skip


@torch.no_grad()
def moved(network: FoldedNetwork, encoded: Encoded, size: int) -> np.ndarray:
    """By how much each group's case has a higher logit than it would have without the group, float64[G]."""
    network.eval()
    reader, folded, found = Reader(encoded, network), encoded.folded, np.zeros(len(encoded.folded.key))
    for mine in reader.batches(np.arange(len(encoded)), size):
        batch = reader.take(mine)
        if len(batch.groups) == 1:  # nobody has a payment
            continue
        payments = network.payments(batch)
        merchants = network.merchants(payments, network.states(payments, batch), batch)
        whole = network.person(merchants, batch.cases, batch.profile)[0][segments(batch.cases)]
        groups = kernels.ragged_rows(folded.cases[mine], folded.cases[mine + 1])[0]
        found[groups] = (whole - network.without(merchants, batch)).numpy()
    return found


@torch.no_grad()
def judged(network: FoldedNetwork, encoded: Encoded, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(logit of each case float64[n], share of each group float64[G])."""
    network.eval()
    reader, folded = Reader(encoded, network), encoded.folded
    logit, share = np.zeros(len(encoded)), np.zeros(len(folded.key))
    for mine in reader.batches(np.arange(len(encoded)), size):
        told, weight = network(reader.take(mine))
        logit[mine] = told.numpy()
        share[kernels.ragged_rows(folded.cases[mine], folded.cases[mine + 1])[0]] = weight.numpy()
    return logit, share
