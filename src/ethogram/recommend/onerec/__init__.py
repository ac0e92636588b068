"""Writes the next list as a whole: one model in the place of a retriever, a ranker and rules that mix their results.

    words      each item is `levels` letters: balanced residual k-means of what it goes with in the log
    writer     an encoder reads the past; a decoder writes the list's letters, its feed-forward layers sparse mixtures;
               L_NTP = -sum_i sum_l ln P(s_i^l | letters before, H) over good lists
    judge      R(u, S) learned from all lists and what they were worth (`onerec.reward`)
    alignment  rounds of lists that the writer draws and the judge ranks, learned by DPO beside L_NTP (`onerec.align`)
    serving    beam search along the trie of words that exist, so that every list holds existing items, none twice

`recommend` gives the best list of `session` items; ranks beyond it go by ln P(i is the first item | H), which is also
what `score` gives. Scores of a list add up: ln P of the list as far as that item.

Deviations: the item vectors are spectral, of the training log alone; a past item is read as the sum of its letters'
vectors, one position each, and [BOS] together with the last letter before it; a share `good` of the lists, by what was
logged as `value`, trains the writer; the judge has the towers swt and vtr only; lists for alignment are drawn, not
searched, for beams are too alike to be good and bad; things of one word are chosen by count.

Reference: J. Deng et al.: OneRec: Unifying Retrieve and Rank with Generative Recommender and Iterative Preference
Alignment. 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ethogram.errors import OptionError
from ethogram.numeric.fitted_verbs import Alike, Explained, FitsLater, Scored
from ethogram.options import searched
from ethogram.system import system

if TYPE_CHECKING:
    from ethogram.recommend.onerec.fitted import Fitted


@system(
    "onerec",
    paper="OneRec: Unifying Retrieve and Rank with Generative Recommender and Iterative Preference Alignment",
    year=2025,
    area="recommend",
    verbs=("score", "recommend", "explain", "similar_items"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class OneRec(FitsLater, Scored, Explained, Alike):
    """A list at once, by semantic words and alignment to what lists are worth."""

    session: int = 5
    "Items of a list."
    pause: float | None = 20.0
    "Minutes without an event after which a list ends; none makes every group of equal times a list."
    good: float = searched(0.5, 0.2, 1.0)
    "Share of the lists, those worth most, that the writer learns from."
    levels: int = 3
    "Letters of an item's word."
    letters: int = searched(32, among=(16, 32, 64, 128))
    "Letters of the alphabet on each level."
    balanced: bool = True
    "Letters stand for equally many items."
    length: int = searched(20, among=(10, 20, 50))
    "Past events that are read."
    dim: int = searched(64, among=(32, 64, 128))
    "Width of the vectors."
    heads: int = 2
    "Heads of attention; they divide `dim`."
    encoder: int = 1
    "Blocks of the encoder."
    decoder: int = 2
    "Blocks of the decoder."
    experts: int = 8
    "Experts of each feed-forward layer of the decoder; 1 is a plain layer that does the work of the active ones."
    active: int = 2
    "Experts that each position is sent to."
    balance: float = 0.01
    "Weight of the loss that keeps all experts in use."
    dropout: float = searched(0.1, 0.0, 0.5)
    "Share of inputs and branches that is dropped in training."
    lr: float = searched(2e-3, 3e-4, 1e-2, log=True)
    "Step size of Adam."
    batch: int = 128
    "Lists per step."
    epochs: int = 10
    "Passes over the good lists, at most."
    patience: int = 2
    "Epochs without a larger ln P of the validation's next items before training stops."
    questions: int = 2_048
    "Validation questions that decide when to stop."
    judge_epochs: int = 20
    "Passes of the judge over all lists."
    judge_lr: float = 3e-3
    "Step size of the judge."
    rounds: int = 3
    "Rounds of alignment; 0 leaves it out."
    share: float = 0.01
    "Share of the samples that each round writes lists for."
    lists: int = 32
    "Lists written for each."
    heat: float = 1.0
    "Temperature of the letters where lists are drawn."
    steps: int = 20
    "Steps of each round."
    dpo_weight: float = 1.0
    "Weight lambda of the preference loss beside the next-letter loss."
    beta: float = 0.1
    "How much a difference of log likelihoods counts."
    align_lr: float = 2e-4
    "Step size of alignment."
    reward: Literal["swt", "vtr"] = "swt"
    "The judge's tower that lists are ranked by."
    pairs: Literal["reward", "random"] = "reward"
    "Best against worst list; or two random ones, which is the control."
    beams: int = 8
    "Lists held at once in serving."

    def _fits(self) -> type[Fitted]:
        from ethogram.recommend.onerec.fitted import Fitted

        return Fitted

    def _check(self) -> None:
        for name in ("session", "length", "dim", "decoder", "lr", "batch", "epochs", "lists", "beams", "heat", "good"):
            if not getattr(self, name) > 0:
                raise OptionError(f"onerec: {name} = {getattr(self, name)}; give a number above 0.")
        if self.levels < 2 or self.letters < 2:
            raise OptionError(f"onerec: levels = {self.levels}, letters = {self.letters}; give 2 or more of each.")
        if self.rounds < 0 or not 0 <= self.share <= 1:
            raise OptionError(
                f"onerec: rounds = {self.rounds}, share = {self.share}; rounds from 0, a share in [0, 1]."
            )
