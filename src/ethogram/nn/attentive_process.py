"""An attentive point process: the intensity at any instant by attention over the events strictly before it.

    event i of kind k enters as [tanh E_k ; TE(t_i)], an instant t as [0 ; TE(t)],
    TE(t) = (sin(t w_i), cos(t w_i)),  w_i = 10000^(-2 i / time)
    in each layer an instant attends to the events strictly before it and to itself, an event to those before and to
    itself:   c <- c + tanh(attention(c)),     [c ; TE(t)] is the next layer's input
    lambda_k(t) = softplus of W_k c(t) + b_k with a scale for each kind: s log(1 + exp(x / s))

c is the state of all `heads`, which are stacks of layers of their own, side by side. Keys and values of the events are
made once (`encode`) and serve any number of instants (`intensity`), so the twenty instants of a gap's integral cost
no more than their own products. With `entries`, each layer has a pool of prompts (`nn.prompt_pool`).

Time is counted from the sequence's first event, in units of the mean gap.

Reference: C. Yang, H. Mei, J. Eisner: Transformer Embeddings of Irregularly Spaced Events and Their Participants. ICLR
2022; prompts: S. Xue et al., NeurIPS 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ethogram.nn.event_attention import Prefix, Rows, attend
from ethogram.nn.prompt_pool import Picked, PromptPool
from ethogram.nn.softplus import intensities
from ethogram.numeric.streams import States, Streams


@dataclass(frozen=True, eq=False)
class Encoded:
    """Sequences as instants see them.

    Attributes
    ----------
    streams : the sequences. keys, values : by layer and head, [E, hidden].
    picked : which prompts each state retrieved, of each layer. clock : TE of the estimated next arrival of each state,
        [S, time], None without prompts or time in them.
    """

    streams: Streams
    keys: list[list[Tensor]]
    values: list[list[Tensor]]
    picked: list[Picked]
    clock: Tensor | None

    @property
    def near(self) -> Tensor:
        return torch.stack([p.near for p in self.picked]).mean()


class AttentiveProcess(nn.Module):
    """See the module.

    Parameters
    ----------
    kinds : of events. hidden, time, layers, heads : widths and counts; `time` is even.
    entries, chosen, rows, diversify : of the pool of prompts of each layer; 0 entries for none.
    timed : prompts have a time part.
    seed : of the weights.
    """

    def __init__(
        self, kinds: int, *, hidden: int = 32, time: int = 16, layers: int = 2, heads: int = 2, entries: int = 0,
        chosen: int = 2, rows: int = 2, timed: bool = True, diversify: float = 0.0, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kinds, self.hidden, self.layers, self.heads, self.timed = kinds, hidden, layers, heads, timed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(kinds + 1, hidden)  # the last row is the unknown kind
            bound = 1 / math.sqrt(hidden + time)
            # queries, keys, values of each layer and head side by side; the part of state and the part of time
            self.state_weight = nn.Parameter(torch.empty(layers, heads, hidden, 3 * hidden).uniform_(-bound, bound))
            self.time_weight = nn.Parameter(torch.empty(layers, heads, time, 3 * hidden).uniform_(-bound, bound))
            self.bias = nn.Parameter(torch.empty(layers, heads, 3 * hidden).uniform_(-bound, bound))
            self.out = nn.Linear(heads * hidden, kinds)
            self.scale = nn.Parameter(torch.zeros(kinds))
            made = range(layers if entries else 0)
            size = {"entries": entries, "chosen": chosen, "rows": rows}
            self.pools = nn.ModuleList([PromptPool(hidden, diversify=diversify, **size) for _ in made])
        self.register_buffer("frequency", 10_000 ** (-torch.arange(0, time, 2) / time), persistent=False)

    frequency: Tensor

    def base(self) -> list[nn.Parameter]:
        """All parameters but those of the pools."""
        own = {id(p) for p in self.pools.parameters()}
        return [p for p in self.parameters() if id(p) not in own]

    def prompts(self) -> list[nn.Parameter]:
        return list(self.pools.parameters())

    def clock(self, time: Tensor) -> Tensor:
        """TE [.., time]; instants of long sequences lose digits in float32, so angles are taken in float64."""
        angle = (time.double().unsqueeze(-1) * self.frequency.double()).to(self.frequency.dtype)
        return torch.cat([angle.sin(), angle.cos()], -1)

    def encode(self, streams: Streams, *, vote: bool = False) -> Encoded:
        """Keys and values of all events, and the prompts of all states, of sequences in units of the mean gap."""
        time = torch.from_numpy(streams.time)
        kind = torch.from_numpy(np.where(streams.kind < 0, self.kinds, streams.kind))
        clock = self.clock(time)
        first = self.embedding(kind).tanh()
        states = [first] * self.heads
        rows = Rows(streams.offsets, streams.offsets, streams.before)
        at = _state(streams, streams.owner, streams.before)
        keys, values, picked = [], [], []
        ahead = self._ahead(streams) if self.pools and self.timed else None
        query = _so_far(streams, first) if self.pools else None
        for layer in range(self.layers):
            if self.pools:
                pool: PromptPool = self.pools[layer]  # type: ignore[assignment]
                picked.append(pool.pick(query, vote, self._centre()))
            keys.append([])
            values.append([])
            for head in range(self.heads):
                x = self._project(layer, head, states[head], clock)
                _, key, value = x.split(self.hidden, 1)
                keys[-1].append(key)
                values[-1].append(value)
                if layer + 1 < self.layers:
                    found = self._look(layer, head, x, key, value, rows, picked, ahead, at)
                    states[head] = states[head] + found.tanh()
        return Encoded(streams, keys, values, picked, ahead)

    def intensity(self, encoded: Encoded, states: States, when: np.ndarray) -> Tensor:
        """lambda [m, K] at instants `when` float64[m], not before what each of `states` knows.

        States come sequence by sequence, and in each by what they know.
        """
        streams = encoded.streams
        counts = np.bincount(states.owner, minlength=len(streams))
        rows = Rows(np.append(0, np.cumsum(counts)), streams.offsets, states.known)
        at = _state(streams, states.owner, states.known)
        clock = self.clock(torch.from_numpy(np.asarray(when, np.float64)))
        found: list[Tensor | None] = [None] * self.heads
        for layer in range(self.layers):
            for head in range(self.heads):
                x = self._project(layer, head, found[head], clock)
                key, past = encoded.keys[layer][head], encoded.values[layer][head]
                args = (x, key, past, rows, encoded.picked, encoded.clock, at)
                step = self._look(layer, head, *args).tanh()
                before = found[head]
                found[head] = step if before is None else before + step
        return intensities(self.out(torch.cat(found, 1)), self.scale)  # type: ignore[arg-type]

    def _project(self, layer: int, head: int, state: Tensor | None, clock: Tensor) -> Tensor:
        """Query, key and value of each row side by side."""
        x = torch.addmm(self.bias[layer, head], clock, self.time_weight[layer, head])
        return x if state is None else torch.addmm(x, state, self.state_weight[layer, head])

    def _look(
        self, layer: int, head: int, x: Tensor, keys: Tensor, values: Tensor, rows: Rows, picked: list[Picked],
        ahead: Tensor | None, at: Tensor,
    ) -> Tensor:  # fmt: skip
        if not picked:
            return attend(x, keys, values, rows)[0]
        prompt: Tensor = self.pools[layer].prompt  # type: ignore[assignment]
        into, width = self.state_weight[layer, head], self.hidden
        key = prompt[0] @ into[:, width : 2 * width] + self.bias[layer, head, width : 2 * width]
        content = prompt[1] @ into[:, 2 * width :] + self.bias[layer, head, 2 * width :]
        if ahead is None:
            return attend(
                x, keys, values, rows, Prefix(key, content, x.new_zeros(len(x)), picked[layer].allowed, at)
            )[0]  # fmt: skip
        timed = (ahead @ self.time_weight[layer, head, :, width:])[at]
        lift = (x[:, :width] * timed[:, :width]).sum(1)
        out, mass = attend(x, keys, values, rows, Prefix(key, content, lift, picked[layer].allowed, at))
        return out + mass.unsqueeze(1) * timed[:, width:]

    @torch.no_grad()
    def _centre(self) -> Tensor:
        """From what the first window was like to what kinds that are all alike would be; [hidden]."""
        first: Tensor = self.pools[0].mean  # type: ignore[assignment]
        return self.embedding.weight[: self.kinds].tanh().mean(0) - first

    def _ahead(self, streams: Streams) -> Tensor:
        """TE of the estimated next arrival of each state, [S, time]."""
        owner = np.repeat(np.arange(len(streams)), streams.lengths + 1)
        known = np.arange(len(owner)) - streams.offsets[owner] - owner
        padded = np.append(streams.time, 0.0)
        last, began = padded[streams.offsets[owner] + known - 1], padded[streams.offsets[owner]]
        gap = np.where(known > 1, (last - began) / np.maximum(known - 1, 1), 1.0)
        return self.clock(torch.from_numpy(np.where(known > 0, last, 0.0) + gap))


def _state(streams: Streams, owner: np.ndarray, known: np.ndarray) -> Tensor:
    """Number of the state of a sequence that knows so many events: sequence i has one more than it has events."""
    return torch.from_numpy(streams.offsets[owner] + owner + known)


def _so_far(streams: Streams, state: Tensor) -> Tensor:
    """Mean of the layer's states over the known events of each state, zeros where none is; [S, hidden]."""
    with torch.no_grad():
        rows = state.double()
        total = torch.cat([rows.new_zeros(1, rows.shape[1]), rows.cumsum(0)])
        owner = np.repeat(np.arange(len(streams)), streams.lengths + 1)
        place = np.arange(len(owner)) - owner  # events up to this state, counted over all sequences
        first = streams.offsets[owner]
        known = torch.from_numpy(place - first).unsqueeze(1)
        return ((total[place] - total[first]) / known.clamp_min(1)).to(state.dtype)
