"""What becomes of clips in the study's one format, in words, before anybody is asked."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from evaluation import schema
from evaluation.media.formats import Format, resampled_length, same_rate, scale_within

_UNEQUAL = 1.5  # times as far shrunk as another source's clips
_HIGHEST_RATE = 120  # frames per second that are worth advising
_LINE = 10  # Mbit/s, of a slow home
_ANSWERING = 2  # s from the end of a pair to the answer, in which the next one loads too


class ShownClips:
    """The clips of a study beside the format that they are shown in.

    Args:
        clips: at least one; name, size, rate and length are read.
        target: the study's format.
        pair_bytes: what a browser loads for one pair, mean.
        trials: how many pairs a session has.
    """

    def __init__(
        self, clips: Sequence[schema.Clip], target: Format, pair_bytes: float, trials: int
    ) -> None:
        self._target, self._pair_bytes, self._trials = target, pair_bytes, trials
        box = (target.width, target.height)
        self._scales = {c.name: scale_within((c.width, c.height), box, target.fit) for c in clips}
        self._lengths = {c.name: resampled_length(c.frames, c.fps, target.fps) for c in clips}
        self._moving = {c.name: c.fps for c in clips if c.frames > 1}
        self._smallest = max(self._scales, key=self._scales.__getitem__)
        self._shortest = min(self._lengths, key=self._lengths.__getitem__)

    def line(self) -> str:
        """Return size, length and weight of all clips, and which clips they are due to."""
        session = _size(self._pair_bytes * self._trials)
        parts = [self._form(), f"{_size(self._pair_bytes)} a pair, {session} a session"]
        if len(set(self._lengths.values())) > 1:
            parts.append(f"shortest: {self._shortest}")
        if len({_percent(scale) for scale in self._scales.values()}) > 1:
            parts.append(f"smallest: {self._smallest}")
            parts.append("scaled to " + ", ".join(self._scales_by_source()))
        return "; ".join(parts)

    def warnings(self) -> tuple[str, ...]:
        """Return what costs all clips much, flatters a source, or lets raters wait for pairs."""
        found = self._cut(), self._shrunk(), self._uneven(), self._slow()
        return tuple(text for text in found if text)

    def _form(self) -> str:
        target, lengths = self._target, self._lengths.values()
        size = f"{target.width}x{target.height}"
        if not target.fps:
            return f"{size}, still"
        ends = [target.frames] if target.frames else sorted({min(lengths), max(lengths)})
        frames = " to ".join(map(str, ends))
        seconds = " to ".join(f"{n / target.fps:.2f}" for n in ends)
        return f"{size}, {frames} frames at {target.fps:g}/s ({seconds} s)"

    def _by_source(self) -> dict[str, list[float]]:
        found = defaultdict(list)
        for name, scale in self._scales.items():
            found[name.split("/")[0]].append(scale)
        return found

    def _scales_by_source(self) -> list[str]:
        return [
            f"{_percent(min(scales), max(scales))} ({source})"
            for source, scales in self._by_source().items()
        ]

    def _cut(self) -> str | None:
        frames, typical = self._target.frames, median(self._lengths.values())
        if frames and frames < typical / 2:
            still = ", a still picture" if frames == 1 else ""
            return (
                f"every clip is cut to {frames} {'frame' if frames == 1 else 'frames'}{still}, as "
                f"{self._shortest} is that short, and half of them have {typical:g} or more; leave "
                'it out, or set another duration than "shortest" under [display]'
            )
        for name in self._moving:
            if 1 in (frames, self._lengths[name]):
                return (
                    f"{name} moves and is shown as a still picture, the first of its frames; leave "
                    "still pictures out, or set another duration or fps under [display]"
                )
        return None

    def _shrunk(self) -> str | None:
        typical = {source: median(scales) for source, scales in self._by_source().items()}
        least, most = (choose(typical, key=typical.__getitem__) for choose in (min, max))
        if typical[most] >= _UNEQUAL * typical[least]:
            return (
                f"clips of {least} are scaled to {_percent(typical[least])} and those of {most} to "
                f"{_percent(typical[most])}, and shrinking hides faults; bring the sources to one "
                "size, unless that is what you compare"
            )
        half = median(self._scales.values())
        if half < self._scales[self._smallest] / 2:
            return (
                f"half of the clips are scaled to {_percent(half)} or less, as {self._smallest} is "
                "so small; leave it out, or make it as large as the others"
            )
        return None

    def _uneven(self) -> str | None:
        uneven = defaultdict(list)
        for name, fps in self._moving.items():
            uneven[name.split("/")[0]].append(not _fits(fps, self._target.fps))
        stuttering = [source for source, found in uneven.items() if 2 * sum(found) > len(found)]
        smooth = [source for source in uneven if source not in stuttering]
        if not stuttering or not smooth:
            return None
        common = math.lcm(*{max(1, round(fps)) for fps in self._moving.values()})
        advice = "make all at one rate"
        if common <= _HIGHEST_RATE:
            advice += f", or set fps = {common} under [display], which every rate here divides"
        return (
            f"at {self._target.fps:g} frames per second clips of {', '.join(stuttering)} lose "
            "frames, or show some longer than others, and so stutter, which those of "
            f"{', '.join(smooth)} do not; {advice}"
        )

    def _slow(self) -> str | None:
        loading = 8 * self._pair_bytes / (_LINE * 1e6)
        playing = median(self._lengths.values()) / self._target.fps if self._target.fps else 0
        if loading <= playing + _ANSWERING:
            return None
        return (
            f"a pair loads for {loading:.0f} s at {_LINE} Mbit/s, longer than raters look at the "
            "one before, so that they wait; a smaller box or fps under [display] makes clips "
            "lighter"
        )


def _fits(fps: float, target_fps: float) -> bool:
    """Tell whether every frame is shown equally long, or every so many-th one only."""
    slower, faster = sorted((fps, target_fps))
    return same_rate(round(faster / slower) * slower, faster)


def _size(n_bytes: float) -> str:
    """Write an amount of data with two digits.

    >>> _size(434_000), _size(9_600_000), _size(311_000_000)
    ('430 kB', '9.6 MB', '310 MB')
    """
    unit, name = (1e6, "MB") if n_bytes >= 1e6 else (1e3, "kB")
    n = float(f"{n_bytes / unit:.2g}")
    return f"{n:g} {name}" if n < 1000 else f"{n:,.0f} {name}"


def _percent(*scales: float) -> str:
    """Write a scale, or the ends of a range of them."""
    return " to ".join(dict.fromkeys(f"{100 * scale:.0f}" for scale in scales)) + " %"
