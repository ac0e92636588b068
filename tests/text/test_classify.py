"""The classifier: soft labels, calibration, reasons, state, bad input."""

import numpy as np
import pytest

from ethogram.errors import NotFitted, OptionError
from ethogram.evaluate.calibration import ece
from ethogram.evaluate.classification import auc
from ethogram.numeric.calibrate import Calibration
from ethogram.text.classify import TextClassifier
from ethogram.text.dense import hashed
from ethogram.text.table import TextTable


def corpus(n, seed=0, noise=0.1):
    """Texts of twelve words; the log-odds of yes are known: 0.9 per bad word, -0.6 per kind one."""
    rng = np.random.default_rng(seed)
    words = [f"plain{i}" for i in range(60)] + [f"bad{i}" for i in range(6)] + [f"kind{i}" for i in range(6)]
    worth = np.r_[np.zeros(60), np.full(6, 0.9), np.full(6, -0.6)]
    p = np.r_[np.full(60, 1.0), np.full(12, 3.0)]
    drawn = rng.choice(len(words), (n, 12), p=p / p.sum())
    chance = 1 / (1 + np.exp(-(worth[drawn].sum(1) - 0.5)))
    return [" ".join(words[w] for w in row) for row in drawn], (rng.random(n) < chance).astype(float), chance


@pytest.mark.parametrize("calibrate", ["sigmoid", "isotonic"])
def test_probabilities_are_true_on_new_texts(calibrate):
    texts, labels, _ = corpus(3000)
    new, truth, chance = corpus(3000, seed=1)
    made = TextClassifier(calibrate=calibrate, strength=0.3).fit(texts, labels)
    raw = TextClassifier(calibrate="none", strength=0.3).fit(texts, labels)
    p = made.probability(new)
    assert auc(truth, p) > auc(truth, chance) - 0.03
    assert ece(truth, p) < 0.05
    assert ece(truth, p) < ece(truth, raw.probability(new)) / 2


def test_reasons_sum_to_the_score_and_name_the_words():
    texts, labels, _ = corpus(1500)
    made = TextClassifier().fit(texts, labels)
    text = "plain1 bad2 plain3 kind4"
    parts = made.explain(text, k=100)
    assert sum(r.adds for r in parts) + made._bias[0] == pytest.approx(made.decision([text])[0, 0])
    best = made.explain(text, k=2)
    assert {r.piece for r in best} == {"bad2", "kind4"}
    assert next(r.adds for r in best if r.piece == "bad2") > 0 > next(r.adds for r in best if r.piece == "kind4")


def test_soft_labels_are_rows_written_out():
    """A share of 3 in 4 is three rows of yes and one of no, at a quarter of the weight each."""
    texts, _, chance = corpus(200)
    soft = np.round(chance * 4) / 4
    made = TextClassifier(calibrate="none").fit(texts, soft)
    spread = [t for t in texts for _ in range(4)]
    hard = (np.arange(4)[None, :] < np.round(soft * 4)[:, None]).astype(float).ravel()
    other = TextClassifier(calibrate="none", strength=0.25).fit(texts, soft)
    other._features.fit(texts)
    from ethogram.text.classify import _logistic

    weight, bias = _logistic(other._features.of(spread), hard, 0.25)
    np.testing.assert_allclose(made.decision(texts)[:, 0], other._features.of(texts) @ weight + bias, atol=2e-3)


def test_classes_and_several_labels():
    texts, labels, _ = corpus(600)
    names = np.where(labels > 0, "no thanks", "fine")
    made = TextClassifier("both", folds=3).fit(texts, list(names))
    p = made.probability(texts)
    np.testing.assert_allclose(p.sum(1), 1)
    assert np.mean(np.array(made.predict(texts)) == names) > 0.8
    assert made.explain(texts[0], "fine", k=1)
    several = TextClassifier(folds=3).fit(texts, np.stack([labels, 1 - labels], 1))
    assert several.probability(texts[:3]).shape == (3, 2)


def test_vectors_and_their_reasons():
    texts, labels, _ = corpus(600)
    made = TextClassifier("vectors", embed=hashed, folds=3, strength=10).fit(texts, labels)
    assert auc(labels, made.probability(texts)) > 0.7
    found = made.explain("plain1 bad2 plain3", k=1)[0]
    assert found.piece == "bad2"
    assert found.adds > 0


@pytest.mark.parametrize(("features", "embed"), [("both", None), ("vectors", hashed)])
def test_state_brings_the_same_answers(features, embed):
    texts, labels, _ = corpus(300)
    made = TextClassifier(features, embed=embed, calibrate="isotonic", folds=3).fit(texts, labels)
    back = TextClassifier(features, embed=embed).restore(made.state())
    np.testing.assert_allclose(back.probability(texts), made.probability(texts), rtol=1e-12)
    assert back.explain(texts[0]) == made.explain(texts[0])


def test_groups_stay_together():
    """Ten copies of each text: without groups the folds see what they are asked, and the map is too sure."""
    texts, labels, _ = corpus(60)
    texts, labels, groups = texts * 10, np.tile(labels, 10), np.tile(np.arange(60), 10)
    apart = TextClassifier(strength=100).fit(texts, labels, groups=groups)
    mixed = TextClassifier(strength=100).fit(texts, labels)
    assert apart._maps[0].x[0] < mixed._maps[0].x[0] / 2


def test_the_sigmoid_is_the_maximum_likelihood():
    rng = np.random.default_rng(0)
    z = rng.normal(size=20_000)
    y = (rng.random(20_000) < 1 / (1 + np.exp(-(2 * z - 1)))).astype(float)
    assert np.allclose(Calibration.learn("sigmoid", z, y).x, (2, -1), atol=0.1)


def test_bad_input_is_told():
    with pytest.raises(OptionError, match="Did you mean 'words'"):
        TextClassifier("word")
    with pytest.raises(OptionError, match="give `embed`"):
        TextClassifier("vectors")
    with pytest.raises(OptionError, match="2 texts and 1 labels"):
        TextClassifier().fit(["a", "b"], [1])
    with pytest.raises(OptionError, match="on one side"):
        TextClassifier().fit(["a", "b"], [1, 1])
    with pytest.raises(OptionError, match="at row 1 is not in"):
        TextClassifier().fit(["a", "b"], [1, 7])
    with pytest.raises(OptionError, match="too few for 5 folds"):
        TextClassifier().fit(["a b", "b c"], [1, 0])
    with pytest.raises(OptionError, match="hold no words"):
        TextClassifier(calibrate="none").fit(["!", "?"], [1, 0])
    with pytest.raises(NotFitted):
        TextClassifier().probability(["a"])


def test_a_text_table_embeds_each_text_once():
    asked = []

    def embed(texts):
        asked.extend(texts)
        return hashed(texts, 64)

    table = TextTable(embed)
    assert table.add(["a cat", "a dog", "a cat"]).tolist() == [0, 1, 0]
    assert table.vectors().shape == (2, 64)
    table.add([f"text {i}" for i in range(200)])
    vectors = table.vectors()
    assert vectors.dtype == np.float16
    assert len(asked) == len(set(asked)) == 202
    np.testing.assert_allclose(vectors[1], hashed(["a dog"], 64)[0], atol=1e-3)
    made = table.encode(["a dog", "a fish"])
    assert asked[202:] == ["a fish"]
    np.testing.assert_allclose(made[0], vectors[1], atol=1e-6)
    back = TextTable.from_arrow(table.to_arrow(), embed)
    assert [back[i] for i in range(3)] == [table[i] for i in range(3)]
