import numpy as np
import pytest
import torch
from tests.nn.slate_log import DAY, catalogue, log, random_log

from ethogram.errors import OptionError, StepError
from ethogram.evaluate.calibration import ece
from ethogram.log import Log
from ethogram.nn.interest import Pooled
from ethogram.nn.occurrences import occurrences
from ethogram.nn.slates import Learning, SlateNetwork, batches, fit, score, weights
from ethogram.nn.weighing import offsets_of


def network(features, **shape):
    return SlateNetwork(features, Pooled, **{"dim": 4, "side": 2, "hidden": (8,), **shape})


def test_offset_is_the_log_of_what_a_negative_counts_over_what_a_positive_counts():
    slates = [[(1, 1), (0, 5), (0, 5)], [(0, 3), (0, 3)], [(1, 1)], [(1, 2), (0, 8)], [(1, 1), (0, 1)]]
    rows = [
        ("u", i + 1, day, float(label), day, float(weight))
        for day, slate in enumerate(slates)
        for i, (label, weight) in enumerate(slate)
    ]
    asked = log(rows).questions("slates")
    up, down = 5 / 4, 25 / 6  # mean weights of all positives and all negatives, for slates that lack one
    expected = np.log([5, 5, 5, 3 / up, 3 / up, down, 4, 4, 1, 1])
    np.testing.assert_allclose(offsets_of(asked), expected, rtol=1e-6)


def test_batches_hold_every_question_once_and_find_its_own_labels():
    made = random_log(users=40)
    asked = made.questions("slates")
    whole = made.features().encode(asked)
    time = np.repeat(asked.histories.time, np.diff(asked.candidates.flat(len(asked))[1]))
    label = dict(zip(zip(time, asked.candidates.items, strict=True), asked.label, strict=True))
    assert len(label) == len(asked.label)
    parts = list(batches(whole, Learning(pairs=12, tokens=60), np.random.default_rng(0)))
    met = []
    for part in parts:
        rows, ends = part.candidates.flat()
        when = np.repeat(part.time, np.diff(ends))
        for key in zip(when, part.candidates.item[rows] - 1, whole.label[rows], strict=True):
            assert label[key[:2]] == key[2]
            met.append(key[:2])
    assert sorted(met) == sorted(label)
    assert len(parts) > 10


def test_labels_are_learned_beside_their_own_candidates():
    rng = np.random.default_rng(1)
    rows = []
    for s in range(300):  # of each slate the odd items are taken, and the slates differ in size and in history
        for i in rng.choice(10, int(rng.integers(1, 7)), replace=False):
            rows.append((f"u{s % 30}", int(i), s / 10, float(i % 2), s, 1.0))
    asked = log(rows).questions("slates")
    features = log(rows).features()
    net = network(features)
    fit(net, features, asked, Learning(epochs=25, lr=0.02, pairs=64))
    made = score(net, features.encode(asked))
    assert ((made > 0.5) == (asked.label > 0.5)).all()


def test_probabilities_of_the_full_task_from_sampled_negatives():
    rng = np.random.default_rng(2)
    rates = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.5])
    keep = 0.2  # share of the negatives that are kept, so that each stands for five

    def shown(slates, sampled, first=0):
        for s in range(slates):
            for i, rate in enumerate(rates):
                label = float(rng.random() < rate)
                if label or not sampled or rng.random() < keep:
                    weight = 1 / keep if sampled and not label else 1.0
                    yield f"u{s % 50}", i, first + s / 100, label, first + s, weight

    train, full = log(shown(6_000, True)), log(shown(3_000, False, 7_000)).questions("slates")
    features = train.features()
    net = network(features, cross="none")
    fit(net, features, train.questions("slates"), Learning(epochs=6, lr=0.01, pairs=512))
    made = score(net, features.encode(full))
    by_item = np.array([made[full.candidates.items == i].mean() for i in range(len(rates))])
    of_sample = rates / (rates + (1 - rates) * keep)
    assert np.abs(by_item - rates).max() < 0.035
    assert (np.abs(by_item - rates) < 0.5 * np.abs(by_item - of_sample)).all()
    assert ece(full.label, made) < 0.02
    assert ece(full.label, of_sample[full.candidates.items]) > 0.15


def test_scores_do_not_depend_on_the_block():
    made = random_log()
    features = made.features()
    net, batch = network(features), features.encode(made.questions("slates"))
    whole = score(net, batch)
    np.testing.assert_allclose(score(net, batch, tokens=7), whole, rtol=1e-5)
    assert np.ptp(whole) > 0


def test_occurrences_count_each_event_and_each_candidate_once():
    items = catalogue(4)
    rows = [("u", 1, 1, None, None, None), ("u", 2, 2, None, None, None), ("w", 1, 1, None, None, None)]
    rows += [("u", 3, 3, 1.0, 1, 1.0), ("u", 1, 4, 0.0, 2, 1.0), ("u", 4, 4, 1.0, 2, 1.0), ("v", 3, 1, 0.0, 3, 1.0)]
    made = log(rows, items)
    features = made.features()
    counts = occurrences(features, features.encode(made.questions("slates")))
    # u's two events stand before two questions and count once; w is never asked, so w's event does not count
    known = dict(zip(features.vocabularies["item"].ids.to_pylist(), counts["item"][2:], strict=True))
    assert known == {1: 2, 2: 1, 3: 2, 4: 1}
    categories = dict(
        zip(features.vocabularies["item.category"].ids.to_pylist(), counts["item.category"][2:], strict=True)
    )
    assert categories == {"c0": 2, "c1": 1, "c2": 2, "c3": 1}
    tags = dict(zip(features.vocabularies["item.tags"].ids.to_pylist(), counts["item.tags"][2:], strict=True))
    # item 1 has none, 2: t1 t1, 3: t2 t0, 4: t0 t1
    assert tags == {"t0": 3, "t1": 3, "t2": 2}


def test_popularity_is_that_before_the_question_in_training_and_all_of_it_later():
    from ethogram.nn.prior import Prior

    rows = [(u, i, day, None, None, None) for u, i, day in (("a", 1, 1), ("b", 1, 2), ("a", 2, 2), ("b", 1, 5))]
    rows += [("a", 1, 1, 1.0, 1, 1.0), ("a", 2, 3, 0.0, 2, 1.0), ("a", 1, 3, 0.0, 2, 1.0), ("b", 3, 9, 1.0, 3, 1.0)]
    made = log(rows)
    features = made.features()
    batch = features.encode(made.questions("slates"))
    told = Prior(features, made)

    def x(n, total):
        return np.log((n + 1) / (total / 3 + 1))  # three items are known

    at = {(int(t) // 10**6, int(i)): v for t, i, v in zip(
        np.repeat(batch.time, np.diff(batch.candidates.flat()[1])), batch.candidates.item - 1, told.before(batch),
        strict=True)}  # fmt: skip
    start = 1_700_000_000
    assert at[start + DAY, 0] == pytest.approx(x(0, 0))  # the event of the same moment is not before it
    assert at[start + 3 * DAY, 1] == pytest.approx(x(1, 3))
    assert at[start + 3 * DAY, 0] == pytest.approx(x(2, 3))
    assert at[start + 9 * DAY, 2] == pytest.approx(x(0, 4))
    np.testing.assert_allclose(told.last, [x(0, 4), x(0, 4), x(3, 4), x(1, 4), x(0, 4)], rtol=1e-6)


def test_a_log_without_time_tells_no_popularity():
    import pyarrow as pa

    from ethogram.nn.prior import Prior

    table = pa.table({"user": ["a", "a"], "item": [1, 2], "order": [0, 1], "label": pa.array([0.0, 1.0], pa.float32())})
    made = Log.open(table)
    told = Prior(made.features(), made)
    assert not told.last.any()
    assert not told.before(made.features().encode(made.questions("slates"))).any()


def test_weights_belong_to_the_events_of_each_question():
    made = random_log()
    features = made.features()
    asked = made.questions("slates")
    found, rows = weights(network(features), features.encode(asked))
    lengths = np.repeat(asked.histories.lengths, np.diff(asked.candidates.flat(len(asked))[1]))
    assert found.lengths.tolist() == lengths.tolist()
    assert len(rows) == asked.histories.lengths.sum()
    ends = np.cumsum(lengths)
    for a, b in zip(ends - lengths, ends, strict=True):
        assert found.values[a:b].sum() == pytest.approx(1.0 if b > a else 0.0)


def test_nothing_to_learn_from_is_said():
    made = random_log()
    features = made.features()
    with pytest.raises(OptionError, match="asks no question"):
        fit(network(features), features, made.questions("slates")[slice(0, 0)], Learning())


@pytest.mark.parametrize(
    ("labels", "weights", "told"),
    [
        ([0, 1, 2], [1, 1, 1], "a label is 2; a ranker learns from answers that are 0 or 1"),
        ([0.5, 1, 0], [1, 1, 1], "a label is 0.5"),
        ([1, 1, 1], [1, 1, 1], "all 3 labels of the training slates are equal"),
        ([0, 1, 0], [0, 0, 0], "have no weight"),
        ([0, 1, 0], [0, 1, 0], "have no weight"),
    ],
)
def test_answers_that_teach_nothing_are_refused(labels, weights, told):
    made = log([("a", i, i, float(y), i, float(w)) for i, (y, w) in enumerate(zip(labels, weights, strict=True))])
    features = made.features()
    with pytest.raises(StepError, match=told):
        fit(network(features), features, made.questions("slates"), Learning())


def test_one_question_with_empty_history_can_be_learned_with_attention():
    from ethogram.nn.attention import TargetAttention
    from ethogram.nn.interest import Attended

    made = log([("a", 1, 1, 1.0, 1, 1.0), ("b", 2, 2, 0.0, 2, 1.0), ("c", 2, 3, 0.0, 3, 1.0)])
    features = made.features()
    net = SlateNetwork(features, lambda w: Attended(TargetAttention(w, act="dice"), mean=True), dim=4, hidden=(4,))
    fit(net, features, made.questions("slates"), Learning(epochs=2))
    assert torch.isfinite(torch.from_numpy(score(net, features.encode(made.questions("slates"))))).all()
