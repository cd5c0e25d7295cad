"""Model files against h5py: what we write it reads, value for value, and what it writes in Keras' layout we read."""
import json
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROBE = os.path.join(os.environ["MSFL_TOOLS"], "nn_probe")
CLI = os.environ["MSFL_CLI"]
FOLDER = tempfile.TemporaryDirectory()


def path(name):
    return os.path.join(FOLDER.name, name)


def run(*words, fails=None):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if fails is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode != 0 and fails in done.stderr, (done.returncode, done.stderr)
    return done.stdout


YAML = """
name: everything
input: {height: 20, width: 18, channels: 3}
classes: 4
layers:
  - conv: {filters: 6, kernel: [3, 2], stride: [2, 1], padding: same}
  - batch_norm: {momentum: 0.8, epsilon: 1e-4, activation: relu}
  - max_pool: {size: 3, stride: 2}
  - conv: {filters: 8, kernel: 2, bias: false, activation: relu}
  - group_norm: {groups: 4, activation: relu}
  - avg_pool
  - dropout: {rate: 0.25}
  - flatten
  - dense: {units: 7, activation: relu, name: middle}
  - dense: {units: classes}
"""


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def tensors_of(file):
    """Every array of a Keras file, in its own order: [(layer, name, array)]."""
    group = file["model_weights"] if "model_weights" in file else file
    for layer in group.attrs["layer_names"]:
        layer = text(layer)
        for name in group[layer].attrs["weight_names"]:
            yield layer, text(name).rsplit("/", 1)[-1].split(":")[0], group[layer][text(name)][()]


def ours_is_theirs(model):
    run(PROBE, "init", model, 7, path("a.h5"), path("a.raw"))
    raw = np.fromfile(path("a.raw"), "<f4")
    info = json.loads(run(CLI, "model", "info", path("a.h5"), "--json"))
    assert info["has_weights"] and info["n_values"] == raw.size and info["normalise"] == "image"
    with h5py.File(path("a.h5"), "r") as file:
        assert text(file.attrs["backend"]) == "tensorflow"
        assert text(file.attrs["keras_version"]).startswith("2.")
        config = json.loads(text(file.attrs["model_config"]))
        graph = config["class_name"] == "Functional"
        assert graph == (model in GRAPHS) and (graph or config["class_name"] == "Sequential")
        layers = config["config"]["layers"]
        if graph:  # every layer reads layers before it, and all but the last are read
            before, read = set(), set()
            for layer in layers:
                nodes = layer["inbound_nodes"]
                assert layer["name"] == layer["config"]["name"] and len(nodes) == (layer is not layers[0])
                sources = {n[0] for n in nodes[0]} if nodes else set()
                assert sources <= before, layer
                assert len(nodes[0]) == (2 if layer["class_name"] in ("Add", "Concatenate") else 1) if nodes else True
                before.add(layer["name"])
                read |= sources
            assert before - read == {layers[-1]["name"]} == {config["config"]["output_layers"][0][0]}
            assert config["config"]["input_layers"] == [[layers[0]["name"], 0, 0]]
        sides = [info[side] for side in ("depth", "height", "width", "channels") if side in info]
        assert layers[0]["config"]["batch_input_shape"] == [None, *sides]
        assert layers[-1]["class_name"] in ("Dense", "Conv2D", "Conv3D") and layers[-1]["config"]["activation"] == "softmax"
        assert layers[-1]["config"].get("units", layers[-1]["config"].get("filters")) == info["n_classes"]
        names = [layer["config"]["name"] for layer in layers[1:]]
        assert names == [text(n) for n in file["model_weights"].attrs["layer_names"]]
        found = list(tensors_of(file))
    assert [(l, n) for l, n, _ in found] == [(t["layer"], t["name"]) for t in info["tensors"]]
    for (layer, name, array), tensor in zip(found, info["tensors"]):
        assert array.dtype == np.float32 and list(array.shape) == tensor["shape"], (layer, name)
        part = raw[tensor["offset"]:tensor["offset"] + array.size].reshape(array.shape)
        assert np.array_equal(array, part), (layer, name)
    assert sum(a.size for _, _, a in found) == raw.size
    # Without our own description it is a foreign file, and still the same network with the same values.
    with h5py.File(path("a.h5"), "r+") as file:
        del file.attrs["medsecurefl_model"]
    run(PROBE, "load", path("a.h5"), path("b.raw"), path("b.yaml"))
    assert np.array_equal(raw, np.fromfile(path("b.raw"), "<f4"))


def keras_layer(class_name, name, **config):
    return {"class_name": class_name, "config": dict(config, name=name)}


FOREIGN = [
    keras_layer("Conv2D", "conv2d", batch_input_shape=[None, 12, 10, 2], filters=5, kernel_size=[3, 3],
                strides=[1, 1], padding="same", data_format="channels_last", dilation_rate=[1, 1], groups=1,
                activation="linear", use_bias=True),
    keras_layer("BatchNormalization", "bn", axis=[3], momentum=0.99, epsilon=0.001, center=True, scale=True),
    keras_layer("ReLU", "re_lu", max_value=None, negative_slope=0.0, threshold=0.0),
    keras_layer("MaxPooling2D", "pool", pool_size=[2, 2], padding="valid", strides=[2, 2]),
    keras_layer("GroupNormalization", "gn", groups=5, axis=-1, epsilon=0.001, center=True, scale=True),
    keras_layer("Activation", "act", activation="relu"),
    keras_layer("GlobalAveragePooling2D", "gap", data_format="channels_last", keepdims=False),
    keras_layer("Dense", "dense", units=6, activation="relu", use_bias=False),
    keras_layer("Dropout", "drop", rate=0.5, noise_shape=None, seed=None),
    keras_layer("Dense", "dense_1", units=3, activation="linear", use_bias=True),
    keras_layer("Activation", "softmax", activation="softmax"),
]
SHAPES = {"conv2d": {"kernel": (3, 3, 2, 5), "bias": (5,)},
          "bn": {"gamma": (5,), "beta": (5,), "moving_mean": (5,), "moving_variance": (5,)},
          "gn": {"gamma": (5,), "beta": (5,)},
          "dense": {"kernel": (5, 6)},
          "dense_1": {"kernel": (6, 3), "bias": (3,)}}


def write_foreign(name, layers=FOREIGN, shapes=SHAPES, dtype="f4", whole=True, variable=False, change=None, **create):
    """As keras.Model.save (whole) or save_weights does it; the values in the order of our weight vector."""
    rng = np.random.RandomState(1)
    values = []
    with h5py.File(path(name), "w") as file:
        config = json.dumps({"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}})
        file.attrs["model_config"] = config if variable else config.encode()
        file.attrs["keras_version"] = b"2.11.0"
        group = file.create_group("model_weights") if whole else file
        names = [layer["config"]["name"] for layer in layers]
        group.attrs["layer_names"] = names if variable else np.array([n.encode() for n in names])
        for layer in names:
            g = group.create_group(layer)
            weights = shapes.get(layer, {})
            listed = [f"{layer}/{w}:0" for w in weights]
            g.attrs["weight_names"] = listed if variable and listed else np.array([n.encode() for n in listed])
            for w, shape in weights.items():
                array = rng.randn(*shape).astype(dtype)
                values.append(array.astype("f4").ravel())
                g.create_dataset(f"{layer}/{w}:0", data=array, **create)
        if change is not None:
            change(file, group)
    return np.concatenate(values)


def theirs_is_ours():
    for i, options in enumerate([{}, {"whole": False}, {"variable": True}, {"dtype": "f8"}, {"dtype": "f2"},
                                 {"dtype": ">f4"}, {"compression": "gzip", "chunks": True, "shuffle": True}]):
        values = write_foreign(f"f{i}.h5", **options)
        run(PROBE, "load", path(f"f{i}.h5"), path("f.raw"), path("f.yaml"))
        assert np.array_equal(values, np.fromfile(path("f.raw"), "<f4")), options
    yaml = open(path("f.yaml")).read()
    assert "classes: 3" in yaml and "global_avg_pool" in yaml and yaml.count("relu: {") == 2, yaml


def refusals():
    def poison(value):
        def change(file, group):
            group["dense/dense/kernel:0"][2, 3] = value
        return change

    def remove(file, group):
        del group["gn"]["gn/beta:0"]

    def integers(file, group):
        del group["gn"]["gn/beta:0"]
        group["gn"]["gn/beta:0"] = np.arange(5)

    def reshape(file, group):
        del group["dense"]["dense/kernel:0"]
        group["dense"]["dense/kernel:0"] = np.zeros((6, 5), "f4")

    def twice(file, group):
        group["dense"].attrs["weight_names"] = np.array([b"dense/kernel:0", b"dense/kernel:0"])

    def outside(file, group):
        del group["dense"]["dense/kernel:0"]
        with h5py.File(path("other.h5"), "w") as other:
            other["x"] = np.zeros((5, 6), "f4")
        group["dense"]["dense/kernel:0"] = h5py.ExternalLink(path("other.h5"), "x")

    def huge(file, group):
        del group["dense"]["dense/kernel:0"]
        group["dense"].create_dataset("dense/kernel:0", (1 << 14, 1 << 14), "f4", chunks=(64, 64))

    def no_layers(file, group):
        del group.attrs["layer_names"]

    def no_config(file, group):
        del file.attrs["model_config"]

    def bad_json(file, group):
        file.attrs["model_config"] = b'{"class_name": "Sequential", '

    damaged = "damaged, or not a Keras model file"
    for change, says in [(poison(np.nan), "not finite"), (poison(-np.inf), "not finite"), (remove, damaged),
                         (integers, damaged), (reshape, "dense/kernel is 6x5 in the file, but 5x6"),
                         (twice, "is there twice"), (outside, damaged), (huge, damaged), (no_layers, damaged),
                         (no_config, "holds no architecture"), (bad_json, "line 1")]:
        write_foreign("bad.h5", change=change)
        run(CLI, "model", "info", path("bad.h5"), fails=says)

    def with_layer(i, **config):
        layers = json.loads(json.dumps(FOREIGN))
        layers[i]["config"].update(config)
        return layers

    for layers, says in [(with_layer(0, dilation_rate=[2, 2]), "dilated or grouped"),
                         (with_layer(0, padding="causal"), "unknown padding"),
                         (with_layer(0, data_format="channels_first"), "channels first"),
                         (with_layer(0, activation="swish"), "activation other than relu"),
                         (with_layer(0, filters=10 ** 12), "'filters' must be a number from 1 to"),
                         (with_layer(3, padding="same"), "pools with padding"),
                         (with_layer(2, max_value=6.0), "not a plain ReLU"),
                         (FOREIGN + [keras_layer("Dense", "more", units=2, activation="linear")], "after softmax"),
                         (FOREIGN[:3] + [keras_layer("LSTM", "lstm")] + FOREIGN[3:], "class that is not supported"),
                         (FOREIGN[:-2], "does not end in a dense layer")]:
        write_foreign("bad.h5", layers=layers)
        run(CLI, "model", "info", path("bad.h5"), fails=says)
    with open(path("text.h5"), "w") as file:
        file.write("not HDF5")
    run(CLI, "model", "info", path("text.h5"), fails="not an HDF5 file")


def graph_refusals():
    """Our own graph, damaged in its connections."""
    run(PROBE, "init", "resnet8", 7, path("a.h5"), path("a.raw"))

    def refuse(says, change):
        with h5py.File(path("a.h5"), "r") as whole:
            config = json.loads(text(whole.attrs["model_config"]))
        layers = config["config"]["layers"]
        change(config, layers, {layer["name"]: layer for layer in layers})
        with open(path("a.h5"), "rb") as file, open(path("bad.h5"), "wb") as out:
            out.write(file.read())
        with h5py.File(path("bad.h5"), "r+") as file:
            del file.attrs["medsecurefl_model"], file.attrs["model_config"]
            file.attrs["model_config"] = json.dumps(config).encode()
        run(CLI, "model", "info", path("bad.h5"), fails=says)

    def inbound(name, *sources):
        def change(config, layers, by_name):
            by_name[name]["inbound_nodes"] = [[[s, 0, 0, {}] for s in sources]]
        return change

    refuse("reads a layer that is not before it", inbound("block1", "group_norm2", "block3"))
    refuse("joins more or less than two", inbound("block1", "group_norm2"))
    refuse("reads the image beside other layers", inbound("block1", "group_norm2", "image"))
    refuse("no layer reads what", inbound("block1", "stem_relu", "stem_relu"))
    refuse("is used more than once", lambda c, l, by: by["conv1"].update(inbound_nodes=by["conv1"]["inbound_nodes"] * 2))
    refuse("reads a layer that is not before it", lambda c, l, by: by["conv1"].update(inbound_nodes=[[[7, 0, 0]]]))
    refuse("a Sequential model cannot", lambda c, l, by: c.update(class_name="Sequential"))
    refuse("only Sequential and Functional", lambda c, l, by: c.update(class_name="Model2"))


GRAPHS = ["resnet8", "unet2d", "unet3d"]
graph_refusals()
for built_in in ["cnn-small", "medsecurefl-2022", *GRAPHS]:
    ours_is_theirs(built_in)
with open(path("everything.yaml"), "w") as out:
    out.write(YAML)
ours_is_theirs(path("everything.yaml"))
with open(path("volumes.yaml"), "w") as out:
    out.write("name: volumes\ninput: {depth: 9, height: 10, width: 8, channels: 2}\nclasses: 3\nlayers:\n"
              "  - conv: {filters: 4, kernel: [1, 3, 2], stride: [2, 1, 1], padding: same}\n  - batch_norm\n"
              "  - avg_pool: {size: [2, 3, 1]}\n  - upsample: {size: [1, 2, 3]}\n  - max_pool\n  - global_avg_pool\n"
              "  - dense: {units: classes}\n")
ours_is_theirs(path("volumes.yaml"))
theirs_is_ours()
refusals()
print("ok")
