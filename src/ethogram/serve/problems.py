"""Errors of the service as people and programs read them: `application/problem+json`, with nothing of the inside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET

from ethogram.serve import wire

KINDS = {
    "malformed": (400, "The body is not JSON"),
    "no-key": (401, "A key is needed"),
    "forbidden": (403, "The key does not allow this"),
    "not-found": (404, "There is no such thing"),
    "method": (405, "This path does not know the method"),
    "slow": (408, "The request took too long to arrive"),
    "conflict": (409, "The id is taken by other content"),
    "too-large": (413, "Too much at once"),
    "invalid": (422, "The request cannot be understood"),
    "too-many": (429, "Too many requests"),
    "internal": (500, "The service failed"),
    "overloaded": (503, "The service is busy"),
    "unavailable": (503, "The service cannot work now"),
}
_T = TypeVar("_T")
_AT = re.compile(r"^(?P<said>.*?)(?: - at `(?P<where>[^`]*)`)?$", re.S)


class Refused(Exception):
    """A request that is answered by an error.

    Parameters
    ----------
    kind : a key of `KINDS`. detail : what was wrong. where : in the request. right : what would be right.
    after : seconds until asking again makes sense.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        where: str = "",
        right: str = "",
        *,
        after: float | None = None,
        outcomes: Sequence[wire.Outcome] | None = None,
    ):
        super().__init__(detail)
        self.kind, self.after = kind, after
        self.status, title = KINDS[kind]
        self.problem = wire.Problem(
            type=f"urn:ethogram:problem:{kind}", title=title, status=self.status, detail=detail, where=where,
            right=right, outcomes=UNSET if outcomes is None else list(outcomes),
        )  # fmt: skip

    @property
    def body(self) -> bytes:
        return msgspec.json.encode(self.problem)

    @property
    def headers(self) -> dict[str, str]:
        found = {"content-type": "application/problem+json", "cache-control": "no-store"}
        if self.after is not None:
            found["retry-after"] = str(max(1, round(self.after + 0.499)))
        if self.status == 401:
            found["www-authenticate"] = "Bearer"
        return found


def decoded(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    """A body as its type, or the reason why it is none.

    Raises
    ------
    Refused
        malformed, or invalid with the place in the body.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = str(error).removeprefix("JSON is malformed: ") if body else "it is empty"
        right = 'one JSON object in UTF-8, such as {"user_id": "u7"}'
        raise Refused("malformed", f"The body cannot be read: {said}.", "body", right) from None
    except RecursionError:
        raise Refused("malformed", "The body is nested too deeply.", "body", "a flatter object") from None


def invalid(error: Exception, prefix: str = "$") -> Refused:
    """What a check of types found, with the place that it names below `prefix`."""
    found = _AT.match(str(error))
    said, where = (found["said"], found["where"] or "$") if found else (str(error), "$")
    where = prefix + where[1:]
    if "matching regex" in said:
        control = wire.PLAIN in said.encode().decode("unicode_escape") or "\\x00" in said
        said = "It holds a control character" if control else "It holds a character that names may not hold"
        right = wire.TEXT if control else "letters, digits, '_', '.' and '-', a letter or a digit first"
        return Refused("invalid", f"{said}.", where, right)
    if m := re.match(r"Expected `str` of length <= (\d+)", said):
        return Refused("invalid", "The text is too long.", where, f"at most {m[1]} characters")
    if m := re.match(r"Expected `(.+)`, got `(.+)`", said):
        return Refused("invalid", f"It is of type {_type(m[2])}.", where, _type(m[1]))
    if m := re.match(r"Object missing required field `(.+)`", said):
        return Refused("invalid", f"The field '{m[1]}' is missing.", where, f"give '{m[1]}'")
    if m := re.match(r"Object contains unknown field `(.+)`", said):
        return Refused("invalid", f"There is no field '{m[1]}'.", where, "the fields that /docs lists")
    if said.startswith("Expected `"):
        return Refused("invalid", "The value is outside what is allowed.", where, said.removeprefix("Expected "))
    return Refused("invalid", f"{said}.", where)


def _type(name: str) -> str:
    words = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "null": "null"}
    words |= {"array": "a list", "object": "an object"}
    return " or ".join(words.get(part.strip(), part.strip()) for part in name.split("|"))
