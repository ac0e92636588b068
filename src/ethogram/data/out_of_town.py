"""Trips to other towns: what people visited at home before, and where they went there (Yelp)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pyarrow import csv

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError, unknown

VISITS = ("trip", "user", "town", "item", "time", "category")


@data_set(
    "out_of_town",
    what="4,417 trips of 3,874 people to other towns, the visits at home before and those of the trip; places with "
    "category, town and coordinates",
    licence="none stated; Yelp's terms for academic use",
    origin="github.com/Yinghui-Liu/SPOT-Trip, folder Yelp",
    get="put out-of-town/home.txt, oot.txt, travel.txt and poi_coord.csv into the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class OutOfTown:
    """Visits of kind `home` and `trip`. All of a trip have the time of its first, so that a question is a whole trip;
    `visited` is when each was (seconds since 1970). Items: category, town (the one most visits name), lat, lon.
    Users: home, destination.
    """

    destinations: tuple[str, ...] = ()
    "Trips to these towns only; none takes all."
    each: Literal["person", "trip"] = "person"
    "A user is a person with the first of their trips, or every trip is a user of its own."

    def files(self) -> tuple[Path, ...]:
        names = ("home.txt", "oot.txt", "travel.txt", "poi_coord.csv")
        return found("out_of_town", *(f"out-of-town/{n}" for n in names))

    def read(self) -> Reading:
        home, away, travel, places = self.files()
        visits = [_lines(home, VISITS), _lines(away, VISITS)]
        every = {n: np.concatenate([v[n] for v in visits]) for n in VISITS}
        trip = np.repeat([False, True], [len(v["trip"]) for v in visits])
        start = np.full(int(every["trip"].max()) + 1, np.iinfo(np.int64).max)
        np.minimum.at(start, every["trip"][trip], every["time"][trip])
        told = _lines(travel, ("trip", "user", "home", "destination"))
        kept = self._kept(told, start)
        person = np.full(len(start), -1, np.int64)
        person[told["trip"][kept]] = told["user" if self.each == "person" else "trip"][kept]
        rows = person[every["trip"]] >= 0
        time = np.where(trip, start[every["trip"]], every["time"])[rows]
        events = pa.table(
            {
                "user": person[every["trip"]][rows],
                "item": pa.array(every["item"][rows]),
                "time": pa.array(time, pa.int64()).cast(pa.timestamp("s", "UTC")),
                "kind": pa.array(np.where(trip, "trip", "home")[rows]),
                "visited": every["time"][rows],
            }
        )
        users = pa.table({"user": person[told["trip"][kept]], **{n: told[n][kept] for n in ("home", "destination")}})
        roles = {n: n for n in ("user", "item", "time", "kind")}
        return Reading(events, roles, _items(every, places), users)

    def _kept(self, told: dict[str, np.ndarray], start: np.ndarray) -> np.ndarray:
        """Rows of the trips that are taken."""
        there = set(told["destination"].tolist())
        for name in self.destinations:
            if name not in there:
                raise OptionError("out_of_town: " + unknown("destination", name, there))
        kept = np.flatnonzero(np.isin(told["destination"], self.destinations or list(there)))
        if self.each == "trip":
            return kept
        order = kept[np.lexsort((start[told["trip"][kept]], told["user"][kept]))]
        return np.sort(order[np.unique(told["user"][order], return_index=True)[1]])


def _lines(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Columns of a file of tab-separated lines without a header."""
    table = csv.read_csv(
        path,
        read_options=csv.ReadOptions(column_names=list(names)),
        parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
    )
    return {n: table[n].to_numpy() for n in names}


def _items(every: dict[str, np.ndarray], places: Path) -> pa.Table:
    """Places as the visits tell of them. The file of coordinates numbers them from 1 by falling number of visits,
    ties by their first line, those at home before those of trips."""
    names, first, place, counts = np.unique(
        every["item"].astype(str), return_index=True, return_inverse=True, return_counts=True
    )
    towns, town = np.unique(every["town"].astype(str), return_inverse=True)
    pairs, visits = np.unique(place * len(towns) + town, return_counts=True)
    order = np.lexsort((-visits, pairs // len(towns)))
    main = order[np.unique(pairs[order] // len(towns), return_index=True)[1]]
    where = csv.read_csv(places)
    number = np.empty(len(names), np.int64)
    number[np.lexsort((first, -counts))] = np.arange(len(names))
    at = np.argsort(where["poi"].to_numpy())[number]
    return pa.table(
        {
            "item": names,
            "category": pa.array(every["category"][first]),
            "town": towns[pairs[main] % len(towns)],
            "lat": where["lat"].to_numpy()[at].astype(np.float32),
            "lon": where["lon"].to_numpy()[at].astype(np.float32),
        }
    )
