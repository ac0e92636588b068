import numpy as np
import pytest
import torch
from tests.rank.columns import Plain

from ethogram.errors import OptionError
from ethogram.nn import slates
from ethogram.nn.crossnet import CrossNet, CrossNetwork
from ethogram.rank.dcn_v2 import DCNv2
from ethogram.system import load, system
from ethogram.testing.example import example

QUICK = {"epochs": 1, "dim": 6, "side": 4, "hidden": (8,), "batch": 64, "lr": 1e-2}
SHAPES = [{}, {"structure": "stacked", "layers": 1}, {"rank": 3, "experts": 2}, {"rank": 2, "experts": 1, "layers": 3}]


@pytest.fixture(scope="module")
def split():
    return example().split("temporal")


def crossed(plain, x0, layers, experts):
    """The cross network with numpy, expert by expert."""
    x = x0
    for n in range(layers):
        name = f"crossing.network.layers.{n}"
        if f"model.{name}.weight" in plain.held:
            x = x0 * (plain.of(f"{name}.weight") @ x + plain.of(f"{name}.bias")) + x
            continue
        down, up, middle = (plain.of(f"{name}.{m}") for m in ("down.weight", "up.weight", "middle"))
        rank, following = middle.shape[1], np.zeros_like(x)
        gate = plain.held.get(f"model.{name}.gate.weight")
        share = np.exp(gate @ x) / np.exp(gate @ x).sum() if gate is not None else np.ones(1)
        for i in range(experts):
            v, u = down[i * rank : (i + 1) * rank], up[:, i * rank : (i + 1) * rank]
            inside = u @ np.tanh(middle[i] @ np.tanh(v @ x)) + plain.of(f"{name}.up.bias")
            following += share[i] * x0 * inside
        x = following + x
    return x


@pytest.mark.parametrize("shape", SHAPES)
def test_the_answer_follows_the_equations(split, shape):
    fitted = DCNv2(**QUICK, **shape).fit(split.train)
    asked = split.test.questions("slates")[:8]
    plain, expected = Plain(fitted, asked), []
    for q, row, past in plain.candidates():
        x0 = np.concatenate([*plain.fields(q, row, past), plain.numbers(row, past)])
        x = crossed(plain, x0, fitted.layers, fitted.experts)
        if fitted.structure == "stacked":
            expected.append(plain.tower(x))
        else:
            expected.append(float(plain.of("crossing.read.weight")[0] @ x) + plain.tower(x0))
    mine = slates.score(fitted.fitted.network, plain.batch)
    np.testing.assert_allclose(mine, 1 / (1 + np.exp(-np.array(expected))), rtol=1e-4, atol=1e-5)


def test_two_layers_hold_every_product_of_three_inputs_and_none_of_four():
    net = CrossNetwork(3, CrossNet(layers=2), seed=0).double()
    x = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    t = torch.linspace(-1, 1, 9, dtype=torch.float64)
    with torch.no_grad():
        along = net(t[:, None] * x)[:, 0].numpy()  # a polynomial in t along a ray
    degrees = np.polynomial.polynomial.polyfit(t.numpy(), along, 6)
    assert abs(degrees[3]) > 1e-3
    assert np.abs(degrees[4:]).max() < 1e-10


def test_every_weight_learns(split):
    network = DCNv2(**QUICK, rank=2, experts=2).fit(split.train).fitted.network
    assert {"crossing.network.layers.0.middle", "crossing.network.layers.1.gate.weight"} <= {
        n for n, _ in network.named_parameters()
    }
    fresh = DCNv2(**{**QUICK, "lr": 1e-12}, rank=2, experts=2).fit(split.train).fitted.network
    still = [n for n, p in network.named_parameters() if torch.equal(p, fresh.get_parameter(n))]
    assert not [n for n in still if "crossing" in n]


def test_a_saved_system_scores_the_same(split, tmp_path):
    fitted = DCNv2(**QUICK, rank=2, structure="stacked").fit(split.train)
    fitted.save(tmp_path / "kept")
    asked = split.test.questions("slates")
    again = load(tmp_path / "kept").score(asked.histories, asked.candidates)
    np.testing.assert_array_equal(again, fitted.score(asked.histories, asked.candidates))


def test_bad_options_are_refused():
    for wrong in ({"layers": 0}, {"rank": 0}, {"experts": -1}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            DCNv2(**wrong)
    with pytest.raises(OptionError, match=r"structure.*stacked"):
        system("dcn_v2", structure="stack")
