"""pt2h5.py on files as people save them: what it takes, under which words it refuses, and that it then leaves nothing behind."""
import contextlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tempfile

MAKE = """
import argparse, json, sys, torch, types
from torch import nn
net = nn.Sequential()
net.add_module("c", nn.Conv2d(1, 4, 3, bias=False)); net.add_module("n", nn.BatchNorm2d(4))
s = net.state_dict()
wrapped = {"module._orig_mod." + name: value for name, value in s.items()}
lightning = {"model._orig_mod." + name: value for name, value in s.items()}
lightning["criterion.weight"] = torch.ones(4)
optimizer = {"state": {0: {"momentum": torch.zeros(3)}}, "param_groups": []}
class Hostile:
    def __reduce__(self):
        return open, ("ran", "w")
class Own:
    __module__ = "elsewhere"
sys.modules["elsewhere"] = types.ModuleType("elsewhere")
sys.modules["elsewhere"].Own = Own
files = {
    "plain": s, "tutorial": {"epoch": 5, "model_state_dict": s, "optimizer_state_dict": optimizer, "loss": 0.4},
    "nested": {"model": {"state_dict": s}}, "one": {"resnet": s, "optim": optimizer}, "ema": {"net": s, "model_ema": s},
    "two": {"generator": s, "encoder": s}, "wrapped": wrapped,
    "lightning": {"epoch": 3, "pytorch-lightning_version": "2.1.0", "state_dict": lightning, "optimizer_states": [optimizer],
                  "hyper_parameters": {"lr": 0.1}},
    "averaged": {"n_averaged": torch.tensor(7), **wrapped}, "timm": {"arch": "r", "state_dict": s, "state_dict_ema": s},
    "below": {"body.net." + name: value for name, value in s.items()}, "modules": {"model": net, "args": argparse.Namespace(a=1)},
    "types": {"a": torch.ones(2, dtype=torch.bfloat16), "b": torch.ones(2).half(), "epoch": 5},
    "numbers": {1: torch.zeros(3)}, "sparse": {"c.weight": torch.eye(3).to_sparse()},
    "complex": {"a": torch.ones(2, dtype=torch.complex64)}, "integers": {"a": torch.tensor([2**24 + 1])},
    "twice": {"module.a": torch.ones(2), "a": torch.ones(2)}, "slash": {"a/b": torch.ones(2)},
    "mixed": {"a": torch.ones(2), "b": {"c": torch.ones(2)}}, "loss": {"loss": torch.tensor(1.0)}, "empty": {},
    "optimiser": {"optimizer": optimizer}, "list": [torch.ones(2)], "args": {"lr": 0.1, "state_dict": s, "args": argparse.Namespace(a=1)},
    "module": net, "own": {"state_dict": s, "own": Own()}, "hostile": {"lr": 0.1, "state_dict": s, "x": Hostile()},
    "first": {"state_dict": s, "x": Hostile()}, "escape": {"a\\x1b[31m/": torch.ones(2)},
}
for name, value in files.items():
    torch.save(value, name + ".pt")
del sys.modules["elsewhere"]
torch.jit.script(net).save("script.pt")
torch.save(s, "old.pt", _use_new_zipfile_serialization=False)
open("text.pt", "w").write("hello")
open("void.pt", "w").close()
open("done.h5", "wb").write(b"\\x89HDF\\r\\n\\x1a\\n")

TYPES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.float64: "F64", torch.int64: "I64"}
def safetensors(name, tensors, **other):
    header, content = {"__metadata__": {"format": "pt"}}, b""
    for key, tensor in tensors.items():
        values = tensor.contiguous().view(torch.uint8) if tensor.dim() else tensor.reshape(1).view(torch.uint8)
        begin, content = len(content), content + values.numpy().tobytes()
        header[key] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, len(content)]}
    for key, change in other.items():
        header[key.replace("_", ".")].update(change)
    text = json.dumps(header).encode()
    open(name + ".safetensors", "wb").write(len(text).to_bytes(8, "little") + text + content)
safetensors("st", s)
safetensors("half", {"c.weight": s["c.weight"].bfloat16(), "n.bias": s["n.bias"].half(), "n.weight": s["n.weight"].double()})
safetensors("outside", s, c_weight={"data_offsets": [0, 1 << 40]})
safetensors("large", s, c_weight={"shape": [1 << 62, 4]})
safetensors("backwards", s, c_weight={"data_offsets": [36, 0]})
safetensors("eight", s, c_weight={"dtype": "F8_E4M3"})
safetensors("without", s, c_weight={"shape": None})
whole = open("st.safetensors", "rb").read()
open("cut.safetensors", "wb").write(whole[:40])
open("short.safetensors", "wb").write(whole[:3])
open("renamed.pt", "wb").write(whole)
"""
FIVE = "c.weight n.bias n.running_mean n.running_var n.weight"
SKIPPED = "skipped 1 counters: n.num_batches_tracked"
WRAPPED = ("took _orig_mod. from 5 names", "took module. from 5 names")
WANTED = "expected what torch.save(net.state_dict(), ...) writes"
PICKLED = (", and only tensors are read, since a pickle can run code; save the state_dict alone, torch.save(net.state_dict(), "
           "...), or add --trust to a file of your own")

TAKEN = {
    "plain": ("plain.h5: 5 tensors", SKIPPED), "old": ("old.h5: 5 tensors", SKIPPED),
    "tutorial": ("tutorial.h5: 5 tensors of model_state_dict", "left out what is no network: epoch, optimizer_state_dict, loss",
                 SKIPPED),
    "nested": ("nested.h5: 5 tensors of model/state_dict", SKIPPED),
    "one": ("one.h5: 5 tensors of resnet", "left out what is no network: optim", SKIPPED),
    "ema": ("ema.h5: 5 tensors of net", "left out model_ema; --key takes one instead", SKIPPED),
    "timm": ("timm.h5: 5 tensors of state_dict", "left out state_dict_ema; --key takes one instead",
             "left out what is no network: arch", SKIPPED),
    "lightning": ("lightning.h5: 5 tensors of state_dict",
                  "left out what is no network: epoch, pytorch-lightning_version, optimizer_states, hyper_parameters",
                  "took model. from 5 names; left out criterion.weight; --prefix= takes all as they are called",
                  "took _orig_mod. from 5 names", "skipped 1 counters: model._orig_mod.n.num_batches_tracked"),
    "--prefix= lightning": ("lightning.h5: 6 tensors of state_dict",
                            "left out what is no network: epoch, pytorch-lightning_version, optimizer_states, hyper_parameters",
                            "took _orig_mod. from 5 names", "skipped 1 counters: model._orig_mod.n.num_batches_tracked"),
    "--prefix body.net below": ("below.h5: 5 tensors", "took body.net. from 5 names; --prefix= takes all as they are called",
                                "skipped 1 counters: body.net.n.num_batches_tracked"),
    "wrapped": ("wrapped.h5: 5 tensors", *WRAPPED, "skipped 1 counters: module._orig_mod.n.num_batches_tracked"),
    "averaged": ("averaged.h5: 5 tensors", *WRAPPED, "skipped 2 counters: n_averaged, ..."),
    "--key=encoder two": ("two.h5: 5 tensors of encoder", SKIPPED),
    "--key model/state_dict nested": ("nested.h5: 5 tensors of model/state_dict", SKIPPED),
    "types": ("types.h5: 2 tensors, bfloat16, float16 made float32", "skipped 1 entries that are no tensors: epoch"),
    "--trust args": ("args.h5: 5 tensors of state_dict", "left out what is no network: lr, args", SKIPPED),
    "--trust module": ("module.h5: 5 tensors", SKIPPED),
    "--trust modules": ("modules.h5: 5 tensors of model", "left out what is no network: args", SKIPPED),
    "st.safetensors": ("st.h5: 5 tensors", SKIPPED), "renamed": ("renamed.h5: 5 tensors", SKIPPED),
    "half.safetensors": ("half.h5: 3 tensors, bfloat16, float16, float64 made float32",),
}
OTHER_NAMES = {
    "types": "a b", "half.safetensors": "c.weight n.bias n.weight",
    "--prefix= lightning": "criterion.weight " + " ".join("model." + name for name in FIVE.split()),
}
REFUSED = {
    "two": "two.pt: cannot tell which of generator, encoder are the weights; name one with --key",
    "mixed": "mixed.pt: cannot tell which of b, a are the weights; name one with --key",
    "--key=decoder two": "two.pt: has no weights under decoder; its keys are generator, encoder",
    "numbers": f"numbers.pt: 1 is no name of a tensor, {WANTED}",
    "slash": f"slash.pt: 'a/b' is no name of a tensor, {WANTED}",
    "escape": f"escape.pt: 'a\\x1b[31m/' is no name of a tensor, {WANTED}",
    "sparse": "sparse.pt: c.weight is sparse; save dense floating point numbers",
    "complex": "complex.pt: a is complex; save dense floating point numbers",
    "integers": "integers.pt: a holds integers that float32 cannot; remove it from the state_dict",
    "twice": "twice.pt: two tensors are called a once what wraps modules is taken off",
    "loss": f"loss.pt: holds no weights under loss, {WANTED}",
    "optimiser": f"optimiser.pt: holds no weights under optimizer, {WANTED}",
    "empty": f"empty.pt: holds no weights under any key, {WANTED}",
    "list": f"list.pt: holds a list, {WANTED}",
    "args": "args.pt: holds argparse.Namespace" + PICKLED,
    "hostile": "hostile.pt: holds io.open" + PICKLED, "first": "first.pt: holds io.open" + PICKLED,
    "modules": "modules.pt: holds torch.nn.modules.container.Sequential" + PICKLED,
    "module": "module.pt: holds torch.nn.modules.container.Sequential" + PICKLED,
    "--trust own": "own.pt: cannot be read: No module named 'elsewhere'; run pt2h5.py where Python finds it (PYTHONPATH)",
    "--prefix=other plain": "plain.pt: holds no weights below other.",
    "outside.safetensors": "outside.safetensors: is no whole safetensors file: c.weight does not lie in it",
    "large.safetensors": "large.safetensors: is no whole safetensors file: c.weight does not lie in it",
    "backwards.safetensors": "backwards.safetensors: is no whole safetensors file: c.weight does not lie in it",
    "without.safetensors": "without.safetensors: is no whole safetensors file: its header is none",
    "cut.safetensors": "cut.safetensors: is no whole safetensors file: its header does not lie in it",
    "short.safetensors": "short.safetensors: is no whole safetensors file: its header does not lie in it",
    "eight.safetensors": "eight.safetensors: c.weight has the type F8_E4M3, expected one of F64, F32, F16, BF16, I64, I32, I16, "
                         "I8, U8, BOOL",
    "done.h5": "done.h5: is an HDF5 file already; give it to sluice-import",
    "script": f"script.pt: is a TorchScript archive, {WANTED}",
    "gone": "gone.pt: No such file or directory",
}


def change_python():
    """Goes on in a Python that has h5py and PyTorch."""
    for python in (sys.executable, "/usr/bin/python3", shutil.which("python3")):
        if python and subprocess.run([python, "-c", "import h5py, torch"], capture_output=True, check=False).returncode == 0:
            if python != sys.executable:
                os.execv(python, [python, "-B", *sys.argv])
            return
    print("skipped: no Python with h5py and PyTorch (Debian: python3-h5py, python3-torch)")
    sys.exit(77)


class Script:
    """pt2h5.py, in this process: to import PyTorch takes longer than all that is tested."""

    def __init__(self):
        path = os.path.join(os.environ["SLUICE_SOURCE"], "apps", "pt2h5.py")
        specification = importlib.util.spec_from_file_location("pt2h5", path)
        self.module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(self.module)

    def run(self, arguments):
        """Exit code, standard output and standard error."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        sys.argv = ["pt2h5.py", *arguments]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                self.module.main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
                err.write("" if isinstance(end.code, int) else f"{end.code}\n")
        return code, out.getvalue(), err.getvalue()


def found_in(path):
    """The names in the file, and those whose values are others than in plain.pt."""
    import h5py
    import torch
    if not os.path.exists(path):
        return "no file"
    expected, names = torch.load("plain.pt"), []
    with h5py.File(path) as file:
        for name, data in sorted(file.items()):
            values = expected.get(name.replace("model.", ""), torch.ones(data.shape))
            same = data.dtype == "float32" and torch.allclose(torch.tensor(data[()]), values, rtol=1e-2)
            names.append(name if same else f"{name} (others)")
    return " ".join(names)


def main():
    change_python()
    script, failed = Script(), []

    def run(line, target=None):
        *options, name = line.split()
        return script.run([*options, source(name), target or target_of(name)])

    def source(name):
        return name if "." in name else name + ".pt"

    def target_of(name):
        return name.split(".")[0] + ".h5" if name != "done.h5" else "out.h5"

    def expect(line, got, wanted):
        if got != wanted:
            failed.append(f"{line}:\n  got      {got}\n  expected {wanted}")

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        exec(MAKE, {"__name__": "make"})  # pylint: disable=exec-used
        for line, text in TAKEN.items():
            code, out, err = run(line)
            expect(line, (code, out.splitlines(), err), (0, list(text), ""))
            target = target_of(line.split()[-1])
            expect(line, found_in(target), OTHER_NAMES.get(line, FIVE))
            if os.path.exists(target):
                os.remove(target)
        files = sorted(os.listdir())
        for line, text in REFUSED.items():
            expect(line, run(line), (1, "", text + "\n"))
        for line in ("text", "void"):  # in the words of PyTorch
            code, _, err = run(line)
            expect(line, (code, err.startswith(f"{line}.pt: cannot be read ("), err.count("\n")), (1, True, 1))
        for target, words in (("plain.pt", "is the file that is read; name another one"), (".", "is there already; name another file, or remove it"),
                              ("no/x.h5", "cannot be written: ")):
            code, _, err = run("plain", target)
            expect(target, (code, err.startswith(f"{target}: {words}")), (1, True))
        expect("what is left", sorted(os.listdir()), files)
        os.chdir("/")
    print("\n".join(failed) or f"{len(TAKEN) + len(REFUSED) + 5} files, all as expected")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
