"""The STIP row: interest points, their HOG and HOF, a bag of visual words, a kernel machine.

Source:
    Soomro, Zamir and Shah, UCF101, CRCV-TR-12-01: Harris3D with HOG/HOF (162 numbers), k-means on
    about 100,000 descriptors, 4,000 words, a non-linear SVM of many classes. Here the words are
    at most an eighth of the descriptors, and the kernel is the additive chi-squared map under a
    linear SVM, which is that kernel machine to within its approximation.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from os import cpu_count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.kernel_approximation import AdditiveChi2Sampler
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from tqdm import tqdm

from vgan.data.actions import ActionVideo
from vgan.data.videos import iter_frames
from vgan.errors import DataError
from vgan.representation.cache import cached
from vgan.representation.descriptors import LENGTH, describe
from vgan.representation.harris import interest_points
from vgan.representation.protocol import ActionData, Prediction, Task
from vgan.representation.windows import read_small

_CHUNK, _OVERLAP = 64, 16  # frames worked on together, and seen twice: memory stays flat


@dataclass(frozen=True)
class BagOfWords:
    """How descriptors become a histogram.

    Args:
        words: at most; fewer where there are under 8 descriptors for each.
        sample: descriptors that the words are found from.
    """

    words: int = 4000
    sample: int = 100_000


@dataclass(frozen=True)
class Stip:
    """Space-time interest points with a bag of words.

    Args:
        size: `native` for the frames as they are, `small` for the 64x64 that networks see.
        bag: of words.
    """

    size: str = "native"
    bag: BagOfWords = BagOfWords()

    @property
    def name(self) -> str:
        """`stip`, or `stip-64` on small frames."""
        return "stip" if self.size == "native" else "stip-64"

    def settings(self) -> dict[str, object]:
        """Return the bag's."""
        return asdict(self.bag)

    def predict(self, data: ActionData, task: Task) -> Prediction:
        """Find words and weights on the training videos; descriptors are computed once."""
        videos = data.actions.videos
        wanted = (*task.train, *task.test)
        found = self._described([videos[v] for v in wanted], data.cache)
        described = dict(zip(wanted, found, strict=True))
        words = find_words([described[v] for v in task.train], self.bag, task.seed)
        learnt = histograms([described[v] for v in task.train], words)
        tested = histograms([described[v] for v in task.test], words)
        labels = data.labels[list(task.train)]
        owner = np.arange(len(task.test))
        scores = np.zeros((len(task.test), len(data.classes)))
        if len(np.unique(labels)) == 1:
            scores[:, labels[0]] = 1.0
            return Prediction(scores, owner, 0)
        # SVC's own loss and kernel map; C as in the source's family of papers.
        machine = make_pipeline(
            AdditiveChi2Sampler(), LinearSVC(C=10.0, random_state=task.seed, max_iter=20_000)
        )
        decided = machine.fit(learnt, labels).decision_function(tested)
        if decided.ndim == 1:  # two classes have one score
            decided = np.stack([-decided, decided], axis=1)
        scores[:] = decided.min() - 1.0
        scores[:, machine[-1].classes_] = decided
        size = int(machine[-1].coef_.size + machine[-1].intercept_.size + words.size)
        return Prediction(scores, owner, size)

    def _described(
        self, videos: Sequence[ActionVideo], cache: Path
    ) -> Iterator[NDArray[np.float32]]:
        """Yield each video's descriptors, from the cache or on all cores."""
        folder = cache / self.name

        def one(video: ActionVideo) -> NDArray[np.float32]:
            state = video.path.stat()
            key = sha256(f"{video.path} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()
            file = folder / f"{key[:24]}.npy"
            return cached(file, lambda: describe_video(video.path, self.size), mapped=False)

        with ThreadPoolExecutor(cpu_count()) as pool:
            bar = tqdm(total=len(videos), desc=self.name, unit="video", leave=False)
            with bar:
                for found in pool.map(one, videos):
                    bar.update()
                    yield found


def describe_video(path: Path, size: str = "native") -> NDArray[np.float32]:
    """Return the descriptors of a video's interest points, (points, 162).

    Args:
        path: the video.
        size: `native`, or `small` for 64x64.

    Raises:
        DataError: the video cannot be read, or is a single frame.
    """
    frames = read_small(path) if size == "small" else iter_frames(path)
    grey: list[NDArray[np.uint8]] = []
    found: list[NDArray[np.float32]] = []
    for frame in frames:
        grey.append(np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8))
        if len(grey) == _CHUNK:
            found.append(_describe_chunk(np.stack(grey)))
            grey = grey[_CHUNK - _OVERLAP :]
    if len(grey) == 1:  # what is left of a longer video is never this short
        raise DataError(f"{path}: has a single frame; interest points need motion, so two or more")
    if len(grey) > _OVERLAP or not found:
        found.append(_describe_chunk(np.stack(grey)))
    return np.concatenate(found)


def _describe_chunk(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    volume = grey.astype(np.float32) / np.float32(255)
    points = interest_points(volume)
    if not points:
        return np.zeros((0, LENGTH), np.float32)
    return describe(grey, volume, points)


def find_words(
    described: Sequence[NDArray[np.float32]], bag: BagOfWords, seed: int
) -> NDArray[np.float32]:
    """Return the visual words, (words, 162): k-means over a sample of the descriptors."""
    ends = np.cumsum([len(found) for found in described])
    if len(ends) == 0 or ends[-1] == 0:
        return np.zeros((1, LENGTH), np.float32)
    chance = np.random.default_rng(seed)
    if ends[-1] > bag.sample:  # video by video: all of UCF101's at once would be many gigabytes
        drawn = np.zeros(ends[-1], bool)
        drawn[chance.choice(ends[-1], bag.sample, replace=False)] = True
        parts = np.split(drawn, ends[:-1])
        described = [found[part] for found, part in zip(described, parts, strict=True)]
    pool = np.concatenate(described)
    words = max(1, min(bag.words, len(pool) // 8))
    means = MiniBatchKMeans(words, random_state=seed, n_init=1, batch_size=max(1024, 3 * words))
    return np.asarray(means.fit(pool).cluster_centers_, np.float32)


def histograms(
    described: Sequence[NDArray[np.float32]], words: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return how often each word is the nearest, (videos, words), each row summing to 1.

    A video without a single point gets a row of zeros.
    """
    rows = np.zeros((len(described), len(words)))
    squares = (words**2).sum(axis=1)
    for row, found in zip(rows, described, strict=True):
        if len(found):
            nearest = (squares - 2 * found @ words.T).argmin(axis=1)
            row += np.bincount(nearest, minlength=len(words)) / len(found)
    return rows
