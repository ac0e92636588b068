"""The decoder against a computation by hand, its branches against rows read one by one, and its training."""

import math

import numpy as np
import pytest
import torch

from ethogram.errors import OptionError
from ethogram.nn.decoder import MATRICES, Decoder, Falling, Rows, branched, orthogonal, padded, teach


def by_hand(model, ids):
    """Logits of every place of one row, attention written out with loops."""
    w = {k: v.detach().double().numpy() for k, v in model.state_dict().items()}

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["token.weight"][ids] + w["place.weight"][: len(ids)]
    for b, block in enumerate(model.blocks):
        name, heads, width = f"blocks.{b}", block.heads, x.shape[1]
        q, k, v = np.split(norm(x, f"{name}.first") @ w[f"{name}.qkv.weight"].T, 3, -1)
        read, d = np.zeros_like(q), width // heads
        for h in range(heads):
            part = slice(h * d, (h + 1) * d)
            for t in range(len(ids)):
                z = q[t, part] @ k[: t + 1, part].T / math.sqrt(d)
                share = np.exp(z - z.max())
                read[t, part] = share / share.sum() @ v[: t + 1, part]
        x = x + read @ w[f"{name}.out.weight"].T
        up = norm(x, f"{name}.second") @ w[f"{name}.up.weight"].T + w[f"{name}.up.bias"]
        gelu = 0.5 * up * (1 + np.tanh(math.sqrt(2 / math.pi) * (up + 0.044715 * up**3)))
        x = x + gelu @ w[f"{name}.down.weight"].T + w[f"{name}.down.bias"]
    return norm(x, "norm") @ w["token.weight"].T


def test_logits_are_those_of_a_computation_by_hand():
    model = Decoder(11, layers=2, width=8, heads=2, context=9, seed=1).eval()
    ids = [3, 1, 4, 1, 5]
    told = model(torch.tensor([ids]), torch.ones(1, 5, dtype=torch.bool)).detach().numpy()
    np.testing.assert_allclose(told, by_hand(model, ids), rtol=1e-4, atol=1e-5)


def test_branches_read_the_beginning_and_themselves_only():
    model = Decoder(13, layers=2, width=8, heads=2, context=12, seed=2).eval()
    begins, branches = [[1, 2, 3], [4]], [[[5, 6], [7], [5, 8, 9]], [[2], [3, 3]]]
    found = branched(model, begins, branches)
    ends = branched(model, begins, branches, last=True, cells=1)
    for i, begin in enumerate(begins):
        for j, branch in enumerate(branches[i]):
            logits = by_hand(model, begin + branch)
            logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            own = [logs[len(begin) - 1 + t, token] for t, token in enumerate(branch)]
            np.testing.assert_allclose(found[i][j], own, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(ends[i][j], logs[-1], rtol=1e-4, atol=1e-5)
    with pytest.raises(OptionError, match="one token or more"):
        branched(model, [[1]], [[[]]])
    with pytest.raises(OptionError, match="reads 12"):
        branched(model, [[1] * 12], [[[1]]])


def test_it_learns_what_is_learned_and_not_what_is_read():
    """The second token repeats the first; the third is noise that is only read."""

    def rows(rng):
        first = rng.integers(1, 9, 64)
        noise = rng.integers(1, 9, 64)
        return Rows([[int(a), int(a), int(b)] for a, b in zip(first, noise, strict=True)], [[False, True, False]] * 64)

    model = Decoder(9, layers=1, width=16, heads=2, context=4, seed=0)
    done = teach(model, rows, 64, epochs=60, batch=16, lr=0.01)
    assert done.curve[-1]["loss"] < 0.05
    told = branched(model, [[a] for a in range(1, 9)], [[[a]] for a in range(1, 9)])
    assert min(float(t[0][0]) for t in told) > math.log(0.9)
    noise = branched(model, [[3, 3]], [[[b] for b in range(9)]])[0]
    assert np.exp([float(t[0]) for t in noise]).max() < 0.95 or np.argmax(noise) == 3  # it was never taught there


def test_two_trainings_with_one_seed_are_equal_and_the_generators_stay():
    def rows(rng):
        return Rows([[1, int(x)] for x in rng.integers(1, 5, 20)], [[False, True]] * 20)

    before = torch.random.get_rng_state()
    made = []
    for _ in range(2):
        model = Decoder(6, layers=1, width=8, heads=2, context=3, seed=4)
        teach(model, rows, 20, epochs=2, batch=7, seed=3)
        made.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*made)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("shape", [(6, 20), (20, 6)])
def test_orthogonal_keeps_directions_and_levels_their_sizes(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, s, v = torch.linalg.svd(orthogonal(5 * matrix), full_matrices=False)
    assert float(s.min()) > 0.6
    assert float(s.max()) < 1.3
    first = torch.linalg.svd(matrix, full_matrices=False)
    np.testing.assert_allclose(u @ v, first.U @ first.Vh, atol=1e-3)


def test_matrices_of_blocks_move_along_their_orthogonalised_momentum():
    model = Decoder(5, layers=1, width=8, heads=2, context=3, seed=0)
    made = Falling(model, 0.01, 10, warm=1)
    weight = model.blocks[0].up.weight
    before, grad = weight.detach().clone(), torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    weight.grad = grad.clone()
    made.step()
    # the first step: momentum is a twentieth of the gradient, in its direction; taller by a factor of four
    np.testing.assert_allclose(
        (before - weight.detach()).numpy(), (2 * MATRICES * 0.01 * orthogonal(grad)).numpy(), rtol=1e-4, atol=1e-6
    )
    other = Falling(model, 0.01, 10, warm=1)
    other.load_state_dict(made.state_dict())
    assert torch.equal(other.moved[0], made.moved[0])


def test_near_tokens_share_the_target():
    """Taught that 3 is as good as 2, it says both alike; taught nothing of the kind, it says 2."""

    def rows(rng):
        return Rows([[1, 2]] * 8, [[False, True]] * 8)

    near = (np.array([[0, 0], [1, 1], [2, 3], [3, 3]]), np.array([[1, 0], [1, 0], [0.5, 0.5], [1, 0]], np.float32))
    shares = []
    for how in (None, near):
        model = Decoder(4, layers=1, width=8, heads=2, context=3, seed=0)
        teach(model, rows, 8, epochs=60, batch=8, lr=0.02, near=how)
        shares.append(np.exp(branched(model, [[1]], [[[2], [3]]])[0]).ravel())
    assert shares[0][0] > 0.9
    np.testing.assert_allclose(shares[1], 0.5, atol=0.05)


def test_the_rate_rises_and_falls_and_is_kept():
    model = torch.nn.Linear(1, 1)
    rates = []
    made = Falling(model, 1.0, 100, warm=10)
    for _ in range(100):
        made.step()
        rates.append(made.inner.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) <= 1
    assert rates[50] == pytest.approx(0.5)
    assert rates[-1] < 0.001
    other = Falling(model, 1.0, 100, warm=10)
    other.load_state_dict(made.state_dict())
    assert other.done == 100


def test_rows_are_padded_and_wrong_sizes_told():
    x, y = padded([[1], [2, 3]], [[True], [False, True]])
    assert x.tolist() == [[1, 0], [2, 3]]
    assert y.tolist() == [[True, False], [False, True]]
    with pytest.raises(OptionError, match="multiple of the heads"):
        Decoder(5, width=10, heads=4)
    with pytest.raises(OptionError, match="an example has 5 tokens"):
        teach(Decoder(5, width=8, context=4), lambda rng: Rows([[1] * 5], [[True] * 5]), 1, epochs=1)
