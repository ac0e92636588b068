"""The attack's losses by hand, the service and its defences, what is grown, and the audit as a whole."""

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import numpy as np
import pytest

from ethogram import data
from ethogram.errors import EthogramError, OptionError, ServiceDown
from ethogram.lm.auditing import audit
from ethogram.lm.blocking import run
from ethogram.log import Vocabulary
from ethogram.system import system

torch = pytest.importorskip("torch")
from ethogram.audit.model_extraction.attack import traces  # noqa: E402
from ethogram.audit.model_extraction.copying import Copy, Taught  # noqa: E402
from ethogram.audit.model_extraction.detecting import MU, Detector, Frequencies, Watched, groups  # noqa: E402
from ethogram.audit.model_extraction.growing import closeness, determinant, grow  # noqa: E402
from ethogram.audit.model_extraction.service import Defence, Service, marked, ranking  # noqa: E402
from ethogram.audit.model_extraction.target import made  # noqa: E402
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


FOLLOWING = ranking(Following().score, ITEMS)


def service(kind="none", k=10, **more):
    return Service(FOLLOWING, ITEMS, k, Defence(kind, **more), seed=3)


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
    two = service("budget", budget=1).query(np.array([[1], [2], [3]]), np.array([0, 1, 0]))
    assert (two[:, 0] >= 0).tolist() == [True, True, False], "a budget is an account's"
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

    share, _, p = marked(ranking(copied, ITEMS), spy.secret, prefixes)
    assert share == 1
    assert p < 1e-3
    # of models that never saw the mark, all of which like the same items, p is even
    liked = rng.gumbel(size=30) * 2
    clean = []
    for s in range(200):
        drawn = ranking(lambda h, c, s=s: liked + np.random.default_rng(s).gumbel(size=(len(h), 30)), ITEMS)
        secret = Service(FOLLOWING, ITEMS, defence=Defence("watermark", triggers=0.5), seed=s).secret
        clean.append(marked(drawn, secret, prefixes, seed=s, draws=99)[2])
    assert np.mean(np.array(clean) <= 0.05) <= 0.09
    assert np.mean(np.array(clean) <= 0.5) == pytest.approx(0.5, abs=0.11)


def test_what_is_grown():
    real = [np.arange(a, a + 8) % 30 for a in range(0, 30, 3)]
    own = Copy(ITEMS, dim=8, seed=1).follow(real, epochs=8)
    for kind in ("full", "list", "pool", "data-free", "random", "popular", "no pieces"):
        asked = service(k=5)
        made = grow(asked, kind, real, sequences=20, steps=6, own=own, seed=2)
        assert made.lists.shape == (19 if kind in ("full", "no pieces") else 20, 6, 5)
        assert asked.queries == 120, "every query counts, those that fit rho too"
        if kind not in ("random", "popular"):
            assert all(len(set(s)) == 6 for s in made.sequences.tolist()), "no item twice"
        steps = (np.diff(made.sequences) % 30 == 1).all(1)
        if kind == "list":
            # after its piece of a real sequence every item comes from a list; real ones here are in the lists, too
            assert all(b in lists for s, t in zip(made.sequences, made.lists, strict=True)
                       for b, lists in zip(s[1:], t[:-1].tolist(), strict=True))  # fmt: skip
        if kind in ("data-free", "random", "popular"):
            assert steps.mean() < 0.3, "nothing real is read"
    twice = [grow(service(k=5), "full", real, sequences=20, steps=6, own=own, seed=2).sequences for _ in range(2)]
    np.testing.assert_array_equal(*twice)
    weights = determinant(service(k=5), own, real, np.random.default_rng(0))
    assert weights[0] > 1, "true next items are always in this service's lists"


def test_values_of_queries_by_hand():
    known = Frequencies.of([np.array([0, 1, 2]), np.array([0, 1])], 4)
    p = np.array([3, 3, 2, 1]) / 9
    np.testing.assert_allclose(known.values(np.array([2])), (np.log(p[2]), 0))
    wanted = (np.log(p[1]), np.log((2 + MU * p[1]) / (2 + MU)) - np.log(p[1]))
    np.testing.assert_allclose(known.values(np.array([3, 0, 1])), wanted)
    queries = [np.array(q) for q in ([0], [0, 1], [0, 1, 2], [3], [0, 1], [0, 2], [1, 2, 3], [3, 0], [3, 0, 1], [2])]
    lists = np.full((10, 3), -1)
    lists[0], lists[1] = [1, 2, 3], [3, 2, 0]  # so 1 came first of its list, 2 second of two lists
    found = groups("prefixes", known, queries, lists)
    early = (1 + 1 / np.log2(3) + 1 + 1 / np.log2(3)) / 10
    np.testing.assert_allclose(found, [[6 / 10, 4 / 10, early, 1 / 10]])
    again = groups("anomaly", known, queries, lists)[0, 2]
    assert again == pytest.approx(6 / 10), "of ten last items four are new"


def test_a_detector_refuses_who_is_not_like_people():
    rng, known = np.random.default_rng(0), Frequencies.of([], 30)

    def person(start):
        whole = np.append(start, rng.choice(30, 19))
        queries = [whole[: t + 1] for t in range(20)]
        return queries, FOLLOWING(queries, 5)

    people = [person(i % 30) for i in range(100)]
    detector = Detector.calibrated("prefixes", known, people, 0.05)
    asked = Service(FOLLOWING, ITEMS, 5, Defence("prefixes", detector=detector))
    made = grow(asked, "data-free", [], sequences=12, steps=8, own=Copy(ITEMS, dim=8), seed=1, spread=6)
    refused = (made.lists < 0).all(2)
    assert not refused[:, 0].any(), "nobody is refused before ten queries"
    assert refused[:, 4:].all(), "six sequences grown at once from the lists are no person"
    assert asked.refused == refused.sum()
    alone = Watched(detector).refuses(people[0][0], people[0][1], np.zeros(20, int))
    assert not alone.any()


def test_false_alarms_are_those_that_are_meant():
    rng, known = np.random.default_rng(1), Frequencies.of([np.arange(30)], 30)
    people = []
    for heavy in rng.gamma(1.0, 2.0, 400):  # some repeat themselves far more than others
        ends = (30 * rng.random(20) ** (1 + heavy)).astype(int)
        people.append(([np.array([e]) for e in ends], np.full((20, 5), -1)))
    means = [groups("anomaly", known, *p) for p in people]
    rates = []
    for _ in range(20):
        order = rng.permutation(400)
        detector = Detector.calibrated("anomaly", known, [people[i] for i in order[:60]], 0.05)
        rates.append(np.mean([detector.scores(means[i]).max() > detector.threshold for i in order[60:]]))
    assert 0.03 < np.mean(rates) < 0.075


def test_traces_are_told_apart_by_account():
    made = Taught(np.arange(12).reshape(3, 4), np.arange(24).reshape(3, 4, 2))
    queries, lists = traces(made, 2)[0]
    assert [q.tolist() for q in queries[:3]] == [[0], [4], [0, 1]]
    np.testing.assert_array_equal(lists[:3], [[0, 1], [8, 9], [2, 3]])
    assert len(traces(made, 2)[1][0]) == 4


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
    sequences = rng.integers(0, 30, (80, 4))
    lists = np.stack([asked.query(sequences[:, : t + 1]) for t in range(4)], 1)
    copy = Copy(ITEMS, kind, dim=16, seed=1).imitate(Taught(sequences, lists), epochs=20, repair=0.5)
    fresh = rng.integers(0, 30, (40, 4))
    mine, theirs = copy.lists(fresh, 5), FOLLOWING(fresh, 5)
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


def test_the_report_has_intervals_defences_and_detectors():
    more = {"attacks": ("full",), "defences": ("truncate", "prefixes"), "shown": 3, "spread": 10, "tests": 40}
    built = system("model_extraction", **{**QUICK, **more})
    report = run(audit(built, built.planted()[0].lm))
    assert report.verdict == "fail", "the same for everybody is soon copied"
    assert "of the defences" in report.why
    for name in ("full", "full: hit@10", "full: prefixes AUC", "full against truncate"):
        value, low, high = report.metrics[name]
        assert low <= value <= high, name
    assert report.metrics["full: hit@10"][1] < report.metrics["full: hit@10"][2]
    cut, refused = (report.contrasts[f"full against {d} − none"] for d in ("truncate", "prefixes"))
    assert cut[2] < 0, "three of ten are shown"
    assert refused[0] < 0
    assert report.metrics["full against prefixes: refused"][0] > 0
    found, low, high = report.metrics["full: prefixes found"]
    assert (found, high) == (1, 1)
    n = 6  # accounts
    assert low == pytest.approx(n / (n + 1.96**2)), "Wilson's interval"


def test_the_picture_has_a_line_for_each_defence():
    pytest.importorskip("altair")
    from ethogram.audit.model_extraction.picture import spread

    more = {"attacks": ("full",), "defences": ("truncate",), "shown": 3, "spread": 10, "tests": 30, "passes": 1}
    built = system("model_extraction", **{**QUICK, **more, "curve": (0.5,)})
    report = run(audit(built, built.planted()[0].lm))
    ((draw, reading),) = report.pictures.values()
    told = draw().to_dict()["layer"][0]["data"]["values"]
    assert [(d["label"], d["queries"]) for d in told] == [
        ("no defence", 180.0), ("no defence", 360.0), ("truncate", 180.0), ("truncate", 360.0)
    ]  # fmt: skip
    assert told[1]["agreement"] == pytest.approx(report.metrics["full"][0])
    assert "refused" in reading.lower()
    np.testing.assert_allclose(np.diff(sorted(spread([1.0, 1.0, 5.0], 0.5))), [0.5, 3.5], atol=0.2)


class Answers(BaseHTTPRequestHandler):
    """A service whose lists are those of `Following`; every other time it is busy."""

    busy = False

    def log_message(self, *told):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Answers.busy = not Answers.busy
        code, told, last = 200, {}, int(asked["history"][-1])
        if asked.get("model") == "nobody":
            code, told = 404, {"detail": "There is no model of that name."}
        elif Answers.busy:
            code = 503
        else:
            names = [100 + (last - 100 + 1 + i) % 30 for i in range(asked["k"])]
            told = {"items": [{"item_id": str(n + (10_000 if asked.get("model") == "other" else 0))} for n in names]}
        body = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after", "0.01")
        self.end_headers()
        self.wfile.write(body)


def test_a_running_service_is_asked(monkeypatch):
    pytest.importorskip("httpx")
    from ethogram.audit.model_extraction.remote import Remote

    monkeypatch.delenv("ETHOGRAM_API_KEY", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        asked = [np.array([3, 4]), np.array([7])]
        monkeypatch.setattr("ethogram.audit.model_extraction.remote.LANES", 1)
        np.testing.assert_array_equal(Remote(url, ITEMS).lists(asked, 5), FOLLOWING(asked, 5))
        with pytest.raises(OptionError, match="no model of that name"):
            Remote(f"{url}#nobody", ITEMS)
        with pytest.raises(OptionError, match="give the data that the service's model learned from"):
            Remote(f"{url}#other", ITEMS)
        server.shutdown()
    with pytest.raises(ServiceDown, match="is it running"):
        Remote(url, ITEMS)


def test_bad_options():
    for wrong in ({"attacks": ("magic",)}, {"defences": ("prayer",)}, {"few": 0.0}, {"growth": 0}):
        with pytest.raises(OptionError, match="model_extraction"):
            system("model_extraction", **{**QUICK, **wrong}).subject("local")
    with pytest.raises(OptionError, match="saved"):
        system("model_extraction", **QUICK).subject("/no/such/folder")
    with pytest.raises(OptionError, match="ml_100k"):
        system("model_extraction", **{**QUICK, "data": "nosuch"}).subject("local")
    tiny = data.load("drift", users=3, items=10, categories=2, events=(1, 1))
    built = system("model_extraction", **QUICK)
    with pytest.raises(EthogramError, match="no events"):
        run(audit(built, made("tiny", FOLLOWING, tiny)))
