"""The three stages by hand: linking, moving, overflow, retrieval, reflection, forgetting, and what a model adds."""

import asyncio

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.lm import ScriptedLM
from ethogram.lm.memory import HOUR
from ethogram.lm.stages import Stages
from ethogram.lm.staging import insight, reflection, sensed

PLACE = {"tea": (1, 0, 0), "green tea": (0.96, 0.28, 0), "chess": (0, 1, 0), "rain": (0, 0, 1)}


def embed(texts):
    return np.array([PLACE.get(t, (0.6, 0.8, 0)) for t in texts], np.float32)


def memory(**more):
    return Stages(embed=embed, **more)


def test_only_what_matters_is_noticed():
    # 0.9 * 7 / 10 = 0.63 > 0.62, 0.9 * 6 / 10 = 0.54
    assert [Stages.noticed(i) for i in (6, 7)] == [False, True]


def test_links_need_likeness_and_chance():
    mine = memory()
    mine.take("tea", 8, now=0, chance=[])
    # sim = 0.96 + 0.1 (the latest), q = 1 / (1 + exp(-1.06)) = 0.7427
    mine.take("green tea", 8, now=0, chance=[0.75])
    assert mine.short[0].count == 1
    # sim(tea) = 0.96 without the bonus, q = 0.7231; sim(green tea) = 1.1, q = 0.7503
    moved = mine.take("green tea", 8, now=0, chance=[0.72, 0.74])
    assert [(m.text, m.count) for m in mine.short] == [("tea", 2), ("green tea", 2), ("green tea", 1)]
    assert mine.short[0].links == ["green tea"]
    assert moved == []
    mine.take("chess", 8, now=0, chance=[0, 0, 0])  # q(tea) = 0.5, below 0.7 whatever the chance
    assert [m.count for m in mine.short] == [2, 2, 1, 1]


def test_what_returns_three_times_moves_on():
    mine = memory()
    for chance in ([], [0]):
        assert mine.take("tea", 8, now=0, chance=chance) == []
    (moved,) = mine.take("tea", 8, now=0, chance=[0, 0])
    assert (moved.text, moved.links) == ("tea", ("tea", "tea"))
    assert [m.count for m in mine.short] == [2, 1]


def test_overflow_drops_the_least_and_its_traces():
    mine = memory(capacity=2)
    mine.take("tea", 9, now=0, chance=[])
    mine.take("green tea", 2, now=0, chance=[0])
    assert mine.short[0].links == ["green tea"]
    mine.take("chess", 5, now=0, chance=[0, 0])
    assert [m.text for m in mine.short] == ["tea", "chess"]
    assert mine.short[0].links == []


def test_retrieval_adds_the_three_parts_and_touches():
    mine = memory()
    mine.keep("tea", 2, now=0)
    mine.keep("chess", 9, now=10 * HOUR)
    by_hand = [1 + 0.2 + 0.99**20, 0 + 0.9 + 0.99**10]
    np.testing.assert_allclose(mine.scores("tea", 20 * HOUR), by_hand, rtol=1e-6)
    assert mine.retrieve("tea", 1, now=20 * HOUR) == ["tea"]
    assert mine.long[0].accessed == 20 * HOUR


def test_reflection_merges_what_says_the_same():
    mine = memory(threshold=10)
    mine.keep("green tea", 4, now=0)
    mine.keep("chess", 8, now=0)
    assert mine.due
    # 1 / (1 + exp(-0.96)) = 0.7231 >= 0.72: the tea is merged away, chess stays
    assert mine.conclude("tea", ["green tea", "chess"], now=1) == 1
    assert [(m.text, m.importance) for m in mine.long] == [("chess", 8.0), ("tea", 6.0)]
    assert not mine.due
    with pytest.raises(OptionError, match="must cite"):
        mine.conclude("tea", ["rain"], now=1)


def test_forgetting_by_strength():
    mine = memory()
    mine.keep("tea", 10, now=0)
    mine.keep("chess", 1, now=0)
    mine.keep("rain", 1, now=30 * HOUR)
    r = np.array([0.99**40, 0.99**40, 0.99**10])
    np.testing.assert_allclose(
        mine.strength(40 * HOUR), np.maximum(r**1.5, 0.01) * (np.array([1, 0.1, 0.1]) + r) / 2, rtol=1e-9
    )
    assert mine.forget(1, now=40 * HOUR) == ["chess"]
    # rain was touched within a day: it stays although it is weaker than tea
    assert mine.forget(1, now=40 * HOUR, chance=[0.5, 0.5]) == ["tea"]


def test_forgetting_is_drawn_by_weight():
    """Of two records with weights a and b the first goes first with a / (a + b)."""
    rng, gone = np.random.default_rng(0), 0
    for _ in range(4_000):
        mine = memory()
        mine.keep("tea", 10, now=0)
        mine.keep("chess", 1, now=0)
        gone += mine.forget(1, now=60 * HOUR, chance=rng.random(2)) == ["chess"]
    weight = 1 - mine.__class__.strength(_pair(), 60 * HOUR)
    assert abs(gone / 4_000 - weight[1] / weight.sum()) < 0.025


def _pair():
    mine = memory()
    mine.keep("tea", 10, now=0)
    mine.keep("chess", 1, now=0)
    return mine


def test_size_is_bounded_and_state_returns():
    mine, rng = Stages(most=20), np.random.default_rng(1)
    for i in range(300):
        for moved in mine.take(f"film {i % 7}", 1 + i % 10, now=i * HOUR, chance=rng.random(20)):
            mine.keep(moved.text, moved.importance, now=i * HOUR, chance=rng.random(30))
    assert len(mine.short) <= 10
    assert 0 < len(mine.long) <= 20
    again = Stages(most=20).restore(mine.state())
    assert again.state() == mine.state()
    assert again.retrieve("film 3", 2, now=301 * HOUR) == mine.retrieve("film 3", 2, now=301 * HOUR)
    with pytest.raises(OptionError, match="between 1 and 10"):
        mine.take("x", 11, now=0, chance=[])
    with pytest.raises(OptionError, match="numbers for"):
        mine.take("x", 5, now=0, chance=[])


def test_what_a_model_adds():
    def rule(messages, rng):
        text = messages[-1].text
        if "important it is" in text:
            return {"sentence": "She saw  a film.", "importance": 8}
        return {"question": "tea"} if "important question" in text else {"insight": "likes hot drinks"}

    lm, mine = ScriptedLM(rule), memory()
    mine.keep("tea", 5, now=0)
    assert asyncio.run(sensed(lm, "a long evening")) == ("She saw a film.", 8)
    assert asyncio.run(reflection(lm, mine, now=1)) == ("likes hot drinks", ["tea"])
    assert asyncio.run(insight(lm, ["Likes hot drinks"])) == ""  # only repeated
    assert asyncio.run(reflection(lm, memory(), now=1)) is None
