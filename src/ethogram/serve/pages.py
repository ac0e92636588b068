"""How the service describes itself: OpenAPI with examples, made from the types that check requests, and a page of it
that loads nothing from elsewhere.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ethogram.serve import wire
from ethogram.serve.keys import Scope
from ethogram.serve.limits import Limits
from ethogram.serve.problems import KINDS

DESCRIPTION = (
    "What people did a moment ago, and answers that know it. Send events, ask for rankings, recommendations and risks. "
    "Errors are `application/problem+json`: what was wrong, where, what would be right."
)
STRUCTS = (
    wire.Events, wire.Received, wire.Rank, wire.Recommend, wire.Answer, wire.Person, wire.Forgotten, wire.Models,
    wire.Model, wire.Activate, wire.Assess, wire.Assessed, wire.Health, wire.Problem,
)  # fmt: skip
REF = "#/components/schemas/{name}"


@dataclass(frozen=True)
class About:
    """What the page says of one operation.

    Attributes
    ----------
    body, answer : types; None where there is none (or text). example, answers : of the two.
    refuses : kinds of problems beyond those of every operation.
    """

    summary: str
    tag: str
    body: type | None = None
    answer: type | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[Mapping[str, Any], ...] = ()
    refuses: tuple[str, ...] = ()
    optional: bool = False
    later: bool = False

    def responses(self, scope: Scope | None) -> dict[int | str, dict[str, Any]]:
        """What FastAPI's `responses` takes."""
        if self.answer is None:
            good: dict[str, Any] = {
                "description": "Measures",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        else:
            media = {"schema": _ref(self.answer), **({"example": self.answers} if self.answers else {})}
            good = {"description": self.summary, "content": {"application/json": media}}
        found: dict[int | str, dict[str, Any]] = {200: good}
        if self.later:
            found[202] = {**good, "description": "It is being made ready"}
        kinds = [*self.refuses, "internal"]
        if scope is not None:
            kinds += ["no-key", "forbidden", "too-many", "unavailable"]
        kinds.append("invalid")
        if self.body is not None:
            kinds += ["malformed", "slow", "too-large"]
        for kind in dict.fromkeys(kinds):
            status, title = KINDS[kind]
            problem = {"application/problem+json": {"schema": _ref(wire.Problem)}}
            found.setdefault(status, {"description": title, "content": problem})
        return dict(sorted(found.items(), key=lambda i: int(i[0])))

    def extra(self, scope: Scope | None, limits: Limits) -> dict[str, Any]:
        """What FastAPI's `openapi_extra` takes."""
        found: dict[str, Any] = {}
        if self.body is not None:
            media = {"schema": _ref(self.body), "example": dict(self.example)}
            found["requestBody"] = {"required": not self.optional, "content": {"application/json": media}}
        if self.parameters:
            found["parameters"] = [deepcopy(dict(p)) for p in self.parameters]
        if scope is not None:
            found["security"] = [{"key": []}]
        return found


def described(openapi: Mapping[str, Any], limits: Limits, keyed: bool) -> dict[str, Any]:
    """FastAPI's description with the types of the protocol and this server's limits."""
    found = deepcopy(dict(openapi))
    _, schemas = msgspec.json.schema_components(STRUCTS, ref_template=REF)
    schemas["Event"]["additionalProperties"] = schemas["Occurrence"]["additionalProperties"] = True
    schemas["Events"]["properties"]["events"]["maxItems"] = limits.batch
    schemas["Rank"]["properties"]["candidates"]["maxItems"] = limits.candidates
    schemas["Recommend"]["properties"]["k"]["maximum"] = limits.k
    parts = found.setdefault("components", {})
    parts["schemas"] = {**parts.get("schemas", {}), **schemas}
    if keyed:
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "An API key"}}
    return found


def _marked(text: str) -> str:
    """Text as HTML, what stands in backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))


def page(described: Mapping[str, Any]) -> str:
    """The description as one page of HTML."""
    parts = []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            shown = [
                f"<p>{_marked(operation.get('description', ''))}</p>",
                f"<pre>{html.escape(_curl(path, method, operation, body))}</pre>",
            ]
            answer = operation["responses"]["200"].get("content", {}).get("application/json", {})
            if "example" in answer:
                shown.append(f"<p>answers</p><pre>{html.escape(json.dumps(answer['example'], indent=1))}</pre>")
            errors = ", ".join(f"{s} {r['description']}" for s, r in operation["responses"].items() if int(s) >= 400)
            shown.append(f"<p class=errors>Errors: {html.escape(errors)}.</p>")
            for media in (body, answer):
                if name := media.get("schema", {}).get("$ref", "").rpartition("/")[2]:
                    shown.append(f'<p>fields: <a href="#{name}">{name}</a></p>')
            head = f"<b>{method.upper()}</b> {html.escape(path)} <i>{html.escape(operation['summary'])}</i>"
            parts.append(f"<details><summary>{head}</summary>{''.join(shown)}</details>")
    fields = [_fields(name, schema) for name, schema in sorted(described["components"]["schemas"].items())]
    title = f"{html.escape(described['info']['title'])} {html.escape(described['info']['version'])}"
    intro = _marked(described["info"]["description"])
    return PAGE.format(title=title, intro=intro, operations="\n".join(parts), fields="\n".join(fields))


def _curl(path: str, method: str, operation: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    for given in operation.get("parameters", ()):
        path = path.replace(f"{{{given['name']}}}", str(given.get("example", given["name"])))
    words = ["curl", f"http://127.0.0.1:8000{path}"]
    if method not in ("get", "post") or (method == "post" and not body):
        words.append(f"-X {method.upper()}")
    if operation.get("security"):
        words.append('-H "Authorization: Bearer $ETHOGRAM_API_KEY"')
    if "example" in body:
        words.append(f"-d '{json.dumps(body['example'])}'")
    return " ".join(words)


def _fields(name: str, schema: Mapping[str, Any]) -> str:
    rows = []
    for field_, told in schema.get("properties", {}).items():
        kind = told.get("type") or told.get("$ref", "").rpartition("/")[2] or " or ".join(
            str(o.get("type") or o.get("$ref", "").rpartition("/")[2]) for o in told.get("anyOf", ())
        )  # fmt: skip
        needed = "required" if field_ in schema.get("required", ()) else ""
        cells = (field_, str(kind), needed, told.get("description", ""))
        rows.append("<tr>" + "".join(f"<td>{_marked(c)}</td>" for c in cells) + "</tr>")
    about = _marked(schema.get("description", ""))
    return f'<h3 id="{name}">{name}</h3><p>{about}</p><table>{"".join(rows)}</table>'


def _ref(struct: type) -> dict[str, str]:
    return {"$ref": REF.format(name=struct.__name__)}


def _parameter(name: str, where: str, example: str, schema: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": dict(schema), "example": example, **more}


_USER = _parameter("user_id", "path", "u7", {"type": "string", "minLength": 1, "maxLength": 256})
_LIMIT = _parameter("limit", "query", "100", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100})
_NAME = _parameter("name", "path", "home", {"type": "string", "minLength": 1, "maxLength": 64})
_EVENT = {"event_id": "e-1", "user_id": "u7", "item_id": "i42", "kind": "view", "time": "2026-11-30T09:15:00Z"}
_ITEM = {"item_id": "i42", "position": 1, "score": 0.83, "status": "known"}
_ANSWER = {"items": [_ITEM], "model": "home", "version": "3f6a0c41d2e7", "read": "store", "events": 12}
_MODEL = {
    "name": "home", "system": "sdim", "area": "rank", "verbs": ["score", "explain"], "version": "2026-11-30",
    "previous": "2026-11-23", "preparing": None, "failed": None, "versions": ["2026-11-23", "2026-11-30"],
}  # fmt: skip
EVENTS = About(
    "Send what people did", "events", wire.Events, wire.Received, {"events": [_EVENT]},
    {"accepted": 1, "duplicate": 0, "forgotten": 0, "outcomes": [{"event_id": "e-1", "status": "accepted"}]},
    refuses=("conflict",),
)  # fmt: skip
RANK = About(
    "Judge candidates", "questions", wire.Rank, wire.Answer,
    {"user_id": "u7", "candidates": ["i1", "i2", "i42"]}, _ANSWER, refuses=("not-found",),
)  # fmt: skip
RECOMMEND = About(
    "Choose from the catalogue", "questions", wire.Recommend, wire.Answer,
    {"user_id": "u7", "k": 3}, _ANSWER, refuses=("not-found",),
)  # fmt: skip
_BECAUSE = {"what": "QuickCash", "value": "repayments grew from 50 to 210", "share": 0.62}
ASSESS = About(
    "Judge a risk", "questions", wire.Assess, wire.Assessed,
    {"user_id": "u7", "events": [{"item_id": "QuickCash", "kind": "pay", "value": 210.0}]},
    {
        "risk": 0.31, "reason": "Repayments at QuickCash grew.", "reasons": [_BECAUSE], "model": "credit",
        "version": "3f6a0c41d2e7", "read": "both", "events": 213,
    },
    refuses=("not-found",),
)  # fmt: skip
USER = About(
    "Look somebody up", "people", None, wire.Person,
    answers={"user_id": "u7", "count": 1, "counters": {"view": 1}, "recent_events": [_EVENT]},
    parameters=(_USER, _LIMIT), refuses=("invalid",),
)  # fmt: skip
FORGET = About("Forget somebody", "people", None, wire.Forgotten, parameters=(_USER,), refuses=("invalid",))
MODELS = About(
    "List the models", "models", None, wire.Models, answers={"models": [_MODEL], "experiments": {"home": {"a": 1.0}}}
)
ACTIVATE = About(
    "Let a version answer", "models", wire.Activate, wire.Model, {"version": "2026-11-30"}, _MODEL, (_NAME,),
    refuses=("not-found", "conflict"), optional=True, later=True,
)  # fmt: skip
ROLL_BACK = About(
    "Let the version before answer", "models", None, wire.Model, {}, _MODEL, (_NAME,),
    refuses=("not-found", "conflict"), later=True,
)  # fmt: skip
HEALTH = About("Is the process alive?", "health", None, wire.Health)
READY = About("Can it work?", "health", None, wire.Health, refuses=("unavailable",))
METRICS = About("Measures", "health")

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2b2a }}
h1 {{ color: #00695c }} summary {{ cursor: pointer; padding: .5rem; border: 1px solid #cfd8d7; border-radius: 6px; margin: .3rem 0 }}
summary b {{ color: #00695c; display: inline-block; width: 4.5rem }} summary i {{ color: #5b6b6a }}
pre {{ background: #f1f5f5; padding: .7rem; overflow-x: auto; border-radius: 6px }} .errors {{ color: #5b6b6a; font-size: .9rem }}
td {{ padding: .2rem .8rem .2rem 0; vertical-align: top; border-top: 1px solid #e3eaea }} details > :not(summary) {{ margin-left: 1rem }}
</style><h1>{title}</h1><p>{intro} As data: <a href="openapi.json">openapi.json</a>.</p>
{operations}<h2>Fields</h2>{fields}</html>"""  # noqa: E501
