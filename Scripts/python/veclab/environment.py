"""The simulator as an environment: `veclab environment FILE` as a child process, PettingZoo and Gymnasium on top."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .agent import PROTOCOL, Phase, scenario_of
from .errors import VeclabError
from .situations import RoadScenario, RoadSituation, SlotScenario, SlotSituation

if TYPE_CHECKING:
    import gymnasium
    import pettingzoo

Sees = Literal["observation", "slot"]


def find_program(program: str | os.PathLike[str] | None = None) -> str:
    """The `veclab` program: as given, `$VECLAB`, in PATH, or `.build/release/veclab` here or in a folder above.

    Raises:
        VeclabError: if there is none.
    """
    if given := program or os.environ.get("VECLAB"):
        found = shutil.which(os.fspath(given))
        if found is None:
            raise VeclabError(f"{given}: is not a program that can be run")
        return found
    if found := shutil.which("veclab"):
        return found
    here = Path.cwd()
    for folder in [here, *here.parents]:
        candidate = folder / ".build/release/veclab"
        if os.access(candidate, os.X_OK):
            return str(candidate)
    raise VeclabError(
        "no program 'veclab' in PATH, nor .build/release/veclab in this folder or one above: build it, or set VECLAB to "
        "its path"
    )


def _text(value: Any) -> str:
    """A parameter's value as the command line takes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_text(element) for element in value) + "]"
    if hasattr(value, "item"):
        value = value.item()
    return repr(value) if isinstance(value, float) else str(value)


def _stop(process: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    """Ends the child: it leaves at the end of its input, and is killed if it does not."""
    try:
        if process.stdin is not None:
            process.stdin.close()
    except OSError:
        pass  # It has ended already.
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    folder.cleanup()


class Simulation:
    """A child process that simulates one scenario: the layer below `parallel_env` and `gym_env`.

    Args:
        file: Experiment file. Keys that its grid varies and that the model has must be given as parameters, unless they
            have one value; `seed` is the first one unless given.
        profile: Profile of the file; None: its first.
        sees: `slot` adds what the non-learning algorithms see to every situation.
        program: The `veclab` program; None: see `find_program`.
        parameters: Parameters of the model and `seed`, in place of the file's.

    Raises:
        VeclabError: what the program says is wrong with file, parameters or trace.

    The child ends with `close`, with the object, and with Python, however that ends.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        *,
        profile: str | None = None,
        sees: Sees = "observation",
        program: str | os.PathLike[str] | None = None,
        **parameters: Any,
    ) -> None:
        command = [find_program(program), "environment", os.fspath(file), "--sees", sees]
        if profile is not None:
            command += ["--profile", profile]
        for key, value in parameters.items():
            command += ["--parameters", f"{key}={_text(value)}"]
        folder = tempfile.TemporaryDirectory(prefix="veclab-")
        with open(os.path.join(folder.name, "errors"), "wb") as errors:
            self._errors = errors.name
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
        self._close = weakref.finalize(self, _stop, self._process, folder)
        try:
            self._take_hello(self._receive())
        except BaseException:
            self._close()
            raise

    def _take_hello(self, hello: dict[str, Any]) -> None:
        if hello["protocol"] != PROTOCOL:
            self._close()
            raise VeclabError(f"the program speaks protocol {hello['protocol']}, this package {PROTOCOL}")
        self.model: str = hello["model"]
        """`single-rsu` or `road-rsu`."""
        self.seed: int = hello["seed"]
        self.run: dict[str, Any] = hello["run"]
        """Every parameter, as in `run.json`."""
        self.constants: dict[str, Any] = hello["constants"]
        """What was drawn, as in `run.json`."""
        self.scenario: Any = scenario_of(hello["scenario"], self.model)
        """`SlotScenario` or `RoadScenario`."""

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            code = self._process.wait()
            with open(self._errors, encoding="utf-8", errors="replace") as errors:
                said = errors.read().strip().removeprefix("Error: ").split("\nUsage: ")[0]
            raise VeclabError(said or f"the program ended with code {code}")
        message = json.loads(line)
        if message["type"] == "error":
            raise VeclabError(message["message"])
        return message

    def _exchange(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if not self._close.alive:
            raise VeclabError("the environment is closed")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # Its last words say why.
        return self._receive()

    def _situation(self, message: dict[str, Any] | None) -> Any:
        if message is None:
            return None
        return (SlotSituation if self.model == "single-rsu" else RoadSituation)(message, self.scenario)

    def set_seed(self, seed: int) -> None:
        """Another run of the sweep: draws capacities, roles and windows of this seed."""
        if seed != self.seed:
            self._take_hello(self._exchange({"type": "seed", "seed": int(seed)}))

    def begin(self, episode: int, phase: Phase = "train") -> Any:
        """Begins an episode: the same windows, fading and tasks as in a run of the sweep.

        Args:
            episode: Counted from 1.
            phase: `train`: first part of the trace; `eval`: last part.

        Returns:
            The first situation; None if the episode has no task (model 2).
        """
        message = self._exchange({"type": "episode", "episode": int(episode), "phase": phase})
        return self._situation(message) if message["type"] == "decide" else None

    def act(self, **action: Any) -> tuple[float, Any, bool, dict[str, Any]]:
        """Carries out a decision, with the members of `act` in AGENTS.md.

        Returns:
            Reward, next situation (None: there is none), whether the episode is over, and measures; after the
            last decision these include `episode`, the columns of `episodes.csv`.
        """
        message = self._exchange({"type": "act", **action})
        return message["reward"], self._situation(message["next"]), message["last"], message["measures"]

    def close(self) -> None:
        """Ends the child process."""
        self._close()


def parallel_env(
    file: str | os.PathLike[str],
    *,
    phase: Phase = "train",
    profile: str | None = None,
    sees: Sees = "observation",
    program: str | os.PathLike[str] | None = None,
    **parameters: Any,
) -> pettingzoo.ParallelEnv:
    """Model 1 as a PettingZoo `ParallelEnv`: every client vehicle is an agent.

    Agents are `client_1` ... `client_I`. An observation is a dict of `observation` (float32, shape (2 J + 1,)) and `action_mask`
    (int8, shape (number of actions,)), an action a number cut * J + node; the mask stands in `infos` too. The reward is common to all.
    An episode is truncated after its last slot, never terminated. `state()` is the joint state, float32, shape (I (2 J + 1),).

    `reset()` goes on to the next episode; `reset(options={"episode": 7, "phase": "eval"})` to that one; `reset(seed=s)` to
    the first episode of the run with seed s. Same seed, phase and episode: same numbers as a run of the sweep.

    Args:
        file: Experiment file of model 1.
        phase: Of episodes that `reset` is not told otherwise about.
        profile, sees, program, parameters: See `Simulation`.
    """
    from ._pettingzoo import ClientsEnv

    simulation = Simulation(file, profile=profile, sees=sees, program=program, **parameters)
    if simulation.model != "single-rsu":
        simulation.close()
        raise VeclabError(f"{file}: model: parallel_env is of model 'single-rsu' (got '{simulation.model}'). Use gym_env.")
    return ClientsEnv(simulation, phase)


def gym_env(
    file: str | os.PathLike[str],
    *,
    flat: bool = False,
    phase: Phase = "train",
    least_frequency: float = 0.1,
    profile: str | None = None,
    sees: Sees = "observation",
    program: str | os.PathLike[str] | None = None,
    **parameters: Any,
) -> gymnasium.Env[Any, Any]:
    """Model 2 as a Gymnasium environment: a step decides one task.

    The observation is the state (26), float32, shape (observation_size,). The action is a `Dict`:
    `cut` (0 to the most layers of any DNN; at or above the task's own layers it is all local), `rsu` (0 none, 1 to R; one out of range,
    or none, makes the task local) and `frequencies` (float32, shape (2,), in [0, 1]: vehicle and RSU, from `least_frequency` times the
    greatest to the greatest). With `flat` it is a `Box` in [-1, 1] of shape (4,): cut among the task's cuts, RSU among those in range, and the two
    frequencies. `infos` has `cut_mask` (shape (most layers + 1,)) and `rsu_mask` (shape (R + 1,)), and after a step the measures of the task.

    An episode is truncated after its last task; the observation is then zeros. Episodes without a task are passed over.
    `reset` chooses episodes as in `parallel_env`.

    Args:
        file: Experiment file of model 2.
        least_frequency: Least frequency, as a share of the greatest.
        phase: Of episodes that `reset` is not told otherwise about.
        profile, sees, program, parameters: See `Simulation`.
    """
    from ._gymnasium import RoadEnv

    simulation = Simulation(file, profile=profile, sees=sees, program=program, **parameters)
    if simulation.model != "road-rsu":
        simulation.close()
        raise VeclabError(f"{file}: model: gym_env is of model 'road-rsu' (got '{simulation.model}'). Use parallel_env.")
    return RoadEnv(simulation, phase, flat=flat, least_frequency=least_frequency)


class EpisodeCounter:
    """Which episode `reset` begins."""

    def __init__(self, simulation: Simulation, phase: Phase) -> None:
        self._simulation = simulation
        self._phase: Phase = phase
        self._episode = 0

    def next(self, seed: int | None, options: Mapping[str, Any] | None) -> tuple[int, Phase]:
        """Number and phase of the episode to begin; takes up another seed."""
        options = options or {}  # Others than ours belong to wrappers.
        if seed is not None:
            self._simulation.set_seed(seed)
            self._episode = 0
        self._episode = options.get("episode", self._episode + 1)
        phase = options.get("phase", self._phase)
        return self._episode, phase


def integers(actions: Sequence[Any]) -> list[int]:
    """Actions as plain integers."""
    return [int(action) for action in actions]


__all__ = ["EpisodeCounter", "Simulation", "find_program", "gym_env", "integers", "parallel_env", "RoadScenario", "SlotScenario"]
