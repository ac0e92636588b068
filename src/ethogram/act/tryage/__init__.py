"""Sends each prompt to the model of a library that will do best on it, as far as the wishes of its user allow
("[Flag: smallest model]"), and shows what a smaller or newer model would cost in quality.

    train       theta = argmin  mean_{z, i known} ( R_theta(z)_i - L(z, M_i) )^2  [ + ranking * pairs of models ]
    decide      M*(z) = argmin_i  R_theta(z)_i + sum_j lambda_j C_j(M_i)       over the models that keep all constraints
    front       the same for a row of lambdas: mean predicted loss against mean cost

R reads the prompt z and predicts the loss L of each model M_i on it; C_j in [0, 1] is what model i costs wish j (see
`flags`); lambda_j is in units of the loss. Seen as one step of Q-learning: state z, action i, value -L.

What it learns from is a log: an event is one prompt (`text`, named by `user`) put to one model (`item`) with its loss
(`value`); the items table is the library, with a column per wish (size, released, latency, price, security, verbosity,
readability) and `card`, what a model says of itself. `ethogram.lm.trial` makes such a log from language models. Losses
of models with different tokenizers compare as bits per byte, not per token.

Deviations: the router is linear on letter groups, a network on sentence vectors, or a small byte transformer, not a
BERT; a model that was not asked a prompt is left out of the sum; the experts stay as they are (no joint training).

Hari, Thomson: Tryage: Real-time, intelligent Routing of User Prompts to Large Language Models (2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ethogram.act.tryage import flags as wishes
from ethogram.act.tryage.readers import READERS, Reader, Setting
from ethogram.errors import NotFitted, OptionError, RolesError
from ethogram.evaluate.regret import regret
from ethogram.numeric.pareto import front
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Log, State, Table, Watch


class Fitted(NamedTuple):
    """The library (first column `item`), the reader, how it was fitted, and the model that is best on average."""

    library: pa.Table
    reader: Reader
    seed: int
    single: int


@system(
    "tryage",
    paper="Tryage: Real-time, intelligent Routing of User Prompts to Large Language Models",
    year=2023,
    area="act",
    verbs=("route",),
)
@dataclass(kw_only=True)
class Tryage:
    """See the module."""

    reader: Literal["ngrams", "vectors", "transformer", "mean", "cards", "asked"] = "ngrams"
    "ngrams, vectors, transformer learn; mean, cards (nearest model card) and asked (a language model chooses) do not."
    weight: float = 0.3
    "Lambda of a wish that names none: the loss that its whole range is worth."
    letters: int = 512
    "Letters of a prompt that are read."
    ridge: float = searched(0.1, 0.001, 10.0, log=True)
    "ngrams: penalty of the weights."
    buckets: int = 32768
    "ngrams: places that letter groups are hashed into."
    encoder: Literal["minilm", "hash"] = "minilm"
    "vectors and cards: sentence encoder."
    width: int = 64
    "vectors and transformer: width of the layers."
    epochs: int = 20
    "vectors and transformer: passes over the prompts."
    batch: int = 32
    "vectors and transformer: prompts in a step."
    lr: float = searched(0.002, 0.0001, 0.01, log=True)
    "vectors and transformer: learning rate."
    decay: float = 0.01
    "vectors and transformer: weight decay."
    ranking: float = 0.0
    "vectors and transformer: share of the pairwise ranking term."
    lm: Any = "local"
    "asked: the model that chooses, an LM or where to connect to one."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn to predict losses; see `Routes.fit`. `valid` is not used.

        Raises
        ------
        RolesError
            The log lacks models (`item`), losses (`value`) or prompts (`text`).
        OptionError
            Fewer than two models, a loss that is no number, a model without any loss.
        """
        if self.letters < 4 or self.buckets < 1 or not self.ridge > 0 or self.weight < 0:
            raise OptionError("tryage: letters is at least 4, buckets at least 1, ridge above 0, weight not below 0.")
        prompts, losses, library = matrix(train)
        reader: Reader = READERS[self.reader]()
        reader.fit(prompts, losses, self._setting(library, seed, watch))
        self.fitted = Fitted(library, reader, seed, int(np.nanargmin(np.nanmean(losses, 0))))
        return self

    def route(self, prompts: Sequence[str], *, flags: Sequence[str] = ()) -> Table:
        """The library ranked for each prompt; see `Routes.route`.

        Raises
        ------
        OptionError
            A flag that is not known, or about a column that the library lacks; constraints that no model keeps.
        """
        if isinstance(prompts, str):
            raise OptionError("route takes a list of prompts; one prompt is [prompt].")
        plain = [wishes.read(p) for p in prompts]
        predicted = self.predict([text for text, _ in plain])
        models = self.models
        rows: dict[str, list[Any]] = {
            n: [] for n in ("question", "model", "rank", "predicted", "penalty", "score", "why")
        }
        for i, (_, own) in enumerate(plain):
            penalty, open_, parts = self._wished([*flags, *own])
            score = predicted[i] + penalty
            order = np.lexsort((np.arange(len(models)), predicted[i], score, ~open_))
            for rank, k in enumerate(order, 1):
                rows["question"].append(i)
                rows["model"].append(models[k])
                rows["rank"].append(rank if open_[k] else None)
                rows["predicted"].append(float(predicted[i, k]))
                rows["penalty"].append(float(penalty[k]))
                rows["score"].append(float(score[k]))
                rows["why"].append(parts[k])
        kinds = {"question": pa.int64(), "model": pa.string(), "rank": pa.int64(), "why": pa.string()}
        return pa.table({n: pa.array(v, kinds.get(n, pa.float64())) for n, v in rows.items()})

    def predict(self, prompts: Sequence[str]) -> np.ndarray:
        """R(z): the loss of each model on each prompt, float64[n, K], in the order of `models`; flags are not read."""
        made = self._made
        if not len(prompts):
            return np.empty((0, len(self.models)))
        return made.reader.predict(list(prompts), self._setting(made.library, made.seed))

    def front(self, prompts: Sequence[str], flag: str, lambdas: Sequence[float] | None = None) -> Table:
        """What a wish costs: one row per lambda (default 0 and 12 from 0.01 to 10 times the spread of the losses).

        Columns `weight`, `loss` (mean predicted), `cost` (mean C), `model` (most often chosen), `efficient` (no other
        row is better in both).
        """
        wish = wishes.parse(flag, self.weight)
        if not isinstance(wish, wishes.Wish):
            raise OptionError(f"a front needs a wish such as 'smallest model'; '{flag}' is a constraint.")
        predicted, cost = self.predict([wishes.read(p)[0] for p in prompts]), wishes.costs(self._made.library, wish)
        if not len(predicted):
            raise OptionError("a front needs at least one prompt.")
        if lambdas is None:
            spread = max(float((predicted.max(1) - predicted.min(1)).mean()), 1e-6)
            lambdas = [0.0, *(spread * np.geomspace(0.01, 10, 12)).tolist()]
        rows = []
        for weight in lambdas:
            chosen = np.argmin(predicted + weight * cost, 1)
            taken = predicted[np.arange(len(chosen)), chosen]
            often = self.models[int(np.bincount(chosen, minlength=len(self.models)).argmax())]
            rows.append((float(weight), float(taken.mean()), float(cost[chosen].mean()), often))
        best = front(np.array([(r[1], r[2]) for r in rows]))
        columns = [list(c) for c in zip(*rows, strict=True)]
        return pa.table(dict(zip(("weight", "loss", "cost", "model", "efficient"), [*columns, best], strict=True)))

    def judge(self, log: Log, *, flags: Sequence[str] = (), tolerance: float = 0.0) -> Table:
        """What routing is worth on prompts whose losses are known: one row per way to choose.

        Columns `way` (routed, always MODEL, chance, oracle), `top1` (share of prompts whose loss is within `tolerance`
        of the least), `loss`, `low`, `high` (its interval), `regret`, `closed` (share of the way from the model that
        was best in training to the oracle), `prompts`. Prompts that not every model was asked are left out.

        Raises
        ------
        OptionError
            The log's models are others, or no prompt was put to all.
        """
        prompts, losses, library = matrix(log)
        names = [str(v) for v in library.column(0).to_pylist()]
        if sorted(names) != sorted(self.models):
            raise OptionError(f"the log is about {', '.join(names)}; the router knows {', '.join(self.models)}.")
        losses = losses[:, [names.index(m) for m in self.models]]
        whole = np.flatnonzero(~np.isnan(losses).any(1))
        if not len(whole):
            raise OptionError("no prompt of the log was put to every model, so that regret is not known.")
        losses, single = losses[whole], self._made.single
        routed = self.route([prompts[i] for i in whole], flags=flags)
        first = routed.filter(pa.compute.equal(routed.column("rank"), 1)).column("model").to_pylist()
        ways = {
            "routed": np.array([self.models.index(m) for m in first]),
            f"always {self.models[single]}": np.full(len(whole), single),
            "chance": np.random.default_rng(0).integers(0, losses.shape[1], len(whole)),
            "oracle": losses.argmin(1),
        }
        rows = []
        for way, chosen in ways.items():
            found = regret(losses, chosen, single, tolerance=tolerance)
            rows.append((way, found.top1.value, *found.loss, found.regret.value, found.closed.value, len(whole)))
        named = ("way", "top1", "loss", "low", "high", "regret", "closed", "prompts")
        return pa.table(dict(zip(named, map(list, zip(*rows, strict=True)), strict=True)))

    @property
    def models(self) -> list[str]:
        """The models of the library."""
        return [str(v) for v in self._made.library.column(0).to_pylist()]

    def state(self) -> State:
        return State(
            self._made.reader.arrays(),
            {"library": self._made.library},
            {"seed": self._made.seed, "single": self._made.single},
        )

    def restore(self, state: State) -> Self:
        library, seed = state.tables["library"], int(state.json["seed"])
        reader: Reader = READERS[self.reader]()
        reader.restore(state.arrays, self._setting(library, seed))
        self.fitted = Fitted(library, reader, seed, int(state.json["single"]))
        return self

    @property
    def _made(self) -> Fitted:
        made = getattr(self, "fitted", None)
        if made is None:
            raise NotFitted("tryage: asked before fit; call fit(log), or load a saved system.")
        return made

    def _setting(self, library: pa.Table, seed: int, watch: Watch | None = None) -> Setting:
        models = tuple(str(v) for v in library.column(0).to_pylist())
        cards = library.column("card").to_pylist() if "card" in library.column_names else [None] * len(models)
        return Setting(models, tuple(str(c or "") for c in cards), self, seed, watch)

    def _wished(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Penalties float64[K], which models keep the constraints bool[K], and both in words."""
        library = self._made.library
        asked, constraints = wishes.settle(texts, self.weight)
        parts = {w.text: w.weight * wishes.costs(library, w) for w in asked}
        kept = {str(c): wishes.keeps(library, c) for c in constraints}
        count = library.num_rows
        open_ = np.logical_and.reduce([np.ones(count, bool), *kept.values()])
        if not open_.any():
            raise OptionError(f"no model of the library keeps {' and '.join(kept)}.")
        words = []
        for k in range(count):
            broken = [f"removed: not {name}" for name, keeps in kept.items() if not keeps[k]]
            words.append("; ".join(broken) or wishes.told({n: float(p[k]) for n, p in parts.items()}))
        return np.sum([np.zeros(count), *parts.values()], axis=0), open_, words


def matrix(log: Log) -> tuple[list[str], np.ndarray, pa.Table]:
    """Prompts, losses float64[n, K] (NaN where a model was not asked, the mean where it was asked twice), and library.

    Prompts in the order of their names, models in that of the library; flags are taken out of the prompts.

    Raises
    ------
    RolesError, OptionError
        As `Tryage.fit`.
    """
    table = log.table()
    lacking = [r for r in ("user", "item", "value", "text") if r not in table.column_names]
    if lacking:
        raise RolesError(
            f"the log has no role '{lacking[0]}': a routing log holds user (which prompt), item (the model), value "
            "(its loss) and text (the prompt)."
        )
    told = [str(v) for v in table.column("item").to_pylist()]
    library = log.items
    if library is None:
        library = pa.table({"item": sorted(set(told))})
    models = [str(v) for v in library.column(0).to_pylist()]
    strange = sorted(set(told) - set(models))
    if strange:
        raise OptionError(f"model '{strange[0]}' stands in the log but not in the items table.")
    if len(models) < 2:
        raise OptionError(f"a library holds two models or more; this one holds {', '.join(models) or 'none'}.")
    values = np.array([np.nan if v is None else float(v) for v in table.column("value").to_pylist()])
    if not np.isfinite(values).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        raise OptionError(
            f"the loss of prompt '{table.column('user')[at]}' under model '{told[at]}' is no finite number."
        )
    users = np.array([str(v) for v in table.column("user").to_pylist()], object)
    names, row = np.unique(users, return_inverse=True)
    column = np.array([models.index(m) for m in told])
    sums, counts = np.zeros((len(names), len(models))), np.zeros((len(names), len(models)))
    np.add.at(sums, (row, column), values)
    np.add.at(counts, (row, column), 1)
    idle = np.flatnonzero(counts.sum(0) == 0)
    if len(idle):
        raise OptionError(f"model '{models[idle[0]]}' of the library was asked nothing; leave it out or ask it.")
    with np.errstate(invalid="ignore"):
        losses = sums / counts
    texts: dict[str, str] = {}
    for name, text in zip(users.tolist(), table.column("text").to_pylist(), strict=True):
        texts.setdefault(name, wishes.read(str(text or ""))[0])
    return [texts[n] for n in names.tolist()], losses, library
