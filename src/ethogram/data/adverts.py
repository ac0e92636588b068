"""People of known personality who rate adverts: a generator with the structure of ADS-16 and known truth.

Person u has traits b_u ~ Normal(0, S) (S: half of the meta-analytic correlations between the five factors), of which
the log holds what the ten questions of the BFI-10 measure. Advert i of category c and format f is rated

    rating = round(clip(level + bias_u + k_c + m_f + quality_i + strength * (A[:, c] . b_u) + taste_uc + noise, 1, 5))

with the loadings A (traits x categories) 0 but in a share `cells` of the pairs, there +-`loading`. ``strength=0``:
nothing of behaviour depends on personality, and no model should find that it does. The click is ``rating >= liked``,
or a coin whose chance grows with the rating (`click="curve"`: 1.5% at one star to 6.8% at five).

Everybody likes and dislikes `shown` pictures. A picture is a vector: what the person is, through a fixed mixing P, plus
what the picture alone is: liked = P b_u * ties + noise, disliked = -P b_u * ties + noise. The table of people has the
means, ``liked_0 ...`` and ``disliked_0 ...``. Stated favourites (``prefers_Cat3`` = 1) are the categories that a person
thinks best of, seen through noise.

No row of ADS-16 is in here; sizes and marginals follow its publication: G. Roffo, A. Vinciarelli: Personality in
Computational Advertising: A Benchmark. EMPIRE at RecSys 2016. Correlations: D. van der Linden, J. te Nijenhuis,
A. B. Bakker: The General Factor of Personality. Journal of Research in Personality 2010.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from ethogram.data.big_five import BFI10, TRAITS, score_bfi10
from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError

START = int(np.datetime64("2024-01-01", "us").astype(np.int64))
SECOND, DAY = 1_000_000, 86_400_000_000
FORMATS = ("rich media", "image", "text")
FORMAT_SHARE, FORMAT_EFFECT = (0.3, 0.5, 0.2), (0.2, 0.0, -0.2)
CTR = (0.015, 0.025, 0.036, 0.050, 0.068)
"""Chance of a click by rating, for `click="curve"`."""
CORRELATIONS = {  # meta-analytic; halved below
    ("openness", "conscientiousness"): 0.20, ("openness", "extraversion"): 0.43,
    ("openness", "agreeableness"): 0.21, ("openness", "neuroticism"): -0.17,
    ("conscientiousness", "extraversion"): 0.29, ("conscientiousness", "agreeableness"): 0.43,
    ("conscientiousness", "neuroticism"): -0.43, ("extraversion", "agreeableness"): 0.26,
    ("extraversion", "neuroticism"): -0.36, ("agreeableness", "neuroticism"): -0.36,
}  # fmt: skip


@data_set(
    "adverts",
    what="generated: 120 people of known Big-Five personality rate 300 adverts of 20 categories and 3 formats",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Adverts:
    """Every person rates every advert, in an order of their own; value = rating, label = click.

    Items: category, format. Users: the five traits as the BFI-10 measures them (-4 ... 4), age, gender, income
    (bracket), country, stated favourite categories, mean vectors of liked and of disliked pictures.
    """

    users: int = 120
    "People."
    categories: int = 20
    "Categories of adverts."
    per_category: int = 15
    "Adverts in each."
    strength: float = 0.5
    "How much personality moves ratings; 0 for not at all."
    cells: float = 0.2
    "Share of the (trait, category) pairs that are tied."
    loading: float = 0.9
    "Stars that one deviation of a tied trait adds or takes away at strength 1."
    tendency: float = 0.0
    "Stars that one deviation of extraversion adds to every rating at strength 1: a tendency to buy."
    level: float = 2.9
    "Rating of an average advert by an average person."
    bias: float = 0.4
    "Standard deviation of how high people rate altogether, in stars."
    appeal: float = 0.4
    "Standard deviation of how much everybody likes a category, in stars."
    quality: float = 0.4
    "Standard deviation of the adverts' own quality, in stars."
    taste: float = 0.2
    "Standard deviation of a person's liking of a category that no trait explains, in stars."
    noise: float = 0.9
    "Standard deviation of what nobody can predict, in stars."
    liked: int = 4
    "Rating from which an advert counts as clicked."
    click: Literal["threshold", "curve"] = "threshold"
    "Whether the click follows from the rating, or is a coin whose chance grows with it."
    favourites: int = 3
    "Categories that each person states as favourites."
    pictures: int = 8
    "Numbers in the vector of a picture; 0 for no pictures."
    shown: int = 5
    "Pictures of each polarity of each person."
    ties: float = 0.7
    "How much of a picture is due to the person's traits."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        spreads = (self.bias, self.appeal, self.quality, self.taste, self.noise, self.strength, self.loading, self.ties)
        for wrong, text in (
            (min(self.users, self.categories, self.per_category, self.shown) < 1,
             "users, categories, per_category, shown: 1 or more"),
            (not 0 <= self.cells <= 1, f"cells = {self.cells} is not a share in [0, 1]"),
            (min(spreads) < 0, "bias, appeal, quality, taste, noise, strength, loading, ties: 0 or more"),
            (not 1 <= self.level <= 5, f"level = {self.level} is not a rating from 1 to 5"),
            (not 2 <= self.liked <= 5, f"liked = {self.liked}; give a rating from 2 to 5"),
            (not 0 <= self.favourites <= self.categories, 
             f"favourites = {self.favourites} of {self.categories} categories"),
            (self.pictures < 0, f"pictures = {self.pictures}; give 0 or more"),
        ):  # fmt: skip
            if wrong:
                raise OptionError(f"adverts: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    @cached_property
    def loadings(self) -> np.ndarray:
        """A, float64[5, categories]: stars per deviation of a trait at strength 1."""
        rng = np.random.default_rng([self.seed, 1])
        tied = rng.permutation(len(TRAITS) * self.categories) < round(self.cells * len(TRAITS) * self.categories)
        signs = rng.choice([-1.0, 1.0], len(tied))
        return np.asarray((tied * signs * self.loading).reshape(len(TRAITS), self.categories))

    @cached_property
    def people(self) -> np.ndarray:
        """True traits, float64[users, 5], standard normal each."""
        return np.random.default_rng([self.seed, 2]).multivariate_normal(np.zeros(5), between(), self.users)

    @cached_property
    def formats(self) -> np.ndarray:
        """Format of each advert, int64[adverts]."""
        adverts = self.categories * self.per_category
        return np.random.default_rng([self.seed, 3]).choice(len(FORMATS), adverts, p=FORMAT_SHARE)

    @cached_property
    def likings(self) -> np.ndarray:
        """What each person truly thinks of each category beside its appeal to all, float64[users, categories]."""
        own = np.random.default_rng([self.seed, 4]).normal(0, self.taste, (self.users, self.categories))
        move = self.strength * (self.people @ self.loadings)
        return np.asarray(move + self.strength * self.tendency * self.people[:, 2:3] + own)

    @cached_property
    def ratings(self) -> np.ndarray:
        """Ratings, int64[users, adverts]."""
        rng = np.random.default_rng([self.seed, 5])
        adverts = self.categories * self.per_category
        of = np.repeat(np.arange(self.categories), self.per_category)
        appeal = rng.normal(0, self.appeal, self.categories)[of] + rng.normal(0, self.quality, adverts)
        mean = self.level + rng.normal(0, self.bias, (self.users, 1)) + appeal + np.array(FORMAT_EFFECT)[self.formats]
        drawn = mean + self.likings[:, of] + rng.normal(0, self.noise, (self.users, adverts))
        return np.round(np.clip(drawn, 1, 5)).astype(np.int64)

    @property
    def names(self) -> list[str]:
        """Ids of the adverts, as in the folders of ADS-16."""
        return [f"Cat{c}_{j}" for c in range(self.categories) for j in range(1, self.per_category + 1)]

    def read(self) -> Reading:
        rng = np.random.default_rng([self.seed, 6])
        adverts = len(self.names)
        order = np.argsort(rng.random((self.users, adverts)), axis=1)
        rating = np.take_along_axis(self.ratings, order, 1)
        chance = np.array(CTR)[rating - 1]
        clicked = rating >= self.liked if self.click == "threshold" else rng.random(rating.shape) < chance
        begin = START + (rng.random(self.users) * 30 * DAY).astype(np.int64)
        time = begin[:, None] + 15 * SECOND * np.arange(adverts)
        who, names = np.array(self._people()), np.array(self.names)
        events = pa.table(
            {
                "user": np.repeat(who, adverts),
                "item": names[order.ravel()],
                "time": pa.array(time.ravel(), pa.timestamp("us", "UTC")),
                "value": rating.ravel().astype(np.float32),
                "label": clicked.ravel().astype(np.float32),
            }
        )
        of = [n.split("_")[0] for n in self.names]
        items = pa.table({"item": names, "category": of, "format": np.array(FORMATS)[self.formats]})
        return Reading(events, {name: name for name in events.column_names}, items, self._table())

    def _people(self) -> list[str]:
        return [f"U{u + 1:04d}" for u in range(self.users)]

    def _table(self) -> pa.Table:
        rng = np.random.default_rng([self.seed, 7])
        n = self.users
        columns: dict[str, object] = {"user": self._people()}
        measured = score_bfi10(answers(self.people, rng))
        columns |= {trait: measured[:, j].astype(np.float32) for j, trait in enumerate(TRAITS)}
        columns["age"] = rng.integers(18, 70, n).astype(np.float32)
        columns["gender"] = rng.choice(["F", "M"], n)
        columns["income"] = rng.integers(1, 6, n).astype(np.float32)
        columns["country"] = rng.choice([f"country {c}" for c in "ABCDEF"], n, p=[0.4, 0.2, 0.15, 0.1, 0.1, 0.05])
        said = self.likings + rng.normal(0, 0.3, self.likings.shape)
        best = np.argsort(np.argsort(-said, 1), 1) < self.favourites
        columns |= {f"prefers_Cat{c}": best[:, c].astype(np.float32) for c in range(self.categories) if self.favourites}
        for polarity, sign in (("liked", 1.0), ("disliked", -1.0)):
            means = self._pictures(rng, sign)
            columns |= {f"{polarity}_{j}": means[:, j].astype(np.float32) for j in range(self.pictures)}
        return pa.table(columns)

    def _pictures(self, rng: np.random.Generator, sign: float) -> np.ndarray:
        """Mean vector of each person's pictures of a polarity, float64[users, pictures]."""
        mixing = np.random.default_rng([self.seed, 8]).normal(0, 1 / np.sqrt(5), (5, self.pictures))
        own = rng.normal(size=(self.users, self.shown, self.pictures)).mean(1)
        return np.asarray(sign * self.ties * (self.people @ mixing) + own)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``loadings``: trait, category, loading (stars per deviation, strength included), tied.
            ``people``: user and the true traits.
        """
        trait, category = np.indices(self.loadings.shape)
        value = self.strength * self.loadings
        cells = {
            "trait": np.array(TRAITS)[trait.ravel()], "category": [f"Cat{c}" for c in category.ravel()],
            "loading": value.ravel(), "tied": value.ravel() != 0,
        }  # fmt: skip
        people = {"user": self._people()} | {t: self.people[:, j] for j, t in enumerate(TRAITS)}
        return {"loadings": pa.table(cells), "people": pa.table(people)}


def between() -> np.ndarray:
    """Correlations of the traits, float64[5, 5]: half of the published ones, as a short inventory shows them."""
    made = np.eye(len(TRAITS))
    for (a, b), r in CORRELATIONS.items():
        i, j = TRAITS.index(a), TRAITS.index(b)
        made[i, j] = made[j, i] = r / 2
    return made


def answers(traits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Answers -2 ... 2 to the ten questions, int[n, 10], by people with these traits."""
    column = [TRAITS.index(trait) for trait, _ in BFI10]
    signs = np.array([sign for _, sign in BFI10])
    felt = traits[:, column] * signs + rng.normal(0, 0.5, (len(traits), len(BFI10)))
    return np.round(np.clip(felt, -2, 2)).astype(np.int64)
