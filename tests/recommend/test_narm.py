"""NARM: its attention by hand, memory that it needs, and bad input."""

import numpy as np
import pytest
from tests.recommend.test_gru4rec import remembered

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories
from ethogram.system import load, system

torch = pytest.importorskip("torch")
SMALL = {"dim": 16, "hidden": 32, "length": 10, "batch": 256, "lr": 1e-2, "dropout": 0.0, "after": 0.0}


@pytest.mark.parametrize("ties", [False, True])
def test_states_are_those_of_the_equations(ties):
    from ethogram.nn.attentive import AttentiveRecurrent

    model = AttentiveRecurrent(4, hidden=3, dropout=0.0, after=0.0, seed=2).eval()
    g = torch.Generator().manual_seed(0)
    rows, offsets = torch.randn(7, 4, generator=g), torch.tensor([0, 4, 4, 7])
    group = torch.tensor([0, 0, 1, 2, 0, 1, 1] if ties else [0, 1, 2, 3, 0, 1, 2])
    got = model(rows, offsets, group)
    for a, b in ((0, 4), (4, 7)):
        steps = [rows[a:b][group[a:b] == k].mean(0) for k in group[a:b].unique()]
        h = model.recurrent.gru(torch.stack(steps))[0]
        states = []
        for t in range(len(h)):
            c = torch.zeros(3)
            for j in range(t + 1):
                alpha = torch.sigmoid(model.now.weight @ h[t] + model.then.weight @ h[j]) @ model.weigh.weight[0]
                c = c + alpha * h[j]
            states.append(model.decode.weight @ torch.cat([h[t], c]))
        wanted = torch.stack(states)[group[a:b] - group[a]]
        torch.testing.assert_close(got[a:b], wanted, rtol=1e-5, atol=1e-6)


def test_learns_what_follows_from_memory():
    built = system("narm", epochs=25, **SMALL).fit(remembered(), seed=1)
    asked = Histories.of([[101, 102], [100, 102], [106, 107], [105, 107]])  # strangers
    best = built.recommend(asked, k=1, exclude_seen=False)
    assert best.column("item").to_pylist() == [103, 104, 100, 101]


def test_one_at_a_time_equals_all_at_once_and_saved_equals_fitted(tmp_path):
    log = remembered(users=30)
    built = system("narm", epochs=2, **SMALL).fit(log, seed=2)
    asked, every = log.histories(), Candidates.of(list(range(100, 108)))
    whole = built.score(asked, every)
    alone = np.concatenate([built.score(asked[np.array([i])], every) for i in range(len(asked))])
    np.testing.assert_allclose(alone, whole, rtol=1e-5, atol=1e-6)
    built.save(tmp_path / "model")
    assert load(tmp_path / "model").score(asked, every).tobytes() == whole.tobytes()


@pytest.mark.parametrize("given", [{"hidden": 0}, {"dropout": 1.0}, {"after": 1.0}, {"lr": 0.0}])
def test_bad_options_are_told(given):
    with pytest.raises(OptionError, match=next(iter(given))):
        system("narm", **given).fit(remembered(users=3))
