"""LBSF: what it reads against plain loops, its equations by hand, what order means to it, and bad input."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import torch
from tests.risk.people import DAY, lending, opened, stamps

from ethogram.errors import LeakError, OptionError, RolesError
from ethogram.evaluate.classification import auc
from ethogram.log import Log
from ethogram.nn.fields import Texts
from ethogram.risk.lbsf import LBSF
from ethogram.risk.lbsf.encoding import encode
from ethogram.risk.lbsf.fitted import _loss, judge, missed
from ethogram.risk.lbsf.network import FoldedNetwork, Reader, focal, hidden, judged, moved
from ethogram.risk.lbsf.reasons import _change

SMALL = {"dim": 8, "epochs": 6, "least": 2, "batch": 16, "dropout": 0.0, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def cut():
    return opened(*lending()).split("by-decision", valid=0.2, test=0.25)


@pytest.fixture(scope="module")
def fitted(cut):
    return LBSF(**SMALL).fit(cut.train, cut.valid, seed=1)


def outcome(log, table):
    told = dict(zip(log.users["user"].to_pylist(), log.users["default"].to_pylist(), strict=True))
    return np.array([told[u] for u in table["user"].to_pylist()])


def test_numbers_are_those_of_a_plain_loop():
    events, users = lending(6)
    built = LBSF(**SMALL, merchants=2)
    encoded, books = encode(built, built.cases(opened(events, users)), None)
    folded, rows = encoded.folded, events.to_pylist()
    log = encoded.cases.sequences
    assert len(folded) == 6
    time = np.asarray(log.columns["time"]) / DAY
    value = np.asarray(log.columns["value"], float)
    for case in range(6):
        mine = [r for r in rows if r["user"] == case]
        own = np.median([np.log1p(r["value"]) for r in mine])
        for g in range(folded.cases[case], folded.cases[case + 1]):
            at = folded.rows[folded.groups[g] : folded.groups[g + 1]]
            usual = np.median(np.log1p(value[at]))
            gaps = np.log1p(np.diff(time[at]))
            block = encoded.numbers["amount"][folded.groups[g] : folded.groups[g + 1]]
            mean, spread = books.scales["amount"]
            expected = np.stack([np.log1p(value[at]), np.log1p(value[at]) - own, np.log1p(value[at]) - usual], 1)
            np.testing.assert_allclose((block * spread + mean)[:, [0, 2, 3]], expected, atol=2e-5)
            clock = encoded.numbers["time"][folded.groups[g] : folded.groups[g + 1]] * books.scales["time"][1]
            clock = clock + books.scales["time"][0]
            np.testing.assert_allclose(clock[1:, 6], gaps, atol=2e-5)
            np.testing.assert_allclose(clock[1:, 7], gaps - np.median(gaps), atol=2e-5)
            np.testing.assert_allclose(clock[:, 8], np.log1p(200 + case - time[at]), atol=2e-5)
            # facts of the group
            back = 200 + case - time[at]
            months = np.bincount((back // 30).astype(int), value[at], int(back.max() // 30) + 1)
            slope = np.polyfit(-np.arange(len(months)), months, 1)[0] / months.mean() if len(months) > 1 else 0.0
            facts = encoded.stats[g] * books.scales["stats"][1] + books.scales["stats"][0]
            expected = [np.log1p(len(at)), np.log1p(value[at].sum()), np.clip(slope, -3, 3), np.log1p(back.min())]
            np.testing.assert_allclose(facts[:4], expected, atol=2e-4)


def test_the_network_is_that_of_its_equations():
    """One person, merchant by merchant, by hand from the weights."""
    built = LBSF(**SMALL, waves=3)
    encoded, books = encode(built, built.cases(opened(*lending(5))), None)
    network = FoldedNetwork(built, books, 0, True, 3).eval()
    batch = Reader(encoded, network).take(np.arange(5))
    with torch.no_grad():
        logit, share = network(batch)
        x = network.payments(batch)
        states = network.states(x, batch)
        found = network.merchants(x, states, batch)
        waves = torch.sin((torch.exp(batch.when) - 1)[:, None] * network.turn + network.shift)
        time = torch.cat([batch.fields.numbers["time"], waves], 1)
        fields = replace(batch.fields, numbers={**batch.fields.numbers, "time": time})
        torch.testing.assert_close(x, network.fields(fields))
        assert network.turn.detach().numpy() == pytest.approx(2 * np.pi / np.array([1.0, 180**0.5, 180.0]), rel=1e-5)
        for g in range(int(batch.cases[1])):
            a, b = int(batch.groups[g]), int(batch.groups[g + 1])
            gates = network.fields.gate(torch.zeros(1, network.fields.gate.in_features))
            assert torch.equal(2 * torch.sigmoid(gates), torch.ones_like(gates))  # gates begin at 1
            h = network.encoder(x[a:b], torch.tensor([0, b - a]), batch.step[a:b])
            score = torch.tanh(network.look(torch.cat([h, batch.when[a:b, None]], 1))) @ network.ask.weight.T
            torch.testing.assert_close(states[a:b], h)
            v = (score.softmax(0) * h).sum(0) + x[a:b].mean(0) + network.facts(batch.stats[g])
            for name in ("item", "category"):
                v = v + network.fields.tables[name].weight[batch.static[name][g]]
            z = network.norm(v)
            deep = torch.nn.functional.gelu(network.up(z), approximate="tanh")
            torch.testing.assert_close(found[g], network.read(z + network.down(deep)))
        members = found[: int(batch.cases[1])]
        whole, mine = network.sets(members, torch.tensor([0, len(members)]))
        torch.testing.assert_close(share[: len(members)], mine)
        assert float(mine.sum()) == pytest.approx(1, abs=1e-6)
        expected = network.head(torch.cat([whole, members.amax(0, keepdim=True), batch.profile[:1]], 1))
        torch.testing.assert_close(logit[:1], expected)
    z, y = torch.tensor([0.3, -1.2]), torch.tensor([1.0, 0.0])
    p = torch.sigmoid(z)
    hard = -((1 - p[0]) ** 2 * p[0].log() * 3 + p[1] ** 2 * (1 - p[1]).log()) / 2 / 1.5
    torch.testing.assert_close(focal(z, y, 2.0, 3.0), hard)


def test_hidden_names_are_those_of_whole_merchants():
    built = LBSF(**SMALL)
    encoded, books = encode(built, built.cases(opened(*lending(40))), None)
    batch = Reader(encoded, FoldedNetwork(built, books, 0, True, 3)).take(np.arange(40))
    torch.manual_seed(0)
    found, sizes = hidden(batch, 0.7), batch.groups.diff()
    gone = (found.static["item"] == 0) & (batch.static["item"] > 0)
    assert 0.55 < float(gone.float().mean()) < 0.85
    kept = ~gone.repeat_interleave(sizes)
    assert torch.equal(found.fields.codes["item"], batch.fields.codes["item"] * kept)
    assert torch.equal(found.static["category"], batch.static["category"])
    assert torch.equal(found.fields.codes["category"], batch.fields.codes["category"])
    assert hidden(batch, 0.0) is batch
    one = {**SMALL, "epochs": 1, "category": "item"}  # the name is all that there is
    log = opened(*lending(40))
    risks = [LBSF(**one, hide=h).fit(log, seed=1).assess(log)["risk"].to_numpy() for h in (0.0, 0.9)]
    np.testing.assert_array_equal(*risks)


def test_texts_hashed_once_are_those_hashed_anew():
    texts = ["monthly rent", None, "lottery slips", ""]
    once, places = Texts.of(texts, 64), np.array([2, 1, 2, 0, 3])
    taken, anew = once.take(places), Texts.of([texts[i] for i in places], 64)
    assert torch.equal(taken.grams, anew.grams)
    assert torch.equal(taken.offsets, anew.offsets)


def test_the_next_payment_is_told_from_the_state_before_it():
    """Against a loop over merchants; payments of one moment are not each other's next."""
    events, users = lending(4)
    twice = events.slice(3, 1)
    built = LBSF(**SMALL)
    encoded, books = encode(built, built.cases(opened(pa.concat_tables([events, twice]), users)), None)
    network = FoldedNetwork(built, books, 0, True, 3).eval()
    batch = Reader(encoded, network).take(np.arange(4))
    with torch.no_grad():
        payments = network.payments(batch)
        states = network.states(payments, batch)
        losses = []
        for a, b in pairwise(batch.groups.tolist()):
            for row in range(a + 1, b):
                if batch.step[row] != batch.step[row - 1]:
                    gap, size = batch.fields.numbers["time"][row, 6], batch.fields.numbers["amount"][row, 3]
                    off = (network.next(states[row - 1]) - torch.stack([gap, size])).abs()
                    losses += torch.where(off < 1, off**2 / 2, off - 0.5).tolist()
        assert len(losses) == 2 * (len(events) - int(np.diff(encoded.folded.cases).sum()))
        assert float(network.surprise(states, batch)) == pytest.approx(np.mean(losses), rel=1e-5)
        # a later payment changes no earlier state
        numbers = {n: b.clone() for n, b in batch.fields.numbers.items()}
        last = int(batch.groups[1]) - 1
        numbers["amount"][last] += 5
        other = batch._replace(fields=replace(batch.fields, numbers=numbers))
        moved = (network.states(network.payments(other), other) - states).abs().amax(1) > 0
        assert moved.nonzero().ravel().tolist() == [last]


def test_training_stops_by_the_loss_of_what_is_told():
    label = np.r_[np.zeros(40), np.ones(10)]
    z = np.random.default_rng(0).normal(label, 1.0)
    base = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
    told = LBSF()
    found = _loss(told, z, label, 4.0)
    assert 0 < found < 0.7 * base
    assert _loss(told, 30 * z + 7, label, 4.0) == pytest.approx(found, rel=1e-6)  # however sure it is of itself
    assert _loss(told, -z, label, 4.0) == pytest.approx(base)
    assert _loss(told, z, 0 * label, 4.0) == pytest.approx(np.logaddexp(0, z).mean() / 1.6)  # nothing to calibrate by
    plain = (np.where(label > 0, 4.0, 1.0) * np.logaddexp(0, np.where(label > 0, -z, z))).mean() / 1.6
    assert _loss(LBSF(probabilities="raw"), z, label, 4.0) == pytest.approx(plain)


@pytest.mark.parametrize("seed", [2, 3])
def test_every_seed_learns(cut, seed):
    built = LBSF(**SMALL).fit(cut.train, cut.valid, seed=seed)
    assert built.fitted.facts["validation loss, as a share of that of the bad rate alone"] < 0.8
    assert 1 <= built.fitted.facts["epoch that was kept"] <= SMALL["epochs"]
    said = built.assess(cut.test)
    assert auc(outcome(cut.log, said), said["risk"].to_numpy()) > 0.85


def reordered(encoded, order):
    """The same with groups in another order."""
    old = encoded.folded
    rows = np.concatenate([np.arange(old.groups[g], old.groups[g + 1]) for g in order])
    folded = replace(
        old, rows=old.rows[rows], groups=np.append(0, np.cumsum(old.lengths[order])), key=old.key[order],
        pooled=old.pooled[order],
    )  # fmt: skip
    return replace(
        encoded, folded=folded, codes={n: c[rows] for n, c in encoded.codes.items()},
        numbers={n: b[rows] for n, b in encoded.numbers.items()}, text=encoded.text[rows], step=encoded.step[rows],
        when=encoded.when[rows], stats=encoded.stats[order], static={n: c[order] for n, c in encoded.static.items()},
    )  # fmt: skip


def test_the_order_of_merchants_says_nothing_and_that_of_payments_says_all(cut, fitted):
    encoded, logit, _ = judge(fitted, fitted.fitted, fitted.cases(cut.test))
    cases = encoded.folded.cases
    order = np.concatenate([np.arange(a, b)[::-1] for a, b in pairwise(cases)])
    turned, _ = judged(fitted.fitted.network, reordered(encoded, order), 64)
    np.testing.assert_allclose(turned, logit, atol=1e-6 * np.abs(logit).max())
    said = fitted.assess(cut.test)
    assert auc(outcome(cut.log, said), said["risk"].to_numpy()) > 0.9
    # the same payments at the same moments, amounts of each merchant the other way round
    table = cut.test.table()
    value = table["value"].to_numpy().copy()
    for user in set(table["user"].to_pylist()):
        at = np.flatnonzero((table["user"].to_numpy() == user) & (np.array(table["item"].to_pylist()) == "lender"))
        value[at] = value[at][::-1]
    names = ("user", "item", "time", "category", "description")
    other = Log.open(pa.table({**{n: table[n] for n in names}, "value": value}), users=cut.log.users)
    assert auc(outcome(cut.log, said), fitted.assess(other)["risk"].to_numpy()) < 0.2


def test_reasons_name_the_merchant_and_what_changed_there(cut, fitted):
    told = replace(fitted, why="attention")
    told.fitted = fitted.fitted
    said = told.assess(cut.test)
    for row in said.slice(0, 10).to_pylist():
        named = {r["what"]: r["value"] for r in row["reasons"]}
        assert set(named) <= {"lender (loan)", "shop 0 (shop)", "shop 1 (shop)"}
        assert "amounts" in named["lender (loan)"]
        assert row["reason"].startswith(f"Looks most at {row['reasons'][0]['what']} (")
    at = np.arange(8) * 7 * DAY + 12 * DAY // 24
    assert _change(at, np.array([1.0, 1, 1, 1, 3, 3, 3, 3])) == "amounts rose from 1 to 3 on average, over 8 payments"
    assert "grew longer, from 7.0 to 14.0 days" in _change(np.cumsum([7, 7, 7, 7, 14, 14, 14, 14]) * DAY, None)
    assert "night went from 0% to 100%" in _change(at + np.repeat([0, 12 * DAY // 24], 4), np.ones(8))
    assert _change(at[:2], np.ones(2)) == "2 payments of 1 on average, too few to tell a change"


def test_reasons_say_what_the_answer_would_be_without_a_merchant(cut, fitted):
    """Against logs in which the merchant's payments are not there; facts of the others stay as they are."""
    encoded, logit, _ = judge(fitted, fitted.fitted, fitted.cases(cut.test))
    by = moved(fitted.fitted.network, encoded, 64)
    share, _ = missed(fitted, fitted.fitted, encoded)
    cases = encoded.folded.cases
    np.testing.assert_allclose(np.add.reduceat(share, cases[:-1]), 1, rtol=1e-5)
    left = np.delete(np.arange(len(by)), cases[:-1])  # the first of each person is gone
    fewer = reordered(encoded, left)
    fewer = replace(fewer, folded=replace(fewer.folded, cases=cases - np.arange(len(cases))))
    other, _ = judged(fitted.fitted.network, fewer, 64)
    np.testing.assert_allclose(by[cases[:-1]], logit - other, atol=1e-5)
    said = fitted.assess(cut.test)
    for row in said.slice(0, 10).to_pylist():
        first = row["reasons"][0]
        assert row["reason"] == f"Most depends on {first['what']}, which {first['value']}."
        assert first["value"].startswith(("raises the risk: ", "lowers the risk: "))
    lone = fitted.cases(cut.test.where("item == 'lender'"))
    alone = judge(fitted, fitted.fitted, lone)[0]
    assert np.isfinite(moved(fitted.fitted.network, alone, 64)).all()  # without the only one nobody is left


def test_payments_behind_the_decision_are_refused_or_cut(cut, fitted):
    events, users = lending(40)
    late = events.slice(0, 1).set_column(2, "time", stamps([500]))
    leaking = opened(pa.concat_tables([events, late]), users)
    with pytest.raises(LeakError, match=r"1 events .* of 0 \(1\)"):
        LBSF(**SMALL).fit(leaking)
    built = LBSF(**{**SMALL, "epochs": 1}, leak="cut").fit(leaking)
    assert built.fitted.facts["payments behind decisions, cut in training"] == 1
    plain = LBSF(**{**SMALL, "epochs": 1}).fit(opened(events, users))
    risks = [m.assess(log)["risk"].to_numpy() for m, log in ((built, leaking), (plain, opened(events, users)))]
    np.testing.assert_array_equal(*risks)


def test_what_is_not_known_trains_nobody_and_is_counted():
    events, users = lending(60)
    label = users["default"].to_numpy().copy()
    label[::3] = np.nan
    censored = users.set_column(2, "default", pa.array(label, mask=np.isnan(label)))
    built = LBSF(**{**SMALL, "epochs": 1}).fit(opened(events, censored))
    facts = built.fitted.facts
    assert facts["outcome not known, left out"] == 20
    assert facts["people learned from"] + facts["people held out"] == 40
    # the same whatever stands where the outcome is not known: it is never taken for a no
    kept = [i for i in range(60) if i % 3]
    fewer = users.take(kept)
    other = LBSF(**{**SMALL, "epochs": 1}).fit(opened(events.filter(np.isin(events["user"].to_numpy(), kept)), fewer))
    assert other.fitted.facts["people learned from"] == facts["people learned from"]


def test_odd_payments_are_answered(fitted):
    big = opened(*lending(20, scale=1e12))
    ordinary = opened(*lending(20))
    risks = [fitted.assess(log)["risk"].to_numpy() for log in (big, ordinary)]
    assert np.isfinite(risks[0]).all()
    np.testing.assert_array_equal(risks[0][1:], risks[1][1:])  # one person's millions move nobody else
    events, users = lending(20)
    backwards = opened(events.take(np.arange(len(events))[::-1]), users)
    np.testing.assert_allclose(fitted.assess(backwards)["risk"].to_numpy(), risks[1], rtol=1e-6)
    twice = opened(pa.concat_tables([events, events.slice(0, 5)]), users)
    assert b'"payments twice": 5' in fitted.assess(twice).schema.metadata[b"summary"]
    lender = events.filter(np.array(events["item"].to_pylist()) == "lender")
    alone = fitted.assess(opened(lender, users))
    assert [len(r) for r in alone["reasons"].to_pylist()] == [1] * 20
    unknown = fitted.assess(Log.open(events))  # no side table: judged behind the last event
    assert len(unknown) == 20


def test_nothing_before_the_decision_is_said_so():
    events, users = lending(40)
    built = LBSF(**{**SMALL, "epochs": 1}, leak="cut").fit(opened(events, users))
    early = users.set_column(1, "decided", stamps([1.0] * 40))
    said = built.assess(opened(events, early))
    assert set(said["reason"].to_pylist()) == {
        "There is no payment before the decision; the answer rests on the profile alone."
    }
    assert said["reasons"].to_pylist() == [[]] * 40


def test_other_folds_fields_and_encoders_run():
    events, users = lending(40)
    log = opened(events, users)
    for how in (
        {"fold": "category"}, {"fold": "time", "chunk": 45.0}, {"fold": "random"}, {"fold": "all", "merchants": 1},
        {"encoder": "transformer", "payments": 5}, {"encoder": "mean", "relation": "mean", "peak": False},
        {"waves": 4, "next": 0.0},
        {"fields": ("merchant", "time")}, {"rank": "recency", "merchants": 1, "days": 60.0}, {"focal": 2.0},
        {"probabilities": "isotonic"}, {"balance": False, "profile": ("age", "job")},
    ):  # fmt: skip
        side = users.append_column("age", [np.arange(40.0)]).append_column("job", [["a", "b"] * 20])
        own = opened(events, side) if "profile" in how else log
        risk = LBSF(**{**SMALL, "epochs": 1, **how}).fit(own, seed=1).assess(own)["risk"].to_numpy()
        assert np.isfinite(risk).all()
        assert ((risk >= 0) & (risk <= 1)).all()


def test_wrong_options_and_logs_are_told():
    events, users = lending(12)
    for wrong, told in (
        ({"fields": ("amounts",)}, "amounts"), ({"dim": 9}, "heads divide dim"), ({"next": -1.0}, "0 or more"),
        ({"hide": 1.5}, "at most 1"),
        ({"profile": ("default",)}, "profile"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=told):
            LBSF(**wrong)
    with pytest.raises(RolesError, match="no side table of users"):
        LBSF().fit(Log.open(events))
    with pytest.raises(RolesError, match="Did you mean 'category'"):
        LBSF(fold="categorie").fit(opened(events, users))
    with pytest.raises(RolesError, match="profile: the users' side table has no column 'ag'"):
        LBSF(profile=("ag",)).fit(opened(events, users.append_column("age", [np.arange(12.0)])))
    same = users.set_column(2, "default", pa.array([0.0] * 12))
    with pytest.raises(OptionError, match="all of one kind"):
        LBSF().fit(opened(events, same))
