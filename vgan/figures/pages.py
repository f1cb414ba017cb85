"""Figures as pages: one HTML file that carries its pictures, or files beside a Markdown page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from vgan.data.files import write_atomic

_MEDIA = {"png": "image/png", "webp": "image/webp", "mp4": "video/mp4"}

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem;
         color: #1b1b1b; background: #fff; }
  h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
  img { max-width: 100%; height: auto; display: block; margin: .5rem 0; }
  nav a { margin-right: 1rem; } pre { overflow-x: auto; background: #f4f4f4; padding: .75rem; }
  p { max-width: 50rem; }
</style>
<main>
<h1>{{ title }}</h1>
<p>{{ intro|replace("`", "") }}</p>
{% if sections|length > 3 %}<nav>{% for section in sections -%}
<a href="#{{ loop.index }}">{{ section.heading }}</a>{% endfor %}</nav>{% endif %}
{% for section in sections %}
<h2 id="{{ loop.index }}">{{ section.heading }}</h2>
{% if section.text %}<p>{{ section.text }}</p>{% endif %}
{% if section.table -%}
<pre role="region" tabindex="0" aria-label="{{ section.heading }}">{{ section.table }}</pre>
{%- endif %}
{% for picture in section.pictures -%}
<img src="{{ address(picture) }}" alt="{{ picture.alt }}" loading="lazy">
{% endfor %}{% endfor %}
</main>
</html>
"""

_MARKDOWN = """\
# {{ title }}

{{ intro }}
{% for section in sections %}
## {{ section.heading }}
{% if section.text %}
{{ section.text }}
{% endif %}{% if section.table %}
```
{{ section.table }}
```
{% endif %}{% for picture in section.pictures %}
![{{ picture.alt }}]({{ picture.name }})
{% endfor %}{% endfor %}"""


@dataclass(frozen=True)
class Picture:
    """An encoded picture or animation of a page.

    Args:
        name: of its file.
        data: its bytes.
        alt: what it shows, for those who cannot see it.
    """

    name: str
    data: bytes
    alt: str


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it.

    Args:
        heading: of the section.
        text: a paragraph; none when empty.
        pictures: under the text.
        table: plain text in a fixed-width face, before the pictures.
    """

    heading: str
    text: str = ""
    pictures: Sequence[Picture] = field(default_factory=tuple)
    table: str = ""


def html_page(title: str, intro: str, sections: Sequence[Section], *, inside: bool = True) -> bytes:
    """Return a page that needs nothing but itself, or (not `inside`) the files beside it."""

    def address(picture: Picture) -> str:
        if not inside:
            return picture.name
        media = _MEDIA[picture.name.rsplit(".", 1)[1]]
        return f"data:{media};base64,{base64.b64encode(picture.data).decode()}"

    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE)
    return page.render(title=title, intro=intro, sections=sections, address=address).encode()


def markdown_page(title: str, intro: str, sections: Sequence[Section]) -> bytes:
    """Return the same page in Markdown; its pictures are files beside it."""
    plain = Environment(autoescape=False, undefined=StrictUndefined)  # noqa: S701 - not HTML
    page = plain.from_string(_MARKDOWN)
    return (page.render(title=title, intro=intro, sections=sections).rstrip() + "\n").encode()


def write_all(out: Path, files: dict[str, bytes]) -> list[Path]:
    """Write files into a folder, each whole or not at all; return their paths.

    Raises:
        WriteError: a file cannot be written.
    """
    paths = [out / name for name in files]
    for path, data in zip(paths, files.values(), strict=True):
        write_atomic(path, data)
    return paths
