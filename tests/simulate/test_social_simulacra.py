"""Designs, acts, threads by number, what if, universes, redesigns, norms, the discrimination kit, the real model."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pytest

from ethogram.errors import OptionError, PersonaError, RolesError
from ethogram.lm import LM, ScriptedLM
from ethogram.log import Log
from ethogram.simulate.social_simulacra import (
    Design,
    SocialSimulacra,
    answered,
    asked,
    calibrated,
    error_rates,
    garden,
    paired,
    side_by_side,
    trial_sheet,
    zipf_exponent,
)
from ethogram.simulate.social_simulacra.discriminating import Pair
from ethogram.simulate.social_simulacra.norms import norms
from ethogram.simulate.social_simulacra.threads import MODERATE, REPLY_MIX, Member, Node, Thread

NO_ADS = ("no personal attacks", "stay on topic", "no self-promotion")


@pytest.fixture(scope="module")
def made():
    return SocialSimulacra().prototype(garden(), seed=1)


# designs


def test_a_design_is_read_and_checked():
    design = garden()
    assert Design.from_json(json.loads(json.dumps(design.to_json()))) == design
    assert Design(name="a", goal="People repair bicycles together", seed_personas=design.seed_personas).topics == (
        "repair", "bicycles", "together",
    )  # fmt: skip
    for wrong, match in (
        ({"gaol": "x"}, "unknown field 'gaol'.*goal"), ({"name": "a"}, "'goal' is missing"),
        ({"name": "a", "goal": "b"}, "seed_personas"), ({**design.to_json(), "troll_rate": 2}, "troll_rate"),
        ({**design.to_json(), "encouraged": "be kind"}, "must be a list"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=match):
            Design.from_json(wrong)
    with pytest.raises(PersonaError, match="seed_personas 1"):
        Design.from_json({"name": "a", "goal": "b", "seed_personas": [{"name": "x"}]})


def test_rules_forbid_acts():
    design = garden(discouraged=("No self-promotion, no spam", "be on topic", "No cats"))
    assert design.forbids("promote") == ("No self-promotion, no spam",)
    assert design.forbids("derail") == ("be on topic",)
    assert design.forbids("attack") == design.forbids("share") == ()


# acts and threads


def member(made, troll=False, **tendency):
    return Member(made.members[0].persona, 1.0, tendency, troll)


def test_acts_follow_the_mix_heat_and_rules(made):
    engine = made.engine
    total = sum(REPLY_MIX.values())
    u = np.linspace(0.0005, 0.9995, 1_000)

    def share(act, heat, who):
        return np.mean([engine.act(who, REPLY_MIX, heat, x, 0.9)[0] == act for x in u])

    # the design forbids attack and derail: a quarter of their weight is left
    left = total - 0.75 * (REPLY_MIX["attack"] + REPLY_MIX["derail"])
    assert share("attack", 0.0, member(made)) == pytest.approx(0.25 * REPLY_MIX["attack"] / left, abs=2e-3)
    hot = 0.25 * np.e * (REPLY_MIX["attack"] + REPLY_MIX["derail"])
    cold = total - REPLY_MIX["attack"] - REPLY_MIX["derail"]
    assert share("attack", 1.0, member(made)) == pytest.approx(hot / 2 / (cold + hot), abs=2e-3)
    assert share("joke", 0.0, member(made, joke=0.0)) == 0
    assert engine.act(member(made, troll=True), REPLY_MIX, 0.0, 0.5, 0.1) == ("attack", "no personal attacks")
    assert engine.act(member(made, troll=True), REPLY_MIX, 0.0, 0.5, 0.3) == ("derail", "stay on topic")
    assert engine.act(member(made, troll=True), REPLY_MIX, 0.0, 0.5, 0.6)[1] == ""


def test_heat_by_hand(made):
    acts = ("share", "attack", "attack", "agree", MODERATE)
    nodes = tuple(Node(i - 1, 0, a, a) for i, a in enumerate(acts))
    # 0, 1, 1.8, 1.44, -0.848
    heats = [made.engine.heat(Thread(0, "soil", nodes[: k + 1])) for k in range(5)]
    np.testing.assert_allclose(heats, [0, 1, 1.8, 1.44, -0.848])
    assert Thread(0, "soil", nodes).depth(4) == 4


def test_threads_are_trees_that_hang_on_their_number_alone(made):
    threads = made.threads(12)
    assert made.thread(7) == threads[7]
    assert made.threads(5) == threads[:5]
    for t in threads:
        assert t.nodes[0].parent == -1
        assert all(0 <= n.parent < i for i, n in enumerate(t.nodes) if i)
        for n in t.nodes[1:]:
            assert n.author != t.nodes[n.parent].author or t.nodes[n.parent].author < 0
    assert len({t.text() for t in threads}) > 10
    assert max(len(t.nodes) for t in threads) <= 30
    other = SocialSimulacra().prototype(garden(), seed=2).threads(12)
    assert other != threads


def test_activity_is_zipf(made):
    loud = SocialSimulacra(zipf=2.0).prototype(garden(), seed=1)
    counts = [Counter(n.author for t in p.threads(60) for n in t.nodes) for p in (made, loud)]
    top = [max(c.values()) / sum(c.values()) for c in counts]
    assert top[1] > top[0] + 0.1
    with pytest.raises(OptionError, match="three people"):
        zipf_exponent([5, 1])


def test_a_forum_gives_its_options_back():
    """Threads without attacks, so that there is no heat, come from known options; the log alone tells them."""
    calm = garden(discouraged=("no attacks",), troll_rate=0.0, n_members=40)
    built = SocialSimulacra(first=0.7, deeper=0.85, obeys=0.0)
    made = built.prototype(calm, seed=3)
    log = made.log(made.threads(600))
    found = calibrated(log)
    assert found["first"] == pytest.approx(0.7, abs=0.05)
    assert found["deeper"] == pytest.approx(0.85, abs=0.05)
    assert 0.5 < found["zipf"] < 1.6
    assert SocialSimulacra(**found).zipf == found["zipf"]
    with pytest.raises(RolesError, match="parent"):
        calibrated(Log.open(pa.table({"user": ["a"], "item": ["b"], "order": [1]})))


def test_trolls_break_rules(made):
    many = SocialSimulacra().prototype(garden(troll_rate=0.5), seed=1)
    none = SocialSimulacra().prototype(garden(troll_rate=0.0), seed=1)
    broken = [np.mean([bool(n.rule) for t in p.threads(40) for n in t.nodes]) for p in (none, many)]
    assert broken[0] == 0
    assert 0.1 < broken[1] < 0.5
    assert sum(m.troll for m in many.members) == 30


# what if, universes, redesigns


def test_what_if_keeps_the_prefix_and_pairs_the_luck(made):
    thread = next(t for t in made.threads(40) if len(t.nodes) >= 6)
    control = made.what_if(thread, 2)
    assert control == thread
    told = made.what_if(thread, 2, text="Sell me your shovel.", act="promote")
    assert told.nodes[:3] == thread.nodes[:3]
    assert told.prefix(2) == thread.prefix(2)
    assert told.nodes[3].text == "Sell me your shovel."
    assert told.nodes[3].parent == 2
    assert told.nodes[3].inserted
    again = made.what_if(told, 3)
    assert again == told  # what follows an inserted node is reproducible, too
    for wrong in ({"node": 99}, {"node": 0, "act": "dance"}):
        with pytest.raises(OptionError, match="what if"):
            made.what_if(thread, **wrong)


def test_a_moderator_cools_a_thread(made):
    hostile = []
    for number in range(40):
        start = Thread(
            number, "soil", (Node(-1, 0, "share", "a"), Node(0, 1, "attack", "b"), Node(1, 2, "attack", "c"))
        )
        pair = [made.what_if(start, 2, act=a, text=a and "Stop.") for a in ("", MODERATE)]
        hostile.append([sum(n.act == "attack" for n in t.nodes[3:]) for t in pair])
    assert np.mean(hostile, 0)[1] < np.mean(hostile, 0)[0]


def test_universes_share_the_prefix(made):
    thread = next(t for t in made.threads(40) if len(t.nodes) >= 5)
    many = made.multiverse(thread, 5, 1)
    assert {t.prefix(1) for t in many} == {thread.prefix(1)}
    assert len({t.text() for t in many}) >= 4
    assert many == made.multiverse(thread, 5, 1)
    with pytest.raises(OptionError, match="2 or more"):
        made.multiverse(thread, 1)


def test_redesigns_are_read_side_by_side(made):
    same = side_by_side(made, made.redesigned(made.design), 8).to_pylist()
    assert all(r["first_text"] == r["second_text"] and r["same"] == r["first_nodes"] for r in same)
    other = made.redesigned(garden(discouraged=NO_ADS))
    assert other.members == made.members
    rows = side_by_side(made, other, 80).to_pylist()
    assert sum(r["second_breaks"] for r in rows) < sum(r["first_breaks"] for r in rows)
    fewer = made.redesigned(garden(n_members=10))
    assert len(fewer.members) == 10


def test_norms_are_read_from_the_words(made):
    nodes = [n for t in made.threads(60) for n in t.nodes]
    told = norms([n.text for n in nodes], made.design.topics)
    true = [n.act if n.act in ("promote", "attack", "derail") else "" for n in nodes]
    assert np.mean([a == b for a, b in zip(told, true, strict=True)]) > 0.93
    assert norms([]) == []
    assert norms(["Use my coupon for roses"]) == ["promote"]


def test_the_log_tells_authors_parents_and_rules(made):
    log = SocialSimulacra().run(made, 6, seed=3)
    items = {r["item"]: r for r in log.items.to_pylist()}
    replies = [r for r in log.table().to_pylist() if r["kind"] == "reply"]
    assert replies
    assert all(items[r["item"]]["parent"] in items for r in replies)
    assert all(r["text"] and r["actor"].startswith("rule:") for r in replies)


# can anybody tell?


def test_pairs_and_the_error_rate_by_hand():
    pairs = [Pair(i, "full" if i < 4 else "bare", "a", "b", "left" if i % 2 else "right") for i in range(8)]
    answers = pa.table({"rater": ["r"] * 8, "pair": list(range(8)), "choice": ["left"] * 7 + [None]})
    table = {r["arm"]: r for r in error_rates(pairs, answers).to_pylist()}
    assert table["full"]["error"] == 0.5
    assert (table["bare"]["answers"], table["bare"]["missing"]) == (3, 1)
    assert table["bare"]["error"] == pytest.approx(2 / 3)
    assert 0 <= table["full"]["low"] < 0.5 < table["full"]["high"] <= 1
    for change, match in (
        ({"pair": [9] * 8}, "no pair 9"), ({"pair": [0] * 8}, "twice"), ({"choice": ["up"] * 8}, "neither left"),
    ):  # fmt: skip
        wrong = pa.table({**{c: answers[c] for c in answers.column_names}, **change})
        with pytest.raises(OptionError, match=match):
            error_rates(pairs, wrong)
    with pytest.raises(OptionError, match="column 'rater' lacks"):
        error_rates(pairs, answers.drop_columns(["rater"]))


def test_sheets_hide_the_answer_and_come_back_as_files(tmp_path):
    real, arms = [f"real {i}" for i in range(30)], {"x": [f"made {i}" for i in range(20)]}
    pairs = paired(real, arms, seed=1)
    sheet = trial_sheet(pairs)
    assert set(sheet.column_names) == {"pair", "left", "right"}
    assert all((p.left if p.real == "left" else p.right).startswith("real") for p in pairs)
    assert 5 <= sum(p.real == "left" for p in pairs) <= 15
    pv.write_csv(sheet, tmp_path / "sheet.csv")
    back = pv.read_csv(tmp_path / "sheet.csv").to_pylist()
    choice = ["left" if r["left"].startswith("real") else "right" for r in back]
    answers = pa.table({"rater": ["ann"] * 20, "pair": [r["pair"] for r in back], "choice": choice})
    assert error_rates(pairs, answers)["error"].to_pylist() == [0.0]
    scripted = answered(pairs, {"left": lambda a, b: "left", "knows": lambda a, b: "left" if "real" in a else "right"})
    row = error_rates(pairs, scripted).to_pylist()[0]
    assert (row["raters"], row["answers"]) == (2, 40)
    assert 0.1 < row["error"] < 0.4
    lm = ScriptedLM("x", rater=lambda prompt, said: [-1.0] * len(said))
    assert len(asked(pairs[:3], lm)) == 3
    with pytest.raises(OptionError, match="as many are needed"):
        paired(real[:3], arms)


# words by a model


def test_prompts_hold_the_blocks_and_ablations_lack_them():
    lm = ScriptedLM(lambda messages, rng: f"Words {rng.random():.3f} of it.")
    built = SocialSimulacra()
    full = built.prototype(garden(), lm=lm, seed=1)
    thread = next(t for t in full.threads(10) if len(t.nodes) > 2)
    said = ["\n".join(m.text for m in asked) for asked in lm.asked]
    assert any("<discouraged>stay on topic</discouraged>" in s and "<said>Words" in s for s in said)
    assert thread.nodes[1].text.startswith("Words")
    assert len({n.prompt for n in thread.nodes}) == len(thread.nodes)
    lm.asked.clear()
    bare = built.prototype(garden(), lm=lm, seed=1, persona=False, rules=False)
    assert [n.act for n in bare.threads(10)[thread.number].nodes] == [n.act for n in thread.nodes]
    bare_said = "\n".join(m.text for asked in lm.asked for m in asked)
    assert "<discouraged>" not in bare_said
    assert "Moss" not in bare_said
    assert full.log([thread]).table()["actor"].to_pylist()[0].startswith("model:")


def test_a_thread_of_the_real_model():
    pytest.importorskip("xllamacpp")
    lm = LM.connect("local")
    made = SocialSimulacra(longest=2).prototype(garden(), lm=lm, seed=1, words=12)
    thread = made.thread(0)
    assert all(len(n.text) > 3 for n in thread.nodes)
    asyncio.run(lm.close())


def test_options_are_checked():
    for wrong, match in (({"obeys": 2.0}, "obeys"), ({"longest": 0}, "longest")):
        with pytest.raises(OptionError, match=match):
            SocialSimulacra(**wrong)
    with pytest.raises(OptionError, match="zipf"):
        SocialSimulacra(zipf=-1).prototype(garden())
    assert replace(garden(), n_threads=3).n_threads == 3
