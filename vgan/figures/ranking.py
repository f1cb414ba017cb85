"""Which clips activate each unit of a layer most: one pass over the clips, flat in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from vgan.data.dataset import ClipDataset, to_model_range
from vgan.figures.layers import Layer

BATCH = 16  # clips looked at together
# Clips kept for each clip shown, so that several of one video can be passed over at the end.
_SPARE = 4

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Ranking:
    """What one pass found out about every unit of a layer.

    Args:
        clips: (units, top) numbers of the clips that activate each unit most, first the most.
        peaks: (units, top), their highest activation, anywhere in the clip.
        selectivity: (units,), mean of these peaks over the mean peak of all clips, in standard
            deviations of all clips' peaks; NaN for a unit whose peak is the same in every clip.
    """

    clips: Places
    peaks: Numbers
    selectivity: Numbers

    def order(self) -> list[int]:
        """Return the units, most selective first; those that never change last."""
        scores = np.where(np.isnan(self.selectivity), -np.inf, self.selectivity)
        return [int(unit) for unit in np.argsort(-scores, kind="stable")]


class TopClips:
    """The highest peaks of every unit so far, and the mean and spread of all.

    Args:
        units: of the layer.
        keep: clips kept for each unit.
    """

    def __init__(self, units: int, keep: int) -> None:
        self.peaks = np.full((units, 0), -np.inf)
        self.clips = np.zeros((units, 0), np.int64)
        self.seen = 0
        self._keep = keep
        self._mean = np.zeros(units)
        self._squares = np.zeros(units)  # of the distances from the mean (Welford)

    def add(self, peaks: Numbers) -> None:
        """Take in the peaks (B, units) of the next B clips; of equal peaks the earlier stays."""
        for row in peaks:
            self.seen += 1
            away = row - self._mean
            self._mean += away / self.seen
            self._squares += away * (row - self._mean)
        numbers = np.arange(self.seen - len(peaks), self.seen)
        every = np.concatenate([self.peaks, peaks.T], axis=1)
        clips = np.concatenate([self.clips, np.tile(numbers, (len(every), 1))], axis=1)
        best = np.argsort(-every, axis=1, kind="stable")[:, : self._keep]
        self.peaks = np.take_along_axis(every, best, axis=1)
        self.clips = np.take_along_axis(clips, best, axis=1)

    def ranking(self, top: int, videos: Sequence[str]) -> Ranking:
        """Return the top clips of every unit, of different videos as far as there are.

        Args:
            top: clips of each unit.
            videos: what each clip was cut from.
        """
        chosen = np.stack([_of_different(row, top, videos) for row in self.clips])
        peaks = np.take_along_axis(self.peaks, chosen, axis=1)
        spread = np.sqrt(self._squares / self.seen)
        flat = spread <= 1e-9 * (1 + np.abs(self._mean))
        with np.errstate(divide="ignore", invalid="ignore"):
            selectivity = (peaks.mean(axis=1) - self._mean) / spread
        selectivity[flat] = np.nan
        return Ranking(np.take_along_axis(self.clips, chosen, axis=1), peaks, selectivity)


def rank_units(
    layer: Layer, dataset: ClipDataset, top: int, device: torch.device, *, progress: bool = True
) -> Ranking:
    """Look at every clip once and return which activate each unit most.

    Args:
        layer: of a network on the device.
        dataset: the clips.
        top: clips of each unit, at most as many as there are.
        device: of the network.
        progress: show a bar.
    """
    top = min(top, len(dataset))
    best = TopClips(layer.units, top * _SPARE)
    bar = tqdm(total=len(dataset), desc=layer.name, unit="clip", disable=not progress)
    with bar:
        for start in range(0, len(dataset), BATCH):
            maps = activations(
                layer, dataset, range(start, min(start + BATCH, len(dataset))), device
            )
            best.add(maps.flatten(2).amax(dim=2).double().cpu().numpy())
            bar.update(len(maps))
    videos = [record.video for record in dataset.records]
    return best.ranking(top, videos)


def activations(
    layer: Layer, dataset: ClipDataset, numbers: Sequence[int], device: torch.device
) -> Tensor:
    """Return a layer's activations (B, units, t, h, w) of the numbered clips."""
    clips = torch.from_numpy(np.stack([dataset.clips[number] for number in numbers]))
    maps: Callable[[Tensor], Tensor] = layer.maps
    with torch.no_grad():
        return maps(to_model_range(clips.to(device))).float()


def _of_different(clips: Places, top: int, videos: Sequence[str]) -> Places:
    """Return the places in a row of the first clips of different videos, filled up with others."""
    seen: set[str] = set()
    first: list[int] = []
    again: list[int] = []
    for place, clip in enumerate(clips):
        (again if videos[clip] in seen else first).append(place)
        seen.add(videos[clip])
    return np.array(sorted((first + again)[:top]), np.int64)
