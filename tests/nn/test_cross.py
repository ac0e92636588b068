import itertools

import numpy as np
import pytest
import torch
from tests.nn.slate_log import random_log

from ethogram.errors import OptionError
from ethogram.nn.cross import Fields, Pairs, Weights, inner_products, pairwise
from ethogram.nn.interest import Pooled
from ethogram.nn.slates import Learning, SlateNetwork, fit

KINDS = ["none", "product", "lr", "wide_deep", "pnn", "deepfm"]


@pytest.fixture(scope="module")
def asked():
    made = random_log(users=20)
    return made.features(), made.questions("slates")


def filled(module, seed=0):
    g = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        p.data = torch.randn(p.shape, generator=g)
    for table in (m for m in module.modules() if type(m).__name__ == "Table"):
        table.weight.data[0] = 0
    return module


def test_field_interactions_equal_the_sums_over_pairs():
    v = torch.randn(7, 5, 3, generator=torch.Generator().manual_seed(0))
    pairs = torch.stack([(v[:, f] * v[:, g]).sum(1) for f, g in itertools.combinations(range(5), 2)], 1)
    torch.testing.assert_close(inner_products(v), pairs)
    torch.testing.assert_close(pairwise(v), pairs.sum(1))
    mine, theirs = v.clone().requires_grad_(), v.clone().requires_grad_()
    pairwise(mine).sin().sum().backward()
    inner_products(theirs).sum(1).sin().sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_fields_of_the_common_width_are_left_as_they_are():
    fields = Fields([3, 2, 1], 3)
    columns = torch.randn(4, 6)
    made = fields(columns)
    assert made.shape == (4, 3, 3)
    torch.testing.assert_close(made[:, 0], columns[:, :3])
    torch.testing.assert_close(made[:, 1], columns[:, 3:5] @ fields.maps[1].weight.T)


def test_logistic_regression_adds_one_weight_per_value(asked):
    features, questions = asked
    batch = features.encode(questions)
    linear = filled(Weights(features, 2))
    numbers = torch.randn(len(questions.label), 2)
    made = linear(batch, numbers, torch.from_numpy(batch.candidates.flat()[1])).detach().numpy()

    def item(tables, sums, code):
        total = 0.0
        for j, c in enumerate(features.of("item")):
            column = batch.items[c.name]
            if c.type == "numeric":
                total += float(column.values[code] * sums.weight[j])
            elif column.offsets is None:
                total += float(tables[c.table].weight[column.values[code], 0])
            elif column.offsets[code + 1] > column.offsets[code]:
                rows = column.values[column.offsets[code] : column.offsets[code + 1]]
                total += float(tables[c.table].weight[rows, 0].mean())
        return total

    at = 0
    history = batch.sequences["history"]
    for i in range(len(batch)):
        past = [
            item(linear.past, linear.sums["behaviour"], c) for c in history.item[history.start[i] : history.stop[i]]
        ]
        for code in batch.candidates.item[batch.candidates.start[i] : batch.candidates.stop[i]]:
            expected = float(linear.bias) + item(linear.own, linear.sums["item"], code)
            expected += float(np.mean(past)) if past else 0.0
            expected += float(numbers[at] @ linear.more)
            assert made[at] == pytest.approx(expected, abs=1e-5)
            at += 1
    assert at == len(made)


def test_pairs_of_past_and_judged_values_share_a_weight_wherever_they_meet(asked):
    features, questions = asked
    batch = features.encode(questions)
    wide = filled(Pairs(features, buckets=50))
    assert wide.columns == ["item", "category"]
    made = wide(batch).detach().numpy()
    at = 0
    for i in range(len(batch)):
        past = batch.sequences["history"].item[batch.sequences["history"].start[i] : batch.sequences["history"].stop[i]]
        for code in batch.candidates.item[batch.candidates.start[i] : batch.candidates.stop[i]]:
            expected = 0.0
            for j, name in enumerate(wide.columns):
                value = batch.items[name].values
                rows = [int(wide.hashed(value[[p]], value[[code]], j)[0]) for p in past]
                assert all(1 <= r <= 50 for r in rows)
                expected += float(wide.table.weight[rows, 0].mean()) if rows else 0.0
            assert made[at] == pytest.approx(expected, abs=1e-5)
            at += 1
    one, other = np.array([3]), np.array([5])
    assert wide.hashed(one, other, 0) != wide.hashed(other, one, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_network_learns_all_of_its_weights(kind, asked):
    features, questions = asked
    net = SlateNetwork(features, Pooled, dim=4, side=2, hidden=(8,), cross=kind)
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    went = fit(net, features, questions, Learning(epochs=4, lr=0.01, pairs=64))
    assert went.curve[-1]["loss"] < went.curve[0]["loss"]
    # of the vectors nothing reaches the answer of logistic regression
    idle = ("tables.", "event.") if kind == "lr" else ()
    still = [n for n, p in net.named_parameters() if torch.equal(p, before[n]) and not n.startswith(idle)]
    assert [n for n in still if not n.endswith(tuple("0123456789"))] == [n for n in still if "sums" in n], still


def test_deepfm_is_tower_plus_weights_plus_pairs(asked):
    features, questions = asked
    batch = features.encode(questions)
    net = filled(SlateNetwork(features, Pooled, dim=4, side=2, hidden=(8,), cross="deepfm")).eval()
    made = net(batch)
    keys, spans, queries, ends, _ = net.vectors(batch)
    found = net.interest(keys, spans, queries, ends)
    numbers = net._numbers(batch, ends, spans.diff())
    columns = torch.cat([queries, found], 1)
    fields = net.crossing.fields(columns)
    expected = net.tower(torch.cat([columns, numbers], 1)) + net.crossing.weights(batch, numbers, ends)
    expected = expected + sum((fields[:, f] * fields[:, g]).sum(1) for f, g in itertools.combinations(range(8), 2))
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)


def test_an_interaction_that_does_not_exist_is_refused(asked):
    with pytest.raises(OptionError, match=r"deepmf.*deepfm"):
        SlateNetwork(asked[0], Pooled, cross="deepmf")
