"""Links in README.md and docs/ lead somewhere, and the README's configuration is one: documents.py SOURCE_DIRECTORY SLUICE_TRAIN."""
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
    problems = sorted(set(broken_links(root))) + configuration_problems(root, program)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
