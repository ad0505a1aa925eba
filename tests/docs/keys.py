"""docs/keys.md is what sluice-train --help all says about configuration keys: keys.py PROGRAM DOCUMENT [--write]."""
import re
import subprocess
import sys

HEAD = """# Every section and key

What `sluice-train --help all` says, in the same words: this page is made from it
(`tests/docs/keys.py`), and a test compares them. [configuration.md](configuration.md) describes the
files themselves. A section stands once; `NAME` is yours to choose. Times are written `2h`, `90m`,
`1:30:00`, `1-12:30`; a bare number is seconds. A `path` may begin with `~` or `$NAME`.
"""


def sections(text):
    """[(name, about, [(key, description)])] of the help text's part on configuration."""
    found = []
    for line in text.split("Configuration keys:\n", 1)[1].splitlines():
        heading = re.fullmatch(r"\[([^\]]+)\] ?(.*)", line)
        key = re.fullmatch(r"  (\S+)(?:  +(\S.*))?", line)
        if heading:
            found.append((heading.group(1), heading.group(2), []))
        elif key:
            found[-1][2].append([key.group(1), key.group(2) or ""])
        elif line.strip():
            entry = found[-1][2][-1]
            entry[1] = f"{entry[1]} {line.strip()}".strip()
    return found


def facts(description):
    """The description without its last parenthesis, and what stands in there as (allowed, default)."""
    begin = description.rindex("(")
    depth = 0
    for i in range(len(description) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(description[i], 0)
        if depth == 0:
            begin = i
            break
    inner = description[begin + 1:-1]
    default = ""
    if inner.endswith("; required"):
        inner, default = inner[:-len("; required")], "required"
    elif "; default " in inner:
        inner, value = inner.split("; default ", 1)
        default = f"`{value}`"
    return description[:begin].strip(), inner, default


def sentence(text):
    return text[0].upper() + text[1:] + "."


def document(text):
    lines = [HEAD]
    for name, about, keys in sections(text):
        kind = re.match(r"type = (\S+): (.*)", about)
        if kind:
            lines.append(f"## `[{name}]` `type = {kind.group(1)}`\n\n{sentence(kind.group(2))}\n")
        else:
            lines.append(f"## `[{name}]`\n" + (f"\n{sentence(about)}\n" if about else ""))
        if keys:
            lines.append("| key | what | value | default |\n| --- | --- | --- | --- |")
            for key, description in keys:
                cells = [f"`{key}`", *facts(description)]
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def main():
    program, path = sys.argv[1:3]
    text = subprocess.run([program, "--help", "all"], capture_output=True, check=True, text=True).stdout
    made = document(text)
    if sys.argv[3:] == ["--write"]:
        with open(path, "w", encoding="utf-8") as file:
            file.write(made)
        return 0
    with open(path, encoding="utf-8") as file:
        if file.read() == made:
            return 0
    print(f"{path} is out of date; run: python3 {sys.argv[0]} {program} {path} --write", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
