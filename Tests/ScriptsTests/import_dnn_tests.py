"""Tests of Scripts/import-dnn on ONNX files that are made here, and on torchvision where it is installed."""

import csv
import importlib.util
import pathlib
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMPORT = ROOT / "Scripts" / "import-dnn"

if importlib.util.find_spec("onnx") is None:
    raise unittest.SkipTest("no module onnx: Scripts/install dnn, or pip install onnx")

import numpy  # noqa: E402
import onnx  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


class Net:
    """An ONNX file in the making."""

    def __init__(self, shape):
        self.nodes, self.constants, self.shape, self.count = [], [], shape, 0

    def constant(self, *shape):
        self.count += 1
        name = f"c{self.count}"
        self.constants.append(numpy_helper.from_array(numpy.ones(shape, numpy.float32), name))
        return name

    def add(self, kind, inputs, **attributes):
        self.count += 1
        output = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind.lower()}{self.count}", **attributes))
        return output

    def conv(self, source, ins, outs, kernel, bias=False, **attributes):
        inputs = [source, self.constant(outs, ins, kernel, kernel)] + ([self.constant(outs)] if bias else [])
        return self.add("Conv", inputs, kernel_shape=[kernel, kernel], **attributes)

    def norm(self, source, channels):
        return self.add("BatchNormalization", [source, *(self.constant(channels) for _ in range(4))])

    def save(self, file, output, shape):
        graph = helper.make_graph(
            self.nodes, "net",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)], self.constants
        )  # fmt: skip
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), str(file))


def residual(file, groups=1):
    """conv, pool, a block with a downsampling convolution, a block without, mean, fully connected layer."""
    net = Net([1, 3, 16, 16])
    x = net.add("Relu", [net.norm(net.conv("image", 3, 8, 3, pads=[1, 1, 1, 1]), 8)])
    x = net.add("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    main = net.add("Relu", [net.conv(x, 8, 16, 3, pads=[1, 1, 1, 1], strides=[2, 2], bias=True)])
    main = net.norm(net.conv(main, 16, 16, 3, pads=[1, 1, 1, 1]), 16)
    side = net.conv(x, 8, 16, 1, strides=[2, 2], bias=True)
    x = net.add("Relu", [net.add("Add", [main, side])])
    main = net.conv(x, 16 // groups, 16, 3, pads=[1, 1, 1, 1], group=groups)
    main = net.conv(net.add("Relu", [main]), 16, 16, 3, pads=[1, 1, 1, 1])
    x = net.add("GlobalAveragePool", [net.add("Add", [main, x])])
    x = net.add("Flatten", [x])
    x = net.add("Gemm", [x, net.constant(10, 16), net.constant(10)], transB=1)
    net.save(file, x, [1, 10])


class ImportDNNTests(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.file = self.folder / "net.onnx"

    def run_script(self, *arguments):
        return subprocess.run([str(IMPORT), *map(str, arguments)], capture_output=True, text=True)

    def table(self, source):
        output = self.folder / "net.csv"
        done = self.run_script(source, "-o", output)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(output, newline="") as stream:
            return list(csv.DictReader(stream)), done.stderr

    def test_a_residual_net_has_its_chain_its_side_convolution_and_its_skips(self):
        residual(self.file)
        rows, message = self.table(self.file)
        kinds = [row["kind"] for row in rows]
        self.assertEqual(
            kinds, ["conv", "pool", "conv", "conv", "side-conv", "conv", "conv", "pool", "fc"]
        )
        # Only a cut between the two convolutions of a block ships the tensor that its sum adds: 16 x 4 x 4.
        self.assertEqual([row["skip_elements"] for row in rows], list("0" * 3) + ["256", "0", "0", "256", "0", "0"])
        self.assertEqual([row["channel_parameters"] for row in rows], ["2", "0", "1", "2", "1", "0", "0", "0", "1"])
        self.assertEqual((rows[1]["input_h"], rows[1]["kernel"], rows[1]["stride"]), ("16", "2", "2"))
        self.assertEqual((rows[7]["kernel"], rows[8]["in_features"], rows[8]["out_features"]), ("4", "16", "10"))
        # By hand: 16*16*8*27, 4*4*16*72 (+ 4*4*16*8 beside), 3 times 4*4*16*144, 160.
        macs = 16 * 16 * 8 * 27 + 16 * 16 * 72 + 16 * 16 * 8 + 3 * 16 * 16 * 144 + 160
        parameters = 8 * 27 + 16 + 16 * 72 + 16 + 16 * 144 + 32 + 16 * 8 + 16 + 2 * 16 * 144 + 170
        self.assertIn(f"{macs:,} multiply-accumulate operations, {parameters:,} parameters", message)

    def test_what_a_table_cannot_describe_is_an_error_that_names_the_layer(self):
        residual(self.file, groups=4)
        done = self.run_script(self.file)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"net\.onnx: the layer 'conv\d+' has 4 groups")
        net = Net([1, 3, 8, 8])
        x = net.add("MaxPool", [net.conv("image", 3, 4, 3)], kernel_shape=[1, 3])
        net.save(self.file, x, [1, "c", "h", "w"])
        self.assertRegex(self.run_script(self.file).stderr, "only square windows")

    def test_damaged_and_missing_files_are_errors_without_output(self):
        residual(self.file)
        self.file.write_bytes(self.file.read_bytes()[:200])
        for file in (self.file, self.folder / "absent.onnx"):
            output = self.folder / "net.csv"
            done = self.run_script(file, "-o", output)
            self.assertEqual(done.returncode, 1)
            self.assertIn(file.name, done.stderr)
            self.assertNotIn("Traceback", done.stderr)
            self.assertFalse(output.exists())

    def test_an_open_input_needs_a_size(self):
        net = Net([1, 3, "height", "width"])
        net.save(self.file, net.conv("image", 3, 4, 3), [1, "c", "h", "w"])
        self.assertIn("--input N,C,H,W", self.run_script(self.file).stderr)
        done = self.run_script(self.file, "--input", "1,3,10,10")
        self.assertIn(",conv,10,10,3,3,1,0,,down,4,", done.stdout)

    @unittest.skipIf(importlib.util.find_spec("torchvision") is None, "no module torchvision")
    def test_torchvision_gives_the_shipped_tables(self):
        for model, shipped in (("alexnet", "alexnet"), ("resnet18", "resnet18"), ("vgg16", "vgg16")):
            rows, _ = self.table(f"torchvision:{model}")
            with open(ROOT / "Experiments" / "dnn" / f"{shipped}.csv", newline="") as stream:
                expected = list(csv.DictReader(stream))
            numbers = [key for key in rows[0] if key in expected[0] and key not in ("name", "kind", "padding_end")]
            self.assertEqual(
                sorted([row["kind"], *(row[key] or "0" for key in numbers)] for row in rows),
                sorted([row["kind"], *(row[key] or "0" for key in numbers)] for row in expected),
                model,
            )


if __name__ == "__main__":
    unittest.main()
