"""The page: everything in it, nothing from elsewhere, and what is left out is told."""

import json
import re
from types import SimpleNamespace

import pytest

from ethogram.replay import Run, gathered, opened, page
from ethogram.replay.gathering import Limits, positions
from ethogram.replay.manifest import Manifest
from ethogram.world import Action, Acts, Column, World
from ethogram.world.thinking import LMMind


def data(text):
    return json.loads(re.search(r'<script type="application/json" id="run">(.*?)</script>', text, re.DOTALL).group(1))


def test_a_page_holds_the_run_and_nothing_from_elsewhere(whole):
    with opened(whole[0]) as run:
        text = page(gathered(run))
    told = data(text)
    assert told["fingerprint"] == whole[1]
    assert told["view"] == "feed"
    assert len(told["events"]) == told["total"]
    assert not re.search(r"https?://|<link|src=|@import", text.replace(json.dumps(told), ""))
    assert "default-src &#x27;none&#x27;" in text
    minds = [p for p in told["people"] if "mind" in p]
    assert [p["name"] for p in minds] == ["Ines Costa", "Omar Haas", "Mei Tanaka"]
    for one in minds:
        assert one["memory"]
        tick, prompt = one["prompts"][-1]
        assert prompt.startswith(f"You are {one['name']} on a social network.")
        mine = [e for e in told["events"] if told["people"][e[1]] is one and e[0] == tick]
        assert mine  # a prompt stands where the mind decided
    assert {p[1] for p in told["posts"]} <= set(range(40))


def test_prompts_are_those_of_the_run(whole):
    with opened(whole[0]) as run:
        told = gathered(run).data
        for one in told["people"][:3]:
            for tick, prompt in one["prompts"][1:3]:
                assert prompt == run.world.context(one["uid"], at=tick)


def test_a_large_run_is_cut_and_says_so(whole):
    with opened(whole[0]) as run:
        found = gathered(run, Limits(events=60, people=5, prompts=4, memories=1, chars=40))
    told = found.data
    assert len(told["people"]) == 5
    assert [p["name"] for p in told["people"]][:3] == ["Ines Costa", "Omar Haas", "Mei Tanaka"]
    assert len(told["events"]) <= 120
    assert sum(len(p.get("prompts", ())) for p in told["people"]) <= 5
    assert any("35 of 40 people" in left for left in found.left)
    assert any("events" in left for left in found.left)
    assert sum(n for b in told["bins"] for n in b.values()) == told["total"]  # the timeline counts all of it


def test_texts_cannot_leave_their_place(whole):
    with opened(whole[0]) as run:
        found = gathered(run)
    found.data["events"][0][8] = "</script><script>alert(1)</script>&<!--"
    text = page(found)
    assert "alert(1)</script>" not in text
    assert data(text)["events"][0][8] == "</script><script>alert(1)</script>&<!--"


@pytest.fixture
def walked():
    """Two people who walk on a plane."""

    def go(rows, seen, luck):
        return Acts("go", rows, value=luck.uniform("way")[:, 0])

    def gone(state, done):
        state["spot"][done.rows, 0] += 1
        state["spot"][done.rows[done.rows == 1], 1] += 2

    world = World(
        2, columns={"spot": Column("float32", 2)}, actions=[Action("go", apply=gone)], policies={"walker": go},
        minds={"guest": LMMind}, start="2024-01-01",
    )  # fmt: skip
    world.run(4)
    system = SimpleNamespace(plan=lambda world: {"width": 5, "height": 9, "walls": ["." * 5] * 9, "sectors": []})
    return Run(None, Manifest("walkers"), system, world)


def test_positions_are_where_people_were(walked):
    told = gathered(walked).data
    assert told["view"] == "map"
    assert told["plan"]["width"] == 5
    at = [list(p) for p in told["first"]]
    path = {0: [at[1][:]]}
    for tick, who, x, y in told["moves"]:
        at[who] = [x, y]
        path.setdefault(tick, []).append([x, y])
    assert at == [[4, 0], [4, 8]]
    assert path[2][-1] == [2, 4]
    few = gathered(walked, Limits(moves=3))
    assert len(few.data["moves"]) == 3
    assert "5 moves of people on the map" in few.left


@pytest.mark.parametrize(
    ("columns", "where"),
    [
        ({"x": 0.0, "y": 0.0}, ("x", "y")), ({"position": Column(width=2)}, ("position",)), ({"x": 0.0}, ()),
        ({"spot": Column(width=3)}, ()),
    ],
)  # fmt: skip
def test_columns_that_say_where_people_are(columns, where):
    assert positions(World(3, columns=columns, policies={"still": lambda rows, seen, luck: None})) == where
