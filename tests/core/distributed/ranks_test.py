"""The communicator under the launchers that are installed: python3 ranks_test.py PROGRAM LIBRARY_FOLDER."""
import os
import sys

from launchers import LAUNCHERS, launch

problems = []


def expect(what, found, expected):
    if found != expected:
        problems.append(f"{what}: {found}, expected {expected}")


def main():
    program, libraries = sys.argv[1:]
    launchers = [each for each in LAUNCHERS if each.is_there(libraries)]
    if not launchers:
        print("no launcher with an engine")
        return 77
    for launcher in launchers:
        for count in (1, 2, 3, 4):
            result = launch(launcher, count, [program])
            expect(f"{launcher.name} {count}: code", result.code, 0)
            library = launcher.library if count > 1 else ""
            expect(f"{launcher.name} {count}: text", f"{count} ranks over {library}" in result.out, True)
            if result.code != 0:
                problems.append(result.err)
        # The code is the aborting rank's or that of a rank that the launcher kills: which one is up to the launcher.
        result = launch(launcher, 3, [program, "abort"])
        expect(f"{launcher.name} abort: ends, with a code", result.code > 0, True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMI"))}
    result = launch(None, 1, [program], env=environment)
    expect("without a launcher", (result.code, result.out), (0, "1 ranks over \n"))
    print("\n".join(problems) or "all right")
    return 1 if problems else 0


sys.exit(main())
