"""Which ways of control the package has: every command with a scenario that shows it works, as JSON and as a page.

A place of the taxonomy counts as covered where a command that stands there passes its scenario, here and now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ethogram.errors import EthogramError
from ethogram.simulate.human_control.registry import HOW, QUESTIONS, REGISTRY, WHAT, WHEN, WHO, WHY
from ethogram.simulate.human_control.scenario import Scenario
from ethogram.simulate.human_control.session import Session

Shown = Callable[[], None]
SCENARIOS: dict[str, Shown] = {}
TEXT = "300 people adopt cycling over 40 days, with a campaign on day 5 and imitation strong."
PAIRS = tuple((when, what) for when in WHEN for what in WHAT)


def shows(function: Shown) -> Shown:
    """Register a scenario under the name of the command that it shows."""
    SCENARIOS[function.__name__] = function
    return function


def _begun(minds: int = 0, ticks: int = 0, people: int = 60) -> Session:
    made = Session(Scenario(habit="cycling", people=people, until=20), seed=3, minds=minds)
    made.do("begin")
    if ticks:
        made.do("step", ticks=ticks)
    return made


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


@shows
def compile() -> None:
    session = Session()
    told = session.do("compile", text=TEXT)
    _check(told["entities"]["people"] == 300 and told["input"]["campaigns"][0]["at"] == 5, "not what was said")


@shows
def populate() -> None:
    session = Session(Scenario(habit="cycling", people=10, until=5))
    told = session.do("populate", people=200, marginals={"age": {"young": 0.25, "old": 0.75}})
    _check(told == {"age": {"young": 0.25, "old": 0.75}}, "other shares")


@shows
def begin() -> None:
    _check(_begun().running.people == 60, "other people")


def _differs(name: str, **arguments: Any) -> None:
    """A command at tick 6 leaves the ticks before as they are, and changes what comes."""
    plain, steered = _begun(1, 12), _begun(1, 5)
    steered.do(name, at=6, **arguments)
    steered.do("step", ticks=7)
    told = [{e.tick: e.chain for e in s.running.live.tape.entries} for s in (plain, steered)]
    first = min((t for t in told[0].keys() | told[1].keys() if told[0].get(t) != told[1].get(t)), default=-1)
    _check(first == 6, f"the runs differ from tick {first} on, not from 6")
    _check(steered.again().running.fingerprint == steered.running.fingerprint, "it is not repeated")


@shows
def inject() -> None:
    _differs("inject", strength=0.5)


@shows
def edit_norm() -> None:
    _differs("edit_norm", quota=0)


@shows
def edit_memory() -> None:
    _differs("edit_memory", uid=0, text="Cycling is harmful.")
    session = _begun(1, 3)
    session.do("edit_memory", uid=0, text="Cycling is harmful.")
    _check("harmful" in session.running.context(0), "it is not remembered")
    session.do("step", ticks=3)
    _check("harmful" in session.running.context(0), "it was forgotten")


@shows
def edit_rule() -> None:
    _differs("edit_rule", parameter="abandonment", value=0.9)


@shows
def step() -> None:
    _check(_begun(ticks=4).running.tick == 4, "time went elsewhere")


@shows
def pause() -> None:
    session = _begun()
    session.do("pause", at=3)
    _check(session.do("step", ticks=9) == 3 and session.do("step", ticks=9) == 12, "it did not stand still")


@shows
def rewind() -> None:
    session = _begun(ticks=6)
    before = session.running.fingerprint
    session.do("rewind", to=2)
    session.do("step", ticks=4)
    _check(session.running.fingerprint == before, "the same past led elsewhere")


@shows
def fork() -> None:
    session = _begun(ticks=6)
    before = session.running.fingerprint
    branch = session.do("fork", at=3, parameter="imitation", value=1.0)
    branch.do("step", ticks=3)
    _check(branch.running.fingerprint != before and session.running.fingerprint == before, "no other course")


@shows
def join() -> None:
    session = _begun(ticks=2)
    _check("friends do it" in session.do("join", uid=4), "the actor sees nothing")
    session.do("step", ticks=2)
    _check(session.running.shares().get("fallback", 0) > 0, "the autopilot did not take over")


@shows
def act() -> None:
    session = _begun(ticks=1)
    session.do("join", uid=4)
    had = bool(session.running.state["has"][4])
    session.do("act", uid=4, verb="give_up" if had else "take_up")
    session.do("step", ticks=1)
    _check(bool(session.running.state["has"][4]) != had, "the act did nothing")


@shows
def leave() -> None:
    session = _begun(ticks=1)
    session.do("join", uid=4)
    session.do("leave", uid=4)
    session.do("step", ticks=2)
    _check("fallback" not in session.running.shares(), "the actor is still there")


@shows
def look() -> None:
    session = _begun(ticks=8)
    before = session.running.fingerprint
    _check(session.do("look", uid=1).startswith("Tick 8. The habit is cycling."), "nothing is seen")
    _check(session.do("look", uid=1, at=3).startswith("Tick 3."), "not that tick")
    _check(session.running.fingerprint == before, "looking changed it")


@shows
def prototype() -> None:
    import pyarrow as pa

    from ethogram.log import Log

    rows = [("a", i, "tea" if i % 3 else "cake") for i in range(60)] + [("b", i, f"thing {i % 7}") for i in range(90)]
    user, time, item = (list(c) for c in zip(*rows, strict=True))
    log = Log.open(pa.table({"user": user, "item": item, "time": time}), user="user", item="item", time="time")
    found = Session().do("prototype", log=log, user="a")
    _check(found.gain > 0 and "tea" in found.persona.interests, "the person was not found")


@shows
def question() -> None:
    session = _begun(ticks=10)
    asked = "select kind, count(*) as n, list(event) as events from events where kind = 'take_up' group by kind"
    found = session.do("question", asked=asked)
    _check(found.rows[0]["n"] == len(found.events) > 0, "it cites something else")


@shows
def interview() -> None:
    session = _begun(1, 3)
    before = session.running.context(0), session.running.fingerprint
    _check(len(session.do("interview", uid=0, asked="What do you think of cycling?")) > 0, "no answer")
    _check((session.running.context(0), session.running.fingerprint) == before, "the interview was remembered")


@shows
def evaluate() -> None:
    session = _begun(ticks=16)
    share = session.do("evaluate", reference={"share at the end": 0.0})["share at the end"]
    _check(share == float(session.running.state["has"].mean()), "another share")


@shows
def calibrate() -> None:
    from ethogram.simulate.human_control.calibrating import NAMES, simulated

    scenario = Scenario(habit="cycling", people=300, until=20)
    target = simulated(scenario, {"innovation": 0.01, "imitation": 0.3, "abandonment": 0.03}, 99)
    session = Session(scenario)
    found = session.do("calibrate", targets=dict(zip(NAMES, target.tolist(), strict=True)), runs=40)
    _check(session.scenario is not None and session.scenario.imitation == found["imitation"], "not taken over")
    _check(0.15 < found["imitation"] < 0.6, "far from what was planted")


def coverage(run: bool = True) -> dict[str, Any]:
    """Every command with its place and whether its scenario passes, and what of the taxonomy is covered.

    Keys: `commands` (a row each, with `passes` and `error`), one per question (value -> names of passing commands),
    `pairs` ("when x what" -> names), `missing` (declared places, Why and Who that no passing scenario shows).

    Parameters
    ----------
    run : whether to run the scenarios; else a command that has one counts as passing.
    """
    rows = []
    for name, one in REGISTRY.items():
        error = "" if name in SCENARIOS else "it has no scenario"
        if run and not error:
            try:
                SCENARIOS[name]()
            except (AssertionError, EthogramError) as raised:
                error = f"{type(raised).__name__}: {raised}"
        places = {q: list(getattr(one, q)) for q in QUESTIONS}
        rows.append({"command": name, "about": one.about, **places, "changes": one.changes, "passes": not error,
                     "error": error})  # fmt: skip
    told: dict[str, Any] = {"commands": rows}
    for question_, values in QUESTIONS.items():
        told[question_] = {v: [r["command"] for r in rows if r["passes"] and v in r[question_]] for v in values}
    told["pairs"] = {
        f"{when} x {what}": [r["command"] for r in rows if r["passes"] and when in r["when"] and what in r["what"]]
        for when, what in PAIRS
    }
    declared = {f"{when} x {what}" for r in rows for when in r["when"] for what in r["what"]}
    told["missing"] = [
        *(f"why: {v}" for v in WHY if not told["why"][v]), *(f"who: {v}" for v in WHO if not told["who"][v]),
        *(f"{pair}" for pair in sorted(declared) if not told["pairs"][pair]),
    ]  # fmt: skip
    told["unsupported"] = [pair for pair in told["pairs"] if pair not in declared]
    return told


def as_page(told: dict[str, Any]) -> str:
    """The matrix as one HTML page that opens offline."""
    from ethogram.evaluate.report.html import prose, table, tag
    from ethogram.evaluate.report.page import Page

    made = Page("Who controls a simulation, when, and how", f"{len(told['commands'])} commands", charts=False)
    made.lead(
        "Covered: a command that stands there passes its scenario.",
        f"Not covered: {', '.join(told['missing']) or 'nothing that is declared'}.",
    )
    cells = [[when, *(", ".join(told["pairs"][f"{when} x {what}"]) or "–" for what in WHAT)] for when in WHEN]
    made.section("pairs", "When and what", table(["", *WHAT], cells, wide=True))
    for name, values in (("why", WHY), ("who", WHO), ("how", HOW)):
        made.section(
            name, name.capitalize(), table(["", "commands"], [[v, ", ".join(told[name][v]) or "–"] for v in values])
        )
    rows = [
        [r["command"], r["about"], ", ".join(r["who"]), ", ".join(r["how"]), "passes" if r["passes"] else r["error"]]
        for r in told["commands"]
    ]  # fmt: skip
    made.section("commands", "Commands", table(["command", "what it does", "who", "how", "scenario"], rows, wide=True))
    made.section(
        "read",
        "How to read it",
        tag("p", prose("Taken from the taxonomy of the survey; see `ethogram show human_control`.")),
    )
    return made.html()
