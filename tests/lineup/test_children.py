"""Jobs in processes of their own: what they return, how they fail, how they are stopped."""

import os
import signal
import time

import pytest

from ethogram.errors import RolesError
from ethogram.lineup import children
from ethogram.lineup.children import child, limit


def counts(tell):
    tell({"epoch": 1})
    return os.getpid()


def refuses(tell):
    raise RolesError("no role 'item'; name its column.")


def breaks(tell):
    return {}["nothing"]


def crashes(tell):
    os.kill(os.getpid(), signal.SIGABRT)


def lasts(tell):
    limit(0.1)
    while True:
        pass


def waits(tell):
    time.sleep(60)


def test_a_job_tells_and_returns_from_its_own_process():
    told = []
    ended = child(counts, seconds=30, watch=told.append)
    assert ended.how == "done"
    assert ended.value != os.getpid()
    assert told == [{"epoch": 1}]


@pytest.mark.parametrize(
    ("job", "how", "why"),
    [
        (refuses, "left out", "RolesError: no role 'item'; name its column."),
        (breaks, "failed", "KeyError at test_children.py:24: 'nothing'"),
        (crashes, "failed", "its process ended by SIGABRT"),
    ],
)
def test_its_end_is_told_and_ends_nothing_else(job, how, why):
    ended = child(job, seconds=30)
    assert (ended.how, ended.why) == (how, why)


def test_who_waits_for_ever_is_ended_by_the_clock(monkeypatch):
    monkeypatch.setattr(children, "GRACE", 0.5)
    ended = child(waits, seconds=0.01)
    assert (ended.how, ended.why) == ("timed out", "it had not ended 1 s after its start")


def test_cpu_time_is_bounded():
    ended = child(lasts, seconds=0.1)
    assert (ended.how, ended.why) == ("stopped", "it had not ended after 0.1 CPU s")
