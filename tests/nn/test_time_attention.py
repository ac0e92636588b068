"""The network does what its equations say, and reads a session the same in any company."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ethogram.errors import OptionError
from ethogram.nn.time_attention import Clicks, TimeAttention, learn, vectors


def sessions(lengths=(3, 1, 5), seed=0):
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    return Clicks(
        torch.from_numpy(rng.integers(0, 7, n)), torch.arange(n + 1),
        torch.from_numpy(rng.gamma(2, 20, n).astype(np.float32)),
        torch.from_numpy(np.r_[0, np.cumsum(lengths)]),
    )  # fmt: skip


def test_attention_and_z_by_hand():
    net, held = TimeAttention(7, dim=4, hidden=3, out=2, seed=1).eval(), sessions()
    read = net(held)
    for i in range(3):
        a, b = int(held.offsets[i]), int(held.offsets[i + 1])
        h = net.lstm(net.vectors[held.token[a:b]][None])[0][0]  # one session alone, unpacked
        s = torch.tanh(h @ net.attend.weight.T + net.attend.bias + net.tau * torch.log1p(held.seconds[a:b])[:, None])
        alpha = torch.softmax(s @ net.speak.weight[0], 0)
        torch.testing.assert_close(read.weights[a:b], alpha)
        z = net.project(alpha @ h)
        torch.testing.assert_close(read.z[i], z / z.norm())


def test_loss_by_hand():
    net, held = TimeAttention(7, dim=4, hidden=3, out=2).eval(), sessions((2, 1))
    read, (a, b, c) = net(held), held.token.tolist()
    after = -torch.log_softmax(net.after(read.forward[0]), 0)[b]
    before = -torch.log_softmax(net.before(read.backward[1]), 0)[a]
    q = torch.log1p(held.seconds)
    told = torch.log_softmax(net.bag(4 * read.z), 1)
    bag = -(q[0] * told[0, a] + q[1] * told[0, b]) / (q[0] + q[1]) / 2 - told[1, c] / 2
    torch.testing.assert_close(net.loss(held, beta=2.0), after + before + 2 * bag)


def test_no_direction_sees_what_it_predicts():
    net, held = TimeAttention(7, dim=4, hidden=3, out=2).eval(), sessions((5,))
    read = net(held)
    other = replace(held, token=torch.cat([held.token[:3], (held.token[3:] + 1) % 7]))
    torch.testing.assert_close(net(other).forward[:3], read.forward[:3])
    assert not torch.allclose(net(other).backward[:3], read.backward[:3])


def test_pooling():
    held = sessions()
    even = TimeAttention(7, pooling="even")(held).weights
    torch.testing.assert_close(even, torch.tensor([1 / 3] * 3 + [1.0] + [0.2] * 5))
    longer = replace(held, seconds=held.seconds * 9)
    plain, timed = TimeAttention(7, pooling="plain"), TimeAttention(7)
    torch.testing.assert_close(plain(held).z, plain(longer).z)
    assert not torch.allclose(timed(held).weights, timed(longer).weights)


def test_alone_as_in_company_and_ties_in_any_order():
    net, held = TimeAttention(7, seed=2).eval(), sessions((3, 1, 5, 2, 9))
    whole = vectors(net, held)
    np.testing.assert_allclose(whole[2], vectors(net, held.pick(np.array([2])))[0], atol=1e-6)
    one = Clicks(torch.tensor([1, 2, 3]), torch.tensor([0, 2, 3]), torch.ones(2), torch.tensor([0, 2]))
    other = replace(one, token=torch.tensor([2, 1, 3]))
    np.testing.assert_allclose(vectors(net, one), vectors(net, other), atol=1e-6)


def test_learning_lowers_the_loss_and_sessions_of_one_event_are_no_trouble():
    held = sessions((4,) * 40 + (1,) * 10)
    curve = learn(TimeAttention(7, dim=8, hidden=8, out=4), held, epochs=4, batch=16, gamma=1.0).curve
    assert curve[-1]["loss"] < curve[0]["loss"]
    still = replace(held, seconds=torch.zeros(len(held.seconds)))
    assert torch.isfinite(TimeAttention(7).loss(still))


def test_bad_widths():
    with pytest.raises(OptionError, match="1 or more"):
        TimeAttention(0)
