"""Classifiers that Keras exports come in and answer as ONNX Runtime does: small ones of what its layers become, and whole ones of
keras.applications by name on the command line ("MobileNetV2 ResNet50V2").
Wants the packages keras, onnxruntime and a backend, torch with onnx or tensorflow with tf2onnx; skipped without them."""
import importlib.util
import os
import subprocess
import sys

PYTHON = os.environ.get("SLUICE_EXCHANGE_PYTHON")  # one that has the packages
if PYTHON and os.path.abspath(PYTHON) != sys.executable:
    os.execv(PYTHON, [PYTHON, "-B", *sys.argv])

BACKENDS = {"torch": ["torch", "onnx"], "tensorflow": ["tensorflow", "tf2onnx"]}


def has(*packages):
    return all(importlib.util.find_spec(package) for package in packages)


def all_backends():
    """Keras wants to know its backend before it is imported: a process for each."""
    there = [backend for backend, packages in BACKENDS.items() if has("keras", "numpy", "onnxruntime", *packages)]
    if not there:
        print("skipped: no Keras with a backend and ONNX Runtime")
        return 77
    codes = [subprocess.run([sys.executable, "-B", *sys.argv], check=False,
                            env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}).returncode
             for backend in there]
    return max(codes)


if "KERAS_BACKEND" not in os.environ:
    sys.exit(all_backends())

import keras
import numpy as np
import onnxruntime
from keras import layers

from harness import TOOLS, Sandbox

IMAGES, CLASSES, MEAN, STD = 4, 7, 0.45, 0.25
SMALL = (21, 18, 3)


def normalised(x):
    return layers.BatchNormalization()(x)


def strided():
    """Convolutions that pad at the bottom and right alone, or are strided products of pixels."""
    x = images = keras.Input(SMALL)
    x = layers.ReLU(6.0)(normalised(layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)))
    x = layers.ReLU()(normalised(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="valid")(x)
    short = layers.Conv2D(12, 1, strides=2)(x)
    x = layers.Conv2D(12, 3, strides=2, padding="same")(x)
    x = layers.Activation("relu")(layers.Add()([short, x]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(CLASSES)(x)), False


def squeezed():
    """Normalisation inside; squeeze and excitation; pools of zeros."""
    x = images = keras.Input(SMALL)
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.Conv2D(8, 3, padding="same", activation="swish")(x)
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    y = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
    y = layers.Conv2D(2, 1, activation="silu")(y)
    x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(y)])
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="hard_sigmoid")(y)])
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(layers.Activation("hard_swish")(x)))
    return keras.Model(images, layers.Dense(CLASSES)(x)), True


def joined():
    """Concatenation, pools, activations, rows of pixels, normalisation of rows."""
    x = images = keras.Input(SMALL)
    x = layers.Conv2D(6, 5, padding="same", use_bias=False)(x)
    x = layers.LeakyReLU(negative_slope=0.2)(normalised(x))
    x = layers.Concatenate()([layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2)(x)])
    x = layers.Activation("relu")(normalised(x))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.Dense(9, use_bias=False)(layers.Flatten()(x))
    return keras.Model(images, layers.Dense(CLASSES)(layers.ReLU()(normalised(x)))), False


MODELS = [strided, squeezed, joined]


def whole(name):
    """Of keras.applications, and whether normalisation is inside."""
    model = getattr(keras.applications, name)(weights=None, classifier_activation=None, input_shape=(224, 224, 3))
    inside = any(isinstance(layer, layers.Rescaling) for layer in model.layers)
    return model, inside


def with_statistics(model):
    """That normalisation has to use."""
    random = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.moving_mean.shape
            layer.moving_mean.assign(random.normal(0, 0.1, size))
            layer.moving_variance.assign(random.uniform(0.5, 1.5, size))
            layer.gamma.assign(random.uniform(0.5, 1.5, size))
            layer.beta.assign(random.normal(0, 0.1, size))
    return model


def runtime_answers(path, pixels):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in pixels])


def check(name, model, inside):
    """One line, and whether it is well."""
    shape = model.input_shape[1:]
    images = np.random.default_rng(5).integers(0, 256, (IMAGES, *shape), np.uint8)
    pixels = images.astype(np.float32) if inside else ((images / 255 - MEAN) / STD).astype(np.float32)
    model(pixels[:1])  # Keras exports what was called
    with Sandbox() as box:
        model.export(box.at("model.onnx"), format="onnx", verbose=False)
        box.ok("sluice-import", "model.onnx", "-o", "net.h5", "--config=made.ini",
               *([] if inside else [f"--data.mean={MEAN}", f"--data.std={STD}"]))
        box.write("images", images.tobytes())
        subprocess.run([os.path.join(TOOLS, "answers"), "net.h5", "images", str(IMAGES), "answer"], cwd=box.path, check=True,
                       stdout=subprocess.DEVNULL)
        ours = np.frombuffer(box.read("answer.logits"), np.float32).reshape(IMAGES, -1)
        theirs = runtime_answers(box.at("model.onnx"), pixels)
        text = box.text("made.ini")
    keep = os.environ.get("SLUICE_KEEP")  # a folder for the configurations
    if keep:
        with open(os.path.join(keep, f"{name}_{keras.backend.backend()}.ini"), "w", encoding="utf-8") as file:
            file.write(text)
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    lines = text.count("\n")
    print(f"  {name}: largest difference {error:.1e}, {lines} lines", flush=True)
    return ours.shape == theirs.shape and np.isfinite(theirs).all() and error <= 1e-4


def main():
    print(f"keras {keras.__version__} with {keras.backend.backend()}, onnxruntime {onnxruntime.__version__}")
    failed = 0
    wanted = [(name, lambda name=name: whole(name)) for name in sys.argv[1:]] or [(made.__name__, made) for made in MODELS]
    for name, make in wanted:
        keras.utils.set_random_seed(3)
        try:
            model, inside = make()
            well = check(name, with_statistics(model), inside)
        except Exception as error:  # what another library throws is a failure of this model alone
            print(f"  {name}: {type(error).__name__}: {error}")
            well = False
        failed += not well
        if not well:
            print(f"FAILED {name}")
    sys.exit(1 if failed else 0)


main()
