"""The models that are served: which versions lie on disk, which one answers, which one answered before.

A name stands for a saved system, or for a folder of saved systems, each of which is a version. A version is made ready
(loaded, its users' tables made from stored events) beside the one that answers; then one assignment switches, so that
a request sees the one or the other and never half of each. The store keeps which version is active: replicas follow,
and a server that starts again goes on with it.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ethogram.errors import EthogramError, OptionError
from ethogram.saving import HEAD
from ethogram.serve import wire
from ethogram.serve.compensating import Compensating
from ethogram.serve.derived import Derived
from ethogram.serve.online import WINDOW, online
from ethogram.serve.problems import Refused
from ethogram.serve.retrieving import Finder, How
from ethogram.serve.scoring import Plain, Scorer
from ethogram.serve.state import Store
from ethogram.serve.versions import Choice, Versions, ready
from ethogram.system import load

log = logging.getLogger("ethogram.serve")
NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Served:
    """A version of a model, ready to answer."""

    name: str
    version: str
    system: Any
    scorer: Scorer | None
    finder: Finder | None
    online: Compensating | None = None

    @property
    def derived(self) -> Derived | None:
        """What is kept of each user for this version."""
        return getattr(self.scorer, "derived", None)

    @property
    def verbs(self) -> tuple[str, ...]:
        return tuple(self.system.info.verbs)


@dataclass
class Place:
    """A name on the shelf."""

    path: Path
    active: Served
    previous: Served | None = None
    preparing: str | None = None
    fresh: Served | None = None
    failed: str | None = None
    unable: str | None = None
    "A version that could not be made ready here; it is not tried again because another replica has it."
    lock: threading.Lock = field(default_factory=threading.Lock)


class Shelf:
    """Models by name.

    Parameters
    ----------
    sources : name -> folder. how : see `Finder`. window : seconds in which an event answers a decision.

    Raises
    ------
    OptionError
        A name that cannot stand in a path, or a folder without a saved system.
    """

    def __init__(
        self,
        store: Store,
        sources: Mapping[str, Path],
        *,
        how: How = "auto",
        window: float = WINDOW,
    ):
        self.store, self.how, self.window = store, how, window
        self.switched: Callable[[str], None] = lambda name: None
        self._places: dict[str, Place] = {}
        for name, path in sources.items():
            if not NAMED.fullmatch(name):
                raise OptionError(f"model name '{name}': use letters, digits, '_', '.' and '-'.")
            known = versions(path)
            if not known:
                raise OptionError(f"{path} is no saved system, nor a folder of them; `ethogram fit ... --out {path}`.")
            choice = self._choice(name)
            wanted = choice.version if choice is not None and choice.version in known else list(known)[-1]
            self._places[name] = Place(path, self._open(name, path, wanted))
            if choice is None:
                Versions(store, name).switch(wanted)

    @property
    def names(self) -> list[str]:
        return list(self._places)

    def find(self, name: str | None, verb: str, where: str = "$.model") -> Served:
        """What answers under a name; without one, the first model that has the verb."""
        if name is None:
            able = [p.active for p in self._places.values() if verb in p.active.verbs]
            home = {"score": "rank", "recommend": "recommend", "assess": "risk"}[verb]
            # a recommender can judge candidates, too, but whoever serves a ranking model means that
            for served in sorted(able, key=lambda s: s.system.info.area != home):
                return served
            raise Refused("not-found", f"No model here can {verb}.", where, f"serve one with the verb '{verb}'")
        served = self.place(name, where).active
        if verb not in served.verbs:
            raise Refused(
                "invalid", f"Model '{name}' cannot {verb}.", where, f"its verbs are {', '.join(served.verbs)}"
            )
        return served

    def place(self, name: str, where: str = "path") -> Place:
        if name not in self._places:
            raise Refused("not-found", "There is no model of that name.", where, f"one of {', '.join(self._places)}")
        return self._places[name]

    def told(self) -> list[wire.Model]:
        """What is on the shelf."""
        return [
            wire.Model(
                name=name, system=p.active.system.info.key, area=p.active.system.info.area,
                verbs=list(p.active.verbs), version=p.active.version,
                previous=p.previous.version if p.previous else self._before(name, p),
                preparing=p.preparing, failed=p.failed, versions=list(versions(p.path)),
            )
            for name, p in self._places.items()
        ]  # fmt: skip

    def activate(self, name: str, version: str | None = None) -> threading.Thread | None:
        """Make a version ready in a thread of its own, then let it answer; None where it answers already.

        Raises
        ------
        Refused
            There is no such version, or another one is being made ready.
        """
        place = self.place(name)
        known = versions(place.path)
        version = version or (list(known)[-1] if known else place.active.version)
        held = place.previous if place.previous and place.previous.version == version else None
        if version == place.active.version:
            return None
        if version not in known and held is None:
            right = f"one of {', '.join(known)}"
            raise Refused("not-found", f"Model '{name}' has no such version.", "$.version", right)
        with place.lock:
            if place.preparing is not None:
                raise Refused(
                    "conflict", f"Version '{place.preparing}' is being made ready.", "path", "ask again later"
                )
            place.preparing, place.failed = version, None
        thread = threading.Thread(target=self._ready, args=(name, version, held), name="ethogram-activate", daemon=True)
        thread.start()
        return thread

    def roll_back(self, name: str) -> threading.Thread | None:
        """Let the version answer again that answered before."""
        place = self.place(name)
        previous = place.previous.version if place.previous else self._before(name, place)
        if previous is None:
            raise Refused("conflict", f"No other version of '{name}' answered before.", "path", "activate a version")
        return self.activate(name, previous)

    def follow(self) -> None:
        """Take up what another replica activated."""
        for name, place in self._places.items():
            choice = self._choice(name)
            if choice is None or choice.version == place.active.version or place.preparing is not None:
                continue
            if choice.version in versions(place.path) and place.unable != choice.version:
                self.activate(name, choice.version)

    def _ready(self, name: str, version: str, held: Served | None) -> None:
        place = self._places[name]
        try:
            fresh = held or self._open(name, place.path, version)
            if fresh.derived is not None:
                place.fresh = fresh  # appends follow it from here on, so that what is built stays true
                ready(self.store, fresh.derived)
            Versions(self.store, name).switch(version)
            place.previous, place.active = place.active, fresh
            self.switched(name)
        except Exception as error:  # a thread has nobody to tell; the next look at the models says it
            log.error("%s %s: %s", name, version, error, exc_info=not isinstance(error, EthogramError))
            place.unable = version
            place.failed = f"'{version}' cannot be made ready ({type(error).__name__}); the server's log says more"
        finally:
            place.preparing = place.fresh = None

    @property
    def following(self) -> list[Derived]:
        """What has to move on when rings do: of versions that answer, and of those that are being made ready."""
        served = [s for p in self._places.values() for s in (p.active, p.fresh) if s is not None]
        return [s.derived for s in served if s.derived is not None]

    @property
    def learning(self) -> list[Compensating]:
        """Error memories of what answers."""
        return [p.active.online for p in self._places.values() if p.active.online is not None]

    def _open(self, name: str, path: Path, version: str) -> Served:
        system = load(versions(path)[version])
        verbs = system.info.verbs
        if not {"score", "recommend", "assess"} & set(verbs):
            raise OptionError(
                f"{path}: {system.info.key} neither scores, recommends nor assesses; it cannot be served."
            )
        finder = Finder(system, self.how) if "recommend" in verbs else None
        judge = _scorer(system, self.store) if "score" in verbs else None
        return Served(
            name, version, system, judge, finder, online(self.store, f"{name}/{version}", system, self.window)
        )

    def _choice(self, name: str) -> Choice | None:
        return Versions(self.store, name).now()

    def _before(self, name: str, place: Place) -> str | None:
        """The version that answered before, as the store remembers it."""
        choice = self._choice(name)
        if choice is None:
            return None
        return choice.previous if choice.version == place.active.version else None


def _scorer(system: Any, store: Store) -> Scorer:
    """The fastest way to score by a system; those without a network must not wait for torch."""
    if not hasattr(system, "prepared"):
        return Plain(system)
    from ethogram.serve.prepared import scorer

    return scorer(system, store)


def versions(path: Path) -> dict[str, Path]:
    """Version -> folder, the oldest first: a saved system is one version, named by its checksum."""
    if (path / HEAD).is_file():
        return {_checksum(path): path}
    if not path.is_dir():
        return {}
    found = [p for p in path.iterdir() if NAMED.fullmatch(p.name) and (p / HEAD).is_file()]
    found.sort(key=lambda p: ((p / HEAD).stat().st_mtime_ns, p.name))
    return {p.name: p for p in found}


def _checksum(path: Path) -> str:
    try:
        return str(json.loads((path / HEAD).read_bytes())["checksum"])[:12]
    except (ValueError, KeyError):
        return "damaged"
