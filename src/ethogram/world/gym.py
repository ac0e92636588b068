"""One person of a world led by an agent that learns: a `gymnasium.Env`.

    env = WorldEnv(build, uid=0, observe=lambda seen, row: [seen["hunger"][row]], reward=..., horizon=100)

`build(seed)` makes the world, with a kind of `ethogram.world.outside.Outside` among its minds. A step takes the chosen
act, and runs the world until this person is awake again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ethogram.errors import MissingExtra, OptionError, WorldError
from ethogram.world.acts import NOTHING
from ethogram.world.outside import act
from ethogram.world.state import Frozen
from ethogram.world.world import World

try:
    import gymnasium
except ImportError:
    raise MissingExtra("ethogram.world.gym needs gymnasium: pip install 'ethogram[world]'") from None

Build = Callable[[int], World]
Observe = Callable[[Frozen, int], Any]
Reward = Callable[[Frozen, Frozen, int], float]
"""(state before, state after, row) -> reward."""


def choices(world: World, verbs: Sequence[str] | None = None) -> list[tuple[str, int]]:
    """Everything that can be chosen: each verb on each of its objects, and nothing.

    Raises
    ------
    WorldError
        There are more than 10,000; name fewer verbs.
    """
    sizes = world.declared.sizes(world.state)
    made = [(NOTHING, -1)]
    for name in world.declared.actions if verbs is None else verbs:
        if name not in world.declared.actions:
            raise WorldError(f"there is no verb '{name}'; there are {', '.join(world.declared.actions)}.")
        n = sizes[name]
        made += [(name, -1)] if n is None else [(name, i) for i in range(n)]
    if len(made) > 10_000:
        raise WorldError(f"{len(made)} choices are too many to number; name fewer verbs.")
    return made


def led(world: World, uids: Sequence[int], kind: str) -> None:
    """Have people led from outside, from the beginning."""
    for uid in uids:
        world.promote(int(uid), kind)


class WorldEnv(gymnasium.Env[np.ndarray, Any]):
    """See the module.

    Parameters
    ----------
    build : seed -> world. uid : who is led. observe : (seen, row) -> numbers, always as many.
    reward : (before, after, row) -> number. horizon : ticks after which an episode is cut. verbs : what may be done.
    kind : of the mind that is led from outside.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012 - gymnasium's own form

    def __init__(
        self, build: Build, uid: int = 0, *, observe: Observe, reward: Reward, horizon: int = 1_000,
        verbs: Sequence[str] | None = None, kind: str = "player", render_mode: str | None = None,
    ):  # fmt: skip
        if horizon < 1:
            raise OptionError(f"WorldEnv: horizon = {horizon}; 1 or more ticks.")
        self.build, self.uid, self.observe, self.reward, self.horizon = build, uid, observe, reward, horizon
        self.kind, self.verbs, self.render_mode = kind, verbs, render_mode
        self.world = build(0)
        self.choices = choices(self.world, verbs)
        self.row = self.world.live.row(uid)
        self.action_space = gymnasium.spaces.Discrete(len(self.choices))
        first = self._seen()
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, first.shape, np.float32)

    def _seen(self) -> np.ndarray:
        return np.asarray(self.observe(self.world.state, self.row), np.float32).reshape(-1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """A new world; without a seed, one that is drawn from the environment's own."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31)) if seed is None else seed
        self.world = self.build(drawn)
        led(self.world, [self.uid], self.kind)
        return self._seen(), {"tick": self.world.tick}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Act, and run until this person is awake again; ends where they never are, is cut at the horizon."""
        verb, on = self.choices[int(action)]
        act(self.world, self.uid, verb, on)
        before = self.world.live.copy(minds=False).frozen()
        self.world.run(self.world.tick + 1)
        wake = int(self.world.live.arrays["wake"][self.row])
        self.world.run(max(self.world.tick, min(wake, self.horizon)))
        worth = float(self.reward(before, self.world.state, self.row))
        return self._seen(), worth, wake > 2**23, self.world.tick >= self.horizon, {"tick": self.world.tick}

    def render(self) -> str:
        """What the mind of this person would be told now."""
        return self.world.context(self.uid)
