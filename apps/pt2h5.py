#!/usr/bin/env python3
"""Writes a PyTorch state_dict as HDF5 data sets, for sluice-import: pt2h5.py [options] model.pt|model.safetensors weights.h5

Needs PyTorch (1.13 or later) and h5py. A file that holds more than weights is fine where they stand under a usual name
(state_dict, model_state_dict, model, net, ..., one in the other), or where nothing else in it looks like weights. What
data-parallel and compiled modules and Lightning put before the names is taken off.

  --key NAME      take the weights under NAME (model/state_dict: one in the other)
  --prefix NAME   take the tensors whose names begin with NAME. alone, and take that off; empty: all, as they are called
  --trust         also read pickled objects, which may run code of whoever made the file: of your own files alone

Exit code 0: everything was understood and written; else nothing is written.
"""
import argparse
import json
import os
import pickle
import re
import sys
import tempfile
import zipfile

KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params",
        "model_ema", "ema_state_dict", "state_dict_ema", "ema", "module")
OTHERS = ("optim", "sched", "scaler")  # begin names of what holds tensors and is no network
WRAPPERS = ("_orig_mod", "_forward_module")  # of compiled modules and of Lightning's strategies, anywhere in a name
LIGHTNING, MODULES = "pytorch-lightning_version", ("model", "net", "network")  # its mark; what holds the network there
COUNTERS = ("num_batches_tracked", "n_averaged")
EXPECTED = "expected what torch.save(net.state_dict(), ...) writes"


def refuse(text):
    sys.exit("".join(c if c.isprintable() else repr(c)[1:-1] for c in text))


try:
    import h5py
    import torch
except ImportError as error:
    refuse(f"{error}; pt2h5.py needs PyTorch and h5py")

SAFETENSORS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
               "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}


def is_script(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def begin_of(path):
    try:
        with open(path, "rb") as file:
            return file.read(9)
    except OSError as error:
        refuse(f"{path}: {error.strerror or error}")


def safetensor(path, name, entry, values):
    """The tensor that an entry of the header describes; what is not so is a damaged file."""
    kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind not in SAFETENSORS:
        refuse(f"{path}: {name} has the type {kind}, expected one of {', '.join(SAFETENSORS)}")
    count = 1
    for size in shape:
        count *= size
    empty = torch.empty(0, dtype=SAFETENSORS[kind])
    if any(size < 0 for size in shape) or not 0 <= begin <= end <= len(values) or end - begin != count * empty.element_size():
        raise ValueError(f"{name} does not lie in it")
    return torch.frombuffer(bytearray(values[begin:end]), dtype=empty.dtype).reshape(shape) if count else empty.reshape(shape)


def load_safetensors(path):
    with open(path, "rb") as file:
        content = memoryview(file.read())
    try:
        length = 8 + int.from_bytes(content[:8], "little")
        if length > len(content):
            raise ValueError("its header does not lie in it")
        header = json.loads(bytes(content[8:length]))
        header.pop("__metadata__", None)
        return {name: safetensor(path, name, entry, content[length:]) for name, entry in header.items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        why = error if isinstance(error, ValueError) else "its header is none"
        refuse(f"{path}: is no whole safetensors file: {why}")


class WeightsOnly(pickle.Unpickler):
    """Reads what PyTorch's own reader of weights reads, and numbers: before 2.0 that stops at the first one with a fraction."""
    def find_class(self, module, name):
        from torch import _weights_only_unpickler
        allowed = _weights_only_unpickler._get_allowed_globals()
        if f"{module}.{name}" not in allowed:
            raise pickle.UnpicklingError(f"Unsupported class {module}.{name}")
        return allowed[f"{module}.{name}"]


class WeightsOnlyPickle:
    """As the module that torch.load(weights_only=True) reads with."""
    Unpickler = WeightsOnly

    @staticmethod
    def load(file, **options):
        return WeightsOnly(file, **options).load()


def read_weights(path):
    """A stranger's file runs no code."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported operand" not in str(error):
            raise
    torch.serialization._weights_only_unpickler = WeightsOnlyPickle  # torch.load ignores pickle_module, without a word
    return torch.load(path, map_location="cpu", weights_only=True)


def without_modules(value):
    """Objects that a trusted file holds become their state_dict."""
    if isinstance(value, torch.nn.Module):
        return value.state_dict()
    return {name: without_modules(one) for name, one in value.items()} if isinstance(value, dict) else value


def load(path, trust):
    begin = begin_of(path)
    if path.endswith(".safetensors") or begin[8:] == b"{":
        return load_safetensors(path)
    if begin[:8] == b"\x89HDF\r\n\x1a\n":
        refuse(f"{path}: is an HDF5 file already; give it to sluice-import")
    if is_script(path):
        refuse(f"{path}: is a TorchScript archive, {EXPECTED}")
    try:
        return without_modules(torch.load(path, map_location="cpu", weights_only=False)) if trust else read_weights(path)
    except OSError as error:
        refuse(f"{path}: {error.strerror or error}")
    except (ImportError, AttributeError) as error:  # what a trusted file names
        refuse(f"{path}: cannot be read: {error}; run pt2h5.py where Python finds it (PYTHONPATH)")
    except Exception as error:  # of many types, between versions
        other = re.search(r"Unsupported (?:class|global: GLOBAL) ([\w.]+)", str(error))
        if other:
            refuse(f"{path}: holds {other.group(1)}, and only tensors are read, since a pickle can run code; save the "
                   "state_dict alone, torch.save(net.state_dict(), ...), or add --trust to a file of your own")
        lines = str(error).strip().splitlines()
        refuse(f"{path}: cannot be read ({type(error).__name__}{': ' + lines[0] if lines else ''}), {EXPECTED}")


def holds_tensors(value):
    return isinstance(value, dict) and any(torch.is_tensor(v) or holds_tensors(v) for v in value.values())


def may_be_weights(key, value):
    return not str(key).lower().startswith(OTHERS) and holds_tensors(value)


def listed(names):
    names = [str(name) for name in names]
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


def find_weights(path, found, key):
    """The dictionary of tensors, where it stands, and beside it what looks like weights and what does not."""
    where, beside, rest = [], [], []
    if key:
        for part in key.split("/"):
            if not holds_tensors(found.get(part)):
                refuse(f"{path}: has no weights under {key}; its keys are {listed(found)}")
            where, found = where + [part], found[part]
    while True:
        usual = [name for name in KEYS if holds_tensors(found.get(name))]
        inner = [name for name, value in found.items() if may_be_weights(name, value)]
        tensors = [name for name, value in found.items() if torch.is_tensor(value) and value.dim() > 0]
        if not tensors and (usual or len(inner) == 1):
            taken = (usual or inner)[0]
            for name in found:
                if name != taken:
                    (beside if name in inner else rest).append("/".join(map(str, where + [name])))
            where, found = where + [taken], found[taken]
        elif tensors and not inner:
            return found, where, beside, rest
        elif inner:
            refuse(f"{path}: cannot tell which of {listed(inner + tensors)} are the weights; name one with --key")
        else:
            refuse(f"{path}: holds no weights under {listed(found) or 'any key'}, {EXPECTED}")


def skipped_because(name, value):
    if not torch.is_tensor(value):
        return "entries that are no tensors"
    if name.endswith(COUNTERS):
        return "counters"
    return "masks (Sluice makes them from partitions and group)" if name.endswith(".mask") else None


def numbers(path, name, value):
    """The values as float32."""
    kind = next((kind for kind, is_so in (("sparse", value.layout != torch.strided), ("quantised", value.is_quantized),
                                          ("complex", value.is_complex()), ("without values", value.is_meta)) if is_so), None)
    if kind:
        refuse(f"{path}: {name} is {kind}; save dense floating point numbers")
    single = value.detach().float()  # numpy has no bfloat16
    if not value.is_floating_point() and not torch.equal(single.to(value.dtype), value):
        refuse(f"{path}: {name} holds integers that float32 cannot; remove it from the state_dict")
    return single.numpy()


def unwrapped(name):
    """The name without wrappers, and these."""
    parts = name.split(".")
    taken = {part for part in parts[:-1] if part in WRAPPERS}
    parts = [part for part in parts[:-1] if part not in WRAPPERS] + parts[-1:]
    while len(parts) > 1 and parts[0] == "module":
        taken.add(parts.pop(0))
    return ".".join(parts), taken


class Conversion:
    """What is written, by name, and what happened to the names."""

    def __init__(self, path, weights, prefix):
        self.written, self.skipped, self.left, self.wrapped, self.types = {}, {}, [], {}, set()
        self.prefix = prefix
        for name, value in weights.items():
            if not isinstance(name, str) or not name or "/" in name or "\0" in name:
                refuse(f"{path}: {name!r} is no name of a tensor, {EXPECTED}")
            self.take(path, name, value)
        if not self.written:
            refuse(f"{path}: holds no weights" + (f" below {prefix}" if prefix else f", {EXPECTED}"))

    def take(self, path, given, value):
        name, wrappers = unwrapped(given)
        reason = skipped_because(given, value)
        if reason:
            self.skipped.setdefault(reason, []).append(given)
        elif not name.startswith(self.prefix):
            self.left.append(given)
        else:
            name, inner = unwrapped(name[len(self.prefix):])
            if name in self.written:
                refuse(f"{path}: two tensors are called {name} once what wraps modules is taken off")
            self.written[name] = numbers(path, given, value)
            self.types.add(str(value.dtype).replace("torch.", ""))
            for wrapper in wrappers | inner:
                self.wrapped[wrapper] = self.wrapped.get(wrapper, 0) + 1


def prefix_of(given, weights, lightning):
    """What all names that are taken begin with: of Lightning the module that holds the network."""
    if given is not None:
        return given.rstrip(".") + "." if given else ""
    parts = {unwrapped(name)[0].split(".")[0] for name in weights if isinstance(name, str) and "." in name}
    return next((module + "." for module in MODULES if lightning and module in parts), "")


def write(path, written):
    """All or nothing: a temporary takes the name in the end."""
    if os.path.lexists(path):
        refuse(f"{path}: is there already; name another file, or remove it")
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".pt2h5-", dir=os.path.dirname(path) or ".")
        os.close(handle)
        with h5py.File(temporary, "w") as file:
            for name, values in written.items():
                file[name] = values
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except (OSError, ValueError, RuntimeError) as error:
        if temporary:
            os.unlink(temporary)
        refuse(f"{path}: cannot be written: {error}")


def tell(target, where, beside, rest, done):
    other = sorted(done.types - {"float32"})
    print(f"{target}: {len(done.written)} tensors" + (f" of {'/'.join(map(str, where))}" if where else "") +
          (f", {', '.join(other)} made float32" if other else ""))
    if beside:
        print(f"left out {listed(beside)}; --key takes one instead")
    if rest:
        print(f"left out what is no network: {listed(rest)}")
    if done.prefix:
        print(f"took {done.prefix} from {len(done.written)} names" + (f"; left out {listed(done.left)}" if done.left else "") +
              "; --prefix= takes all as they are called")
    for wrapper, count in sorted(done.wrapped.items()):
        print(f"took {wrapper}. from {count} names")
    for reason, names in done.skipped.items():
        print(f"skipped {len(names)} {reason}: {listed(names[:1])}{', ...' if names[1:] else ''}")


def main():
    parser = argparse.ArgumentParser(prog="pt2h5.py", usage=__doc__.strip(), add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--trust", action="store_true")
    for option in ("--key", "--prefix"):
        parser.add_argument(option)
    parser.add_argument("files", nargs="*")
    call = parser.parse_args()
    if call.help:
        print(__doc__.strip())
        return
    if len(call.files) != 2 or call.key == "":
        sys.exit(__doc__.strip())
    source, target = call.files
    if os.path.exists(target) and os.path.exists(source) and os.path.samefile(source, target):
        refuse(f"{target}: is the file that is read; name another one")
    found = load(source, call.trust)
    if not isinstance(found, dict):
        refuse(f"{source}: holds a {type(found).__name__}, {EXPECTED}")
    weights, where, beside, rest = find_weights(source, found, call.key)
    done = Conversion(source, weights, prefix_of(call.prefix, weights, LIGHTNING in found))
    write(target, done.written)
    tell(target, where, beside, rest, done)


if __name__ == "__main__":
    main()
