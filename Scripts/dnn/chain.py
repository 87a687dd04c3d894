"""From the graph of a model to the chain of layers that can be cut."""

import dataclasses
import math


class BadModel(Exception):
    """A model that a layer table cannot describe, or that cannot be read."""


@dataclasses.dataclass
class Node:
    """One operation of a model; `kind` is conv, pool, fc, or other for what has no row of its own.

    Shapes are those of tensors without the batch: (C, H, W), or (features,).
    """

    name: str
    kind: str
    inputs: list  # names of tensors that are no parameters
    output: str
    input_shape: tuple = ()
    output_shape: tuple = ()
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    padding_end: int = 0
    rounds_up: bool = False
    bias: bool = False
    norm: int = 0  # trained parameters per channel of a normalisation that follows
    macs: int = 0
    parameters: int = 0

    @property
    def is_layer(self):
        return self.kind in ("conv", "pool", "fc")


@dataclasses.dataclass
class Model:
    """A model as a list of nodes in the order in which they can be carried out."""

    nodes: list
    input: str
    output: str
    shapes: dict  # tensor -> shape without the batch
    macs: int  # the framework's own count
    parameters: int  # the framework's own count


def elements(shape):
    return math.prod(shape)


class Chain:
    """The layers from a model's input to its output: the way with most layers."""

    def __init__(self, model):
        self.model = model
        self.producer = {node.output: node for node in model.nodes}
        self.layers = self._longest_way()
        if not self.layers:
            raise BadModel("has no convolution, pool or fully connected layer between input and output")
        on_way = {id(node) for node in self.layers}
        rest = [n for n in model.nodes if n.is_layer and id(n) not in on_way and self._matters(n)]
        for node in rest:
            if node.kind != "conv":
                raise BadModel(
                    f"the layer '{node.name}' ({node.kind}) lies beside the chain, where only convolutions "
                    "may stand: a layer table describes chains and residual blocks, not branches of equal rank"
                )
        self.side = rest
        self.skips = {id(node): self._skip(node) for node in self.layers}

    @property
    def macs(self):
        return sum(node.macs for node in self.layers + self.side)

    @property
    def parameters(self):
        return sum(node.parameters for node in self.layers + self.side)

    def check(self, model):
        """Compares what the table will say with the framework's own counts, and each layer with the one before."""
        for name, ours, theirs in (
            ("parameters", self.parameters, model.parameters),
            ("multiply-accumulate operations", self.macs, model.macs),
        ):
            if ours != theirs:
                raise BadModel(
                    f"the table would have {ours:,} {name}, the model has {theirs:,}: it holds layers that a "
                    "layer table cannot describe"
                )
        for before, layer in zip(self.layers, self.layers[1:]):
            if elements(before.output_shape) != elements(layer.input_shape):
                raise BadModel(
                    f"the layer '{layer.name}' takes {elements(layer.input_shape)} elements, but '{before.name}' "
                    f"gives {elements(before.output_shape)}: what lies between them changes their number"
                )

    def _longest_way(self):
        """The way with most layers (of equal ones the first), found from the input on."""
        best = {self.model.input: (0, None, None)}  # tensor -> layers, node, tensor before
        for node in self.model.nodes:
            known = [(best[name][0], -i, name) for i, name in enumerate(node.inputs) if name in best]
            if known:
                count, _, name = max(known)
                best[node.output] = (count + node.is_layer, node, name)
        if self.model.output not in best:
            raise BadModel("its output does not depend on its input")
        way, tensor = [], self.model.output
        while best[tensor][1] is not None:
            _, node, before = best[tensor]
            if node.is_layer:
                way.append(node)
            tensor = before
        return way[::-1]

    def _matters(self, node):
        """Whether the output depends on a node."""
        return self.model.output in self._reach({node.output})

    def _reach(self, tensors):
        """Every tensor that depends on one of the given ones, those included."""
        reached = set(tensors)
        for node in self.model.nodes:
            if any(name in reached for name in node.inputs):
                reached.add(node.output)
        return reached

    def _computable(self, tensors):
        """Every tensor that can be made from the given ones alone."""
        made = set(tensors)
        for node in self.model.nodes:
            if node.inputs and all(name in made for name in node.inputs):
                made.add(node.output)
        return made

    def _skip(self, layer):
        """Elements that must travel besides the layer's own input when the chain is cut before it."""
        main = layer.inputs[0]
        after = self._reach({layer.output})
        made = self._computable({main})
        wanted = {
            name for node in self.model.nodes if node.output in after
            for name in node.inputs if name not in after and name not in made
        }  # fmt: skip
        # Element-wise layers between two tensors of equal size change nothing: each counts once.
        return sum(elements(self.model.shapes[name]) for name in sorted(wanted))
