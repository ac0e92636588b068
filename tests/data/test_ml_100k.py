from __future__ import annotations

import numpy as np
import pytest

from ethogram import data


@pytest.fixture(scope="module")
def log(here):
    here("ml_100k")
    return data.load("ml_100k")


def test_size_and_labels(log):
    told = log.describe()
    assert (told["events"], told["users"], told["items"], told["quarantined"]) == (100_000, 943, 1_682, 0)
    table = log.table()
    stars = table["value"].to_numpy()
    assert np.bincount(stars.astype(int)).tolist() == [0, 6_110, 11_370, 27_145, 34_174, 21_201]
    np.testing.assert_array_equal(table["label"].to_numpy(), (stars >= 4).astype(np.float32))


def test_one_rating_with_its_time(log):
    """The first line of the file: user 196, film 242, 3 stars, 881250949 seconds after 1970."""
    table = log.table()
    row = np.flatnonzero((table["user"].to_numpy() == 196) & (table["item"].to_numpy() == 242))
    assert len(row) == 1
    one = table.slice(row[0], 1).to_pylist()[0]
    assert one["time"].timestamp() == 881_250_949
    assert (one["value"], one["label"]) == (3.0, 0.0)


def test_films_and_people(log):
    films = {f["item"]: f for f in log.items.to_pylist()}
    assert films[1] == {
        "item": 1, "title": "Toy Story", "release_year": 1995, "genres": ["Animation", "Children's", "Comedy"]
    }  # fmt: skip
    assert (films[267]["release_year"], films[267]["genres"]) == (None, [])
    assert films[1_412]["release_year"] == 1995  # its year stands in the title only
    assert sum(f["release_year"] is None for f in films.values()) == 1
    assert log.users.to_pylist()[0] == {"user": 1, "age": 24.0, "gender": "M", "occupation": "technician"}
    assert log.users.num_rows == 943


def test_every_rating_is_behaviour_and_question(log):
    asked = log.questions("slates")
    assert asked.candidates.offsets[-1] == 100_000
    assert len(log.histories().item) == 100_000


def test_the_threshold_is_an_option(log):
    assert data.load("ml_100k", liked=5.0).table()["label"].to_numpy().sum() == 21_201
