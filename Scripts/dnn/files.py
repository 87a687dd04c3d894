"""Layer tables as files."""

import csv
import io
import os
import re
import sys
import tempfile

from .chain import BadModel

COLUMNS = [
    "name", "kind", "input_h", "input_w", "input_c", "kernel", "stride", "padding", "padding_end",
    "rounding", "output_c", "in_features", "out_features", "channel_parameters", "skip_elements",
]  # fmt: skip


def shape(text):
    """`1,3,224,224` -> (1, 3, 224, 224); None stays None."""
    if text is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]*(,[1-9][0-9]*){3}", text):
        raise BadModel(f"--input {text}: must be N,C,H,W, for example 1,3,224,224")
    return tuple(map(int, text.split(",")))


def row(node, kind, skip):
    """The cells of a layer."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", node.name).strip("-") or node.kind
    if kind == "fc":
        cells = {"in_features": node.input_shape[0], "out_features": node.output_shape[0]}
    else:
        channels, height, width = node.input_shape
        end = node.padding_end if node.padding_end != node.padding else ""
        cells = {
            "input_h": height, "input_w": width, "input_c": channels, "kernel": node.kernel,
            "stride": node.stride, "padding": node.padding, "padding_end": end,
            "rounding": "up" if node.rounds_up else "down", "output_c": node.output_shape[0],
        }  # fmt: skip
    per_channel = 0 if kind == "pool" else int(node.bias) + node.norm
    cells |= {"name": name, "kind": kind, "channel_parameters": per_channel, "skip_elements": skip}
    return [cells.get(column, "") for column in COLUMNS]


def text_of(chain):
    """The table of a chain; a layer beside it stands behind the last one of the chain that precedes it."""
    order = {id(node): i for i, node in enumerate(chain.model.nodes)}
    every = sorted(chain.layers + chain.side, key=lambda node: order[id(node)])
    side = {id(node) for node in chain.side}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for node in every:
        beside = id(node) in side
        skip = 0 if beside else chain.skips[id(node)]
        writer.writerow(row(node, "side-conv" if beside else node.kind, skip))
    return stream.getvalue()


def write(chain, file):
    """Writes the table whole or not at all; to standard output without a file."""
    text = text_of(chain)
    if file is None:
        sys.stdout.write(text)
        return
    handle, temporary = tempfile.mkstemp(prefix=".import-dnn-", dir=file.parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise
