"""Trips of Yelp: the counts that the files hold, what a trip is, and where places lie."""

import numpy as np
import pytest

from ethogram import data
from ethogram.errors import OptionError
from ethogram.numeric.geography import distances


def test_every_trip(here):
    here("out_of_town")
    log = data.load("out_of_town", each="trip")
    told = log.describe()
    assert (told["users"], told["items"], told["events"]) == (4_417, 29_930, 58_403 + 20_479)
    kind = log.table()["kind"].to_pylist()
    assert kind.count("trip") == 20_479


def test_a_person_has_one_trip_and_it_is_one_question(here):
    here("out_of_town")
    log = data.load("out_of_town", destinations=("New Orleans",))
    assert log.describe()["users"] == 779
    trips = log.where("kind == 'trip'")
    first = trips.sequences()
    assert len(first.groups) == 779, "all of a trip have one time"
    time = np.asarray(first.columns["time"]) // 1_000_000
    visited = np.asarray(first.columns["visited"])
    assert (visited >= time).all()
    assert (visited[first.groups] > 0).all()
    assert set(log.tables["users"]["destination"].to_pylist()) == {"New Orleans"}


def test_places_lie_in_their_towns(here):
    """The numbers of the file of coordinates were given by how often places were visited; were they taken otherwise,
    nearly all places would lie elsewhere."""
    here("out_of_town")
    items = data.load("out_of_town").tables["items"]
    town = np.array(items["town"].to_pylist())
    at = np.stack([items["lat"].to_numpy(), items["lon"].to_numpy()], 1)
    for name, centre in {
        "New Orleans": (29.95, -90.07),
        "Philadelphia": (39.95, -75.17),
        "Reno": (39.53, -119.8),
    }.items():
        far = distances(at[town == name], np.array([centre]))[:, 0]
        assert np.median(far) < 8, name
        assert (far < 60).mean() > 0.99, name


def test_an_unknown_destination_names_the_nearest(here):
    here("out_of_town")
    with pytest.raises(OptionError, match="Did you mean 'Nashville'"):
        data.load("out_of_town", destinations=("Nashvile",))
