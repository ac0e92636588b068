"""The baseline: its aggregates against a plain loop, and what it learns from them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.risk.people import lending, opened

from ethogram.errors import OptionError
from ethogram.evaluate.classification import auc
from ethogram.log.cases import cases
from ethogram.log.groups import keyed
from ethogram.numeric.totals import NAMES, names, totals
from ethogram.risk.payment_aggregates import PaymentAggregates


def test_aggregates_are_those_of_a_plain_loop():
    events, users = lending(4, seed=2)
    found = cases(opened(events, users))
    code, ids = keyed(found.log, "category")
    made = totals(found, code, ids, ids, None)
    told = names(ids)
    assert [kind for kind, _ in told[:: len(NAMES)]] == ["loan", "shop", "all"]
    for user in range(4):
        for at, (kind, name) in enumerate(told):
            mine = [r for r in events.to_pylist() if r["user"] == user and kind in (r["category"], "all")]
            back = np.array([(users["decided"][user].as_py() - r["time"]).total_seconds() / 86_400 for r in mine])
            value = np.array([r["value"] for r in mine])
            month = np.array([value[(back // 30) == m].sum() for m in range(6)])
            often = np.array([((back // 30) == m).sum() for m in range(6)])
            expected = {
                "count 30 days": (back < 30).sum(), "sum 90 days": value[back < 90].sum(), "mean whole": value.mean(),
                "sum of month 2": month[2], "slope": np.polyfit(-np.arange(6), month, 1)[0] / month.mean(),
                "trend": np.polyfit(-np.arange(6), often, 1)[0] / often.mean(), "days since last": back.min(),
                "largest": value.max(), "items": len({r["item"] for r in mine}),
            }  # fmt: skip
            if name in expected:
                assert made[user, at] == pytest.approx(expected[name], rel=1e-5), (kind, name)


@pytest.mark.parametrize("learner", ["trees", "logistic"])
def test_it_learns_what_aggregates_tell_and_says_which_category(learner):
    cut = opened(*lending()).split("by-decision", valid=0.2, test=0.25)
    built = PaymentAggregates(learner=learner, steps=40).fit(cut.train, cut.valid)
    said = built.assess(cut.test)
    told = dict(zip(cut.log.users["user"].to_pylist(), cut.log.users["default"].to_pylist(), strict=True))
    assert auc([told[u] for u in said["user"].to_pylist()], said["risk"].to_numpy()) > 0.95
    loan = [r for row in said["reasons"].to_pylist() for r in row[:2] if r["what"] == "loan"]
    # what is usual is what one of two kinds of people do; of them the loans may not be told
    assert len(loan) >= 0.45 * len(said)
    assert all("the risk: 8 payments" in r["value"] for r in loan)


def test_wrong_options_are_told():
    with pytest.raises(OptionError, match="steps = 0"):
        PaymentAggregates(steps=0)
    with pytest.raises(OptionError, match="says what came of the decision"):
        PaymentAggregates(profile=("known",))
    events, users = lending(12)
    with pytest.raises(OptionError, match="all of one kind"):
        PaymentAggregates().fit(opened(events, users.set_column(2, "default", [[1.0] * 12])))
