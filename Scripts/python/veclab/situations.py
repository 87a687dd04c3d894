"""What an agent sees, and the sizes that stay the same through a run.

Everything is counted from 0: cuts are the number of layers that run on the vehicle, node 0 is the RSU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class SlotScenario:
    """Sizes and tables of model 1."""

    clients: int
    """I, client vehicles."""
    nodes: int
    """J, the RSU (node 0) and the service vehicles (nodes 1 to J - 1)."""
    slots: int
    """T, slots of an episode."""
    observation_size: int
    """Numbers in one client's observation, 2 J + 1."""
    layers: list[int]
    """L of each client's DNN."""
    actions: list[int]
    """Number of actions of each client, (L + 1) J; action = cut * J + node."""
    types: list[str]
    """DNN types."""
    type_of_client: list[int]
    """Each client's type."""
    local_work_gflop: list[list[float]]
    """Work on the vehicle, by type and cut, in GFLOP."""
    remote_work_gflop: list[list[float]]
    """Work at the node, by type and cut, in GFLOP."""
    cut_bits: list[list[float]]
    """Data sent, by type and cut, in bit."""

    def action(self, cut: int, node: int) -> int:
        """The number of an action."""
        return cut * self.nodes + node

    @cached_property
    def padded_mask(self) -> Flags:
        """Which actions exist, shape (I, largest number of actions)."""
        counts = np.array(self.actions)
        return np.arange(counts.max())[None, :] < counts[:, None]


@dataclass(frozen=True)
class RoadScenario:
    """Sizes and tables of model 2."""

    rsus: int
    """R, numbered from 1."""
    vehicles: int
    """Task vehicles."""
    slots: int
    """Slots of an episode."""
    observation_size: int
    """Numbers in an observation: request_size + R * link_size."""
    request_size: int
    link_size: int
    types: list[str]
    """DNN types."""
    layers: list[int]
    """Layers of each type; cut = layers is all local."""
    vehicle_frequency_hz: float
    """Greatest frequency of a vehicle."""
    rsu_frequency_hz: float
    """Greatest frequency of an RSU."""
    local_work_flop: list[list[float]]
    """Work on the vehicle, by type and cut, in FLOP."""
    remote_work_flop: list[list[float]]
    """Work at the RSU, by type and cut, in FLOP."""
    cut_bits: list[list[float]]
    """Data sent, by type and cut, in bit."""
    deadline_s: list[float]
    """Time allowed for a task of each type, in s."""


class SlotSituation:
    """A slot of model 1, before its decision. Arrays are made when they are asked for."""

    def __init__(self, message: dict[str, Any], scenario: SlotScenario) -> None:
        self._message = message
        self.scenario = scenario

    @property
    def slot(self) -> int:
        """Number of the slot; T after the last one."""
        return self._message["slot"]

    @cached_property
    def observations(self) -> Floats:
        """Each client's observation, shape (I, 2 J + 1), scaled."""
        return np.array(self._message["observations"], dtype=np.float32)

    @property
    def state(self) -> Floats:
        """The joint state, shape (I (2 J + 1),)."""
        return self.observations.reshape(-1)

    @cached_property
    def tasks(self) -> Flags:
        """Whether each client has a task, shape (I,)."""
        tasks = self._message.get("tasks")
        return np.ones(self.scenario.clients, bool) if tasks is None else np.array(tasks, bool)

    @cached_property
    def reach(self) -> Flags:
        """Whether each client may choose each node, shape (I, J)."""
        reach = self._message.get("reach")
        if reach is None:
            return np.ones((self.scenario.clients, self.scenario.nodes), bool)
        return np.array(reach, bool)

    @cached_property
    def action_masks(self) -> Flags:
        """Which actions each client may take, shape (I, largest number of actions).

        A client without a task has one: action 0, which is ignored.
        """
        mask = self.scenario.padded_mask
        if "reach" in self._message:
            width = mask.shape[1]
            mask = mask & np.tile(self.reach, (1, width // self.scenario.nodes))
        if "tasks" in self._message:
            mask = mask & self.tasks[:, None]
            mask[~self.tasks, 0] = True
        return mask

    # What `sees: slot` adds.

    def _slot(self, key: str) -> Any:
        if key not in self._message:
            raise AttributeError(f"{key} is only there with 'sees: slot' in the experiment file")
        return self._message[key]

    @property
    def time(self) -> float:
        """Start of the slot on the trace's clock, in s (`sees: slot`)."""
        return self._slot("time_s")

    @property
    def client_backlogs(self) -> list[float]:
        """Q_i of each client, in GFLOP (`sees: slot`)."""
        return self._slot("backlogs_gflop")["clients"]

    @property
    def rsu_backlogs(self) -> list[float]:
        """Q_k of each type at the RSU, in GFLOP (`sees: slot`)."""
        return self._slot("backlogs_gflop")["rsu"]

    @property
    def service_backlogs(self) -> list[float]:
        """Q_j of nodes 1 to J - 1, in GFLOP (`sees: slot`)."""
        return self._slot("backlogs_gflop")["service"]

    def edge_backlogs(self, client: int) -> list[float]:
        """Backlog of the queue that a client's task would join at each node, in GFLOP (`sees: slot`)."""
        return [self.rsu_backlogs[self.scenario.type_of_client[client]], *self.service_backlogs]

    @cached_property
    def distance(self) -> Doubles:
        """Of each client to each node, shape (I, J), in m (`sees: slot`)."""
        return np.array(self._slot("distance_m"))

    @cached_property
    def fading(self) -> Doubles:
        """Power fading of each link, shape (I, J) (`sees: slot`)."""
        return np.array(self._slot("fading"))

    @cached_property
    def rate(self) -> Doubles:
        """Of each link, shape (I, J), in bit/s (`sees: slot`)."""
        return np.array(self._slot("rate_bps"))


@dataclass(frozen=True)
class Link:
    """An RSU in range of a task's vehicle (`sees: slot`)."""

    rsu: int
    distance_m: float
    position_m: float
    fading: float
    rate_bps: float
    queue_wait_s: float
    queue_length: int
    broadcast_wait_s: float


class RoadSituation:
    """A task of model 2, before its decision."""

    def __init__(self, message: dict[str, Any], scenario: RoadScenario) -> None:
        self._message = message
        self.scenario = scenario

    @property
    def task(self) -> int:
        """Number of the task in its episode, from 1."""
        return self._message["task"]

    @property
    def vehicle(self) -> int:
        """The task vehicle, from 0."""
        return self._message["vehicle"]

    @property
    def dnn(self) -> int:
        """The task's DNN type."""
        return self._message["dnn"]

    @property
    def layers(self) -> int:
        """Layers of the task's DNN: cuts are 0 to this."""
        return self._message["layers"]

    @property
    def diverted(self) -> int:
        """The RSU that diversion picked, from 1; 0: none is in range."""
        return self._message["diverted"]

    @cached_property
    def observation(self) -> Floats:
        """The state (26), shape (observation_size,)."""
        return np.array(self._message["observation"], dtype=np.float32)

    @cached_property
    def reach(self) -> Flags:
        """Whether each RSU is in range, shape (R,); index 0 is RSU 1."""
        return np.array(self._message["reach"], bool)

    @cached_property
    def links(self) -> list[Link]:
        """The RSUs in range (`sees: slot`)."""
        return [Link(**link) for link in self["links"]]

    def __getitem__(self, key: str) -> Any:
        """A member of the message by its name in AGENTS.md, such as `deadline_s` (`sees: slot`)."""
        if key not in self._message:
            raise KeyError(f"{key}: there is no such member, or only with 'sees: slot'")
        return self._message[key]

    def flat_action(self, places: Any, least_frequency: float = 0.1) -> dict[str, Any]:
        """The members of `act` for four numbers in [-1, 1], each of which is always allowed.

        Args:
            places: Shape (4,): the cut among the task's, the RSU among those in range (none: all local), and the
                frequencies of vehicle and RSU from `least_frequency` times the greatest to the greatest.
        """
        cut, rsu, vehicle, edge = (np.clip(np.asarray(places, np.float64), -1, 1) + 1) / 2
        inside = np.flatnonzero(self.reach) + 1
        chosen = int(inside[min(int(rsu * len(inside)), len(inside) - 1)]) if len(inside) else 0
        return self.action(min(int(cut * (self.layers + 1)), self.layers), chosen, vehicle, edge, least_frequency)

    def action(
        self, cut: int, rsu: int, vehicle: float = 1.0, edge: float = 1.0, least_frequency: float = 0.1
    ) -> dict[str, Any]:
        """The members of `act`; what is not possible becomes all local.

        Args:
            cut: Layers on the vehicle; at or above the task's own: all local.
            rsu: From 1; 0 or one out of range: all local.
            vehicle, edge: Frequencies as places in [0, 1], from `least_frequency` times the greatest to the greatest.
        """
        if cut >= self.layers or not 1 <= rsu <= self.scenario.rsus or not self.reach[rsu - 1]:
            cut, rsu = self.layers, 0

        def frequency(place: float, greatest: float) -> float:
            share = least_frequency + (1 - least_frequency) * float(np.clip(place, 0, 1))
            return min(greatest * share, greatest)

        return {
            "cut": int(cut),
            "rsu": int(rsu),
            "vehicle_frequency_hz": frequency(vehicle, self.scenario.vehicle_frequency_hz),
            "rsu_frequency_hz": frequency(edge, self.scenario.rsu_frequency_hz),
        }
