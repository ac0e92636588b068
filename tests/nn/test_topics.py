"""The neural topic model: its bound against independent values, and topics that were planted."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

torch = pytest.importorskip("torch")
from ethogram.errors import OptionError  # noqa: E402
from ethogram.nn.topics import Bags, NeuralTopicModel, some  # noqa: E402
from ethogram.numeric.interactions import Interactions  # noqa: E402

BAGS = Bags(torch.tensor([0, 2, 5, 1, 3]), torch.tensor([0, 3, 5]))


def softmax(x, axis=-1):
    up = np.exp(x - x.max(axis, keepdims=True))
    return up / up.sum(axis, keepdims=True)


def test_the_bound_is_that_of_the_equations():
    model = NeuralTopicModel(6, 3, 4, seed=2).eval()
    eps = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    got = model.bound(BAGS, eps)
    held = {n: p.detach().double().numpy() for n, p in model.state_dict().items()}
    x = np.zeros((2, 6))
    x[[0, 0, 0, 1, 1], BAGS.words.numpy()] = 1
    e = np.maximum(np.maximum(x @ held["first"] + held["bias"], 0) @ held["second.weight"].T + held["second.bias"], 0)
    mu = (e @ held["mean.weight"].T + held["mean.bias"]) / np.sqrt(1 + 1e-5)
    s = e @ held["spread.weight"].T + held["spread.bias"]
    z = mu + eps.double().numpy() * np.exp(s / 2)
    theta = softmax(z @ held["turn.weight"].T + held["turn.bias"])
    phi = softmax(held["topics"] @ held["words"].T)
    np.testing.assert_allclose(got.cost.detach(), -(x * np.log(theta @ phi)).sum(1), rtol=1e-5)
    normal = torch.distributions.Normal
    told = torch.distributions.kl_divergence(
        normal(torch.from_numpy(mu), torch.from_numpy(np.exp(s / 2))), normal(torch.zeros(2, 3), torch.ones(2, 3))
    ).sum(1)
    np.testing.assert_allclose(got.divergence.detach(), told, rtol=1e-5)
    np.testing.assert_allclose(model.phi(), phi, rtol=1e-5)
    np.testing.assert_allclose(model.theta(BAGS), softmax(mu @ held["turn.weight"].T + held["turn.bias"]), rtol=1e-5)


def test_the_bound_bounds_the_likelihood():
    """ln p(x) by averaging over many z is at least the mean of the negative loss."""
    model = NeuralTopicModel(6, 3, 4, seed=2).eval()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        eps = torch.randn(20_000, 3, generator=draw)
        theta, phi = model.mixture(eps), torch.exp(model.log_phi())
        words = BAGS.words[:3]
        true = float(torch.logsumexp((theta @ phi[:, words]).log().sum(1), 0)) - np.log(20_000)
        one = Bags(words, torch.tensor([0, 3]))
        found = [model.bound(one, torch.randn(1, 3, generator=draw)) for _ in range(500)]
    assert true >= -np.mean([float(f.cost + f.divergence) for f in found])


def test_a_topic_is_a_distribution_in_each_group():
    model = NeuralTopicModel(6, 3, 4, group=np.array([0, 0, 1, 1, 1, 2]), seed=0)
    phi = model.phi()
    np.testing.assert_allclose(phi[:, :2].sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(phi[:, 2:5].sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(phi[:, 5], 1, rtol=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_topics_are_found(seed):
    rng, k, words, n = np.random.default_rng(seed), 4, 80, 600
    said = np.full((k, words), 0.1 / words)
    for t in range(k):
        said[t, t * 20 : (t + 1) * 20] += 0.9 * rng.dirichlet(np.ones(20))
    topic, length = rng.integers(0, k, n), rng.integers(4, 9, n)
    flat = np.concatenate([rng.choice(words, m, replace=False, p=said[t]) for m, t in zip(length, topic, strict=True)])
    bags = Interactions.counted(flat.astype(np.int32), np.append(0, np.cumsum(length)), words)
    model = NeuralTopicModel(words, k, 32, seed=seed)
    done = model.fit(bags, epochs=40, lr=1e-2, warm=10, seed=seed)
    model.eval()
    assert done.curve[-1]["loss"] < done.curve[0]["loss"]
    found = model.theta(some(bags, np.arange(n))).argmax(1)
    table = np.zeros((k, k))
    np.add.at(table, (found, topic), 1)
    rows, columns = linear_sum_assignment(-table)
    assert table[rows, columns].sum() / n >= 0.9
    assert (model.top(5) // 20 == columns[:, None]).mean() >= 0.9


def test_edges():
    model = NeuralTopicModel(6, 3, 4, seed=0)
    one = Bags(torch.tensor([1]), torch.tensor([0, 1]))
    assert torch.isfinite(model.train().bound(one).cost).all(), "a batch of one bag"
    with pytest.raises(OptionError, match="no words"):
        model.fit(Interactions.counted(np.zeros(0, np.int32), np.zeros(3, np.int64), 6))
    with pytest.raises(OptionError, match="topics"):
        NeuralTopicModel(6, 0)
