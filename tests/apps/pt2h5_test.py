"""pt2h5.py on files as people save them: what it takes, under which words it refuses, and that it then leaves nothing behind."""
import os
import shutil
import subprocess
import sys
import tempfile

MAKE = """
import argparse, torch
from torch import nn
net = nn.Sequential()
net.add_module("c", nn.Conv2d(1, 4, 3, bias=False)); net.add_module("n", nn.BatchNorm2d(4))
s = net.state_dict()
optimizer = {"state": {0: {"momentum": torch.zeros(3)}}, "param_groups": []}
files = {
    "plain": s, "tutorial": {"epoch": 5, "model_state_dict": s, "optimizer_state_dict": optimizer, "loss": torch.tensor(0.4)},
    "nested": {"model": {"state_dict": s}}, "one": {"resnet": s, "optim": optimizer}, "ema": {"net": s, "model_ema": s},
    "two": {"generator": s, "encoder": s}, "wrapped": {"module._orig_mod." + name: value for name, value in s.items()},
    "types": {"a": torch.ones(2, dtype=torch.bfloat16), "b": torch.ones(2).half(), "epoch": 5},
    "numbers": {1: torch.zeros(3)}, "sparse": {"c.weight": torch.eye(3).to_sparse()},
    "complex": {"a": torch.ones(2, dtype=torch.complex64)}, "integers": {"a": torch.tensor([2**24 + 1])},
    "twice": {"module.a": torch.ones(2), "a": torch.ones(2)}, "slash": {"a/b": torch.ones(2)},
    "mixed": {"a": torch.ones(2), "b": {"c": torch.ones(2)}}, "loss": {"loss": torch.tensor(1.0)}, "empty": {},
    "optimiser": {"optimizer": optimizer}, "list": [torch.ones(2)], "args": {"state_dict": s, "args": argparse.Namespace(a=1)},
    "module": net, "escape": {"a\\x1b[31m/": torch.ones(2)},
}
for name, value in files.items():
    torch.save(value, name + ".pt")
torch.jit.script(net).save("script.pt")
torch.save(s, "old.pt", _use_new_zipfile_serialization=False)
open("text.pt", "w").write("hello")
open("void.pt", "w").close()
"""
NAMES = """
import h5py, sys
with h5py.File(sys.argv[1]) as file:
    print(" ".join(sorted(file)))
"""
FIVE = "c.weight n.bias n.running_mean n.running_var n.weight"
SKIPPED = "skipped 1 counters: n.num_batches_tracked"
WANTED = "expected what torch.save(net.state_dict(), ...) writes"

TAKEN = {
    "plain": ("plain.h5: 5 tensors", SKIPPED), "old": ("old.h5: 5 tensors", SKIPPED),
    "tutorial": ("tutorial.h5: 5 tensors of model_state_dict", SKIPPED),
    "nested": ("nested.h5: 5 tensors of model/state_dict", SKIPPED), "one": ("one.h5: 5 tensors of resnet", SKIPPED),
    "ema": ("ema.h5: 5 tensors of net", "left out model_ema; --key takes one instead", SKIPPED),
    "wrapped": ("wrapped.h5: 5 tensors", "took the leading module. or _orig_mod. from 5 names",
                "skipped 1 counters: module._orig_mod.n.num_batches_tracked"),
    "--key=encoder two": ("two.h5: 5 tensors of encoder", SKIPPED),
    "--key model/state_dict nested": ("nested.h5: 5 tensors of model/state_dict", SKIPPED),
    "types": ("types.h5: 2 tensors", "skipped 1 entries that are no tensors: epoch"),
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
    "twice": "twice.pt: two tensors are called a once module. and _orig_mod. are taken off",
    "loss": f"loss.pt: holds no weights under loss, {WANTED}",
    "optimiser": f"optimiser.pt: holds no weights under optimizer, {WANTED}",
    "empty": f"empty.pt: holds no weights under any key, {WANTED}",
    "list": f"list.pt: holds a list, {WANTED}",
    "args": "args.pt: holds a argparse.Namespace, and only tensors are read, since a pickle can run code; save the state_dict "
            "alone: torch.save(net.state_dict(), ...)",
    "module": "module.pt: holds a torch.nn.modules.container.Sequential, and only tensors are read, since a pickle can run code; "
              "save the state_dict alone: torch.save(net.state_dict(), ...)",
    "script": f"script.pt: is a TorchScript archive, {WANTED}",
    "gone": "gone.pt: No such file or directory",
}


def find_python():
    for python in (sys.executable, "/usr/bin/python3", shutil.which("python3")):
        if python and subprocess.run([python, "-c", "import h5py, torch"], capture_output=True, check=False).returncode == 0:
            return python
    print("skipped: no Python with h5py and PyTorch (Debian: python3-h5py, python3-torch)")
    sys.exit(77)


def main():
    python, script, failed = find_python(), os.path.join(os.environ["SLUICE_SOURCE"], "apps", "pt2h5.py"), []

    def run(line, target=None):
        *options, name = line.split()
        return subprocess.run([python, script, *options, name + ".pt", target or name + ".h5"], capture_output=True, text=True,
                              check=False)

    def expect(line, got, wanted):
        if got != wanted:
            failed.append(f"{line}:\n  got      {got}\n  expected {wanted}")

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        subprocess.run([python, "-c", MAKE], check=True)
        for line, text in TAKEN.items():
            done = run(line)
            expect(line, (done.returncode, done.stdout.splitlines(), done.stderr), (0, list(text), ""))
            target = line.split()[-1] + ".h5"
            names = subprocess.run([python, "-c", NAMES, target], capture_output=True, text=True, check=False).stdout.strip()
            expect(line, names, "a b" if line == "types" else FIVE)
            os.remove(target)
        files = sorted(os.listdir())
        for line, text in REFUSED.items():
            done = run(line)
            expect(line, (done.returncode, done.stdout, done.stderr), (1, "", text + "\n"))
        for line in ("text", "void"):  # in the words of PyTorch
            done = run(line)
            expect(line, (done.returncode, done.stderr.startswith(f"{line}.pt: cannot be read ("), done.stderr.count("\n")),
                   (1, True, 1))
        for target, words in (("plain.pt", "is the file that is read; name another one"), (".", "is there already; name another file, or remove it"),
                              ("no/x.h5", "cannot be written: ")):
            done = run("plain", target)
            expect(target, (done.returncode, done.stderr.startswith(f"{target}: {words}")), (1, True))
        expect("what is left", sorted(os.listdir()), files)
        os.chdir("/")
    print("\n".join(failed) or f"{len(TAKEN) + len(REFUSED) + 5} files, all as expected")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
