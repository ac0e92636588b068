"""Archetypes whose model may be asked no more."""

import numpy as np
from tests.world.test_many import OPTIONS, classes, describe, model, shop

from ethogram.lm import Broker, Budget
from ethogram.world import Acts
from ethogram.world.archetypes import Archetypes


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
