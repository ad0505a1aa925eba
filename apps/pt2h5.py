#!/usr/bin/env python3
"""Writes a PyTorch state_dict as HDF5 data sets, for sluice-import: pt2h5.py model.pt weights.h5

Needs PyTorch and h5py. A file that holds more than weights is fine as long as they stand under "state_dict", "model" or "net".
"""
import os
import pickle
import secrets
import sys

import h5py
import torch


def state_dict(path):
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)  # a stranger's file runs no code
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        sys.exit(f"{path}: {error}\nexpected what torch.save(net.state_dict(), ...) writes")
    if not isinstance(loaded, dict):
        sys.exit(f"{path}: holds a {type(loaded).__name__}, expected what torch.save(net.state_dict(), ...) writes")
    for key in ("state_dict", "model", "net"):
        if isinstance(loaded.get(key), dict):
            return loaded[key]
    return loaded


def skipped_because(name, value):
    if name.endswith(".num_batches_tracked"):
        return "counters"
    if name.endswith(".mask"):
        return "masks (Sluice makes them from partitions and group)"
    return None if torch.is_tensor(value) else "entries that are no tensors"


def write(path, tensors):
    """Beside its place, then renamed: a file that is there, or a link, is not touched."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name[:200]}.{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        with h5py.File(temporary, "x") as file:
            for tensor, values in tensors.items():
                file[tensor] = values
        os.rename(temporary, path)
    except OSError as error:
        sys.exit(f"{path}: cannot be written: {error}")
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if os.path.lexists(sys.argv[2]):
        sys.exit(f"{sys.argv[2]}: is there already; name another file, or remove it")
    written, wrapped, skipped = {}, 0, {}
    for name, value in state_dict(sys.argv[1]).items():
        reason = skipped_because(name, value)
        if reason:
            skipped.setdefault(reason, []).append(name)
            continue
        while name.startswith("module."):  # of torch.nn.DataParallel
            name, wrapped = name[len("module."):], wrapped + 1
        written[name] = value.detach().float().numpy()  # float(): numpy has no bfloat16
    write(sys.argv[2], written)
    print(f"{sys.argv[2]}: {len(written)} tensors")
    if wrapped:
        print(f"took the leading module. from {wrapped} names")
    for reason, names in skipped.items():
        print(f"skipped {len(names)} {reason}: {names[0]}{', ...' if names[1:] else ''}")


if __name__ == "__main__":
    main()
