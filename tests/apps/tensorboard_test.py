"""[log] tensorboard: an event file that TensorBoard's own reader understands and that says what metrics.csv says; a run that is killed
and resumed has every event once. The reader wants the package tensorboard; without it a reader of records stands in."""
import csv
import io
import math
import os
import signal
import struct
import sys

PYTHON = os.environ.get("SLUICE_EXCHANGE_PYTHON")  # one that has the package
if PYTHON and os.path.abspath(PYTHON) != sys.executable:
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

from harness import NET, Case, Paced, Sandbox, run_table

try:
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util
except ImportError:
    event_accumulator = None

FILE = "events.out.tfevents.0.sluice"
GATED = NET.replace("type = conv\n", "type = cg_conv\npartitions = 2\nthreshold_init = 0.1\n", 1)
TRAIN = ["sluice-train", "gated.ini", "--log.tensorboard=yes", "--train.epochs=3"]
failures = []


def expect(condition, text):
    if not condition:
        failures.append(text)
        print("FAILED " + text)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    """The events' bytes; every checksum is looked at."""
    found, at = [], 0
    while at < len(data):
        length, = struct.unpack_from("<Q", data, at)
        sum_of_length, = struct.unpack_from("<I", data, at + 8)
        event = data[at + 12:at + 12 + length]
        sum_of_event, = struct.unpack_from("<I", data, at + 12 + length)
        expect(sum_of_length == crc32c(data[at:at + 8]) and sum_of_event == crc32c(event), f"checksums at {at}")
        found.append(event)
        at += 16 + length
    return found


def without_times(data):
    """Events but for the first field, a double."""
    return [event[9:] for event in records(data)]


def gated(box):
    box.write("gated.ini", GATED)


def rows(box, run="run"):
    return list(csv.DictReader(io.StringIO(box.text(run + "/metrics.csv"))))


def says_what_the_metrics_say():
    with Sandbox() as box:
        gated(box)
        box.ok(*TRAIN)
        expect(len(records(box.read(f"run/{FILE}"))) == 2 + 1 + 2 * 3, "version, configuration, images; two for each epoch")
        if event_accumulator is None:
            return
        events = event_accumulator.EventAccumulator(box.at("run"), size_guidance={
            event_accumulator.SCALARS: 0, event_accumulator.HISTOGRAMS: 0, event_accumulator.IMAGES: 0, event_accumulator.TENSORS: 0})
        events.Reload()
        table = rows(box)
        columns = [column for column in table[0] if column != "step"]
        expect(sorted(events.Tags()["scalars"]) == sorted(columns), f"scalars: {events.Tags()['scalars']}, metrics: {columns}")
        for column in columns:
            found = [(event.step, event.value) for event in events.Scalars(column)]
            wanted = [(int(row["step"]), float(row[column])) for row in table]
            expect(all(a[0] == b[0] and math.isclose(a[1], b[1], rel_tol=1e-6, abs_tol=1e-30) for a, b in zip(found, wanted))
                   and len(found) == len(wanted), f"{column}: {found}, expected {wanted}")
        expect(sorted(events.Tags()["distributions"]) == ["density_of_pixels/conv", "threshold_values/conv"], f"{events.Tags()}")
        last = events.Histograms("threshold_values/conv")[-1]
        mean = last.histogram_value.sum / last.histogram_value.num
        expect(last.step == int(table[-1]["step"]) and math.isclose(mean, float(table[-1]["threshold/conv"]), rel_tol=1e-6),
               f"thresholds: {last}")
        expect(sum(last.histogram_value.bucket) == last.histogram_value.num == 4, f"buckets: {last}")
        pixels = events.Histograms("density_of_pixels/conv")[-1].histogram_value
        expect(pixels.num == 4 * 30 and 0 <= pixels.min <= pixels.max <= 1, f"of four images of 6x5: {pixels}")
        shown = events.Images("decisions/conv")
        expect([image.step for image in shown] == [int(row["step"]) for row in table], f"images of {shown}")
        zoom = 64 // 6
        expect((shown[0].height, shown[0].width) == (6 * zoom, 4 * 5 * zoom + 3 * 2) and
               shown[0].encoded_image_string.startswith(b"\x89PNG"), f"image: {shown[0].height}x{shown[0].width}")
        expect(len(events.Images("decisions/images")) == 1, "the images themselves")
        said, = events.Tensors("configuration")
        text = tensor_util.make_ndarray(said.tensor_proto)[0].decode()
        config = box.text("run/config.ini").split("\n", 1)[1]
        expect("".join(line[4:] + "\n" for line in text.splitlines()) == config, f"configuration: {text[:300]}")


def resuming_doubles_nothing():
    with Sandbox() as box:
        gated(box)
        box.ok(*TRAIN, "--run.dir=whole")
        paced = Paced(box, *TRAIN, "--train.epochs=20", "--checkpoint.every_epochs=4", "--log.interval=1e-9")
        expect(paced.steps(10 * 6 + 3), "the training ended before it was killed")
        paced.process.send_signal(signal.SIGKILL)
        paced.end()
        kept = box.read(f"run/{FILE}")
        box.write(f"run/{FILE}", kept + b"\x05\x00\x00")  # half an event
        done = box.header(box.newest())["state"]["epoch"]
        expect(8 <= done <= len(rows(box)), f"a checkpoint of epoch {done}, {len(rows(box))} rows")
        box.ok(*TRAIN, f"--train.epochs={done + 2}", "--resume")
        data = box.read(f"run/{FILE}")
        steps = [int(row["step"]) for row in rows(box)]
        expect(len(steps) == done + 2, f"{len(steps)} rows, {done + 2} epochs")
        # The number of epochs changed: one more configuration.
        expect(len(records(data)) == 2 + 1 + 2 * (done + 2) + 1, f"{len(records(data))} events for {done + 2} epochs")
        ours = without_times(data)
        whole = without_times(box.read(f"whole/{FILE}"))
        expect(ours[0] == whole[0] and ours[3] == whole[3] and ours[5] == whole[5], "the decisions of the first epochs differ")
        # An epoch that is lost is seen again, and is there once.
        os.remove(box.at(box.newest("whole")))
        os.remove(box.at("whole/checkpoints/best.h5"))
        box.ok(*TRAIN, "--run.dir=whole", "--resume")
        again = without_times(box.read(f"whole/{FILE}"))
        expect(len(again) == len(whole) and again[3::2] == whole[3::2] and len(rows(box, "whole")) == 3, "the third epoch differs")
        # Once more, with nothing left to do.
        box.ok(*TRAIN, f"--train.epochs={done + 2}", "--resume")
        expect(box.read(f"run/{FILE}") == data, "resuming a run that has ended changed its events")


def switched_on_later():
    """Epochs that nobody watched are there all the same, from metrics.csv; each once."""
    def scalars(box, run):
        return [event for event in without_times(box.read(f"{run}/{FILE}")) if b"train_loss" in event]

    with Sandbox() as box:
        gated(box)
        box.ok(*TRAIN, "--train.epochs=5", "--run.dir=whole")
        late = [*TRAIN[:2], "--run.dir=late"]
        box.ok(*late, "--train.epochs=2")
        expect(not os.path.exists(box.at(f"late/{FILE}")), "an event file before it was wanted")
        box.ok(*late, "--train.epochs=3", "--log.tensorboard=yes", "--resume")
        expect(len(scalars(box, "late")) == 3, f"{len(scalars(box, 'late'))} of 3 epochs when it was switched on")
        box.ok(*late, "--train.epochs=4", "--resume")
        box.ok(*late, "--train.epochs=5", "--log.tensorboard=yes", "--resume")
        if event_accumulator is None:
            expect(len(scalars(box, "late")) == 5, f"{len(scalars(box, 'late'))} of 5 epochs when it was switched on again")
            return
        told = {}
        for run in ("whole", "late"):
            events = event_accumulator.EventAccumulator(box.at(run), size_guidance={event_accumulator.SCALARS: 0})
            events.Reload()
            told[run] = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
        for tag in ("epoch", "train_loss", "val_accuracy", "val_density/conv"):
            expect(told["late"][tag] == told["whole"][tag] and len(told["late"][tag]) == 5, f"{tag}: {told['late'][tag]}")


def switched_off():
    with Sandbox() as box:
        box.ok("sluice-train", "net.ini")
        expect(not os.path.exists(box.at(f"run/{FILE}")), "an event file that nobody wanted")


def other_file(box):
    box.ok("sluice-train", "net.ini")
    box.write(f"run/{FILE}", "these are the notes of somebody, no events at all")


BAD = [
    Case("a file of somebody else", "sluice-train net.ini --resume --log.tensorboard=yes", 5,
         f"run/{FILE}: is no event file of TensorBoard; move it away to go on without it", make=other_file,
         changes=("run/log.txt", "run/.lock")),
    Case("a link in its place", "sluice-train net.ini --auto-resume --log.tensorboard=yes", 6,
         f"run/{FILE}: is a symbolic link, expected a regular file or nothing; remove it, or choose another place",
         make=lambda box: (os.mkdir(box.at("run")), os.symlink("/dev/null", box.at(f"run/{FILE}"))), changes=("run/*",)),
]

if __name__ == "__main__":
    for part in [says_what_the_metrics_say, resuming_doubles_nothing, switched_on_later, switched_off]:
        part()
    if event_accumulator is None:
        print("without TensorBoard's own reader: the package tensorboard is not installed")
    run_table(BAD, 2, len(failures))
