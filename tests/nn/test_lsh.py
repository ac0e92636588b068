import numpy as np
import pytest
import torch

from ethogram.nn.lsh import Hashed, SimHash
from ethogram.nn.rows import Picked

KEYS, QUERIES = torch.tensor([0, 40, 40, 41, 100]), torch.tensor([0, 3, 5, 6, 9])


def unit(rng, n, dim):
    x = rng.standard_normal((n, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_collisions_follow_the_law(width):
    rng = np.random.default_rng(width)
    hashes = 24_000 * width
    simhash = SimHash(8, hashes=hashes, width=width, seed=width)
    for cosine in (0.95, 0.6, 0.0, -0.5):
        a = unit(rng, 1, 8)
        b = unit(rng, 1, 8)
        b -= (b @ a.T) * a
        b = cosine * a + (1 - cosine**2) ** 0.5 * b / np.linalg.norm(b)
        same = (simhash.codes(a) == simhash.codes(b.astype(np.float32))).mean()
        assert same == pytest.approx((1 - np.arccos(cosine) / np.pi) ** width, abs=0.01)


def test_codes_do_not_depend_on_company_device_form_or_precision():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 16)).astype(np.float32)
    simhash = SimHash(16, hashes=12, width=4, seed=5)
    codes = simhash.codes(x)
    assert codes.min() >= 0
    assert codes.max() == simhash.buckets - 1 == 15
    assert np.array_equal(codes, simhash.codes(torch.from_numpy(x)).numpy())
    assert np.array_equal(codes[17:18], simhash.codes(x[17:18]))
    again = SimHash(16, hashes=12, width=4, seed=6)
    assert not np.array_equal(codes, again.codes(x))
    again.load_state_dict(simhash.state_dict())
    assert np.array_equal(codes, again.float().codes(x))
    # by hand: bit i of group g counts 2^i
    side = x @ simhash.directions.numpy().T > 0
    assert codes[3, 2] == sum(int(side[3, 8 + i]) << i for i in range(4))
    assert np.array_equal(simhash.bits(torch.from_numpy(x)).numpy(), side)
    assert not any(p.requires_grad for p in simhash.parameters())


def test_signs_that_single_precision_cannot_tell_are_exact():
    rng = np.random.default_rng(7)
    simhash = SimHash(24, hashes=12, width=4, seed=3)
    directions = simhash.directions.numpy()
    # nearly at right angles to a direction each: what is left is far below float32's rounding of the product
    x = rng.standard_normal((3_000, 24))
    d = directions[rng.integers(0, 12, 3_000)]
    x -= (x * d).sum(1, keepdims=True) / (d * d).sum(1, keepdims=True) * d
    x = (x * np.exp(rng.normal(size=(3_000, 1)) * 8)).astype(np.float32)
    side = x.astype(np.float64) @ directions.T > 0
    single = x @ directions.T.astype(np.float32) > 0
    assert (single != side).any()  # the case is there
    expected = (side.reshape(-1, 3, 4) << np.arange(4)).sum(2)
    assert np.array_equal(simhash.codes(x), expected)
    # whatever the company, however the product is blocked
    assert np.array_equal(np.concatenate([simhash.codes(x[i : i + 7]) for i in range(0, 3_000, 7)]), expected)


def plain(keys, left, right, normalise):
    """Bucket by bucket, candidate by candidate."""
    out = []
    for b in range(len(KEYS) - 1):
        k = slice(int(KEYS[b]), int(KEYS[b + 1]))
        for q in range(int(QUERIES[b]), int(QUERIES[b + 1])):
            total = torch.zeros(keys.shape[1], dtype=keys.dtype)
            for g in range(left.shape[1]):
                found = keys[k][left[k, g] == right[q, g]].sum(0)
                norm = found.norm()
                total = total + (found / norm if normalise and norm > 0 else found)
            out.append(total / left.shape[1])
    return torch.stack(out)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("cells", [1, 2**24])
def test_batched_interest_equals_the_definition_with_gradients(normalise, cells, monkeypatch):
    monkeypatch.setattr("ethogram.nn.collisions.CELLS", cells)
    g = torch.Generator().manual_seed(0)
    keys = torch.randn(100, 6, dtype=torch.float64, generator=g).requires_grad_()
    queries = torch.randn(9, 6, dtype=torch.float64, generator=g).requires_grad_()
    hashed = Hashed(6, hashes=12, width=3, normalise=normalise, seed=2)
    got = hashed(keys, KEYS, queries, QUERIES)
    expected = plain(keys, hashed.hash.codes(keys), hashed.hash.codes(queries), normalise)
    torch.testing.assert_close(got, expected)
    assert got[3:5].eq(0).all()  # no history
    with torch.no_grad():
        for dtype in (torch.float64, torch.float32):
            answered = hashed(keys.to(dtype), KEYS, queries.to(dtype), QUERIES)
            torch.testing.assert_close(answered, got.to(dtype), rtol=1e-5, atol=1e-6)
    up = torch.randn(got.shape, dtype=got.dtype, generator=g)
    (a,) = torch.autograd.grad((got * up).sum(), keys, retain_graph=True)
    (b,) = torch.autograd.grad((expected * up).sum(), keys)
    torch.testing.assert_close(a, b)
    assert torch.autograd.grad(got.sum(), queries, allow_unused=True)[0] is None
    weights = hashed.weights(keys, KEYS, queries, QUERIES)
    for b in range(4):
        for q in range(int(QUERIES[b]), int(QUERIES[b + 1])):
            torch.testing.assert_close(weights[q] @ keys[KEYS[b] : KEYS[b + 1]], got[q])


@pytest.mark.parametrize("learn", [True, False])
def test_picked_events_are_as_good_as_those_written_out(learn):
    rng = np.random.default_rng(5)
    values = torch.from_numpy(rng.standard_normal((30, 6)).astype(np.float32)).requires_grad_(learn)
    queries = torch.from_numpy(rng.standard_normal((9, 6)).astype(np.float32))
    rows, part = torch.from_numpy(rng.integers(0, 30, 100)), Hashed(6, hashes=12, width=2)
    found = part(Picked(values, rows), KEYS, queries, QUERIES)
    expected = part(values[rows], KEYS, queries, QUERIES)
    assert torch.equal(found, expected)
    if learn:
        ours, theirs = (torch.autograd.grad(x.square().sum(), values)[0] for x in (found, expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_zero_vectors_leave_finite_gradients():
    keys = torch.zeros(4, 3).requires_grad_()
    hashed = Hashed(3, hashes=6, width=2)
    hashed(keys, torch.tensor([0, 4]), torch.ones(1, 3), torch.tensor([0, 1])).sum().backward()
    assert keys.grad.isfinite().all()


def test_without_the_norm_it_is_attention_by_collision_and_more_hashes_are_closer():
    rng = np.random.default_rng(3)
    keys, queries = unit(rng, 60, 16), unit(rng, 4, 16)
    attention = (1 - np.arccos(np.clip(queries @ keys.T, -1, 1)) / np.pi) ** 2 @ keys
    k, q = torch.from_numpy(keys), torch.from_numpy(queries)
    errors = []
    for hashes in (64, 256, 1024, 4096):
        miss = []
        for seed in range(6):
            hashed = Hashed(16, hashes, 2, normalise=False, seed=seed)
            got = hashed(k, torch.tensor([0, 60]), q, torch.tensor([0, 4])).numpy()
            miss.append(np.square(got - attention).mean())
        errors.append(np.sqrt(np.mean(miss)))
    ratios = np.array(errors[:-1]) / errors[1:]
    assert np.all((ratios > 1.5) & (ratios < 2.7)), ratios  # four times the groups, half the error
