"""Runs of worlds in folders: begun, continued, forked, shown, compared.

    run = begin("runs/a", "friendship_paradox", minds=3, lm="local", seed=7).until("2d")    # continued, if it is there
    branch = fork("runs/a", "runs/b", at=10, do=["set column=rain value=1"]).until(run.world.tick)
    Path("a.html").write_text(page(gathered(run)))                # one file: map or feed, timeline, people, reasons
    compared([run], [branch]).rows                                # paired differences per person

A run's folder:

    run.json          what it is: system, options, seed, minds, model, until, branches (`manifest`)
    events.bin, commands.jsonl, checkpoints/    the engine's (`ethogram.world.checkpoint`)
    calls.lmrun       every call to the language model with its answer (`ethogram.lm`); run.json names it

What a system must bring is the verb `simulate` (`ethogram.verbs.Simulates`): `world(seed=, minds=, lm=)`, and
`plan(world)`, the map that people live on, or None.
"""

from ethogram.replay.building import Spending
from ethogram.replay.comparing import compared, first_difference
from ethogram.replay.gathering import gathered
from ethogram.replay.manifest import Manifest
from ethogram.replay.page import page
from ethogram.replay.running import Run, begin, fork, opened

__all__ = ["Manifest", "Run", "Spending", "begin", "compared", "first_difference", "fork", "gathered", "opened", "page"]
