"""Models of torchvision, followed with torch.fx; their weights are not needed and not loaded."""

import difflib

import torch
import torch.fx
import torchvision
from torch import nn
from torch.fx.passes.shape_prop import ShapeProp

from .chain import BadModel, Model, Node, elements

NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


def load(name, input_shape):
    """The graph of `torchvision:NAME` for an input (N, C, H, W); 1,3,224,224 without one."""
    module = make(name.partition(":")[2])
    sample = torch.zeros((1, *(input_shape or (1, 3, 224, 224))[1:]))
    try:
        traced = torch.fx.symbolic_trace(module)
        with torch.no_grad():
            ShapeProp(traced).propagate(sample)
    except Exception as error:
        raise BadModel(f"cannot be followed: {str(error).splitlines()[0]}") from None
    modules = dict(traced.named_modules())
    nodes, shapes, first, last = [], {}, None, None
    norms = []
    for entry in traced.graph.nodes:
        if entry.op == "output":
            last = entry.args[0].name if isinstance(entry.args[0], torch.fx.Node) else None
            continue
        found = entry.meta.get("tensor_meta")
        if found is None or not hasattr(found, "shape"):
            continue
        shapes[entry.name] = tuple(found.shape[1:])
        if entry.op == "placeholder":
            first = entry.name
            continue
        node = convert(entry, modules, shapes, norms)
        nodes.append(node)
    if last is None or first is None:
        raise BadModel("has more than one output")
    merge_norms(nodes, norms)
    return Model(
        nodes, first, last, shapes, macs=counted_macs(module, sample),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
    )  # fmt: skip


def make(name):
    """A classification model by its name, without weights."""
    known = [word for word in dir(torchvision.models) if word.islower() and callable(getattr(torchvision.models, word))]
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise BadModel(f"torchvision has no model '{name}'{hint}")
    make_model = getattr(torchvision.models, name)
    try:
        model = make_model(weights=None)
    except TypeError:
        raise BadModel(f"'{name}' is not a model of torchvision") from None
    return model.eval()


def counted_macs(module, sample):
    """Multiply-accumulate operations, counted while the model runs once."""
    total = 0

    def count(layer, inputs, output):
        nonlocal total
        total += output[0].numel() * elements(layer.weight.shape[1:])

    hooks = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        module(sample)
    for hook in hooks:
        hook.remove()
    return total


def one(layer, values, what):
    """The one value of a square window."""
    values = values if isinstance(values, tuple) else (values,)
    if len(set(values)) != 1 or isinstance(values[0], str):
        raise BadModel(f"the layer '{layer}' has {what} {values}; only square windows can be described")
    return values[0]


def convert(entry, modules, shapes, norms):
    """One node of the traced graph."""
    inputs = [node.name for node in entry.all_input_nodes if node.name in shapes]
    node = Node(str(entry.target), "other", inputs, entry.name, output_shape=shapes[entry.name])
    if inputs:
        node.input_shape = shapes[inputs[0]]
    layer = modules.get(entry.target) if entry.op == "call_module" else None
    if isinstance(layer, nn.Conv2d):
        if layer.groups != 1:
            raise BadModel(
                f"the layer '{node.name}' has {layer.groups} groups, which a layer table cannot describe"
            )
        if one(node.name, layer.dilation, "a dilation of") != 1:
            raise BadModel(f"the layer '{node.name}' is dilated, which a layer table cannot describe")
        node.kind, node.bias = "conv", layer.bias is not None
        set_window(node, layer)
        node.macs = elements(node.output_shape) * elements(layer.weight.shape[1:])
        node.parameters = sum(p.numel() for p in layer.parameters())
    elif isinstance(layer, nn.Linear):
        node.kind, node.bias = "fc", layer.bias is not None
        node.macs = layer.weight.numel()
        node.parameters = sum(p.numel() for p in layer.parameters())
    elif isinstance(layer, POOLS):
        set_pool(node, layer)
    elif isinstance(layer, NORMS):
        norms.append((inputs[0], sum(p.numel() for p in layer.parameters())))
    elif "pool" in node.name.lower() and node.input_shape != node.output_shape:
        raise BadModel(f"the pool '{node.name}' is a function, whose window cannot be read; use its module")
    return node


def set_window(node, layer):
    node.kernel = one(node.name, layer.kernel_size, "a kernel of")
    node.stride = one(node.name, layer.stride, "strides of")
    node.padding = node.padding_end = one(node.name, layer.padding, "a padding of")
    node.rounds_up = bool(getattr(layer, "ceil_mode", False))


def set_pool(node, layer):
    """A pool; one whose window is a single element changes nothing and gets no row."""
    node.kind = "pool"
    if isinstance(layer, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
        size, wanted = node.input_shape[1:], node.output_shape[1:]
        if size == wanted:
            node.kind = "other"
            return
        windows = {have // want for have, want in zip(size, wanted) if have % want == 0}
        if len(windows) != 1 or len(size) != len(wanted):
            raise BadModel(f"the adaptive pool '{node.name}' from {size} to {wanted} has windows of several sizes")
        node.kernel = node.stride = windows.pop()
        if wanted[0] == 1:
            node.stride = 1
    else:
        set_window(node, layer)


def merge_norms(nodes, norms):
    """Counts the trained parameters of a normalisation with the convolution before it."""
    producer = {node.output: node for node in nodes}
    for source, count in norms:
        layer = producer.get(source)
        if layer is None or layer.kind != "conv" or count % layer.output_shape[0]:
            raise BadModel("a normalisation with parameters follows no convolution, which a layer table cannot describe")
        layer.norm += count // layer.output_shape[0]
        layer.parameters += count
