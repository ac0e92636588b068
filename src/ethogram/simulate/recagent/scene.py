"""Who and what a sandbox begins with: people with tastes and friends, a catalogue, and what was chosen before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ethogram.errors import OptionError, RolesError
from ethogram.numeric.graphs import Graph
from ethogram.simulate.recagent.taste import Choices, Taste
from ethogram.verbs import Log

KINDS = ("action", "comedy", "drama", "horror", "romance", "mystery", "war", "nature")


@dataclass(frozen=True)
class Scene:
    """See the module.

    Attributes
    ----------
    people : names. profiles : each person in words. titles, about : of the items; about may be "".
    kinds : names of categories. categories : bool[items, kinds]. taste : what each likes.
    past : choices before the sandbox begins. friends : ties both ways.
    """

    people: tuple[str, ...]
    profiles: tuple[str, ...]
    titles: tuple[str, ...]
    about: tuple[str, ...]
    kinds: tuple[str, ...]
    categories: np.ndarray
    taste: Taste
    past: Choices
    friends: Graph

    def words(self, item: int) -> str:
        """An item in words."""
        kinds = ", ".join(k for k, there in zip(self.kinds, self.categories[item], strict=True) if there)
        return f"{self.titles[item]} ({kinds})" if kinds else self.titles[item]

    def log(self, stars: float = 5.0) -> Log:
        """The past as a log of ratings, all of them `stars`; with a table of items (`title`, `genres`)."""
        import pyarrow as pa

        n = len(self.past.item)
        events = pa.table(
            {
                "user": [self.people[p] for p in self.past.person], "item": self.past.item.astype(np.int64),
                "order": np.arange(n), "value": np.full(n, stars),
            }
        )  # fmt: skip
        genres = [[k for k, there in zip(self.kinds, row, strict=True) if there] for row in self.categories]
        items = pa.table({"item": np.arange(len(self.titles)), "title": list(self.titles), "genres": genres})
        return Log.open(events, items=items, user="user", item="item", order="order", value="value")

    def without_past(self) -> Scene:
        """The same people when the recommender knows nothing of them yet."""
        none = np.zeros(0, np.int32)
        return replace(self, past=Choices(none, none, self.past.people, self.past.items))

    @classmethod
    def of(
        cls, log: Log, *, people: int | None = None, liked: float = 4.0, share: float = 0.8, factors: int = 32,
        friends: int = 8, seed: int = 0,
    ) -> Scene:  # fmt: skip
        """People and items of a log of ratings, tastes learned from the earliest share of what each liked.

        Parameters
        ----------
        people : how many, drawn; None takes all. liked : value from which an item counts as chosen (where the log has
            no values, everything does). friends : ties of each at the beginning, half of them to the most alike.

        Raises
        ------
        RolesError
            The log has no items with `title` and `genres`. OptionError: too few choices.
        """
        side = log.items
        if side is None or not {"title", "genres"} <= set(side.column_names):
            raise RolesError("recagent: the log needs a table of items with `title` and `genres` (a list each).")
        choices, names = chosen(log, liked)
        before, _ = choices.earliest(share)
        ids = log.vocabulary("item")
        place = ids.codes_in(_vocabulary(side["item"]))
        title = [str(t) for t in side["title"].to_pylist()]
        genres = side["genres"].to_pylist()
        rows = [genres[p] or [] if p >= 0 else [] for p in place.tolist()]
        kinds = tuple(sorted({g for r in rows for g in r}))
        categories = np.array([[k in r for k in kinds] for r in rows], bool).reshape(len(rows), len(kinds))
        keep = np.arange(choices.people)
        if people is not None and people < choices.people:
            keep = np.sort(np.random.default_rng([seed, 3]).choice(choices.people, people, replace=False))
        taste = Taste.learn(before, categories, factors=factors, seed=seed)
        taste = replace(taste, taste=taste.taste[keep])
        past = _only(before, keep)
        titles = tuple(title[p] if p >= 0 else str(i) for i, p in enumerate(place.tolist()))
        told = profiles(past, categories, kinds, titles)
        return cls(
            tuple(names[k] for k in keep.tolist()), told, titles, ("",) * len(titles), kinds, categories, taste, past,
            circle(taste.taste, friends, seed),
        )  # fmt: skip

    @classmethod
    def drawn(cls, people: int = 60, items: int = 200, *, choices: int = 20, friends: int = 6, seed: int = 0) -> Scene:
        """A catalogue and people with planted tastes: each likes two kinds of items."""
        if people < 12 or items < 40 or choices < 5:
            raise OptionError(f"scene: {people} people, {items} items, {choices} choices; 12, 40 and 5 or more.")
        rng = np.random.default_rng([seed, 5])
        k = len(KINDS)
        first, second = rng.integers(0, k, items), rng.integers(0, k, items)
        categories = np.zeros((items, k), bool)
        categories[np.arange(items), first] = categories[np.arange(items), second] = True
        likes = np.stack([rng.choice(k, 2, replace=False) for _ in range(people)])
        own = np.zeros((people, k))
        own[np.arange(people)[:, None], likes] = 2.0
        utility = own @ categories.T + 0.7 * rng.normal(size=items) + rng.gumbel(size=(people, items))
        top = np.argsort(-utility, 1)[:, :choices].astype(np.int32)
        past = Choices(np.repeat(np.arange(people, dtype=np.int32), choices), top.ravel(), people, items)
        taste = Taste.learn(past, categories, factors=8, seed=seed)
        titles = tuple(f"The {KINDS[a]} of {KINDS[b]} {i}" for i, (a, b) in enumerate(zip(first, second, strict=True)))
        names = tuple(f"p{i}" for i in range(people))
        told = profiles(past, categories, KINDS, titles)
        ties = circle(taste.taste, friends, seed)
        return cls(names, told, titles, ("",) * items, KINDS, categories, taste, past, ties)


def chosen(log: Log, liked: float) -> tuple[Choices, list[str]]:
    """What was chosen, by person and time, and the people's names."""
    table = log.sequences()
    code = np.repeat(np.asarray(table.users), np.diff(table.offsets))
    item = np.asarray(table.columns["item"])
    group = np.cumsum(np.asarray(table.starts))
    keep = np.ones(len(item), bool)
    if "value" in table.columns:
        keep = np.asarray(table.columns["value"]) >= liked
    _, person = np.unique(code, return_inverse=True)
    if not keep.any():
        raise OptionError(f"recagent: nothing in the log has a value of {liked} or more.")
    names = [str(u) for u in log.vocabulary("user").decode(np.unique(code)).to_pylist()]
    items = len(log.vocabulary("item"))
    made = Choices(person[keep].astype(np.int32), item[keep].astype(np.int32), len(names), items, group[keep])
    return made, names


def profiles(past: Choices, categories: np.ndarray, kinds: tuple[str, ...], titles: tuple[str, ...]) -> tuple[str, ...]:
    """Each person in words: the kinds they chose most, and the last three titles."""
    counts = np.zeros((past.people, len(kinds)))
    np.add.at(counts, past.person, categories[past.item].astype(float))
    best, last = np.argsort(-counts, 1, kind="stable")[:, :3], past.latest(3)
    told = []
    for i in range(past.people):
        liked = ", ".join(kinds[k] for k in best[i] if counts[i, k])
        seen = "; ".join(titles[j] for j in last[i] if j >= 0)
        told.append(f"likes {liked or 'many things'}" + (f"; lately watched {seen}" if seen else ""))
    return tuple(told)


def circle(taste: np.ndarray, friends: int, seed: int) -> Graph:
    """Friends both ways: half of each person's are the most alike, half are drawn."""
    n = len(taste)
    if not 0 <= friends < n:
        raise OptionError(f"recagent: {friends} friends of each among {n} people.")
    near = taste / np.maximum(np.linalg.norm(taste, axis=1, keepdims=True), 1e-9)
    close = near @ near.T
    np.fill_diagonal(close, -np.inf)
    # a tie counts both ways, so each side brings half of it
    alike = max(0, friends // 4) if friends > 3 else min(1, friends)
    some = np.argsort(-close, 1, kind="stable")[:, :alike]
    rng = np.random.default_rng([seed, 9])
    others = (np.arange(n)[:, None] + rng.integers(1, n, (n, max(0, friends // 2 - alike)))) % n
    to = np.concatenate([some, others], 1)
    source = np.repeat(np.arange(n), to.shape[1])
    both = np.r_[source, to.ravel()], np.r_[to.ravel(), source]
    return Graph.of(*both, n)


def _only(choices: Choices, keep: np.ndarray) -> Choices:
    place = np.full(choices.people, -1)
    place[keep] = np.arange(len(keep))
    mine = place[choices.person] >= 0
    return Choices(place[choices.person[mine]].astype(np.int32), choices.item[mine], len(keep), choices.items)


def _vocabulary(column: Any) -> Any:
    from ethogram.log import Vocabulary

    return Vocabulary(column)
