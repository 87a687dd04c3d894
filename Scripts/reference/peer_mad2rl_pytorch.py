#!/usr/bin/env python3
"""Yardstick for `veclab bench train`: the same train step in PyTorch (CPU, fp32).

The step of MAD2RL: reverse diffusion of the target networks on the next states (greatest q-value of each agent), of the
online networks on the states (q-value of the action taken), monotonic mixer with hypernetworks, mean squared
temporal-difference error, gradients through all M denoising steps, clipping, fused Adam, soft update. All agents'
networks go through one batched product per layer, which is the fastest way we know to write it in eager PyTorch.
With --algorithm p-qmix the diffusion is left out.

    pip install torch==2.13.0+cpu --index-url https://download.pytorch.org/whl/cpu
    python3 Scripts/reference/peer_mad2rl_pytorch.py --agents 7 --batch 64 --denoise 7 --actions 132

Prints one line of JSON: median over blocks of steps, like `veclab bench train --json`.
"""
import argparse
import json
import math
import os
import resource
import statistics
import time

parser = argparse.ArgumentParser()
parser.add_argument("--algorithm", choices=["mad2rl", "p-qmix"], default="mad2rl")
parser.add_argument("--agents", type=int, default=7)
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--denoise", type=int, default=7)
parser.add_argument("--actions", type=int, default=132)
parser.add_argument("--observation", type=int, default=24)
parser.add_argument("--steps", type=int, default=60)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--hoist", action="store_true", help="parts of layer 1 that do not change, once per pass")
options = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(options.threads)

import torch
import torch.nn.functional as F

torch.set_num_threads(options.threads)
torch.manual_seed(1)
N, B, M = options.agents, options.batch, options.denoise
A, S, H = options.actions, options.observation, 256
STEP, STEP_HIDDEN, MIXING, HYPER = 16, 32, 32, 64
GAMMA, TAU, LR, CLIP = 0.99, 0.001, 5e-4, 10.0
DIFFUSION = options.algorithm == "mad2rl"


def reverse_steps():
    """For m = 1 ... M: x^(m-1) = keep x^m + gain f + sigma z, f the predicted x^0."""
    result, product = [], 1.0
    for m in range(1, M + 1):
        beta = 1 - math.exp(-0.1 / M - (2 * m - 1) * 9.9 / (2 * M * M))
        before, product = product, product * (1 - beta)
        keep = math.sqrt(1 - beta) * (1 - before) / (1 - product)
        gain = math.sqrt(before) * beta / (1 - product)
        result.append((keep, gain, math.sqrt((1 - before) / (1 - product) * beta)))
    return result


REVERSE = reverse_steps()
PHASES = torch.arange(1, M + 1)[:, None] * torch.exp(torch.arange(8) * (-math.log(10000.0) / 7))
ANGLES = torch.cat([PHASES.sin(), PHASES.cos()], 1)


def layer(batch, inputs, outputs):
    bound = 1 / math.sqrt(inputs)
    return [((torch.rand(*batch, rows, outputs) * 2 - 1) * bound) for rows in (inputs, 1)]


def parameters():
    p = {}
    first = A + STEP + S if DIFFUSION else S
    for name, i, o in [("1", first, H), ("2", H, H), ("3", H, H), ("4", H, A)]:
        p[name] = layer([N], i, o)
    if DIFFUSION:
        p["e1"], p["e2"] = layer([N], STEP, STEP_HIDDEN), layer([N], STEP_HIDDEN, STEP)
    for name, outputs in [("w1", N * MIXING), ("b1", MIXING), ("w2", MIXING), ("b2", 1)]:
        for l, (i, o) in enumerate([(N * S, HYPER), (HYPER, HYPER), (HYPER, outputs)]):
            p[f"{name}.{l}"] = layer([], i, o)
    return p


def linear(layer, x):
    weight, bias = layer
    return torch.baddbmm(bias, x, weight) if x.dim() == 3 else torch.addmm(bias[0], x, weight)


def upper(p, h):
    h = F.mish(linear(p["2"], h))
    h = F.mish(linear(p["3"], h))
    return linear(p["4"], h)


def q_values(p, s):
    """[N, B, A] from observations [N, B, S]."""
    if not DIFFUSION:
        return upper(p, F.mish(linear(p["1"], s)))
    e = linear(p["e2"], F.mish(linear(p["e1"], ANGLES.expand(N, M, STEP))))
    if options.hoist:
        weight, bias = p["1"]
        wx, we, ws = weight.split([A, STEP, S], 1)
        state, step = torch.baddbmm(bias, s, ws), e @ we
    x = torch.randn(N, B, A)
    for m in reversed(range(M)):
        if options.hoist:
            z = torch.baddbmm(state + step[:, m : m + 1], x, wx)
        else:
            z = linear(p["1"], torch.cat([x, e[:, m : m + 1].expand(N, B, STEP), s], 2))
        keep, gain, sigma = REVERSE[m]
        x = keep * x + gain * upper(p, F.mish(z))
        if m > 0:
            x = x + sigma * torch.randn(N, B, A)
    return x


def mixed(p, q, s):
    """Qtot [B] from q [B, N] and the joint state [B, N S]."""

    def hyper(name):
        h = F.relu(linear(p[name + ".0"], s))
        return linear(p[name + ".2"], F.relu(linear(p[name + ".1"], h)))

    hidden = torch.bmm(q[:, None], hyper("w1").abs().view(-1, N, MIXING))[:, 0] + hyper("b1")
    return (F.elu(hidden) * hyper("w2").abs()).sum(1) + hyper("b2")[:, 0]


def joint(s):
    return s.transpose(0, 1).reshape(B, N * S)


online = parameters()
target = {k: [t.clone() for t in v] for k, v in online.items()}
trained = [t.requires_grad_() for v in online.values() for t in v]
frozen = [t for v in target.values() for t in v]
optimiser = torch.optim.Adam(trained, lr=LR, fused=True)


def train_step(s, actions, rewards, next_s):
    with torch.no_grad():
        goal = rewards + GAMMA * mixed(target, q_values(target, next_s).amax(2).t(), joint(next_s))
    q = q_values(online, s).gather(2, actions[..., None])[..., 0]
    loss = F.mse_loss(mixed(online, q.t(), joint(s)), goal)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, CLIP, foreach=True)
    optimiser.step()
    with torch.no_grad():
        torch._foreach_lerp_(frozen, trained, TAU)
    return loss


batches = [
    (torch.rand(N, B, S), torch.randint(A, (N, B)), torch.rand(B) * 2 - 1, torch.rand(N, B, S))
    for _ in range(4)
]
for i in range(5):
    train_step(*batches[i % 4])
block = max(1, options.steps // 12)
wall, processor = [], []
for start in range(0, options.steps, block):
    w, c = time.perf_counter(), time.process_time()
    for i in range(start, start + block):
        loss = train_step(*batches[i % 4])
    wall.append((time.perf_counter() - w) / block)
    processor.append((time.process_time() - c) / block)
print(json.dumps({
    "algorithm": options.algorithm,
    "torch": torch.__version__,
    "stepsPerSecond": 1 / statistics.median(wall),
    "stepsPerCPUSecond": 1 / statistics.median(processor),
    "bestStepsPerCPUSecond": 1 / min(processor),
    "rssMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "loss": loss.item(),
}))
