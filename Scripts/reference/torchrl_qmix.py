#!/usr/bin/env python3
"""Another implementation of QMIX on the same episodes: TorchRL's, trained in `veclab.parallel_env` as P-QMIX is in `veclab run`.

Networks, mixer, loss and value estimator are TorchRL's (MultiAgentMLP, QMixer, QMixerLoss, TD0); sizes, optimiser, exploration,
replay, warm-up and the number of gradient steps are P-QMIX's. Windows, fading and capacities are those of the run's seed.

    pip install ./Scripts/python[pettingzoo] torch torchrl
    python3 Scripts/reference/torchrl_qmix.py Scripts/reference/qmix.yaml --seeds 1 2 3 --discount 0 -o torchrl-0.csv

Writes a row for each training and evaluation episode: discount, seed, episode, phase, return, mean_delay_s, loss.
"""

import argparse
import csv
import sys
import time

import numpy as np
import torch
import veclab
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torchrl.modules import MultiAgentMLP, QMixer, QValueModule
from torchrl.objectives import QMixerLoss, SoftUpdate, ValueEstimators

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("file", help="experiment file of model 1 with p-qmix in it")
parser.add_argument("--seeds", type=int, nargs="+", default=[1])
parser.add_argument("--episodes", type=int, default=200)
parser.add_argument("--evaluation", type=int, default=20)
parser.add_argument("--discount", type=float, default=0.0)
parser.add_argument("--capacity", type=int, default=6000)
parser.add_argument("--warmup", type=int, default=10, help="episodes without a gradient step")
parser.add_argument(
    "--hypernetworks", choices=["torchrl", "p1"], default="torchrl",
    help="of W1, b1, w2, b2: as TorchRL has them (linear in the state), or with P1's two hidden layers of 64",
)
parser.add_argument("-o", "--output", required=True)
options = parser.parse_args()
torch.set_num_threads(1)


class Padded:
    """`parallel_env` as tensors of equal size for all clients."""

    def __init__(self, seed):
        self.env = veclab.parallel_env(options.file, seed=seed)
        self.width = max(self.env.action_space(agent).n for agent in self.env.possible_agents)

    def tensors(self, observations):
        agents = self.env.possible_agents
        masks = np.zeros((len(agents), self.width), bool)
        for i, agent in enumerate(agents):
            mask = observations[agent]["action_mask"]
            masks[i, : len(mask)] = mask
        rows = torch.from_numpy(np.stack([observations[agent]["observation"] for agent in agents]))
        group = TensorDict({"observation": rows, "action_mask": torch.from_numpy(masks)}, [len(agents)])
        return TensorDict({"agents": group, "state": torch.from_numpy(self.env.state())}, [])

    def reset(self, episode, phase):
        return self.tensors(self.env.reset(options={"episode": episode, "phase": phase})[0])

    def step(self, actions):
        observations, rewards, _, truncations, infos = self.env.step(
            dict(zip(self.env.possible_agents, actions.tolist()))
        )
        agent = self.env.possible_agents[0]
        return self.tensors(observations), rewards[agent], truncations[agent], infos[agent]["measures"]


def hypernetwork(inputs, outputs):
    layers = [torch.nn.Linear(inputs, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(64, outputs))


def learner(env):
    scenario = env.env.simulation.scenario
    network = MultiAgentMLP(
        n_agent_inputs=scenario.observation_size,
        n_agent_outputs=env.width,
        n_agents=scenario.clients,
        centralised=False,
        share_params=False,
        depth=3,
        num_cells=256,
        activation_class=torch.nn.Mish,
    )
    values = TensorDictModule(
        network, in_keys=[("agents", "observation")], out_keys=[("agents", "action_value")]
    )
    choice = QValueModule(
        action_value_key=("agents", "action_value"),
        action_mask_key=("agents", "action_mask"),
        out_keys=[("agents", "action"), ("agents", "action_value"), ("agents", "chosen_action_value")],
        action_space="categorical",
    )
    policy = TensorDictSequential(values, choice)
    states = scenario.observation_size * scenario.clients
    mixing = QMixer(state_shape=(states,), mixing_embed_dim=32, n_agents=scenario.clients, device="cpu")
    if options.hypernetworks == "p1":
        mixing.hyper_w_1 = hypernetwork(states, 32 * scenario.clients)
        mixing.hyper_b_1 = hypernetwork(states, 32)
        mixing.hyper_w_final = hypernetwork(states, 32)
        mixing.V = hypernetwork(states, 1)
    mixer = TensorDictModule(
        mixing,
        in_keys=[("agents", "chosen_action_value"), "state"],
        out_keys=["chosen_action_value"],
    )
    loss = QMixerLoss(policy, mixer, delay_value=True, action_space="categorical", loss_function="l2")
    loss.set_keys(
        action_value=("agents", "action_value"),
        local_value=("agents", "chosen_action_value"),
        global_value="chosen_action_value",
        action=("agents", "action"),
    )
    loss.make_value_estimator(ValueEstimators.TD0, gamma=options.discount)
    return policy, loss


def train(seed, write):
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    env = Padded(seed)
    policy, loss = learner(env)
    parameters = list(loss.parameters())
    optimiser = torch.optim.Adam(parameters, lr=5e-4)
    targets = SoftUpdate(loss, tau=0.001)
    memory, stored, scale = None, 0, None
    start = time.monotonic()
    for episode in range(1, options.episodes + 1):
        steps = (episode - 1) / (options.episodes / 3)
        epsilon = max(0.05, 1 - 0.95 * steps)
        situation, last, losses, total = env.reset(episode, "train"), False, [], 0.0
        while not last:
            with torch.no_grad():
                actions = policy(situation.clone())["agents", "action"]
            masks = situation["agents", "action_mask"].numpy()
            explores = random.random(len(masks)) < epsilon
            drawn = np.where(masks, random.random(masks.shape), -1).argmax(axis=1)
            actions = torch.where(torch.from_numpy(explores), torch.from_numpy(drawn), actions)
            next, reward, last, measures = env.step(actions)
            total += reward
            row = situation.clone()
            row["agents", "action"] = actions
            row["next"] = next
            row["next", "reward"] = torch.tensor([reward], dtype=torch.float32)
            # The end of an episode cuts it off: bootstrap from there.
            row["next", "done"] = row["next", "terminated"] = torch.tensor([False])
            if memory is None:
                memory = row.expand(options.capacity, *row.batch_size).clone()
            memory[stored % options.capacity] = row
            stored += 1
            situation = next
            if episode > options.warmup:
                filled = min(stored, options.capacity)
                if scale is None:
                    # As P-QMIX: fixed after the warm-up.
                    scale = memory[:filled]["next", "reward"].abs().mean().item()
                batch = memory[torch.from_numpy(random.integers(filled, size=64))].clone()
                batch["next", "reward"] = batch["next", "reward"] / scale
                value = loss(batch)["loss"]
                optimiser.zero_grad()
                value.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 10)
                optimiser.step()
                targets.step()
                losses.append(value.item())
        delay = measures["episode"]["mean_delay_s"]
        write(seed, episode, "train", total, delay, np.mean(losses) if losses else "")
        if episode % 50 == 0:
            seconds = time.monotonic() - start
            print(f"seed {seed} episode {episode} delay {delay:.3f} {seconds:.0f} s", file=sys.stderr)
    for episode in range(1, options.evaluation + 1):
        situation, last, total = env.reset(episode, "eval"), False, 0.0
        while not last:
            with torch.no_grad():
                actions = policy(situation.clone())["agents", "action"]
            situation, reward, last, measures = env.step(actions)
            total += reward
        write(seed, episode, "eval", total, measures["episode"]["mean_delay_s"], "")
    env.env.close()


with open(options.output, "w", newline="") as file:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["discount", "seed", "episode", "phase", "return", "mean_delay_s", "loss"])
    for seed in options.seeds:
        train(seed, lambda *row: table.writerow([options.discount, *row]))
        file.flush()
