"""What a column means. Roles are found by common names (and the guess is told) or named by the caller."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ethogram.errors import RolesError, nearest


@dataclass(frozen=True, kw_only=True)
class Roles:
    """For each role the name of the source's column that plays it, or None.

    Examples
    --------
    >>> Roles.guess(["uid", "movieId", "rating", "timestamp"])
    Roles(user='uid', item='movieId', time='timestamp', value='rating')
    """

    user: str | None = None
    "Who behaved. Required."
    item: str | None = None
    "On what."
    time: str | None = None
    "When: instants, stored as microseconds since 1970 UTC."
    order: str | None = None
    "A rank within the user, where there is no clock."
    kind: str | None = None
    "Which kind of event (view, purchase, turn, tap ...)."
    value: str | None = None
    "How much: rating, amount, dwell."
    label: str | None = None
    "The answer that a model should predict, in [0, 1] for probabilities; answers to further goals: `label_buy` ..."
    weight: str | None = None
    "How many events of the full population this one stands for; at least 0."
    session: str | None = None
    "Which visit."
    slate: str | None = None
    "Which list of items was shown together."
    position: str | None = None
    "Place in the slate, from 0."
    propensity: str | None = None
    "Probability with which the logging policy chose this item, in (0, 1]."
    text: str | None = None
    "What was said or written."
    actor: str | None = None
    "Who acted when it was not the user: model, policy, agent."
    cause: str | None = None
    "The event id that led to this one."
    source: str | None = None
    "`real` or `simulated:<run>`."
    event: str | None = None
    "An integer id of the event, unique in the log; given at import where the source has none."
    payload: str | None = None
    "JSON of whatever is not a column, with a schema per kind."
    extra: tuple[str, ...] = field(default=())
    "Further columns that are kept under their own names."

    def __repr__(self) -> str:
        said = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name)]
        return f"Roles({', '.join(said)})"

    def named(self) -> dict[str, str]:
        """Role -> column, for the roles that a column plays."""
        return {r: c for r in ROLES if (c := getattr(self, r)) is not None}

    @classmethod
    def guess(cls, columns: Iterable[str], **given: str | None) -> Roles:
        """Find each role's column by its name; what is `given` wins.

        Raises
        ------
        RolesError
            A given column does not exist, a role does not exist, or no column can be the user.
        """
        columns = list(columns)
        for role, column in given.items():
            if role not in ROLES:
                raise RolesError(f"unknown role '{role}'.{nearest(role, ROLES)} Roles: {', '.join(ROLES)}.")
            if column is not None and column not in columns:
                raise RolesError(
                    f"role {role}: no column '{column}'.{nearest(column, columns)} Columns: {', '.join(columns)}."
                )
        plain = {_plain(c): c for c in reversed(columns)}
        chosen: dict[str, Any] = dict(given)
        taken = {c for c in given.values() if c}
        for role in ROLES:
            if role in given:
                continue
            for name in _NAMES[role]:
                if name in plain and plain[name] not in taken:
                    chosen[role] = plain[name]
                    taken.add(plain[name])
                    break
        if chosen.get("user") is None:
            raise RolesError(
                f"no column is the user. Columns: {', '.join(columns)}. Name it, for example user='{columns[0]}'."
                if columns
                else "the source has no columns."
            )
        return cls(**chosen, extra=tuple(c for c in columns if c not in taken))

    def told(self) -> str:
        """One line for the user: which column plays which role."""
        pairs = ", ".join(f"{r} = {c}" for r, c in self.named().items())
        return pairs + (f"; kept as they are: {', '.join(self.extra)}" if self.extra else "")

    def without(self, *roles: str) -> Roles:
        gone: dict[str, Any] = dict.fromkeys(roles)
        return replace(self, **gone)


ROLES: tuple[str, ...] = tuple(f.name for f in fields(Roles) if f.name != "extra")
CLOCKS = ("time", "order")
NUMBERS = ("value", "label", "weight", "position", "propensity")
RANGES: dict[str, tuple[float, float]] = {
    "label": (-float("inf"), float("inf")),
    "weight": (0.0, float("inf")),
    "position": (0.0, float("inf")),
    "propensity": (0.0, 1.0),
}
"""Values outside are quarantined; roles that are not here take any finite number (refunds are behaviour)."""

_NAMES: dict[str, tuple[str, ...]] = {
    "user": (
        *("user", "userid", "uid", "u", "visitorid", "customerid", "customer", "householdid", "memberid"),
        *("accountid", "account", "personid", "playerid", "reviewerid", "sessionuser", "clientid", "visitor"),
    ),
    "item": (
        *(
            "item",
            "itemid",
            "iid",
            "i",
            "productid",
            "product",
            "movieid",
            "movie",
            "asin",
            "trackid",
            "songid",
        ),
        *(
            "articleid",
            "newsid",
            "poiid",
            "poi",
            "adid",
            "videoid",
            "bookid",
            "sku",
            "contentid",
            "merchantid",
        ),
    ),
    "time": (
        *("time", "timestamp", "ts", "datetime", "date", "eventtime", "createdat", "occurredat", "unixtime"),
        *("unixreviewtime", "transactiontimestamp", "eventtimestamp", "localtime", "reviewtime", "t"),
    ),
    "order": ("order", "rank", "step", "sequence", "seq", "idx"),
    "kind": ("kind", "eventtype", "event_type", "type", "action", "behavior", "behaviour", "behaviortype"),
    "value": ("value", "rating", "score", "amount", "salesvalue", "price", "stars", "dwell", "overall"),
    "label": ("label", "click", "clicked", "isclick", "target", "converted"),
    "weight": ("weight", "sampleweight"),
    "session": ("session", "sessionid"),
    "slate": ("slate", "slateid", "impressionid", "requestid", "basketid"),
    "position": ("position", "pos"),
    "propensity": ("propensity", "propensityscore", "pscore"),
    "text": ("text", "comment", "review", "reviewtext", "utterance", "message"),
    "actor": ("actor", "policy", "agent"),
    "cause": ("cause", "parentevent"),
    "source": ("source",),
    "event": ("event", "eventid"),
    "payload": ("payload",),
}


def _plain(name: str) -> str:
    return name.split(":")[0].lower().replace("_", "").replace("-", "").replace(" ", "").replace(".", "")
