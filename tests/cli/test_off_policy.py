"""What another policy would have earned, from the command line."""

from pathlib import Path

import numpy as np


def decisions(path, n, item, propensity, seed=0):
    rng = np.random.default_rng(seed)
    shown = rng.choice(3, n, p=item)
    clicked = rng.random(n) < np.array([0.1, 0.3, 0.6])[shown]
    lines = ["user,item,time,label,propensity"]
    lines += [
        f"u{i % 7},b{s},{1_700_000_000 + i},{int(c)},{propensity[s]}"
        for i, (s, c) in enumerate(zip(shown, clicked, strict=True))
    ]
    Path(path).write_text("\n".join(lines))


def test_values_of_another_log_and_of_showing_all_alike(call, folder):
    decisions("random.csv", 3_000, [1 / 3] * 3, [0.3333333] * 3)
    decisions("better.csv", 2_000, [0.1, 0.2, 0.7], [0.1, 0.2, 0.7], seed=1)
    said = call("off-policy", "--log", "random.csv", "--target", "better.csv", "--json", "-")
    assert said.code == 0, said.err
    truth = 0.1 * 0.1 + 0.2 * 0.3 + 0.7 * 0.6
    for name in ("ips", "snips", "dr", "dr clipped"):
        assert said.json["values"][name]["low"] < truth < said.json["values"][name]["high"]
        assert said.json["gains"][name]["low"] > 0
    assert said.json["overlap"]["effective"] > 1_000
    back = call("off-policy", "--log", "better.csv", "--target", "uniform")
    assert "doubly robust" in back.out
    assert "mean weight 1" in back.out or "mean weight 0.9" in back.out


def test_what_it_refuses(refused, folder):
    decisions("random.csv", 50, [1 / 3] * 3, [0.3333333] * 3)
    assert "no propensity" in refused("off-policy", "--log", "events.csv", "--target", "uniform")
    assert "clip = 0" in refused("off-policy", "--log", "random.csv", "--target", "uniform", "--clip", 0)
    assert "no column 'sales'" in refused(
        "off-policy", "--log", "random.csv", "--target", "uniform", "--reward", "sales"
    )
