"""External agents: an algorithm of yours as a child of VECLab's worker."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, BinaryIO, Literal

from .errors import VeclabError
from .situations import RoadScenario, RoadSituation, SlotScenario, SlotSituation

PROTOCOL = 1

Phase = Literal["train", "eval"]


@dataclass(frozen=True)
class Hello:
    """What a run tells its agent at the start."""

    model: str
    """`single-rsu` (model 1) or `road-rsu` (model 2)."""
    algorithm: str
    """The agent's name in the experiment file."""
    seed: int
    """The run's seed: take all randomness from it."""
    learner: bool
    sees: str
    episodes: int
    """Training episodes; 0 for an agent that does not learn."""
    evaluation_episodes: int
    parameters: dict[str, Any]
    """The agent's own parameters."""
    scenario: Any
    """`SlotScenario` of model 1 or `RoadScenario` of model 2."""
    run: dict[str, Any]
    """Every parameter of the run, as in `run.json`."""
    constants: dict[str, Any]
    """What was drawn for the run, as in `run.json`."""


@dataclass(frozen=True)
class Transition:
    """A slot of a training episode of model 1 and what followed."""

    situation: SlotSituation
    actions: Sequence[int]
    reward: float
    """For all clients together."""
    next: SlotSituation
    last: bool
    """Whether the episode ends here: it is cut off, so bootstrap from `next`."""
    measures: dict[str, Any]
    """`delay_s` of each client and its parts."""


@dataclass(frozen=True)
class RoadTransition:
    """A task of a training episode of model 2 and what followed."""

    situation: RoadSituation
    action: Mapping[str, Any]
    reward: float
    """Minus the task's cost."""
    next: RoadSituation | None
    """The next task; None after the last one."""
    last: bool
    measures: dict[str, Any]
    """`delay_s`, `energy_j`, `cost`, `missed`."""


class Agent:
    """What `serve` runs. Override `decide`, and of the rest what the algorithm needs."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.scenario = hello.scenario

    def constants(self) -> dict[str, Any]:
        """What `run.json` shall say about the agent under `learner`: the same for the same run."""
        return {}

    def begin_episode(self, episode: int, phase: Phase) -> None:
        """An episode begins, counted from 1; phase `eval`: neither explore nor learn."""

    def decide(self, situation: Any) -> Any:
        """The decision.

        Model 1: one action for each client, cut * J + node. Model 2: a mapping with `cut`, `rsu` and, if they are
        not the greatest, `vehicle_frequency_hz` and `rsu_frequency_hz`.
        """
        raise NotImplementedError("an agent needs decide()")

    def learn(self, transition: Any) -> None:
        """Learns from a `Transition` (model 1) or `RoadTransition` (model 2)."""

    def end_episode(self) -> Mapping[str, float] | None:
        """The episode is over: `loss`, `epsilon` and `steps` (gradient steps) of it, as far as they are known."""
        return None

    def save(self, path: str) -> None:
        """Writes everything that is needed to go on into one file. Override it together with `restore`."""
        raise NotImplementedError

    def restore(self, path: str) -> None:
        """Reads what `save` wrote."""
        raise NotImplementedError

    def close(self) -> None:
        """The run is over."""


def scenario_of(message: Mapping[str, Any], model: str) -> SlotScenario | RoadScenario:
    """The scenario of a `hello`; members that this version does not know are left out."""
    kind = SlotScenario if model == "single-rsu" else RoadScenario
    known = {field.name for field in fields(kind)}
    return kind(**{key: value for key, value in message.items() if key in known})


class Session:
    """One run's exchange over two streams."""

    def __init__(self, kind: type[Agent], reader: BinaryIO, writer: BinaryIO) -> None:
        self._kind = kind
        self._reader = reader
        self._writer = writer
        self._agent: Agent | None = None
        self._is_slot = True
        self._situation: Any = None
        self._action: Any = None

    def run(self) -> None:
        """Answers until the run ends."""
        for line in self._reader:
            message = json.loads(line)
            kind = message["type"]
            if kind == "end":
                if self._agent is not None:
                    self._agent.close()
                return
            answer = getattr(self, "_on_" + kind, None)
            if answer is None:
                raise VeclabError(f"a message of type '{kind}', which this package does not know")
            answer(message)
        raise VeclabError("the program closed the connection without 'end'")

    def _say(self, message: dict[str, Any]) -> None:
        # NaN is no JSON.
        text = json.dumps(message, allow_nan=False, separators=(",", ":"), default=_plain)
        self._writer.write(text.encode() + b"\n")
        self._writer.flush()

    @property
    def agent(self) -> Agent:
        if self._agent is None:
            raise VeclabError("a message before 'hello'")
        return self._agent

    def _situation_of(self, message: dict[str, Any] | None) -> Any:
        if message is None:
            return None
        return (SlotSituation if self._is_slot else RoadSituation)(message, self.agent.scenario)

    def _on_hello(self, message: dict[str, Any]) -> None:
        if message["protocol"] != PROTOCOL:
            raise VeclabError(
                f"the program speaks protocol {message['protocol']}, this package {PROTOCOL}: install the "
                "package of the program's version"
            )
        self._is_slot = message["model"] == "single-rsu"
        known = {field.name for field in fields(Hello)}
        values = {key: value for key, value in message.items() if key in known}
        values["scenario"] = scenario_of(message["scenario"], message["model"])
        self._agent = self._kind(Hello(**values))
        can_save = self._kind.save is not Agent.save and self._kind.restore is not Agent.restore
        ready: dict[str, Any] = {"type": "ready", "protocol": PROTOCOL, "checkpoint": can_save}
        if constants := self._agent.constants():
            ready["constants"] = constants
        self._say(ready)

    def _on_episode(self, message: dict[str, Any]) -> None:
        self.agent.begin_episode(message["episode"], message["phase"])

    def _on_decide(self, message: dict[str, Any]) -> None:
        self._situation = self._situation_of(message)
        self._action = self.agent.decide(self._situation)
        if self._is_slot:
            actions = self._action
            if hasattr(actions, "tolist"):
                actions = actions.tolist()
            self._say({"type": "act", "actions": list(actions)})
        else:
            self._say({"type": "act", **self._action})

    def _on_learn(self, message: dict[str, Any]) -> None:
        kind = Transition if self._is_slot else RoadTransition
        next = self._situation_of(message["next"])
        self.agent.learn(
            kind(self._situation, self._action, message["reward"], next, message["last"], message["measures"])
        )

    def _on_end_episode(self, message: dict[str, Any]) -> None:
        figures = self.agent.end_episode() or {}
        self._say({"type": "done", **figures})

    def _on_save(self, message: dict[str, Any]) -> None:
        self.agent.save(message["path"])
        self._say({"type": "saved"})

    def _on_restore(self, message: dict[str, Any]) -> None:
        self.agent.restore(message["path"])
        self._say({"type": "restored"})

    def fail(self, problem: str) -> None:
        """Tells the program why the agent gives up."""
        try:
            self._say({"type": "error", "message": problem})
        except (OSError, ValueError):
            pass  # The program is gone: nobody is left to tell.


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy and PyTorch as JSON knows them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON")


def serve(kind: type[Agent]) -> None:
    """Runs an agent: the last line of its program.

    What the agent prints goes to standard error, and so to the attempt's log: standard output is the protocol's.
    Ends the process, with 0 if the run came to its end.
    """
    protocol = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    session = Session(kind, sys.stdin.buffer, protocol)
    try:
        session.run()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        traceback.print_exc()
        session.fail(f"{type(error).__name__}: {error}")
        sys.exit(1)
    sys.exit(0)
