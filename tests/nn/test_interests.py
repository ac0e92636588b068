"""Interests of every prefix against a loop; independence and weights on vectors whose dependence is known."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from ethogram.nn.independence import dependence, effective, fourier, learn_weights  # noqa: E402
from ethogram.nn.interests import InterestEncoder, InterestNetwork, group_ends  # noqa: E402


def test_interests_of_all_prefixes_as_in_a_loop():
    torch.manual_seed(0)
    model = InterestEncoder(5, interests=3, hidden=4, seed=1).eval()
    with torch.no_grad():
        model.pace.copy_(torch.tensor([0.0, 0.7, -0.3]))
    rows, offsets = torch.randn(7, 5), torch.tensor([0, 4, 4, 7])
    group = torch.tensor([0, 1, 1, 2, 0, 1, 2])
    found = model(rows, offsets, group).detach().numpy().reshape(7, 3, 5)
    w1, w2 = model.inner.weight.detach().numpy(), model.outer.weight.detach().numpy()
    pace, x = model.pace.detach().numpy(), rows.numpy()
    for low, high in ((0, 4), (4, 7)):
        for j in range(low, high):
            read = [i for i in range(low, high) if group[i] <= group[j]]
            for k in range(3):
                a = np.array([w2[k] @ np.tanh(w1 @ x[i]) + pace[k] * int(group[i]) for i in read])
                share = np.exp(a) / np.exp(a).sum()
                np.testing.assert_allclose(found[j, k], share @ x[read], rtol=1e-4, atol=1e-5)
    weight = model.attention(rows, offsets, group).detach().numpy()
    np.testing.assert_allclose([weight[:4].sum(0), weight[4:].sum(0)], np.ones((2, 3)), rtol=1e-5)
    np.testing.assert_allclose(np.einsum("jk,jd->kd", weight[4:], x[4:]), found[6], rtol=1e-4, atol=1e-5)
    assert group_ends(offsets, group).tolist() == [0, 2, 2, 3, 4, 5, 6]


def test_the_interest_that_is_closest_answers():
    network = InterestNetwork(6, 2, InterestEncoder(2, interests=2), sparse=False)
    with torch.no_grad():
        network.items.weight[1:3] = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    states = torch.tensor([[3.0, 0.0, 0.0, 2.0], [3.0, 0.0, 0.0, 2.0]])
    assert network.answer(states, torch.tensor([0, 1])).tolist() == [[3.0, 0.0], [0.0, 2.0]]


def gaussians(rho, n=2_000, seed=0):
    """[n, 2, 1]: two normal numbers of correlation rho."""
    one, other = torch.randn(2, n, generator=torch.Generator().manual_seed(seed))
    return torch.stack([one, rho * one + (1 - rho**2) ** 0.5 * other], 1).unsqueeze(2)


def test_dependence_as_defined_and_larger_for_dependent_vectors():
    features = fourier(torch.randn(50, 3, 2), 4, torch.Generator().manual_seed(0))
    assert features.shape == (50, 3, 8)
    weight = torch.rand(50) + 0.5
    expected = 0.0
    for a in range(3):
        for b in range(a + 1, 3):
            f, g = (features[:, x] * weight[:, None] for x in (a, b))
            expected += (((f - f.mean(0)).T @ (g - g.mean(0)) / 49) ** 2).sum().item()
    assert dependence(features, weight).item() == pytest.approx(expected, rel=1e-4)
    found = [dependence(fourier(gaussians(r), 20, torch.Generator().manual_seed(1))).item() for r in (0.0, 0.5, 0.9)]
    assert found[0] < 0.1 * found[1] < found[1] < found[2]
    sign = gaussians(0.0, seed=3)
    unsigned = torch.cat([sign[:, :1], sign[:, :1].square()], 1)  # uncorrelated, and not independent
    assert dependence(fourier(unsigned, 20, torch.Generator().manual_seed(1))) > 5 * found[0]


@pytest.mark.parametrize("functions", [5, 20])
def test_weights_lower_dependence_and_stay_sane(functions):
    features = fourier(gaussians(0.8, 1_000), functions, torch.Generator().manual_seed(2))
    weight = learn_weights(features, steps=30)
    assert dependence(features, weight) <= 0.7 * dependence(features)
    assert weight.mean().item() == pytest.approx(1.0, abs=1e-4)
    assert 0 < weight.min() < weight.max() < 10
    assert effective(weight) >= 0.5 * len(weight)
    assert not weight.requires_grad
    # with other random functions: what few functions taught was an accident of them
    other = fourier(gaussians(0.8, 1_000), functions, torch.Generator().manual_seed(9))
    assert (dependence(other, weight) < 0.75 * dependence(other)) == (functions == 20)
    alike = learn_weights(torch.ones(4, 2, 3))
    assert torch.equal(alike, torch.ones(4)), "nothing to gain, nothing moved"
