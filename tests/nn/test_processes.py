"""Neural point processes against plain arithmetic, numeric gradients and their own laws."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from ethogram.nn.attentive_process import AttentiveProcess
from ethogram.nn.event_attention import Prefix, Rows, attend
from ethogram.nn.processes import Neural, batch_loss, loglikelihood
from ethogram.nn.prompt_pool import PromptPool
from ethogram.nn.recurrent_process import RecurrentProcess
from ethogram.numeric.hawkes import Hawkes
from ethogram.numeric.integrals import instants
from ethogram.numeric.rescaling import kolmogorov
from ethogram.numeric.streams import States, Streams

LAW = Hawkes(np.array([0.3, 0.2, 0.1]), np.full((3, 3), 0.2), 1.5)
STREAMS = LAW.sample(np.full(8, 15.0), seed=1)
NETWORKS = {
    "attentive": lambda: AttentiveProcess(3, hidden=8, time=4, seed=2),
    "prompts": lambda: AttentiveProcess(3, hidden=8, time=4, entries=4, chosen=2, rows=2, seed=2),
    "recurrent": lambda: RecurrentProcess(3, hidden=8, seed=2),
}


@pytest.fixture(params=list(NETWORKS))
def network(request):
    return NETWORKS[request.param]().eval()


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


@pytest.mark.parametrize("width", [0, 4])
def test_attention_is_a_softmax_over_earlier_events_itself_and_the_prefix(width):
    rng = np.random.default_rng(0)
    d, events, visible = 4, 5, np.array([0, 1, 1, 3, 5])
    x, keys, values, ahead, ahead_value = (
        rng.standard_normal(s).astype(np.float32)
        for s in ((5, 3 * d), (events, d), (events, d), (width, d), (width, d))
    )
    lift, allowed = rng.standard_normal(5).astype(np.float32), rng.random((3, width)) < 0.6
    state = np.array([0, 1, 2, 1, 0])
    rows = Rows(np.array([0, 5]), np.array([0, events]), visible)
    prefix = Prefix(*map(torch.from_numpy, (ahead, ahead_value, lift, allowed, state))) if width else None
    out, mass = attend(*map(torch.from_numpy, (x, keys, values)), rows, prefix)
    for r in range(5):
        q, k, v = x[r, :d], x[r, d : 2 * d], x[r, 2 * d :]
        front = np.where(allowed[state[r]], ahead @ q + lift[r], -np.inf)
        weight = softmax(np.concatenate([front, keys[: visible[r]] @ q, [k @ q]]) / d**0.5)
        said = weight @ np.concatenate([ahead_value, values[: visible[r]], v[None]])
        np.testing.assert_allclose(out[r].numpy(), said, atol=1e-5)
        assert mass[r].item() == pytest.approx(weight[:width].sum(), abs=1e-5)


def test_compiled_passes_give_the_gradients_of_plain_torch(network):
    """In float64 the same runs in torch operations alone."""
    network.train()
    plain = copy.deepcopy(network).double()
    for other in (network, plain):
        batch_loss(other, STREAMS, 6, "gauss", np.random.default_rng(0), pull=0.1).backward()
    for (name, a), b in zip(network.named_parameters(), plain.parameters(), strict=True):
        scale = float(b.grad.abs().max())
        assert scale > 0, f"{name} learns nothing"
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), atol=2e-4 * scale + 1e-7, err_msg=name)


def test_pieces_sum_to_the_whole(network, monkeypatch):
    network.train()
    grads = []
    for rows in (10**9, 60):
        monkeypatch.setattr("ethogram.nn.processes.pieces.__defaults__", (rows,))
        other = copy.deepcopy(network)
        batch_loss(other, STREAMS, 6, "gauss", np.random.default_rng(0), pull=0.1).backward()
        grads.append([p.grad.numpy() for p in other.parameters()])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_likelihood_is_log_intensities_less_their_integral(network):
    """Each event with what is strictly before it (no off-by-one, no leak), each gap once."""
    when, weight = instants(STREAMS.gaps, 12)
    with torch.no_grad():
        said = float(loglikelihood(network, network.encode(STREAMS), when, weight))
    one = Neural(network, 1.0)
    total = 0.0
    for i in range(len(STREAMS)):
        own = STREAMS.take([i])
        total += np.log(one.intensities(own)[np.arange(len(own.time)), own.kind]).sum()
        for a, b, known in zip(own.gaps.start, own.gaps.stop, own.gaps.known, strict=True):
            grid = np.linspace(a, b, 101)
            states = States(np.zeros(101, int), np.full(101, known), np.full(101, a))
            total -= np.trapezoid(one.after(own, states, grid - a).sum(1), grid)
    assert said == pytest.approx(total, rel=1e-4)
    assert one.loglikelihood(STREAMS).sum() == pytest.approx(total, rel=1e-4)


def test_the_future_is_not_known(network):
    """Neither an event nor anything behind it changes the intensity at it or before; nor who sits beside."""
    own = STREAMS.take([0])
    half = len(own.time) // 2
    first = Neural(network, 1.0).intensities(own)
    other = Streams(own.time.copy(), own.kind.copy(), own.offsets, own.begin, own.end, 3)
    other.kind[half:] = (other.kind[half:] + 1) % 3
    other.time[half + 1 :] += 0.37
    later = Neural(network, 1.0).intensities(other)
    np.testing.assert_allclose(first[: half + 1], later[: half + 1], rtol=1e-5)
    assert np.abs(first[half + 1 :] - later[half + 1 :]).max() > 1e-5
    beside = Neural(network, 1.0).intensities(STREAMS.take([3, 0, 5]))
    start = STREAMS.lengths[3]
    np.testing.assert_allclose(beside[start : start + len(own.time)], first, rtol=1e-5)


def test_events_of_one_instant_do_not_know_each_other(network):
    time = np.array([0.0, 1.0, 1.0, 2.5])
    one, turned = (Streams.of([(time, k)], 3, begin=0.0, end=3.0) for k in ([0, 1, 2, 1], [0, 2, 1, 1]))
    rate = Neural(network, 1.0).intensities(one)
    np.testing.assert_allclose(rate[1], rate[2], rtol=1e-6)
    if not isinstance(network, RecurrentProcess):  # which takes one of them first; callers sort them by kind
        np.testing.assert_allclose(rate, Neural(network, 1.0).intensities(turned), rtol=1e-5)


def test_next_events_follow_the_intensity_and_come_alone_as_among_others(network):
    one = Neural(network, 0.5)
    last = STREAMS.last()
    gap, kind = one.next(STREAMS, last, 80, seed=1)
    each = STREAMS.take(np.repeat(np.arange(len(STREAMS)), 80))
    later = Streams(each.time, each.kind, each.offsets, each.end, each.end + gap.ravel(), 3)
    assert kolmogorov(one.residuals(later))[1] > 0.01
    alone, _ = one.next(STREAMS.take([4]), STREAMS.take([4]).last(), 80, seed=1)
    np.testing.assert_allclose(alone[0], gap[4], rtol=1e-3)
    share = np.bincount(kind.ravel(), minlength=3) / kind.size
    states = States(*(np.repeat(a, 80) for a in (last.owner, last.known, last.now)))
    rate = one.after(STREAMS, states, gap.ravel())
    np.testing.assert_allclose(share, (rate / rate.sum(1, keepdims=True)).mean(0), atol=0.05)


def test_units_change_nothing_but_the_numbers(network):
    one = Neural(network, 1.0)
    days = Streams(STREAMS.time * 7, STREAMS.kind, STREAMS.offsets, STREAMS.begin * 7, STREAMS.end * 7, 3)
    np.testing.assert_allclose(Neural(network, 7.0).residuals(days), one.residuals(STREAMS), rtol=1e-4)
    np.testing.assert_allclose(Neural(network, 7.0).intensities(days) * 7, one.intensities(STREAMS), rtol=1e-4)


def test_odd_sequences_have_finite_answers(network):
    own = Streams.of(
        [([], []), ([1.0], [0]), ([2.0, 2.0], [0, 1]), ([0.0, 1e6, 2e12], [0, -1, 2])], 3, begin=0.0, end=3e12
    )
    one = Neural(network, 1.0)
    assert np.isfinite(one.residuals(own)).all()
    assert np.isfinite(one.intensities(own)).all()
    gap, _ = one.next(own, own.last(), 3)
    assert (gap > 0).all()


def test_a_pool_retrieves_the_nearest_keys_and_learns_to_be_near():
    torch.manual_seed(0)
    pool = PromptPool(6, entries=4, chosen=2, rows=3).eval()
    query = torch.randn(5, 6)
    picked = pool.pick(query)
    full = np.concatenate([query.numpy(), np.full((5, 1), 0.15 * 6**0.5)], 1)
    key = pool.key.detach().numpy()
    cosine = full @ key.T / np.linalg.norm(full, axis=1)[:, None] / np.linalg.norm(key, axis=1)
    best = np.sort(np.argsort(-cosine, 1)[:, :2], 1)
    assert [np.flatnonzero(r).tolist() for r in picked.entries.numpy()] == best.tolist()
    assert (picked.allowed.numpy() == np.repeat(picked.entries.numpy(), 3, 1)).all()
    assert picked.near.item() == pytest.approx(np.take_along_axis(cosine, best, 1).mean(), abs=1e-5)
    (1 - picked.near).backward()
    chosen = picked.entries.any(0)
    assert (pool.key.grad[chosen].abs().sum(1) > 0).all()
    assert (pool.key.grad[~chosen] == 0).all()


def test_a_batch_takes_what_is_nearest_together_and_used_entries_are_spared():
    torch.manual_seed(0)
    pool = PromptPool(6, entries=4, chosen=1, rows=2, diversify=2.0).train()
    query = torch.randn(9, 6)
    with torch.no_grad():  # the mean query's direction, though single ones lie elsewhere
        pool.key[2] = torch.cat([query.mean(0), torch.tensor([0.15 * 6**0.5])])
    voted = pool.pick(query, vote=True).entries
    assert (voted.int().argmax(1) == 2).all()
    own = pool.prompt.detach().view(2, 4, 2, 6)[:, 2].clone()
    pool.close()
    assert pool.used.tolist() == [0, 0, 1, 0]
    for free in (0, 1, 3):  # begin where the window ended
        assert torch.equal(pool.prompt.detach().view(2, 4, 2, 6)[:, free], own)
    again = pool.pick(query, vote=True).entries
    assert not again[:, 2].any()
    told = pool.eval().pick(query).entries
    assert told[:, 2].all()  # where it answers, what no window has learned is not there
    pool.used[0] = 0.5
    alone = [pool.pick(query[i : i + 1], vote=False).entries[0] for i in range(9)]
    assert (torch.stack(alone) == pool.pick(query).entries).all()
