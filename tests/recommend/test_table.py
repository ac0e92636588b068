"""The published table of the floors: leave-last-out, full catalogue, stored order, seen items out."""

import pytest

import ethogram
from ethogram import data
from ethogram.errors import MissingData
from ethogram.evaluate import evaluate

METRICS = ("hr@5", "ndcg@5", "hr@10", "ndcg@10")
TABLE = {
    "amazon_beauty": {
        "popularity": (0.0081, 0.0044, 0.0120, 0.0056),
        "item_knn": (0.0394, 0.0269, 0.0569, 0.0326),
        "item_knn_decay": (0.0459, 0.0327, 0.0645, 0.0386),
        "transition_kernel": (0.0552, 0.0405, 0.0752, 0.0469),
    },
    "amazon_games": {
        "popularity": (0.0204, 0.0095, 0.0270, 0.0116),
        "item_knn": (0.0611, 0.0395, 0.0923, 0.0495),
        "item_knn_decay": (0.0719, 0.0479, 0.1062, 0.0589),
        "transition_kernel": (0.0638, 0.0430, 0.0991, 0.0543),
    },
    "ml_100k": {
        "popularity": (0.0583, 0.0357, 0.0859, 0.0442),
        "item_knn": (0.0657, 0.0420, 0.1082, 0.0558),
        "item_knn_decay": (0.1135, 0.0760, 0.1654, 0.0931),
        "transition_kernel": (0.1262, 0.0840, 0.1972, 0.1069),
    },
}


@pytest.fixture(scope="module", params=TABLE)
def split(request):
    try:
        log = data.load(request.param)
    except MissingData as missing:
        pytest.skip(str(missing))
    return request.param, log.ties("order").split("leave-last-out")


@pytest.mark.parametrize("key", TABLE["ml_100k"])
def test_published_figures(split, key):
    name, parts = split
    found = evaluate(ethogram.system(key).fit(parts.train), parts, ks=(5, 10), bootstrap=20)
    assert [found.metrics[m] for m in METRICS] == pytest.approx(TABLE[name][key], abs=0.0005)
