"""Whether raters will see the prompts that [design] show_prompt promises."""

from collections.abc import Mapping, Sequence

from evaluation.clips import clip_name
from evaluation.errors import UsageError
from evaluation.planning.gold import GoldPair
from evaluation.study import Design, Study
from vgan.data.manifest import ClipRecord

_NAMED = 3  # clips, in a warning


def check_prompts(design: Design, clips: Mapping[str, Sequence[ClipRecord]]) -> None:
    """Refuse to show prompts where there is none to show.

    Args:
        design: [design] of the study file.
        clips: the records of every source that is compared.

    Raises:
        UsageError: no clip that comes first in a comparison has a prompt: a pair shows that one's.
    """
    first = sorted({row.source_a for row in design.comparisons})
    if design.show_prompt and not any(r.prompt for name in first for r in clips[name]):
        raise UsageError(
            "[design] show_prompt is on, and there is no prompt to show: a pair's is that of its "
            f"first clip, and no clip of {', '.join(first)} has one; give them a file of prompts "
            "by `prompts` under [sources], or prompts in their manifest.jsonl"
        )


def prompt_warnings(
    study: Study, clips: Mapping[str, Sequence[ClipRecord]], gold: Sequence[GoldPair]
) -> list[str]:
    """Return a warning for clips whose lack of a prompt raters will see.

    Args:
        study: the study file.
        clips: the records of every source that is compared or spoilt.
        gold: pairs of a gold folder.
    """
    if not study.design.show_prompt:
        return []
    compared = study.design.compared if study.session.identical else ()
    sources = {row.source_a for row in study.design.comparisons}.union(compared)
    if study.gold.source:
        sources.add(study.gold.source)
    shown = [r for name, held in clips.items() if name in sources for r in held]
    bare = [clip_name(r) for r in shown if not r.prompt]
    found = []
    if bare:
        names = ", ".join(bare[:_NAMED]) + (", ..." if len(bare) > _NAMED else "")
        found.append(
            f"show_prompt is on and {len(bare)} of {len(shown)} clips whose prompt is shown have "
            f"none: {names}"
        )
    if len(bare) < len(shown) and any(not pair.good.prompt for pair in gold):
        found.append(
            "show_prompt is on and clips of [gold] folder have no prompt, so raters can tell gold "
            "trials by its absence; give a file of them by `prompts` under [gold]"
        )
    return found
