"""Bad configurations and command lines: each row's exact message and exit code, and that nothing is left behind."""
from harness import Case, run_table

TRAIN = "sluice-train bad.ini"
SPELL = "known options: --dry-run, --print-config, --find-lr, --lr-range, --lr-steps, --output, --force, --resume, --auto-resume, --extend, --accept-changes, --help, --version"


def ini(name, text, message):
    """sluice-train on net.ini and, behind it, `text` (which begins in line 2 of bad.ini)."""
    return Case(name, TRAIN, 2, message, ini=text)


def line(name, arguments, message):
    """sluice-train with these arguments."""
    return Case(name, "sluice-train " + arguments, 2, message)


def alone(name, text, message):
    """sluice-train on a file without net.ini."""
    return Case(name, "sluice-train a.ini", 2, message, files={"a.ini": text})


COMMAND_LINES = [
    line("no file", "", "command line: expected a configuration file, such as configs/experiments/fashion_mnist.ini"),
    line("no file of a run", "--resume", "command line: expected a configuration file, such as the config.ini in the directory of the run"),
    line("no file, a directory without a run", "--resume --run.dir=absent",
         "command line: expected a configuration file, such as the config.ini in the directory of the run"),
    *(Case(f"no file, {flags} {way}", f"sluice-train --run.dir={way} {flags}", 2,
           f"command line: expected a configuration file, as in: sluice-train old/config.ini {command}",
           files={"old/config.ini": "", "old/checkpoints/best.h5": ""})
      for way, flags, command in (("old/", "--resume", "--resume"), ("old", "--auto-resume", "--auto-resume"),
                                  ("old", "--train.epochs=9 --extend --resume", "--resume --extend --train.epochs=9"))),
    Case("a run's directory", "sluice-train old --resume", 2,
         "old: is a directory; a configuration file was expected, such as old/config.ini", files={"old/config.ini": ""}),
    *(Case(f"a run's {name}", f"sluice-train old/{name} --resume", 2,
           f"old/{name}: is an HDF5 file; a configuration file was expected, such as old/config.ini",
           files={"old/config.ini": "", f"old/{name}": b"\x89HDF\r\n\x1a\n"})
      for name in ("weights.h5", "checkpoints/best.h5")),
    line("missing file", "absent.ini", "absent.ini: cannot be read: No such file or directory"),
    line("a directory", ".", ".: is a directory; a configuration file was expected"),
    line("unknown flag, near", "net.ini --dryrun", "command line: unknown option '--dryrun'; did you mean '--dry-run'?"),
    line("unknown flag, far", "net.ini --frobnicate",
         f"command line: unknown option '--frobnicate'; {SPELL}; keys are set by --section.key=value"),
    line("unknown letter", "net.ini -n",
         f"command line: unknown option '-n'; {SPELL}; keys are set by --section.key=value"),
    line("key without section", "net.ini --batch=16",
         "command line: unknown option '--batch'; did you mean --train.batch=16 or --distributed.batch=16 or --eval.batch=16?"),
    line("key without section, value behind it", "net.ini --epochs 5",
         "command line: unknown option '--epochs'; did you mean --train.epochs=5?"),
    line("an em dash", "net.ini \u2014dry-run",
         "command line: '\u2014dry-run' has an em dash (U+2014) at character 1; use '-', or '--' before a name"),
    line("value for a switch", "net.ini --dry-run=yes", "command line: '--dry-run' takes no value"),
    line("flag twice", "net.ini --dry-run --dry-run", "command line: '--dry-run' is given twice"),
    line("blank in an override", "net.ini --train.batch 16",
         "command line: the value of an override stands after '=': --train.batch=16"),
    line("one dash", "net.ini -train.batch=16",
         "command line: an override starts with two dashes: --train.batch=16, got '-train.batch=16'"),
    line("no dash", "net.ini train.batch=16",
         "command line: an override starts with two dashes: --train.batch=16, got 'train.batch=16'"),
    line("override of an unknown key", "net.ini --train.bach=16",
         "command line: [train] bach: unknown key; did you mean 'batch'?"),
    line("override in an unknown section", "net.ini --trian.batch=16",
         "command line: [trian] batch: unknown section; did you mean 'train'?"),
    line("override with a bad value", "net.ini --train.batch=ten",
         "command line: [train] batch: expected an integer from 1 to 1048576, got 'ten'"),
    line("override without a value", "net.ini --train.batch=",
         "command line: [train] batch: expected an integer from 1 to 1048576, got ''"),
    line("two ways to resume", "net.ini --resume --auto-resume",
         "command line: --resume and --auto-resume exclude each other; give one of them"),
    Case("second file", "sluice-train net.ini a.ini", 2, "a.ini:2: [train] batch: expected an integer from 1 to 1048576, got 'x'",
         files={"a.ini": "[train]\nbatch = x\n"}),
    Case("eval: no file", "sluice-eval", 2, "command line: expected a checkpoint, got 0 files"),
    Case("eval: unknown split", "sluice-eval a.h5 --split=dev", 2,
         "command line: --split: expected test, validation or train, got 'dev'"),
    Case("bench: no file", "sluice-bench", 2, "command line: expected a configuration file or a checkpoint"),
    Case("bench: no steps", "sluice-bench net.ini --steps=0", 2,
         "command line: --steps: expected an integer of at least 1, got '0'"),
    Case("bench: unknown phase", "sluice-bench net.ini --only=both", 2,
         "command line: --only: expected train, infer or data, got 'both'"),
    Case("bench: bad configuration", "sluice-bench bad.ini", 2, "bad.ini:3: [layer.conv] kernal: unknown key; did you mean 'kernel'?",
         ini="[layer.conv]\nkernal = 3\n"),
    Case("inspect: an override", "sluice-inspect a.h5 --run.threads=2", 2,
         "command line: there is nothing to configure: --run.threads=2"),
    Case("pack: an override", "sluice-pack set -o set.h5 --run.threads=2", 2,
         "command line: there is nothing to configure: --run.threads=2"),
    Case("pack: unknown flag", "sluice-pack set --quality=90", 2,
         "command line: unknown option '--quality'; known options: --output, --force, --test, --test-share, --pixels, --grey, "
         "--class-names, --max-pixels, --threads, --help, --version"),
    Case("inspect: flag without its value", "sluice-inspect a.h5 --filter", 2,
         "command line: '--filter' needs a value: --filter=GLOB"),
]

FILES = [
    ini("no equals sign", "[train]\nbatch 8\n", "bad.ini:3: [train]: expected 'key = value' or '[section]', got 'batch 8'"),
    ini("open header", "[train\nbatch = 8\n", "bad.ini:2: a section's name ends with ']', got '[train'"),
    ini("text behind a header", "[train] batch = 8\n", "bad.ini:2: unexpected text after ']': 'batch = 8'"),
    ini("key before the first section", "batch = 8\n[train]\n",
        "bad.ini:2: batch: the key stands before the first section; only 'include = FILE' may stand there"),
    ini("duplicate key", "[train]\nbatch = 8\nbatch = 9\n", "bad.ini:4: [train] batch: the key stands already in line 3"),
    ini("duplicate section", "[train]\nbatch = 8\n[eval]\n[train]\nepochs = 2\n",
        "bad.ini:5: [train]: the section stands already in line 2; join the two"),
    ini("open quotes", '[data]\ndir = "abc\n', "bad.ini:3: [data] dir: the quoted value has no closing '\"': '\"abc'"),
    ini("unknown escape", '[data]\ndir = "a\\qb"\n',
        "bad.ini:3: [data] dir: unknown escape '\\q' in a quoted value; known are \\\" \\\\ \\n \\r \\t \\xHH \\uHHHH"),
    ini("a no-break space", "[train]\nbatch\u00a0= 8\n",
        "bad.ini:3: [train]: expected a key of letters, digits, '_' and '-' before '=', got 'batch\u00a0' (a no-break space "
        "(U+00A0) at column 6; use a plain space)"),
    ini("typographic quotes", "[data]\ndir = \u201cabc\u201d\n",
        "bad.ini:3: [data] dir: the value '\u201cabc\u201d' has a typographic quote (U+201C) at column 7; use '\"' or none, or put "
        "the value in double quotes"),
    ini("a minus sign", "[optimizer]\nlr = 1e\u22124\n",
        "bad.ini:3: [optimizer] lr: expected a number above 0, got '1e\u22124' (a minus sign (U+2212) at character 3; use '-')"),
    ini("a list in the place of a path", '[data]\ndir = "a", "b"\n',
        "bad.ini:3: [data] dir: expected one path and not a list, got '\"a\", \"b\"'"),
    ini("an item without closing quotes", '[data]\nclass_names = a, "b, c\n',
        "bad.ini:3: [data] class_names: the quoted value has no closing '\"': '\"b, c'"),
    ini("include below a section", "[train]\ninclude = net.ini\n",
        "bad.ini:3: [train] include: includes stand before the first section"),
    alone("missing include", "include = sub/b.ini\n", "a.ini:1: include: sub/b.ini cannot be read: No such file or directory"),
    Case("include cycle", "sluice-train a.ini", 2, "b.ini:1: include: the file includes itself: a.ini -> b.ini -> a.ini",
         files={"a.ini": "include = b.ini\n", "b.ini": "include = a.ini\n"}),
    alone("definition in an include", "include = ${NET}.ini\n",
          "a.ini:1: include: unknown name ${NET}; an include can use ${env:NAME} only"),
    alone("UTF-16", b"\xff\xfe[\0", "a.ini: is UTF-16 text; save it as UTF-8"),
    alone("zero byte", b"[train]\nbatch = \0\n", "a.ini: is not text (it holds a zero byte)"),
    alone("HDF5 file", b"\x89HDF\r\n\x1a\n", "a.ini: is an HDF5 file; a configuration file was expected"),
    alone("empty file", "",
          "a.ini: [network]: the configuration declares no layers; include a network file, such as "
          "configs/networks/resnet20.ini"),
]

def doubled(levels):
    """Definitions of ten times the one before."""
    lines = ["[define]", "a0 = xxxxxxxxxx"] + [f"a{i} = " + f"${{a{i - 1}}}" * 10 for i in range(1, levels)]
    return "\n".join(lines + ["[early_stopping]", f"metric = ${{a{levels - 1}}}", ""])


BOMBS = [
    ini("definitions that double", doubled(60), "bad.ini:9: [define] a6: the value becomes longer than 1 MiB"),
    ini("a name without end", "[train]\n" + "x" * 5000 + " = 1\n", "bad.ini:3: [train]: a name has at most 1000 characters"),
    Case("includes in includes", "sluice-train 0.ini", 2, "31.ini:1: include: 32.ini is included more than 32 deep",
         files={f"{i}.ini": f"include = {i + 1}.ini\n" for i in range(40)}),
]

NAMES = [
    ini("unknown key", "[train]\nepoch = 3\n", "bad.ini:3: [train] epoch: unknown key; did you mean 'epochs'?"),
    ini("unknown section", "[trian]\nepochs = 3\n", "bad.ini:2: [trian]: unknown section; did you mean 'train'?"),
    ini("unknown layer type, near", "[layer.conv]\ntype = cnov\n",
        "bad.ini:3: [layer.conv] type: unknown layer type 'cnov'; known types: <types>; if it is a plug-in's, add --plugins.load=FILE.so; did you mean 'conv'?"),
    ini("unknown layer type, far", "[layer.conv]\ntype = transformer\n",
        "bad.ini:3: [layer.conv] type: unknown layer type 'transformer'; known types: <types>; if it is a plug-in's, add --plugins.load=FILE.so"),
    ini("defaults of an unknown type", "[type.cnov]\nbias = yes\n",
        "bad.ini:2: [type.cnov]: unknown layer type 'cnov'; did you mean 'conv'?"),
    ini("defaults with an unknown key", "[type.conv]\nbais = yes\n",
        "bad.ini:3: [type.conv] bais: unknown key; did you mean 'bias'?"),
    ini("defaults of a type that no layer has, with an unknown key", "[type.dropout]\nrat = 0.5\n",
        "bad.ini:3: [type.dropout] rat: unknown key; did you mean 'rate'?"),
    ini("defaults of a type that no layer has, with a wrong value", "[type.conv]\nbias = yes\n[type.dropout]\nrate = half\n",
        "bad.ini:5: [type.dropout] rate: expected a number from 0 to 0.999, got 'half'"),
    ini("unknown block", "[layer.x]\nblock = basik\nfrom = relu\n[block.basic]\n[block.basic.a]\ntype = relu\n",
        "bad.ini:3: [layer.x] block: unknown block 'basik'; did you mean 'basic'?"),
    ini("unknown definition", "[define]\nrate = 0.1\n[optimizer]\nlr = ${rate}\n[train]\nbatch = ${raet}\n",
        "bad.ini:7: [train] batch: unknown name ${raet}; did you mean 'rate'?"),
    ini("unused definition", "[define]\nbatch = 8\n", "bad.ini:3: [define] batch: nothing uses ${batch}"),
    ini("unset variable", "[train]\nbatch = ${env:SLUICE_NO_SUCH}\n",
        "bad.ini:3: [train] batch: the environment variable 'SLUICE_NO_SUCH' is not set; set it or write "
        "${env:SLUICE_NO_SUCH:-DEFAULT}"),
    ini("open name", "[train]\nbatch = ${batch\n",
        "bad.ini:3: [train] batch: '${' without '}' in '${batch'; write '$${' for a literal '${'"),
    ini("unknown metric", "[early_stopping]\nmetric = val_acc\n",
        "bad.ini:3: [early_stopping] metric: no metric 'val_acc'; this run has val_accuracy, val_loss, "
        "val_macs_executed, train_accuracy, train_loss"),
    ini("weight without a teacher", "[distillation]\nweight = 0.5\n",
        "bad.ini:3: [distillation] weight: there is no teacher; set distillation.teacher, or leave weight at 0"),
    ini("teacher without a weight", "[distillation]\nteacher = a.h5\n",
        "bad.ini:2: [distillation] weight: expected a number above 0, up to 1, with a teacher"),
    ini("teacher of weight 0", "[distillation]\nweight = 0\nteacher = a.h5\n",
        "bad.ini:3: [distillation] weight: expected a number above 0, up to 1, with a teacher"),
    ini("weight of a teacher above 1", "[distillation]\nteacher = a.h5\nweight = 2\n",
        "bad.ini:4: [distillation] weight: expected a number from 0 to 1, got '2'\n"
        "bad.ini:4: [distillation] weight: expected a number above 0, up to 1, with a teacher"),
    ini("temperature 0", "[distillation]\ntemperature = 0\n",
        "bad.ini:3: [distillation] temperature: expected a number above 0, got '0'"),
    ini("unknown parameter group", "[optimizer]\nno_decay = biass\n",
        "bad.ini:3: [optimizer] no_decay: the network has no parameter group 'biass'; it has bias, norm, weights (did "
        "you mean 'bias'?)"),
    ini("section of an unknown group", "[group.biass]\nlr_scale = 2\n",
        "bad.ini:2: [group.biass]: the network has no parameter group 'biass'; it has bias, norm, weights (did you mean "
        "'bias'?)"),
]

VALUES = [
    ini("fraction for an integer", "[train]\nepochs = 8.5\n", "bad.ini:3: [train] epochs: expected an integer of at least 1, got '8.5'"),
    ini("letters behind an integer", "[train]\nepochs = 8x\n", "bad.ini:3: [train] epochs: expected an integer of at least 1, got '8x'"),
    ini("too small an integer", "[train]\nepochs = 0\n", "bad.ini:3: [train] epochs: expected an integer of at least 1, got '0'"),
    ini("more than 64 bits", "[train]\nepochs = 99999999999999999999\n",
        "bad.ini:3: [train] epochs: expected an integer of at least 1, got '99999999999999999999'"),
    ini("too large an integer", "[run]\nthreads = 99999999\n",
        "bad.ini:3: [run] threads: expected an integer from 0 to 1024, got '99999999'"),
    ini("not a number", "[optimizer]\nlr = nan\n", "bad.ini:3: [optimizer] lr: expected a number above 0, got 'nan'"),
    ini("infinity", "[optimizer]\nlr = 1e999\n", "bad.ini:3: [optimizer] lr: expected a number above 0, got '1e999'"),
    ini("decimal comma", "[optimizer]\nlr = 0,1\n", "bad.ini:3: [optimizer] lr: expected a number above 0, got '0,1'"),
    ini("unknown choice", "[optimizer]\ntype = adam\n",
        "bad.ini:3: [optimizer] type: expected one of sgd, adamw, lars, got 'adam'; did you mean 'adamw'?"),
    ini("no switch", "[optimizer]\nnesterov = maybe\n", "bad.ini:3: [optimizer] nesterov: expected yes or no, got 'maybe'"),
    ini("no time", "[train]\nmax_time = soon\n",
        "bad.ini:3: [train] max_time: expected a time above 0 such as 01:30:00, 90m, 2h or seconds (empty: no limit), got "
        "'soon'"),
    ini("no shape", "[network]\ninput = 3x32\n",
        "bad.ini:3: [network] input: expected channels x height x width like 3x32x32, each 1 to 65536, got '3x32'"),
    ini("short list", "[optimizer]\ntype = adamw\nbetas = 0.9\n",
        "bad.ini:4: [optimizer] betas: expected two numbers from 0 to below 1, such as 0.9, 0.999"),
    ini("list that does not rise", "[schedule]\ntype = multistep\nmilestones = 3, 2\n",
        "bad.ini:4: [schedule] milestones: must increase, but 2 comes after 3"),
    ini("missing list", "[schedule]\ntype = multistep\n",
        "bad.ini:2: [schedule] milestones: type = multistep needs the epochs of its drops, such as 60, 80"),
    ini("warm-up longer than the run", "[schedule]\nwarmup_epochs = 5\n",
        "bad.ini:3: [schedule] warmup_epochs: a warm-up of 5 epochs leaves nothing of [train] epochs = 2"),
    ini("keys that exclude each other", "[optimizer]\nclip_norm = 1\nclip_value = 1\n",
        "bad.ini:4: [optimizer] clip_value: cannot be combined with clip_norm; set one of them to 0"),
    ini("mean that is no number", "[data]\nmean = red\n", "bad.ini:3: [data] mean: expected numbers or 'measure', got 'red'"),
    ini("deviation of zero", "[data]\nstd = 0\n", "bad.ini:3: [data] std: expected numbers above zero or 'measure', got '0'"),
    ini("too few class names", "[data]\nclass_names = a, b\n",
        "bad.ini:3: [data] class_names: expected 3 names, one for each of 'classes', got 2"),
]

NETWORKS = [
    ini("unknown source", "[layer.pool]\nfrom = rleu\n", "bad.ini:3: [layer.pool] from: there is no layer 'rleu'; did you mean 'relu'?"),
    ini("later source", "[layer.conv]\nfrom = pool\n", "bad.ini:3: [layer.conv] from: 'pool' does not stand before this layer"),
    ini("two sources for one", "[layer.pool]\nfrom = relu, bn\n",
        "bad.ini:3: [layer.pool] from: expected 1 source, got 2 (global_pool of 1x4x6x5, 1x4x6x5)"),
    ini("labels missing", "[layer.loss]\nfrom = fc\n",
        "bad.ini:3: [layer.loss] from: expected 2 sources, got 1 (softmax_cross_entropy of 1x3)"),
    ini("loss of an image", "[layer.loss]\nfrom = relu, labels\n",
        "bad.ini:3: [layer.loss] from: expected logits N x classes and labels N, got 1x4x6x5 and 1 (softmax_cross_entropy "
        "of 1x4x6x5, 1)"),
    ini("sum of two shapes", "[layer.sum]\ntype = add\nfrom = conv, data\n",
        "bad.ini:4: [layer.sum] from: the sources must have one shape, got 1x4x6x5 and 1x2x6x5 (add of 1x4x6x5, 1x2x6x5)"),
    ini("filter larger than the image", "[layer.conv]\nkernel = 9\n",
        "bad.ini:3: [layer.conv] kernel: the filter covers 9 pixels (dilation x (kernel - 1) + 1) but the padded image has "
        "only 8x7 (conv of 1x2x6x5)"),
    ini("groups that do not divide", "[layer.conv]\ngroups = 3\n",
        "bad.ini:3: [layer.conv] groups: groups = 3 must divide both 2 input and 4 output channels (conv of 1x2x6x5)"),
    ini("convolution of a vector", "[layer.late]\ntype = conv\nkernel = 3\nchannels = 2\nfrom = pool\n",
        "bad.ini:2: [layer.late]: expected an image N x C x H x W, got 1x4 (conv of 1x4)"),
    ini("convolution of labels", "[layer.conv]\nfrom = labels\n",
        "net.ini:3: [layer.conv]: expected an image N x C x H x W, got 1 (conv of 1)"),
    ini("key beyond any size", "[layer.fc]\nfeatures = 9223372036854775807\n",
        "bad.ini:3: [layer.fc] features: expected at most 2147483647, got '9223372036854775807'"),
    ini("tensors beyond any size", "[layer.conv]\nchannels = 2147483647\n",
        "net.ini:3: [layer.conv]: its result of 1x2147483647x6x5 has more than 2147483647 elements\n"
        "net.ini:3: [layer.conv]: its parameter 'weight' of 2147483647x2x3x3 has more than 2147483647 elements"),
    ini("shared parameters of another shape", "[layer.fc2]\ntype = linear\nfeatures = 5\nshare = fc\nfrom = pool\n",
        "bad.ini:5: [layer.fc2] share: parameter 'weight' of layer 'fc' has shape 3x4, this layer needs 5x4"),
    ini("shared with an unknown layer", "[layer.fc2]\ntype = linear\nfeatures = 5\nshare = fcc\nfrom = pool\n",
        "bad.ini:5: [layer.fc2] share: there is no layer 'fcc'; did you mean 'fc'?"),
    ini("block parameter missing",
        "[layer.x]\nblock = b\nfrom = pool\n[block.b]\nparameters = width\n[block.b.a]\ntype = linear\nfeatures = ${width}\n",
        "bad.ini:2: [layer.x] width: required parameter of the block 'b' is missing"),
    ini("block in itself", "[layer.x]\nblock = a\nfrom = pool\n[block.a]\n[block.a.x]\nblock = a\n",
        "bad.ini:7: [block.a.x] block: the block uses itself: a -> a"),
    ini("no repetition", "[layer.x]\nblock = a\nrepeat = 0\nfrom = pool\n[block.a]\n[block.a.x]\ntype = relu\n",
        "bad.ini:4: [layer.x] repeat: expected an integer from 1 to 1000, got '0'"),
    alone("layer without a type", "[layer.c]\nchannels = 4\n",
          "a.ini:1: [layer.c]: the layer needs 'type' (what it is) or 'block' (a group of layers)"),
    alone("required key missing", "[layer.c]\ntype = conv\nchannels = 4\n",
          "a.ini:1: [layer.c] kernel: required key is missing; expected an integer of at least 1"),
    alone("no loss", "[layer.c]\ntype = relu\n[network]\ninput = 1x4x4\n",
          "a.ini:3: [network]: no layer computes a loss; add one, such as [layer.loss] with type = softmax_cross_entropy and "
          "from = LOGITS, labels"),
    ini("all mistakes at once", "[train]\nbatch = 0\nepoch = 1\n[layer.conv]\nkernal = 3\n[data]\nkind = jpeg\n",
        "bad.ini:3: [train] batch: expected an integer from 1 to 1048576, got '0'\n"
        "bad.ini:4: [train] epoch: unknown key; did you mean 'epochs'?\n"
        "bad.ini:6: [layer.conv] kernal: unknown key; did you mean 'kernel'?\n"
        "bad.ini:8: [data] kind: expected one of cifar10, cifar100, idx, hdf5, folder, synthetic, got 'jpeg'"),
]

if __name__ == "__main__":
    run_table(COMMAND_LINES + FILES + BOMBS + NAMES + VALUES + NETWORKS, 60)
