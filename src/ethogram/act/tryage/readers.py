"""What reads a prompt and predicts the loss of each model on it: linear on letter groups, a small network on sentence
vectors, a small transformer on bytes; and three that learn nothing of prompts, for comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ethogram.errors import MissingExtra, OptionError

PATCH = 4
MOST_KERNEL = 4096
"""Prompts up to which their kernel matrix (n x n) is held."""


@dataclass(frozen=True)
class Setting:
    """What readers are told: options of the system, and what is known of the models."""

    models: tuple[str, ...]
    cards: tuple[str, ...]
    options: Any
    seed: int = 0
    watch: Any = None


class Reader(Protocol):
    """`losses` are float64[n, K], NaN where a model was not asked; predictions have the same shape, without NaN."""

    def fit(self, prompts: Sequence[str], losses: np.ndarray, setting: Setting) -> None: ...
    def predict(self, prompts: Sequence[str], setting: Setting) -> np.ndarray: ...
    def arrays(self) -> dict[str, np.ndarray]: ...
    def restore(self, arrays: Mapping[str, np.ndarray], setting: Setting) -> None: ...


@dataclass
class Mean:
    """The mean loss of each model, whatever the prompt: always the model that is best on average."""

    means: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def fit(self, prompts: Sequence[str], losses: np.ndarray, setting: Setting) -> None:
        self.means = np.nanmean(losses, 0)

    def predict(self, prompts: Sequence[str], setting: Setting) -> np.ndarray:
        return np.tile(self.means, (len(prompts), 1))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"means": self.means}

    def restore(self, arrays: Mapping[str, np.ndarray], setting: Setting) -> None:
        self.means = np.asarray(arrays["means"])


class Ngrams:
    """Ridge regression per model on hashed groups of 1 to 4 letters, rows of length 1."""

    def _features(self, prompts: Sequence[str], setting: Setting) -> Any:
        from sklearn.feature_extraction.text import HashingVectorizer

        made = HashingVectorizer(
            analyzer="char", ngram_range=(1, 4), n_features=setting.options.buckets, alternate_sign=False, norm="l2",
            lowercase=False, dtype=np.float64,
        )  # fmt: skip
        found = made.transform([p[: setting.options.letters] or " " for p in prompts])
        found.data **= 0.5  # a common group must not drown the rare ones
        norm = np.sqrt(np.asarray(found.multiply(found).sum(1)).ravel())
        found.data /= np.repeat(np.maximum(norm, 1e-12), np.diff(found.indptr))
        return found

    def fit(self, prompts: Sequence[str], losses: np.ndarray, setting: Setting) -> None:
        x = self._features(prompts, setting)
        self.weights = np.zeros((x.shape[1], losses.shape[1]))
        self.bias = np.zeros(losses.shape[1])
        known = ~np.isnan(losses)
        # models that were asked the same prompts are solved together
        for pattern in np.unique(known, axis=1).T:
            same = np.flatnonzero((known == pattern[:, None]).all(0))
            rows = np.flatnonzero(pattern)
            self.weights[:, same], self.bias[same] = _ridge(x[rows], losses[rows][:, same], setting.options.ridge)

    def predict(self, prompts: Sequence[str], setting: Setting) -> np.ndarray:
        return np.asarray(self._features(prompts, setting) @ self.weights + self.bias)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"weights": self.weights, "bias": self.bias}

    def restore(self, arrays: Mapping[str, np.ndarray], setting: Setting) -> None:
        self.weights, self.bias = np.asarray(arrays["weights"]), np.asarray(arrays["bias"])


def _ridge(x: Any, y: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """argmin sum (y - x w - b)^2 + penalty |w|^2, b not penalised: through the kernel of the rows, or where those are
    many by conjugate gradients."""
    n = x.shape[0]
    if n > MOST_KERNEL:
        from sklearn.linear_model import Ridge

        made = Ridge(alpha=penalty, solver="sparse_cg", tol=1e-8).fit(x, y)
        return np.atleast_2d(made.coef_).T, np.atleast_1d(made.intercept_)
    kernel = np.asarray((x @ x.T).todense())
    # with the rows centred, the bias drops out
    row = kernel.mean(0)
    centred = kernel - row - row[:, None] + kernel.mean()
    dual = np.linalg.solve(centred + penalty * np.eye(n), y - y.mean(0))
    dual -= dual.mean(0)
    weights = np.asarray(x.T @ dual)
    return weights, y.mean(0) - np.asarray(x.mean(0)).ravel() @ weights


class Network:
    """What is trained in torch; `_inputs` and `_network` are the reader's own."""

    def _inputs(self, prompts: Sequence[str], setting: Setting) -> np.ndarray:
        raise NotImplementedError

    def _network(self, setting: Setting) -> Any:
        raise NotImplementedError

    def fit(self, prompts: Sequence[str], losses: np.ndarray, setting: Setting) -> None:
        try:
            import torch
        except ImportError:
            raise MissingExtra("this reader needs the extra: pip install 'ethogram[nn]'") from None

        from ethogram.nn.train import train

        options = setting.options
        known = ~np.isnan(losses)
        self.mean = np.nanmean(losses, 0)
        self.scale = float(max(np.sqrt(np.nanmean((losses - self.mean) ** 2)), 1e-9))
        x = torch.from_numpy(self._inputs(prompts, setting))
        y = torch.from_numpy(np.where(known, (losses - self.mean) / self.scale, 0.0).astype(np.float32))
        there = torch.from_numpy(known)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            self.network = self._network(setting)

        def batches(rng: np.random.Generator) -> Any:
            order = rng.permutation(len(prompts))
            return [torch.from_numpy(order[i : i + options.batch]) for i in range(0, len(order), options.batch)]

        def loss(rows: Any) -> Any:
            return objective(self.network(x[rows]), y[rows], there[rows], options.ranking)

        made = torch.optim.AdamW(self.network.parameters(), lr=options.lr, weight_decay=options.decay)
        train(self.network, batches, loss, optimisers=[made], epochs=options.epochs, seed=setting.seed, clip=1.0,
              watch=setting.watch)  # fmt: skip

    def predict(self, prompts: Sequence[str], setting: Setting) -> np.ndarray:
        import torch

        x = self._inputs(prompts, setting)
        with torch.inference_mode():
            # one row at a time: what a prompt is told must not hang on its neighbours
            found = [self.network(torch.from_numpy(x[i : i + 1])).numpy() for i in range(len(x))]
        return np.concatenate(found).astype(np.float64) * self.scale + self.mean if found else np.empty((0, 0))

    def arrays(self) -> dict[str, np.ndarray]:
        found = {f"network.{n}": t.numpy() for n, t in self.network.state_dict().items()}
        return {**found, "mean": self.mean, "scale": np.array([self.scale])}

    def restore(self, arrays: Mapping[str, np.ndarray], setting: Setting) -> None:
        import torch

        self.mean, self.scale = np.asarray(arrays["mean"]), float(arrays["scale"][0])
        with torch.random.fork_rng(devices=[]):
            self.network = self._network(setting)
        own = {n.removeprefix("network."): torch.from_numpy(np.array(v)) for n, v in arrays.items() if "network." in n}
        self.network.load_state_dict(own)
        self.network.eval()


def objective(said: Any, true: Any, there: Any, ranking: float) -> Any:
    """Mean squared error over the known losses, and `ranking` times the logistic loss of pairs of models: of each two
    of one prompt, the one with the smaller loss should be predicted smaller. Tensors [n, K]."""
    import torch

    error = ((said - true) ** 2)[there].mean()
    if ranking <= 0:
        return error
    both = there[:, :, None] & there[:, None, :] & (true[:, :, None] < true[:, None, :])
    margin = said[:, None, :] - said[:, :, None]
    return error + ranking * torch.nn.functional.softplus(-margin)[both].mean() if both.any() else error


class Vectors(Network):
    """Two layers on sentence vectors."""

    def _inputs(self, prompts: Sequence[str], setting: Setting) -> np.ndarray:
        from ethogram.lm.embed import embed

        return embed([p[: setting.options.letters] for p in prompts], setting.options.encoder)

    def _network(self, setting: Setting) -> Any:
        from torch import nn

        from ethogram.lm.embed import embed

        inputs = embed([""], setting.options.encoder).shape[1]
        width = setting.options.width
        return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, len(setting.models)))


class Transformer(Network):
    """Two layers of attention over patches of four bytes, and their mean."""

    def _inputs(self, prompts: Sequence[str], setting: Setting) -> np.ndarray:
        size = setting.options.letters // PATCH * PATCH
        found = np.zeros((len(prompts), size), np.int64)
        for i, prompt in enumerate(prompts):
            raw = np.frombuffer(prompt.encode("utf-8", "replace")[:size], np.uint8)
            found[i, : len(raw)] = raw.astype(np.int64) + 1
        return found

    def _network(self, setting: Setting) -> Any:
        from ethogram.act.tryage.network import PatchTransformer

        options = setting.options
        return PatchTransformer(options.width, options.letters // PATCH, len(setting.models), patch=PATCH)


class Cards:
    """The model whose card is most like the prompt: 1 - cosine stands where a loss would. Learns nothing."""

    def fit(self, prompts: Sequence[str], losses: np.ndarray, setting: Setting) -> None:
        if not any(setting.cards):
            raise OptionError(
                "reader 'cards' needs a column 'card' in the items table: what each model says of itself."
            )

    def predict(self, prompts: Sequence[str], setting: Setting) -> np.ndarray:
        from ethogram.lm.embed import embed

        asked = embed([p[: setting.options.letters] for p in prompts], setting.options.encoder)
        return np.asarray(1.0 - asked @ embed(list(setting.cards), setting.options.encoder).T, np.float64)

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray], setting: Setting) -> None:
        pass


class Asked(Cards):
    """A language model is asked which model to take: 1 - its probability stands where a loss would."""

    def predict(self, prompts: Sequence[str], setting: Setting) -> np.ndarray:
        import asyncio

        from ethogram.lm import LM
        from ethogram.lm.blocking import run

        lm = setting.options.lm
        lm = LM.connect(lm) if isinstance(lm, str) else lm
        cards = "\n".join(f"{m}: {c}" for m, c in zip(setting.models, setting.cards, strict=True))
        question = f"Models:\n{cards}\nWhich model suits the text best?"

        async def one(prompt: str) -> np.ndarray:
            text = prompt[: setting.options.letters] or " "
            found = await lm.choose(question, list(setting.models), data=[text], listed=False, purpose="tryage")
            return 1.0 - np.asarray(found.probabilities, np.float64)

        async def every() -> list[np.ndarray]:
            return list(await asyncio.gather(*map(one, prompts)))

        return np.stack(run(every())) if prompts else np.empty((0, len(setting.models)))


READERS: dict[str, type] = {
    "ngrams": Ngrams, "vectors": Vectors, "transformer": Transformer, "mean": Mean, "cards": Cards, "asked": Asked,
}  # fmt: skip
