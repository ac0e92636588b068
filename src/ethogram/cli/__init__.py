"""The command `ethogram`: each command is a file of this folder, imported when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from ethogram import __version__
from ethogram.cli import launch
from ethogram.errors import EthogramError, UnknownName, unknown

COMMANDS = {
    "systems": "List the systems.",
    "show": "Show one system: paper, verbs, options.",
    "fit": "Fit a system on a log and save it.",
    "update": "Let a saved system learn from later events.",
    "score": "Score items for people, with a saved system.",
    "explain": "Name the past events that made a score, and test by deleting them.",
    "similar": "Name the items that are like an item, with a saved system.",
    "recommend": "Recommend items to people, with a saved system.",
    "forecast": "Say when people's next events come, and of which kind.",
    "evaluate": "Fit a system on one part of a log and judge it on another.",
    "off-policy": "What another policy would have earned, from a log of decisions.",
    "act": "Pursue a goal in a world of texts, and show the steps.",
    "assess": "Judge the behaviour in a log, with reasons.",
    "simulate": "Run a system's own simulated people; kept in a folder, a run can be gone on with.",
    "replay": "Show a run as one HTML page: map or feed, timeline, memories, reasons.",
    "fork": "Branch off a run at a tick, with something done there.",
    "audit": "Put an audit's cases to a model or a service, and report.",
    "anticipate": "Say what receivers will do with messages, which titles to test, and why they responded.",
    "route": "Say which model of a library a prompt should go to, with a saved router.",
    "compare": "Systems or records side by side, with paired intervals.",
    "loop": "Try recommenders on simulated households fitted on a log, and train again on what they did.",
    "tune": "Search the options of a system that do best on validation.",
    "run": "Run a record's saved configuration again, changed if you like.",
    "reproduce": "Measure the claims of systems on this machine.",
    "report": "Write records as one HTML page that opens offline.",
    "serve": "Serve models over HTTP: events in; rankings, recommendations and risks out.",
    "demo": "The main job on a year of shopping, end to end.",
    "doctor": "Show what is installed and what is missing.",
}
GROUPS = {
    "log": (
        "Import, describe, convert, append to and export behaviour logs.",
        {
            "import": "Read a file or folder of events into a log directory.",
            "describe": "Say what is in a log.",
            "convert": "Write a log as Parquet or CSV.",
            "append": "Add events to a log directory.",
            "export": "Write what a service stored as a log.",
        },
    ),
    "data": (
        "Named data sets.",
        {
            "ls": "List the data sets.",
            "get": "Load a data set into the cache, or write it as a log.",
            "describe": "Say what a data set holds, and where it comes from.",
        },
    ),
    "risk": (
        "Risks that a system found: thresholds, costs, drift, groups, clusters, reasons, case report.",
        {
            "score": "Score the cases of a log, and hold the risks against what is known of them.",
            "clusters": "Show the clusters of a system that finds some, and their rules.",
            "explain": "Tell the reasons of one case, and what its person did.",
            "report": "Write the cases as one HTML page that an analyst can act on.",
        },
    ),
    "keys": (
        "API keys of the service: make, list, rotate, revoke.",
        {
            "make": "Make a key; it is shown once.",
            "list": "List the keys, never their text.",
            "rotate": "Make a successor; the old key goes on for a while.",
            "revoke": "End a key now.",
        },
    ),
    "lm": (
        "Language models: weights, endpoints, runs and answers.",
        {
            "ls": "List weights, probed endpoints and runs.",
            "pull": "Fetch weights into the cache.",
            "serve": "Serve the embedded model on loopback.",
            "chat": "Talk to a model.",
            "probe": "Ask a model what it can really do.",
            "bench": "Measure how fast a model is here.",
            "tune": "Teach a model by examples or pairs, and write it to be served.",
            "trial": "Put prompts to several models and keep their losses, for a router to learn from.",
            "cache": "Show or drop the kept answers.",
            "log": "Show, filter and compare the calls of runs.",
        },
    ),
}
EXAMPLES = {
    "simulate": (
        "ethogram simulate friendship_paradox --until 2d --seed 7 --out run",
        "ethogram simulate generative_agents --minds 25 --until 2d --lm local --seed 7 --out town",
        "ethogram simulate town --until 3d",
    ),
    "forecast": (
        "ethogram forecast prompt_tpp.model events.csv -k 3",
        "ethogram forecast prompt_tpp events.csv --user u17 --epochs 10",
    ),
    "replay": ("ethogram replay run", "ethogram replay run --out run.html --verify"),
    "risk": (
        "ethogram risk score lbsf.model payments --approve 0.9",
        "ethogram risk explain lbsf.model payments --user u17",
        "ethogram risk report lbsf.model payments --out report.html",
    ),
    "fork": (
        'ethogram fork run --at 12h --do "set column=rate value=0.9 rows=[3,4]" --out busy',
        "ethogram compare busy run",
    ),
}
"""Command or group -> calls that its help shows."""
WITH_OPTIONS = ("fit", "evaluate", "act", "assess", "simulate", "audit", "forecast")
"""Commands that take the options of the system that they name."""
WRONG_INPUT, INTERRUPTED = 2, 130


def build(tokens: Sequence[str] = ()) -> App:
    """The application; where `tokens` call a command with a system, it has that system's options."""
    app = App(
        name="ethogram",
        help="The behaviour of people on digital platforms: learn it from logs, recommend by it, measure claims.",
        version=__version__,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    for name, told in COMMANDS.items():
        if tokens and name == tokens[0] and name in EXAMPLES:
            told = "\n\n".join((told, "For example:", *EXAMPLES[name]))
        if tokens and name == tokens[0] and name in WITH_OPTIONS:
            from ethogram.cli.options import with_options

            app.command(with_options(name, tokens[1:]), name=name, help=told)
        else:
            path = name.replace("-", "_")
            app.command(f"ethogram.cli.{path}:{path}", name=name, help=told)
    for group, (told, commands) in GROUPS.items():
        if tokens and group == tokens[0] and group in EXAMPLES:
            told = "\n\n".join((told, "For example:", *EXAMPLES[group]))
        inner = App(name=group, help=told, help_format="plaintext")
        for name, what in commands.items():
            inner.command(f"ethogram.cli.{group}:{name}_", name=name, help=what)
        app.command(inner)
    return app


def check(tokens: Sequence[str]) -> None:
    """Raise UnknownName if the tokens call a command that does not exist."""
    known: Iterable[str] = [*COMMANDS, *GROUPS]
    what = "command"
    for token in tokens[:2]:
        if token.startswith("-"):
            return
        if token not in known:
            raise UnknownName(unknown(what, token, known))
        if token not in GROUPS:
            return
        known, what = GROUPS[token][1], f"command of ethogram {token}"


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    0, or 2 where the input was wrong (one line on stderr says how; nothing is written), or 130 when interrupted.
    """
    tokens = list(sys.argv[1:] if tokens is None else tokens)
    try:
        check(tokens)
        if (number := launch.devices(tokens)) > 1:
            return launch.launch(number, tokens)
        found = build(tokens)(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        return found if isinstance(found, int) else 0
    except (EthogramError, CycloptsError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            # the reader (head, less) has what it wanted; Python must not complain when it flushes at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        line = " ".join(str(error).split())
        launch.told(line)
        print(f"ethogram: {line}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("ethogram: interrupted.", file=sys.stderr)
        return INTERRUPTED
