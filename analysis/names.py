"""What sources and categories are called in print: the study file's names, else the paper's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.published import display
from evaluation.study import Comparison


@dataclass(frozen=True)
class Names:
    """Names for print; data formats keep the slugs.

    Args:
        sources: by slug, of the sources that have a name of their own.
        categories: by slug, of the categories that have one.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, sources: Mapping[str, Any], categories: Mapping[str, Any]) -> "Names":
        """Keep those of a study's names that are more than the slug."""
        return cls(_named(sources), _named(categories))

    def source(self, slug: str) -> str:
        """Name a source: as the study does, else as the paper, else by its slug."""
        return self.sources.get(slug) or display(slug)

    def row(self, comparison: Comparison) -> str:
        """Name a row."""
        return f"{self.source(comparison.source_a)} over {self.source(comparison.source_b)}"

    def category(self, slug: str) -> str:
        """Name a category within a sentence."""
        return self.categories.get(slug, slug)

    def heading(self, slug: str) -> str:
        """Name a category at the head of a column."""
        return self.categories.get(slug) or slug.capitalize()


def _named(names: Mapping[str, Any]) -> dict[str, str]:
    """Those that differ from the slug, which init writes down where no name was given."""
    return {
        slug: name
        for slug, name in names.items()
        if isinstance(name, str) and name not in ("", slug)
    }
