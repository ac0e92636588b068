import itertools

import numpy as np
import pytest
import torch

from ethogram import data
from ethogram.errors import OptionError, StateError
from ethogram.log import Candidates, Histories
from ethogram.rank.sdim import SDIM
from ethogram.system import load
from ethogram.testing.example import example

QUICK = {"epochs": 2, "dim": 12, "side": 4, "hidden": (24,), "attention": (8,), "short": 4, "lr": 5e-3}


@pytest.fixture(scope="module")
def split():
    return example().split("temporal")


@pytest.fixture(scope="module")
def fitted(split):
    return SDIM(**QUICK).fit(split.train, split.valid)


@pytest.fixture(scope="module")
def asked(split):
    return split.test.questions("slates")


def hashed(width_of_vectors, **options):
    """The hash part of the system's interest, as its options make it."""
    return SDIM(**options)._interest(width_of_vectors).parts[0]


def unit(rng, n, dim):
    x = rng.standard_normal((n, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def attention(keys, queries, width):
    """Attention whose weights are the probabilities of a collision."""
    cosine = np.clip(queries.astype(np.float64) @ keys.T.astype(np.float64), -1, 1)
    return (1 - np.arccos(cosine) / np.pi) ** width @ keys


def interest(part, keys, queries):
    ends = (torch.tensor([0, len(keys)]), torch.tensor([0, len(queries)]))
    return part(torch.from_numpy(keys), ends[0], torch.from_numpy(queries), ends[1]).numpy()


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_collisions_of_the_system_follow_the_law(width):
    part = hashed(12, hashes=20_000 * width, width=width, hash_seed=width)
    assert part.hash.groups == 20_000
    rng = np.random.default_rng(width)
    a = unit(rng, 1, 12)
    for cosine in (0.98, 0.7, 0.2, 0.0, -0.6):
        b = unit(rng, 1, 12)
        b -= (b @ a.T) * a
        b = (cosine * a + (1 - cosine**2) ** 0.5 * b / np.linalg.norm(b)).astype(np.float32)
        met = (part.hash.codes(a) == part.hash.codes(b)).mean()
        assert met == pytest.approx((1 - np.arccos(cosine) / np.pi) ** width, abs=0.01)


def test_without_the_norm_interest_converges_to_attention_with_the_root_of_the_signatures():
    rng = np.random.default_rng(3)
    keys, queries = unit(rng, 200, 32), unit(rng, 16, 32)
    for width in (1, 3):
        exact, errors = attention(keys, queries, width), []
        for groups in (16, 64, 256, 1024):
            miss = []
            for seed in range(8):
                part = hashed(32, hashes=groups * width, width=width, hash_seed=seed)
                part.normalise = False
                miss.append(np.square(interest(part, keys, queries) - exact).mean())
            errors.append(np.sqrt(np.mean(miss) / np.square(exact).mean()))
        slope = np.polyfit(np.log([16, 64, 256, 1024]), np.log(errors), 1)[0]
        assert slope == pytest.approx(-0.5, abs=0.06), (width, errors)
        assert errors[-1] < 0.15


def test_the_norm_takes_the_length_out_and_with_it_the_equality():
    rng = np.random.default_rng(4)
    # interests of very different size: the norm makes the small ones as loud as the large
    centres, size = unit(rng, 8, 32), (256, 96, 32, 8, 4, 2, 1, 1)
    keys = np.repeat(centres, size, axis=0) + 0.08 * rng.standard_normal((400, 32))
    keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)
    queries = unit(rng, 16, 32)
    exact = attention(keys, queries, 3)
    part = hashed(32, hashes=3 * 4096, width=3)
    gaps = {}
    for normalise in (False, True):
        part.normalise = normalise
        got = interest(part, keys, queries)
        cosine = (got * exact).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(exact, axis=1)
        gaps[normalise] = 1 - cosine.mean()
        twice = interest(part, np.concatenate([keys, keys]), queries)
        # everything done twice: twice the interest without the norm, the same with it
        np.testing.assert_allclose(twice, got * (1 if normalise else 2), rtol=1e-4, atol=1e-5)
        if normalise:
            assert np.linalg.norm(got, axis=1).max() <= 1
    assert gaps[False] < 0.01
    assert gaps[True] > 10 * gaps[False], gaps  # and no number of signatures closes it:
    part = hashed(32, hashes=3 * 16_384, width=3)
    got = interest(part, keys, queries)
    cosine = (got * exact).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(exact, axis=1)
    assert 1 - cosine.mean() > 0.8 * gaps[True]


def test_each_bucket_is_normalised_before_the_mean_of_the_signatures():
    keys = np.array([[3.0, 4.0, 0, 0], [0, 0, 2.0, 0], [6.0, 8.0, 0, 0]], np.float32)
    part = hashed(4, hashes=4, width=2)
    codes, query = part.hash.codes(keys), np.array([[3.0, 4.0, 0.1, 0]], np.float32)
    expected = np.zeros(4)
    for g in range(2):
        mine = keys[codes[:, g] == part.hash.codes(query)[0, g]].sum(0)
        if mine.any():
            expected += mine / np.linalg.norm(mine) / 2
    assert expected.any()
    np.testing.assert_allclose(interest(part, keys, query)[0], expected, atol=1e-6)


def test_every_way_of_reading_the_history_learns_and_answers(split, asked):
    for long in ("hash", "attention", "dot", "mean", "none", "category", "nearest"):
        model = SDIM(**QUICK | {"epochs": 1}, long=long, category="category", retrieve=5).fit(split.train)
        scores = model.score(asked.histories, asked.candidates, asked.context)
        assert ((scores > 0) & (scores < 1)).all()
        assert np.ptp(scores) > 0.01
        found = model.explain(asked.histories[:3], asked.candidates[0:3], k=2)
        assert set(found["rank"].to_pylist()) <= {1, 2}


def test_interests_older_than_the_last_events_are_seen_through_buckets_and_not_without():
    log = data.load("interests", users=120, items=100, categories=12, length=(60, 90), slates=12, effect=4.0)
    split = log.split("temporal")
    asked = split.test.questions("slates")
    gauc = {}
    for long in ("hash", "none"):
        model = SDIM(
            long=long, short=20, dim=8, side=8, epochs=5, batch=512, lr=1e-2, attention=(8,), hidden=(32,), decay=0.3
        ).fit(split.train)
        scores = model.score(asked.histories, asked.candidates, asked.context)
        _, ends = asked.candidates.flat(len(asked))
        pairs = [(scores[a:b], asked.label[a:b] > 0.5) for a, b in itertools.pairwise(ends)]
        gauc[long] = np.mean([(s[y][:, None] > s[~y]).mean() for s, y in pairs if 0 < y.sum() < len(y)])
    assert gauc["none"] < 0.66
    assert gauc["hash"] > gauc["none"] + 0.08, gauc


def test_explained_events_are_those_whose_removal_moves_the_interest(fitted, asked):
    histories, candidates = asked.histories, asked.candidates
    longest = int(np.argmax(histories.lengths))
    one, few = histories[longest : longest + 1], candidates[longest : longest + 1]
    told = fitted.explain(one, few, k=1000).to_pylist()
    codes, _ = fitted.events(one)
    table = fitted.bucket_tables(one)[0]
    asked_codes, offsets = few.flat(1)
    assert len({r["candidate"] for r in told}) <= offsets[-1]
    total = {}
    for row in told:
        total[row["candidate"]] = total.get(row["candidate"], 0) + row["share"]
    assert all(t == pytest.approx(1, abs=1e-4) or t == 0 for t in total.values())
    # an event that shares no signature with a candidate has no share in it
    query = fitted.fitted.network.items(
        fitted.fitted.features.encode(one, few).items, torch.from_numpy(asked_codes.astype(np.int64) + 1)
    )
    met = (codes[:, None] == fitted.fitted.network.interest.parts[0].hash.codes(query.detach().numpy())).sum(2)
    named = few.vocabulary.decode(asked_codes).to_pylist()
    for q, name in enumerate(named):
        shares = sorted(r["share"] for r in told if r["candidate"] == name)
        assert sum(s > 0 for s in shares) == (met[:, q] > 0).sum()
    assert table.events == len(codes)


def test_saved_models_serve_the_tables_that_were_made_before(fitted, asked, tmp_path):
    tables = fitted.bucket_tables(asked.histories)
    fitted.save(tmp_path / "model")
    back = load(tmp_path / "model")
    assert back.version == fitted.version
    got = back.score_tables(tables, asked.histories.last(4), asked.candidates, asked.context)
    expected = fitted.score(asked.histories, asked.candidates, asked.context)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_tables_of_other_weights_or_directions_are_refused(fitted, split, asked):
    tables = fitted.bucket_tables(asked.histories)
    for other in (SDIM(**QUICK, hash_seed=1).fit(split.train), SDIM(**QUICK).fit(split.train, seed=1)):
        with pytest.raises(StateError, match="rebuild it"):
            other.score_tables(tables, asked.histories, asked.candidates, asked.context)
    flat = SDIM(**QUICK, long="mean").fit(split.train)
    with pytest.raises(OptionError, match="hash buckets"):
        flat.bucket_tables(asked.histories)


def test_empty_histories_and_unknown_items_get_finite_scores(fitted):
    histories, candidates = Histories.of([[], [10**9], [1000, 1007]]), Candidates.of([1000, 10**9])
    scores = fitted.score(histories, candidates)
    assert np.isfinite(scores).all()
    tables = fitted.bucket_tables(histories)
    assert not tables[0].sums.any()
    np.testing.assert_allclose(fitted.score_tables(tables, histories, candidates), scores, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"hashes": 50}, "hashes = 50 is no multiple of width = 3"),
        ({"hashes": 0}, "hashes = 0"),
        ({"width": 17, "hashes": 34}, "width"),
        ({"memory": 0.0}, "memory"),
        ({"short": -1}, "short = -1"),
        ({"long": "none", "short": 0}, "reads nothing"),
        ({"long": "category"}, "needs category="),
        ({"long": "category", "category": "categry"}, "Did you mean 'category'"),
        ({"long": "nearest", "retrieve": 0}, "retrieve = 0"),
    ],
)
def test_options_that_make_no_sense_are_told(split, wrong, told):
    with pytest.raises(OptionError, match=told):
        SDIM(**QUICK | wrong).fit(split.train)


def test_old_interests_fade_with_memory(split, asked):
    model = SDIM(**QUICK, memory=10.0).fit(split.train)
    held = model.bucket_tables(asked.histories)
    assert held[0].memory == 10 * 86_400e6
    got = model.score_tables(held, asked.histories.last(4), asked.candidates, asked.context)
    np.testing.assert_allclose(got, model.score(asked.histories, asked.candidates, asked.context), atol=1e-5)
    told = model.explain(asked.histories, asked.candidates, k=2)
    assert np.isfinite(told["share"].to_numpy()).all()
