"""A fitted OneRec: how words, writer and judge are made from a log, and what is written for a history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories
from ethogram.nn.beam import Lists, write
from ethogram.nn.encdec import Cached, EncoderDecoder, Shape
from ethogram.nn.saved import arrays, restore
from ethogram.nn.train import train
from ethogram.numeric.fitted_verbs import over_candidates
from ethogram.numeric.known import Known
from ethogram.numeric.neighbours import transitions
from ethogram.numeric.residual import ResidualTokenizer, Usage
from ethogram.numeric.similar import cosines, similar
from ethogram.numeric.spectral import spectral
from ethogram.numeric.trie import Trie
from ethogram.recommend.onerec.align import align, log_likelihood
from ethogram.recommend.onerec.past import Past, Shown
from ethogram.recommend.onerec.reward import Reward, learn
from ethogram.verbs import Log, State, Table, Watch

STATES = 2**14
"""Positions decoded at once where every item is judged."""
BLOCK = 64
"""Questions answered at once."""
MEMORY = 256 * 2**20
LEAST = np.float32(-1e3)
"""Log probability of what training never met."""


@dataclass(eq=False)
class Fitted:
    """See the module. `judge` is None where no worth was logged; then nothing was aligned."""

    known: Known
    words: ResidualTokenizer
    trie: Trie
    model: EncoderDecoder
    judge: Reward | None
    options: Any
    told: dict[str, Any]

    @property
    def usage(self) -> Usage:
        """Of the words."""
        return self.words.usage()

    @classmethod
    def fit(cls, o: Any, log: Log, valid: Log | None, *, seed: int, watch: Watch | None) -> Fitted:
        known, done = Known.of(log), log.histories()
        shown = Shown.of(done, known.rows, o.session, o.pause, seed)
        if not len(shown):
            raise OptionError("onerec: the training log holds no session to learn from.")
        kernel = transitions(done, np.maximum(known.counts, 1.0), gap=o.session, reverse=1.0, limit=MEMORY)
        vectors = spectral(kernel, o.dim, seed=seed)[known.counts > 0]
        words = ResidualTokenizer.fit(vectors, o.levels, o.letters, balanced=o.balanced, seed=seed)
        made = cls.of(o, known, words, None, seed)
        chosen = good(shown, o.good)
        held = None
        if valid is not None and len(valid.sequences()):
            asked = valid.questions("next")
            held = asked.histories, known.rows_in(asked.candidates.vocabulary)[asked.candidates.items[
                asked.candidates.flat(len(asked))[1][:-1]]]  # fmt: skip
        made.told["trained"] = asdict(made._write(shown, chosen, held, seed, watch))
        if o.rounds:
            made.align(shown, vectors, seed=seed)
        return made

    @classmethod
    def of(cls, o: Any, known: Known, words: ResidualTokenizer, judge: Reward | None, seed: int) -> Fitted:
        k = words.centres.shape[1]
        counts = known.counts[known.counts > 0]
        shape = Shape(
            k, o.levels, o.session, o.length, o.dim, o.heads, o.encoder, o.decoder, o.experts, o.active, o.dropout
        )
        return cls(known, words, Trie.of(words.codes, k, counts), EncoderDecoder(shape, seed=seed).eval(), judge, o, {})

    def _write(self, shown: Shown, chosen: np.ndarray, held: Any, seed: int, watch: Watch | None) -> Any:
        """Next-letter training."""
        o, model = self.options, self.model

        def batches(rng: np.random.Generator) -> Iterator[np.ndarray]:
            yield from np.array_split(rng.permutation(chosen), -(-len(chosen) // o.batch))

        def judged() -> float:
            histories, wanted = held
            met = np.flatnonzero(wanted >= 0)[: o.questions]
            past, found = Past.of(histories[met], self.known.rows_in(histories.vocabularies["item"]), o.length), []
            for at in range(0, len(met), 256):
                part = slice(at, at + 256)
                found.append(log_likelihood(model, self.words.codes, past[part], wanted[met[part], None].astype(int)))
            return float(torch.cat(found).mean()) if found else float("nan")

        return train(
            model, batches, lambda part: self._next_letter(shown, part),
            optimisers=[torch.optim.Adam(model.parameters(), o.lr, fused=True)], epochs=o.epochs, seed=seed,
            valid=None if held is None else judged, patience=o.patience, clip=1.0, watch=watch,
        )  # fmt: skip

    def _next_letter(self, shown: Shown, part: np.ndarray) -> Tensor:
        """L_NTP, a mean over letters, and the mixture's balance."""
        lists = shown.items[part]
        said = log_likelihood(self.model, self.words.codes, shown.past[part], lists)
        letters = int((lists >= 0).sum()) * self.options.levels
        return -said.sum() / max(letters, 1) + self.options.balance * self.model.balance()

    def align(self, shown: Shown, vectors: np.ndarray, *, seed: int) -> None:
        """Learn the judge, unless there is one, and align the writer to it; nothing, where no worth was logged.

        Parameters
        ----------
        shown : the lists of the training log. vectors : float32[M, dim], where the judge's items begin.
        """
        o, chosen = self.options, good(shown, self.options.good)
        if self.judge is None:
            how = {"length": o.length, "epochs": o.judge_epochs, "lr": o.judge_lr, "seed": seed}
            self.judge = learn(vectors, shown, **how)
        if self.judge is None:
            return

        def ntp(rng: np.random.Generator) -> Tensor:
            return self._next_letter(shown, rng.choice(chosen, min(o.batch, len(chosen)), replace=False))

        def draw(past: Past, number: int) -> np.ndarray:
            generator = torch.Generator().manual_seed(number)
            parts = np.array_split(np.arange(len(past)), -(-len(past) // 64))
            made = [self.lists(past[p], width=o.lists, generator=generator, heat=o.heat).things for p in parts]
            return np.concatenate(made)

        told = align(
            self.model, self.judge, self.words.codes, shown.past, ntp, draw, rounds=o.rounds, share=o.share,
            lists=o.lists, steps=o.steps, weight=o.dpo_weight, beta=o.beta, lr=o.align_lr, tower=o.reward,
            pairs=o.pairs, seed=seed,
        )  # fmt: skip
        self.told["rounds"] = [asdict(r) for r in told]

    # -- answers ----------------------------------------------------------------------------------------------------

    def past(self, histories: Histories) -> Past:
        """The known rows of what is asked about."""
        return Past.of(histories, self.known.rows_in(histories.vocabularies["item"]), self.options.length)

    def lists(self, past: Past, *, width: int, offered: np.ndarray | None = None, things: int | None = None,
              generator: torch.Generator | None = None, heat: float = 1.0) -> Lists:  # fmt: skip
        """`width` lists for each past, best first, of offered items (bool[n, M], all unless given); see `nn.beam`."""
        if offered is None:
            offered = np.ones((len(past), self.known.trained), bool)
        with torch.no_grad():
            memory = self.model.eval().encode(*past.read(self.words.codes, self.options.length))
            step = Cached(self.model, memory, width).next
        return write(step, self.trie, self.trie.left(offered), width=width, things=things or self.options.session,
                     offered=offered, generator=generator, heat=heat)  # fmt: skip

    @torch.no_grad()
    def next_item(self, past: Past) -> np.ndarray:
        """ln P(first item = i | H) of every trained item, float32[n, M]: exact, by all words that exist."""
        codes, levels = self.words.codes.astype(np.int64), self.options.levels
        stems, stem = np.unique(codes[:, :-1], axis=0, return_inverse=True)
        weights = self.known.counts[self.known.counts > 0].astype(np.float64)
        share = np.log(weights / np.bincount(self.trie.path[:, -1], weights)[self.trie.path[:, -1]]).astype(np.float32)
        # a node of each stem on every level: the root, then those of its letters
        node = np.zeros((len(stems), levels), np.int64)
        for level in range(1, levels):
            node[:, level] = self.trie.child[node[:, level - 1], stems[:, level - 1]]
        out, block = np.empty((len(past), len(codes)), np.float32), max(1, STATES // len(stems))
        letters = torch.from_numpy(stems)
        for at in range(0, len(past), block):
            part = past[slice(at, at + block)]
            memory = self.model.eval().encode(*part.read(self.words.codes, self.options.length))
            step, total = Cached(self.model, memory, len(stems)), torch.zeros(len(part), len(codes))
            for level in range(levels):
                said = step.next(None if not level else letters[:, level - 1].expand(len(part), -1))
                there = torch.from_numpy(self.trie.child[node[:, level]] >= 0)
                logp = torch.log_softmax(said.masked_fill(~there, -torch.inf), 2)
                total += logp[:, torch.from_numpy(stem), torch.from_numpy(codes[:, level])]
            out[at : at + block] = total.numpy() + share
        return out

    def score(self, histories: Histories, candidates: Candidates) -> np.ndarray:
        """ln P(the list begins with the item), float32; `LEAST` for items that training never met."""
        past, own = self.past(histories), self.known.rows_in(candidates.vocabulary)

        def dense(part: slice) -> np.ndarray:
            return self.next_item(past[part])

        return over_candidates(
            dense, own, candidates, len(histories), block=BLOCK, missing=float(LEAST), kind=np.float32
        )

    def recommend(
        self, histories: Histories, k: int, *, exclude_seen: bool | None, among: Candidates | None
    ) -> Table:  # fmt: skip
        """The list written for each question, then further items, see `ethogram.recommend.onerec`.

        A further column `listed` says whether an item is part of the list.
        """
        from ethogram.recommend.onerec.answers import recommend

        return recommend(self, histories, k, exclude_seen=exclude_seen, among=among)

    def explain(self, histories: Histories, candidates: Candidates, k: int) -> Table:
        """The past events without which the score would fall (or rise) most, of the last `length`."""
        from ethogram.recommend.onerec.answers import explain

        return explain(self, histories, candidates, k)

    def similar_items(self, items: Sequence[Any], k: int, among: Candidates | None) -> Table:
        """Items whose words stand for the nearest vectors, by cosine: the more letters two share, the more alike."""
        return similar(self.known, cosines(self.words.decode(self.words.codes)), items, k, among)

    # -- what is kept -----------------------------------------------------------------------------------------------

    def state(self) -> State:
        held = {**arrays(self.model), "centres": self.words.centres, "codes": self.words.codes}
        if self.judge is not None:
            held |= {f"judge.{n}": a for n, a in arrays(self.judge).items()}
        return State(held, {}, {"told": self.told}, {"known": self.known.state()})

    @classmethod
    def restore(cls, o: Any, state: State) -> Fitted:
        known = Known.restore(state.parts["known"])
        words = ResidualTokenizer(np.asarray(state.arrays["centres"]), np.asarray(state.arrays["codes"]))
        made = cls.of(o, known, words, None, 0)
        restore(made.model, state.arrays)
        judge = {n.removeprefix("judge."): a for n, a in state.arrays.items() if n.startswith("judge.")}
        if judge:
            made.judge = Reward(np.asarray(judge["model.items.weight"]))
            restore(made.judge, judge)
        made.told.update(state.json["told"])
        return made


def good(shown: Shown, share: float) -> np.ndarray:
    """Numbers of the lists of largest worth, so many of all; all where no worth was logged."""
    worth = np.nan_to_num(shown.value).sum(1)
    if np.isnan(shown.value).all() or share >= 1:
        return np.arange(len(shown))
    return np.sort(np.argsort(-worth, kind="stable")[: max(1, round(share * len(shown)))])
