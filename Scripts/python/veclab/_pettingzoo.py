"""Model 1 as a PettingZoo environment; imported when it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from .agent import Phase
from .environment import EpisodeCounter, Simulation
from .situations import SlotSituation

Observation = dict[str, np.ndarray]


class ClientsEnv(ParallelEnv[str, Observation, int]):
    """See `veclab.parallel_env`."""

    metadata = {"name": "veclab_single_rsu_v1", "render_modes": [], "is_parallelizable": True}
    render_mode = None

    def __init__(self, simulation: Simulation, phase: Phase) -> None:
        self.simulation = simulation
        self._counter = EpisodeCounter(simulation, phase)
        scenario = simulation.scenario
        self.possible_agents = [f"client_{i + 1}" for i in range(scenario.clients)]
        self.agents: list[str] = []
        size = scenario.observation_size
        self._action_spaces = {
            agent: spaces.Discrete(count) for agent, count in zip(self.possible_agents, scenario.actions)
        }
        self._observation_spaces = {
            agent: spaces.Dict(
                {
                    "observation": spaces.Box(-np.inf, np.inf, (size,), np.float32),
                    "action_mask": spaces.Box(0, 1, (count,), np.int8),
                }
            )
            for agent, count in zip(self.possible_agents, scenario.actions)
        }
        self.state_space = spaces.Box(-np.inf, np.inf, (size * scenario.clients,), np.float32)
        self._situation: SlotSituation | None = None

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        episode, phase = self._counter.next(seed, options)
        self._situation = self.simulation.begin(episode, phase)
        self.agents = list(self.possible_agents)
        observations = self._observations()
        return observations, self._infos(observations, {"episode": episode, "phase": phase})

    def step(self, actions: dict[str, int]) -> tuple[
        dict[str, Observation],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        if not self.agents:
            return {}, {}, {}, {}, {}
        reward, self._situation, last, measures = self.simulation.act(
            actions=[int(actions[agent]) for agent in self.agents]
        )
        agents = self.agents
        observations = self._observations()
        infos = self._infos(observations, {"measures": measures})
        if last:
            self.agents = []
        return (
            observations,
            dict.fromkeys(agents, reward),
            dict.fromkeys(agents, False),
            dict.fromkeys(agents, last),
            infos,
        )

    def state(self) -> np.ndarray:
        """The joint state, float32, shape (I (2 J + 1),)."""
        if self._situation is None:
            return np.zeros(self.state_space.shape, np.float32)
        return self._situation.state.copy()

    @property
    def situation(self) -> SlotSituation | None:
        """The current slot, with all that `sees` allows."""
        return self._situation

    def _observations(self) -> dict[str, Observation]:
        assert self._situation is not None
        masks = self._situation.action_masks.astype(np.int8)
        counts = self.simulation.scenario.actions
        return {
            agent: {
                "observation": self._situation.observations[i].copy(),
                "action_mask": masks[i, : counts[i]].copy(),
            }
            for i, agent in enumerate(self.possible_agents)
        }

    def _infos(
        self, observations: dict[str, Observation], common: dict[str, Any]
    ) -> dict[str, dict[str, Any]]:
        return {
            agent: {"action_mask": observation["action_mask"], **common}
            for agent, observation in observations.items()
        }

    def render(self) -> None:
        """There is nothing to show."""

    def close(self) -> None:
        self.simulation.close()
