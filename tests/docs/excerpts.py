# Checks that what a document shows of files is what they hold: excerpts.py ROOT DOCUMENT... A block of code that follows the
# line "<!-- excerpt: PATH -->" must stand in ROOT/PATH, line for line.
import re
import sys
from pathlib import Path

BLOCK = re.compile(r"<!-- excerpt: (\S+) -->\n```\w*\n(.*?)```", re.DOTALL)


def main():
    root = Path(sys.argv[1])
    failed = 0
    for document in sys.argv[2:]:
        blocks = BLOCK.findall((root / document).read_text(encoding="utf-8"))
        if not blocks:
            print(f"{document}: no excerpt at all; is the marker spelt otherwise?")
            failed += 1
        for path, text in blocks:
            if ("\n" + text) not in "\n" + (root / path).read_text(encoding="utf-8"):
                print(f"{document}: this is not what {path} holds:\n{text}")
                failed += 1
    return 1 if failed else 0


sys.exit(main())
