"""Independent DQN in PyTorch: every client vehicle learns its own q-values from its own observation.

Model 1. The reward is common to all clients and each slot's decision is judged by that slot alone (discount 0 by default).
Needs torch. Parameters and their defaults stand in the experiment file, independent-dqn.yaml.
"""

import numpy as np
import torch
import veclab
from torch import nn


class Networks(nn.Module):
    """A network of two hidden layers for each client, in batched products: (I, B, size) to (I, B, actions)."""

    def __init__(self, clients: int, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        sizes = [inputs, hidden, hidden, outputs]
        bounds = [1 / np.sqrt(size) for size in sizes]
        self.weights = nn.ParameterList(
            torch.empty(clients, a, b).uniform_(-c, c) for a, b, c in zip(sizes, sizes[1:], bounds)
        )
        self.biases = nn.ParameterList(
            torch.empty(clients, 1, b).uniform_(-c, c) for b, c in zip(sizes[1:], bounds)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            x = torch.baddbmm(bias, x, weight)
            if i + 1 < len(self.weights):
                x = torch.relu(x)
        return x


class IndependentDQN(veclab.Agent):
    def __init__(self, hello: veclab.Hello) -> None:
        super().__init__(hello)
        self.p = p = hello.parameters
        torch.manual_seed(hello.seed)
        self.random = np.random.default_rng(hello.seed)
        scenario = hello.scenario
        sizes = scenario.clients, scenario.observation_size, p["hidden"], max(scenario.actions)
        self.networks = Networks(*sizes)
        self.targets = Networks(*sizes)
        self.targets.load_state_dict(self.networks.state_dict())
        self.optimiser = torch.optim.Adam(self.networks.parameters(), lr=p["lr"])
        rows, clients = p["capacity"], scenario.clients
        shape = (rows, clients, scenario.observation_size)
        self.memory = {  # A ring of joint transitions.
            "observations": np.zeros(shape, np.float32),
            "next": np.zeros(shape, np.float32),
            "masks": np.zeros((rows, clients, max(scenario.actions)), bool),
            "actions": np.zeros((rows, clients), np.int64),
            "rewards": np.zeros(rows, np.float32),
        }
        self.stored, self.episode, self.training = 0, 0, False
        self.losses: list[float] = []

    @property
    def epsilon(self) -> float:
        """From 1 to 0.05 over the first third of the episodes; 1 in the warm-up."""
        share = (self.episode - 1) / max(self.hello.episodes / 3, 1)
        return 1.0 if self.episode <= self.p["warmup"] else max(0.05, 1 - 0.95 * share)

    def begin_episode(self, episode: int, phase: str) -> None:
        self.training = phase == "train"
        if self.training:
            self.episode = episode
            self.losses = []

    def decide(self, situation: veclab.SlotSituation) -> np.ndarray:
        masks = situation.action_masks
        with torch.no_grad():
            values = self.networks(torch.from_numpy(situation.observations)[:, None])[:, 0].numpy()
        actions = np.where(masks, values, -np.inf).argmax(axis=1)
        if self.training:
            explores = self.random.random(len(actions)) < self.epsilon
            drawn = np.where(masks, self.random.random(masks.shape), -1).argmax(axis=1)
            actions = np.where(explores, drawn, actions)
        return actions

    def learn(self, step: veclab.Transition) -> None:
        row = self.stored % self.p["capacity"]
        self.memory["observations"][row] = step.situation.observations
        self.memory["next"][row] = step.next.observations
        self.memory["masks"][row] = step.next.action_masks
        self.memory["actions"][row] = step.actions
        self.memory["rewards"][row] = step.reward / self.p["rewardScale"]
        self.stored += 1
        if self.episode > self.p["warmup"]:
            self.losses.append(self.gradient_step())

    def gradient_step(self) -> float:
        filled = min(self.stored, self.p["capacity"])
        rows = self.random.integers(filled, size=self.p["batch"])
        # (B, I, ...) to (I, B, ...)
        batch = {key: torch.from_numpy(values[rows]) for key, values in self.memory.items()}
        actions = batch["actions"].T[:, :, None]
        chosen = self.networks(batch["observations"].transpose(0, 1)).gather(2, actions)[:, :, 0]
        target = batch["rewards"][None, :]
        if self.p["discount"] > 0:
            with torch.no_grad():
                values = self.targets(batch["next"].transpose(0, 1))
                values[~batch["masks"].transpose(0, 1)] = -torch.inf
                target = target + self.p["discount"] * values.amax(dim=2)
        loss = nn.functional.smooth_l1_loss(chosen, target.expand_as(chosen))
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.networks.parameters(), 10)
        self.optimiser.step()
        with torch.no_grad():
            for old, new in zip(self.targets.parameters(), self.networks.parameters()):
                old.lerp_(new, 0.005)
        return loss.item()

    def end_episode(self) -> dict[str, float] | None:
        if not self.training:
            return None
        loss = {"loss": float(np.mean(self.losses))} if self.losses else {}
        return {**loss, "epsilon": self.epsilon, "steps": len(self.losses)}

    def save(self, path: str) -> None:
        torch.save(
            {
                "networks": self.networks.state_dict(),
                "targets": self.targets.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "memory": {k: torch.from_numpy(v[: self.stored]) for k, v in self.memory.items()},
                "counts": (self.stored, self.episode),
                "random": self.random.bit_generator.state,
            },
            path,
        )

    def restore(self, path: str) -> None:
        state = torch.load(path, weights_only=True)
        self.networks.load_state_dict(state["networks"])
        self.targets.load_state_dict(state["targets"])
        self.optimiser.load_state_dict(state["optimiser"])
        for key, values in state["memory"].items():
            self.memory[key][: len(values)] = values.numpy()
        self.stored, self.episode = state["counts"]
        self.random.bit_generator.state = state["random"]


if __name__ == "__main__":
    veclab.serve(IndependentDQN)
