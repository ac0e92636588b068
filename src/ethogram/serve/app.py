"""The service as a web application: paths, and what each answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

import ethogram
from ethogram.errors import StoreError
from ethogram.serve import metrics as measures
from ethogram.serve import pages, wire
from ethogram.serve.guard import Direct, Guard
from ethogram.serve.keys import Keyring, Scope
from ethogram.serve.parse import shortened
from ethogram.serve.problems import Refused
from ethogram.serve.service import Service

log = logging.getLogger("ethogram.serve")
RECENT = 100
"""Events that one look at a user shows, if not asked otherwise."""
_encode = msgspec.json.Encoder().encode
Endpoint = Callable[[Request], Awaitable[Response]]


def build(service: Service, keys: Keyring | None = None) -> Guard:
    """The ASGI application of a service.

    Parameters
    ----------
    keys : None asks for no key, and answers this machine only.
    """
    web = FastAPI(
        title="Ethogram", version=ethogram.__version__, description=pages.DESCRIPTION,
        docs_url=None, redoc_url=None, openapi_url=None, lifespan=service.running,
    )  # fmt: skip
    scopes: dict[tuple[str, str], Scope | None] = {}

    def route(method: str, path: str, scope: Scope | None, about: pages.About) -> Callable[[Endpoint], Endpoint]:
        def add(endpoint: Endpoint) -> Endpoint:
            known = {p["name"] for p in about.parameters if p["in"] == "query"}

            async def guarded(request: Request) -> Response:
                try:
                    if request.scope["query_string"]:
                        _check_query(request, known)
                    return await endpoint(request)
                except Refused as refused:
                    return Response(refused.body, refused.status, refused.headers)
                except StoreError as error:
                    log.error("the store: %s", error)
                    why = "The store cannot be reached or written; nothing was acknowledged."
                    down = Refused("unavailable", why, right="try again", after=1.0)
                    return Response(down.body, down.status, down.headers)

            guarded.__name__, guarded.__doc__ = endpoint.__name__, endpoint.__doc__
            scopes[method, path] = scope
            web.add_api_route(
                path, guarded, methods=[method], response_model=None, response_class=Response,
                operation_id=endpoint.__name__, summary=about.summary, tags=[about.tag],
                description=endpoint.__doc__ or "", responses=about.responses(scope),
                openapi_extra=about.extra(scope if keys is not None else None, service.limits),
            )  # fmt: skip
            return endpoint

        return add

    @route("POST", "/v1/events", "write", pages.EVENTS)
    async def send_events(request: Request) -> Response:
        """Stores a batch of events, whole or not at all; the answer comes when they are durable. An event id counts
        once: sent again with equal content it changes nothing, with other content it is refused (409), and the
        outcomes say what became of each event of the batch."""
        return _json(await service.events(request.scope["ethogram.body"]))

    @route("POST", "/v1/rank", "read", pages.RANK)
    async def rank(request: Request) -> Response:
        """Judges candidates, the best first. Whom the store knows is judged by the stored history; for others the
        history in the request is read."""
        return _json(await service.rank(request.scope["ethogram.body"]))

    @route("POST", "/v1/recommend", "read", pages.RECOMMEND)
    async def recommend(request: Request) -> Response:
        """Chooses from the whole catalogue; `ranker` orders what was found by a ranking model."""
        return _json(await service.recommend(request.scope["ethogram.body"]))

    @route("POST", "/v1/assess", "read", pages.ASSESS)
    async def assess(request: Request) -> Response:
        """Judges a risk, with reasons. Of whom the store knows all is read that is stored, and the events in the
        request besides; of a stranger these alone. Nothing is stored."""
        return _json(await service.assess(request.scope["ethogram.body"]))

    @route("GET", "/v1/users/{user_id:path}", "read", pages.USER)
    async def look_up_user(request: Request) -> Response:
        """What is stored of somebody: how many events, and the latest of them. Nobody known: a count of 0."""
        limit = request.query_params.get("limit", str(RECENT))
        if not limit.isascii() or not limit.isdigit():
            raise Refused("invalid", "limit is no whole number.", "query limit", f"1 to {service.limits.recent:,}")
        return _json(await service.user(_named(request), int(limit[:9])))

    @route("DELETE", "/v1/users/{user_id:path}", "admin", pages.FORGET)
    async def forget_user(request: Request) -> Response:
        """Forgets somebody. Every read obeys at once; the bytes leave the disk within the time that the answer names.
        Models that were trained before are not changed; they are listed."""
        return _json(await service.forget(_named(request)))

    @route("GET", "/v1/models", "read", pages.MODELS)
    async def list_models(request: Request) -> Response:
        """Models, the version that answers, the one before, and the experiments."""
        return _json(await service.models())

    @route("POST", "/v1/models/{name}/activate", "admin", pages.ACTIVATE)
    async def activate_model(request: Request) -> Response:
        """Makes a version ready while the old one answers, then switches between two requests. 200: it answers.
        202: it is still being made ready."""
        done, model = await service.activate(request.path_params["name"], request.scope["ethogram.body"])
        return _json(model, 200 if done else 202)

    @route("POST", "/v1/models/{name}/rollback", "admin", pages.ROLL_BACK)
    async def roll_back_model(request: Request) -> Response:
        """Lets the version answer again that answered before."""
        done, model = await service.roll_back(request.path_params["name"])
        return _json(model, 200 if done else 202)

    @route("GET", "/healthz", None, pages.HEALTH)
    async def health(request: Request) -> Response:
        """Whether the process lives."""
        return _json(wire.Health(status="ok"))

    @route("GET", "/readyz", None, pages.READY)
    async def ready(request: Request) -> Response:
        """Whether requests can be answered, and writes made durable."""
        found = await service.ready()
        return _json(found, 200 if found.status == "ok" else 503)

    @route("GET", "/metrics", "read", pages.METRICS)
    async def metrics(request: Request) -> Response:
        """Measures in the text format of Prometheus."""
        return Response(service.metrics.text(), media_type=measures.TYPE)

    described: dict[str, Any] = {}

    async def openapi(request: Request) -> Response:
        if not described:
            described.update(pages.described(web.openapi(), service.limits, keys is not None))
        return _json(described)

    async def docs(request: Request) -> Response:
        return HTMLResponse(pages.page(pages.described(web.openapi(), service.limits, keys is not None)))

    async def home(request: Request) -> Response:
        return RedirectResponse("/docs")

    for path, page in (("/openapi.json", openapi), ("/docs", docs), ("/", home)):
        web.add_route(path, page, methods=["GET"], include_in_schema=False)
        scopes["GET", path] = None
    web.add_exception_handler(HTTPException, _nowhere)
    web.add_exception_handler(Exception, _failed)
    asked = {
        "events": service.events, "rank": service.rank, "recommend": service.recommend, "assess": service.assess,
    }  # fmt: skip
    direct = {("POST", f"/v1/{name}"): _directly(answer) for name, answer in asked.items()}
    return Guard(web, keys, service.limits, service.metrics, lambda method, path: _scope(scopes, method, path), direct)


def _directly(answer: Callable[[bytes], Awaitable[Any]]) -> Direct:
    async def encoded(body: bytes) -> bytes:
        return _encode(await answer(body))

    return encoded


def _named(request: Request) -> str:
    """The user in a path, whole: what a path is matched by leaves a last line end out."""
    return str(request.scope["path"]).removeprefix("/v1/users/")


def _json(value: Any, status: int = 200) -> Response:
    return Response(_encode(value), status, media_type="application/json")


def _check_query(request: Request, known: set[str]) -> None:
    for name in request.query_params:
        if name not in known:
            right = f"one of {', '.join(sorted(known))}" if known else "no parameters"
            raise Refused("invalid", f"There is no parameter '{shortened(name)}'.", "query", right)


async def _nowhere(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    if status == 404 and request.scope["path"].startswith("/v1/users/"):  # a line end within: no pattern matches it
        refused = Refused("invalid", "This is no id of a user.", "path", wire.TEXT)
    elif status == 405:
        refused = Refused("method", f"{request.method} is not answered here.", "path", "the methods that /docs lists")
    else:
        refused = Refused("not-found", "Nothing lies at this path.", "path", "the paths that /docs lists")
    allow = getattr(error, "headers", None) or {}
    return Response(refused.body, refused.status, {**refused.headers, **allow})


async def _failed(request: Request, error: Exception) -> Response:
    refused = Refused("internal", "Something failed; the server's log says more.")
    return Response(refused.body, refused.status, refused.headers)


def _scope(scopes: dict[tuple[str, str], Scope | None], method: str, path: str) -> tuple[Scope | None, str]:
    """(scope that is needed, the path as measures name it)."""
    if (method, path) in scopes:
        return scopes[method, path], path
    if path.startswith("/v1/users/"):
        return scopes.get((method, "/v1/users/{user_id:path}")), "/v1/users/{user_id}"
    for end in ("activate", "rollback"):
        if path.startswith("/v1/models/") and path.endswith(f"/{end}"):
            return "admin", f"/v1/models/{{name}}/{end}"
    return None, path if any(path == p for _, p in scopes) else "other"
