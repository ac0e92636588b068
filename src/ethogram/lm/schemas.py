"""The shape of an answer: a JSON schema, and how a text of that shape becomes a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from ethogram.errors import SchemaError

T = TypeVar("T")
_WRAPPED = "value"


class Invalid(Exception):
    """A text is not of the shape; the message says where, and can be shown to the model."""


@dataclass(frozen=True)
class Shape(Generic[T]):
    """`json` is an object schema; `read` makes a value of a text or raises Invalid."""

    json: Mapping[str, Any]
    read: Callable[[str], T]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self.json.get("properties") or ())

    @property
    def closed(self) -> bool:
        """Whether all objects are closed and all their fields required, as strict modes demand."""
        return all(
            node.get("additionalProperties") is False and set(node.get("required") or ()) == set(node["properties"])
            for node in _nodes(self.json)
            if isinstance(node.get("properties"), Mapping)
        )


def shape(schema: Any) -> Shape[Any]:
    """The shape of a pydantic model, a dataclass, any type that pydantic reads, or a JSON schema (a mapping).

    What is not an object is wrapped in one, because most servers are held to objects only.

    Raises
    ------
    SchemaError
        It cannot be read as a schema, or no text satisfies it (said where).
    """
    found = _of_schema(json.dumps(schema)) if isinstance(schema, Mapping) else _of_type(schema)
    if where := unsatisfiable(found.json):
        raise SchemaError(f"no text satisfies the schema: {where}.")
    return found


# agents ask under the same schema at every step, and checking a schema takes longer than all else of a call
@lru_cache(maxsize=256)
def _of_schema(schema: str) -> Shape[Any]:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError as Wrong

    plain = json.loads(schema)
    try:
        Draft202012Validator.check_schema(plain)
    except Wrong as error:
        raise SchemaError(
            f"not a JSON schema: {error.message} at {'/'.join(map(str, error.path)) or 'its root'}."
        ) from None
    wrap = "$ref" not in plain and plain.get("type") != "object" and "properties" not in plain
    judge = Draft202012Validator(plain)

    def read(text: str) -> Any:
        value = _parsed(text)
        if wrap:
            value = _unwrapped(value)
        for error in judge.iter_errors(value):
            raise Invalid(f"{'.'.join(map(str, error.path)) or 'the answer'}: {error.message}")
        return value

    return Shape(_wrapping(plain) if wrap else plain, read)


def _of_type(kind: Any) -> Shape[Any]:
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    try:
        adapter = TypeAdapter(kind)
        plain = adapter.json_schema()
    except (PydanticUserError, TypeError, NameError) as error:
        raise SchemaError(f"{kind!r} cannot be read as a schema: {str(error).splitlines()[0]}") from None
    plain = _tidy(plain)
    wrap = plain.get("type") != "object" and "$ref" not in plain

    def read(text: str) -> Any:
        value = _parsed(text)
        if wrap:
            value = _unwrapped(value)
        try:
            return (
                adapter.validate_python(value)
                if not isinstance(value, str)
                else adapter.validate_json(json.dumps(value))
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise Invalid(f"{'.'.join(map(str, first['loc'])) or 'the answer'}: {first['msg']}") from None

    return Shape(_wrapping(plain) if wrap else plain, read)


def _wrapping(plain: dict[str, Any]) -> dict[str, Any]:
    inner = {k: v for k, v in plain.items() if k != "$defs"}
    found: dict[str, Any] = {
        "type": "object", "properties": {_WRAPPED: inner}, "required": [_WRAPPED], "additionalProperties": False,
    }  # fmt: skip
    if "$defs" in plain:
        found["$defs"] = plain["$defs"]
    return found


def _unwrapped(value: Any) -> Any:
    return value[_WRAPPED] if isinstance(value, dict) and set(value) == {_WRAPPED} else value


def _tidy(node: Any) -> Any:
    """Without titles (they only repeat names), and with objects closed where the type says nothing else."""
    if isinstance(node, list):
        return [_tidy(n) for n in node]
    if not isinstance(node, dict):
        return node
    found = {
        k: {n: _tidy(p) for n, p in v.items()} if k in ("properties", "$defs") else _tidy(v)
        for k, v in node.items()
        if not (k == "title" and isinstance(v, str))
    }
    if "properties" in found:
        found.setdefault("additionalProperties", False)
    return found


def _parsed(text: str) -> Any:
    """The JSON in a text: all of it, or the first whole object or list (models like to say more than was asked)."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    read = json.JSONDecoder()
    for i, c in enumerate(text):
        if c in "{[":
            try:
                return read.raw_decode(text, i)[0]
            except ValueError:
                continue
    raise Invalid("the answer is not JSON")


def _nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, Mapping):
        yield schema
        for value in schema.values():
            yield from _nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _nodes(value)


def unsatisfiable(schema: Any, root: Mapping[str, Any] | None = None, at: str = "", seen: tuple[str, ...] = ()) -> str:
    """Where a schema contradicts itself plainly, "" if it does not seem to.

    Found: empty enum, crossed bounds, `false`, a const outside the enum, no alternative possible, a required field
    that is impossible, recursion without end. Not every contradiction is found: what remains fails by attempts.

    >>> unsatisfiable({"type": "object", "properties": {"n": {"minimum": 3, "maximum": 2}}, "required": ["n"]})
    'minimum 3 is above maximum 2 at n'
    """
    root = root if root is not None else (schema if isinstance(schema, Mapping) else {})
    here = f" at {at}" if at else ""
    if schema is False:
        return f"false{here}"
    if not isinstance(schema, Mapping):
        return ""
    if isinstance(ref := schema.get("$ref"), str):
        if ref in seen:
            return f"{ref} requires itself without end{here}"
        inner: Any = root
        for part in ref.removeprefix("#").strip("/").split("/"):
            inner = inner.get(part, {}) if part and isinstance(inner, Mapping) else inner
        return unsatisfiable(inner, root, at, (*seen, ref))
    if schema.get("enum") == []:
        return f"an empty enum{here}"
    if "const" in schema and "enum" in schema and schema["const"] not in schema["enum"]:
        return f"a const outside the enum{here}"
    for low, high in (
        ("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"),
        ("minProperties", "maxProperties"),
    ):  # fmt: skip
        if low in schema and high in schema and schema[low] > schema[high]:
            return f"{low} {schema[low]} is above {high} {schema[high]}{here}"
    for low, high in (
        ("exclusiveMinimum", "maximum"),
        ("minimum", "exclusiveMaximum"),
        ("exclusiveMinimum", "exclusiveMaximum"),
    ):
        if low in schema and high in schema and schema[low] >= schema[high]:
            return f"{low} {schema[low]} is not below {high} {schema[high]}{here}"
    for name in ("anyOf", "oneOf"):
        if (options := schema.get(name)) is not None:
            told = [unsatisfiable(o, root, at, seen) for o in options]
            if all(told):
                return told[0] if told else f"an empty {name}{here}"
    for part in schema.get("allOf") or ():
        if told_one := unsatisfiable(part, root, at, seen):
            return told_one
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name in properties:
            if told_one := unsatisfiable(properties[name], root, f"{at}.{name}".strip("."), seen):
                return told_one
        elif schema.get("additionalProperties") is False and not schema.get("patternProperties"):
            return f"field {name} is required and not allowed{here}"
    if schema.get("minItems", 0) > 0 and (told_one := unsatisfiable(schema.get("items", {}), root, f"{at}[]", seen)):
        return told_one
    return ""
