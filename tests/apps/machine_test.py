"""What belongs to the machine is not taken from a checkpoint: a network trained with one thread runs with those of the call."""
import json
import sys

from harness import Sandbox


def main():
    problems = []

    def expect(condition, text):
        if not condition:
            problems.append(text)

    with Sandbox() as box:
        box.ok("sluice-train", "net.ini")  # run.threads = 1
        here = json.loads(box.ok("sluice-bench", "net.ini", "--run.threads=0", "--only=infer", "--steps=1", "--json").out)["threads"]
        if here == 1:
            print("skipped: this process may use one processor only")
            sys.exit(77)

        def bench(*arguments):
            return json.loads(box.ok("sluice-bench", *arguments, "--only=infer", "--steps=1", "--json").out)["threads"]

        expect(bench("run/weights.h5") == here, "bench takes the checkpoint's threads")
        expect(bench("run/weights.h5", "--run.threads=1") == 1, "bench does not take the call's threads")
        box.ok("sluice-deploy", "run/weights.h5", "-o", "all.h5", "--eval.batch=5")
        box.ok("sluice-deploy", "run/weights.h5", "-o", "one.h5", "--eval.batch=5", "--run.threads=1")
        for file, threads in (("all.h5", here), ("one.h5", 1)):
            expect(box.header(file)["state"]["threads"] == threads, f"{file}: {box.header(file)['state']}")
            expect(bench(file) == here, f"bench takes the threads of {file}")
        box.forge("edit", "all.h5", "planned.h5", "plan=fc:none")
        for arguments, noted in (([], False), (["--run.threads=1"], True)):
            err = box.ok("sluice-eval", "planned.h5", *arguments).err
            expect(("its plan was made for another processor or number of threads" in err) == noted, f"eval {arguments}: {err}")
    for problem in problems:
        print("FAILED " + problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
