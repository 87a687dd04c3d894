"""Soft actor-critic of Stable-Baselines3 on model 2: cut, RSU and both frequencies as one Box of four numbers.

Stable-Baselines3 wants to drive an environment itself; here the run does, and SAC's buffer and training step are fed from it.
Needs stable-baselines3. Parameters and their defaults stand in the experiment file, sb3-sac.yaml.
"""

import io
import random

import gymnasium
import numpy as np
import torch
import veclab
from stable_baselines3 import SAC
from stable_baselines3.common.logger import configure
from stable_baselines3.common.utils import set_random_seed


class Spaces(gymnasium.Env):
    """What SAC asks an environment for before it trains."""

    def __init__(self, size: int) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1, 1, (4,), np.float32)


class SB3SAC(veclab.Agent):
    def __init__(self, hello: veclab.Hello) -> None:
        super().__init__(hello)
        self.p = p = hello.parameters
        set_random_seed(hello.seed)
        self.sac = SAC(
            "MlpPolicy",
            Spaces(hello.scenario.observation_size),
            learning_rate=p["lr"],
            gamma=p["discount"],
            batch_size=p["batch"],
            buffer_size=p["capacity"],
            seed=hello.seed,
            device="cpu",
        )
        self.sac.set_logger(configure(None, []))
        self.random = np.random.default_rng(hello.seed)
        self.tasks = 0
        self.steps = 0
        self.training = False
        self.places = np.zeros(4, np.float32)

    def begin_episode(self, episode: int, phase: str) -> None:
        self.training = phase == "train"
        self.steps = 0

    def decide(self, situation: veclab.RoadSituation) -> dict[str, float]:
        if self.training and self.tasks < self.p["warmup"]:
            self.places = self.random.uniform(-1, 1, 4).astype(np.float32)
        else:
            self.places, _ = self.sac.predict(situation.observation, deterministic=not self.training)
        return situation.flat_action(self.places)

    def learn(self, step: veclab.RoadTransition) -> None:
        next = np.zeros_like(step.situation.observation) if step.next is None else step.next.observation
        self.sac.replay_buffer.add(
            step.situation.observation,
            next,
            self.places,
            np.array([step.reward]),
            np.array([step.last]),
            [{}],
        )
        self.tasks += 1
        if self.tasks >= self.p["warmup"]:
            self.sac.train(gradient_steps=1, batch_size=self.p["batch"])
            self.steps += 1

    def end_episode(self) -> dict[str, float] | None:
        return {"steps": self.steps} if self.training else None

    def save(self, path: str) -> None:
        model, buffer = io.BytesIO(), io.BytesIO()
        self.sac.save(model)
        self.sac.save_replay_buffer(buffer)
        torch.save(
            {
                "model": model.getvalue(),
                "buffer": buffer.getvalue(),
                "updates": self.sac._n_updates,
                "tasks": self.tasks,
                "random": (self.random.bit_generator.state, torch.get_rng_state(), np.random.get_state()),
                "python": random.getstate(),
            },
            path,
        )

    def restore(self, path: str) -> None:
        state = torch.load(path, weights_only=False)
        self.sac.set_parameters(SAC.load(io.BytesIO(state["model"]), device="cpu").get_parameters())
        self.sac.load_replay_buffer(io.BytesIO(state["buffer"]))
        self.sac._n_updates = state["updates"]
        self.tasks = state["tasks"]
        self.random.bit_generator.state, torch_state, numpy_state = state["random"]
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)
        random.setstate(state["python"])


if __name__ == "__main__":
    veclab.serve(SB3SAC)
