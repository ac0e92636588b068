"""Sparse mixtures, the encoder-decoder step by step, and beams against all lists that there are."""

import itertools

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.numeric.trie import Trie

torch = pytest.importorskip("torch")
from ethogram.nn.beam import write  # noqa: E402
from ethogram.nn.encdec import Cached, EncoderDecoder, Shape  # noqa: E402
from ethogram.nn.mixture import SparseMixture  # noqa: E402

SHAPE = Shape(k=4, levels=2, things=3, length=6, dim=16, heads=2, experts=4, active=2, dropout=0.0)


def model(**more):
    return EncoderDecoder(Shape(**{**SHAPE.__dict__, **more}), seed=1).eval()


def memory(built, n=3, seed=0):
    rng = np.random.default_rng(seed)
    there = torch.from_numpy(np.arange(5) < rng.integers(0, 6, n)[:, None])
    codes = torch.from_numpy(rng.integers(0, 4, (n, 5, 2)))
    with torch.no_grad():
        return built.encode(codes, torch.arange(5).expand(n, 5), there)


def test_a_mixture_is_the_gated_sum_of_its_best_experts():
    torch.manual_seed(0)
    made, x = SparseMixture(6, 10, 5, 2), torch.randn(20, 6)
    gates = torch.softmax(made.gate(x), 1)
    said = torch.stack([made._expert(e, x) for e in range(5)], 1)
    top = gates >= gates.topk(2, 1).values[:, -1:]
    np.testing.assert_allclose(
        made(x).detach(), ((gates * top)[..., None] * said).sum(1).detach(), rtol=1e-4, atol=1e-6
    )
    assert int(made.load.sum()) == 40
    even = len(made.up) * (top.float().mean(0) / 2 * gates.mean(0)).sum()
    made(x)
    assert float(made.balance.detach()) == pytest.approx(float(even.detach()), rel=1e-5)
    with pytest.raises(OptionError, match="active"):
        SparseMixture(6, 10, 2, 3)


@pytest.mark.parametrize("experts", [1, 4])
def test_step_by_step_gives_what_one_pass_gives(experts):
    built = model(experts=experts, active=min(experts, 2))
    past = memory(built)
    words = torch.from_numpy(np.random.default_rng(1).integers(0, 4, (3, 3, 2)))
    with torch.no_grad():
        whole = built(past, words).reshape(3, 6, 4)
        step, flat = Cached(built, past, 2), words.view(3, 6)
        for t in range(6):
            # the first beam holds the words; beams change places each time and must find their own past again
            letters = None if t == 0 else torch.stack([flat[:, t - 1], flat[:, t - 1]], 1)
            parents = None if t == 0 else torch.tensor([[1, 0]]).expand(3, 2)
            said = step.next(letters, parents)
            np.testing.assert_allclose(said[:, 0], whole[:, t], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(said[:, 1], whole[:, t], rtol=1e-4, atol=1e-5)


def test_padding_is_not_read():
    built = model()
    codes = torch.from_numpy(np.random.default_rng(2).integers(0, 4, (1, 5, 2)))
    distance, there = torch.arange(5)[None], torch.tensor([[True, True, False, False, False]])
    with torch.no_grad():
        one = built.encode(codes, distance, there)[0][:, :3]
        other = built.encode(codes[:, :2], distance[:, :2], there[:, :2])[0]
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def brute(built, past, codes, offered, q):
    """ln P of every list of 2 distinct offered things of question q."""
    found = {}
    single = tuple(m[q : q + 1] for m in past)
    for pair in itertools.permutations(np.flatnonzero(offered[q]), 2):
        with torch.no_grad():
            said = built(single, torch.from_numpy(codes[list(pair)])[None])[0].numpy()
        total, taken = 0.0, []
        for turn, thing in enumerate(pair):
            left = [i for i in np.flatnonzero(offered[q]) if i not in taken]
            for level in range(2):
                there = {codes[i][level] for i in left if (codes[i][:level] == codes[thing][:level]).all()}
                z = said[turn, level]
                total += z[codes[thing][level]] - np.log(sum(np.exp(z[a]) for a in there))
            taken.append(thing)
        found[pair] = total
    return found


def test_wide_beams_find_the_best_lists_that_there_are():
    built = model(things=2)
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 3], [2, 2], [3, 1]])
    trie, past = Trie.of(codes, 4, np.ones(6)), memory(built)
    offered = np.ones((3, 6), bool)
    offered[1, [0, 4]] = False
    made = write(Cached(built, past, 40).next, trie, trie.left(offered), width=40, things=2, offered=offered)
    for q in range(3):
        wanted = brute(built, past, codes, offered, q)
        alive = np.isfinite(made.total[q])
        got = {tuple(t): s for t, s in zip(made.things[q][alive].tolist(), made.total[q][alive], strict=True)}
        assert len(got) == int(alive.sum()) == min(40, len(wanted)), "no list twice, none missing"
        for pair, value in got.items():
            assert value == pytest.approx(wanted[pair], abs=1e-4)
        assert max(got.values()) == pytest.approx(max(wanted.values()), abs=1e-4)
        if q == 1:
            assert not {0, 4} & set(made.things[q][alive].ravel().tolist())
            assert sum(np.exp(list(got.values()))) == pytest.approx(1, abs=1e-4), "of all lists"


def test_things_of_one_word_come_in_turn_and_lists_end_where_nothing_is_left():
    built = model(things=3)
    codes = np.array([[0, 0], [0, 0], [1, 1]])
    trie, past = Trie.of(codes, 4, np.array([1.0, 2.0, 1.0])), memory(built, 2)
    offered = np.array([[True, True, True], [True, False, False]])
    made = write(Cached(built, past, 6).next, trie, trie.left(offered), width=6, things=3, offered=offered)
    for things, total in zip(made.things[0], made.total[0], strict=True):
        if np.isfinite(total):
            assert sorted(things.tolist()) == [0, 1, 2]
            assert list(things).index(1) < list(things).index(0), "the one of larger weight first"
    assert made.things[1, 0].tolist() == [0, -1, -1]
    assert np.isfinite(made.logp[1, 0, 0])


def test_draws_follow_the_probabilities():
    built = model(things=1)
    codes = np.array([[0, 0], [0, 1], [1, 0], [2, 2]])
    trie, past = Trie.of(codes, 4, np.ones(4)), memory(built, 1)
    offered = np.ones((1, 4), bool)
    how = {"things": 1, "offered": offered}
    every = write(Cached(built, past, 4).next, trie, trie.left(offered), width=4, **how)
    p = np.zeros(4)
    p[every.things[0, :, 0]] = np.exp(every.logp[0, :, 0])
    assert p.sum() == pytest.approx(1, abs=1e-5)
    generator = torch.Generator().manual_seed(3)
    drawn = write(Cached(built, past, 4_000).next, trie, trie.left(offered), width=4_000, generator=generator, **how)
    np.testing.assert_allclose(np.bincount(drawn.things[0, :, 0], minlength=4) / 4_000, p, atol=0.03)
