"""Own algorithms, environments and data frames for VECLab.

- `Agent` and `serve`: an algorithm of yours in an experiment file (Experiments/AGENTS.md).
- `parallel_env`: model 1 as a PettingZoo `ParallelEnv`; `gym_env`: model 2 as a Gymnasium environment.
- `results`: what an experiment has measured, as pandas data frames.

PettingZoo, Gymnasium and pandas are imported when they are needed: `pip install './Scripts/python[all]'`.
"""

from .agent import Agent, Hello, RoadScenario, RoadTransition, SlotScenario, Transition, serve
from .environment import Simulation, gym_env, parallel_env
from .errors import VeclabError
from .results import Results, results
from .situations import Link, RoadSituation, SlotSituation

__all__ = [
    "Agent",
    "Hello",
    "Link",
    "Results",
    "RoadScenario",
    "RoadSituation",
    "RoadTransition",
    "Simulation",
    "SlotScenario",
    "SlotSituation",
    "Transition",
    "VeclabError",
    "gym_env",
    "parallel_env",
    "results",
    "serve",
]
