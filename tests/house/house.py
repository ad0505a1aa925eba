# The rules of the house that a machine can check: python3 house.py CHECK... [--root DIR]. Prints each breach; exits 1 if any,
# 77 where a check cannot run here. house_test.py proves that each check fails where it should.
import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Each folder may include from itself and from those before it.
ARROWS = ["core", "layers", "gating", "sluice", "apps"]
# So may each folder of core; those of one rank may include each other.
CORE_ORDER = [{"base"}, {"config"}, {"distributed"}, {"graph"}, {"picture", "plugin", "reader"}, {"checkpoint", "data"}, {"model"}, {"train"}, {"report"}]
# The reader's program knows what it reads.
APART = {"core/reader/all_services.hpp", "core/reader/main.cpp"}
TOP_LEVEL = {".ci", ".clang-format", ".git", ".gitignore", "CHANGELOG.md", "CITATION.cff", "CMakeLists.txt",
             "CMakePresets.json", "LICENSE", "README.md", "apps", "cmake", "configs", "core", "docs", "gating", "layers",
             "tests"}
CPP = {".cpp", ".hpp"}
MAX_FILE_LINES = {".cpp": 500, ".hpp": 500, ".py": 500, ".sh": 500, "CMakeLists.txt": 80}
MAX_FUNCTION_LINES = 80
MAX_FILE_BYTES = 8 << 20
MAX_PROSE_COLUMNS = 100
FORBIDDEN_BELOW_GATING = re.compile(r"(?<![a-z])gating|cg_conv|pg_conv", re.IGNORECASE)
MARKS = re.compile(r"\b(?:TODO|FIXME|HACK)\b")
# Headers of libraries that the product may use, and the Debian packages that bring them.
LIBRARIES = {"Random123/": "librandom123-dev", "archive": "libarchive-dev", "boost/": "libboost-program-options-dev", "hdf5.h": "libhdf5-dev",
             "jerror.h": "libjpeg-dev", "jpeglib.h": "libjpeg-dev", "png.h": "libpng-dev", "turbojpeg.h": "libturbojpeg0-dev",
             "webp/": "libwebp-dev", "nlohmann/": "nlohmann-json3-dev", "tbb/": "libtbb-dev", "xxhash.h": "libxxhash-dev", "zlib.h": "zlib1g-dev"}
# Of the compiler and the C library; others of theirs have neither a slash nor a dot.
SYSTEM = re.compile(r"(?:sys|sanitizer)/\w+\.h|(?:cpuid|dirent|dlfcn|fcntl|fnmatch|immintrin|link|omp|poll|pthread|sched|signal|spawn|time|unistd|xmmintrin)\.h")
# Of libraries for parts that are built only where these are found.
OPTIONAL = {"mpi.h"}
ONEDNN_HEADER = "core/graph/onednn.hpp"
CLANG_FORMAT_VERSION = 14
PUBLIC_LIST = "cmake/SluicePublicHeaders.cmake"
# Where memory lies is known to slots and tensors alone.
MEMORY_FOLDERS = ("core/graph", "layers", "gating")
MEMORY_FILES = {"core/graph/slots.hpp", "core/graph/slots.cpp", "core/graph/tensor.cpp"}
BYTE_ARITHMETIC = re.compile(r"(?:\bchar|\bstd::byte)\s*\*\s*>\s*\([^()]*\)\s*\+|\bas<(?:const )?(?:char|std::byte)>\(\)\s*\+")
ASKS_FOR_MODE = re.compile(r"\b(?:is_)?training_\b")


class Skip(Exception):
    pass


def tracked_files(root):
    """Paths below root, relative to it: what git knows, or all where there is no git."""
    if (root / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                capture_output=True, check=True).stdout.decode()
        files = [Path(name) for name in listed.split("\0") if name]
        return sorted(f for f in files if (root / f).is_file())
    ignored = {".git", "build", "runs", "data"}
    files = []
    for folder, folders, names in os.walk(root):
        relative = Path(folder).relative_to(root)
        if relative == Path("."):
            folders[:] = [f for f in folders if f not in ignored]
        files += [relative / name for name in names]
    return sorted(files)


def read(root, path):
    return (root / path).read_text(encoding="utf-8")


def cpp_files(root, *folders):
    return [f for f in tracked_files(root) if f.suffix in CPP and (not folders or f.parts[0] in folders)]


def rank(folder):
    return ARROWS.index(folder) if folder in ARROWS else len(ARROWS)


def folder_of(path):
    """The public face lies in apps, and programs may include it."""
    return "sluice" if path.parts[:2] == ("apps", "sluice") else path.parts[0]


def source_of(header):
    return "apps/" + header if header.startswith("sluice/") else header


INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
LIBRARY_INCLUDE = re.compile(r"^\s*#\s*include\s*<([^>]*[/.][^>]*)>", re.MULTILINE)


def check_arrows(root):
    """Includes go apps -> gating -> layers -> core and are written from the root; oneDNN's types come through one header."""
    breaches = []
    for path in cpp_files(root):
        folder = folder_of(path)
        for match in INCLUDE.finditer(read(root, path)):
            target, line = match.group(1), line_of(match)
            where = f"{path}:{line}"
            top = target.split("/")[0]
            if target == "oneapi/dnnl/dnnl.hpp" and path.suffix == ".hpp" and path.as_posix() != ONEDNN_HEADER:
                breaches.append(f"{where}: only {ONEDNN_HEADER} brings oneDNN's types into headers")
            elif target.startswith("oneapi/"):
                continue
            elif top not in ARROWS + ["tests"]:
                breaches.append(f'{where}: "{target}" is not written from the root')
            elif folder in ARROWS and rank(top) > rank(folder):
                breaches.append(f"{where}: {folder} must not include {target}")
    return breaches


def core_rank(path):
    """Of "core/base/shape.hpp": 0; None elsewhere."""
    parts = Path(path).parts
    if len(parts) < 3 or parts[0] != "core":
        return None
    return next((rank for rank, folders in enumerate(CORE_ORDER) if parts[1] in folders), len(CORE_ORDER))


def check_order(root):
    """The folders of core have an order, too."""
    breaches = []
    for path in cpp_files(root, "core"):
        if path.as_posix() in APART or core_rank(path) is None:
            continue
        if core_rank(path) == len(CORE_ORDER):
            breaches.append(f"{path}: core/{path.parts[1]} has no place in house.py's order")
            continue
        for match in INCLUDE.finditer(read(root, path)):
            target = core_rank(match.group(1))
            if target is not None and target > core_rank(path):
                breaches.append(f"{path}:{line_of(match)}: core/{path.parts[1]} must not include {match.group(1)}")
    return breaches


GENERATED = "core/plugin/build_id.hpp"  # by the build, without includes


def reached(root, headers):
    """{header: the one that includes it} of all that these reach, and [(header, line, library header)] of what is not ours."""
    origins, foreign, left = {header: None for header in headers}, [], list(headers)
    while left:
        header = left.pop()
        if header == GENERATED or not (root / header).is_file():
            continue
        text = read(root, Path(header))
        foreign += [(header, line_of(match), match.group(1)) for match in LIBRARY_INCLUDE.finditer(text)]
        for match in INCLUDE.finditer(text):
            target = source_of(match.group(1))
            if not target.startswith("oneapi/") and target not in origins:
                origins[target] = header
                left.append(target)
    return origins, foreign


def check_public(root):
    """What is installed is what <sluice/...> reaches, header by header, and brings in no library but oneDNN."""
    listed = re.search(r"set\(SLUICE_PUBLIC_HEADERS\s([^)]*)\)", read(root, Path(PUBLIC_LIST))).group(1).split()
    origins, foreign = reached(root, [header for header in listed if header.startswith("apps/sluice/")])
    breaches = [f"{PUBLIC_LIST}: {header} is not reached by any header of apps/sluice" for header in listed if header not in origins]
    for header in sorted(set(origins) - set(listed) - {GENERATED}):
        breaches.append(f"{origins[header]}: includes {header}, which {PUBLIC_LIST} does not install")
    for header, line, library in sorted(foreign):
        if any(library.startswith(start) for start in LIBRARIES):
            breaches.append(f"{header}:{line}: <{library}> in a public header")
    for path in cpp_files(root, "apps"):
        if folder_of(path) == "sluice" and path.suffix == ".hpp" and path.as_posix() not in listed:
            breaches.append(f"{path}: is not in {PUBLIC_LIST}")
    return breaches


def check_libraries(root):
    """What the product includes is brought by a package that the set-up script installs to build it."""
    setup = read(root, Path("apps/setup.sh"))
    installed = re.search(r"sluice_build_packages=\(([^)]*)\)", setup).group(1).split()
    breaches = []
    for path in cpp_files(root, *ARROWS):
        for match in LIBRARY_INCLUDE.finditer(read(root, path)):
            header = match.group(1)
            package = next((p for start, p in LIBRARIES.items() if header.startswith(start)), None)
            if package is None and not SYSTEM.fullmatch(header) and header not in OPTIONAL:
                breaches.append(f"{path}:{line_of(match)}: <{header}> is of no library in house.py's list")
            elif package is not None and package not in installed:
                breaches.append(f"{path}:{line_of(match)}: <{header}> wants {package} among sluice_build_packages of apps/setup.sh")
    return breaches


def line_of(match):
    return match.string.count("\n", 0, match.start(1)) + 1


def check_words(root):
    """core and layers know nothing of gating."""
    breaches = []
    for path in tracked_files(root):
        if path.parts[0] not in ("core", "layers"):
            continue
        for number, line in enumerate(read(root, path).splitlines(), 1):
            found = FORBIDDEN_BELOW_GATING.search(line)
            if found:
                breaches.append(f"{path}:{number}: '{found.group(0)}' in {path.parts[0]}: what gating needs is a service for any plug-in")
    return breaches


def check_memory(root):
    """Layers and operations fetch memory by slot, and an operation is of one mode."""
    breaches = []
    for path in cpp_files(root, "core", "layers", "gating"):
        if not path.as_posix().startswith(MEMORY_FOLDERS) or "kernels" in path.parts:
            continue
        for number, line in enumerate(read(root, path).splitlines(), 1):
            if BYTE_ARITHMETIC.search(line) and path.as_posix() not in MEMORY_FILES:
                breaches.append(f"{path}:{number}: places in memory are known to core/graph/slots.hpp alone; book a slot")
            if ASKS_FOR_MODE.search(line):
                breaches.append(f"{path}:{number}: an operation is for one mode; make a class for each")
    return breaches


def check_top_level(root):
    """Nothing lies at the top level that does not belong there, and nothing is large."""
    breaches = []
    for name in sorted({f.parts[0] for f in tracked_files(root)} - TOP_LEVEL):
        breaches.append(f"{name}: does not belong at the top level")
    for path in tracked_files(root):
        size = (root / path).stat().st_size
        if size > MAX_FILE_BYTES:
            breaches.append(f"{path}: {size} bytes, the limit is {MAX_FILE_BYTES}")
    return breaches


def check_sizes(root):
    """Files and functions keep the limits."""
    breaches = []
    for path in tracked_files(root):
        limit = MAX_FILE_LINES.get(path.name, MAX_FILE_LINES.get(path.suffix))
        if limit is None:
            continue
        text = read(root, path)
        lines = len(text.splitlines())
        if lines > limit:
            breaches.append(f"{path}: {lines} lines, the limit is {limit}")
        if path.suffix in CPP:
            for name, begin, length in functions(text):
                if length > MAX_FUNCTION_LINES:
                    breaches.append(f"{path}:{begin}: {name} has {length} lines, the limit is {MAX_FUNCTION_LINES}")
    return breaches


TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''
                   r"|^[ \t]*#(?:\\\n|[^\n])*", re.DOTALL | re.MULTILINE)
NOT_A_FUNCTION = re.compile(r"^(?:namespace|class|struct|union|enum|extern)\b|^(?:if|else|for|while|do|switch|try|catch)\b")
NAME = re.compile(r"([\w:~]+(?:operator[^\w\s(]+)?)\s*\(")


def blanked(text):
    """The text without comments, literals and preprocessor lines; every line keeps its number."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    # Digit separators would look like character literals.
    return TOKEN.sub(blank, re.sub(r"(?<=\d)'(?=\d)", "_", text))


def functions(text):
    """(name, first line, lines) of each function body, by its braces: a '{' whose head, since the last ';', '{' or '}', has
    parentheses and starts with no keyword of another construct. Braces that follow a name directly initialise something.
    Lambdas count with the function around them."""
    found = []
    stack = []  # (head, line of its first word, is a function), or None for an initialiser
    head_begin = 0
    clean = blanked(text)
    for match in re.finditer(r"[{};]", clean):
        mark, at = match.group(0), match.start()
        if mark == "{" and re.match(r"[\w>]", clean[at - 1:at]):
            stack.append(None)
            continue
        if mark == "}" and stack and stack[-1] is None:
            stack.pop()
            continue
        if mark == "{":
            head = clean[head_begin:at]
            word = head.lstrip()
            word = re.sub(r"^(?:(?:public|private|protected)\s*:\s*)+", "", word)
            word = re.sub(r"^template\s*<[^{}]*?>\s*(?=\w)", "", word)
            inside = any(entry is not None and entry[2] for entry in stack)
            is_function = "(" in word and not NOT_A_FUNCTION.match(word) and not inside
            begin = clean.count("\n", 0, at - len(word)) + 1
            stack.append((word, begin, is_function))
        elif mark == "}" and stack:
            word, begin, is_function = stack.pop()
            if is_function:
                name = NAME.search(word)
                found.append((name.group(1) if name else word.strip(), begin, clean.count("\n", 0, at) + 2 - begin))
        head_begin = at + 1
    return found


def check_text(root):
    """Every header is included once and says first what it is for; no marks for work left undone."""
    breaches = []
    for path in cpp_files(root):
        lines = read(root, path).splitlines()
        first = lines[0] if lines else ""
        own_header = path.suffix == ".cpp" and first.startswith("#include") and path.with_suffix(".hpp").name in first
        if not first.startswith("// ") and not own_header:
            breaches.append(f"{path}:1: the first line must be a comment that says what the file is for")
        if path.suffix == ".hpp" and "#pragma once" not in lines:
            breaches.append(f"{path}: a header without #pragma once")
        for number, line in enumerate(lines, 1):
            if MARKS.search(line):
                breaches.append(f"{path}:{number}: work left undone: {line.strip()}")
    return breaches


INDENTED = re.compile(r" {4}|\t")
NO_PROSE = re.compile(r"\s*(?:\||#|<|!\[|\[[^\]]+\]:)")  # tables, headings, HTML, images, link definitions


def prose(text):
    """(number, line) of Markdown's running text and lists: without tables, headings, code, images and link definitions."""
    fenced = code = False
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        fence = line.lstrip().startswith("```")
        code = bool(INDENTED.match(line)) and (code or not before.strip())
        if not (fenced or fence or code or NO_PROSE.match(line)):
            yield number, line
        fenced ^= fence
        before = line


def check_columns(root):
    """The prose of the documents is wrapped."""
    breaches = []
    for path in tracked_files(root):
        if path.suffix != ".md" or path.parts[0] not in ("README.md", "CHANGELOG.md", "docs"):
            continue
        for number, line in prose(read(root, path)):
            if len(line) > MAX_PROSE_COLUMNS:
                breaches.append(f"{path}:{number}: {len(line)} columns, the limit for prose is {MAX_PROSE_COLUMNS}")
    return breaches


def check_format(root):
    """clang-format changes nothing."""
    program = shutil.which(f"clang-format-{CLANG_FORMAT_VERSION}") or shutil.which("clang-format")
    if program is None:
        raise Skip("clang-format is not installed")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    major = re.search(r"version (\d+)", version)
    if major is None or int(major.group(1)) != CLANG_FORMAT_VERSION:
        raise Skip(f"clang-format {CLANG_FORMAT_VERSION} is needed, this is: {version.strip()}")
    breaches = []
    files = cpp_files(root)
    for first in range(0, len(files), 50):
        run = subprocess.run([program, "--dry-run", *map(str, files[first:first + 50])], cwd=root, capture_output=True, text=True)
        breaches += sorted({line.split(":")[0] + ": clang-format would change it" for line in run.stderr.splitlines()
                            if "[-Wclang-format-violations]" in line})
        if run.returncode != 0:
            breaches.append(run.stderr.strip())
    return breaches


CHECKS = {"arrows": check_arrows, "order": check_order, "public": check_public, "libraries": check_libraries, "words": check_words, "memory": check_memory,
          "top-level": check_top_level, "sizes": check_sizes, "text": check_text,
          "columns": check_columns, "format": check_format}


def main():
    parser = argparse.ArgumentParser(description="Checks the rules of the house.")
    parser.add_argument("check", nargs="+", choices=sorted(CHECKS))
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    arguments = parser.parse_args()
    breaches = []
    try:
        for name in arguments.check:
            breaches += CHECKS[name](arguments.root)
    except Skip as reason:
        print(f"skipped: {reason}")
        return 77
    print("\n".join(breaches) if breaches else "in order")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
