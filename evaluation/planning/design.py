"""What of a study is frozen, and the hash that says so.

Frozen: name, seed, questions, the names of the sources, [design] with the categories it came to,
[session], [gold], [display], [workers] but for the number expected, [analysis], and the checksum,
category, item, prompt, origin and frame rate of every clip. Not frozen, because it does not change
what a judgment means: title and display names, [pay], [recruit], [text], [consent], [[survey]],
the number of workers expected, and where the folders lie. Those may be changed; the change is
logged.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from evaluation.clips import clip_name
from evaluation.study import Study
from vgan.data.manifest import ClipRecord

FORMAT = 2  # of the design's JSON: raised when its meaning changes. 1 did not cover frame rates


def _plain(value: Any) -> Any:
    """Return a dataclass's dictionary as JSON has it."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def canonical_json(value: Any) -> str:
    """Return the one way to write a value as JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def clips_digest(records: Iterable[ClipRecord]) -> str:
    """Return the SHA-256 over all clips: which bytes under which name, and what they belong to."""
    lines = sorted(
        canonical_json(
            [clip_name(r), r.sha256, r.category, r.item, r.prompt, float(r.fps)]
            + ([r.origin.video, r.origin.start_frame] if r.origin else [])
        )
        for r in records
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def design_of(
    study: Study, categories: tuple[str, ...], records: Iterable[ClipRecord]
) -> dict[str, Any]:
    """Return the frozen part of a study as JSON; `design_hash` is the SHA-256 of it.

    Args:
        study: the study file.
        categories: those that are compared.
        records: every clip that was imported, those of a gold folder included.
    """
    held = list(records)
    design = asdict(replace(study.design, categories=categories))
    design["comparisons"] = [[c.source_a, c.source_b] for c in study.design.comparisons]
    if not study.design.leaves_out:
        del design["unmatched"]  # so the hash of a study that was frozen without the key stays
    gold = asdict(study.gold)
    gold["folder"] = study.gold.folder is not None  # its clips are in the digest, by content
    del gold["prompts"]  # likewise
    if not study.gold.questions:
        del gold["questions"]  # as `unmatched` above
    workers = asdict(study.workers)
    del workers["workers"]
    frozen: dict[str, Any] = _plain(
        {
            "format": FORMAT,
            "name": study.name,
            "seed": study.seed,
            "questions": [asdict(q) for q in study.questions],
            "sources": [s.name for s in study.sources],
            "design": design,
            "session": asdict(study.session),
            "gold": gold,
            "display": asdict(study.display),
            "workers": workers,
            "analysis": asdict(study.analysis),
            "clips": len(held),
            "clips_sha256": clips_digest(held),
        }
    )
    return frozen


def design_hash(design: dict[str, Any]) -> str:
    """Return the SHA-256 of a design's canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(design).encode()).hexdigest()


def settings_of(study: Study) -> dict[str, Any]:
    """Return the part of a study that may change while it runs, as JSON."""
    settings: dict[str, Any] = _plain(
        {
            "title": study.title,
            "pay": asdict(study.pay),
            "recruit": asdict(study.recruit),
            "text": study.text,
            "consent": asdict(study.consent) if study.consent else None,
            "survey": [asdict(q) for q in study.survey],
            "categories": study.category_names,
            "sources": {
                s.name: {"path": s.path, "name": s.display_name, "split": s.split}
                for s in study.sources
            },
            "expected_workers": study.workers.workers,
            "retention_days": study.retention_days,
        }
    )
    return settings


def changed_keys(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the names of what differs, one level deep, as in `session.trials`."""
    changed = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            inner = sorted(before.keys() | after.keys())
            changed += [f"{key}.{k}" for k in inner if before.get(k) != after.get(k)]
        else:
            changed.append(key)
    return changed
