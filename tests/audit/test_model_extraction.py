"""The attack's losses by hand, the service and its defences, what is grown, and the audit as a whole."""

import logging
from itertools import pairwise

import numpy as np
import pytest

from ethogram import data
from ethogram.errors import EthogramError, OptionError
from ethogram.lm.auditing import audit
from ethogram.lm.blocking import run
from ethogram.log import Vocabulary
from ethogram.system import system

torch = pytest.importorskip("torch")
from ethogram.audit.model_extraction.copying import Copy, Taught  # noqa: E402
from ethogram.audit.model_extraction.growing import closeness, determinant, grow  # noqa: E402
from ethogram.audit.model_extraction.service import Defence, Service, marked, ranked  # noqa: E402
from ethogram.nn.imitate import list_loss, repair_loss  # noqa: E402

ITEMS = Vocabulary(list(range(100, 130)))
QUICK = {"owner": "the tests", "data": "drift", "sequences": 60, "growth": 6, "passes": 4, "tests": 60, "listed": 20}


class Following:
    """Item i is followed by i + 1, i + 2 ...: a service whose lists are known."""

    def score(self, histories, candidates, context=None):
        places, spans = histories.flat()
        item = np.asarray(histories.item)[places]
        last = np.array([item[b - 1] if b > a else 0 for a, b in pairwise(spans)])
        return -((candidates.items[None] - last[:, None] - 1) % 30).astype(float)


def service(kind="none", k=10, **more):
    return Service(Following().score, ITEMS, k, Defence(kind, **more), seed=3)


def test_losses_by_hand():
    scores = torch.tensor([[3.0, 1.0, 2.0, 0.0, 2.5]], requires_grad=True)
    given, others = torch.tensor([[0, 1, -1]]), torch.tensor([[4, 3, 2]])
    order = max(0, 0.5 - (3 - 1))
    apart = (max(0, 0.5 - (3 - 2.5)) + max(0, 0.5 - (1 - 0))) / 2
    assert float(list_loss(scores, given, others)) == pytest.approx(order + apart)
    # the copy's own two best are 0 and 4: 1 is missed (second place), 4 intrudes
    wanted = np.log1p(np.exp(2.5 - 1.0 + 0.5)) / np.log2(3)
    assert float(repair_loss(scores, given)) == pytest.approx(wanted, rel=1e-5)
    repair_loss(scores, given).backward()
    assert scores.grad[0, 1] < 0 < scores.grad[0, 4]
    assert float(repair_loss(scores, torch.tensor([[0, 4]]))) == 0, "the same set needs no repair"


def test_the_service_ranks_counts_and_defends():
    plain = service()
    lists = plain.query(np.array([[3, 4], [28, 29]]))
    assert lists[0].tolist() == list(range(5, 15))
    assert lists[1].tolist() == list(range(10)), "what the sequence holds is not listed"
    plain.query(np.array([[3, 4]]))
    assert plain.queries == 3, "asked again is asked"
    assert (service("truncate", shown=4).query(np.array([[3]]))[0] >= 0).sum() == 4
    moved = service("shuffle", noise=5.0).query(np.array([[3]]))[0]
    assert sorted(moved) == list(range(4, 14))
    assert moved.tolist() != list(range(4, 14))
    few = service("budget", budget=2)
    said = few.query(np.array([[1], [2], [3]]))
    assert (said[2] == -1).all()
    assert (few.queries, few.refused) == (3, 1)
    spy = service("watermark")
    trigger = int(np.flatnonzero(spy.secret >= 0)[0])
    assert spy.query(np.array([[trigger]]))[0, 0] == spy.secret[trigger]
    other = int(np.flatnonzero(spy.secret < 0)[0])
    np.testing.assert_array_equal(spy.query(np.array([[other]])), plain.query(np.array([[other]])))


def test_a_watermark_is_found_in_who_copied_it_alone():
    spy, rng = service("watermark", triggers=0.5), np.random.default_rng(0)
    prefixes = [rng.choice(30, 3, replace=False) for _ in range(20)]

    def copied(histories, candidates, context=None):
        places, spans = histories.flat()
        item = np.asarray(histories.item)[places]
        rows = [item[a:b] for a, b in pairwise(spans)]
        lists, out = spy.query(rows), np.full((len(rows), 30), -np.inf)
        np.put_along_axis(out, lists, -np.arange(lists.shape[1], dtype=float)[None], 1)
        return out

    share, _, p = marked(copied, ITEMS, spy.secret, prefixes)
    assert share == 1
    assert p < 1e-3
    clean = [marked(lambda h, c, s=s: np.random.default_rng(s).random((len(h), 30)), ITEMS, spy.secret, prefixes)[2]
             for s in range(20)]  # fmt: skip
    assert np.mean(np.array(clean) < 0.05) <= 0.2


def test_what_is_grown():
    real = [np.arange(a, a + 8) % 30 for a in range(0, 30, 3)]
    own = Copy(ITEMS, dim=8, seed=1).learn(real, None, epochs=8)
    for kind in ("full", "list", "pool", "data-free", "random"):
        asked = service(k=5)
        made = grow(asked, kind, real, sequences=20, steps=6, own=own, seed=2)
        assert made.lists.shape == (20, 6, 5)
        extra = asked.queries - 120
        assert extra == (len(real) * 7 if kind == "full" else 0), "every query counts"
        if kind != "random":
            assert all(len(set(s)) == 6 for s in made.sequences.tolist()), "no item twice"
        if kind == "list":
            assert all(b in lists for s, t in zip(made.sequences, made.lists, strict=True)
                       for b, lists in zip(s[1:], t[:-1].tolist(), strict=True))  # fmt: skip
    again = grow(service(k=5), "full", real, sequences=20, steps=6, own=own, seed=2)
    np.testing.assert_array_equal(
        again.sequences, grow(service(k=5), "full", real, sequences=20, steps=6, own=own, seed=2).sequences
    )
    weights = determinant(service(k=5), own, real, np.random.default_rng(0))
    assert weights[0] > 1, "true next items are always in this service's lists"


def test_closeness_by_hand():
    real = [np.array([0, 1, 2]), np.array([0, 1])]
    same = closeness(np.array([[0, 1, 2], [0, 1, 2]]), [np.array([0, 1, 2])], 4)
    assert same == {"items": 0, "transitions": 1, "length": 1}
    other = closeness(np.array([[3, 3]]), real, 4)
    assert other["items"] == pytest.approx(1)
    assert other["transitions"] == 0


@pytest.mark.parametrize("kind", ["sasrec", "gru"])
def test_a_copy_learns_lists(kind):
    asked, rng = service(k=5), np.random.default_rng(0)
    sequences = rng.integers(0, 30, (120, 4))
    lists = np.stack([asked.query(sequences[:, : t + 1]) for t in range(4)], 1)
    copy = Copy(ITEMS, kind, dim=16, seed=1).learn([], Taught(sequences, lists), epochs=25, lr=1e-2)
    fresh = rng.integers(0, 30, (40, 4))
    mine, theirs = ranked(copy.score, ITEMS, fresh, 5), ranked(Following().score, ITEMS, fresh, 5)
    agreement = np.mean([(len(set(a) & set(b))) / 5 for a, b in zip(mine.tolist(), theirs.tolist(), strict=True)])
    assert agreement > 0.6, "chance is 5/30"


def test_nothing_is_asked_without_an_owner_and_the_owner_is_logged(caplog):
    with pytest.raises(OptionError, match="owner"):
        system("model_extraction").subject("local")
    built = system("model_extraction", **{**QUICK, "attacks": ("few-shot only",), "defences": ()})
    subject = built.planted()[0].lm
    unowned = system("model_extraction", **{**QUICK, "owner": " "})
    with pytest.raises(OptionError, match="owner"):
        run(audit(unowned, subject))
    with caplog.at_level(logging.WARNING):
        report = run(audit(built, subject))
    assert "the tests" in caplog.text
    assert any("the tests" in note for note in report.notes)
    assert report.verdict == "inconclusive", "the full attack was not tried"


def test_planted_behaviour_is_recovered():
    more = {"attacks": ("full",), "defences": (), "sequences": 150, "passes": 25, "few": 0.03}
    built = system("model_extraction", **{**QUICK, **more})
    for one in built.planted():
        found = run(audit(built, one.lm)).metrics
        for name, truth in one.truth.items():
            assert abs(found[name][0] - truth) <= one.tolerance, one.name


def test_bad_options():
    for wrong in ({"attacks": ("magic",)}, {"defences": ("prayer",)}, {"few": 0.0}, {"growth": 0}):
        with pytest.raises(OptionError, match="model_extraction"):
            system("model_extraction", **{**QUICK, **wrong}).subject("local")
    with pytest.raises(OptionError, match="saved"):
        system("model_extraction", **QUICK).subject("/no/such/folder")
    tiny = data.load("drift", users=3, items=10, categories=2, events=(1, 1))
    from ethogram.audit.model_extraction.target import made

    built = system("model_extraction", **QUICK)
    with pytest.raises(EthogramError, match="no events"):
        run(audit(built, made("tiny", Following(), tiny)))
