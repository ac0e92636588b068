import itertools

import numpy as np
import pytest
from tests.rank.columns import Plain

from ethogram.errors import OptionError
from ethogram.rank.deepfm import DeepFM
from ethogram.system import load, system
from ethogram.testing.example import example

QUICK = {"epochs": 2, "dim": 6, "side": 4, "hidden": (8,), "batch": 64, "lr": 1e-2}


@pytest.fixture(scope="module")
def split():
    return example().split("temporal")


@pytest.fixture(scope="module")
def fitted(split):
    return DeepFM(**QUICK).fit(split.train, split.valid)


def weights(plain, q, row, past):
    """w_0 + sum_f w_f, the history's averaged."""

    def summed(values, columns, name):
        factors = plain.of(f"crossing.weights.sums.{name}.weight")
        return sum(
            float(v[0]) * (factors[j] if c.type == "numeric" else 1.0)
            for j, (v, c) in enumerate(zip(values, columns, strict=True))
        )

    of, batch = plain.features.of, plain.batch
    own, before = "crossing.weights.own", "crossing.weights.past"
    total = float(plain.of("crossing.weights.bias")) + plain.numbers(row, past) @ plain.of("crossing.weights.more")
    total += summed(plain.item(batch.candidates.item[row], own), of("item"), "item")
    others = plain.others(q, row, own)
    users = len(of("user"))
    total += summed(others[:users], of("user"), "user") + summed(others[users:], of("context"), "context")
    each = [
        summed(plain.item(batch.sequences["history"].item[e], before), of("item"), "behaviour")
        + summed(plain.events(e, before), of("event"), "event")
        for e in past
    ]
    return total + (np.mean(each) if each else 0.0)


def test_the_answer_is_the_sigmoid_of_weights_pairs_and_tower(split, fitted):
    asked = split.test.questions("slates")[:12]
    plain, expected = Plain(fitted, asked), []
    for q, row, past in plain.candidates():
        fields = plain.fields(q, row, past)
        maps = [plain.held.get(f"model.crossing.fields.maps.{j}.weight") for j in range(len(fields))]
        v = [f if m is None else m @ f for f, m in zip(fields, maps, strict=True)]
        logit = weights(plain, q, row, past) + sum(a @ b for a, b in itertools.combinations(v, 2))
        expected.append(logit + plain.tower(np.concatenate([*fields, plain.numbers(row, past)])))
    mine = np.concatenate([np.ravel(s) for s in scores(fitted, asked)])
    np.testing.assert_allclose(mine, 1 / (1 + np.exp(-np.array(expected))), rtol=1e-4, atol=1e-5)
    assert np.ptp(mine) > 0.01


def scores(fitted, asked):
    from ethogram.nn import slates

    return [slates.score(fitted.fitted.network, fitted.fitted.features.encode(asked))]


def test_a_saved_system_scores_the_same(split, fitted, tmp_path):
    asked = split.test.questions("slates")
    fitted.save(tmp_path / "kept")
    again = load(tmp_path / "kept")
    mine = fitted.score(asked.histories, asked.candidates)
    np.testing.assert_array_equal(again.score(asked.histories, asked.candidates), mine)


def test_bad_options_are_refused():
    with pytest.raises(OptionError, match="dim = 0"):
        DeepFM(dim=0)
    with pytest.raises(OptionError, match="dropout"):
        DeepFM(dropout=1.0)
    with pytest.raises(OptionError, match="pool"):
        system("deepfm", pool="median")
