"""What only the embedded store has to survive: a full disk, damage, other processes, a growing map."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ethogram.errors import StoreError
from ethogram.serve.embedded import Embedded
from ethogram.serve.state import Entry


def event(n: int, user: str = "ann", size: int = 0) -> Entry:
    return Entry(f"e{n}", user, "song", "view", n, {"text": "x" * size} if size else {})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """6 MB, as a file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip(f"no small file system can be mounted here: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def filled(store: Embedded) -> list[int]:
    """Write until five calls in turn failed; what was acknowledged."""
    told, failed = [], []
    for n in range(400):
        try:
            store.append([event(n, f"u{n % 5}", 40_000)])
            told.append(n)
        except StoreError as error:
            failed.append(str(error))
        if len(failed) == 5:
            break
    assert len(failed) == 5
    assert all("cannot be written" in text for text in failed)
    return told


def test_a_full_disk_acknowledges_nothing_and_the_store_lives(small_disk: Path) -> None:
    store = Embedded(small_disk / "state", keep=8)
    told = filled(store)
    assert told
    with pytest.raises(StoreError):
        store.append([event(900, "late", 2_000_000)])
    kept = [k.entry.id for k in store.entries()]
    assert kept == [f"e{n}" for n in told]
    assert store.user("u1").ring
    store.close()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    again = Embedded(small_disk / "state", keep=8)
    assert [k.entry.id for k in again.entries()] == kept
    assert again.append([event(5_000, "new", 40_000)]).outcomes == ("accepted",)
    assert again.append([event(told[0], f"u{told[0] % 5}", 40_000)]).outcomes == ("duplicate",)
    again.close()


def test_room_made_on_a_full_disk_is_used_without_opening_anew(small_disk: Path) -> None:
    store = Embedded(small_disk / "state", keep=8)
    filled(store)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert store.append([event(5_000, size=40_000)]).outcomes == ("accepted",)
    store.check()
    store.close()


def test_readers_are_not_stopped_by_a_growing_map(tmp_path: Path) -> None:
    store = Embedded(tmp_path, size=1 << 18)
    store.append([event(-1, "bob")])
    stop, read, wrong = threading.Event(), [0], []

    def look() -> None:
        while not stop.is_set():
            try:
                assert len(store.user("bob").ring) == 1
                read[0] += 1
            except Exception as error:
                wrong.append(error)
                return

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(60):
        store.append([event(n, f"u{n}", 100_000)])
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert read[0] > 10
    assert store._ledger.size >= 60 * 200_000
    assert sum(1 for _ in store.entries()) == 61
    store.close()


def test_one_bad_call_does_not_hurt_those_that_share_its_commit(tmp_path: Path) -> None:
    store = Embedded(tmp_path)
    outcomes: list[object] = []

    def send(n: int) -> None:
        try:
            if n % 3:
                outcomes.append(store.append([event(n)]).outcomes)
            else:
                store._ledger.write(lambda t: t.put(b"x" * 600, b"", db=store._ledger.db["marks"]))  # too long a key
        except StoreError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(("accepted",)) == 20
    assert outcomes.count(StoreError) == 10
    assert store.user("ann").count == 20
    store.close()


@pytest.mark.parametrize("harm", ["absent", "garbage", "cut", "other boot", "value"])
def test_damage_to_what_is_derived_costs_only_time(tmp_path: Path, harm: str) -> None:
    store = Embedded(tmp_path)
    store.append([event(n) for n in range(3)])
    revision = store.user("ann").revision
    store.derive("v", [("ann", revision, b"table" * 10_000)])
    store.close()
    file = tmp_path / "derived" / "data.mdb"
    match harm:
        case "absent":
            file.unlink()
        case "garbage":
            file.write_bytes(os.urandom(8_192))
        case "cut":
            os.truncate(file, file.stat().st_size // 2)
        case "other boot":
            (tmp_path / "derived" / "boot").write_text("another")
        case "value":
            content = file.read_bytes()
            at = content.index(b"tabletable") + 100
            file.write_bytes(content[:at] + b"?" + content[at + 1 :])
    store = Embedded(tmp_path)
    assert store.derived("v", ["ann"]) == [None]
    assert store.derive("v", [("ann", revision, b"anew")]) == 1
    assert store.derived("v", ["ann"]) == [b"anew"]
    assert len(store.user("ann").ring) == 3
    store.close()


def test_what_is_derived_is_still_there_after_a_proper_close(tmp_path: Path) -> None:
    store = Embedded(tmp_path)
    store.append([event(1)])
    store.derive("v", [("ann", store.user("ann").revision, b"table")])
    store.close()
    store.close()
    store = Embedded(tmp_path)
    assert store.derived("v", ["ann"]) == [b"table"]
    store.close()


def test_a_damaged_ledger_is_refused_in_words(tmp_path: Path) -> None:
    Embedded(tmp_path).close()
    (tmp_path / "ledger" / "data.mdb").write_bytes(os.urandom(8_192))
    with pytest.raises(StoreError, match="cannot be opened"):
        Embedded(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        Embedded(tmp_path / "file")
    with pytest.raises(StoreError, match="keep = 0"):
        Embedded(tmp_path, keep=0)


def test_forgotten_bytes_leave_the_file(tmp_path: Path) -> None:
    store = Embedded(tmp_path)
    store.append([Entry(f"e{n}", "ann", "song", "view", n, {"secret": f"TELLTALE{n}"}) for n in range(50)])
    store.append([event(99, "bob")])
    file = tmp_path / "ledger" / "data.mdb"
    store.forget("ann")
    assert b"TELLTALE" in file.read_bytes()
    assert store.compact() == 50
    assert b"TELLTALE" not in file.read_bytes()
    assert [k.entry.user for k in store.entries()] == ["bob"]
    assert store.append([event(100, "bob")]).outcomes == ("accepted",)
    store.close()


WAITS = """
import sys
from ethogram.serve.embedded import Embedded
store = Embedded(sys.argv[1])
print(1, flush=True)
input()
"""


def test_they_leave_it_later_where_another_process_had_it_open(tmp_path: Path) -> None:
    store = Embedded(tmp_path)
    store.append([Entry(f"e{n}", "ann", "song", "view", n, {"secret": f"TELLTALE{n}"}) for n in range(50)])
    store.forget("ann")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WAITS, str(tmp_path)], text=True, stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "1\n"
        assert store.compact() == 50
        assert b"TELLTALE" in (tmp_path / "ledger" / "data.mdb").read_bytes()
        other.communicate("\n")
    assert store.compact() == 0
    assert b"TELLTALE" not in (tmp_path / "ledger" / "data.mdb").read_bytes()
    store.close()


OTHER = """
import sys
from ethogram.serve.embedded import Embedded
from ethogram.serve.state import Entry
store = Embedded(sys.argv[1], size=1 << 18)
for n in range(100):
    done = store.append([Entry(f"shared {n}", "all", "song", "view", n), Entry(f"{sys.argv[2]} {n}", "u", "s", "v", n)])
    print(*done.outcomes)
print(store.compact())
store.close()
"""


def test_processes_share_a_path(tmp_path: Path) -> None:
    store = Embedded(tmp_path, size=1 << 18)
    store.append([event(n, "gone", 3_000) for n in range(20)])
    store.forget("gone")
    others = [
        subprocess.Popen([sys.executable, "-c", OTHER, str(tmp_path), str(n)], stdout=subprocess.PIPE, text=True)
        for n in range(2)
    ]
    while any(o.poll() is None for o in others):
        store.append([event(1_000 + len(list(store.entries())), "here")])
    told = [line.split() for o in others for line in o.communicate()[0].splitlines()]
    assert all(o.returncode == 0 for o in others)
    assert sorted(t[0] for t in told if len(t) == 2) == ["accepted"] * 100 + ["duplicate"] * 100
    assert all(t[1] == "accepted" for t in told if len(t) == 2)
    seqs = [k.seq for k in store.entries()]
    assert seqs == list(range(20, store.watermark() + 1))
    assert store.user("all").count == 100
    assert store.user("u").count == 200
    store.close()
