"""Nothing installed names a file or a command that is not: names.py PREFIX SOURCE. Paths are written as from the source's root, and have a
place below the prefix; documents also speak of the source itself. Links in documents lead somewhere below the prefix."""
import os
import re
import sys
from pathlib import Path

NAME = re.compile(r"(?<![\w./-])((?:apps|cmake|configs|core|docs|gating|layers|tests)/[\w./-]*\w)")
COMMAND = re.compile(r"\brun (sluice-[a-z0-9-]+)")
LINK = re.compile(r"\]\(([\w./-]+)(?:#[^)]*)?\)")
PRINTED = re.compile(rb"[\x20-\x7e]{6,}")
# Of the source, in places of their own.
MOVED = {"apps/pt2h5.py": "bin/pt2h5.py", "tests/plugin": "share/sluice/examples/plugin", "tests/own_gate": "share/sluice/examples/own_gate"}
TO_BE_WRITTEN = {"layers/swish.cpp", "tests/layers/swish_test.cpp"}  # by the reader of adding-a-layer.md


def text_of(path):
    """Of a program or a library what it can print."""
    content = path.read_bytes()
    if content.startswith(b"\x7fELF"):
        return b"\n".join(PRINTED.findall(content)).decode()
    return content.decode(errors="replace")


def places(name):
    yield MOVED.get(name, name)
    for folder in ("share/sluice", "share/doc/sluice", "include/sluice"):
        yield f"{folder}/{name}"
    if name.startswith("apps/sluice/"):
        yield f"include/sluice/{name[len('apps/sluice/'):]}"


def problems_in(path, prefix, source):
    is_document = prefix / "share/doc" in path.parents
    text = text_of(path)
    for name in sorted(set(NAME.findall(text))):
        if any((prefix / place).exists() for place in places(name)):
            continue
        if not (is_document and (name in TO_BE_WRITTEN or (source / name).exists())):
            yield f"names {name}"
    for program in sorted(set(COMMAND.findall(text))):
        if not (prefix / "bin" / program).exists():
            yield f"tells to run {program}"
    if path.suffix == ".md":
        for target in LINK.findall(text):
            if not (path.parent / target).exists():
                yield f"its link to {target} leads nowhere"


def main():
    prefix, source = (Path(argument).resolve() for argument in sys.argv[1:3])
    files = [Path(folder) / name for folder, _, names in os.walk(prefix) for name in names]
    files = sorted(path for path in files if path.suffix != ".h5" and not path.is_symlink())
    found = [f"{path.relative_to(prefix)}: {problem}" for path in files for problem in problems_in(path, prefix, source)]
    print("\n".join(found) or f"{len(files)} files name nothing that is not there")
    sys.exit(1 if found or not files else 0)


if __name__ == "__main__":
    main()
