"""DTRN, its equations done again in NumPy from the saved arrays, its goals, and answers that are missing."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import torch
from tests.nn.test_conditioned import by_hand as attended
from tests.rank.columns import Plain

from ethogram import data
from ethogram.errors import OptionError, StepError
from ethogram.evaluate import evaluate_slates
from ethogram.log import Candidates, Histories, Log
from ethogram.nn import goals as several
from ethogram.nn.slates import Learning
from ethogram.rank.dtrn import DTRN
from ethogram.system import load

SMALL = {"dim": 4, "side": 3, "expert": (6,), "hidden": (5,), "experts": 2, "lr": 1e-2, "epochs": 2, "batch": 256,
         "dropout": 0.0}  # fmt: skip


@cache
def log(**how):
    return data.load("conflict", users=40, items=60, values=6, length=(0, 3), slates=6, candidates=5, **how)


@cache
def fitted(**options):
    return DTRN(**{**SMALL, **options}).fit(log(missing=0.2), seed=3)


class ByHand(Plain):
    """The equations of the module, one candidate at a time, in float64 from the arrays of `state()`."""

    def __init__(self, model, asked):
        super().__init__(model, asked)
        self.model, self.network = model, model.fitted.network

    def events_of(self, kind, q):
        held = self.batch.sequences[kind]
        found = []
        for e in range(held.start[q], held.stop[q]):
            own = np.concatenate(self.item(held.item[e]))
            told = [self.row(c.table, held.columns[c.name][e]) for c in self.features.of("event")]
            found.append(own + self.of("event.weight") @ np.concatenate(told) if told else own)
        return found

    def moved(self, k, b):
        """gamma and beta of goal k and kind b."""
        z = np.concatenate([self.of("interest.hyper.goal")[k], self.of("interest.hyper.kind")[b]])
        out = (self.of("interest.hyper.made.weight") @ z + self.of("interest.hyper.made.bias")).reshape(2, 2, -1)
        out[:, 0] += 1
        return out

    def seen(self, k, q, row):
        """x_k."""
        target = np.concatenate(self.item(self.batch.candidates.item[row]))
        past = [self.events_of(kind, q) for kind in self.network.kinds]
        block = self.network.interest.blocks[0]
        u = [attended(block, np.array(e), target, self.moved(k, b)) for b, e in enumerate(past)]
        lengths = [0.2 * np.log1p(len(e)) for e in past]
        identity = self.batch.items["item"].values[self.batch.candidates.item[row]]
        popular = 0.2 * self.of("popularity")[identity]
        x = [target, *u, *(target * one for one in u), *self.others(q, row), lengths, [popular]]
        x = np.concatenate(x)
        parts = self.network.items.parts
        widths = [*parts, *(parts * 4), *(len(v) for v in self.others(q, row)), 1, 1, 1]
        ends = np.cumsum([0, *widths])
        own = f"excitations.{k}"
        s = np.array([self.of(f"{own}.squeeze")[a:b] @ x[a:b] for a, b in pairwise(ends)])
        hidden = np.maximum(self.of(f"{own}.down.weight") @ s + self.of(f"{own}.down.bias"), 0)
        w = 2 / (1 + np.exp(-(self.of(f"{own}.up.weight") @ hidden + self.of(f"{own}.up.bias"))))
        return x * np.repeat(w, widths)

    def score(self, k, q, row):
        """MMoE over x_k."""
        x = self.seen(k, q, row)
        said = [
            np.maximum(self.of("head.experts.weights.0")[e].T @ x + self.of("head.experts.biases.0")[e], 0)
            for e in range(2)
        ]
        z = self.of(f"head.gates.{k}.choice.weight") @ x + self.of(f"head.gates.{k}.choice.bias")
        share = np.exp(z) / np.exp(z).sum()
        h = share @ np.stack(said)
        tower = f"head.towers.{k}.layers"
        h = np.maximum(self.of(f"{tower}.0.weight") @ h + self.of(f"{tower}.0.bias"), 0)
        return 1 / (1 + np.exp(-(self.of(f"{tower}.2.weight")[0] @ h + self.of(f"{tower}.2.bias")[0])))


def test_scores_are_those_of_the_equations():
    model, some = fitted(), log(missing=0.2).questions("goals")[slice(0, 24)]
    hand, got = ByHand(model, some), model.score_goals(some.histories, some.candidates, some.context)
    assert list(got) == ["label", "label_buy"]
    assert hand.network.kinds == ["kind buy", "kind click"]
    rows = list(hand.candidates())
    lengths = [len(hand.events_of(kind, q)) for kind in hand.network.kinds for q in range(24)]
    assert min(lengths) == 0 < max(lengths), "with and without behaviour"
    for at, (q, row, _) in enumerate(rows):
        for k, goal in enumerate(got):
            assert got[goal].ravel()[at] == pytest.approx(hand.score(k, q, row), abs=2e-5)
    apart = [np.abs(hand.seen(0, q, row) - hand.seen(1, q, row)).max() for q, row, _ in rows[:5]]
    assert min(apart) > 1e-3, "each goal has a view of its own"
    np.testing.assert_array_equal(model.score(some.histories, some.candidates, some.context), got["label"])


@pytest.mark.parametrize("top", ["bottom", "mmoe", "ple"])
@pytest.mark.parametrize(("interest", "refine"), [("shared", "none"), ("mean", "none"), ("separate", "bit")])
def test_modules_attach_to_every_head_by_option(top, interest, refine):
    model, some = fitted(top=top, interest=interest, refine=refine), log(missing=0.2).questions("goals")
    views = model.fitted.network.views(model.fitted.features.encode(some[slice(0, 3)]))
    assert (views[0] is views[1]) == (interest != "separate" and refine == "none")
    found = model.score_goals(some.histories, some.candidates, some.context)
    assert all(((p > 0) & (p < 1)).all() and p.std() > 1e-3 for p in found.values())


def test_a_missing_answer_is_no_answer():
    """Loss and gradient are those of the rows that have one, whatever stands in the others."""
    logits = torch.randn(8, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    label = torch.tensor([[1.0, 0, 1, 0, 1, 0, 0, 1], [0, 1, 1, 0, 0, 1, 0, 0]]).T
    known = torch.ones(8, 2, dtype=torch.bool)
    known[[1, 4, 6], 1] = False
    shares = torch.tensor([1.0, 0.5])
    loss = several.masked(logits, label, known.float(), shares)
    p, y = torch.sigmoid(logits).detach().double().numpy(), label.numpy()
    lost = -np.where(y > 0.5, np.log(p), np.log1p(-p))
    assert float(loss.detach()) == pytest.approx(lost[:, 0].mean() + 0.5 * lost[[0, 2, 3, 5, 7], 1].mean(), rel=1e-5)
    loss.backward()
    assert not logits.grad[[1, 4, 6], 1].any()
    assert logits.grad[:, 0].all()
    label[[1, 4, 6], 1] = 1 - label[[1, 4, 6], 1]
    logits = logits.detach()
    assert float(several.masked(logits, label, known.float(), shares)) == float(loss.detach())
    assert float(several.masked(logits, label, known * 0.0, shares)) == 0


def test_training_reads_no_answer_that_is_missing():
    """What a missing answer would have been changes nothing; a known one does."""
    asked, features = log().questions("goals"), fitted().fitted.features
    gone = np.arange(len(asked.label)) % 3 == 0

    def trained(answers):
        told = replace(asked, labels={**asked.labels, "label_buy": answers.astype(np.float32)})
        network = fitted()._made(features, ("label", "label_buy"), 0)
        several.fit(network, features, told, Learning(epochs=1, pairs=400, lr=1e-2))
        return several.score(network, features.encode(asked))

    real = asked.labels["label_buy"]
    without = trained(np.where(gone, np.nan, real))
    as_negatives = trained(np.where(gone, 0.0, real))
    assert np.mean(without[:, 1]) > np.mean(as_negatives[:, 1]) + 0.03
    assert abs(np.mean(without[:, 1]) - np.nanmean(real[~gone])) < 0.05


def test_what_is_missing_is_told():
    told = {row["goal"]: row for row in fitted().fitted.told.to_pylist()}
    asked = log(missing=0.2).questions("goals")
    for goal in ("label", "label_buy"):
        label = asked.labels[goal]
        assert told[goal]["missing"] == np.isnan(label).sum() > 0
        assert told[goal]["answered"] == len(label) - told[goal]["missing"]
        assert told[goal]["positive_rate"] == pytest.approx(np.nanmean(label))


def test_evaluation_judges_every_goal_on_its_own_answers():
    whole = data.load("conflict", users=80, items=60, values=6, slates=8, candidates=5, missing=0.3)
    cut = whole.split("by-user", valid=0.1, test=0.5)
    model = DTRN(**SMALL).fit(cut.train, cut.valid, seed=1)
    found = evaluate_slates(model, cut, bootstrap=50)
    asked = cut.test.questions("goals")
    p = model.score_goals(asked.histories, asked.candidates, asked.context)["label_buy"].ravel()
    y = asked.labels["label_buy"]
    up, down = p[y == 1], p[y == 0]
    by_hand = np.mean((up[:, None] > down) + 0.5 * (up[:, None] == down))
    assert found.metrics["auc/label_buy"] == pytest.approx(by_hand, abs=1e-6)
    both = [found.metrics[f"auc/{goal}"] for goal in ("label", "label_buy")]
    assert found.metrics["auc/mean"] == pytest.approx(np.mean(both))
    assert found.metrics["auc/label"] == pytest.approx(found.metrics["auc"], abs=1e-3)
    assert found.facts["goals"]["label_buy"]["missing"] == np.isnan(y).sum()
    low, high = found.intervals["auc/mean"]
    assert low < found.metrics["auc/mean"] < high
    assert model.fitted.told["valid_logloss"].null_count == 0


def test_a_chain_of_goals_is_a_product():
    model, some = fitted(chain=True), log(missing=0.2).questions("goals")[slice(0, 20)]
    found = model.score_goals(some.histories, some.candidates, some.context)
    network = model.fitted.network
    with torch.no_grad():
        given = torch.sigmoid(network.head(network.views(model.fitted.features.encode(some)))).numpy()
    np.testing.assert_allclose(found["label"].ravel(), given[:, 0], rtol=1e-4)
    np.testing.assert_allclose(found["label_buy"].ravel(), given[:, 0] * given[:, 1], rtol=1e-4)
    assert (found["label_buy"] < found["label"]).all()


def test_a_saved_model_answers_alike_and_a_list_is_enough(tmp_path):
    model = fitted(refine="bit", top="ple", levels=2)
    asked = log(missing=0.2).questions("goals")
    model.save(tmp_path / "model")
    back = load(tmp_path / "model")
    for goal, p in model.score_goals(asked.histories, asked.candidates).items():
        np.testing.assert_array_equal(back.score_goals(asked.histories, asked.candidates)[goal], p)
    assert back.fitted.told.equals(model.fitted.told)
    found = back.score_goals(Histories.of([[1, 2], []]), Candidates.of([3, 4, 999_999]))
    assert all(p.shape == (2, 3) and np.isfinite(p).all() for p in found.values())


def test_goals_and_kinds_by_name():
    one = DTRN(**SMALL, goals=("buy",), kinds=("all",)).fit(log(), seed=0)
    assert one.fitted.network.goals == ("label_buy",)
    assert one.fitted.network.kinds == ["kind all"]
    with pytest.raises(StepError, match=r"no answers to the goal 'by'. Did you mean 'buy'"):
        DTRN(goals=("by",)).fit(log())
    with pytest.raises(OptionError, match=r"no behaviour of kind 'clik'. Did you mean 'click'"):
        DTRN(kinds=("clik",)).fit(log())
    with pytest.raises(OptionError, match="named twice"):
        DTRN(goals=("buy", "label_buy")).fit(log())
    with pytest.raises(OptionError, match="3 for 2 goals"):
        DTRN(weights=(1.0, 1.0, 1.0)).fit(log())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0.0, 1.0, 2.0, 1.0], "goal 'label_buy': a label is 2"),
        ([1.0, 1.0, 1.0, 1.0], "goal 'label_buy': all 4 labels .* are equal"),
        ([None, None, None, None], "goal 'label_buy': no answer"),
    ],
)
def test_answers_that_teach_nothing(values, told):
    table = {
        "user": ["a", "a", "b", "b", "a"], "item": ["x", "y", "x", "y", "x"], "time": [2, 3, 4, 5, 1],
        "label": [0.0, 1.0, 1.0, 0.0, None], "label_buy": pa.array([*values, None], pa.float32()),
    }  # fmt: skip
    with pytest.raises(StepError, match=told):
        DTRN(**SMALL).fit(Log.open(pa.table(table)))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"experts": 0}, "experts = 0"),
        ({"expert": ()}, "one layer at least"),
        ({"weights": (1.0, 0.0)}, "each is above 0"),
        ({"goals": ()}, "name one goal"),
        ({"top": "mmo"}, "Did you mean 'mmoe'"),
        ({"interest": "tasks"}, "Did you mean 'task'"),
    ],
)
def test_options_that_make_no_sense(wrong, told):
    with pytest.raises(OptionError, match=told):
        DTRN(**wrong)


def test_more_heads_than_numbers():
    with pytest.raises(OptionError, match="heads = 99"):
        DTRN(**{**SMALL, "heads": 99}).fit(log())
