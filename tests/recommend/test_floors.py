"""The floors against hand-computed values, an independent implementation, and permutations that must not matter."""

import numpy as np
import pyarrow as pa
import pytest
from tests.recommend import brute

import ethogram
from ethogram.errors import OptionError, RolesError
from ethogram.log import Candidates, Histories, Log

KEYS = ("popularity", "personal_frequency", "item_knn", "item_knn_decay", "transition_kernel")
FIVE = {"ann": [["a"], ["b"], ["c"]], "bob": [["b"], ["a"]]}
"""Five events. D: a 2, b 2, c 1. T: a->b 1, a->c 1/2, b->c 1, b->a 1."""
ROOT = 2**-0.5


def score(key, people, histories, items, **options):
    system = ethogram.system(key, **options).fit(brute.log_of(people))
    return system.score(histories, Candidates.of(items))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("popularity", [2, 2, 1]),
        ("personal_frequency", [0.95 + 2e-9, 1 + 2e-9, 1e-9]),
        # C: a-b 2/2, a-c and b-c 1/sqrt 2
        ("item_knn", [1 + 2e-9, 1 + 2e-9, 2 * ROOT + 1e-9]),
        ("item_knn_decay", [1 + 2e-9, 0.8 + 2e-9, 1.8 * ROOT + 1e-9]),
        # P: a-b (1 + 1/2)/2 both ways, a->c 1/2 / sqrt 2, b->c 1 / sqrt 2
        ("transition_kernel", [0.75 + 2e-9, 0.8 * 0.75 + 2e-9, (0.8 * 0.5 + 1) * ROOT + 1e-9]),
    ],
)
def test_five_events_by_hand(key, expected):
    found = score(key, FIVE, Histories.of([["a", "b"]]), ["a", "b", "c"])
    np.testing.assert_allclose(found, [expected], rtol=1e-7)


def test_nothing_follows_inside_a_group():
    people = {"ann": [["a", "b"], ["c"]]}
    found = score("transition_kernel", people, Histories.of([["a"], ["c"]]), ["a", "b", "c"], reverse=0.25)
    np.testing.assert_allclose(found, [[1e-9, 1e-9, 1 + 1e-9], [0.25 + 1e-9, 0.25 + 1e-9, 1e-9]], rtol=1e-6)


def test_distance_counts_groups():
    people = {"ann": [["a", "x", "y"], ["b", "z"], ["c"]]}
    found = score("transition_kernel", people, Histories.of([["a"]]), ["b", "c"], gap=2)
    np.testing.assert_allclose(found, [[1, 0.5]], rtol=1e-6)
    assert score("transition_kernel", people, Histories.of([["a"]]), ["c"], gap=1)[0, 0] == pytest.approx(1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("key", "options"),
    [*((k, {"often": False} if "knn" in k else {}) for k in KEYS), ("item_knn", {}), ("item_knn_decay", {})],
)
def test_equals_the_independent_implementation(key, options, seed):
    people = brute.random_people(seed)  # they come back to items, so how often counts unless it is told not to
    log = brute.log_of(people)
    system = ethogram.system(key, **options).fit(log)
    count = brute.counts(people)
    catalogue = sorted(count)
    cosine = brute.cosine(people) if options else brute.count_cosine(people)
    weight, decay, prior = {
        "popularity": ({}, 1.0, 1.0),
        "personal_frequency": ({(a, a): 1.0 for a in catalogue}, 0.95, 1e-9),
        "item_knn": (cosine, 1.0, 1e-9),
        "item_knn_decay": (cosine, 0.8, 1e-9),
        "transition_kernel": (brute.kernel(people), 0.8, 1e-9),
    }[key]
    histories = log.histories()
    found = system.score(histories, Candidates.of(catalogue))
    users = histories.vocabularies["user"].decode(histories.users).to_pylist()
    for user, row in zip(users, found, strict=True):
        expected = brute.scores(people[user], catalogue, weight, {a: prior * c for a, c in count.items()}, decay)
        np.testing.assert_allclose(row, expected, rtol=2e-7)  # weights are held in float32


@pytest.mark.parametrize("key", KEYS)
def test_order_inside_groups_says_nothing(key):
    people = brute.random_people(7, users=20, items=15, size=5)
    rng = np.random.default_rng(0)
    mixed = {user: [list(rng.permutation(group)) for group in groups] for user, groups in people.items()}
    assert mixed != people
    answers = []
    for given in (people, mixed):
        log = brute.log_of(given)
        system = ethogram.system(key).fit(log.split("leave-last-out").train)
        every = Candidates.every(log.vocabulary("item"))
        answers.append((system.score(log.histories(), every), system.recommend(log.histories(), 4, exclude_seen=False)))
    assert np.array_equal(answers[0][0], answers[1][0])
    assert answers[0][1].equals(answers[1][1])


@pytest.mark.parametrize("key", ["item_knn_decay", "transition_kernel"])
def test_stored_order_is_read_where_it_is_the_truth(key):
    people = {"ann": [["a", "b"], ["c", "d"]], "bob": [["b", "d", "a"]]}
    events = {user: [[item] for group in groups for item in group] for user, groups in people.items()}
    log, spelled = brute.log_of(people), brute.log_of(events)
    items = list("abcd")
    stored = ethogram.system(key).fit(log.ties("order"))
    found = stored.score(log.ties("order").histories(), Candidates.of(items))
    expected = ethogram.system(key).fit(spelled).score(spelled.histories(), Candidates.of(items))
    assert np.array_equal(found, expected)
    assert not np.array_equal(ethogram.system(key).fit(log).score(log.histories(), Candidates.of(items)), expected)


@pytest.mark.parametrize("often", [True, False])
@pytest.mark.parametrize("key", ["item_knn", "item_knn_decay"])
def test_scores_through_users_equal_those_from_neighbours(key, often):
    people = brute.random_people(3, users=40, items=30, groups=9)
    log = brute.log_of(people)
    held = ethogram.system(key, often=often).fit(log)
    spared = ethogram.system(key, often=often, memory=0).fit(log)
    assert type(spared.fitted.rows).__name__ == "ThroughUsers"
    every = Candidates.every(log.vocabulary("item"))
    a, b = held.score(log.histories(), every), spared.score(log.histories(), every)
    np.testing.assert_allclose(a, b, rtol=1e-6)
    again = type(spared)(often=often, memory=0).restore(spared.state())
    assert np.array_equal(again.score(log.histories(), every), b)
    some = log.histories()[:3]
    reasons = [s.explain(some, Candidates.of(["i1", "i2"])) for s in (held, spared, again)]
    assert reasons[0].num_rows > 0
    for other in reasons[1:]:
        assert other.drop_columns(["share"]).equals(reasons[0].drop_columns(["share"]))
        np.testing.assert_allclose(other["share"], reasons[0]["share"], rtol=1e-6)


def test_no_rounding_is_left_where_nothing_speaks_for_an_item():
    # users of one item only: through users, each item reaches itself by n equal steps that must cancel entirely
    people = {f"{n}-{u}": [[f"z{n}"]] for n in range(1, 40) for u in range(n)}
    people["other"] = [["x", "y"]]
    items = [f"z{n}" for n in range(1, 40)]
    found = score("item_knn_decay", people, Histories.of([items]), items, memory=0)
    assert np.array_equal(found[0], 1e-9 * np.arange(1, 40))


def test_neighbours_are_cut_to_the_strongest():
    people = brute.random_people(1, users=30, items=12)
    log = brute.log_of(people)
    cosine = brute.cosine(people)
    cut = ethogram.system("item_knn", neighbours=2, often=False).fit(log)
    assert cut.fitted.rows.cap == 2
    catalogue = sorted(brute.counts(people))
    found = cut.score(Histories.of([[a] for a in catalogue]), Candidates.of(catalogue))
    for a, row in zip(catalogue, found, strict=True):
        # ties of cosine go to the smaller code, and codes of text ids ascend with the ids
        strongest = sorted((b for b in catalogue if (a, b) in cosine), key=lambda b: (-np.float32(cosine[a, b]), b))[:2]
        assert {b for b, s in zip(catalogue, row, strict=True) if s > 1e-6} == set(strongest)


def test_transitions_are_cut_to_the_memory():
    people = brute.random_people(2, users=60, items=40, groups=12)
    log = brute.log_of(people)
    full = ethogram.system("transition_kernel").fit(log)
    tight = ethogram.system("transition_kernel", memory=0).fit(log)
    assert full.fitted.rows.cap is None
    assert tight.fitted.rows.cap == 1
    assert np.diff(tight.fitted.rows.offsets).max() == 1


@pytest.mark.parametrize("key", KEYS)
def test_strangers_and_strange_items_are_answered(key):
    system = ethogram.system(key).fit(brute.log_of(FIVE))
    asked = Histories.of([[], ["nobody knows this"], ["a", "nobody knows this"]])
    found = system.score(asked, Candidates.of(["c", "unheard of"]))
    assert (found[:, 1] == 0).all()
    assert (found[:, 0] > 0).all()
    assert found[0, 0] == found[1, 0]
    table = system.recommend(asked, 2)
    assert table["status"].to_pylist() == ["cold"] * 2 + ["warm"] * 4
    assert table["item"].to_pylist()[:2] == ["a", "b"]  # popularity, ties by code


def test_reasons_share_out_the_score():
    people = brute.random_people(5, users=30, items=10, groups=6)
    log = brute.log_of(people)
    system = ethogram.system("transition_kernel").fit(log)
    p = brute.kernel(people)
    user = next(u for u, groups in people.items() if len(groups) >= 4)
    groups = people[user]
    histories = log.histories()
    place = histories.vocabularies["user"].decode(histories.users).to_pylist().index(user)
    one = histories[place : place + 1]
    table = system.explain(one, Candidates.of(["i0", "i1"]), k=1000).to_pandas()
    for candidate in ("i0", "i1"):
        got = table[table.candidate == candidate]
        terms = [
            (0.8 ** (len(groups) - 1 - g) * p.get((item, candidate), 0), item)
            for g, group in enumerate(groups)
            for item in group
        ]
        total = sum(t for t, _ in terms)
        expected = sorted((t / total for t, _ in terms if t > 0), reverse=True)
        np.testing.assert_allclose(got["share"], expected, rtol=1e-6)
        assert got["rank"].tolist() == list(range(1, len(expected) + 1))
        assert got["share"].sum() == pytest.approx(1)
    top = system.explain(one, Candidates.of(["i0", "i1"]), k=2).to_pandas()
    assert top.groupby("candidate").size().max() == 2
    assert str(table["time"].dtype.tz) == "UTC"


def test_personal_frequency_fades_by_group():
    found = score(
        "personal_frequency", FIVE, brute.log_of({"x": [["a", "b"], ["a"], ["c"]]}).histories(), list("abc"), decay=0.5
    )
    np.testing.assert_allclose(found, [[0.75, 0.25, 1.0]], atol=1e-8)


def test_popularity_of_late():
    log = Log.open(
        pa.table({"user": [1, 2, 3], "item": ["a", "a", "b"], "time": ["2024-01-01", "2024-01-11", "2024-01-21"]})
    )
    found = ethogram.system("popularity", half_life="10d").fit(log).score(Histories.of([[]]), Candidates.of(["a", "b"]))
    np.testing.assert_allclose(found, [[0.25 + 0.5, 1.0]])


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("item_knn", {"neighbours": 0}),
        ("item_knn_decay", {"decay": 0.0}),
        ("item_knn_decay", {"decay": 1.5}),
        ("personal_frequency", {"decay": -1.0}),
        ("transition_kernel", {"gap": 0}),
        ("transition_kernel", {"reverse": -0.1}),
        ("transition_kernel", {"neighbours": 0}),
        ("popularity", {"half_life": "soon"}),
    ],
)
def test_options_outside_their_range(key, options):
    with pytest.raises(OptionError):
        ethogram.system(key, **options).fit(brute.log_of(FIVE))


def test_half_life_needs_a_clock():
    log = Log.open(pa.table({"user": [1, 1], "item": [1, 2], "order": [1, 2]}))
    with pytest.raises(OptionError, match="times"):
        ethogram.system("popularity", half_life="1d").fit(log)


def test_a_log_without_items():
    log = Log.open(pa.table({"user": [1, 1], "time": [1_600_000_000, 1_600_000_060]}))
    with pytest.raises(RolesError, match="item"):
        ethogram.system("popularity").fit(log)
