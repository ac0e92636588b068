"""Posts of a social network as it hands them out, one row per post, as a log of who acted on whose content.

Each post is one event: a `repost` if it passes another one on, else a `reply`, a `quote`, or a `post`. Its item is the
post that it acts on (its own for a `post`), and the table of items says who wrote each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.json as pj
import pyarrow.parquet as pq

from ethogram.data.registry import Reading, data_set
from ethogram.errors import MissingData, RolesError, SourceError, nearest

COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("id", "id_str", "tweet_id", "tweetid", "status_id", "post_id"),
    "author": ("author", "author_id", "user_id", "userid", "user.id", "user.id_str", "user_id_str", "uid", "user"),
    "time": ("time", "created_at", "tweet_time", "timestamp", "date"),
    "text": ("text", "full_text", "tweet_text", "content", "body"),
    "reposted": ("retweeted_status.id", "retweeted_status.id_str", "retweet_tweetid", "retweeted_id", "retweet_id",
                 "retweet_status_id", "reposted"),
    "reposted_author": ("retweeted_status.user.id", "retweeted_status.user.id_str", "retweet_userid",
                        "retweet_user_id", "retweeted_user_id", "reposted_author"),
    "replied": ("in_reply_to_status_id", "in_reply_to_status_id_str", "in_reply_to_tweetid", "reply_to_status_id",
                "replied"),
    "replied_author": ("in_reply_to_user_id", "in_reply_to_user_id_str", "in_reply_to_userid", "reply_to_user_id",
                       "replied_author"),
    "quoted": ("quoted_status_id", "quoted_status_id_str", "quoted_status.id", "quoted_tweet_tweetid", "quoted_id",
               "quoted"),
    "quoted_author": ("quoted_status.user.id", "quoted_status.user.id_str", "quoted_user_id", "quoted_author"),
}  # fmt: skip
"""What a column is -> names by which it goes."""
REFERENCES = (("repost", "reposted"), ("reply", "replied"), ("quote", "quoted"))
TWITTER = "%a %b %d %H:%M:%S %z %Y"
"""Time as Twitter's first interface wrote it."""


@data_set(
    "tweets",
    what="a file of your own: posts with author, time, and which post of whom they repost, reply to or quote",
    licence="whatever the file's is",
    origin="collections of Twitter (election, conspiracy ...), or of any network that is told like that",
    get="path=FILE (.csv, .tsv, .jsonl, .parquet); columns by common names, others by columns=author:screen_name",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Tweets:
    """Kinds: post, repost, reply, quote. Items: the posts acted on, with `author`. Events have `text` if it is told.

    Ids are read as text: those of Twitter do not fit into a float. A post that reposts, replies and quotes at once
    counts as the first of them. A post whose author nobody tells stays among the items, with author null.
    """

    path: str = ""
    "The file."
    columns: tuple[str, ...] = ()
    "What a column is and its name, where it has no common one: author:screen_name."

    def files(self) -> tuple[Path, ...]:
        if not self.path:
            raise MissingData("data set 'tweets' is a file of your own; name it: tweets:path=FILE.")
        found = Path(self.path).expanduser()
        if not found.is_file():
            raise MissingData(f"data set 'tweets': there is no file {found}.")
        return (found,)

    def read(self) -> Reading:
        named = dict(self._named())
        return reading(_table(self.files()[0]), named, self.path)

    def _named(self) -> list[tuple[str, str]]:
        made = []
        for told in self.columns:
            what, colon, name = told.partition(":")
            if not colon or what not in COLUMNS:
                raise RolesError(
                    f"tweets: columns = '{told}' is not WHAT:NAME.{nearest(what, COLUMNS)} WHAT: {', '.join(COLUMNS)}."
                )
            made.append((what, name))
        return made


def reading(table: pa.Table, columns: dict[str, str] | None = None, where: str = "the table") -> Reading:
    """Events and items of a table of posts.

    Parameters
    ----------
    columns : what a column is -> its name; the others are found by common names (`COLUMNS`).

    Raises
    ------
    RolesError
        There is no id or author, or a named column does not exist.
    """
    given = columns or {}
    found: dict[str, pa.Array] = {}
    for what, names in COLUMNS.items():
        wanted = (given[what],) if what in given else names
        plain = {n.lower(): n for n in table.column_names}
        name = next((plain[n.lower()] for n in wanted if n.lower() in plain), None)
        if name is not None:
            found[what] = table[name].combine_chunks()
        elif what in given or what in ("id", "author"):
            raise RolesError(
                f"{where}: no column is the {what} of a post.{nearest(wanted[0], table.column_names)} "
                f"Columns: {', '.join(table.column_names)}. Name it with columns={what}:NAME."
            )
    ids = {n: _text(c) for n, c in found.items() if n not in ("time", "text")}
    item, kind, writer = ids["id"], np.full(len(table), "post", object), ids["author"]
    for name, column in reversed(REFERENCES):
        told, whom = ids.get(column), ids.get(f"{column}_author")
        if told is None and whom is None:
            continue
        nobody = pa.nulls(len(table), pa.string())
        told, whom = (nobody if v is None else v for v in (told, whom))
        # a reply to somebody whose post is not told: an item that stands for the person
        told = pc.coalesce(told, pc.binary_join_element_wise("of", whom, " "))
        there = told.is_valid()
        item, writer = pc.if_else(there, told, item), pc.if_else(there, whom, writer)
        kind[there.to_numpy(zero_copy_only=False)] = name
    events = {"user": ids["author"], "item": item, "kind": pa.array(kind, pa.string())}
    if "time" in found:
        events["time"] = _time(found["time"])
    else:
        events["order"] = pa.array(np.arange(len(table)))
    if "text" in found:
        events["text"] = found["text"].cast(pa.string())
    # the file's own word on who wrote a post goes first
    pairs = pa.table(
        {
            "item": pa.chunked_array([ids["id"], item]).combine_chunks(),
            "author": pa.chunked_array([ids["author"], writer]).combine_chunks(),
        }
    )
    known = (
        pairs.filter(pairs["author"].is_valid()).group_by("item", use_threads=False).aggregate([("author", "first")])
    )
    items = pa.table({"item": pc.unique(pairs["item"].combine_chunks().drop_null())})
    place = pc.index_in(items["item"].combine_chunks(), value_set=known["item"].combine_chunks())
    items = items.append_column("author", known["author_first"].combine_chunks().take(place))
    return Reading(pa.table(events), {name: name for name in events}, items)


def _table(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        if path.suffix in (".jsonl", ".json", ".ndjson"):
            return pj.read_json(path).flatten().flatten()
        delimiter = "\t" if path.suffix == ".tsv" else ","
        with path.open(encoding="utf-8", newline="") as file:
            header = next(iter(file), "").rstrip("\r\n").split(delimiter)
        told = dict.fromkeys((h.strip('"') for h in header), pa.string())
        return pv.read_csv(
            path,
            parse_options=pv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pv.ConvertOptions(column_types=told, strings_can_be_null=True),
        )
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise SourceError(f"{path} cannot be read as a table of posts: {str(error).splitlines()[0]}") from None


def _text(column: Any) -> pa.Array:
    """Ids as text, empty ones null; a float that is a whole number loses its point."""
    if pa.types.is_floating(column.type):
        whole = pc.equal(column, pc.floor(column))
        column = pc.if_else(whole, column.cast(pa.int64(), safe=False).cast(pa.string()), column.cast(pa.string()))
    told = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.is_in(told, value_set=pa.array(["", "0", "nan", "None", "null"])), None, told)


def _time(column: Any) -> pa.Array:
    if not pa.types.is_string(column.type):
        return column
    try:
        return pc.strptime(column, TWITTER, "us").cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        return column
