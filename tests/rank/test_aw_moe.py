"""AW-MoE, its equations done again in NumPy from the saved arrays, its contrastive loss, and its two modes."""

from functools import cache

import numpy as np
import pytest
import torch
from tests.rank.columns import Plain

from ethogram import data
from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories
from ethogram.nn.blend import contrast, survivors
from ethogram.rank.aw_moe import AWMoE
from ethogram.system import load

SMALL = {"dim": 4, "side": 3, "hidden": (6,), "attention": (5,), "units": (4,), "experts": 3, "lr": 2e-2, "epochs": 3,
         "batch": 128, "dropout": 0.0}  # fmt: skip


@cache
def log():
    return data.load("shoppers", users=40, items=50, categories=5, few=(0, 2), many=(3, 8), slates=4, candidates=4)


@cache
def fitted(**options):
    return AWMoE(**{**SMALL, **options}).fit(log(), seed=3)


def relu(x):
    return np.maximum(x, 0)


class ByHand(Plain):
    """The equations of the module, one candidate at a time, in float64 from the arrays of `state()`."""

    def tower_of(self, name, x):
        x = relu(self.of(f"{name}.layers.0.weight") @ x + self.of(f"{name}.layers.0.bias"))
        return self.of(f"{name}.layers.2.weight") @ x + self.of(f"{name}.layers.2.bias")

    def past(self, past):
        return [np.concatenate(self.item(self.batch.sequences["history"].item[e])) for e in past]

    def gate(self, row, past, query):
        if query:
            asked = self.row("event.query", self.batch.candidates.columns["query"][row])
        else:
            asked = np.concatenate(self.item(self.batch.candidates.item[row]))
        about = relu(self.of("gate.asked.weight") @ asked + self.of("gate.asked.bias"))
        if "model.gate.default" not in self.held:
            return self.tower_of("gate.unit", about)
        found = []
        for e in self.past(past):
            h = relu(self.of("gate.event.weight") @ e + self.of("gate.event.bias"))
            unit = self.tower_of("gate.unit", np.concatenate([h, about, h * about]))
            found.append(self.tower_of("gate.activation", np.concatenate([h, about]))[0] * unit)
        return np.mean(found, 0) if found else self.of("gate.default")

    def interest(self, row, past):
        target = np.concatenate(self.item(self.batch.candidates.item[row]))
        unit, out = "interest.attention.unit", np.zeros_like(target)
        for e in self.past(past):
            z = self.of(f"{unit}.key") @ e + self.of(f"{unit}.query") @ target
            z = relu(z + self.of(f"{unit}.product") @ (e * target) + self.of(f"{unit}.bias"))
            a = self.of(f"{unit}.layers.0.weight")[0] @ z + self.of(f"{unit}.layers.0.bias")[0]
            out += a * e / len(past)
        return target, out

    def score(self, q, row, past, query):
        target, v = self.interest(row, past)
        x = np.concatenate([target, v, *self.others(q, row), target * v, self.numbers(row, past)])
        said = []
        for k in range(3):
            h = relu(self.of("experts.weights.0")[k].T @ x + self.of("experts.biases.0")[k])
            said.append((self.of("experts.weights.1")[k].T @ h + self.of("experts.biases.1")[k])[0])
        logit = self.gate(row, past, query) @ said + self.of("bias")
        return 1 / (1 + np.exp(-logit))


@pytest.mark.parametrize("options", [{"query": "query"}, {}, {"gate": "asked", "query": "query"}], ids=str)
def test_scores_and_gates_are_those_of_the_equations(options):
    model, some = fitted(**options), log().questions("slates")[slice(96, 130)]
    hand, query = ByHand(model, some), "query" in options
    got = np.asarray(model.score(some.histories, some.candidates, some.context)).ravel()
    gates = model.gates(some.histories, some.candidates, some.context)
    assert some.histories.lengths.min() == 0 < some.histories.lengths.max()
    for at, (q, row, past) in enumerate(hand.candidates()):
        np.testing.assert_allclose(gates[at], hand.gate(row, past, query), atol=1e-4)
        assert got[at] == pytest.approx(hand.score(q, row, past, query), abs=2e-5)
    assert np.ptp(gates, 0).min() > 1e-3
    shares = model.blend(some.histories, some.candidates, some.context)["share"].to_numpy()
    assert shares.sum() == pytest.approx(1)


def test_a_search_has_one_gate_and_a_page_one_for_each_candidate():
    some = log().questions("slates")[slice(0, 6)]
    ends = some.candidates.flat(6)[1]
    search = fitted(query="query").gates(some.histories, some.candidates, some.context)
    page = fitted().gates(some.histories, some.candidates, some.context)
    for q in range(6):
        rows = slice(ends[q], ends[q + 1])
        assert not np.ptp(search[rows], 0).any()
        assert np.ptp(page[rows], 0).max() > 1e-4


def test_the_contrastive_loss_is_its_formula():
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(6, 3, generator=generator) for _ in range(2))
    people = torch.tensor([0, 0, 1, 1, 2, 2])
    with torch.random.fork_rng():
        torch.manual_seed(5)
        got = float(contrast(one, other, people, 4, 0.5))
        torch.manual_seed(5)
        drawn = torch.randint(6, (6, 4)).numpy()

    def cosine(a, b):
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    a, b, lost = one.double().numpy(), other.double().numpy(), []
    assert any(people[i] == people[j] for i in range(6) for j in drawn[i]), "some negative is the person's own"
    for i in range(6):
        near = np.exp(cosine(a[i], b[i]) / 0.5)
        far = sum(np.exp(cosine(a[i], a[j]) / 0.5) for j in drawn[i] if people[i] != people[j])
        lost.append(-np.log(near / (near + far)))
    assert got == pytest.approx(np.mean(lost), rel=1e-5)


def test_events_are_dropped_at_their_rate_and_one_always_stays():
    spans = torch.tensor([0, 1, 1, 4, 4_000])
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for _ in range(30):
            kept = survivors(spans, 0.9)
            assert kept[:1].all()
            assert kept[1:4].any()
        assert survivors(spans, 0.3)[4:].float().mean() == pytest.approx(0.7, abs=0.03)


def test_the_contrastive_loss_moves_the_gate_alone_and_only_after_its_warm_up():
    model, asked = fitted(query="query", contrast=1.0), log().questions("slates")
    network = model._network(model.fitted.features, model._interest, dim=4, side=3, hidden=(6,), dropout=0.0,
                             act="relu", tag=None, seed=0, cross="product")  # fmt: skip
    batch = model.fitted.features.encode(asked)[slice(0, 60)]
    network.asked_in_training = 60
    assert not network.also(batch).requires_grad, "its first epoch"
    assert float(network.also(batch).detach()) != 0
    loss = network.also(batch)
    loss.backward()
    moved = {n.split(".")[0] for n, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert moved == {"gate"}


def test_the_contrastive_loss_holds_shortened_histories_nearer_than_other_people():
    asked = log().questions("slates")
    longer = np.repeat(asked.histories.lengths >= 4, np.diff(asked.candidates.flat(len(asked))[1]))
    apart = {}
    for weight in (0.0, 2.0):
        model = fitted(query="query", contrast=weight, warmup=0.0, epochs=6)
        gates = (
            model.gates(h, asked.candidates, asked.context)[longer] for h in (asked.histories, asked.histories.last(2))
        )
        whole, less = (g / np.linalg.norm(g, axis=1, keepdims=True) for g in gates)
        apart[weight] = (whole * less).sum(1).mean() - (whole * np.roll(less, len(less) // 2, 0)).sum(1).mean()
    assert apart[2.0] > apart[0.0] + 0.05


def test_a_saved_model_answers_alike_without_a_query_as_well(tmp_path):
    model, asked = fitted(query="query"), log().questions("slates")
    model.save(tmp_path / "model")
    back = load(tmp_path / "model")
    scores = model.score(asked.histories, asked.candidates, asked.context)
    np.testing.assert_array_equal(back.score(asked.histories, asked.candidates, asked.context), scores)
    found = back.score(Histories.of([[1, 2], []]), Candidates.of([3, 4, 999]))
    assert found.shape == (2, 3)
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"experts": 0}, "experts = 0"),
        ({"negatives": 0}, "negatives = 0"),
        ({"units": ()}, r"units = \(\)"),
        ({"drop": 1.0}, r"drop = 1.0 is not in \(0, 1\)"),
        ({"temperature": 0.0}, "must be above"),
        ({"contrast": -1.0}, "must not be below 0"),
        ({"gate": "behavior"}, "Did you mean 'behaviour'"),
    ],
)
def test_options_that_make_no_sense(wrong, told):
    with pytest.raises(OptionError, match=told):
        AWMoE(**wrong)


def test_a_query_that_the_slates_do_not_have():
    with pytest.raises(OptionError, match=r"no categorical column 'qery' of the slates. Did you mean 'query'"):
        AWMoE(**SMALL, query="qery").fit(log())
