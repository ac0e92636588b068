"""A run that is killed has every answer that its callers saw, and goes on where it was."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from ethogram.lm import Broker, ScriptedLM
from ethogram.lm.transcript import Recording, place

KILLED = Path(__file__).with_name("killed.py")


def test_no_answer_that_was_seen_is_lost(own_folder: Path):
    for turn, lines in enumerate((1, 37, 400)):  # at its beginning, and in the midst of batches
        run = f"night-{turn}"
        child = subprocess.Popen(
            [sys.executable, str(KILLED), run], stdout=subprocess.PIPE, text=True, env={**os.environ}
        )
        assert child.stdout is not None
        seen = [child.stdout.readline().strip() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        seen += [line.strip() for line in child.stdout if line.endswith("\n")]
        assert child.wait() == -signal.SIGKILL
        again = ScriptedLM("not asked", name="killed", broker=Broker(run=run, mode="replay-strict"))
        kept = {}
        for call in Recording(place(run), must=True).calls():
            kept[call["request"]["messages"][0]["content"]] = call["reply"]["choices"][0]["message"]["content"]
        assert {q: kept.get(q) for q in seen} == {q: f"answer to {q}" for q in seen}
        assert [again.sync.chat(q).text for q in seen[-3:]] == [kept[q] for q in seen[-3:]]
        again.sync.close()
        onward = ScriptedLM("now", name="killed", broker=Broker(run=run, mode="replay-lenient", cache=False))
        assert [onward.sync.chat(q).source for q in (seen[0], "9-9")] == ["recording", "live"]
        onward.sync.close()
