"""Model 2 as a Gymnasium environment; imported when it is asked for."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from .agent import Phase
from .environment import EpisodeCounter, Simulation
from .errors import VeclabError
from .situations import RoadSituation

_MOST_EMPTY_EPISODES = 1000


class RoadEnv(gymnasium.Env[np.ndarray, Any]):
    """See `veclab.gym_env`."""

    metadata = {"render_modes": []}

    def __init__(self, simulation: Simulation, phase: Phase, *, flat: bool, least_frequency: float) -> None:
        if not 0 < least_frequency <= 1:
            raise VeclabError(f"least_frequency: must be above 0 and at most 1 (got {least_frequency})")
        self.simulation = simulation
        self._counter = EpisodeCounter(simulation, phase)
        self._flat = flat
        self._least = least_frequency
        scenario = simulation.scenario
        self._cuts = max(scenario.layers) + 1
        self.observation_space = spaces.Box(-np.inf, np.inf, (scenario.observation_size,), np.float32)
        self.action_space: spaces.Space[Any] = (
            spaces.Box(-1, 1, (4,), np.float32)
            if flat
            else spaces.Dict(
                {
                    "cut": spaces.Discrete(self._cuts),
                    "rsu": spaces.Discrete(scenario.rsus + 1),
                    "frequencies": spaces.Box(0, 1, (2,), np.float32),
                }
            )
        )
        self._situation: RoadSituation | None = None

    @property
    def situation(self) -> RoadSituation | None:
        """The task to decide, with all that `sees` allows; None after the last one."""
        return self._situation

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        for _ in range(_MOST_EMPTY_EPISODES):
            episode, phase = self._counter.next(seed, options)
            self._situation = self.simulation.begin(episode, phase)
            if self._situation is not None:
                return self._observation(), self._infos({"episode": episode, "phase": phase})
            if "episode" in (options or {}):
                raise VeclabError(f"episode {episode} has no task: raise releaseRate or choose another")
            seed = None
        raise VeclabError(f"{_MOST_EMPTY_EPISODES} episodes without a task: raise releaseRate, vehicles or slots")

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if self._situation is None:
            raise VeclabError("step: the episode is over; call reset")
        situation = self._situation
        if self._flat:
            act = situation.flat_action(action, self._least)
        else:
            vehicle, edge = action["frequencies"]
            act = situation.action(int(action["cut"]), int(action["rsu"]), vehicle, edge, self._least)
        reward, self._situation, last, measures = self.simulation.act(**act)
        return self._observation(), reward, False, last, self._infos(measures)

    def _observation(self) -> np.ndarray:
        if self._situation is None:
            return np.zeros(self.observation_space.shape or (), np.float32)
        return self._situation.observation.copy()

    def _infos(self, common: dict[str, Any]) -> dict[str, Any]:
        cuts = np.zeros(self._cuts, np.int8)
        rsus = np.zeros(self.simulation.scenario.rsus + 1, np.int8)
        rsus[0] = 1
        if self._situation is not None:
            cuts[: self._situation.layers + 1] = 1
            rsus[1:] = self._situation.reach
        return {"cut_mask": cuts, "rsu_mask": rsus, **common}

    def close(self) -> None:
        self.simulation.close()
