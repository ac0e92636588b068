"""The generator of listeners keeps its law."""

import numpy as np
import pytest

from ethogram.data.listeners import Listeners
from ethogram.errors import OptionError

SMALL = {"users": 40, "items": 600, "topics": 10, "songs": 5, "sessions": (30, 35), "seed": 1}


def test_sessions_hold_distinct_songs_of_their_topic_or_known_ones():
    made = Listeners(**SMALL)
    plays = made.truth()["plays"].to_pandas()
    assert plays.groupby(["user", "time"])["item"].nunique().eq(5).all()
    fresh = plays[~plays["again"]]
    assert not fresh.duplicated(["user", "item"]).any(), "what is new was never played before"
    assert (fresh["item"] % 10 == fresh["topic"]).mean() > 0.95
    known = plays.duplicated(["user", "item"])
    assert (known == plays["again"]).all()
    assert abs(plays[plays["time"] > plays["time"].quantile(0.5)]["again"].mean() - 0.6) < 0.03


def test_repeats_follow_the_power_law():
    """Among songs of no session's topic chosen again, odds go as the summed powers: the exponent is found again."""
    plays = Listeners(**{**SMALL, "users": 120, "warmth": 1.0, "decays": (0.8,)}).truth()["plays"].to_pandas()
    hour = plays["time"].astype("int64").to_numpy() / 3.6e9
    grid, fit = np.arange(0.2, 1.5, 0.2), np.zeros(7)
    for _, rows in plays.groupby("user"):
        at = rows.index.to_numpy()
        for s in range(15, 25):
            here, past = at[s * 5 : s * 5 + 5], at[: s * 5]
            again = here[plays["again"].to_numpy()[here]]
            if not len(again):
                continue
            item, first = plays["item"].to_numpy(), again[0]
            gone = (hour[first] - hour[past])[None] ** -grid[:, None]
            fit += np.log((gone * (item[past] == item[first])).sum(1) / gone.sum(1))
    assert abs(grid[fit.argmax()] - 0.8) < 0.21


def test_bad_options():
    for wrong in ({"topics": 3}, {"items": 20}, {"repeats": 1.2}, {"decays": ()}, {"sessions": (5, 2)}):
        with pytest.raises(OptionError, match="listeners"):
            Listeners(**wrong)
