"""Labels of a crowded picture lie on no label and on no point; the picture is whole XML and hides nothing."""

from xml.etree import ElementTree

import numpy as np
import pytest

from ethogram.lineup.picture import quality_cost
from ethogram.lineup.placing import LETTER, place


def _overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_apart(seed):
    rng = np.random.default_rng(seed)
    at = np.column_stack([rng.uniform(80, 860, 22), rng.choice([300.0, 480.0, 484.0], 22)])
    at[1] = at[0]  # two systems in one place
    words = [f"system number {i}" for i in range(22)]
    found = place(at, words, np.column_stack([at[:, 1] - 40, at[:, 1] + 40]), (70.0, 10.0, 876.0, 500.0))
    assert all(label is not None for label in found)
    for i, label in enumerate(found):
        assert label.right - label.left == pytest.approx(LETTER * len(words[i]))
        assert label.left >= 70
        assert label.right <= 876
        assert not any(_overlap(label, (x - 6, y - 6, x + 6, y + 6)) for x, y in at)
        assert not any(_overlap(label, other) for other in found[:i])


def test_the_nearest_place_is_taken_and_a_far_one_has_a_line():
    alone = place(np.array([[200.0, 200.0]]), ["als"], np.array([[200.0, 200.0]]), (0.0, 0.0, 400.0, 400.0))[0]
    assert (alone.left, alone.far) == (211.0, False)
    nowhere = place(np.array([[5.0, 5.0]]), ["als"], np.array([[5.0, 5.0]]), (0.0, 0.0, 10.0, 10.0))
    assert nowhere == [None]


def test_the_picture():
    rows = [
        {"label": "floor <1>", "value": 0.05, "low": 0.04, "high": 0.06, "cost": 0.1, "floor": True},
        {"label": "net", "value": 0.04, "low": 0.03, "high": 0.05, "cost": 50.0, "floor": False},
        {"label": "other", "value": 0.07, "low": 0.06, "high": 0.08, "cost": 90.0, "floor": False},
        {"label": "free", "value": 0.07, "low": 0.06, "high": 0.08, "cost": 0.0, "floor": False},
    ]
    drawn = quality_cost(rows, "NDCG@10", "CPU seconds to fit", best="floor <1>", alone=True)
    root = ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    labels = [t.text for t in root.iter(f"{space}text") if t.get("class") == "l"]
    assert labels == ["floor <1>", "net", "other"]
    assert "prefers-color-scheme" in drawn
    points = {c.find(f"{space}title").text: float(c.get("cx")) for c in root.iter(f"{space}circle") if len(c)}
    assert list(points) == ["net: 0.0400 [0.0300, 0.0500], 50 s", "other: 0.0700 [0.0600, 0.0800], 90 s"]
    steps = next(p.get("d") for p in root.iter(f"{space}path") if p.get("class") == "p" and "H" in p.get("d"))
    assert f"H{points['other: 0.0700 [0.0600, 0.0800], 90 s']:.1f}V" in steps
    assert f"H{points['net: 0.0400 [0.0300, 0.0500], 50 s']:.1f}V" not in steps  # the floor is better and cheaper
