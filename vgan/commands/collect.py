"""The commands that find videos and choose clips by their scene. No logic."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from vgan.options import (
    Folder,
    GroupedCommand,
    Number,
    choose_device,
    device_option,
    option,
    options,
)

_DAY = click.DateTime(("%Y-%m-%d",))


@click.command("filter-scenes", cls=GroupedCommand)
@click.argument("clips", type=Folder)
@options(
    "Input and output",
    option("--out", type=Folder, required=True, metavar="DIR", help="The clip folder to make."),
    option(
        "--weights",
        type=Folder,
        metavar="FILE",
        help="Of the Places365 network (ResNet-18 or -50); not needed where DIR has all scores.",
    ),
)
@options(
    "What is kept",
    option(
        "--categories",
        metavar="NAME,...",
        default="beach,golf,train,baby",
        help="The paper's, or others by their Places365 classes: snow=305+309.",
    ),
    option(
        "--threshold",
        type=Number,
        metavar="P",
        help="Keep what is in a category with this probability (default: by likeliest scene).",
    ),
    option(
        "--by",
        type=click.Choice(("video", "clip")),
        default="video",
        help="Decide on all clips of a video together, or on each alone.",
    ),
)
@options(
    "How clips are scored",
    option("--frames", type=click.IntRange(1), default=4, metavar="N", help="Of each clip."),
    device_option,
)
def filter_scenes(clips: Path, out: Path, device: str, **settings: Any) -> None:
    """Keep the clips of folder CLIPS that show some scenes; CLIPS itself is only read."""
    from vgan.data.scene_filter import filter_scenes as filter_clips

    report = filter_clips(clips, out, device=choose_device(device), **settings)
    for line in report.sentences():
        click.echo(line)
    report.check()


@click.command("find-videos", cls=GroupedCommand)
@options(
    "What is searched for",
    option("--tags", required=True, metavar="TAG,...", help="Of Flickr's members."),
    option(
        "--match", type=click.Choice(("any", "all")), default="any", help="How many of the tags."
    ),
    option(
        "--licences",
        metavar="NAME,...",
        help="Such as cc-by,cc0: families, names or Flickr's numbers (default: every one).",
    ),
    option("--since", type=_DAY, metavar="YYYY-MM-DD", help="First day of upload (default: 2004)."),
    option("--until", type=_DAY, metavar="YYYY-MM-DD", help="Last day of upload (default: now)."),
)
@options(
    "Where",
    option(
        "--yfcc",
        type=Folder,
        multiple=True,
        metavar="FILE",
        help="Read this YFCC100M metadata file, not Flickr; may be given several times.",
    ),
    option(
        "--api-url",
        metavar="URL",
        envvar="FLICKR_API_URL",
        help="Of Flickr's API, for tests and proxies (default: Flickr's own).",
    ),
)
@options(
    "What is written",
    option("--out", type=Folder, required=True, metavar="LIST", help="The list, JSON Lines."),
    option("--download", type=Folder, metavar="DIR", help="Then fetch its videos, through yt-dlp."),
)
def find_videos(
    out: Path,
    since: datetime | None,
    until: datetime | None,
    api_url: str | None,
    download: Path | None,
    **settings: Any,
) -> None:
    """List videos by tag, with licence and owner; the key is read from FLICKR_API_KEY."""
    from vgan.data.downloads import download_videos, find_downloader
    from vgan.data.finding import find_videos as find
    from vgan.data.flickr import API_URL, FlickrApi

    if download is not None:
        find_downloader()  # said at once, not after hours of searching
    report = find(
        out,
        since=since.date() if since else None,
        until=until.date() if until else None,
        open_api=lambda key: FlickrApi(key, api_url or API_URL),
        **settings,
    )
    click.echo(f"{out}: {report.sentence()}")
    if download is not None:
        fetched = download_videos(out, download)
        click.echo(fetched.sentence())
        fetched.check()
    report.check()


COMMANDS = (filter_scenes, find_videos)
