#!/usr/bin/env python3
"""Losses and gradients of the MAD2RL and P-QMIX train step from PyTorch, for Tests/NeuralTests.

    pip install torch==2.13.0+cpu --index-url https://download.pytorch.org/whl/cpu
    python3 Scripts/reference/make_pytorch_reference.py

writes pytorch-<case>.txt beside this script.  Parameters, batch and noise come from the generators below, which the
test implements again; so a file holds results only.  Everything is computed in double precision from parameters and
batches rounded to single precision.

File format: `loss N` once per train step, then `gradient NAME ROWS COLUMNS` with ROWS lines of COLUMNS numbers for
the first step, before clipping.
"""
import math
import pathlib
import struct

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


class SplitMix:
    """The sequence that parameters and batches are drawn from."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + GOLDEN) & MASK
        return mix(self.state)

    def signed(self):
        return (self.next() >> 40) * 2.0**-23 - 1


class Noise:
    """Standard normal numbers by Box and Muller from counters, in blocks of 16 cosines and 16 sines."""

    def __init__(self, seed):
        self.seed, self.block = seed, 0

    def matrix(self, rows, columns):
        stride = (columns + 15) // 16 * 16
        values = []
        for _ in range((rows * stride + 31) // 32):
            pairs = []
            for j in range(16):
                h = mix((self.seed + (self.block * 16 + j + 1) * GOLDEN) & MASK)
                low, high = h & 0xFFFFFFFF, h >> 32
                u = ((low >> 8) + 1) * 2.0**-24
                angle = (high - (1 << 32) if high >> 31 else high) * 2.0**-31
                pairs.append((math.sqrt(-2 * math.log(u)), math.pi * angle))
            values += [r * math.cos(t) for r, t in pairs] + [r * math.sin(t) for r, t in pairs]
            self.block += 1
        return torch.tensor(values[: rows * stride]).view(rows, stride)[:, :columns]


def linear(p, name, x):
    return x @ p[name + ".weight"] + p[name + ".bias"]


def schedule(c):
    M, out, product = c["steps"], [], 1.0
    for m in range(1, M + 1):
        beta = 1 - math.exp(-0.1 / M - (2 * m - 1) * 9.9 / (2 * M * M))
        before, product = product, product * (1 - beta)
        sigma = 0.0 if m == 1 else math.sqrt((1 - before) / (1 - product) * beta)
        out.append((1 - beta, beta, before, product, sigma))
    return out


def chain(c, p, name, s, noise):
    """x^0 [B, A] from observations [B, S] and noise [M B, A] (x^M, then z of steps M ... 2)."""
    M, B = c["steps"], s.shape[0]
    freq = torch.exp(torch.arange(8.0) * -(math.log(10000.0) / 7))
    x = noise[:B]
    for m in range(M, 0, -1):
        alpha, beta, before, product, sigma = schedule(c)[m - 1]
        angle = m * freq
        e = torch.cat([angle.sin(), angle.cos()])[None]
        e = linear(p, name + ".embedding.2", F.mish(linear(p, name + ".embedding.1", e)))
        h = torch.cat([x, e.expand(B, -1), s], 1)
        for l in range(1, len(c["hidden"]) + 1):
            h = F.mish(linear(p, f"{name}.{l}", h))
        f = linear(p, f"{name}.{len(c['hidden']) + 1}", h)
        if c["noiseOutput"] == "tanh":
            f = torch.tanh(f)
        if c["prediction"] == "epsilon" and c["clip"] is None:
            mean = (x - (1 - alpha) / math.sqrt(1 - product) * f) / math.sqrt(alpha)
        else:
            x0 = f if c["prediction"] == "x0" else (x - math.sqrt(1 - product) * f) / math.sqrt(product)
            if c["clip"] is not None:
                x0 = x0.clamp(-c["clip"], c["clip"])
            mean = math.sqrt(alpha) * (1 - before) / (1 - product) * x + math.sqrt(before) * beta / (1 - product) * x0
        n = M - m + 1
        x = mean + sigma * noise[n * B : (n + 1) * B] if m > 1 else mean
    return torch.softmax(x, 1) if c["q"] == "softmax" else x


def qvalues(c, p, agent, s, noise):
    name = f"agent{c['networks'].index(c['networks'][agent]) + 1}"
    if c["steps"]:
        return chain(c, p, name, s, noise)
    h = s
    for l in range(1, len(c["hidden"]) + 1):
        h = F.mish(linear(p, f"{name}.{l}", h))
    return linear(p, f"{name}.{len(c['hidden']) + 1}", h)


def mixer(c, p, q, state):
    def hyper(n):
        h = state
        for l in range(1, len(c["hyper"]) + 1):
            h = F.relu(linear(p, f"mixer.{n}.{l}", h))
        return linear(p, f"mixer.{n}.{len(c['hyper']) + 1}", h)

    w1, b1, w2, b2 = (hyper(n) for n in ("w1", "b1", "w2", "b2"))
    w1 = w1.view(-1, len(c["actions"]), c["embedding"])
    if c["mixer"] == "monotonic":
        hidden, w2 = F.elu((q[:, :, None] * w1.abs()).sum(1) + b1), w2.abs()
    else:
        hidden = (q[:, :, None] * w1).sum(1) + b1
    return (hidden * w2).sum(1) + b2[:, 0]


def tensors(c):
    """Names and shapes in the order of the parameter store."""
    out = []

    def dense(name, i, o):
        out.extend([(name + ".weight", i, o, i), (name + ".bias", 1, o, i)])

    for agent, actions in enumerate(c["actions"]):
        if c["networks"].index(c["networks"][agent]) != agent:
            continue
        widths = [c["observation"]] + c["hidden"] + [actions]
        if c["steps"]:
            dense(f"agent{agent + 1}.embedding.1", 16, 32)
            dense(f"agent{agent + 1}.embedding.2", 32, 16)
            widths[0] += actions + 16
        for l in range(1, len(widths)):
            dense(f"agent{agent + 1}.{l}", widths[l - 1], widths[l])
    N, E = len(c["actions"]), c["embedding"]
    for name, o in (("w1", N * E), ("b1", E), ("w2", E), ("b2", 1)):
        widths = [N * c["observation"]] + c["hyper"] + [o]
        for l in range(1, len(widths)):
            dense(f"mixer.{name}.{l}", widths[l - 1], widths[l])
    return out


def make(case, c):
    generator, noise = SplitMix(11), Noise(12)
    params = {}
    for name, rows, columns, fan in tensors(c):
        bound = single(1 / single(math.sqrt(fan)))
        values = [single(generator.signed() * bound) for _ in range(rows * columns)]
        params[name] = torch.tensor(values).view(rows, columns).requires_grad_()
    target = {k: v.detach().clone() for k, v in params.items()}
    N, B, S, A, M = len(c["actions"]), c["batch"], c["observation"], c["actions"], c["steps"]
    optimiser = torch.optim.Adam(list(params.values()), lr=5e-4)
    lines, gradients = [f"# {case}, PyTorch {torch.__version__}, double precision"], []
    for step in range(c["trainSteps"]):
        s = torch.tensor([[generator.signed() for _ in range(N * S)] for _ in range(B)])
        s2 = torch.tensor([[generator.signed() for _ in range(N * S)] for _ in range(B)])
        actions = [[generator.next() % A[n] for n in range(N)] for _ in range(B)]
        reward = torch.tensor([generator.signed() for _ in range(B)])
        bootstrap = torch.tensor([float(generator.next() % 4 != 0) for _ in range(B)])
        q, q2 = [], []
        for n in range(N):
            part = slice(n * S, (n + 1) * S)
            with torch.no_grad():
                z = noise.matrix(M * B, A[n]) if M else None
                q2.append(qvalues(c, target, n, s2[:, part], z).max(1).values)
            z = noise.matrix(M * B, A[n]) if M else None
            index = torch.tensor([[actions[b][n]] for b in range(B)])
            q.append(qvalues(c, params, n, s[:, part], z).gather(1, index)[:, 0])
        with torch.no_grad():
            y = reward + 0.99 * bootstrap * mixer(c, target, torch.stack(q2, 1), s2)
        loss = F.mse_loss(mixer(c, params, torch.stack(q, 1), s), y)
        optimiser.zero_grad()
        loss.backward()
        lines.append(f"loss {loss.item():.12g}")
        if step == 0:
            for name, rows, columns, _ in tensors(c):
                gradients.append(f"gradient {name} {rows} {columns}")
                gradients += [" ".join(f"{v:.7g}" for v in row) for row in params[name].grad.tolist()]
        torch.nn.utils.clip_grad_norm_(list(params.values()), c["clipNorm"])
        optimiser.step()
        with torch.no_grad():
            for name in params:
                target[name].lerp_(params[name], 0.001)
    path = pathlib.Path(__file__).with_name(f"pytorch-{case}.txt")
    path.write_text("\n".join(lines + gradients) + "\n")
    print(path, path.stat().st_size)


BASE = dict(actions=[6, 5, 7], networks=[1, 2, 3], observation=5, batch=4, hidden=[8, 7, 6], hyper=[5, 4], embedding=3,
            mixer="monotonic", trainSteps=4, clipNorm=0.05,
            steps=5, prediction="x0", noiseOutput="linear", clip=None, q="logits")
if __name__ == "__main__":
    make("mad2rl", BASE)
    make("mad2rl-printed", {**BASE, "prediction": "epsilon", "q": "softmax", "mixer": "linear"})
    make("mad2rl-shared", {**BASE, "actions": [6, 5, 6], "networks": [1, 2, 1], "noiseOutput": "tanh",
                           "clip": 0.25, "steps": 3})
    make("p-qmix", {**BASE, "steps": 0})
