"""Two goals that agree, have nothing to do with each other, or contradict each other: a generator with known truth.

Items have three fields: category, brand, style. Each person likes some values of each, with strengths. What they click
is of categories that they like, what they buy is of brands that they like, and both are of styles that they like. Then
they are shown slates, and answer to an item t twice, a click (`label`) and a purchase (`label_buy`):

    z_click = sqrt(|rho|) S(u, t) + sqrt(1 - |rho|) C(u, t)
    z_buy   = sign(rho) sqrt(|rho|) S(u, t) + sqrt(1 - |rho|) B(u, t)
    p_k     = sigmoid(base + effect * z_k)

with C, B and S the strength with which u likes the category, brand and style of t, brought to mean 0 and variance 1
over what is shown. The three are drawn independently, so rho is the correlation of the two goals' log-odds. The goals
differ in the field and in the kind of behaviour that tell them, and share one field, with opposite signs where rho is
negative. Of each goal's answers the share `missing` is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError

START = int(np.datetime64("2024-01-01", "us").astype(np.int64))
DAY = 86_400_000_000
BEHAVIOUR_DAYS, SLATE_DAYS = 240, 120
FIELDS = ("category", "brand", "style")
KINDS = {"click": ("category", "style"), "buy": ("brand", "style")}
"""Kind of behaviour -> the fields by which its items are chosen."""


@data_set(
    "conflict",
    what="generated: clicks and purchases whose log-odds correlate as one wishes, told by different behaviour",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Behaviour in the first 240 days from 2024-01-01, slates in the 120 days after.

    Kinds of events: ``click`` and ``buy`` (behaviour), ``slate`` (shown; label = clicked, label_buy = bought). Items:
    category, brand, style.
    """

    users: int = 1_500
    "People."
    items: int = 2_000
    "Items; their fields are drawn independently."
    values: int = 20
    "Values of each field."
    likes: tuple[int, int] = (2, 4)
    "Fewest and most values of each field that a person likes."
    length: tuple[int, int] = (15, 40)
    "Fewest and most past events of each kind, uniform."
    clarity: float = 3.0
    "Log odds that a liked value adds to an item's being clicked or bought in the past."
    slates: int = 20
    "Slates shown to each person."
    candidates: int = 10
    "Items drawn for each slate; one that is drawn twice is shown once."
    own: float = 1.2
    "Log odds that a liked value adds to an item's being shown."
    rho: float = -0.9
    "Correlation of the two goals' log odds, in [-1, 1]."
    effect: float = 1.5
    "Log odds of an answer that one standard deviation of liking adds; 0 for no effect."
    base: float = -1.0
    "Log odds of a click or a purchase of what is liked as usual."
    missing: float = 0.0
    "Share of each goal's answers that is not known; at least one of the two always is."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        (few, most), (short, long) = self.likes, self.length
        for wrong, text in (
            (
                min(self.users, self.items, self.slates, self.candidates) < 1,
                "users, items, slates, candidates: 1 or more",
            ),
            (not 1 <= few <= most < self.values, f"likes = {self.likes} is not (fewest, most) of {self.values} values"),
            (not 0 <= short <= long, f"length = {self.length} is not (fewest, most)"),
            (not -1 <= self.rho <= 1, f"rho = {self.rho} does not lie in [-1, 1]"),
            (not 0 <= self.missing <= 0.5, f"missing = {self.missing} does not lie in [0, 0.5]"),
        ):
            if wrong:
                raise OptionError(f"conflict: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    def _random(self, part: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, part])

    @cached_property
    def field(self) -> dict[str, np.ndarray]:
        """Value of each field of each item, int64[items]."""
        return {name: self._random(i).integers(0, self.values, self.items) for i, name in enumerate(FIELDS)}

    @cached_property
    def liking(self) -> dict[str, np.ndarray]:
        """How much each person likes each value of each field: uniform in [0.5, 1.5], 0 for most; [users, values]."""
        made, (few, most) = {}, self.likes
        for i, name in enumerate(FIELDS):
            random = self._random(10 + i)
            rank = random.random((self.users, self.values)).argsort(axis=1).argsort(axis=1)
            count = random.integers(few, most + 1, (self.users, 1))
            made[name] = np.where(rank < count, random.uniform(0.5, 1.5, rank.shape), 0.0)
        return made

    def _liked(self, name: str) -> np.ndarray:
        return self.liking[name][:, self.field[name]]

    def _drawn(self, fields: tuple[str, ...], odds: float, user: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """An item for each row, by the log odds that liked values of these fields add."""
        weight = np.exp(odds * sum(self._liked(name) > 0 for name in fields))
        shelf = np.cumsum(weight, axis=1)
        shelf = (shelf / shelf[:, -1:] + np.arange(self.users)[:, None]).ravel()
        place = np.searchsorted(shelf, user + uniform, side="right") - user * self.items
        return np.clip(place, 0, self.items - 1)

    @cached_property
    def past(self) -> dict[str, np.ndarray]:
        """Behaviour: user, item, time (microseconds), kind (number in `KINDS`)."""
        parts = []
        for i, fields in enumerate(KINDS.values()):
            random = self._random(20 + i)
            length = random.integers(self.length[0], self.length[1] + 1, self.users)
            user = np.repeat(np.arange(self.users), length)
            item = self._drawn(fields, self.clarity, user, random.random(len(user)))
            time = START + (random.random(len(user)) * BEHAVIOUR_DAYS * DAY).astype(np.int64)
            parts.append({"user": user, "item": item, "time": time, "kind": np.full(len(user), i)})
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

    @cached_property
    def shown(self) -> dict[str, np.ndarray]:
        """Slates: user, slate, item, time, for each goal its log odds, probability and answer (1.0 or 0.0)."""
        random, o = self._random(30), self
        moment = np.sort(random.random((o.users, o.slates)), axis=1).ravel()
        time = START + ((BEHAVIOUR_DAYS + moment * SLATE_DAYS) * DAY).astype(np.int64)
        slate = np.repeat(np.arange(o.users * o.slates), o.candidates)
        item = self._drawn(FIELDS, o.own, slate // o.slates, random.random(len(slate)))
        slate, item = np.divmod(np.unique(slate * o.items + item), o.items)
        user = slate // o.slates
        category, brand, style = (_standard(self.liking[n][user, self.field[n][item]]) for n in FIELDS)
        common, alone = np.sqrt(abs(o.rho)), np.sqrt(1 - abs(o.rho))
        odds = {"click": common * style + alone * category, "buy": np.sign(o.rho) * common * style + alone * brand}
        made = {"user": user, "slate": slate, "item": item, "time": time[slate]}
        for goal, z in odds.items():
            made[f"odds_{goal}"] = o.base + o.effect * z
            made[f"probability_{goal}"] = 1 / (1 + np.exp(-made[f"odds_{goal}"]))
            made[goal] = (random.random(len(user)) < made[f"probability_{goal}"]).astype(np.float32)
        return made

    @cached_property
    def unknown(self) -> dict[str, np.ndarray]:
        """Whose answer is missing, bool by goal; never both of one row."""
        drawn = self._random(31).random(len(self.shown["user"]))
        return {"click": drawn < self.missing, "buy": drawn >= 1 - self.missing}

    def read(self) -> Reading:
        past, shown = self.past, self.shown
        n, m = len(past["user"]), len(shown["user"])
        is_past = np.repeat([True, False], [n, m])

        def answer(goal: str) -> pa.Array:
            values = np.concatenate([np.zeros(n, np.float32), shown[goal]])
            return pa.array(values, mask=is_past | np.concatenate([np.zeros(n, bool), self.unknown[goal]]))

        kind = np.concatenate([past["kind"], np.full(m, len(KINDS))]).astype(np.int8)
        time = np.concatenate([past["time"], shown["time"]])
        events = pa.table(
            {
                "user": np.concatenate([past["user"], shown["user"]]),
                "item": np.concatenate([past["item"], shown["item"]]),
                "time": pa.array(time, pa.timestamp("us", "UTC")),
                "kind": pa.DictionaryArray.from_arrays(kind, [*KINDS, "slate"]),
                "slate": pa.array(np.concatenate([np.zeros(n, np.int64), shown["slate"]]), mask=is_past),
                "label": answer("click"),
                "label_buy": answer("buy"),
            }
        )
        items = pa.table({"item": np.arange(self.items), **self.field})
        roles = {name: name for name in events.column_names if name != "label_buy"}
        return Reading(events, roles, items)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``likes``: user, field, value, strength. ``exposures``: user, slate, item, time, and for each goal its
            log odds, probability and answer, a row per item shown.
        """
        rows = []
        for name in FIELDS:
            user, value = np.nonzero(self.liking[name])
            strength = self.liking[name][user, value]
            rows.append(pa.table({"user": user, "field": [name] * len(user), "value": value, "strength": strength}))
        exposures = {**self.shown, "time": pa.array(self.shown["time"], pa.timestamp("us", "UTC"))}
        return {"likes": pa.concat_tables(rows), "exposures": pa.table(exposures)}


def _standard(values: np.ndarray) -> np.ndarray:
    """Mean 0, variance 1."""
    return (values - values.mean()) / max(float(values.std()), 1e-12)
