"""What the claims of message models are measured with: generated posts and videos, cut by time, and fitted arms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ethogram.claims import Estimate
from ethogram.evaluate.bootstrap import interval, sums
from ethogram.log.messages import Messages

OPTIONS = 25
"""Contents among which the hidden one is found."""
GAP = 5
FEW = 100
"""Posts of the third channel that adaptation sees."""


@dataclass
class Bench:
    """Data and arms, made when first asked; `quick` makes everything small."""

    quick: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        if self.quick:
            return {"posts": 160, "videos": 80, "test": 16, "choice": 6, "variants": 6, "asked": 0, "vectors": 60}
        return {
            "posts": 20_000, "videos": 2_500, "test": 1_000, "choice": 200, "variants": 250, "asked": 12,
            "vectors": 2_000,
        }  # fmt: skip

    @cached_property
    def posts(self) -> Any:
        from ethogram import data

        return data.find("posts")(items=self.sizes["posts"])

    @cached_property
    def cut(self) -> dict[str, Messages]:
        """Posts: the first 80% by time to learn from, the last 10% as test; nothing is chosen on what lies between."""
        return _cut("posts", self.sizes["posts"], self.sizes["test"])

    @cached_property
    def films(self) -> dict[str, Messages]:
        return _cut("videos", self.sizes["videos"], self.sizes["test"])

    def arm(self, name: str) -> Any:
        """A fitted arm, kept."""
        kept = self.__dict__.setdefault("_arms", {})
        if name not in kept:
            kept[name] = self._made(name)
        return kept[name]

    def _made(self, name: str) -> Any:
        from ethogram.system import system

        size: dict[str, Any] = {"size": "small", "epochs": 3}
        if self.quick:
            size = {"size": "tiny", "reading": 1, "epochs": 1, "encoder": "hash"}
        train = self.cut["train"].log() if not name.startswith("video") else self.films["train"].log()
        near = ("letter", "feed")
        if name == "tuned":
            return system("lcbm", **size).fit(train)
        if name == "untuned":
            return system("lcbm", **size, tuned=False, shots=4).fit(train)
        if name.startswith("heads"):
            _, head, sees = name.split()
            head = "ridge" if self.quick and sees != "all" else head
            return system("lcbm", reader="heads", head=head, sees=sees, encoder="hash").fit(train)
        if name == "sentence vectors":
            # 6 ms of CPU a text: the last posts before the test, not all
            read = self.cut["train"]
            last = read.take(range(max(len(read) - self.sizes["vectors"], 0), len(read)))
            return system("lcbm", reader="heads", encoder=size.get("encoder", "minilm")).fit(last.log())
        if name == "video":
            return system("lcbm", **{**size, "epochs": 1 if self.quick else 5}, reverse=0.4).fit(train)
        if name == "video content only":
            # as many reverse rows as the other arm learns: what differs is whether behaviour stands in them
            return system("lcbm", **{**size, "epochs": 1 if self.quick else 2}, reverse=0.8, behaviour=False).fit(train)
        if name == "two channels":
            part = _of(self.cut["train"], near)
            return system("lcbm", **{**size, "epochs": 1}).fit(part.log())
        few = self._few
        if name == "adapted":
            return self.arm("two channels").adapt(few.log(), epochs=1 if self.quick else 10, lr=0.0005)
        if name == "third alone":
            return system("lcbm", **{**size, "epochs": 1 if self.quick else 40}).fit(few.log())
        assert name == "prompted", name
        return system("lcbm", reader="prompted", shots=4).fit(train)

    @cached_property
    def _few(self) -> Messages:
        """The last posts of the third channel before the test begins."""
        third = _of(self.cut["train"], ("board",))
        return third.take(range(len(third) - min(FEW, len(third)), len(third)))

    def said(self, name: str, behaviour: str, part: Messages | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(true, predicted) of a behaviour of the test posts."""
        kept = self.__dict__.setdefault("_said", {})
        read = self.cut["test"] if part is None else part
        key = (name, len(read), read.item[0])
        if key not in kept:
            kept[key] = self.arm(name).anticipate(read.log()).to_pylist()
        place = {item: i for i, item in enumerate(read.item)}
        found = np.full(len(read), np.nan)
        for row in kept[key]:
            if row["behaviour"] == behaviour and row["scene"] is None:
                found[place[row["item"]]] = row["predicted"]
        return read.behaviour[behaviour], found


def board(bench: Bench) -> Messages:
    """Test posts of the third channel."""
    return _of(bench.cut["test"], ("board",))


def error_ratio(true: np.ndarray, one: np.ndarray, other: np.ndarray, unit: str = "posts") -> Estimate:
    """RMSE of one over RMSE of another on the same cases."""
    parts = np.stack([(true - one) ** 2, (true - other) ** 2], 1)

    def ratio(total: np.ndarray) -> np.ndarray:
        return np.sqrt(total[..., 0] / np.maximum(total[..., 1], 1e-12))

    found = interval(float(ratio(parts.sum(0))), ratio(sums(parts)))
    return Estimate(found.value, found.low, found.high, units=len(true), unit=unit)


def explained(true: np.ndarray, said: np.ndarray, other: np.ndarray | None = None, unit: str = "posts") -> Estimate:
    """R², or by how much it is above that of another prediction."""
    n = len(true)
    parts = np.stack([(true - said) ** 2, true**2, true, (true - (true if other is None else other)) ** 2], 1)

    def share(total: np.ndarray) -> np.ndarray:
        spread = np.maximum(total[..., 1] - total[..., 2] ** 2 / n, 1e-12)
        own = 1 - total[..., 0] / spread
        return np.asarray(own if other is None else own - (1 - total[..., 3] / spread))

    found = interval(float(share(parts.sum(0))), share(sums(parts)))
    return Estimate(found.value, found.low, found.high, units=n, unit=unit)


def mean_of(values: np.ndarray, unit: str = "posts") -> Estimate:
    values = np.asarray(values, np.float64)
    found = interval(float(values.mean()), sums(values[:, None])[:, 0] / len(values))
    return Estimate(found.value, found.low, found.high, units=len(values), unit=unit)


def windows(films: Messages, seed: int = 0) -> list[list[int]]:
    """Five scenes on end of each video."""
    rng = np.random.default_rng([seed, 31])
    firsts = [int(rng.integers(0, max(len(s) - GAP, 0) + 1)) for s in films.scenes]
    return [list(range(f, f + min(GAP, len(s)))) for f, s in zip(firsts, films.scenes, strict=True)]


def options(films: Messages, gap: list[list[int]], seed: int = 0) -> dict[Any, list[list[str]]]:
    """The true five scenes first, then five of each of 24 other videos, drawn at random."""
    rng = np.random.default_rng([seed, 32])
    made = {}
    for i, own in enumerate(gap):
        others = rng.permutation([k for k in range(len(films)) if k != i])[: OPTIONS - 1]
        cuts = [int(rng.integers(0, len(films.scenes[k]) - len(own) + 1)) for k in others]
        made[films.item[i]] = [
            [films.scenes[i][s] for s in own],
            *(films.scenes[k][c : c + len(own)] for k, c in zip(others, cuts, strict=True)),
        ]
    return made


def masked(films: Messages, which: list[list[int]]) -> Messages:
    """The videos without these replays."""
    replays = [r.copy() for r in films.replays]
    for own, scenes in zip(replays, which, strict=True):
        own[scenes] = np.nan
    return replace(films, replays=replays)


def _cut(name: str, items: int, test: int) -> dict[str, Messages]:
    from ethogram import data

    parts = data.load(name, items=items).split("temporal", valid=0.1, test=0.1)
    found = {}
    for part in ("train", "test"):
        read = Messages.of(getattr(parts, part))
        found[part] = read.take(np.argsort(read.time, kind="stable"))
    found["test"] = found["test"].take(range(min(test, len(found["test"]))))
    return found


def _of(messages: Messages, channels: tuple[str, ...]) -> Messages:
    return messages.take([i for i, c in enumerate(messages.channel) if c in channels])
