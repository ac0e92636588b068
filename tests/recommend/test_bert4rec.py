"""BERT4Rec: what is hidden, asked and answered, against one history at a time; an order that it learns; bad input."""

import numpy as np
import pyarrow as pa
import pytest
from tests.recommend.test_gru4rec import remembered

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log
from ethogram.system import load, system

torch = pytest.importorskip("torch")
SMALL = {"dim": 16, "length": 12, "batch": 256, "lr": 1e-2, "dropout": 0.0, "heads": 1}


def network(share, seed=0):
    from ethogram.nn.cloze import ClozeNetwork
    from ethogram.nn.transformer import BidirectionalTransformer

    encoder = BidirectionalTransformer(8, layers=2, heads=2, positions=9, dropout=0.0, seed=seed)
    made = ClozeNetwork(6, 8, encoder, share=share, sparse=False, seed=seed)
    for p in made.parameters():
        torch.nn.init.normal_(p, 0.0, 0.4, generator=torch.Generator().manual_seed(p.numel()))
    return made


def plain(model, items, group, hidden):
    """States of all rows of one history and of the mask behind it; hidden: bool of its groups."""
    e = model.items.weight[1:]
    x = torch.stack([model.mask if hidden[g] else e[i] for i, g in zip(items, group, strict=True)] + [model.mask])
    times = torch.tensor([*group, group[-1] + 1])
    x = x + model.encoder.position.weight[times[-1] - times]
    for block in model.encoder.blocks:
        inner = block.first(x)
        q, k, v = block.qkv(inner).view(len(x), 3, block.heads, -1).permute(1, 2, 0, 3)
        seen = (q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).softmax(-1) @ v
        x = x + block.out(seen.transpose(0, 1).reshape(len(x), -1))
        x = x + block.down(torch.nn.functional.gelu(block.up(block.second(x)), approximate="tanh"))
    return model.head(model.encoder.norm(x))


HISTORIES = [([0, 1, 2, 3], [0, 1, 1, 2]), ([], []), ([4], [0]), ([5, 4, 3], [0, 1, 2])]


def packed():
    rows = torch.tensor([i for items, _ in HISTORIES for i in items])
    offsets = torch.tensor([0, *(len(items) for items, _ in HISTORIES)]).cumsum(0)
    return rows, offsets, torch.tensor([g for _, groups in HISTORIES for g in groups])


def test_in_use_the_mask_behind_the_end_answers():
    model = network(0.5).eval()
    rows, offsets, group = packed()
    got = model(rows, offsets, group)
    for i, (items, groups) in enumerate(HISTORIES):
        if items:
            end = plain(model, items, groups, [False] * 9)[-1]
            for state in got[offsets[i] : offsets[i + 1]]:
                torch.testing.assert_close(state, end, rtol=1e-4, atol=1e-5)


def test_in_training_hidden_groups_are_asked_for_in_front_of_them():
    model = network(0.5).train()
    rows, offsets, group = packed()
    seen = set()
    for seed in range(12):
        torch.manual_seed(seed)
        got = model(rows, offsets, group)
        asked = model.hidden.bool()
        for i, (items, groups) in enumerate(HISTORIES):
            if not items:
                continue
            part = slice(int(offsets[i]), int(offsets[i + 1]))
            # a row of group g counts if and only if group g + 1 is hidden; what follows the last always is
            hidden = [False, *(bool(asked[part][groups.index(g)]) for g in range(groups[-1])), True]
            assert all(bool(a) == hidden[g + 1] for a, g in zip(asked[part], groups, strict=True))
            states = plain(model, items, groups, hidden)
            for j, g in enumerate(groups):
                behind = groups.index(g + 1) if g < groups[-1] else len(items)
                torch.testing.assert_close(got[part][j], states[behind], rtol=1e-4, atol=1e-5)
            seen.add(tuple(hidden))
    assert len(seen) > 4, "what is hidden is drawn anew"


def test_learns_what_follows_from_memory():
    built = system("bert4rec", epochs=150, **{**SMALL, "length": 6}).fit(remembered(), seed=1)
    lists = [[(start + step * t) % 8 + 100 for t in range(6)] for start in range(8) for step in (1, 2)]  # strangers
    wanted = [(start + step * 6) % 8 + 100 for start in range(8) for step in (1, 2)]
    best = built.recommend(Histories.of(lists), k=1, exclude_seen=False)
    right = np.mean(np.array(best.column("item").to_pylist()) == wanted)
    assert right > 0.7, "chance is an eighth"


def test_order_inside_a_group_says_nothing_and_saved_equals_fitted(tmp_path):
    log = remembered(users=30)
    built = system("bert4rec", epochs=2, **SMALL).fit(log, seed=2)
    every = Candidates.of(list(range(100, 108)))

    def asked(items):
        return Log.open(pa.table({"user": [1] * 4, "item": items, "order": [0, 1, 1, 2]})).histories()

    one, other = (built.score(asked(i), every) for i in ([100, 101, 102, 103], [100, 102, 101, 103]))
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    built.save(tmp_path / "model")
    histories = log.histories()
    assert load(tmp_path / "model").score(histories, every).tobytes() == built.score(histories, every).tobytes()


@pytest.mark.parametrize("given", [{"masked": 1.0}, {"layers": 0}, {"dropout": 1.0}, {"heads": 3}])
def test_bad_options_are_told(given):
    with pytest.raises(OptionError, match=next(iter(given))):
        system("bert4rec", **given).fit(remembered(users=3))
