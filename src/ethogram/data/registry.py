"""Data sets by name. A data set is a dataclass of options that says which files it reads and how."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ethogram.errors import MissingData, MissingExtra, OptionError, UnknownName, unknown
from ethogram.options import Option, settle, table

if TYPE_CHECKING:
    import pyarrow as pa

    from ethogram.log import Log

_CLASSES = {
    "ads16": "ADS16",
    "adverts": "Adverts",
    "amazon_beauty": "AmazonBeauty",
    "amazon_games": "AmazonGames",
    "ban_evasion": "BanEvasion",
    "cdnow": "CDNow",
    "college_messages": "CollegeMessages",
    "companions": "Companions",
    "complete_journey": "CompleteJourney",
    "conflict": "Conflict",
    "congress_twitter": "CongressTwitter",
    "credit_cards": "CreditCards",
    "drift": "Drift",
    "drifting_clicks": "DriftingClicks",
    "feeds": "Feeds",
    "fraud_rings": "FraudRings",
    "intents": "Intents",
    "interests": "Interests",
    "investor_posts": "InvestorPosts",
    "listeners": "Listeners",
    "listening_sessions": "ListeningSessions",
    "ml_100k": "ML100K",
    "online_shoppers": "OnlineShoppers",
    "out_of_town": "OutOfTown",
    "payments": "Payments",
    "posts": "Posts",
    "regime_hawkes": "RegimeHawkes",
    "returning_accounts": "ReturningAccounts",
    "shoppers": "Shoppers",
    "tpp_synthetic": "TPPSynthetic",
    "travellers": "Travellers",
    "tweets": "Tweets",
    "twitter_follows": "TwitterFollows",
    "videos": "Videos",
}
"""Name (and module) -> class, so that listing names imports nothing."""

_C = TypeVar("_C", bound=type)


@dataclass(frozen=True)
class Reading:
    """What a data set hands to `Log.open`; `quarantined` and `aside` are rows that it set aside itself."""

    events: pa.Table | Path
    roles: Mapping[str, str]
    items: pa.Table | None = None
    users: pa.Table | None = None
    quarantined: Mapping[str, int] = field(default_factory=dict)
    aside: pa.Table | None = None


class DataSet(Protocol):
    """What the class of a data set has beside its options."""

    def files(self) -> tuple[Path, ...]:
        """Files that are read (none for a generator); raises MissingData or MissingExtra if one is absent."""

    def read(self) -> Reading:
        """Events, roles and side tables."""


@dataclass(frozen=True)
class Description:
    """What is known of a data set without loading it."""

    name: str
    what: str
    licence: str
    origin: str
    get: str
    options: tuple[Option, ...]
    here: bool
    "Its files are on this machine (generators are always)."
    missing: str = ""
    "Where it was looked for, if it is not here."
    documentation: str = field(default="", repr=False)


@dataclass(frozen=True)
class _Facts:
    name: str
    what: str
    licence: str
    origin: str
    get: str
    version: int


def data_set(name: str, *, what: str, licence: str, origin: str, get: str, version: int) -> Callable[[_C], _C]:
    """Declare the dataclass below as a data set.

    Parameters
    ----------
    what, licence, origin, get : one line each, for people; `get` says how to bring the data to this machine.
    version : to be raised whenever `read` gives other rows than before, so that no cache outlives it.
    """

    def decorate(cls: _C) -> _C:
        if not is_dataclass(cls):
            raise OptionError(f"{name}: write @dataclass(frozen=True, kw_only=True) below @data_set.")
        original = cls.__init__

        @functools.wraps(original)
        def __init__(self: Any, **given: Any) -> None:
            original(self, **settle(cls, name, given, _no_systems))

        for added, value in {"__init__": __init__, "facts": _Facts(name, what, licence, origin, get, version)}.items():
            setattr(cls, added, value)
        return cls

    return decorate


def _no_systems(value: Any, protocol: Any) -> Any:
    raise OptionError(f"a data set takes no system ({protocol.__name__}) as an option.")


def names() -> list[str]:
    """Names of all data sets."""
    return sorted(_CLASSES)


def find(name: str) -> type:
    """The class of a data set, imported now.

    Raises
    ------
    UnknownName
        No data set is called so.
    """
    if name not in _CLASSES:
        raise UnknownName(unknown("data set", name, _CLASSES))
    found: type = getattr(importlib.import_module(f"ethogram.data.{name}"), _CLASSES[name])
    return found


def load(name: str, **options: Any) -> Log:
    """A named data set as a log.

    The first load of a name and its options writes the log to the cache (`ethogram.data.folder`) in
    Ethogram's own format; later ones open it from there, at once.

    Raises
    ------
    UnknownName, OptionError
        No such data set, no such option, or a value that it does not allow.
    MissingData, MissingExtra
        Its files, or the package that holds them, are not on this machine.
    SourceError
        The cache cannot be written.
    """
    from ethogram.data.cache import kept, place

    made = find(name)(**options)
    return kept(place(name, made.facts.version, asdict(made), made.files()), lambda: _open(made))


def _open(made: Any) -> Log:
    from ethogram.log import Log
    from ethogram.log.opened import held

    reading = made.read()
    log = Log.open(reading.events, items=reading.items, users=reading.users, strict=True, **reading.roles)
    if not reading.quarantined:
        return log
    tables = {**log.events.tables, **({} if reading.aside is None else {"quarantine": reading.aside})}
    return Log(held(replace(log.events, quarantined=dict(reading.quarantined), tables=tables)), (), log.engine)


def describe(name: str) -> Description:
    """Licence, origin, content, options, and whether it is on this machine."""
    cls = find(name)
    facts: _Facts = vars(cls)["facts"]
    missing = ""
    try:
        cls().files()
    except (MissingData, MissingExtra) as error:
        missing = str(error)
    return Description(
        facts.name,
        facts.what,
        facts.licence,
        facts.origin,
        facts.get,
        table(cls),
        not missing,
        missing,
        inspect.getdoc(cls) or "",
    )


def truth(name: str, **options: Any) -> dict[str, pa.Table]:
    """What a generator knows and its log does not tell, as tables.

    Raises
    ------
    OptionError
        The data set is real: nobody knows its truth.
    """
    made = find(name)(**options)
    if not hasattr(made, "truth"):
        having = [n for n in names() if hasattr(find(n), "truth")]
        raise OptionError(f"{name} has no known truth; generators have: {', '.join(having)}.")
    told: dict[str, pa.Table] = made.truth()
    return told
