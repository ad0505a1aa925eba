"""torchvision's and timm's state_dicts, with random weights, come in as they are and give torchvision's logits; and pictures in a folder
go the whole way: pixels, logits and classes as torchvision's own transforms and network have them.
Wants the packages torch, torchvision and h5py, skipped without them; and timm, else without its. A word on the command line chooses among the networks."""
import json
import os
import subprocess
import sys

PYTHON = os.environ.get("SLUICE_EXCHANGE_PYTHON")  # one that has the packages
if PYTHON and os.path.abspath(PYTHON) != sys.executable:
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

try:
    import h5py
    import numpy as np
    import torch
    import torchvision
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

try:
    import timm
except ImportError:
    timm = None

from harness import SOURCE, TOOLS, Sandbox

IMAGES, SIZE, CLASSES = 2, 224, 1000
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALIZATION = [f"--data.mean={','.join(map(str, MEAN))}", f"--data.std={','.join(map(str, STD))}"]
NETWORKS = {  # of torchvision: the file of configs/networks
    "resnet18": "resnet18", "resnet34": "resnet34", "resnet50": "resnet50", "resnet101": "resnet101",
    "vgg11": "vgg11_plain", "vgg11_bn": "vgg11", "vgg16": "vgg16_plain", "vgg16_bn": "vgg16",
    "mobilenet_v2": "mobilenetv2", "shufflenet_v2_x1_0": "shufflenetv2"}
if timm:
    NETWORKS.update({f"timm/resnet{depth}": f"resnet{depth}" for depth in (18, 34, 50, 101)})


def network(name, classes=CLASSES):
    """In evaluation, with statistics that normalisation has to use."""
    torch.manual_seed(3)
    if name.startswith("timm/"):
        model = timm.create_model(name[5:], num_classes=classes)
    else:
        model = torchvision.models.get_model(name, weights=None, num_classes=classes)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return model.eval()


def bring_in(box, model, config, arguments):
    """net.h5 of the model's state_dict, as anybody would make it."""
    torch.save(model.state_dict(), box.at("model.pt"))
    subprocess.run([sys.executable, os.path.join(SOURCE, "apps/pt2h5.py"), "model.pt", "weights.h5"], cwd=box.path, check=True,
                   stdout=subprocess.DEVNULL)
    process = box.start("sluice-import", "weights.h5", config, "-o", "net.h5", "--define.stem=224", *NORMALIZATION, *arguments)
    _, problem = process.communicate()  # half a gigabyte takes its time
    if process.returncode != 0:
        raise AssertionError(problem)


def our_answers(box, images, classes):
    box.write("images", images.tobytes())
    subprocess.run([os.path.join(TOOLS, "answers"), "net.h5", "images", str(len(images)), "answer"], cwd=box.path, check=True)
    return np.frombuffer(box.read("answer.logits"), np.float32).reshape(len(images), classes)


def normalised(images):
    return torch.from_numpy(((images / 255 - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32))


def deviation(ours, theirs):
    if not np.isfinite(theirs).all():
        raise AssertionError("torchvision's logits are not finite")
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def check_network(name):
    model = network(name)
    images = np.random.default_rng(5).integers(0, 256, (IMAGES, SIZE, SIZE, 3), np.uint8)
    with Sandbox() as box:
        config = os.path.join(SOURCE, f"configs/networks/{NETWORKS[name]}.ini")
        bring_in(box, model, config, [f"--define.classes={CLASSES}", f"--data.classes={CLASSES}"])
        ours = our_answers(box, images, CLASSES)
        with torch.inference_mode():
            theirs = model(normalised(images)).numpy()
    error = deviation(ours, theirs)
    print(f"{name}: largest difference {error:.1e}", flush=True)
    return error <= 1e-4


def write_pictures(box):
    """Photographs of a kind in three classes and three formats, none of the network's size."""
    random = np.random.default_rng(7)
    files = []
    for number, (label, ending) in enumerate(
            (label, ending) for label in ("bright", "coarse", "dark") for ending in ("jpg", "png", "webp", "jpg")):
        height, width = random.integers(150, 600, 2)
        cells = 4 if label == "coarse" else 24
        coarse = random.uniform(0, 255, (cells, cells, 3)) * (0.4 if label == "dark" else 1) + (90 if label == "bright" else 0)
        pixels = np.clip(coarse, 0, 255).astype(np.uint8)
        path = f"pictures/{label}/{number}.{ending}"
        os.makedirs(os.path.dirname(box.at(path)), exist_ok=True)
        Image.fromarray(pixels).resize((int(width), int(height)), Image.BICUBIC).save(box.at(path))
        files.append(path)
    return files


def their_pixels(files, box):
    transforms = torchvision.transforms
    prepare = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(SIZE)])
    return np.stack([np.asarray(prepare(Image.open(box.at(file)).convert("RGB"))) for file in files])


def our_pixels(files, box):
    """As sluice-pack stores them."""
    box.ok("sluice-pack", "pictures", "-o", "pictures.h5", "--pixels=resize(256), center_crop(224)", "--test-share=0")
    with h5py.File(box.at("pictures.h5")) as file:
        names = [name.decode() if isinstance(name, bytes) else name for name in file["train/names"][()]]
        images = file["train/images"][()]
    return np.stack([images[names.index(file[len("pictures/"):])] for file in files])


def check_pictures():
    model = network("resnet18", 3)
    with Sandbox() as box:
        files = write_pictures(box)
        box.write("pictures.ini", f"include = {SOURCE}/configs/networks/resnet18.ini\n[define]\nclasses = 3\n[data]\nkind = folder\n"
                  "dir = pictures\neval_transforms = resize(256), center_crop(224)\n")
        bring_in(box, model, "pictures.ini", [])
        ours, theirs = our_pixels(files, box), their_pixels(files, box)
        levels = np.abs(ours.astype(int) - theirs).max()
        with torch.inference_mode():
            logits = model(normalised(theirs)).numpy()
        error = deviation(our_answers(box, ours, 3), logits)
        predicted = json.loads(box.ok("sluice-predict", "net.h5", *files, "--top=1", "--json").out)["pictures"]
        classes = [picture["classes"][0]["class"] for picture in predicted]
    different = [file for file, ours, theirs in zip(files, classes, logits.argmax(1)) if ours != theirs]
    print(f"folder of {len(files)} pictures: pixels within {levels} levels, logits within {error:.1e} of the largest, "
          f"{len(different)} first classes differ {' '.join(different)}", flush=True)
    return levels <= 1 and not different


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    torch.set_num_threads(2)
    failed = [name for name in NETWORKS if wanted in name and not check_network(name)]
    if wanted in "pictures" and not check_pictures():
        failed.append("pictures")
    print("FAILED " + ", ".join(failed) if failed else "all well")
    sys.exit(1 if failed else 0)


main()
