"""Models from ONNX files."""

import onnx
from onnx import numpy_helper, shape_inference

from .chain import BadModel, Model, Node, elements

POOLS = ("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")
# Layers with parameters or windows that a layer table has no kind for.
UNKNOWN = ("ConvTranspose", "LSTM", "GRU", "RNN", "Attention", "QLinearConv", "ConvInteger", "LRN")


def load(path, input_shape):
    """The graph of an ONNX file.

    `input_shape` (N, C, H, W) fixes what the file leaves open.
    """
    try:
        file = onnx.load(path)
        onnx.checker.check_model(file)
    except OSError as error:
        raise BadModel(error.strerror or str(error)) from None
    except Exception as error:  # protobuf and the checker have errors of their own
        raise BadModel(f"is no valid ONNX model: {str(error).splitlines()[0]}") from None
    graph = file.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise BadModel(f"has {len(inputs)} inputs and {len(graph.output)} outputs; one of each is needed")
    fix_input(inputs[0], input_shape)
    try:
        graph = shape_inference.infer_shapes(file, strict_mode=True, data_prop=True).graph
    except Exception as error:
        raise BadModel(f"its shapes do not fit together: {str(error).splitlines()[0]}") from None
    shapes = tensor_shapes(graph)
    for node in graph.node:
        if node.op_type == "Constant":
            constants |= {node.output[0]: numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"}
    nodes, norms = [], {}
    for entry in graph.node:
        node = convert(entry, constants, shapes, norms)
        if node is not None:
            nodes.append(node)
    merge_norms(nodes, norms)
    return Model(
        nodes, inputs[0].name, graph.output[0].name, shapes,
        macs=sum(own_macs(entry, constants, shapes) for entry in graph.node),
        parameters=sum(own_parameters(entry, constants) for entry in graph.node),
    )  # fmt: skip


def fix_input(entry, input_shape):
    """Writes the shape that the caller gives into the model; without one every extent must be known."""
    extents = entry.type.tensor_type.shape.dim
    if input_shape is not None:
        if len(extents) != 4:
            raise BadModel(f"its input '{entry.name}' has {len(extents)} extents, --input four")
        for extent, value in zip(extents, input_shape):
            extent.ClearField("dim_param")
            extent.dim_value = value
    elif any(not extent.HasField("dim_value") for extent in list(extents)[1:]):
        raise BadModel(f"its input '{entry.name}' has no fixed size: give --input N,C,H,W")
    if extents and not extents[0].HasField("dim_value"):
        extents[0].dim_value = 1


def tensor_shapes(graph):
    """Shapes of all tensors without the batch."""
    shapes = {}
    for entry in [*graph.input, *graph.value_info, *graph.output]:
        extents = [extent.dim_value for extent in entry.type.tensor_type.shape.dim]
        shapes[entry.name] = tuple(extents[1:])
    return shapes


def attributes(entry):
    return {a.name: onnx.helper.get_attribute_value(a) for a in entry.attribute}


def square(entry, values, what):
    """The one value of a square window."""
    if len(set(values)) != 1:
        raise BadModel(f"the layer '{entry.name}' has {what} {list(values)}; only square windows can be described")
    return values[0]


def convert(entry, constants, shapes, norms):
    """One node; None for what only makes constants."""
    inputs = [name for name in entry.input if name and name not in constants]
    if not inputs or not entry.output:
        return None
    if entry.op_type in UNKNOWN:
        raise BadModel(f"the layer '{entry.name}' is a {entry.op_type}, which a layer table cannot describe")
    given = attributes(entry)
    node = Node(entry.name or entry.output[0], "other", inputs, entry.output[0])
    node.output_shape = shapes.get(entry.output[0], ())
    node.input_shape = shapes.get(inputs[0], ())
    if entry.op_type == "Conv":
        weights = constants.get(entry.input[1])
        if weights is None or weights.ndim != 4:
            raise BadModel(f"the layer '{node.name}' is no two-dimensional convolution with fixed weights")
        if given.get("group", 1) != 1:
            raise BadModel(f"the layer '{node.name}' has {given['group']} groups, which a layer table cannot describe")
        set_window(entry, node, given, weights.shape[2:])
        node.kind, node.bias = "conv", len(entry.input) > 2
    elif entry.op_type in ("Gemm", "MatMul"):
        weights = [constants[name] for name in entry.input[:2] if name in constants]
        if len(weights) != 1 or len(node.input_shape) != 1:
            raise BadModel(f"the layer '{node.name}' multiplies no single row by fixed weights")
        node.kind, node.bias = "fc", entry.op_type == "Gemm" and len(entry.input) > 2
    elif entry.op_type in POOLS:
        set_pool(entry, node, given)
    elif entry.op_type == "BatchNormalization":
        norms[entry.output[0]] = (inputs[0], node)
    elif entry.op_type == "Add" and len(inputs) == 1:
        norms[entry.output[0]] = (inputs[0], node)  # the bias of a MatMul
        node.bias = True
    if node.is_layer:
        node.macs = own_macs(entry, constants, shapes)
        node.parameters = own_parameters(entry, constants)
    return node


def set_window(entry, node, given, kernel):
    """Kernel, stride and padding of a convolution or a pool."""
    node.kernel = square(entry, kernel, "a kernel of")
    node.stride = square(entry, given.get("strides", [1, 1]), "strides of")
    square(entry, [1, *given.get("dilations", [1, 1])], "dilations of")
    automatic = given.get("auto_pad", b"NOTSET").decode()
    pads = given.get("pads", [0, 0, 0, 0])
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        length = node.input_shape[-1]
        total = max((-(-length // node.stride) - 1) * node.stride + node.kernel - length, 0)
        low, high = total // 2, total - total // 2
        pads = [low, low, high, high] if automatic == "SAME_UPPER" else [high, high, low, low]
    node.padding = square(entry, pads[:2], "a padding of")
    node.padding_end = square(entry, pads[2:], "a padding of")
    node.rounds_up = bool(given.get("ceil_mode", 0))


def set_pool(entry, node, given):
    """A pool; one whose window is a single element changes nothing and gets no row."""
    if entry.op_type.startswith("Global"):
        node.kernel = square(entry, node.input_shape[1:], "a window of")
        node.kind = "pool"
    else:
        set_window(entry, node, given, given["kernel_shape"])
        node.kind = "pool"
    if node.kernel == 1 and node.stride == 1:
        node.kind = "other"


def merge_norms(nodes, norms):
    """Counts the parameters of a normalisation, or of a bias added later, with the layer before it."""
    producer = {node.output: node for node in nodes}
    for source, own in norms.values():
        layer = producer.get(source)
        if layer is None or layer.kind not in ("conv", "fc"):
            continue
        added = 1 if own.bias else 2
        layer.norm += added
        layer.parameters += added * layer.output_shape[0]


def own_macs(entry, constants, shapes):
    """Multiply-accumulate operations of a node from its weights and the shape of its output."""
    if entry.op_type == "Conv":
        weights = constants[entry.input[1]]
        return elements(shapes[entry.output[0]]) * elements(weights.shape[1:])
    if entry.op_type in ("Gemm", "MatMul"):
        return sum(constants[name].size for name in entry.input[:2] if name in constants)
    return 0


def own_parameters(entry, constants):
    """Trained parameters of a node; mean and variance of a normalisation are none."""
    if entry.op_type == "BatchNormalization":
        return sum(constants[name].size for name in entry.input[1:3] if name in constants)
    if entry.op_type in ("Conv", "Gemm", "MatMul", "Add", "PRelu"):
        return sum(constants[name].size for name in entry.input if name in constants)
    return 0
