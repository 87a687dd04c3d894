#!/usr/bin/env python3
"""Yardstick for `veclab bench sac`: the same train step in PyTorch (CPU, fp32).

The step: soft actor-critic on hybrid actions (one categorical choice, Gaussians squashed by tanh) with twin
critics that return Q for every choice, two target critics, Adam on everything, two learned temperatures,
and the soft update of the targets. The twin critics are batched with baddbmm (--layout bmm), or are one
nn.Module each (--layout loop); optimisers are fused.

    pip install torch==2.13.0+cpu --index-url https://download.pytorch.org/whl/cpu
    python3 Scripts/reference/peer_sac_pytorch.py

Prints one line of JSON: median over blocks of steps, like `veclab bench sac --json`.
"""
import argparse
import json
import math
import os
import statistics
import time

parser = argparse.ArgumentParser()
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--hidden", type=int, default=256)
parser.add_argument("--observation", type=int, default=17)
parser.add_argument("--choices", type=int, default=22)
parser.add_argument("--continuous", type=int, default=2)
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--layout", choices=["bmm", "loop"], default="loop")
parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
options = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(options.threads)

import torch
from torch import nn
import torch.nn.functional as F

torch.set_num_threads(options.threads)
torch.manual_seed(1)
B, H, S = options.batch, options.hidden, options.observation
A, C = options.choices, options.continuous
GAMMA, TAU, LR = 0.99, 0.005, 3e-4
TARGET_CHOICE, TARGET_CONTINUOUS = 0.1 * math.log(A), -1.0 * C


def mlp(inputs, outputs):
    return nn.Sequential(
        nn.Linear(inputs, H), nn.ReLU(), nn.Linear(H, H), nn.ReLU(), nn.Linear(H, outputs))


class Loop(nn.Module):
    """Both critics, one after the other."""

    def __init__(self):
        super().__init__()
        self.nets = nn.ModuleList(mlp(S + C, A) for _ in range(2))

    def forward(self, x):
        return torch.stack([net(x) for net in self.nets])


class Batched(nn.Module):
    """Both critics in one batched product per layer."""

    def __init__(self):
        super().__init__()
        widths = [S + C, H, H, A]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for i, o in zip(widths, widths[1:]):
            bound = 1 / math.sqrt(i)
            self.weights.append(nn.Parameter(torch.empty(2, i, o).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.empty(2, 1, o).uniform_(-bound, bound)))

    def forward(self, x):
        x = x.expand(2, *x.shape)
        for layer, (w, b) in enumerate(zip(self.weights, self.biases)):
            x = torch.baddbmm(b, x, w)
            if layer < 2:
                x = F.relu(x)
        return x


actor = mlp(S, A + 2 * C)
make_critics = Batched if options.layout == "bmm" else Loop
critics, targets = make_critics(), make_critics()
targets.load_state_dict(critics.state_dict())
for parameter in targets.parameters():
    parameter.requires_grad_(False)
log_temperatures = torch.full((2,), math.log(0.1), requires_grad=True)
actor_adam = torch.optim.Adam(actor.parameters(), lr=LR, fused=True)
critic_adam = torch.optim.Adam(critics.parameters(), lr=LR, fused=True)
temperature_adam = torch.optim.Adam([log_temperatures], lr=LR, fused=True)
critic_parameters, target_parameters = list(critics.parameters()), list(targets.parameters())


def policy(states):
    out = actor(states)
    log_p = F.log_softmax(out[:, :A], 1)
    mean, raw = out[:, A:A + C], out[:, A + C:]
    log_std = -5 + 3.5 * (torch.tanh(raw) + 1)
    noise = torch.randn_like(mean)
    u = mean + log_std.exp() * noise
    log_density = (
        -0.5 * noise * noise - log_std - 0.5 * math.log(2 * math.pi)
        - 2 * (math.log(2) - u - F.softplus(-2 * u))).sum(1)
    return log_p, torch.tanh(u), log_density


def critic_loss(states, actions, choices, rewards, next_states, mu):
    with torch.no_grad():
        log_p, a, log_density = policy(next_states)
        q = targets(torch.cat([next_states, a], 1)).amin(0)
        v = (log_p.exp() * (q - mu[0] * log_p)).sum(1) - mu[1] * log_density
        y = rewards + GAMMA * v
    q = critics(torch.cat([states, actions], 1))
    chosen = q.gather(2, choices.expand(2, B, 1)).squeeze(2)
    return ((chosen - y) ** 2).mean(1).sum()


def actor_loss(states, mu):
    log_p, a, log_density = policy(states)
    q = critics(torch.cat([states, a], 1)).amin(0)
    p = log_p.exp()
    loss = ((p * (mu[0] * log_p - q)).sum(1) + mu[1] * log_density).mean()
    return loss, -(p * log_p).sum(1).mean().detach(), -log_density.mean().detach()


if options.mode == "compile":
    critic_loss, actor_loss = torch.compile(critic_loss), torch.compile(actor_loss)


def step(states, actions, choices, rewards, next_states):
    mu = log_temperatures.detach().exp()
    loss = critic_loss(states, actions, choices, rewards, next_states, mu)
    critic_adam.zero_grad(set_to_none=True)
    loss.backward()
    critic_adam.step()

    for parameter in critic_parameters:
        parameter.requires_grad_(False)
    loss_a, choice_entropy, continuous_entropy = actor_loss(states, mu)
    actor_adam.zero_grad(set_to_none=True)
    loss_a.backward()
    actor_adam.step()
    for parameter in critic_parameters:
        parameter.requires_grad_(True)

    excess = torch.stack([choice_entropy - TARGET_CHOICE, continuous_entropy - TARGET_CONTINUOUS])
    temperature_adam.zero_grad(set_to_none=True)
    (log_temperatures * excess).sum().backward()
    temperature_adam.step()
    with torch.no_grad():
        log_temperatures.clamp_(math.log(0.001), 0.0)
        torch._foreach_lerp_(target_parameters, critic_parameters, TAU)
    return loss


data = (
    torch.randn(B, S), torch.rand(B, C) * 2 - 1, torch.randint(A, (B, 1)), torch.randn(B),
    torch.randn(B, S))
for _ in range(10):
    step(*data)
blocks = []
processor_start = time.process_time()
for _ in range(10):
    start = time.perf_counter()
    for _ in range(max(1, options.steps // 10)):
        step(*data)
    blocks.append((time.perf_counter() - start) / max(1, options.steps // 10))
seconds = statistics.median(blocks)
processor = (time.process_time() - processor_start) / (10 * max(1, options.steps // 10))
print(json.dumps({
    "torch": torch.__version__, "threads": options.threads, "layout": options.layout,
    "mode": options.mode, "batch": B, "hidden": H, "stepsPerSecond": 1 / seconds,
    "msPerStep": 1000 * seconds, "cpuMsPerStep": 1000 * processor}))
