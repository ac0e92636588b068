"""Towns: paths, files, and norms that the world keeps whatever anybody decides."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse.csgraph import shortest_path

from ethogram.errors import PersonaError, WorldError
from ethogram.world import Decision, World
from ethogram.world.town import Town
from ethogram.world.town.folk import HOMES, Resident, residents
from ethogram.world.town.living import Living
from ethogram.world.town.paths import path
from ethogram.world.town.plans import default_town


def test_paths_are_as_short_as_dijkstras_and_never_through_walls():
    rng = np.random.default_rng(0)
    for _ in range(12):
        width, height = int(rng.integers(3, 14)), int(rng.integers(3, 14))
        solid = rng.random(width * height) < 0.3
        n = len(solid)
        graph = np.zeros((n, n))
        for a in range(n):
            for b in ((a + 1) if (a + 1) % width else -1, a + width):
                if 0 <= b < n and not solid[a] and not solid[b]:
                    graph[a, b] = graph[b, a] = 1
        far = shortest_path(graph, unweighted=True)
        for _ in range(15):
            a, b = rng.integers(0, n, 2).tolist()
            found = path(solid, width, a, b)
            if solid[a] or solid[b] or not np.isfinite(far[a, b]):
                assert found is None
                continue
            assert (found[0], found[-1], len(found) - 1) == (a, b, far[a, b])
            assert not solid[found].any()
            assert all(graph[x, y] for x, y in pairwise(found))


def test_a_town_is_the_same_after_writing_and_reading(tmp_path):
    town = default_town()
    again = Town.read(town.write(tmp_path / "town.json"))
    assert again.json() == town.json()
    assert (again.arena_of == town.arena_of).all()
    bed = next(o for o, thing in enumerate(town.objects) if thing.name == "bed 1")
    assert town.object_address(bed).startswith("Ashford Quay:")
    assert len(residents()) == 25
    assert len({p.home for p in residents()}) == len(HOMES)


def test_every_object_can_be_reached_from_every_home():
    town = default_town()
    start = town.objects[0].tile
    assert all(path(town.solid, town.width, start, o.tile) for o in town.objects)


SMALL = {
    "name": "hut", "width": 5, "height": 3, "walls": ["#####", "#...#", "#####"],
    "sectors": [{"name": "house", "arenas": [{"name": "room", "box": [1, 1, 3, 1],
                                              "objects": [{"name": "chair", "x": 2, "y": 1}]}]}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda t: t.pop("walls"), "the field 'walls' is missing"),
        (lambda t: t.update(width=6), "3 rows of 6 signs"),
        (lambda t: t["sectors"][0]["arenas"][0].update(box=[1, 1, 9, 1]), "not within 5 x 3"),
        (
            lambda t: t["sectors"][0]["arenas"][0]["objects"][0].update(x=0),
            r"object 'chair' at \(0, 1\) is not on a free",
        ),
        (lambda t: t["sectors"][0]["arenas"].append({"name": "nook", "box": [3, 1, 3, 1]}), "overlaps"),
        (lambda t: t["sectors"][0]["arenas"][0].update(opens=30), "hours of a day"),
        (lambda t: t["sectors"][0]["arenas"][0].update(box="wide"), "not as a town is written"),
        (lambda t: t["sectors"].append({"name": "house", "arenas": []}), "two sectors are called 'house'"),
    ],
)
def test_a_town_that_cannot_be_is_refused_with_the_place(change, error):
    import copy

    told = copy.deepcopy(SMALL)
    change(told)
    with pytest.raises(WorldError, match=error):
        Town.of(told)


def test_a_file_that_is_no_town(tmp_path):
    (tmp_path / "town.json").write_text("[]")
    with pytest.raises(WorldError, match="a town is an object"):
        Town.read(tmp_path / "town.json")
    with pytest.raises(WorldError, match="cannot be read"):
        Town.read(tmp_path / "none.json")


def test_people_who_cannot_be():
    with pytest.raises(PersonaError, match="unknown field 'hom'"):
        Resident.of({"name": "Ann", "hom": "x"})
    with pytest.raises(PersonaError, match="not whole"):
        Resident.of({"name": "Ann"})
    one = residents(1)[0]
    with pytest.raises(WorldError, match="unknown sector"):
        Living(Town.of(SMALL), [one])
    with pytest.raises(WorldError, match="two people are called"):
        Living(default_town(), [one, one])


class Puppet:
    """Does what it was told, a decision a tick."""

    def __init__(self, persona):
        self.acts = persona["acts"]

    async def act(self, seen):
        verb, on, value, text = self.acts[seen.tick] if seen.tick < len(self.acts) else ("stay", -1, 0, "")
        return Decision(verb, on, value, text=text, wait=1)


def stage(acts, start="2026-02-13T12:00", places=None, **options):
    """Some of the default people, put on tiles, doing what is told; returns the world after it, and its log's kinds."""
    from ethogram.log.condition import micros

    people = residents(len(acts))
    living = Living(default_town(), people, start=micros(start))
    world = World(
        **living.declaration(), policies={"still": lambda rows, *_: None}, minds={"puppet": Puppet}, **options
    )
    for uid, tile in enumerate(places or ()):
        world.intervene("set", column="tile", value=int(tile), rows=[uid])
        world.intervene("set", column="spot", value=list(living.town.spot(int(tile))), rows=[uid])
    for uid, own in enumerate(acts):
        world.promote(uid, "puppet", {"acts": [[*a, *(-1, 0, "")[len(a) - 1 :]] for a in own]})
    world.run(max(map(len, acts)))
    return world, living


def door(town, sector, arena=""):
    """(tile before the door, first tile within, arena)."""
    place = town.place(sector, arena)
    inside = np.flatnonzero(town.arena_of == place)
    for tile in inside.tolist():
        for near in (tile + town.width, tile - town.width, tile + 1, tile - 1):
            if not town.solid[near] and town.arena_of[near] != place:
                return near, tile, place
    raise AssertionError


def kinds(world):
    return world.log(refused=True).table().column("kind").to_pylist()


@pytest.mark.parametrize(("hour", "enters"), [("03:00", False), ("12:00", True), ("18:30", False)])
def test_a_closed_shop_lets_nobody_in_but_who_works_there(hour, enters):
    town = default_town()
    before, inside, arena = door(town, "Corner Store")
    # the third of the default people does not work there; the second does
    world, _ = stage([[], [("unlock", arena, inside)], [("enter", arena, inside)]], f"2026-02-13T{hour}",
                     [before, before, before])  # fmt: skip
    assert (world.state["tile"][2] == inside) == enters
    assert world.state["tile"][1] == inside
    assert ("enter (refused)" in kinds(world)) != enters


def test_a_stranger_cannot_unlock_and_nobody_walks_through_walls_or_doors():
    town = default_town()
    before, inside, arena = door(town, "Corner Store")
    home, within, private = door(town, "Millrace House")
    wall = int(np.flatnonzero(town.solid)[0])
    acts = [[("walk", wall)], [("walk", inside)], [("unlock", private, within)]]
    world, _ = stage(acts, places=[wall + 2 * town.width, before, home])
    assert world.state["tile"].tolist() == [wall + 2 * town.width, before, home]
    assert (
        stage([[], [], [("unlock", arena, inside)]], "2026-02-13T03:00", [0, 0, before])[0].state["tile"][2] == before
    )


def test_a_bathroom_is_for_one_at_a_time():
    town = default_town()
    before, inside, arena = door(town, "Millrace House", "bathroom")
    acts = [
        [("enter", arena, inside), ("stay",), ("walk", before)],
        [("enter", arena, inside), ("enter", arena, inside), ("stay",), ("enter", arena, inside)],
    ]
    acts[0].append(("stay",))
    world, _ = stage(acts, places=[before, before])
    assert kinds(world).count("enter (refused)") == 2
    assert world.state["tile"].tolist() == [before, inside]


def test_objects_have_a_state_while_they_are_used_and_one_must_stand_at_them():
    town = default_town()
    till = next(o for o, t in enumerate(town.objects) if t.name == "till")
    acts = [[("do", till, 0, "selling"), ("change", till, 0, "open"), ("walk", town.objects[till].tile + 1)]]
    world, _ = stage([acts[0][:2]], places=[town.objects[till].tile])
    assert world.state.text(world.state["object.state"][till]) == "open"
    assert world.state.text(world.state["doing"][0]) == "selling"
    world.at(2)
    world, _ = stage(acts, places=[town.objects[till].tile])
    assert world.state["object.state"][till] == -1
    world, _ = stage([acts[0][:2]], places=[town.objects[till].tile + 1])
    assert world.state["object.state"][till] == -1


def test_people_see_only_within_their_arena_and_radius():
    town = default_town()
    place = town.place("Library")
    inside = np.flatnonzero(town.arena_of == place)
    one, near, far = int(inside[0]), int(inside[3]), int(inside[9])
    outside = one - town.width  # behind the wall
    acts = [[("stay", -1, 0, f"person {i}")] for i in range(4)]
    world, living = stage(acts, places=[one, near, far, outside])
    assert [s.person for s in living.sights(world.state, 0, 8)] == [1]
    assert living.sights(world.state, 0, 8)[0].text == "person 1"


def test_commands_reach_people_and_things():
    world, living = stage([[]], places=None)
    world.intervene("whisper", uid=0, text="go home")
    world.intervene("whisper", uid=0, text="now")
    assert world.state.text(world.state["whisper"][0]) == "go home\nnow"
    world.intervene("set_object", object=living.town.object_address(0), text="on fire")
    assert world.state.text(world.state["object.state"][0]) == "on fire"
    with pytest.raises(WorldError, match="no person 9"):
        world.intervene("whisper", uid=9, text="hello")
    with pytest.raises(WorldError, match="unknown object"):
        world.intervene("set_object", object="chair", text="on fire")
