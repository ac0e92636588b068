"""MovieLens 100K: ratings of films, with what the films and the people are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ethogram.data.files import found
from ethogram.data.registry import Reading, data_set


@data_set(
    "ml_100k",
    what="100,000 ratings (1 to 5) of 1,682 films by 943 people; genres, years, age, gender, occupation",
    licence="GroupLens terms: research; redistribution only under the same terms",
    origin="grouplens.org/datasets/movielens/100k, as atomic files of github.com/RUCAIBox/RecBole",
    get="put ml-100k/ml-100k.inter, .item and .user into the folder that ETHOGRAM_DATA names",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class ML100K:
    """Every rating is both behaviour and question: label 1 for `liked` stars or more, value = the stars.

    Items: title, release_year (missing for one film), genres (a list; empty where unknown).
    Users: age (years), gender, occupation.
    """

    liked: float = 4.0
    "Stars from which a rating counts as a click."

    def files(self) -> tuple[Path, ...]:
        return found("ml_100k", *(f"ml-100k/ml-100k.{end}" for end in ("inter", "item", "user")))

    def read(self) -> Reading:
        rated, film, person = (_atomic(f) for f in self.files())
        stars = pc.cast(rated["rating"], pa.float32())
        events = pa.table(
            {
                "user_id": pc.cast(rated["user_id"], pa.int64()),
                "item_id": pc.cast(rated["item_id"], pa.int64()),
                "timestamp": pc.cast(pc.cast(rated["timestamp"], pa.int64()), pa.timestamp("s", "UTC")),
                "rating": stars,
                "liked": pc.cast(pc.greater_equal(stars, self.liked), pa.float32()),
            }
        )
        # one film has its year in the title only, one has none
        year = pc.coalesce(
            _year(film["release_year"], "^(?P<y>[0-9]{4})$"), _year(film["movie_title"], r"\((?P<y>[0-9]{4})\)")
        )
        genres = pc.if_else(pc.equal(film["class"], "unknown"), "", film["class"])
        lists = [g.split() for g in genres.to_pylist()]
        items = pa.table(
            {
                "item": pc.cast(film["item_id"], pa.int64()),
                "title": film["movie_title"],
                "release_year": year,
                "genres": pa.array(lists, pa.list_(pa.string())),
            }
        )
        users = pa.table(
            {
                "user": pc.cast(person["user_id"], pa.int64()),
                "age": pc.cast(person["age"], pa.float32()),
                "gender": person["gender"],
                "occupation": person["occupation"],
            }
        )
        roles = {"user": "user_id", "item": "item_id", "time": "timestamp", "value": "rating", "label": "liked"}
        return Reading(events, roles, items, users)


def _atomic(path: Path) -> dict[str, pa.Array]:
    """Columns of a tab-separated file as text, by name without the type that follows the colon."""
    with path.open(encoding="utf-8") as file:
        header = file.readline().rstrip("\n").split("\t")
    told = csv.read_csv(
        path,
        parse_options=csv.ParseOptions(delimiter="\t", quote_char=False),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
    )
    return {name.split(":")[0]: told[name].combine_chunks() for name in header}


def _year(text: pa.Array, form: str) -> pa.Array:
    """The group `y` of a regular expression as a number, null where it does not match."""
    return pc.cast(pc.struct_field(pc.extract_regex(text, form), "y"), pa.int32())
