"""A generator saved as the authors' main.lua saves it becomes ours, to the last bit of a clip.

The file is written here, in the format of torch7's File.lua; the tree it holds is also evaluated
here, module by module, so that what is compared does not rest on the conversion alone.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from vgan.cli import main
from vgan.data.manifest import read_manifest
from vgan.errors import CheckpointError, DataError
from vgan.figures.layers import load_looker
from vgan.models.generator import OneStreamGenerator, TwoStreamGenerator
from vgan.models.released import build_released
from vgan.models.torch7 import SkippedFunction, Torch7Error, TorchObject, read_torch7
from vgan.training.run import load_run

WIDTH, LATENT = 1, 5


@dataclass(eq=False)
class Obj:
    """A module: its class and fields; `modules` makes it a container."""

    name: str
    fields: dict[str, Any]

    @property
    def modules(self) -> list["Obj"]:
        return list(self.fields.get("modules", {}).values())


@dataclass(eq=False)
class View:
    """A tensor: where it begins in a storage that others share, from 0."""

    storage: np.ndarray
    first: int
    shape: tuple[int, ...]


class Writer:
    """Writes objects as torch.save does; what was written already is only referred to."""

    def __init__(self, versioned: bool = True, kind: str = "Float") -> None:
        self.out, self.seen, self.versioned, self.kind = bytearray(), {}, versioned, kind

    def ints(self, *values: int) -> None:
        self.out += struct.pack(f"<{len(values)}i", *values)

    def longs(self, *values: int) -> None:
        self.out += struct.pack(f"<{len(values)}q", *values)

    def text(self, value: str) -> None:
        self.ints(len(value))
        self.out += value.encode("latin-1")

    def write(self, value: Any) -> bytes:
        if value is None:
            self.ints(0)
        elif isinstance(value, bool):
            self.ints(5, value)
        elif isinstance(value, int | float):
            self.ints(1)
            self.out += struct.pack("<d", value)
        elif isinstance(value, str):
            self.ints(2)
            self.text(value)
        else:
            self.ints(3 if isinstance(value, dict) else 4)
            known = id(value) in self.seen
            number = self.seen.setdefault(id(value), len(self.seen) + 1)
            self.ints(number)
            if not known:
                self._new(value)
        return bytes(self.out)

    def _new(self, value: Any) -> None:
        if isinstance(value, dict):
            self.ints(len(value))
            for key, held in value.items():
                self.write(key)
                self.write(held)
            return
        if self.versioned:
            self.text("V 1")
        if isinstance(value, View):
            self.text(f"torch.{self.kind}Tensor")
            strides = [int(np.prod(value.shape[n + 1 :])) for n in range(len(value.shape))]
            self.ints(len(value.shape))
            self.longs(*value.shape, *strides, value.first + 1)
            self.write(value.storage)
        elif isinstance(value, np.ndarray):
            self.text(f"torch.{self.kind}Storage")
            self.longs(len(value))
            self.out += value.tobytes()
        else:
            self.text(value.name)
            self.write(value.fields)


def _module(name: str, *modules: Obj, **fields: Any) -> Obj:
    if modules:
        fields["modules"] = dict(enumerate(modules, 1))
    return Obj(f"nn.{name}", {"train": True, **fields})


class Tree:
    """Builds the tree of main.lua from a generator of ours, all weights in one storage."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.state = {k: v.numpy() for k, v in network.state_dict().items() if v.ndim}
        self.storage = np.empty(2 * sum(v.size for v in self.state.values()), np.float32)
        self.used = 7

    def view(self, values: np.ndarray) -> View:
        first, self.used = self.used, self.used + values.size
        self.storage[first : self.used] = values.ravel()
        return View(self.storage, first, values.shape)

    def layer(self, kind: str, name: str, channels: slice = slice(None)) -> Obj:
        first = name.endswith(".0")
        axes = "TWH" if kind == "Volumetric" else "WH"
        steps = {f"d{a}": 1 if first else 2 for a in axes}
        steps |= {f"pad{a}": 0 if first else 1 for a in axes} | {f"adj{a}": 0 for a in axes}
        weight = self.view(self.state[f"{name}.weight"][:, channels])
        bias = self.view(self.state[f"{name}.bias"][channels])
        return _module(f"{kind}FullConvolution", weight=weight, bias=bias, **steps)

    def norm(self, kind: str, name: str) -> Obj:
        keys = ("weight", "bias", "running_mean", "running_var")
        values = {key: self.view(self.state[f"{name}.{key}"]) for key in keys}
        return _module(f"{kind}BatchNormalization", eps=1e-5, momentum=0.1, **values)

    def stream(self, kind: str, name: str) -> list[Obj]:
        modules = [_module("View", numElements=LATENT)]
        for n in (0, 3, 6, 9):
            modules += [self.layer(kind, f"{name}.{n}"), self.norm(kind, f"{name}.{n + 1}")]
            modules += [_module("ReLU", inplace=True)]
        return modules

    def one_stream(self) -> Obj:
        trunk = self.stream("Volumetric", "foreground")
        return _module("Sequential", *trunk, self.layer("Volumetric", "head"), _module("Tanh"))

    def two_stream(self) -> Obj:
        def sequential(*modules: Obj) -> Obj:
            return _module("Sequential", *modules)

        def concat(*modules: Obj) -> Obj:
            return _module("ConcatTable", *modules)

        def select(number: int) -> Obj:
            return _module("SelectTable", index=number)

        colours = _module("Replicate", nfeatures=3, dim=2)
        minus = _module("MulConstant", constant_scalar=-1)
        mask = sequential(
            self.layer("Volumetric", "head", slice(3, 4)), _module("Sigmoid"),
            _module("L1Penalty", l1weight=0.1, sizeAverage=True),
        )  # fmt: skip
        shown = sequential(self.layer("Volumetric", "head", slice(3)), _module("Tanh"))
        video = sequential(*self.stream("Volumetric", "foreground"), concat(shown, mask))
        last = [self.layer("Spatial", "background.12"), _module("Tanh")]
        static = sequential(*self.stream("Spatial", "background"), *last)
        moving = sequential(
            concat(select(1), sequential(select(2), _module("Squeeze"), colours)),
            _module("CMulTable"),
        )
        still = sequential(
            concat(
                sequential(select(3), _module("Replicate", nfeatures=32, dim=3)),
                sequential(select(2), _module("Squeeze"), minus,
                           _module("AddConstant", constant_scalar=1), colours),
            ),
            _module("CMulTable"),
        )  # fmt: skip
        parts = concat(video, static)
        return sequential(
            parts, _module("FlattenTable"), concat(moving, still), _module("CAddTable")
        )


def _values(view: View) -> torch.Tensor:
    count = int(np.prod(view.shape))
    return torch.from_numpy(view.storage[view.first : view.first + count].reshape(view.shape))


def _flat(table: list[Any]) -> list[Any]:
    return [leaf for one in table for leaf in (_flat(one) if isinstance(one, list) else [one])]


def run(module: Obj, given: Any) -> Any:
    """Evaluate a module as Torch's nn does in evaluation mode."""
    kind, f = module.name.removeprefix("nn."), module.fields
    if kind == "Sequential":
        for one in module.modules:
            given = run(one, given)
        return given
    if kind == "ConcatTable":
        return [run(one, given) for one in module.modules]
    if kind.endswith("FullConvolution"):
        weight, bias = _values(f["weight"]), _values(f["bias"])
        given = given.reshape(*given.shape, *[1] * (weight.ndim - given.ndim))
        convolve = functional.conv_transpose3d if weight.ndim == 5 else functional.conv_transpose2d
        return convolve(given, weight, bias, stride=f["dW"], padding=f["padW"])
    if kind.endswith("BatchNormalization"):
        names = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(given, *[_values(f[n]) for n in names], eps=f["eps"])
    simple = {
        "View": lambda x: x, "L1Penalty": lambda x: x, "ReLU": torch.relu, "Tanh": torch.tanh,
        "Sigmoid": torch.sigmoid, "FlattenTable": _flat, "CMulTable": lambda t: t[0] * t[1],
        "CAddTable": lambda t: t[0] + t[1], "Squeeze": lambda x: x.squeeze(1),
        "SelectTable": lambda t: t[int(f["index"]) - 1],
        "Replicate": lambda x: torch.stack([x] * f["nfeatures"], f["dim"] - 1),
        "MulConstant": lambda x: x * f["constant_scalar"],
        "AddConstant": lambda x: x + f["constant_scalar"],
    }  # fmt: skip
    return simple[kind](given)


@pytest.fixture(scope="module")
def ours() -> torch.nn.Module:
    """A generator of ours whose every weight and statistic is drawn, wide enough to matter."""
    network = TwoStreamGenerator(WIDTH, LATENT)
    chance = torch.Generator().manual_seed(1)
    for name, values in network.state_dict().items():
        if values.ndim:
            drawn = 0.3 * torch.randn(values.shape, generator=chance)
            values.copy_(drawn.abs() + 0.1 if name.endswith("running_var") else drawn)
    return network.eval()


@pytest.fixture(scope="module")
def file(ours, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("released") / "iter65000_net.t7"
    path.write_bytes(Writer().write(Tree(ours).two_stream()))
    return path


Z = torch.randn(3, LATENT, generator=torch.Generator().manual_seed(0))


def test_converted_generator_is_ours_bit_for_bit(ours, file):
    found = build_released(read_torch7(file))

    assert (found.model, found.width, found.latent) == ("two-stream", WIDTH, LATENT)
    for name, values in found.network.state_dict().items():
        assert torch.equal(values, ours.state_dict()[name]), name
    with torch.no_grad():
        assert torch.equal(found.network(Z), ours(Z))


def test_converted_generator_makes_what_the_tree_in_the_file_makes(ours, file):
    with torch.no_grad():
        expected = run(Tree(ours).two_stream(), Z)
        made = build_released(read_torch7(file)).network(Z)

    assert made.shape == (3, 3, 32, 64, 64)
    assert expected.std() > 0.1
    assert torch.allclose(made, expected, atol=1e-5)


def test_generate_takes_a_converted_run(ours, file, tmp_path, capsys):
    made = str(tmp_path / "run")

    assert main(["convert", str(file), "--out", made, "--category", "golf"]) == 0
    assert "two-stream generator of width 1, latent 5" in capsys.readouterr().out
    loaded = load_run(tmp_path / "run")
    assert loaded.step == 65000
    with torch.no_grad():
        assert torch.equal(loaded.network.streams(Z).clip, ours(Z))
    order = ["generate", made, "--n", "1", "--out", str(tmp_path / "clips"), "--device", "cpu"]
    assert main(order) == 0
    [record] = read_manifest(tmp_path / "clips")
    assert (record.source, record.category, record.fps) == ("vgan-two-stream", "golf", 25)
    assert main(["convert", str(file), "--out", made]) == 2
    assert "is in use" in capsys.readouterr().err


def test_discriminator_that_the_file_does_not_hold_is_neither_measured_nor_drawn(
    file, drawn, tmp_path, capsys
):
    made, out = str(tmp_path / "run"), tmp_path / "features.csv"
    main(["convert", str(file), "--out", made])

    assert main(["features", made, str(drawn), "--out", str(out), "--device", "cpu"]) == 1
    assert "its discriminator has learnt nothing" in capsys.readouterr().err
    assert not out.exists()
    with pytest.raises(CheckpointError, match="take a run that `vgan train` made"):
        load_looker(tmp_path / "run", torch.device("cpu"))


def test_steps_are_asked_for_where_the_name_does_not_say_them(file, tmp_path, capsys):
    other = tmp_path / "golf.t7"
    other.write_bytes(file.read_bytes())

    assert main(["convert", str(other), "--out", str(tmp_path / "run")]) == 2
    assert "golf.t7 does not say how long it was trained; give --steps" in capsys.readouterr().err
    assert main(["convert", str(other), "--out", str(tmp_path / "run"), "--steps", "9"]) == 0
    assert load_run(tmp_path / "run").step == 9


@pytest.mark.parametrize("library", ["nn", "cudnn"])
def test_one_stream_tree_of_either_library_converts(tmp_path, library):
    network = OneStreamGenerator(WIDTH, LATENT).eval()
    tree = Tree(network).one_stream()
    for module in tree.modules:
        module.name = module.name.replace("nn.", f"{library}.")
    (tmp_path / "net.t7").write_bytes(Writer(versioned=library == "nn").write(tree))

    found = build_released(read_torch7(tmp_path / "net.t7"))

    assert found.model == "one-stream"
    with torch.no_grad():
        assert torch.equal(found.network(Z), network(Z))


def test_old_batch_norm_and_another_eps_give_the_same_statistics(tmp_path):
    network = OneStreamGenerator(WIDTH, LATENT).eval()
    for name, values in network.state_dict().items():
        if name.endswith("running_var"):
            values.copy_(torch.linspace(0.001, 0.01, len(values)))
    tree = Tree(network)
    modules = tree.one_stream()
    norms = [m for m in modules.modules if m.name.endswith("BatchNormalization")]
    for norm in norms:
        variance = _values(norm.fields.pop("running_var")).numpy()
        norm.fields["eps"] = 1e-3
        norm.fields["running_std"] = tree.view((variance + 1e-5) ** -0.5)  # eps with it
    (tmp_path / "net.t7").write_bytes(Writer().write(modules))

    found = build_released(read_torch7(tmp_path / "net.t7"))

    for name, values in network.state_dict().items():
        if values.is_floating_point():
            assert torch.allclose(found.network.state_dict()[name], values, rtol=1e-4), name


def _conditional() -> Obj:
    return _module("Sequential", _module("SpatialConvolution"), _module("ReLU"))


def test_another_network_is_refused_by_the_module_that_differs(tmp_path, capsys):
    path = tmp_path / "net.t7"  # its steps are not asked for
    path.write_bytes(Writer().write(_conditional()))

    assert main(["convert", str(path), "--out", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err
    assert "net.t7: module 1 (SpatialConvolution) stands where the authors' uncond" in said
    assert not (tmp_path / "run").exists()


def _first_layer(tree: Obj) -> Obj:
    return tree.modules[0].modules[0].modules[1]


def _change(**fields: Any) -> Any:
    return lambda tree: _first_layer(tree).fields.update(fields)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [(_change(dW=2), r"module 1\.1\.2 \(VolumetricFullConvolution\) has dW 2\.0 where"),
     (_change(bias=None), r"module 1\.1\.2 .* has no bias"),
     (_change(weight=View(np.zeros(9, np.float32), 0, (3, 3))), r"module 1\.1\.2 .* has a weigh"),
     (lambda tree: tree.fields["modules"].pop(4), r"there are 46 layers where .* has 47"),
     (lambda tree: tree.fields["modules"].update({2: "no module"}), "module 2 holds no network"),
     (lambda tree: tree.modules[2].modules[1].modules[0].modules[1].modules[0].fields.update(
         index=1), r"module 3\.2\.1\.2\.1 \(SelectTable\) selects 1\.0, not 2")],
)  # fmt: skip
def test_layer_that_differs_is_named(ours, tmp_path, spoil, named):
    tree = Tree(ours).two_stream()
    spoil(tree)
    (tmp_path / "net.t7").write_bytes(Writer().write(tree))

    with pytest.raises(DataError, match=named):
        build_released(read_torch7(tmp_path / "net.t7"))


def test_weights_that_are_not_finite_are_refused(ours, tmp_path):
    tree = Tree(ours)
    modules = tree.two_stream()
    tree.storage[20] = np.nan
    (tmp_path / "net.t7").write_bytes(Writer().write(modules))

    with pytest.raises(DataError, match="not finite"):
        build_released(read_torch7(tmp_path / "net.t7"))


def test_every_kind_of_object_reads_back(tmp_path):
    shared = {"a": 1, 2: True}
    numbers = np.arange(12.0)
    table = {
        "none": None, "text": "caf\xe9", "twice": {1: shared, 2: shared},
        "tensor": View(numbers, 4, (2, 3)), "module": Obj("nn.Odd", {"size": 2}),
    }  # fmt: skip
    shared["self"] = shared
    path = tmp_path / "any.t7"
    path.write_bytes(Writer(kind="Double").write(table))

    found = read_torch7(path)

    assert found["none"] is None
    assert found["text"] == "caf\xe9"
    assert found["twice"][1.0] is found["twice"][2.0]
    assert found["twice"][1.0]["self"] is found["twice"][1.0]
    assert found["twice"][1.0][2.0] is True
    assert found["tensor"].tolist() == [[4, 5, 6], [7, 8, 9]]
    assert isinstance(found["module"], TorchObject)
    assert (found["module"].name, found["module"].fields) == ("nn.Odd", {"size": 2})


@pytest.mark.parametrize("kind", [6, 7, 8])
def test_functions_are_skipped_not_run(tmp_path, kind):
    code = Writer()
    code.ints(3, 50, 2)  # a table of two
    code.write("before")
    code.ints(kind, *([9] if kind != 6 else []))
    code.text("bytecode")
    code.write({"upvalue": 1})
    code.write("after")
    code.write("there")
    path = tmp_path / "closure.t7"
    path.write_bytes(bytes(code.out))

    found = read_torch7(path)

    assert isinstance(found["before"], SkippedFunction)
    assert found["after"] == "there"


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_truncated_file_is_named_with_the_byte(file, tmp_path, share):
    whole = file.read_bytes()
    path = tmp_path / "iter1_net.t7"
    path.write_bytes(whole[: int(share * len(whole))])

    with pytest.raises(Torch7Error, match=r"iter1_net.t7: at byte \d+: .* the file is truncated"):
        read_torch7(path)


def test_no_cut_or_flipped_byte_ends_in_anything_but_an_error(file, tmp_path):
    whole = bytearray(file.read_bytes())
    path = tmp_path / "net.t7"
    chance = np.random.default_rng(0)
    structure = [n for n in range(3000) if whole[n] != 0]
    for at in chance.choice(structure, 150, replace=False):
        spoilt = bytearray(whole)
        spoilt[at] ^= 1 << int(chance.integers(8))
        path.write_bytes(spoilt)
        try:
            build_released(read_torch7(path))
        except DataError:
            continue


def _nested(depth: int) -> Any:
    table: Any = "end"
    for _ in range(depth):
        table = {1: table}
    return table


def test_file_nested_too_deeply_is_named_with_the_byte(tmp_path):
    path = tmp_path / "deep.t7"
    path.write_bytes(Writer().write(_nested(100)))
    read_torch7(path)
    path.write_bytes(Writer().write(_nested(101)))

    with pytest.raises(Torch7Error, match=r"deep.t7: at byte 2404: objects are nested more than 1"):
        read_torch7(path)


def _tensor(sizes: list[int], strides: list[int], offset: int) -> bytes:
    writer = Writer()
    writer.ints(4, 1)
    writer.text("V 1")
    writer.text("torch.FloatTensor")
    writer.ints(len(sizes))
    writer.longs(*sizes, *strides, offset)
    writer.write(np.zeros(4, np.float32))
    return bytes(writer.out)


@pytest.mark.parametrize(
    ("sizes", "strides", "offset"),
    [([5], [1], 1), ([2, 2], [4, 1], 1), ([4], [-1], 1), ([4], [1], 0), ([-1], [1], 1)],
)
def test_tensor_that_reaches_out_of_its_storage_is_refused(tmp_path, sizes, strides, offset):
    (tmp_path / "net.t7").write_bytes(_tensor(sizes, strides, offset))

    with pytest.raises(Torch7Error, match="reaches out of its storage of 4"):
        read_torch7(tmp_path / "net.t7")
    (tmp_path / "net.t7").write_bytes(_tensor([2, 2], [2, 1], 1))
    assert read_torch7(tmp_path / "net.t7").shape == (2, 2)


@pytest.mark.parametrize(
    ("content", "named"),
    [(b"", r"is empty \(0 bytes\)"), (b"PK\x03\x04 a zip archive", "has the number 67324752"),
     (b"4\n1\n3\nV 1\n13\nnn.Sequential\n", "not a Torch7 binary file")],
)  # fmt: skip
def test_other_kinds_of_file_are_named(tmp_path, content, named):
    (tmp_path / "net.t7").write_bytes(content)

    with pytest.raises(Torch7Error, match=named):
        read_torch7(tmp_path / "net.t7")


def test_missing_file_is_named(tmp_path, capsys):
    assert main(["convert", str(tmp_path / "none.t7"), "--out", str(tmp_path / "run")]) == 1
    assert "none.t7: cannot be read (No such file or directory)" in capsys.readouterr().err
