"""Runs an agent that cannot leave its specification, and judges any recorded behaviour by one. How an agent must
behave is a formula of temporal logic over the kinds of its steps (thought, action, observation, answer ...); the
decoder opens only steps from which the trace can still end well, and within the bound; a monitor finds the first
violation in the trace of any agent or person, what it violates, and the least repair.

    A_t = { s : distance(delta(q_t, s)) <= k - t - 1 }      s_t = the only s in A_t, or the model's choice among A_t
    q_{t+1} = delta(q_t, s_t)                               delta: the minimal automaton of the formula (`text.ltl`)

Deviations: the stage is chosen by the score of its marker under the model (mean log-probability of a token), on any
model that gives some kind of choice; contents are written up to the end of the line, or chosen where the stage lists
its contents. The formula of ReAct, Reflexion, ReWOO-like and plan-act-summarise-solve agents are our readings of those
agents (`specs.READY`).

Crouse et al.: Formally Specifying the High-Level Behavior of LLM-Based Agents (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa

from ethogram.act.ltl_agent.decoding import Episode, Writer, free, repaired
from ethogram.act.ltl_agent.specs import READY, Spec, Stage
from ethogram.errors import OptionError, RolesError, nearest
from ethogram.system import system
from ethogram.text.ltl import Monitor
from ethogram.verbs import Environment, Log, State, Table

__all__ = ["READY", "Episode", "LTLAgent", "Spec", "Stage", "Writer"]


@system(
    "ltl_agent",
    paper="Formally Specifying the High-Level Behavior of LLM-Based Agents",
    year=2023,
    area="act",
    verbs=("act", "assess"),
    needs=("aiohttp", "msgspec", "pydantic"),
)
@dataclass(kw_only=True)
class LTLAgent:
    """See the module."""

    spec: str = "react"
    "direct, chain_of_thought, react, reflexion, rewoo, pass, grounded, or a .json file with name, formula and stages."
    formula: str = ""
    "For judging: a formula over the kinds of events of a log; if empty, that of the specification."
    lm: Any = "local"
    "The model that writes: an LM, or where to connect to one."
    decoding: Literal["guided", "repaired", "free"] = "guided"
    "guided: cannot violate the specification. repaired: written freely, cut at the first violation. free: neither."
    most: int = 24
    "Steps that a trace may have."
    example: str = ""
    "A trace that the model is shown; it must satisfy the specification."

    fitted = True  # nothing is learned

    def act(self, goal: str, environment: Environment, *, seed: int = 0) -> Log:
        """The steps to the goal: `user` "episode", `order`, `kind` (the stage), `text`, `actor`, `value` (reward)."""
        from ethogram.lm.blocking import run

        made = run(self.episode(goal, environment, seed=seed))
        return as_log([made])

    async def episode(self, goal: str, environment: Environment, *, seed: int = 0) -> Episode:
        """One episode; asynchronous, so that many can be under way."""
        spec, lm = self.specification, self._lm()
        how: dict[str, Any] = {"most": self.most, "example": self.example}
        if self.decoding == "guided":
            return await Writer(spec, lm, **how).write(goal, environment, seed=seed)
        return await (free if self.decoding == "free" else repaired)(spec, lm, goal, environment, seed=seed, **how)

    def assess(self, log: Log) -> Table:
        """One row per case: `user`, `session` (if the log has one), `steps`, `accepted`, `position` of the first
        violation (the number of steps where it stops too early), `kind` and `event` there, `violated`, `expected`,
        `repair` and how many `edits` it takes; `tied` steps share their time, so that their order is only the stored.

        Raises
        ------
        RolesError
            The log has no kinds. OptionError: the formula names a kind that the log and specification do not have.
        """
        rows = log.sequences()
        if "kind" not in rows.columns:
            raise RolesError("the log has no role 'kind': it must say what sort of step each event is.")
        kinds = [str(k) for k in rows.vocabularies["kind"].ids.to_pylist()]
        monitor = self._monitor(kinds)
        place = np.array([monitor.automaton.names.index(k) if k in monitor.automaton.names else -1 for k in kinds])
        codes = place[np.asarray(rows.columns["kind"])]
        starts = _cases(rows)
        return _findings(monitor, rows, codes, starts, kinds)

    @property
    def specification(self) -> Spec:
        """The specification, and the example checked against it.

        Raises
        ------
        OptionError
            It is not known or cannot be read; the example violates it (where is told).
        """
        made = Spec.of(self.spec)
        if self.example:
            self.validate(self.example, made)
        return made

    def validate(self, text: str, spec: Spec | None = None) -> None:
        """Raise OptionError, with the place and the least repair, if a text of markers violates the specification."""
        spec = spec or Spec.of(self.spec)
        steps, before = spec.read(text)
        found = spec.monitor.check([name for name, _ in steps])
        if before or not found.accepted:
            place = len(steps) if found.position is None else found.position
            here = f"step {place} ({steps[place][0]})" if place < len(steps) else f"its end, after {place} steps"
            if before:
                here = "its beginning, before the first marker"
            fits = ", ".join(found.expected) or "nothing more"
            mended = " ".join(found.repair)
            raise OptionError(f"the example violates {spec.name} at {here}: {fits} may stand there. Nearest: {mended}.")

    def state(self) -> State:
        return State(json={})

    def restore(self, state: State) -> Self:
        return self

    def _lm(self) -> Any:
        if not isinstance(self.lm, str):
            return self.lm
        from ethogram.lm import LM

        return LM.connect(self.lm)

    def _monitor(self, kinds: list[str]) -> Monitor:
        if not self.formula:
            return self.specification.monitor
        from ethogram.text.ltl import parse, symbols

        known = list(dict.fromkeys(kinds))
        wrong = [n for n in symbols(parse(self.formula)) if n not in known]
        if wrong:
            raise OptionError(
                f"formula '{self.formula}': no event is of kind '{wrong[0]}'.{nearest(wrong[0], known)} "
                f"Kinds: {', '.join(known)}."
            )
        return Monitor(self.formula, known)


def as_log(episodes: list[Episode], names: list[str] | None = None) -> Log:
    """Episodes as one log, a user for each."""
    told = names or [f"episode {i}" if len(episodes) > 1 else "episode" for i in range(len(episodes))]
    steps = [(told[i], at, e) for i, e in enumerate(episodes) for at in range(len(e.steps))]
    table = pa.table(
        {
            "user": [name for name, _, _ in steps],
            "order": [at for _, at, _ in steps],
            "kind": [e.steps[at][0] for _, at, e in steps],
            "text": [e.steps[at][1] for _, at, e in steps],
            "actor": [e.actors[at] for _, at, e in steps],
            "value": [e.rewards[at] for _, at, e in steps],
        }
    )
    return Log.open(table)


def _cases(rows: Any) -> np.ndarray:
    """Where each case starts and the last ends: users, cut where the session changes."""
    fresh = np.zeros(len(rows), bool)
    fresh[rows.offsets[:-1]] = True
    if "session" in rows.columns:
        session = np.asarray(rows.columns["session"])
        fresh[1:] |= session[1:] != session[:-1]
    return np.append(np.flatnonzero(fresh), len(rows))


def _findings(monitor: Monitor, rows: Any, codes: np.ndarray, starts: np.ndarray, kinds: list[str]) -> Table:
    lengths = np.diff(starts)
    # steps of a kind that the formula does not know end the case there
    unknown = np.append(np.flatnonzero(codes < 0), len(codes))
    known = np.minimum(unknown[np.searchsorted(unknown, starts[:-1])] - starts[:-1], lengths)
    broken = np.full(len(lengths), -1, np.int64)
    for chunk in np.array_split(np.argsort(known, kind="stable"), max(1, len(known) // 4096)):
        if not len(chunk):
            continue
        at = starts[chunk][:, None] + np.arange(known[chunk].max())
        padded = np.maximum(codes[np.minimum(at, len(codes) - 1)], 0) if len(codes) else at
        broken[chunk] = monitor.broken_at(padded, known[chunk])
    wrong = (known < lengths) & ((broken < 0) | (broken >= known))
    broken = np.where(wrong, known, broken)
    kind, event = np.asarray(rows.columns["kind"]), rows.columns.get("event")
    user = rows.vocabularies["user"].decode(np.asarray(rows.user)[starts[:-1]])
    group = np.asarray(rows.group)
    tied = [int((np.diff(group[a:b]) == 0).sum()) for a, b in pairwise(starts)]
    made: dict[str, list[Any]] = {n: [] for n in ("kind", "event", "violated", "expected", "repair", "edits")}
    for case, at in enumerate(broken.tolist()):
        start, stop = int(starts[case]), int(starts[case + 1])
        here = 0 <= at < stop - start
        made["kind"].append(kinds[int(kind[start + at])] if here else None)
        made["event"].append(int(event[start + at]) if here and event is not None else None)
        mine = codes[start:stop]
        found = None if at < 0 else monitor.check(mine[mine >= 0].tolist())
        foreign = [f"'{made['kind'][-1]}' is no kind of the formula"] if wrong[case] else None
        made["violated"].append(foreign or ([] if found is None else list(found.violated)))
        made["expected"].append([] if found is None else list(found.expected))
        made["repair"].append([] if found is None else list(found.repair))
        made["edits"].append(0 if found is None else found.edits + int((mine < 0).sum()))
    columns: dict[str, Any] = {"user": user}
    if "session" in rows.columns:
        columns["session"] = rows.vocabularies["session"].decode(np.asarray(rows.columns["session"])[starts[:-1]])
    columns |= {"steps": lengths, "accepted": broken < 0, "position": pa.array(broken, mask=broken < 0), "tied": tied}
    return pa.table({**columns, **made})
