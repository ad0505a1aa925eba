"""sluice-export: what it writes, under which options, and what it refuses."""
import ast
import json
import os

from harness import SOURCE, TOOLS, Case, Sandbox, run_table

EXPORT = "sluice-export run/weights.h5 -o "
PYTORCH = "sluice-export run/weights.h5 --pytorch "
PLUGIN = f"--plugins.load={TOOLS}/plugin_gate.so"
USAGE = "command line: "


def trained(box):
    box.ok("sluice-train", "net.ini")


def trained_with_plugin(box):
    box.write("net.ini", box.text("net.ini").replace("[layer.pool]", "[layer.gate]\ntype = test_gate\n[layer.pool]"))
    box.ok("sluice-train", "net.ini", PLUGIN)


def without_onnx():
    """Whether this build cannot write it."""
    with Sandbox() as box:
        return "has no ONNX" in box.ok("sluice-export", "--help").out


def refusals():
    cases = [
        Case("no checkpoint", "sluice-export -o model.onnx", 2, USAGE + "expected one checkpoint, got 0 files"),
        Case("two checkpoints", "sluice-export a.h5 b.h5 -o model.onnx", 2, USAGE + "expected one checkpoint, got 2 files"),
        Case("no output", "sluice-export a.h5", 2, USAGE + "expected -o FILE, the file to write"),
        Case("no format", "sluice-export a.h5 -o model.pb", 2,
             USAGE + "-o: 'model.pb' ends neither in .onnx nor in .h5; say --format=onnx or --format=weights"),
        Case("another format", "sluice-export a.h5 -o - --format=pb", 2,
             USAGE + "--format: expected onnx or weights, got 'pb'"),
        Case("an option of the other format", "sluice-export a.h5 -o w.h5 --opset=17", 2,
             USAGE + "--opset is of ONNX models, not of weights"),
        Case("overrides of weights", "sluice-export a.h5 -o w.h5 --run.seed=2", 2,
             USAGE + "--run.seed=2: weights are exported as they are"),
        Case("weights: its input", "sluice-export run/weights.h5 -o run/weights.h5 --force", 2,
             "run/weights.h5: is read by this call; name another file", make=trained),
        Case("weights", EXPORT + "w.h5", 0, "", make=trained, changes=("w.h5",),
             out="wrote w.h5: 7 tensors of run/weights.h5\n")]
    cases += [
        Case("PyTorch: no weights", "sluice-export a.h5 --pytorch model.py", 2,
             USAGE + "expected CHECKPOINT.h5 --pytorch MODEL.py WEIGHTS.h5, got 2 files"),
        Case("PyTorch: other weights", "sluice-export a.h5 --pytorch model.py w.pt", 2,
             USAGE + "--pytorch: 'w.pt' ends neither in .h5 nor in .safetensors"),
        Case("PyTorch: one file", "sluice-export a.h5 --pytorch w.h5 w.h5", 2, USAGE + "--pytorch: both files are 'w.h5'"),
        Case("PyTorch: one file by two names", "sluice-export a.h5 --pytorch ./w.h5 w.h5", 2,
             USAGE + "--pytorch: both files are './w.h5'"),
        Case("PyTorch: an option of ONNX", "sluice-export a.h5 --pytorch model.py w.h5 --opset=17", 2,
             USAGE + "--opset does not go with --pytorch"),
        Case("PyTorch: its input", "sluice-export run/weights.h5 --pytorch model.py run/weights.h5 --force", 2,
             "run/weights.h5: is read by this call; name another file", make=trained),
        Case("PyTorch: its input as the module", "sluice-export run/weights.h5 --pytorch run/weights.h5 w.h5 --force", 2,
             "run/weights.h5: is read by this call; name another file", make=trained),
        Case("PyTorch: a file of the user", PYTORCH + "net.ini w.safetensors", 2,
             "net.ini: is there already, and sluice-export did not write it; name another file, or replace it with --force",
             make=trained),
        Case("PyTorch: a directory that is not there", PYTORCH + "model.py none/w.h5", 6,
             "none/w.h5: cannot write: No such file or directory; make the directory first", make=trained),
        Case("PyTorch: a plug-in's layer", PYTORCH + "model.py w.h5 " + PLUGIN, 2,
             "run/weights.h5: [layer.gate] type: layers of type test_gate cannot be written in PyTorch; export the weights alone "
             "(-o weights.h5)", make=trained_with_plugin),
        Case("PyTorch: the weights of a plug-in's layer", EXPORT + "w.h5", 0, "", make=trained_with_plugin, changes=("w.h5",),
             out="wrote w.h5: 8 tensors of run/weights.h5\n"),
        Case("a PyTorch module", PYTORCH + "model.py w.h5", 0, "", make=trained, changes=("model.py", "w.h5"),
             out="wrote model.py and w.h5: 7 tensors of run/weights.h5\n"),
        Case("a PyTorch module with safetensors", PYTORCH + "model.py w.safetensors", 0, "", make=trained,
             changes=("model.py", "w.safetensors"),
             out="wrote model.py and w.safetensors: 7 tensors of run/weights.h5\n"),
        Case("a PyTorch module: its own earlier output", PYTORCH + "model.py w.safetensors", 0, "",
             make=lambda box: (trained(box), box.ok(*PYTORCH.split(), "model.py", "w.safetensors")))]
    if without_onnx():
        return cases + [Case("no ONNX", "sluice-export a.h5 -o a.onnx", 6,
                             "this build of Sluice has no ONNX; install protobuf-compiler and libprotobuf-dev, and build it again")]
    return cases + [
        Case("an opset that is too old", "sluice-export a.h5 -o a.onnx --opset=8", 2,
             USAGE + "--opset: expected a whole number from 9 to 25, got '8'"),
        Case("an opset that is no number", "sluice-export a.h5 -o a.onnx --opset=new", 2,
             USAGE + "--opset: expected a whole number from 9 to 25, got 'new'"),
        Case("a missing checkpoint", "sluice-export a.h5 -o a.onnx", 5, "a.h5: cannot open: No such file or directory"),
        Case("its input", "sluice-export run/weights.h5 -o run/weights.h5 --format=onnx --force", 2,
             "run/weights.h5: is read by this call; name another file", make=trained),
        Case("a file of the user", EXPORT + "net.ini --format=onnx", 2,
             "net.ini: is there already, and sluice-export did not write it; name another file, or replace it with --force",
             make=trained),
        Case("a file of the user, by force", EXPORT + "net.ini --format=onnx --force", 0, "", make=trained,
             changes=("net.ini",)),
        Case("a directory that is not there", EXPORT + "none/model.onnx", 6,
             "none/model.onnx: cannot write: No such file or directory; make the directory first", make=trained),
        Case("a model", EXPORT + "model.onnx", 0, "", make=trained, changes=("model.onnx",),
             out="wrote model.onnx: 6 operators of opset 17, of run/weights.h5\n"),
        Case("folded", EXPORT + "model.onnx --fold --opset=9", 0, "", make=trained, changes=("model.onnx",),
             out="wrote model.onnx: 5 operators of opset 9, of run/weights.h5\n"),
        Case("with its normalisation", EXPORT + "model.onnx --normalize", 0, "", make=trained, changes=("model.onnx",),
             out="wrote model.onnx: 9 operators of opset 17, of run/weights.h5\n"),
        Case("its own earlier output", EXPORT + "model.onnx", 0, "", changes=("model.onnx",),
             make=lambda box: (trained(box), box.ok(*EXPORT.split(), "model.onnx", "--fold")))]


def other_results():
    """Standard output, JSON, and that the same is written again. Returns how many failed."""
    if without_onnx():
        return 0
    problems = []
    with Sandbox() as box:
        trained(box)
        said = json.loads(box.ok(*EXPORT.split(), "model.onnx", "--json").out)
        if said != {"file": "run/weights.h5", "output": "model.onnx", "opset": 17, "operators": 6}:
            problems.append(f"--json says {said}")
        first = box.read("model.onnx")
        box.ok(*EXPORT.split(), "again.onnx")
        if box.read("again.onnx") != first:
            problems.append("a second model is another one")
        with open(box.at("piped"), "wb") as pipe:
            process = box.start(*EXPORT.split(), "-", "--format=onnx", stdout=pipe)
            said = process.communicate()[1]
        if box.read("piped") != first or said != "wrote -: 6 operators of opset 17, of run/weights.h5\n":
            problems.append(f"- is another model, or says {said!r}")
        for text in (b"sluice.config_digest", b"sluice.content_digest", b"conv.weight", b"[0.5"):
            if text not in first:
                problems.append(f"the model has no {text.decode()}")
        if os.path.getsize(box.at("model.onnx")) < 4 * 95:
            problems.append("the model is smaller than its weights")
    for problem in problems:
        print(f"FAILED: {problem}")
    return len(problems)


STRANGE = """\
[network]
input = 2x6x5
[layer.float]
type = conv
channels = 4
kernel = 3
pad = 1
[layer.3x-lambda.in]
type = batchnorm
[layer.3x-lambda.relu]
type = relu
[layer.pool]
type = global_pool
[layer._modules]
type = linear
features = 3
[layer.loss]
type = softmax_cross_entropy
from = _modules, labels
[data]
class_names = x\"\"\"]+y\\, \u00e4, \U0001f600'
"""
ATTRIBUTES = ['self._modules["float"]', 'self._modules["3x-lambda"]', 'self._modules["in"]', 'self._modules["_modules"]']


def strange_names():
    """No name of a layer or class is more than a text in the module. Returns how many things are wrong."""
    problems = []
    with Sandbox() as box:
        plain = box.text("net.ini")
        box.write("net.ini", STRANGE + plain[plain.index("kind = synthetic"):])
        trained(box)
        box.ok(*PYTORCH.split(), "model.py", "w.safetensors")
        text = box.text("model.py")
        tree = ast.parse(text)
        names = next(node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "CLASS_NAMES")
        if ast.literal_eval(names) != ['x"""]+y\\', "\u00e4", "\U0001f600'"] or not text.isascii():
            problems.append(f"class names are {ast.unparse(names)}")
        problems += [f"no {attribute}" for attribute in ATTRIBUTES if text.count(attribute) != 2]
    for problem in problems:
        print(f"FAILED: {problem}")
    return len(problems)


def without_digest(text):
    return [line for line in text.splitlines() if not line.startswith("Digest of the checkpoint")]


def deployed_module():
    """Of int8 it is the network in fp32, with the weights that were deployed. Returns how many things are wrong."""
    with Sandbox() as box:
        trained(box)
        box.ok("sluice-deploy", "run/weights.h5", "-o", "deployed.h5", "--precision=int8", "--eval.batch=8")
        said = box.ok("sluice-export", "deployed.h5", "--pytorch", "deployed.py", "deployed.safetensors")
        box.ok(*PYTORCH.split(), "model.py", "w.safetensors")
        text, plain = box.text("deployed.py"), box.text("model.py")
        same = box.read("deployed.safetensors") == box.read("w.safetensors")
    if said.err != "note: deployed.h5 rounds to int8; the module computes in fp32\n":
        print(f"FAILED: of an int8 deployment it says {said.err}")
        return 1
    if not same or without_digest(text) != without_digest(plain):
        print(f"FAILED: the module of an int8 deployment is another one:\n{text}")
        return 1
    return 0


READABLE = """\
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16) for _ in range(3)))
        self.layer2 = nn.Sequential(Block2(16, 32), Block(32), Block(32))
        self.layer3 = nn.Sequential(Block2(32, 64), Block(64), Block(64))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        return self.linear(x.mean((2, 3)))
"""
BLOCK = """\
class Block2(nn.Module):
    def __init__(self, in_channels, channels):
        super().__init__()
        self.conv1 = CGConv2d(in_channels, channels, 3, stride=2, padding=1, own_chunk=True, sparse_backprop=True)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = CGConv2d(channels, channels, 3, padding=1, own_chunk=True, sparse_backprop=True)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = PadShortcut(in_channels, channels, stride=2)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))
"""


def readable_module():
    """Blocks are classes that a person would have written. Returns how many things are wrong."""
    with Sandbox() as box:
        box.ok("sluice-export", f"{SOURCE}/configs/pretrained/cifar10_resnet20_cg.h5", "--pytorch", "model.py", "w.h5")
        text = box.text("model.py")
    ast.parse(text)
    missing = [part for part in (READABLE, BLOCK) if part not in text]
    for part in missing:
        print(f"FAILED: the module has no\n{part}but\n{text}")
    return len(missing)


run_table(refusals(), 10, other_results() + strange_names() + deployed_module() + readable_module())
