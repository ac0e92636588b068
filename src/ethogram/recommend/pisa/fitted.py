"""A fitted network of sessions: how it is trained, what state it gives a history, what is kept of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories
from ethogram.log.kernels import ragged_rows
from ethogram.nn.ragged import bucket_batches, segment_sum
from ethogram.nn.saved import arrays, restore
from ethogram.nn.train import Trained, train
from ethogram.nn.transformer import last_states
from ethogram.numeric.declarative import recall, spreading, together
from ethogram.numeric.known import Known
from ethogram.numeric.neighbours import Neighbours
from ethogram.numeric.sessions import Sessions
from ethogram.numeric.vectors import ByVectors, Judge
from ethogram.recommend.pisa.course import Course
from ethogram.recommend.pisa.network import PisaNetwork, Remembered
from ethogram.verbs import Log, State, Table, Watch

BLOCK = 1_024
"""Sessions read at once."""
CLIP = 5.0
"""Largest norm of a step's gradients: the root of an activation is steep near zero."""


@dataclass(frozen=True, eq=False)
class Reading:
    """n histories as the network reads them: their sessions, items and shares, and at the end of each u_lt, u_st, z.

    `fused` is z before its norm.
    """

    held: Remembered
    vectors: Tensor
    shares: Tensor
    sessions: Tensor
    lasting: Tensor
    short: Tensor
    fused: Tensor
    gates: Tensor


@dataclass(frozen=True, eq=False)
class Fitted(ByVectors):
    """See the module. `links` are the weights of spreading activation."""

    known: Known
    network: PisaNetwork
    links: Neighbours
    options: Any
    trained: Trained

    @property
    def vectors(self) -> np.ndarray:
        """float32[M, d] of the trained items."""
        return np.asarray(self.network.vectors.detach().cpu().numpy())

    @classmethod
    def fit(cls, options: Any, log: Log, valid: Log | None, *, seed: int, watch: Watch | None) -> Fitted:
        """Train on the sessions of a log; `valid` decides when to stop, by NDCG@10."""
        known = Known.of(log)
        sessions = Sessions.of(log.histories(), known.rows, options.pause)
        if not (sessions.counts > 1).any():
            raise OptionError("pisa: nobody in the training log has two sessions; it learns from what came next.")
        links = together(sessions, known.trained, options.neighbours)
        made = cls(known, options.network(known.trained, seed), links, options, Trained())
        asked = valid.questions("next") if valid is not None and len(valid.sequences()) else None
        judge = None if asked is None else Judge(made, asked, most=options.questions, seed=seed)
        course = Course(made.network, made.remembered(sessions, np.arange(len(sessions))), sessions, known, options)
        trained = train(
            made.network, course.batches, course.loss, epochs=options.epochs, seed=seed, valid=judge,
            optimisers=made.network.optimisers(options.lr, options.l2), patience=options.patience, clip=CLIP,
            watch=watch,
        )  # fmt: skip
        return cls(known, made.network, links, options, trained)

    def remembered(self, sessions: Sessions, asked: np.ndarray) -> Remembered:
        """Sessions by their numbers, with what memory held."""
        found = recall(sessions, asked, self.options.decay, self.options.favourites, self.known.trained)
        rows, offsets = ragged_rows(sessions.offsets[asked], sessions.offsets[asked + 1])
        items = sessions.items[rows]
        spread = spreading(items, offsets, self.links)
        return Remembered.of(items, offsets, found.base, spread, found.favourites, found.weights)

    def states(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        """(float32[n, d]: z + lambda u_lt after the last session, bool[n]: whether anything is known)."""
        sessions = Sessions.of(histories, self.known.rows_in(histories.vocabularies["item"]), self.options.pause)
        out = np.zeros((len(histories), self.network.vectors.shape[1]), np.float32)
        lengths = np.minimum(sessions.counts, self.options.length)
        there = np.flatnonzero(lengths)
        self.network.eval()
        with torch.no_grad():
            for part in bucket_batches(lengths[there], tokens=BLOCK):
                which = there[part]
                found = self.read(sessions, which, lengths[which])
                state = F.normalize(found.fused, dim=1) + self.options.long_weight * found.lasting
                out[which] = state.numpy()
        return out, lengths > 0

    def read(self, sessions: Sessions, which: np.ndarray, lengths: np.ndarray) -> Reading:
        """What the network makes of the last so many sessions of these histories."""
        numbers, offsets = ragged_rows(sessions.bounds[which + 1] - lengths, sessions.bounds[which + 1])
        held, network = self.remembered(sessions, numbers), self.network
        v, ends, last = network.embed(held.items), torch.from_numpy(offsets), torch.from_numpy(offsets[1:] - 1)
        w = network.shares(v, held)
        m = segment_sum(v * w[:, None], held.offsets)
        lasting = network.lasting(network.embed(held.favourites[last]), held.weights[last])
        group = torch.from_numpy(np.arange(len(numbers)) - np.repeat(offsets[:-1], lengths))
        short = last_states(network.short(m, ends, group), ends, group)
        fused, gates = network.fused(m[last], lasting, short)
        return Reading(held, v, w, m, lasting, short, fused, gates)

    def explain(self, histories: Histories, candidates: Candidates, k: int) -> Table:
        """See `ethogram.recommend.pisa.explaining`; `component` says through what an event speaks."""
        from ethogram.recommend.pisa.explaining import explain

        return explain(self, histories, candidates, k)

    def state(self) -> State:
        return State(
            {**arrays(self.network), **{f"links.{n}": a for n, a in self.links.arrays().items()}}, {},
            {"trained": asdict(self.trained), "cap": self.links.cap}, {"known": self.known.state()},
        )  # fmt: skip

    @classmethod
    def restore(cls, options: Any, state: State) -> Fitted:
        known = Known.restore(state.parts["known"])
        network = options.network(known.trained, 0)
        restore(network, state.arrays)
        links = (np.asarray(state.arrays[f"links.{n}"]) for n in ("offsets", "codes", "weights"))
        network.eval()
        return cls(known, network, Neighbours(*links, state.json["cap"]), options, Trained(**state.json["trained"]))
