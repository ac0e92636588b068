"""Policies whose model may be asked no more: the run ends at a whole tick, or others decide: a surrogate, rules."""

from collections import Counter

import numpy as np
import pytest
from tests.world.test_many import OPTIONS, classes, crowd, describe, model, shop, taught

from ethogram.errors import BudgetSpent, WorldError
from ethogram.lm import Broker, Budget
from ethogram.world import Acts
from ethogram.world.archetypes import Archetypes
from ethogram.world.surrogate import Surrogate


def test_a_spent_budget_leaves_the_other_classes_to_the_rule_and_the_run_goes_on():
    def milk(rows, seen, luck):
        return Acts("buy", rows, object=1)

    milk.act = milk
    for otherwise in (milk, None):
        lm = model()
        lm.broker = Broker.bare(budget=Budget(calls=3))
        world = shop(400, Archetypes(OPTIONS, classes, describe, by="shares", otherwise=otherwise), lm).run(3)
        policy = world.live.policies["p"]
        ages = {code // 10 for code in policy.known}
        assert len(policy.known) == 3
        assert lm.broker.ledger.accounts["archetype", lm.identity].errors["BudgetSpent"] > 0
        first = world.at(0).state["age"]
        rows = [r for r in world.log(own=True).table().to_pylist() if r["event"] >> 40 == 0 and r["kind"] != "note"]
        fallen = {int(r["user"]) for r in rows if r["actor"] == "fallback:p"}
        assert fallen == set(np.flatnonzero(~np.isin(first, list(ages))).tolist())
        assert world.shares()["fallback"] > 0.5
        assert world.fork(1).run(3).fingerprint == world.fingerprint


def budgeted(calls, run=None):
    """The model with so many calls to spend; with a recording, over all sessions."""
    lm, budget = model(), Budget(calls=calls)
    if run is None:
        lm.broker = Broker.bare(budget=budget)
    else:
        mode = "replay-lenient" if run.exists() else "record"
        lm.broker = Broker(run=run, mode=mode, cache=False, budget=budget)
    return lm


def test_a_run_that_is_to_stop_ends_at_a_whole_tick_and_goes_on_to_the_same_end(tmp_path):
    """Eight ages, then their moods: 24 classes over three ticks. 13 calls end within the second one."""

    def session(calls, until, resume=True):
        lm = budgeted(calls, tmp_path / "calls.lmrun")
        world = shop(
            400, Archetypes(OPTIONS, classes, describe, by="shares"), lm, spent="stop", every=2, resume=resume,
            folder=tmp_path / "run",
        )  # fmt: skip
        try:
            world.run(until)
            return world, lm
        finally:
            world.checkpoint()
            world.close()
            lm.broker.close()

    with pytest.raises(BudgetSpent, match="the budget of 13 calls is spent"):
        session(13, 8, resume=False)
    with pytest.raises(BudgetSpent):  # what was spent before is spent
        session(13, 8)
    world, lm = session(100, 8)
    assert len(lm.asked) == 24 - 13  # what was answered in the tick that broke off is not asked again
    assert (
        world.fingerprint == shop(400, Archetypes(OPTIONS, classes, describe, by="shares"), model()).run(8).fingerprint
    )
    assert set(world.shares()) == {"archetype"}


def test_a_spent_budget_ends_the_tick_before_anybody_has_acted():
    lm = budgeted(13)
    world = shop(400, Archetypes(OPTIONS, classes, describe, by="shares"), lm, spent="stop")
    with pytest.raises(BudgetSpent):
        world.run(8)
    assert world.tick == 1
    assert len(world.live.policies["p"].known) == 8  # what is in no note is not known
    assert {r["event"] >> 40 for r in world.log().table().to_pylist()} == {0}


def ages(rows, seen):
    """What a surrogate sees: age, and each mood."""
    return np.c_[seen["age"][rows], seen["mood"][rows, None] == np.arange(3)].astype(float)


def way_out(**options):
    return Surrogate(list(OPTIONS.values()), ages, otherwise=milk_rule(), **options)


def milk_rule():
    def milk(rows, seen, luck):
        return Acts("buy", rows, object=1)

    milk.act = milk
    return milk


def test_a_spent_budget_degrades_to_the_surrogate_and_then_to_the_rule(tmp_path):
    """Six of eight ages are known when the budget is spent. Of the others a surrogate decides, distilled from what the
    known ones do, where it is sure enough, and the rule where not; both stand in the log, and a resumed run agrees."""

    def made(**options):
        policy = Archetypes(
            OPTIONS, classes, describe, by="shares", otherwise=way_out(confident=0.6, least=200, refit=400)
        )  # fmt: skip
        return shop(2_000, policy, budgeted(6), **options)

    world = made(snapshots=3, batch=128, workers=2).run(6)
    shares = world.shares()
    assert shares["archetype"] > 0.1
    assert shares["surrogate"] > 0.1
    assert shares["fallback"] > 0.1
    assert sum(shares.values()) == pytest.approx(1)
    rows = world.log().table().to_pylist()
    assert Counter(r["actor"] for r in rows).keys() == {"archetype:p", "surrogate:p", "fallback:p"}
    # the old, whom the model was not asked about, buy what older people buy: tea
    old = [r for r in rows if r["actor"] == "surrogate:p"]
    assert np.mean([r["item"] == 0 for r in old]) > 0.6
    assert {r["item"] for r in rows if r["actor"] == "fallback:p"} == {1}
    assert world.fork(4).run(6).fingerprint == world.fingerprint
    assert made().run(6).fingerprint == world.fingerprint
    kept = made(folder=tmp_path / "a", every=2).run(3)
    kept.checkpoint()
    kept.close()
    again = made(folder=tmp_path / "a", every=2, resume=True)
    again.declared.lm.broker.purse.spent(6, 0, 0.0)
    assert again.run(6).fingerprint == world.fingerprint


def test_a_way_out_of_other_options_is_refused():
    with pytest.raises(WorldError, match="otherwise= has the options"):
        Archetypes(OPTIONS, classes, describe, otherwise=Surrogate([("buy", 0), ("buy", 1)], ages))
    with pytest.raises(WorldError, match="held of least"):
        Surrogate(list(OPTIONS.values()), ages, held=50)


def test_a_surrogate_whose_teacher_is_spent_stops_the_run_or_leaves_the_unsure_to_the_rule():
    """120 calls of 2,000 people: the run ends before its second tick, or goes on with what was learned."""

    def policy(calls, **options):
        teacher = taught()

        async def bounded(row, seen, lm):
            if len(teacher.asked) >= calls:
                raise BudgetSpent("spent")
            return await teacher(row, seen, lm)

        how = {"most": 100, "least": 60, "confident": 0.8, **options}
        return Surrogate([("a", -1), ("b", -1)], lambda rows, seen: seen["x"][rows], bounded, **how)

    world = crowd(policy(120), spent="stop")
    world.intervene("move", at=1)
    with pytest.raises(BudgetSpent):
        world.run(4)
    assert world.tick == 1
    assert world.live.policies["p"].learned == 100

    def b(rows, seen, luck):
        return Acts("b", rows)

    b.act = b
    world = crowd(policy(120, otherwise=b))
    world.intervene("move", at=1)
    world.run(5)
    rows = [r for r in world.log().table().to_pylist() if r["actor"] != "model:p"]
    assert {r["kind"] for r in rows if r["actor"] == "fallback:p"} == {"b"}
    assert sum(r["actor"] == "surrogate:p" for r in rows) > 0.5 * len(rows)
    assert world.fork(3).run(5).fingerprint == world.fingerprint
