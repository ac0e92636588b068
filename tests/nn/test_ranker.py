"""What ranking systems keep: features, network, training; scored, explained, saved and checked."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.nn.slate_log import random_log

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories
from ethogram.nn.attention import TargetAttention
from ethogram.nn.interest import Attended, Pooled
from ethogram.nn.ranker import SlateRanker
from ethogram.nn.slates import score

OPTIONS = {
    "dim": 4, "side": 2, "last": None, "hidden": (6,), "dropout": 0.0, "activation": "prelu", "batch": 16,
    "epochs": 2, "patience": 1, "lr": 0.01, "decay": 0.1, "questions": None, "precision": "fp32",
}  # fmt: skip


def options(**more):
    return SimpleNamespace(**{**OPTIONS, **more})


def attended(width):
    return Attended(TargetAttention(width, hidden=(4,), act="prelu"), mean=True)


def ranker(log, interest=attended, valid=None, **more):
    return SlateRanker.fit(options(**more), interest, log, valid, seed=1, watch=None)


@pytest.fixture(scope="module")
def log():
    return random_log(users=20)


def test_scores_keep_the_shape_of_the_candidates(log):
    model, asked = ranker(log), log.questions("slates")
    flat = model.score(asked.histories, asked.candidates)
    assert flat.shape == (len(asked.label),)
    np.testing.assert_array_equal(flat, score(model.network, model.features.encode(asked)))
    every = Candidates.every(log.vocabulary("item"))
    assert model.score(asked.histories[0:5], every).shape == (5, len(log.vocabulary("item")))


def test_explained_are_the_events_of_most_weight_in_the_history_of_the_question(log):
    model, asked = ranker(log), log.questions("slates")
    batch = model.features.encode(asked.histories, asked.candidates)
    keys, spans, queries, ends, tags = model.network.vectors(batch)
    with torch.no_grad():
        weights = model.network.interest.weights(keys, spans, queries, ends, **tags)
    rows = model.explain(asked.histories, asked.candidates, 2).to_pylist()
    codes, offsets = asked.candidates.flat(len(asked))
    named = asked.candidates.vocabulary.decode(codes).to_pylist()
    seen = 0
    for i in range(len(asked)):
        past = asked.histories.item_ids(i)
        for q in range(offsets[i], offsets[i + 1]):
            weight = weights[q].numpy().astype(float)
            top = np.argsort(-np.abs(weight), kind="stable")[:2]
            told = rows[seen : seen + len(top)]
            seen += len(top)
            assert [(r["question"], r["candidate"], r["item"]) for r in told] == [(i, named[q], past[j]) for j in top]
            np.testing.assert_allclose([r["share"] for r in told], weight[top] / np.abs(weight).sum(), rtol=1e-5)
            assert [r["rank"] for r in told] == list(range(1, len(top) + 1))
    assert seen == len(rows) > 100


def test_shares_of_negative_weights_are_negative(log):
    model = ranker(log)
    with torch.no_grad():
        model.network.interest.attention.unit.layers[-1].bias.fill_(-3.0)
    told = model.explain(log.questions("slates").histories, log.questions("slates").candidates, 100)
    share = told["share"].to_numpy()
    assert (share < 0).all()
    assert np.abs(share).max() <= 1


def test_histories_without_time_are_explained_without_time(log):
    told = ranker(log).explain(Histories.of([[1, 2, 3]]), Candidates.of([4]), 5)
    assert told["time"].null_count == told.num_rows == 3
    assert told["item"].to_pylist() != []


def test_saved_and_restored_scores_are_equal_and_so_is_the_training(log):
    model, asked = ranker(log, valid=log), log.questions("slates")
    back = SlateRanker.restore(options(), attended, model.state())
    np.testing.assert_array_equal(
        back.score(asked.histories, asked.candidates), model.score(asked.histories, asked.candidates)
    )
    assert back.trained == model.trained
    assert model.trained.epoch == 2
    assert [round(row["valid"], 6) for row in model.trained.curve] != [None, None]
    assert not back.network.training


def test_the_last_events_limit_the_features(log):
    model, asked = ranker(log, last=2), log.questions("slates")
    batch = model.features.encode(asked)
    assert batch.sequences["history"].lengths.max() == 2
    np.testing.assert_array_equal(
        model.score(asked.histories, asked.candidates), model.score(asked.histories.last(2), asked.candidates)
    )


def test_a_column_to_retrieve_by_must_be_a_category_of_the_items(log):
    def by_category(width):
        return Attended(TargetAttention(width, "topk", hidden=(4,), k=2), tags="given")

    assert ranker(log, by_category, category="category").network.tag == "category"
    with pytest.raises(OptionError, match="Did you mean 'category'"):
        ranker(log, by_category, category="categry")
    with pytest.raises(OptionError, match="no categorical item column 'price'"):
        ranker(log, by_category, category="price")


def test_a_question_of_nobody_and_nothing(log):
    model = ranker(log, Pooled)
    p = model.score(Histories.of([[], [999]]), Candidates.of([1, 999]))
    assert p.shape == (2, 2)
    assert ((p > 0) & (p < 1)).all()
