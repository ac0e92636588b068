"""Losses against autograd of the plain formula and against sums by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from ethogram.errors import OptionError
from ethogram.nn import losses


def made(n=37, v=50, d=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    states = torch.randn(n, d, generator=g, dtype=torch.float64, requires_grad=True)
    items = torch.randn(v, d, generator=g, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(v, generator=g, dtype=torch.float64, requires_grad=True)
    return states, items, bias, torch.randint(0, v, (n,), generator=g), torch.rand(n, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cells", [2**24, 130])
def test_full_softmax_equals_cross_entropy(weighted, cells, monkeypatch):
    monkeypatch.setattr(losses, "CELLS", cells)
    states, items, bias, target, weight = made()
    weight = weight if weighted else None
    got = losses.full_softmax(states, items, target, bias=bias, weight=weight)
    plain = F.cross_entropy(states @ items.T + bias, target, reduction="none")
    expected = plain.mean() if weight is None else (plain * weight).sum() / weight.sum()
    torch.testing.assert_close(got, expected)
    grads = torch.autograd.grad(3 * got, (states, items, bias))
    for mine, theirs in zip(grads, torch.autograd.grad(3 * expected, (states, items, bias)), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_full_softmax_leaves_out_unknown_targets():
    states, items, _, target, _ = made()
    target[::3] = -1
    got = losses.full_softmax(states, items, target)
    torch.testing.assert_close(got, F.cross_entropy(states @ items.T, target, ignore_index=-1))
    assert losses.full_softmax(states, items, torch.full_like(target, -1)) == 0


def test_full_softmax_survives_large_logits():
    states, items, _, target, _ = made()
    assert torch.isfinite(losses.full_softmax(states * 1e4, items, target))


def test_sampled_softmax_approaches_the_full_one():
    states, items, _, target, _ = made(n=8, v=30)
    q = torch.softmax(torch.randn(30, generator=torch.Generator().manual_seed(3), dtype=torch.float64), 0)
    full = F.cross_entropy(states @ items.T, target)
    wanted = torch.autograd.grad(full, states, retain_graph=True)[0]
    g = torch.Generator().manual_seed(4)
    values, grads = [], []
    for _ in range(40):
        drawn = torch.multinomial(q, 4_000, replacement=True, generator=g)
        loss = losses.sampled_softmax(states, items[target], items[drawn], target, drawn, q.log())
        values.append(loss.detach())
        grads.append(torch.autograd.grad(loss, states, retain_graph=True)[0])
    # the target stands in the sum as itself and is masked among the samples
    torch.testing.assert_close(torch.stack(values).mean(), full.detach(), rtol=0.01, atol=0.0)
    torch.testing.assert_close(torch.stack(grads).mean(0), wanted, rtol=0.05, atol=0.01)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cells", [2**24, 130])
def test_sampled_softmax_equals_its_formula_with_gradients(weighted, cells, monkeypatch):
    monkeypatch.setattr(losses, "CELLS", cells)
    states, items, log_q, target, weight = made(v=20)  # small, so that many samples are targets
    log_q = log_q.detach().log_softmax(0)
    weight = weight if weighted else None
    drawn = torch.randint(0, 20, (30,), generator=torch.Generator().manual_seed(1))
    got = losses.sampled_softmax(states, items[target], items[drawn], target, drawn, log_q, weight=weight)
    logits = states @ items[drawn].T - log_q[drawn] - math.log(30)
    logits = logits.masked_fill(target[:, None] == drawn, -torch.inf)
    own = (states * items[target]).sum(1, keepdim=True)
    plain = F.cross_entropy(torch.cat([own, logits], 1), torch.zeros_like(target), reduction="none")
    expected = plain.mean() if weight is None else (plain * weight).sum() / weight.sum()
    torch.testing.assert_close(got, expected)
    for mine, theirs in zip(
        torch.autograd.grad(2 * got, (states, items)), torch.autograd.grad(2 * expected, (states, items)), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_losses_of_nothing_are_zero():
    states, items, log_q, target, _ = made()
    none = target[:0]
    assert losses.full_softmax(states[:0], items, none) == 0
    assert losses.sampled_softmax(states[:0], items[none], items[:3], none, target[:3], log_q) == 0


def test_sampled_softmax_by_hand():
    states, positive = torch.tensor([[1.0]]), torch.tensor([[2.0]])
    negative, drawn = torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1])
    log_q = torch.tensor([math.log(0.25), math.log(0.75)])
    got = losses.sampled_softmax(states, positive, negative, torch.tensor([1]), drawn, log_q)
    # sample 1 is the target, so only sample 0 counts, with 1 - log(2 * .25)
    assert math.isclose(got.item(), math.log(math.exp(2) + math.exp(1 - math.log(0.5))) - 2, rel_tol=1e-6)
    with pytest.raises(OptionError, match="no negative samples"):
        losses.sampled_softmax(states, positive, negative[:0], torch.tensor([1]), drawn[:0], log_q)


def test_bce_and_bpr_by_hand():
    logits, label, weight = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0]), torch.tensor([1.0, 3.0])
    parts = [math.log(2), math.log(1 + math.exp(2))]
    assert math.isclose(losses.bce(logits, label).item(), sum(parts) / 2, rel_tol=1e-6)
    assert math.isclose(losses.bce(logits, label, weight).item(), (parts[0] + 3 * parts[1]) / 4, rel_tol=1e-6)
    got = losses.bpr(torch.tensor([1.0]), torch.tensor([0.0])).item()
    assert math.isclose(got, -math.log(1 / (1 + math.exp(-1))), rel_tol=1e-6)


def test_info_nce_with_false_negatives_masked():
    a, b = torch.eye(3), torch.eye(3)
    base = math.log(1 + 2 * math.exp(-1))
    assert math.isclose(losses.info_nce(a, b, 1.0).item(), base, rel_tol=1e-6)
    same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    expected = (2 * math.log(1 + math.exp(-1)) + base) / 3
    assert math.isclose(losses.info_nce(a, b, 1.0, same=same).item(), expected, rel_tol=1e-6)


@pytest.mark.parametrize("n", [1, 127, 128, 300])
def test_bfloat16_changes_digits_only(n):
    g = torch.Generator().manual_seed(n)
    states, items = (torch.randn(k, 16, generator=g, requires_grad=True) for k in (n, 50))
    target = torch.randint(0, 50, (n,), generator=g)
    weight = torch.rand(n, generator=g)

    def found(low):
        states.grad = items.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss = losses.full_softmax(states, items, target, weight=weight)
        loss.backward()
        return loss.detach(), states.grad, items.grad

    for few, all_bits in zip(found(True), found(False), strict=True):
        assert few.dtype == torch.float32
        torch.testing.assert_close(few, all_bits, rtol=0.03, atol=0.02 * float(all_bits.abs().max()))
