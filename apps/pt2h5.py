#!/usr/bin/env python3
"""Writes a PyTorch state_dict as HDF5 data sets, for sluice-import: pt2h5.py [--key NAME] model.pt weights.h5

Needs PyTorch (1.13 or later) and h5py. A file that holds more than weights is fine where they stand under a usual name
(state_dict, model_state_dict, model, net, ..., one in the other), or where nothing else in it looks like weights; --key
names others. Exit code 0: everything was understood and written; else nothing is written.
"""
import os
import re
import sys
import tempfile
import zipfile

KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params",
        "model_ema", "ema_state_dict", "state_dict_ema", "ema", "module")
OTHERS = ("optim", "sched", "scaler")  # begin names of what holds tensors and is no network
WRAPPERS = ("module.", "_orig_mod.")   # of data-parallel and compiled modules
EXPECTED = "expected what torch.save(net.state_dict(), ...) writes"


def refuse(text):
    sys.exit("".join(c if c.isprintable() else repr(c)[1:-1] for c in text))


try:
    import h5py
    import torch
except ImportError as error:
    refuse(f"{error}; pt2h5.py needs PyTorch and h5py")


def is_script(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def load(path):
    if is_script(path):
        refuse(f"{path}: is a TorchScript archive, {EXPECTED}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)  # a stranger's file runs no code
    except OSError as error:
        refuse(f"{path}: {error.strerror or error}")
    except Exception as error:  # of many types, between versions
        other = re.search(r"Unsupported (?:class|global: GLOBAL) ([\w.]+)", str(error))
        if other:
            refuse(f"{path}: holds a {other.group(1)}, and only tensors are read, since a pickle can run code; save the "
                   "state_dict alone: torch.save(net.state_dict(), ...)")
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
    """The dictionary of tensors, where it stands, and what looks like weights beside it."""
    where, beside = [], []
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
            where.append((usual or inner)[0])
            beside += ["/".join(map(str, where[:-1] + [name])) for name in inner if name != where[-1]]
            found = found[where[-1]]
        elif tensors and not inner:
            return found, where, beside
        elif inner:
            refuse(f"{path}: cannot tell which of {listed(inner + tensors)} are the weights; name one with --key")
        else:
            refuse(f"{path}: holds no weights under {listed(found) or 'any key'}, {EXPECTED}")


def skipped_because(name, value):
    if not torch.is_tensor(value):
        return "entries that are no tensors"
    if name.endswith("num_batches_tracked"):
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
    while name.startswith(WRAPPERS):
        name = name[name.index(".") + 1:]
    return name


def convert(path, weights):
    """What is written, by name, and what is skipped, by reason."""
    written, skipped = {}, {}
    for given, value in weights.items():
        if not isinstance(given, str) or not given or "/" in given or "\0" in given:
            refuse(f"{path}: {given!r} is no name of a tensor, {EXPECTED}")
        reason = skipped_because(given, value)
        if reason:
            skipped.setdefault(reason, []).append(given)
            continue
        name = unwrapped(given)
        if name in written:
            refuse(f"{path}: two tensors are called {name} once {' and '.join(WRAPPERS)} are taken off")
        written[name] = numbers(path, given, value)
    if not written:
        refuse(f"{path}: holds no weights, {EXPECTED}")
    return written, skipped


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


def main():
    arguments, key = sys.argv[1:], None
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return
    if arguments[:1] == ["--key"]:
        key, arguments = "".join(arguments[1:2]), arguments[2:]
    elif arguments and arguments[0].startswith("--key="):
        key, arguments = arguments[0][len("--key="):], arguments[1:]
    if len(arguments) != 2 or arguments[0].startswith("--") or key == "":
        sys.exit(__doc__.strip())
    source, target = arguments
    if os.path.exists(target) and os.path.exists(source) and os.path.samefile(source, target):
        refuse(f"{target}: is the file that is read; name another one")
    found = load(source)
    if not isinstance(found, dict):
        refuse(f"{source}: holds a {type(found).__name__}, {EXPECTED}")
    weights, where, beside = find_weights(source, found, key)
    written, skipped = convert(source, weights)
    write(target, written)
    print(f"{target}: {len(written)} tensors" + (f" of {'/'.join(map(str, where))}" if where else ""))
    if beside:
        print(f"left out {listed(beside)}; --key takes one instead")
    taken = set(weights).difference(*skipped.values())
    wrapped = [name[:len(name) - len(unwrapped(name))] for name in taken if name != unwrapped(name)]
    if wrapped:
        used = [wrapper for wrapper in WRAPPERS if any(wrapper in prefix for prefix in wrapped)]
        print(f"took the leading {' or '.join(used)} from {len(wrapped)} names")
    for reason, names in skipped.items():
        print(f"skipped {len(names)} {reason}: {listed(names[:1])}{', ...' if names[1:] else ''}")


if __name__ == "__main__":
    main()
