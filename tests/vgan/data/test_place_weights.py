"""Weights are read as Python 2 wrote them, checked by layer, and never run."""

import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from vgan.data.place_weights import load_place_network, read_place_weights
from vgan.errors import DataError
from vgan.models.resnet import ResNet


class _Python2Pickler(pickle._Pickler):
    """Writes text as Python 2 did: bytes without an encoding."""

    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def _save_text(self, text):
        data = text.encode("latin1")
        size = len(data)
        head = b"U" + bytes([size]) if size < 256 else b"T" + size.to_bytes(4, "little")
        self.write(head + data)
        self.memoize(text)

    dispatch[str] = _save_text


class _Python2Pickle:
    Pickler = _Python2Pickler
    __name__ = "pickle"

    @staticmethod
    def dump(found, file, protocol):
        _Python2Pickler(file, protocol).dump(found)


def _network() -> ResNet:
    torch.manual_seed(3)
    return ResNet((1, 1, 1, 1), 2)


def _published(**more) -> dict:
    """A dictionary as the authors' training script saved it, on several GPUs."""
    state = {f"module.{name}": value for name, value in _network().state_dict().items()}
    state = {name: v for name, v in state.items() if not name.endswith("num_batches_tracked")}
    return {"epoch": 90, "arch": "resnet18", "state_dict": state, "best_prec1": 54.65, **more}


def _save_old(path: Path, found, module=_Python2Pickle) -> Path:
    torch.save(found, path, pickle_module=module, _use_new_zipfile_serialization=False)
    return path


class _Hostile:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)


@pytest.mark.parametrize(
    "more",
    [{}, {"note": "été"}, {"log": "x" * 300, "author": "été"}],
    ids=["plain", "latin-1", "long-string"],
)
def test_weights_that_python_2_wrote_are_read_exactly(tmp_path, more):
    path = _save_old(tmp_path / "resnet18_places365.pth.tar", _published(**more))

    found = read_place_weights(path)

    wanted = _network().state_dict()
    assert "conv1.weight" in found
    assert all(torch.equal(value, wanted[name]) for name, value in found.items())


def test_torchs_own_careful_reader_cannot_read_what_python_2_wrote(tmp_path):
    path = _save_old(tmp_path / "old.pth", _published(log="x" * 300))

    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)


def test_a_bare_state_dict_of_today_is_read_too(tmp_path):
    torch.save(_network().state_dict(), tmp_path / "new.pth")

    network = load_place_network(tmp_path / "new.pth")

    assert not network.training
    assert torch.equal(network.fc.weight, _network().fc.weight)


def test_a_bottleneck_network_is_recognised(tmp_path):
    torch.save(ResNet((1, 1, 2, 1), 2, bottleneck=True).state_dict(), tmp_path / "deep.pth")

    network = load_place_network(tmp_path / "deep.pth")

    assert hasattr(network.get_submodule("layer3.1"), "conv3")


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "zip"])
@pytest.mark.parametrize("hidden", [True, False], ids=["inside", "alone"])
def test_a_hostile_pickle_is_refused_and_never_run(tmp_path, legacy, hidden):
    proof, path = tmp_path / "was-run", tmp_path / "weights.pth"
    found = _published(extra=_Hostile(proof)) if hidden else _Hostile(proof)
    torch.save(found, path, _use_new_zipfile_serialization=not legacy)

    with pytest.raises(DataError, match=r"weights.pth: holds no weights that can be read safely"):
        read_place_weights(path)

    assert not proof.exists()
    torch.load(path, weights_only=False)  # it would have
    assert proof.is_dir()


def test_a_hostile_pickle_with_python_2_strings_names_what_it_wanted_to_run(tmp_path):
    proof = tmp_path / "was-run"
    path = _save_old(tmp_path / "weights.pth", _published(log="x" * 300, extra=_Hostile(proof)))

    with pytest.raises(DataError, match=r"it names (posix|nt)\.mkdir, which is no tensor"):
        read_place_weights(path)

    assert not proof.exists()


def test_a_pickle_cannot_change_what_it_may_call(tmp_path):
    # A name, (None, {"bad": 1}), BUILD: sets an attribute on whatever the name stands for.
    build = b"ctorch._utils\n_rebuild_tensor_v2\nN}U\x03badK\x01s\x86b."
    (tmp_path / "w.pth").write_bytes(b"\x80\x02" + build)

    with pytest.raises(DataError, match=r"w\.pth: holds no weights"):
        read_place_weights(tmp_path / "w.pth")

    assert not hasattr(torch._utils._rebuild_tensor_v2, "bad")


def test_a_bare_pickle_and_a_tar_are_refused(tmp_path):
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(_Hostile(tmp_path / "was-run")))
    with tarfile.open(tmp_path / "real.tar", "w") as tar:
        for name in ("storages", "tensors", "pickle"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())

    for name in ("bare.pth", "real.tar"):
        with pytest.raises(DataError, match=f"{name}: holds no weights that can be read safely"):
            read_place_weights(tmp_path / name)
    assert not (tmp_path / "was-run").exists()


def _saved(path: Path, change) -> Path:
    state = _network().state_dict()
    change(state)
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layer3.0.conv2.weight"), "layer layer3.0.conv2.weight is missing"),
        (lambda s: s.pop("conv1.weight"), "layer conv1.weight is missing"),
        (
            lambda s: s.update({"layer2.0.bn1.bias": torch.zeros(5)}),
            r"layer layer2.0.bn1.bias is \(5,\), the network's is \(4,\)",
        ),
        (
            lambda s: s.update({"fc.weight": torch.zeros(1000, 16), "fc.bias": torch.zeros(1000)}),
            "layer fc tells 1000 classes apart, Places365 has 365",
        ),
        (lambda s: s.update({"features.0.weight": torch.zeros(1)}), "layer features.0.weight"),
        (lambda s: s["bn1.bias"].fill_(float("nan")), "layer bn1.bias holds numbers that are not"),
        (lambda s: s.update({"fc.bias": "many"}), "'fc.bias' is not a tensor"),
    ],
    ids=["missing", "no-resnet", "shape", "classes", "surplus", "nan", "text"],
)
def test_wrong_weights_are_refused_by_the_layers_name(tmp_path, change, message):
    path = _saved(tmp_path / "w.pth", change)

    with pytest.raises(DataError, match=message):
        load_place_network(path)


@pytest.mark.parametrize("content", [b"", b"not a pickle at all", b"\x80\x02}q\x00.", None])
def test_files_that_hold_no_weights_are_refused(tmp_path, content):
    path = tmp_path / "w.pth"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(DataError, match=r"w\.pth: .*docs/collect\.md"):
        read_place_weights(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = _save_old(tmp_path / "whole.pth", _published())
    data = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "cut.pth").write_bytes(data[: int(share * len(data))])

        with pytest.raises(DataError, match=r"cut\.pth: holds no weights"):
            read_place_weights(tmp_path / "cut.pth")
