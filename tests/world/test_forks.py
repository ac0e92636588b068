"""Other courses of a run, and runs on disk: forked, resumed, damaged."""

import hashlib
import json
import shutil

import pytest
from tests.world.market import market

from ethogram.errors import StateError, WorldError
from ethogram.world import Action, Acts, Command, World


@pytest.fixture(scope="module")
def plain():
    return market(minds=2, snapshots=7).run(20)


def events(world, first=0, last=None):
    """Event id -> what it says, of some ticks."""
    table = world.log(refused=True, own=True).table().drop_columns(["source", "user_code"])
    rows = {
        r.pop("event"): {k: v for k, v in r.items() if k != "item_code" and v is not None} for r in table.to_pylist()
    }
    return {e: r for e, r in rows.items() if first <= e >> 40 < (last or 10**9)}


@pytest.mark.parametrize("at", [0, 3, 7, 13, 20])
def test_a_fork_without_a_change_is_the_run(plain, at):
    branch = plain.fork(at)
    assert branch.tick == at
    assert events(branch) == events(plain, 0, at) if at else not branch.events
    assert branch.run(20).fingerprint == plain.fingerprint
    assert branch.state["money"].tobytes() == plain.state["money"].tobytes()


def test_a_fork_has_the_same_past_and_differs_by_what_is_declared(plain):
    before = plain.fingerprint
    branch = plain.fork(11, do=Command("set", {"column": "stall.stock", "value": 40, "rows": [2]})).run(20)
    assert events(branch, 0, 11) == events(plain, 0, 11)
    mine, theirs = events(branch, 11, 12), events(plain, 11, 12)
    new = [r for e, r in mine.items() if e not in theirs]
    assert [json.loads(r["payload"])["name"] for r in new] == ["set"]
    # of what people did at that tick only claims at stall 2 come out otherwise
    differing = [(r, theirs[e]) for e, r in mine.items() if e in theirs and r != theirs[e]]
    assert differing
    assert {(r["item"], t["item"], t["kind"]) for r, t in differing} == {(2, 2, "buy (refused)")}
    assert branch.fingerprint != before == plain.fingerprint


def test_a_fork_with_luck_of_its_own_has_only_its_past_in_common(plain):
    one, other, same = (plain.fork(11, seed=s).run(20) for s in (1, 2, 1))
    assert events(one, 0, 11) == events(plain, 0, 11) == events(other, 0, 11)
    assert len({one.fingerprint, other.fingerprint, plain.fingerprint}) == 3
    assert one.fingerprint == same.fingerprint
    assert one.fork(15).run(20).fingerprint == one.fingerprint
    assert one.fork(5).run(11).fingerprint == plain.at(11).fingerprint


def test_branches_do_not_write_into_each_other(plain):
    before = {n: plain.state[n].copy() for n in plain.state}
    branch = plain.fork(do=Command("set", {"column": "money", "value": 0.0}))
    twin = branch.fork(commands=False)
    assert branch.state["money"].max() == 0  # a command without a time is done at once
    branch.run(24)
    assert all((plain.state[n] == v).all() for n, v in before.items())
    assert (twin.state["money"] == before["money"]).all()
    # what nobody wrote is not copied
    assert branch.live.arrays["taste"] is plain.live.arrays["taste"]


def test_a_fork_is_given_the_commands_of_the_run_or_is_left_alone():
    world = market(people=10).run(3)
    world.intervene("set", column="rain", value=1.0)
    world.run(6)
    world.intervene("set", at=9, column="rain", value=3.0)
    world.run(12)
    assert world.fork(2).run(12).fingerprint == world.fingerprint
    alone = world.fork(2, commands=False).run(12)
    assert alone.state["rain"] == 0
    assert events(alone, 0, 2) == events(world, 0, 2)
    assert world.fork(4, commands=False).run(12).state["rain"] == 1


@pytest.mark.parametrize("at", [-1, 21, 1_000])
def test_a_tick_that_never_happened_cannot_be_forked(plain, at):
    with pytest.raises(WorldError, match=f"tick {at} has not happened: the run is at tick 20"):
        plain.fork(at)
    with pytest.raises(WorldError, match="at tick 20; to go back, fork it"):
        plain.run(19)


def test_states_that_were_kept_behind_commands_of_their_tick(tmp_path):
    """Snapshots and checkpoints that fall between a command and its tick: it is done once, whoever repeats it."""
    for more in ({"snapshots": 2}, {"folder": tmp_path / "a", "every": 2}):
        world = market(people=6, wake=3, **more)
        world.intervene("set", column="rain", value=1.0)
        world.run(2)
        world.intervene("deliver", amount=1)
        world.run(9)
        for at in range(9):
            assert world.fork(at).run(9).fingerprint == world.fingerprint, at
        assert world.fork(2, commands=False).run(9).fingerprint != world.fingerprint
        if world.folder:
            world.checkpoint()
            world.intervene("set", column="rain", value=2.0)
            world.checkpoint()
            world.close()
            again = market(people=6, wake=3, resume=True, **more)
            assert again.run(12).fingerprint == world.fork().run(12).fingerprint
            assert again.state["rain"] == 2


def test_a_fork_can_be_kept_and_resumed(plain, tmp_path):
    made = plain.fork(9, do=Command("deliver", {"amount": 9}), folder=tmp_path / "f").run(12)
    fingerprint = plain.fork(9, do=Command("deliver", {"amount": 9})).run(20).fingerprint
    made.close()
    again = market(minds=2, folder=tmp_path / "f", resume=True)
    assert again.tick == 12
    assert again.run(20).fingerprint == fingerprint
    with pytest.raises(WorldError, match="holds a run already"):
        plain.fork(9, folder=tmp_path / "f")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run of 20 ticks on disk, with checkpoints at 12 and 18."""
    root = tmp_path_factory.mktemp("run") / "a"
    world = market(minds=2, folder=root, every=6).run(20)
    world.close()
    return root


def again(root, **options):
    return market(minds=2, folder=root, resume=True, every=6, **options)


def test_a_run_on_disk_is_the_run(plain, kept, tmp_path):
    shutil.copytree(kept, tmp_path / "a")
    found = again(tmp_path / "a")
    assert sorted(p.name for p in (kept / "checkpoints").iterdir()) == ["000000012", "000000018"]
    assert (found.tick, found.fingerprint) == (20, plain.fingerprint)
    assert found.at(14).fingerprint == plain.at(14).fingerprint
    assert [len(h.mind.memory) for h in found.live.overlay.held.values()] == [
        len(h.mind.memory) for h in plain.live.overlay.held.values()
    ]
    with pytest.raises(WorldError, match="resume=True"):
        market(folder=tmp_path / "a")


def cut(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize("member", ["columns.safetensors", "state.json"])
def test_a_checkpoint_cut_in_half_is_told_and_the_one_before_it_taken(plain, kept, tmp_path, member):
    root = tmp_path / "a"
    shutil.copytree(kept, root)
    cut(root / "checkpoints" / "000000018" / member)
    with pytest.warns(UserWarning, match="000000018 is damaged"):
        found = again(root)
    assert found.fingerprint == plain.fingerprint
    found.close()
    cut(root / "checkpoints" / "000000012" / member)
    with pytest.raises(StateError, match="000000012 is damaged"):
        again(root)


def test_a_run_without_checkpoints_is_repeated_from_its_beginning(plain, kept, tmp_path):
    root = tmp_path / "a"
    shutil.copytree(kept, root)
    shutil.rmtree(root / "checkpoints")
    found = again(root)
    assert found.fingerprint == plain.fingerprint
    assert not found.declared.lm.asked  # minds decide what the tape says


def test_damage_and_other_worlds_are_told(kept, tmp_path):
    def copied(name):
        shutil.copytree(kept, tmp_path / name)
        return tmp_path / name

    root = copied("altered")
    data = bytearray((root / "events.bin").read_bytes())
    data[len(data) // 3] ^= 1
    (root / "events.bin").write_bytes(data)
    with pytest.raises(StateError, match=r"not what was written|damaged"):
        again(root)
    root = copied("none")
    (root / "events.bin").write_bytes(b"something else altogether")
    with pytest.raises(StateError, match="not a tape"):
        again(root)
    root = copied("commands")
    text = (root / "commands.jsonl").read_text()
    (root / "commands.jsonl").write_text("{\n" + text)
    with pytest.raises(StateError, match="line 1"):
        again(root)
    root = copied("people")
    with pytest.raises(StateError, match="'uid' is not as declared"):
        again(root, people=61)
    root = copied("verbs")
    with pytest.raises(StateError, match="its verbs are"):
        World(60, folder=root, resume=True, actions=[Action("go")])
    root = copied("newer")
    for place in (root / "checkpoints").iterdir():
        written = json.loads((place / "state.json").read_text())
        written["state"]["format"] = 3
        text = json.dumps(written["state"], sort_keys=True).encode()
        written["checksum"] = hashlib.blake2b(text, digest_size=16).hexdigest()
        (place / "state.json").write_text(json.dumps(written))
    with pytest.raises(StateError, match="newer version"):
        again(root)
    root = copied("seed")
    shutil.rmtree(root / "checkpoints")
    with pytest.raises(StateError, match="declared otherwise"):
        again(root, seed=9)


@pytest.mark.parametrize("size", [0, 7])
def test_a_process_that_was_killed_before_its_tape_began_can_be_continued(tmp_path, size):
    root = tmp_path / "a"
    market(folder=root).close()
    file = root / "events.bin"
    file.write_bytes(file.read_bytes()[:size])
    assert market(folder=root, resume=True).run(8).fingerprint == market().run(8).fingerprint


def test_a_command_from_outside_survives_a_kill(tmp_path):
    world = market(people=10, folder=tmp_path / "a", every=5).run(7)
    world.intervene("set", at=9, column="rain", value=4.0)
    world.close()
    with (tmp_path / "a" / "commands.jsonl").open("a") as file:
        file.write('{"at": 8, "pri')  # killed while another was given
    found = market(people=10, folder=tmp_path / "a", every=5, resume=True)
    assert found.run(10).state["rain"] == 4
    assert found.checkpoint().name == "000000010"
    with pytest.raises(WorldError, match="open elsewhere"):
        market(people=10, folder=tmp_path / "a", resume=True)
    with pytest.raises(WorldError, match="no folder"):
        market(people=3).checkpoint()


def test_snapshots_keep_to_their_bounds_and_every_tick_can_be_returned_to():
    from ethogram.world.forking import size

    def made(**how):
        def grown(state, done):
            state["x"][done.rows] += 1

        return World(
            1_000, columns={"x": 0.0}, actions=[Action("grow", apply=grown)], snapshots=1,
            policies={"p": lambda rows, seen, luck: Acts("grow", rows)}, **how,
        )  # fmt: skip

    for how in ({"most_snapshots": 5}, {"snapshots_mb": 0.1}):
        world = made(**how).run(40)
        assert len(world.kept) <= 6 if "most_snapshots" in how else size(world.kept) <= 0.1 * 2**20
        assert len(world.kept) > 2
        assert min(world.kept) == 0
        for tick in (1, 17, 39):
            assert world.at(tick).state["x"][0] == tick
    with pytest.raises(WorldError, match="most_snapshots = 0"):
        made(most_snapshots=0)
