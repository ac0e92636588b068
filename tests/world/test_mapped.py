"""Large columns of checkpoints: mapped, shared between checkpoints and branches, never written where they lie."""

import hashlib
import json
import mmap
import os
import random
import shutil
import signal
import traceback

import numpy as np
import pytest
from tests.world.market import market

from ethogram.errors import StateError, WorldError
from ethogram.lm import blocking
from ethogram.world import Action, Acts, Command, World, mapped


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Columns of sixty people are large."""
    monkeypatch.setattr(mapped, "LARGE", 200)


@pytest.fixture(scope="module")
def plain():
    return market(minds=2).run(30)


@pytest.fixture
def kept(tmp_path):
    """A run of 20 ticks with checkpoints at 12 and 18, left."""
    market(minds=2, folder=tmp_path / "a", every=6).run(20).close()
    return tmp_path / "a"


def again(root):
    return market(minds=2, folder=root, resume=True, every=6)


def file(root, tick, name):
    return root / "checkpoints" / f"{tick:09d}" / f"{name}.npy"


def contents(root):
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((root / "checkpoints").rglob("*.npy"))}


def mapping(array):
    """Whether an array is a mapped file, and nobody may write it."""
    writable = array.flags.writeable
    while isinstance(array.base, np.ndarray):
        array = array.base
    return isinstance(getattr(array.base, "obj", array.base), mmap.mmap) and not writable


def test_a_resumed_run_maps_its_columns_and_never_writes_them_there(plain, kept):
    before = contents(kept)
    assert {p.stem for p in before} == {"uid", "wake", "taste", "last", "money", "event", "stall.vector"}
    world = again(kept)
    assert world.fingerprint == plain.at(20).fingerprint
    assert mapping(world.live.arrays["taste"])
    assert not mapping(world.live.arrays["money"])  # the ticks behind the checkpoint wrote it
    assert world.kept[0].arrays["taste"] is world.live.arrays["taste"]  # the beginning holds it not as well
    world.every = 10**6
    world.intervene("set", column="taste", value=0.5, rows=[3])
    world.run(26)
    assert not mapping(world.live.arrays["taste"])
    assert world.at(0).state["taste"][3, 0] != 0.5
    assert contents(kept) == before
    assert np.load(file(kept, 18, "money")).tobytes() == plain.at(18).state["money"].tobytes()


def test_a_column_that_did_not_change_is_written_once(kept, plain):
    inodes = {n: [file(kept, t, n).stat().st_ino for t in (12, 18)] for n in ("taste", "uid", "money", "last")}
    assert {n: len(set(i)) for n, i in inodes.items()} == {"taste": 1, "uid": 1, "money": 2, "last": 2}
    world = again(kept)
    world.run(25)
    assert file(kept, 24, "taste").stat().st_ino == inodes["taste"][0]  # also from one process to the next
    world.intervene("set", column="taste", value=0.5, rows=[3])
    world.run(31)
    assert file(kept, 30, "taste").stat().st_ino != inodes["taste"][0]
    assert np.load(file(kept, 30, "taste"))[3, 0] == 0.5


def test_a_branch_shares_the_files_of_the_run_and_outlives_it(plain, kept, tmp_path):
    change = Command("set", {"column": "money", "value": 1.0, "rows": [0]})
    expected = plain.fork(18, change).run(30)
    world = again(kept)
    before = contents(kept)
    branch = world.fork(18, change, folder=tmp_path / "f")
    shared = {n for n in ("taste", "uid", "wake", "last", "money", "event") if
              file(kept, 18, n).stat().st_ino == file(tmp_path / "f", 18, n).stat().st_ino}  # fmt: skip
    assert shared == {"taste", "uid", "wake", "last", "money", "event"}
    assert contents(kept) == before
    # the run goes on and drops the checkpoint that the branch looks at
    assert world.run(40).fingerprint == plain.fork(30).run(40).fingerprint
    assert not file(kept, 18, "taste").exists()
    world.close()
    shutil.rmtree(kept)
    assert branch.run(24).fingerprint == expected.at(24).fingerprint
    assert branch.log().table().num_rows == expected.at(24).log().table().num_rows
    branch.close()
    found = again(tmp_path / "f")
    assert found.run(30).fingerprint == expected.fingerprint
    assert found.state["money"].tobytes() == expected.state["money"].tobytes()


def test_a_file_is_mapped_and_checked_once_for_all_who_look_at_it(kept, monkeypatch):
    world = again(kept)
    hashed = []
    monkeypatch.setattr(mapped, "_digest", lambda pieces: hashed.append(1))
    branches = [world.at(18), world.at(19), world.fork(20)]
    assert len({id(b.live.arrays["taste"]) for b in (*branches, world)}) == 1
    assert not hashed


def test_branches_in_memory_stay_whole_while_the_run_drops_what_they_map(plain, kept):
    world = again(kept)
    branch, other = world.fork(18), world.fork(18)
    world.run(40)
    assert not file(kept, 18, "money").exists()
    other.intervene("set", column="money", value=0.0)
    assert branch.run(30).fingerprint == plain.fingerprint
    assert branch.state["money"].tobytes() == plain.state["money"].tobytes()
    assert other.state["money"].max() == 0


def test_a_branch_in_memory_shares_every_column_until_it_is_written(plain):
    world = market(minds=2).run(9)
    branch = world.fork()
    assert all(branch.live.arrays[n] is world.live.arrays[n] for n in world.live.arrays)
    kept = {n: a.copy() for n, a in world.live.arrays.items()}
    branch.run(12)
    assert all((world.live.arrays[n] == a).all() for n, a in kept.items())
    assert branch.live.arrays["wake"] is not world.live.arrays["wake"]
    assert branch.live.arrays["taste"] is world.live.arrays["taste"]
    assert world.run(30).fingerprint == branch.run(30).fingerprint == plain.fingerprint


def test_without_links_files_are_copied(plain, kept, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    world = again(kept)
    branch = world.fork(18, folder=tmp_path / "f")
    one, two = (file(root, 18, "taste") for root in (kept, tmp_path / "f"))
    assert one.stat().st_ino != two.stat().st_ino
    assert one.read_bytes() == two.read_bytes()
    assert branch.run(30).fingerprint == plain.fingerprint
    branch.close()
    assert again(tmp_path / "f").fingerprint == plain.fingerprint


def altered(path, how):
    """Another content in place, as a disk or a hand may leave it."""
    data = bytearray(path.read_bytes())
    if how == "cut":
        data = data[: len(data) // 2]
    elif how == "emptied":
        data = bytearray()
    elif how == "flipped":
        data[-5] ^= 1
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data)


@pytest.mark.parametrize("how", ["cut", "emptied", "flipped", "gone"])
def test_a_damaged_column_is_told_and_the_checkpoint_before_taken(plain, kept, how):
    altered(file(kept, 18, "money"), how)
    with pytest.warns(UserWarning, match="000000018 is damaged"):
        found = again(kept)
    assert found.run(30).fingerprint == plain.fingerprint
    found.close()


@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_damaged_column_that_both_checkpoints_share_is_told(kept, how):
    altered(file(kept, 18, "taste"), how)
    with pytest.raises(StateError, match=r"000000018 is damaged .*taste.*000000012 is damaged"):
        again(kept)


def test_a_file_that_is_changed_under_a_run_is_not_handed_on(kept):
    world = again(kept)
    altered(file(kept, 18, "taste"), "flipped")  # behind the back of the run that has checked it
    with pytest.raises(StateError, match=r"taste.npy was changed while a run looked at it"):
        world.checkpoint()
    world.close()
    assert sorted(p.name for p in (kept / "checkpoints").iterdir() if p.name[0] != ".") == ["000000012", "000000018"]


def test_a_checkpoint_that_is_saved_anew_is_not_taken_for_the_old_one(plain, kept, tmp_path):
    """Another file comes to lie where a branch knows its column: it is told apart, and the branch keeps its own."""
    world = again(kept)
    branch = world.fork(18, folder=tmp_path / "f")
    at = branch.checkpoint()
    other = at.with_name("other")
    at.rename(other)
    shutil.copytree(other, at)
    file(tmp_path / "f", 18, "taste").write_bytes(file(tmp_path / "f", 18, "taste").read_bytes()[::-1])
    assert branch.run(24).fingerprint == plain.at(24).fingerprint
    branch.checkpoint()
    branch.close()
    shutil.rmtree(at)
    shutil.rmtree(other)
    assert again(tmp_path / "f").run(30).fingerprint == plain.fingerprint


def test_checkpoints_of_the_first_format_are_read(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "LARGE", 10**9)
    root = tmp_path / "a"
    market(minds=2, folder=root, every=6).run(20).close()
    for place in (root / "checkpoints").iterdir():
        assert sorted(p.name for p in place.iterdir()) == ["columns.safetensors", "state.json"]
        written = json.loads((place / "state.json").read_text())
        written["state"]["format"] = 1
        assert not written["state"].pop("large")
        text = json.dumps(written["state"], sort_keys=True).encode()
        written["checksum"] = hashlib.blake2b(text, digest_size=16).hexdigest()
        (place / "state.json").write_text(json.dumps(written))
    monkeypatch.setattr(mapped, "LARGE", 200)
    assert again(root).run(30).fingerprint == plain.fingerprint
    assert file(root, 30, "taste").exists() or file(root, 24, "taste").exists()


def test_a_command_that_fails_halfway_leaves_the_mapped_columns_and_the_sleep_as_they_were(tmp_path):
    def alarm(state, fail):
        state["x"] = 7.0
        state.wake([0, 1], 5)
        if fail:
            raise ValueError("no bell")

    def made(**how):
        return World(
            100, columns={"x": 0.0}, actions=[Action("go")], commands={"alarm": alarm},
            policies={"p": lambda rows, *_: Acts("go", rows)}, **how,
        )  # fmt: skip

    made(folder=tmp_path / "a", every=2).run(5).close()
    world, plain = made(folder=tmp_path / "a", every=2, resume=True), made().run(5)
    for one in (world, plain):
        with pytest.raises(ValueError, match="no bell"):
            one.intervene("alarm", fail=True)
        assert one.state["x"].max() == 0
        assert (one.state["wake"] == 5).all()
        one.run(6)
        one.intervene("alarm", fail=False)
    assert world.run(15).fingerprint == plain.run(15).fingerprint
    assert world.state["wake"].tolist() == plain.state["wake"].tolist()


def dies(root, steps, until):
    """A process that runs the market and is killed by the kernel at one of its steps to the disk; its wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        blocking._loop = None  # its thread stayed with the parent
        left = [steps]

        def fatal(call):
            def counted(*given, **options):
                left[0] -= 1
                if left[0] == 0 and steps % 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                told = call(*given, **options)
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return told

            return counted

        for name in ("fsync", "link", "rename", "rmdir"):
            setattr(os, name, fatal(getattr(os, name)))
        market(minds=2, folder=root, every=3, resume=True).run(until)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(3)


def test_twenty_processes_that_are_killed_while_they_save_leave_the_run(plain, tmp_path):
    luck, killed = random.Random(2), 0
    market(minds=2, folder=tmp_path / "a").close()
    while killed < 20:
        status = dies(tmp_path / "a", luck.randrange(1, 40), 30)
        if not status:  # it came to its end first
            shutil.rmtree(tmp_path / "a")
            market(minds=2, folder=tmp_path / "a").close()
            continue
        assert os.WTERMSIG(status) == signal.SIGKILL
        killed += 1
    world = market(minds=2, folder=tmp_path / "a", every=3, resume=True).run(30)
    world.checkpoint()
    assert sorted(p.name for p in (tmp_path / "a" / "checkpoints").iterdir()) == ["000000027", "000000030"]
    assert world.fingerprint == plain.fingerprint
    assert world.state["money"].tobytes() == plain.state["money"].tobytes()


def test_what_a_killed_process_was_writing_goes_with_the_next_checkpoint(kept):
    left = kept / "checkpoints" / ".000000019.writing"
    left.mkdir()
    os.link(file(kept, 18, "taste"), left / "taste.npy")
    world = again(kept)
    world.checkpoint()
    assert not left.exists()
    assert file(kept, 20, "taste").stat().st_nlink == 2  # of 18 and 20
    world.close()


def test_a_run_whose_folder_is_open_is_not_resumed_twice(kept):
    world = again(kept)
    with pytest.raises(WorldError, match="open elsewhere"):
        again(kept)
    world.close()
