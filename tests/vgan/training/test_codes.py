"""The mixture is fitted where the autoencoder is, and its file does not say where that was.

There is no second device here, so one is pretended: its tensors hold CPU tensors and refuse to meet
those of the CPU, except where a GPU lets them: single numbers, indices and copies.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from vgan.data.dataset import ClipDataset
from vgan.models.mixture import GaussianMixture
from vgan.training import codes as codes_module
from vgan.training.checkpoint import load_checkpoint
from vgan.training.codes import encode_clips, fit_codes
from vgan.training.folder import RunFolder

CPU, CARD = torch.device("cpu"), torch.device("meta")  # a name that torch knows, without memory
ATEN = torch.ops.aten
COPIES = {ATEN._to_copy.default, ATEN.copy_.default}
INDEXING = {ATEN.index.Tensor, ATEN.index_put_.default}


class OnCard(torch.Tensor):
    @staticmethod
    def __new__(cls, held):
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, held.stride(), held.storage_offset(), dtype=held.dtype, device=CARD
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, operation, kinds, given=(), named=None):
        return run(operation, given, named or {})

    def __getitem__(self, places):
        return super().__getitem__(torch.tensor(places) if isinstance(places, list) else places)

    def tolist(self):
        return self.held.tolist()


class PretendedCard(TorchDispatchMode):
    def __torch_dispatch__(self, operation, kinds, given=(), named=None):
        return run(operation, given, named or {})


def run(operation, given, named):
    """Run an operation on what tensors hold; what it makes is where a GPU would have made it."""
    tensors = [one for one in tree_flatten((given, named))[0] if isinstance(one, torch.Tensor)]
    on_card = [one for one in tensors if isinstance(one, OnCard)]
    others = [one for one in tensors if not isinstance(one, OnCard) and one.ndim]
    if on_card and others and operation not in COPIES:
        indices = operation in INDEXING and all(one.dtype == torch.int64 for one in others)
        assert indices, f"{operation}: tensors on two devices"
    place = CARD if on_card else CPU
    if operation is ATEN.copy_.default:
        place = given[0].device
    if named.get("device") is not None:
        place, named = named["device"], named | {"device": CPU}
    held = tree_map(lambda one: one.held if isinstance(one, OnCard) else one, (given, named))
    found = operation(*held[0], **held[1])
    changed = {id(one.held): one for one in on_card}  # what is changed in place stays itself

    def placed(one):
        if not isinstance(one, torch.Tensor):
            return one
        return changed[id(one)] if id(one) in changed else OnCard(one)

    return tree_map(placed, found) if place == CARD else found


@pytest.fixture
def card(monkeypatch):
    plain = torch.tensor  # makes nothing on a device whose memory is pretended
    monkeypatch.setattr(torch, "tensor", lambda data, device=CPU: plain(data).to(device))
    with PretendedCard():
        yield CARD


def autoencoder_on(device):
    """Return one that takes a clip's first pixels for its code."""
    return SimpleNamespace(
        parameters=lambda: iter([SimpleNamespace(device=device)]),
        encode=lambda clips: clips.flatten(1)[:, :5],
    )


@pytest.fixture
def dataset():
    noise = np.random.default_rng(0).integers(0, 256, (300, 2, 3, 3, 3), np.uint8)
    return ClipDataset(noise, [], [])


def fitted(dataset, device, path):
    folder = RunFolder(path)
    fit_codes(autoencoder_on(device), dataset, folder, SimpleNamespace(seed=3), 6)
    return folder.mixture


def test_the_pretended_device_refuses_what_a_gpu_refuses(card):
    with pytest.raises(AssertionError, match=r"add.*two devices"):
        torch.ones(2, device=card) + torch.ones(2)


def test_a_mixture_is_fitted_on_the_device_of_the_network_and_loads_on_another(
    dataset, tmp_path, card, monkeypatch
):
    seen = []
    fit = GaussianMixture.fit

    def noted(codes, *given, **named):
        seen.append(fit(codes, *given, **named))
        return seen[-1]

    monkeypatch.setattr(codes_module.GaussianMixture, "fit", noted)
    made = fitted(dataset, card, tmp_path / "there")

    assert encode_clips(autoencoder_on(card), dataset).device == card
    assert seen[0].means.device == card
    assert seen[0].sample(4, torch.Generator().manual_seed(0)).device == card
    assert GaussianMixture.from_state_dict(load_checkpoint(made)["mixture"]).means.device == CPU
    assert made.read_bytes() == fitted(dataset, CPU, tmp_path / "here").read_bytes()


def test_the_mixture_is_the_one_that_the_runs_seed_fits_to_all_codes(dataset, tmp_path):
    kept = load_checkpoint(fitted(dataset, CPU, tmp_path))["mixture"]
    codes = encode_clips(autoencoder_on(CPU), dataset)
    ours, other = (GaussianMixture.fit(codes, 6, seed=seed) for seed in (3, 0))

    assert torch.equal(kept["means"], ours.means)
    assert not torch.equal(kept["means"], other.means)
