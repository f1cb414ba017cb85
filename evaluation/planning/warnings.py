"""What `init` says of the clips: what is odd about them, and the form that they are shown in."""

import re
from itertools import islice
from pathlib import PurePosixPath

from sqlalchemy import func, select

from evaluation.clips import clip_name, equal_files
from evaluation.database import Database, find_study
from evaluation.languages import DEFAULT, built_in
from evaluation.media.folders import unread_files
from evaluation.media.shown import ShownClips
from evaluation.plan import Plan
from evaluation.planning.materials import Imported, clips_of
from evaluation.planning.prompts import prompt_warnings
from evaluation.planning.unmatched import lacks_text, unmatched_text
from evaluation.schema import Pair
from evaluation.study import Study

_NAMED = 3  # of the files that were not read
_FRAME_NAME = re.compile(r"frame.*\d", re.IGNORECASE)
_EVERYBODY_READS = ("start", "trial", "between")  # parts of the pages' texts
_SAID_OTHERWISE = ("start.text", "trial.question")  # as instructions, and as [[questions]]


def study_warnings(study: Study, imported: Imported, plan: Plan) -> tuple[str, ...]:
    """Return what is odd about a study's files and prompts, one line each."""
    found = equal_files(imported.records, ((pair.clip_a, pair.clip_b) for pair in plan.pairs))
    unused = [s.name for s in study.sources if s.name not in imported.clips]
    found += [f"source {name} is in no comparison; its clips were not read" for name in unused]
    for source in (s for s in study.sources if s.name in imported.clips):
        unread = unread_files(source.path)
        found += [f"not read: {path} ({why})" for path, why in islice(unread.items(), _NAMED)]
        if len(unread) > _NAMED:
            found.append(f"not read: {len(unread) - _NAMED} more files of {source.name}")
    if lacking := plan.unmatched:
        found.append(f"{unmatched_text(lacking)}. {lacks_text(lacking)}")
    found += _frames_as_clips(imported) + _english_texts(study)
    return tuple(found + prompt_warnings(study, imported.clips, imported.gold))


def gold_warnings(study: Study) -> tuple[str, ...]:
    """Warn where the good clip is taken for the right answer to every one of several questions."""
    asked = [question.id for question in study.questions]
    if len(asked) == 1 or study.gold.questions or not study.session.gold + study.session.practice:
        return ()
    return (
        "the good clip of a gold or practice pair is taken for the right answer to "
        f"{' and to '.join(asked)}: write those to which it is, such as questions = "
        f'["{asked[0]}"], under [gold]',
    )


def _frames_as_clips(imported: Imported) -> list[str]:
    """Warn of folders that look like the frames of one clip each, and are read as categories."""
    records = [record for held in imported.clips.values() for record in held]
    if len(imported.categories) < 2 or any(record.frames > 1 for record in records):
        return []
    numbered = all(category[-1].isdigit() for category in imported.categories)
    if not (numbered or all(_FRAME_NAME.search(PurePosixPath(r.clip).stem) for r in records)):
        return []
    first = PurePosixPath(clip_name(records[0]))
    return [
        f"{first} and all others are still images, each shown alone, and every folder "
        f"({first.parent.name}) is a category; if a folder holds the frames of one clip, make a "
        "video of it (ffmpeg -framerate FPS -pattern_type glob -i 'FOLDER/*' -crf 0 FOLDER.mp4)"
    ]


def _english_texts(study: Study) -> list[str]:
    """Warn of languages in which a page would be half English."""
    found = []
    for language, own in study.text.items():
        left = [
            f"{key} ({text!r})"
            for key, text in built_in(DEFAULT).items()
            if key.startswith(_EVERYBODY_READS) and key not in (*_SAID_OTHERWISE, *own)
        ]
        if left and not built_in(language.split("-")[0]):
            found.append(
                f"[text.{language}] leaves {len(left)} texts of the rating page in English, such "
                f"as {left[0]}; all keys: docs/study-file.md, [text.LANGUAGE]"
            )
    return found


def clips_shown(db: Database, study: Study, imported: Imported) -> ShownClips:
    """Return the clips of a study that is in the database beside the format they are shown in."""
    from evaluation.stimuli import study_format

    with db.read() as session:
        row = find_study(session, study.name)
        target, _ = study_format(session, row, study.display)
        query = select(func.avg(2 * Pair.padded_bytes)).where(Pair.study_id == row.id)
        pair_bytes = float(session.scalar(query) or 0)
    return ShownClips(clips_of(imported.records), target, pair_bytes, study.session.shown)
