"""Sets and fields against plain computations from their weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ethogram.errors import OptionError
from ethogram.nn.fields import Fields, MultiField, Texts
from ethogram.nn.sets import SetTransformer


def plainly(model, members):
    """One set, by hand, all rows in all layers."""
    x = torch.cat([model.token[None], members])
    for block in model.blocks:
        normed = block.first(x)
        q, (k, v) = block.query(normed), block.pair(normed).chunk(2, -1)
        heads, width = block.heads, x.shape[1] // block.heads
        parts, weights = [], []
        for h in range(heads):
            at = slice(h * width, (h + 1) * width)
            weight = (q[:, at] @ k[:, at].T / width**0.5).softmax(-1)
            parts.append(weight @ v[:, at])
            weights.append(weight[0])
        x = x + block.out(torch.cat(parts, 1))
        x = x + block.down(F.gelu(block.up(block.second(x)), approximate="tanh"))
    share = torch.stack(weights).mean(0)[1:]
    return model.norm(x[0]), share / share.sum()


def test_the_set_transformer_is_that_of_its_equations_whatever_else_is_in_the_batch():
    model = SetTransformer(8, layers=2, heads=2, seed=1).eval()
    members, offsets = torch.randn(9, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 4, 4, 9])
    with torch.no_grad():
        whole, share = model(members, offsets)
        for i in (0, 2):
            a, b = int(offsets[i]), int(offsets[i + 1])
            expected, shares = plainly(model, members[a:b])
            torch.testing.assert_close(whole[i], expected)
            torch.testing.assert_close(share[a:b], shares)
        order = torch.randperm(4, generator=torch.Generator().manual_seed(2))
        turned, moved = model(torch.cat([members[order], members[4:]]), offsets)
    torch.testing.assert_close(turned, whole, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(moved[:4], share[order], atol=1e-6, rtol=1e-6)
    with pytest.raises(OptionError, match="heads divide the width 8"):
        SetTransformer(8, heads=3)


def test_fields_are_gated_sums():
    model = MultiField(6, {"kind": 4}, {"time": 3}, buckets=32, seed=2)
    with torch.no_grad():
        model.gate.weight.normal_(generator=torch.Generator().manual_seed(1))
    texts = Texts.of([None, "pay rent", "Rent"], 32)
    assert texts.offsets.tolist()[:2] == [0, 0]
    assert int(texts.grams.min()) >= 1
    # words are told by their letters, not by their case
    rent = set(texts.grams[texts.offsets[2] : texts.offsets[3]].tolist())
    assert rent <= set(texts.grams[texts.offsets[1] : texts.offsets[2]].tolist())
    fields = Fields({"kind": torch.tensor([1, 0])}, {"time": torch.randn(2, 3)}, torch.tensor([1, 0]), texts)
    with torch.no_grad():
        found = model(fields)
        bag = model.grams.weight[texts.grams[: texts.offsets[2]]].mean(0)
        parts = [model.tables["kind"].weight[1], model.linear["time"](fields.numbers["time"][0]), bag]
        gate = 2 * torch.sigmoid(model.gate(torch.cat(parts)[None]))[0]
        expected = F.gelu(sum(g * v for g, v in zip(gate, parts, strict=True)), approximate="tanh")
    torch.testing.assert_close(found[0], expected)
    # what is missing says nothing
    assert np.allclose(model.tables["kind"].weight[0].detach(), 0)
