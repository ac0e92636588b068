"""Heads of several goals against their formulas in NumPy, one row at a time."""

import numpy as np
import pytest
import torch

from ethogram.errors import OptionError
from ethogram.nn.experts import Experts
from ethogram.nn.multitask import head

INPUTS, GOALS, ROWS = 5, 3, 7


def arrays(module):
    return {k: v.detach().double().numpy() for k, v in module.state_dict().items()}


def experts(held, x, name, e):
    i = 0
    while f"{name}.weights.{i}" in held:
        x = np.maximum(held[f"{name}.weights.{i}"][e].T @ x + held[f"{name}.biases.{i}"][e], 0)
        i += 1
    return x


def all_experts(held, x, name):
    return np.stack([experts(held, x, name, e) for e in range(len(held[f"{name}.weights.0"]))])


def gate(held, x, name, said):
    z = held[f"{name}.choice.weight"] @ x + held[f"{name}.choice.bias"]
    share = np.exp(z - z.max())
    return (share / share.sum()) @ said


def tower(held, x, k):
    x = np.maximum(held[f"towers.{k}.layers.0.weight"] @ x + held[f"towers.{k}.layers.0.bias"], 0)
    return held[f"towers.{k}.layers.2.weight"][0] @ x + held[f"towers.{k}.layers.2.bias"][0]


def by_hand(kind, held, x):
    """Logits of the goals for their views x[k]."""
    if kind == "bottom":
        return [tower(held, experts(held, x[k], "bottom", 0), k) for k in range(GOALS)]
    if kind == "mmoe":
        return [
            tower(held, gate(held, x[k], f"gates.{k}", all_experts(held, x[k], "experts")), k) for k in range(GOALS)
        ]
    one, common = "levels.0", np.mean(x, 0)
    own = [all_experts(held, x[k], f"{one}.own.{k}") for k in range(GOALS)]
    seen = [
        gate(held, x[k], f"{one}.gates.{k}", np.concatenate([own[k], all_experts(held, x[k], f"{one}.shared")]))
        for k in range(GOALS)
    ]
    if "levels.1.shared.weights.0" not in held:
        return [tower(held, seen[k], k) for k in range(GOALS)]
    every = np.concatenate([*own, all_experts(held, common, f"{one}.shared")])
    handed = gate(held, common, f"{one}.all", every)
    two = "levels.1"
    shared = all_experts(held, handed, f"{two}.shared")
    last = [
        gate(held, seen[k], f"{two}.gates.{k}", np.concatenate([all_experts(held, seen[k], f"{two}.own.{k}"), shared]))
        for k in range(GOALS)
    ]
    return [tower(held, last[k], k) for k in range(GOALS)]


@pytest.mark.parametrize(("kind", "levels"), [("bottom", 1), ("mmoe", 1), ("ple", 1), ("ple", 2)])
@pytest.mark.parametrize("same", [True, False])
def test_logits_are_those_of_the_formulas(kind, levels, same):
    made = head(kind, INPUTS, GOALS, (6, 4), (3,), experts=2, own=2, levels=levels, seed=4).eval()
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in made.parameters():  # biases and gates begin at values that hide mistakes
            p.normal_(generator=chance)
    x = torch.randn(1 if same else GOALS, ROWS, INPUTS, generator=torch.Generator().manual_seed(1))
    views = [x[0]] * GOALS if same else list(x)
    got = made(views).detach().numpy()
    assert got.shape == (ROWS, GOALS)
    held = arrays(made)
    for row in range(ROWS):
        expected = by_hand(kind, held, [v[row].double().numpy() for v in views])
        np.testing.assert_allclose(got[row], expected, rtol=1e-4, atol=1e-4)
    assert np.ptp(got, 1).min() > 1e-3, "goals answer differently"


def test_a_goal_of_ple_moves_no_expert_of_another():
    made = head("ple", INPUTS, GOALS, (6,), (3,), experts=2, own=2)
    made([torch.randn(ROWS, INPUTS)] * GOALS)[:, 1].sum().backward()
    for k in range(GOALS):
        moved = made.levels[0].own[k].weights[0].grad
        assert (moved is not None and bool(moved.abs().sum() > 0)) == (k == 1)
    assert made.levels[0].shared.weights[0].grad.abs().sum() > 0


@pytest.mark.parametrize("act", ["relu", "prelu", "dice"])
def test_experts_with_a_last_layer_are_so_many_towers(act):
    made = Experts(INPUTS, 3, (4,), outputs=2, act=act, seed=2).eval()
    assert made(torch.randn(6, INPUTS)).shape == (6, 3, 2)
    assert made(torch.zeros(0, INPUTS)).shape == (0, 3, 2)
    said = made(x := torch.randn(6, INPUTS))
    with torch.no_grad():
        made.weights[0][1] += 1.0
    again = made(x)
    assert torch.equal(again[:, [0, 2]], said[:, [0, 2]])
    assert not torch.allclose(again[:, 1], said[:, 1])


def test_towers_begin_at_the_given_answers():
    made = head("mmoe", INPUTS, 2, (4,), ())
    made.begin([-2.0, 0.5])
    found = made([torch.zeros(1, INPUTS)] * 2).detach().numpy()
    np.testing.assert_allclose(found, [[-2.0, 0.5]], atol=1e-6)


def test_no_layers_and_no_experts():
    with pytest.raises(OptionError, match="one of each"):
        head("mmoe", INPUTS, 2, (), (3,))
    with pytest.raises(OptionError, match="experts = 0"):
        head("ple", INPUTS, 2, (4,), (3,), experts=0)
