"""The words of the service's protocol: what requests and answers hold. One declaration checks them, documents them in
the OpenAPI page, and types the client.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from ethogram.serve.limits import ID, NAME

PLAIN = r"^[^\x00-\x1f\x7f]+$"
"""No control characters: NUL and line ends in ids are mistakes of the sender, always."""
TEXT = f"text of 1 to {ID} characters, no control characters among them"

Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=ID, pattern=PLAIN)]
Item: TypeAlias = Id | int
"""Ids of items may be written as numbers; they are taken, and answered, as text."""
Many: TypeAlias = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": ID, "pattern": PLAIN})] | int
"""The same where there are hundreds: described as an `Item`, and checked all at once (`parse.ids`)."""
Kind: TypeAlias = Annotated[str, Meta(min_length=1, max_length=NAME, pattern=PLAIN)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Version: TypeAlias = Annotated[str, Meta(min_length=1, max_length=NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Time: TypeAlias = Annotated[
    Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})]
    | Annotated[int, Meta(ge=0, le=2**62)]
    | Annotated[float, Meta(ge=0, le=2**62)],
    Meta(description="ISO 8601 with a zone, or unix seconds, milliseconds or microseconds."),
]


class Event(Struct, kw_only=True):
    """Something that somebody did. Fields beyond these are kept with it (label, value, price, decision_id ...)."""

    event_id: Annotated[Id, Meta(description="Unique; sent again it changes nothing.", examples=["e-1"])]
    user_id: Annotated[Id, Meta(examples=["u7"])]
    item_id: Annotated[Item | None, Meta(examples=["i42"])] = None
    kind: Annotated[Kind, Meta(description="What happened: view, buy, play ...", examples=["view"])]
    time: Time


class Events(Struct, kw_only=True, forbid_unknown_fields=True):
    """A batch of events, in any order."""

    events: Annotated[list[Event], Meta(min_length=1)]


class Outcome(Struct, kw_only=True):
    """What became of one event."""

    event_id: str
    status: Annotated[
        Literal["accepted", "duplicate", "conflict", "forgotten"],
        Meta(
            description="accepted: durable now. duplicate: was there with equal content. conflict: the id is taken by "
            "other content; nothing of this event is stored. forgotten: its user was forgotten after it was accepted."
        ),
    ]


class Received(Struct, kw_only=True):
    """What became of a batch."""

    accepted: int
    duplicate: int
    forgotten: int
    outcomes: list[Outcome]


class Past(Struct, kw_only=True, forbid_unknown_fields=True):
    """An event of a stranger's history."""

    item_id: Item
    kind: Kind | None = None
    time: Time | None = None


History: TypeAlias = Annotated[
    list[Item | Past],
    Meta(
        description="What a stranger did, oldest first: item ids, or events. Read where nothing is stored of the user."
    ),
]


class Rank(Struct, kw_only=True, forbid_unknown_fields=True):
    """Judge candidates for somebody: whom the store knows, or a stranger with a history."""

    user_id: Annotated[Id | None, Meta(examples=["u7"])] = None
    history: History | None = None
    candidates: Annotated[list[Many], Meta(min_length=1, examples=[["i1", "i2"]])]
    k: Annotated[Annotated[int, Meta(ge=1, le=2**31)] | None, Meta(description="Only the best k.")] = None
    model: Annotated[Name | None, Meta(description="Its name; the first that can, if not given.")] = None
    context: Annotated[dict[str, Any] | None, Meta(description="Columns of the request: hour, page, query.")] = None
    explain: Annotated[bool, Meta(description="Name the past events that made each score.")] = False
    experiment: Annotated[
        Name | None, Meta(description="Assigns an arm by the user's id and records what was shown.")
    ] = None
    record: Annotated[bool, Meta(description="Record what was shown, so that later events can be joined.")] = False


class Recommend(Struct, kw_only=True, forbid_unknown_fields=True):
    """Choose from the whole catalogue for somebody: whom the store knows, or a stranger with a history."""

    user_id: Annotated[Id | None, Meta(examples=["u7"])] = None
    history: History | None = None
    k: Annotated[int, Meta(ge=1)] = 10
    model: Name | None = None
    ranker: Annotated[Name | None, Meta(description="Orders what the model finds by this ranking model.")] = None
    among: Annotated[Annotated[list[Item], Meta(min_length=1)] | None, Meta(description="Choose from these only.")] = (
        None
    )
    exclude_seen: Annotated[
        bool | None, Meta(description="Leave out what was met before; where people hardly repeat, if not given.")
    ] = None
    explain: bool = False
    experiment: Name | None = None
    record: bool = False


class Occurrence(Struct, kw_only=True):
    """Something that the person to be judged did; fields beyond these are read as those of stored events are."""

    event_id: Annotated[
        Id | None, Meta(description="Where it is stored already: then the stored one counts.", examples=["e-1"])
    ] = None
    item_id: Annotated[Item | None, Meta(examples=["i42"])] = None
    kind: Annotated[Kind | None, Meta(examples=["pay"])] = None
    time: Annotated[Time | None, Meta(description="Now, if not given.")] = None


class Assess(Struct, kw_only=True, forbid_unknown_fields=True):
    """Judge the risk of somebody: whom the store knows, by all that is stored and the events here; or a stranger by
    the events alone. Nothing of it is stored.
    """

    user_id: Annotated[Id | None, Meta(examples=["u7"])] = None
    events: Annotated[list[Occurrence] | None, Meta(description="What is not stored, or not yet, in any order.")] = None
    session: Annotated[
        Id | None, Meta(description="Which session, for models that judge sessions; the latest if not given.")
    ] = None
    time: Annotated[Time | None, Meta(description="Of the decision: later events are not read. Now, if not given.")] = (
        None
    )
    profile: Annotated[
        dict[str, Any] | None, Meta(description="What is known of the user beside events: columns of the users.")
    ] = None
    model: Annotated[Name | None, Meta(description="Its name; the first that can, if not given.")] = None


class Reason(Struct, kw_only=True):
    """A past item that speaks for an item (share above 0) or against it."""

    item_id: str
    share: float


class Ranked(Struct, kw_only=True, omit_defaults=True):
    """An item of an answer."""

    item_id: str
    position: Annotated[int, Meta(description="From 1.")]
    score: float | None
    status: Annotated[
        Literal["known", "unknown"] | UnsetType, Meta(description="unknown: the model never met it; absent: not told.")
    ] = UNSET
    because: list[Reason] | UnsetType = UNSET


class Answer(Struct, kw_only=True, omit_defaults=True):
    """Items, the best first, and what they rest on."""

    items: list[Ranked]
    model: str
    version: str
    read: Annotated[
        Literal["store", "request", "nothing"], Meta(description="Where the history came from that was read.")
    ]
    events: Annotated[int, Meta(description="Events of the history that was read.")]
    note: Annotated[str | UnsetType, Meta(description="What was asked and could not be given.")] = UNSET
    decision_id: str | UnsetType = UNSET
    arm: str | UnsetType = UNSET
    propensity: Annotated[
        float | UnsetType, Meta(description="Probability with which the experiment gives this arm.")
    ] = UNSET


class Because(Struct, kw_only=True):
    """A reason of a risk."""

    what: str
    value: str | None
    share: Annotated[float | None, Meta(description="Of the whole weight; below 0 it speaks for a lower risk.")]


class Met(Struct, kw_only=True):
    """A rule that the case meets, and the cluster that it was found for."""

    cluster: str
    rule: str


class Assessed(Struct, kw_only=True, omit_defaults=True):
    """A risk and what it rests on."""

    risk: Annotated[float, Meta(ge=0, le=1)]
    reason: Annotated[str, Meta(description="One sentence.")]
    reasons: list[Because]
    model: str
    version: str
    read: Annotated[Literal["store", "request", "both"], Meta(description="Where the events came from that were read.")]
    events: int
    session: str | UnsetType = UNSET
    cluster: str | UnsetType = UNSET
    rules: Annotated[
        list[Met] | UnsetType, Meta(description="Rules that it meets; absent where the service has none of the model.")
    ] = UNSET


class Person(Struct, kw_only=True):
    """What is stored of somebody now."""

    user_id: str
    count: Annotated[int, Meta(description="Events since the user was last forgotten.")]
    counters: Annotated[dict[str, int], Meta(description="Events by kind.")]
    recent_events: Annotated[list[dict[str, Any]], Meta(description="Newest last, as they were sent.")]


class Trained(Struct, kw_only=True):
    """A model whose parameters were learned from a log; forgetting in the store does not reach into it."""

    model: str
    version: str
    why: str = "trained before; its parameters may rest on this user's behaviour until it is fitted again"


class Forgotten(Struct, kw_only=True):
    """What forgetting did: reads tell nothing of the user from now on."""

    user_id: str
    forgotten: Annotated[int, Meta(description="Events that the tombstone covers.")]
    bytes_gone_within_seconds: float
    not_forgotten: list[Trained]


class Model(Struct, kw_only=True):
    """A model that is served."""

    name: str
    system: str
    area: str
    verbs: list[str]
    version: Annotated[str, Meta(description="Of what answers now.")]
    previous: Annotated[str | None, Meta(description="Where a roll-back leads.")]
    preparing: Annotated[str | None, Meta(description="A version that is being made ready.")]
    failed: Annotated[str | None, Meta(description="Why the last activation did not come to pass.")]
    versions: list[str]


class Models(Struct, kw_only=True):
    """All models, and the experiments with the share of each arm."""

    models: list[Model]
    experiments: dict[str, dict[str, float]]


class Activate(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which version shall answer: one that `GET /v1/models` lists, the newest if not given."""

    version: Version | None = None
    wait: Annotated[
        float, Meta(ge=0, le=300, description="Seconds to wait until it answers; then 202 says that it goes on.")
    ] = 30.0


class Health(Struct, kw_only=True):
    """Whether the service can work."""

    status: Literal["ok", "not ready"]
    why: str | None = None


class Problem(Struct, kw_only=True, omit_defaults=True):
    """An answer that is an error (RFC 9457): what was wrong, where, what would be right."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Meta(description="What was wrong.")]
    where: Annotated[str, Meta(description="Where: a field as $.events[3].time, a header, the path.")] = ""
    right: Annotated[str, Meta(description="What would be right.")] = ""
    outcomes: list[Outcome] | UnsetType = UNSET
