"""Links in README.md and docs/ lead somewhere, the glossary has every way of layers, and the README's configuration is one: documents.py SOURCE_DIRECTORY SLUICE_TRAIN."""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PATH = re.compile(r"(?<![\w./-])((?:apps|configs|core|docs|layers|tests)/[\w./-]*\w)")

TO_BE_WRITTEN = {"layers/swish.cpp", "tests/layers/swish_test.cpp"}  # by the reader of adding-a-layer.md


def broken_links(root):
    problems = []
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for target in LINK.findall(text):
            if "://" not in target and not (page.parent / target).exists():
                problems.append(f"{page.relative_to(root)}: the link to {target} leads nowhere")
        for target in PATH.findall(text):
            if target not in TO_BE_WRITTEN and not (root / target).exists():
                problems.append(f"{page.relative_to(root)}: there is no {target}")
    return problems


def way_problems(root):
    """The glossary's ways are those that layers name, and each says where to read on."""
    named = {name for header in root.glob("*/way_names.hpp") for name in re.findall(r'Way\[\] = "(.*)";', header.read_text(encoding="utf-8"))}
    section = (root / "docs/glossary.md").read_text(encoding="utf-8").split("\n## Ways\n", 1)[1].split("\n## ", 1)[0]
    rows = dict(re.findall(r"^\| `(.+?)` \| (.*) \|$", section, re.MULTILINE))
    problems = [f"docs/glossary.md: has no way {name}" for name in named - rows.keys()]
    problems += [f"docs/glossary.md: no layer has the way {name}" for name in rows.keys() - named]
    problems += [f"docs/glossary.md: {name} leads to no section of inference.md" for name, row in rows.items() if "(inference.md#" not in row]
    problems += [f"docs/glossary.md: does not say what {column} is" for column in ("twin", "direct twin", "even", "even with direct")
                 if f"`{column}`" not in section]
    return problems + ([] if len(named) > 10 else [f"found {len(named)} ways of layers"])


def anchor_problems(root):
    """Links of documents to a section of another lead to one."""
    problems = []
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
            at = page.parent / target if target else page
            if "://" in target or not at.exists():
                continue
            titles = re.findall(r"^#+ (.*)$", at.read_text(encoding="utf-8"), re.MULTILINE)
            if anchor not in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}:
                problems.append(f"{page.relative_to(root)}: {target} has no section #{anchor}")
    return problems


def readme_configuration(root):
    """The indented block behind "a whole one"."""
    lines = (root / "README.md").read_text(encoding="utf-8").split("`mine.ini`:\n", 1)[1].splitlines()[1:]
    block = []
    for line in lines:
        if line and not line.startswith("    "):
            break
        block.append(line[4:])
    return "\n".join(block)


def configuration_problems(root, program):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "configs").symlink_to(root / "configs")
        (Path(folder) / "mine.ini").write_text(readme_configuration(root), encoding="utf-8")
        run = subprocess.run([program, "mine.ini", "--define.blocks=2", "--print-config"], cwd=folder, text=True,
                             capture_output=True, check=False)
    expected = "type = pact_relu"
    if run.returncode == 0 and expected in run.stdout and "[layer.layer3.1.conv2]" in run.stdout:
        return []
    return [f"README.md: mine.ini ends with code {run.returncode}, or does not what it says: {run.stderr}"]


def main():
    root, program = (Path(argument).resolve() for argument in sys.argv[1:3])
    problems = sorted(set(broken_links(root))) + anchor_problems(root) + way_problems(root) + configuration_problems(root, program)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
