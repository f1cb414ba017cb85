"""What `init` says of the clips: what is odd about them, and the form that they are shown in."""

from itertools import islice

from evaluation.clips import equal_files
from evaluation.database import Database, find_study
from evaluation.media.folders import unread_files
from evaluation.media.shown import ShownClips
from evaluation.plan import Plan
from evaluation.planning.materials import Imported, clips_of
from evaluation.planning.prompts import prompt_warnings
from evaluation.study import Study

_NAMED = 3  # of the files that were not read


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
    return tuple(found + prompt_warnings(study, imported.clips, imported.gold))


def clips_shown(db: Database, study: Study, imported: Imported) -> ShownClips:
    """Return the clips of a study that is in the database beside the format they are shown in."""
    from evaluation.stimuli import study_format

    with db.read() as session:
        target, _ = study_format(session, find_study(session, study.name), study.display)
    return ShownClips(clips_of(imported.records), target)
