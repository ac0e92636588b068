"""Minds on the embedded model itself: its answers are held to what can be done, whatever its wits."""

from ethogram.world import NOTHING, Action, Question, World, everyone
from ethogram.world.thinking import LMMind


def test_a_small_model_acts_within_the_world_and_is_the_same_twice(local):
    def park():
        world = World(
            2, columns={"energy": [0.2, 0.9]}, things={"bench": {"free": [1, 1]}}, names={"bench": ["river", "gate"]},
            actions=[Action("sit", on="bench", rule=everyone(), about="rest on a bench"), Action("walk")],
            minds={"visitor": LMMind}, lm=local, seed=1,
        )  # fmt: skip
        for uid, name in enumerate(("Ann", "Ben")):
            world.promote(uid, "visitor", {"name": name})
        return world

    world = park().run(1)
    rows = [r for r in world.log(own=True).table().to_pylist() if r["kind"] != "command"]
    assert len(rows) == 2
    for row in rows:
        # what it says may be nonsense; what it does is possible, or recorded as a fallback with the reason
        assert row["kind"] in ("sit", "walk", NOTHING)
        assert row["actor"].startswith("model") or "there is no such bench" in row["payload"]
        assert row["kind"] != "sit" or row["item"] in ("river", "gate")
    assert world.ask(0, Question("Tea or coffee?", options=("tea", "coffee"))) in ("tea", "coffee")
    assert park().run(1).fingerprint == world.fingerprint
