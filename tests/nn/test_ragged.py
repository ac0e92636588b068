import itertools

import numpy as np
import pytest
import torch

from ethogram.errors import OptionError
from ethogram.nn import ragged
from ethogram.nn.rows import add_rows, distinct, gather_rows, place_rows, take_rows

OFFSETS = torch.tensor([0, 3, 3, 4, 9])


def values(*shape: int, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def split(x):
    return [x[a:b] for a, b in itertools.pairwise(OFFSETS)]


@pytest.mark.parametrize("shape", [(9,), (9, 2), (9, 2, 3)])
@pytest.mark.parametrize(
    ("name", "one"), [("sum", lambda s: s.sum(0)), ("mean", lambda s: s.mean(0)), ("max", lambda s: s.amax(0))]
)
def test_segments_against_a_loop_with_gradients(name, one, shape):
    x = values(*shape).requires_grad_()
    got = getattr(ragged, f"segment_{name}")(x, OFFSETS)
    expected = torch.stack([one(s) if len(s) else torch.zeros(shape[1:], dtype=x.dtype) for s in split(x)])
    torch.testing.assert_close(got, expected)
    weight = values(*got.shape, seed=1)
    (a,) = torch.autograd.grad((got * weight).sum(), x, retain_graph=True)
    (b,) = torch.autograd.grad((expected * weight).sum(), x)
    torch.testing.assert_close(a, b)


def test_softmax_inside_segments_survives_large_scores():
    x = (values(9, 2) * 1000).requires_grad_()
    got = ragged.segment_softmax(x, OFFSETS)
    expected = torch.cat([s.softmax(0) for s in split(x)])
    torch.testing.assert_close(got, expected)
    small = values(9).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: ragged.segment_softmax(s, OFFSETS), small)


def test_pad_and_unpad_are_inverse_and_each_others_gradient():
    x = values(9, 2).requires_grad_()
    padded, mask = ragged.pad(x, OFFSETS)
    assert padded.shape == (4, 5, 2)
    assert mask.sum(1).tolist() == [3, 0, 1, 5]
    assert (padded[~mask] == 0).all()
    torch.testing.assert_close(ragged.unpad(padded, OFFSETS), x)
    torch.testing.assert_close(padded[3], x[4:9])
    assert torch.autograd.gradcheck(lambda v: ragged.unpad(ragged.pad(v, OFFSETS, 6)[0].tanh(), OFFSETS), x)
    with pytest.raises(OptionError, match="longest segment, 5"):
        ragged.pad(x, OFFSETS, 4)


def test_empty_ragged_tensors():
    nothing, offsets = torch.zeros(0, 3), torch.zeros(4, dtype=torch.int64)
    assert ragged.segment_sum(nothing, offsets).shape == (3, 3)
    assert ragged.segment_mean(nothing, offsets).eq(0).all()
    assert ragged.segment_max(nothing, offsets).eq(0).all()
    assert ragged.pad(nothing, offsets)[0].shape == (3, 0, 3)


@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("padding", [0.0, 0.1, 0.3])
def test_batches_cover_every_question_once_within_bounds(seed, padding):
    rng = np.random.default_rng(7)
    lengths = np.minimum(rng.geometric(0.02, 3000) - 1, 400)
    widths = rng.integers(1, 9, 3000)
    batches = ragged.bucket_batches(
        lengths, tokens=2000, padding=padding, rows=300, widths=widths, width=500, seed=seed
    )
    assert np.array_equal(np.sort(np.concatenate(batches)), np.arange(3000))
    for b in batches:
        counted = np.maximum(lengths[b], 1)
        cells = len(b) * counted.max()
        assert cells <= 2000
        assert counted.sum() >= (1 - padding) * cells - 1e-9
        assert len(b) <= 300
        assert widths[b].sum() <= 500


def test_batches_are_few_and_new_every_epoch():
    lengths = np.minimum(np.random.default_rng(7).geometric(0.02, 3000), 400)
    a, b = (ragged.bucket_batches(lengths, tokens=4000, padding=0.2, seed=s) for s in (0, 1))
    assert len(a) <= 1.35 * lengths.sum() / 4000 / 0.8
    together = {frozenset((int(x), int(y))) for batch in a for x, y in itertools.pairwise(batch)}
    again = {frozenset((int(x), int(y))) for batch in b for x, y in itertools.pairwise(batch)}
    assert len(together & again) < 0.1 * len(together)
    same = ragged.bucket_batches(lengths, tokens=4000, padding=0.2, seed=0)
    assert all(np.array_equal(x, y) for x, y in zip(a, same, strict=True))


def test_a_question_above_the_limit_stands_alone():
    batches = ragged.bucket_batches(np.array([5, 100, 5]), tokens=20, padding=0.5)
    assert sorted(map(len, batches)) == [1, 2]
    assert ragged.bucket_batches(np.zeros(0, int), tokens=5) == []
    with pytest.raises(OptionError, match="padding"):
        ragged.bucket_batches(np.array([1]), tokens=5, padding=1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_gathered_and_added(dtype):
    index = torch.tensor([3, 0, 3, 3, 1])
    x = values(4, 5, dtype=dtype).requires_grad_()
    up = values(5, 5, dtype=dtype, seed=1)
    (grad,) = torch.autograd.grad((gather_rows(x, index) * up).sum(), x)
    torch.testing.assert_close(grad, torch.zeros(4, 5, dtype=dtype).index_add_(0, index, up))
    torch.testing.assert_close(add_rows(torch.ones(4, 5, dtype=dtype), index, up), grad + 1)


def test_rows_taken_and_placed():
    index = torch.tensor([4, 0, 2])
    x = values(5, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: place_rows(take_rows(v, index).sin(), index + 1, 7), x)


def test_distinct_agrees_with_unique_and_needs_no_clearing():
    place = np.zeros(50, np.int32)
    rng = np.random.default_rng(0)
    for _ in range(5):
        ids = torch.from_numpy(rng.integers(0, 50, 200))
        rows, inverse = distinct(ids, place)
        assert torch.equal(rows[inverse], ids)
        assert len(rows) == len(ids.unique())
        assert rows.tolist() == list(dict.fromkeys(ids.tolist()))
        sorted_rows, sorted_inverse = distinct(ids)
        assert torch.equal(sorted_rows[sorted_inverse], ids)
