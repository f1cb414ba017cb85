"""Example pairs for the report: clips small enough to live inside one page."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from analysis.names import Names
from analysis.preference import comparisons_in
from evaluation.errors import EvaluationError
from evaluation.media.frames import read_frames

LARGEST_SIDE = 192  # pixels; larger clips are shrunk for the page
MOST_FRAMES = 48


@dataclass(frozen=True)
class Example:
    """A pair with its verdict; `first` and `second` are data URLs of looping images."""

    first: str
    second: str
    name_a: str
    name_b: str
    won: bool
    caption: str


def example_pairs(preferences: pd.DataFrame) -> pd.DataFrame:
    """Choose, per row, the pair that A won most clearly and the one it lost most clearly.

    Args:
        preferences: from `table_preferences`.

    Returns:
        Columns `a`, `b`, `category`, `clip_a`, `clip_b`, `won`, `wins`, `n`; ties are broken by
        the number of judgments, then by the clips' ids.
    """
    keys = ["a", "b", "category", "clip_a", "clip_b"]
    pairs = preferences.groupby(keys, sort=True)["y"].agg(["sum", "size"]).reset_index()
    pairs = pairs.rename(columns={"sum": "wins", "size": "n"})
    # Shrunk towards one half, so that 9 of 10 is clearer than 1 of 1.
    pairs["clear"] = (pairs["wins"] + 1) / (pairs["n"] + 2)
    chosen = []
    for row in comparisons_in(preferences):
        mine = pairs[(pairs["a"] == row.source_a) & (pairs["b"] == row.source_b)]
        for won in (True, False):
            best = mine.sort_values("clear", ascending=not won, kind="stable").iloc[0]
            if (best["clear"] > 0.5) == won:
                chosen.append({**best.to_dict(), "won": won})
    return pd.DataFrame(chosen)


def examples(
    preferences: pd.DataFrame, find: Callable[[str], Path | None], names: Names
) -> tuple[list[Example], list[str]]:
    """Return the example pairs whose clips can be found.

    Args:
        preferences: from `table_preferences`.
        find: gives the file of a clip id, or None.
        names: for print.

    Returns:
        The examples, and a remark for every clip that could not be shown.
    """
    out: list[Example] = []
    trouble: list[str] = []
    for pair in example_pairs(preferences).to_dict("records"):
        urls = []
        for clip in (str(pair["clip_a"]), str(pair["clip_b"])):
            path = find(clip)
            try:
                if path is None:
                    raise EvaluationError(f"{clip}: the file is not here")
                urls.append(animation(path))
            except EvaluationError as error:
                trouble.append(str(error))
        if len(urls) == 2:
            out.append(_example(pair, urls[0], urls[1], names))
    return out, trouble


def _example(pair: "dict[object, object]", first: str, second: str, names: Names) -> Example:
    name_a, name_b = names.source(str(pair["a"])), names.source(str(pair["b"]))
    category = names.category(str(pair["category"]))
    caption = f"{name_a} over {name_b}, {category}: {pair['wins']:g} of {pair['n']}"
    return Example(first, second, name_a, name_b, bool(pair["won"]), caption)


def clips_in(folder: Path) -> Callable[[str], Path | None]:
    """Look clips up in a folder that holds `SOURCE/relative-path`; sources may be links."""

    def find(clip: str) -> Path | None:
        # By name: whoever made the folder may link to elsewhere, an id from a file may not.
        inside = not Path(clip).is_absolute() and ".." not in Path(clip).parts
        path = folder / clip
        return path if inside and path.is_file() else None

    return find


def clip_finder(
    db: str | None, study: str, clips: Path | None
) -> Callable[[str], Path | None] | None:
    """Return what finds the file of a clip: in a folder, else where the database has it."""
    if clips is not None:
        return clips_in(clips)
    if db is None:
        return None
    from analysis.database import clips_of

    return clips_of(db, study)


def animation(path: Path) -> str:
    """Return a clip as a looping WebP in a data URL; browsers cannot play lossless RGB video.

    Raises:
        EvaluationError: the clip cannot be read.
    """
    frames, fps = read_frames(path)
    step = -(-len(frames) // MOST_FRAMES)
    images = [Image.fromarray(frame) for frame in frames[::step]]
    for image in images:
        image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    out = io.BytesIO()
    images[0].save(
        out,
        format="WEBP",
        save_all=True,
        append_images=images[1:],
        duration=max(round(1000 * step / fps), 1),
        loop=0,
        quality=70,
    )
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode("ascii")
