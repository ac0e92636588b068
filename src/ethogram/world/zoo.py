"""Several people of a world led by agents that learn together: a `pettingzoo.ParallelEnv`.

Agents are named ``person UID``. All act at every tick; those who are asleep are not asked until they wake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ethogram.errors import MissingExtra, OptionError
from ethogram.world.gym import Build, Observe, Reward, choices, led
from ethogram.world.outside import act

try:
    import gymnasium
    import pettingzoo
except ImportError:
    raise MissingExtra("ethogram.world.zoo needs pettingzoo: pip install 'ethogram[world]'") from None


class WorldParallelEnv(pettingzoo.ParallelEnv):  # type: ignore[misc]
    """See the module; parameters as of `ethogram.world.gym.WorldEnv`, with several `uids`."""

    metadata = {"render_modes": [], "name": "ethogram_world"}  # noqa: RUF012 - pettingzoo's own form

    def __init__(
        self, build: Build, uids: Sequence[int], *, observe: Observe, reward: Reward, horizon: int = 1_000,
        verbs: Sequence[str] | None = None, kind: str = "player",
    ):  # fmt: skip
        if not uids or horizon < 1:
            raise OptionError("WorldParallelEnv: one or more uids, and a horizon of 1 or more ticks.")
        self.build, self.observe, self.reward, self.horizon, self.kind = build, observe, reward, horizon, kind
        self.world = build(0)
        self.choices = choices(self.world, verbs)
        self.uids = {f"person {u}": int(u) for u in uids}
        self.possible_agents = list(self.uids)
        self.agents: list[str] = []
        self._rows = {a: self.world.live.row(u) for a, u in self.uids.items()}
        shape = self._seen(self.possible_agents[0]).shape
        self._spaces = {
            a: (gymnasium.spaces.Box(-np.inf, np.inf, shape, np.float32), gymnasium.spaces.Discrete(len(self.choices)))
            for a in self.possible_agents
        }

    def observation_space(self, agent: str) -> gymnasium.spaces.Box:
        return self._spaces[agent][0]

    def action_space(self, agent: str) -> gymnasium.spaces.Discrete:
        return self._spaces[agent][1]

    def _seen(self, agent: str) -> np.ndarray:
        return np.asarray(self.observe(self.world.state, self._rows[agent]), np.float32).reshape(-1)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict]]:
        """A new world."""
        self.world = self.build(0 if seed is None else seed)
        led(self.world, list(self.uids.values()), self.kind)
        self.agents = list(self.possible_agents)
        return {a: self._seen(a) for a in self.agents}, {a: {} for a in self.agents}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, np.ndarray], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict]]:
        """One tick; what two agents claim is settled by the world's rules."""
        for agent, action in actions.items():
            verb, on = self.choices[int(action)]
            act(self.world, self.uids[agent], verb, on)
        before = self.world.live.copy(minds=False).frozen()
        self.world.run(self.world.tick + 1)
        state, agents = self.world.state, self.agents
        worth = {a: float(self.reward(before, state, self._rows[a])) for a in agents}
        over = self.world.tick >= self.horizon
        if over:
            self.agents = []
        seen = {a: self._seen(a) for a in agents}
        return seen, worth, dict.fromkeys(agents, False), dict.fromkeys(agents, over), {a: {} for a in agents}
