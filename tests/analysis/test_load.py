import time

import pandas as pd
import pytest

from analysis import load
from analysis.declared import Declared, declared_of
from analysis.errors import JudgmentsError, UsageError
from analysis.exclusions import RULES
from analysis.load import COLUMNS, REQUIRED, check_judgments, load_judgments
from evaluation.schema import Choice, TrialKind
from evaluation.study import EXCLUSIONS


def test_columns_come_back_typed_and_complete(judgments_text, write_judgments):
    path = write_judgments(judgments_text(per_cell=5))

    frame = load_judgments(file=path)

    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 6 * 4 * 5
    assert frame["rt_ms"].dtype == float
    assert frame["counted"].all()
    assert not frame["simulated"].any()
    assert str(frame["answered_at"].dt.tz) == "UTC"
    assert frame.attrs["study_hash"] == "ab" * 32


@pytest.mark.parametrize("column", REQUIRED)
def test_missing_required_column_is_named(judgments_text, write_judgments, column):
    path = write_judgments(judgments_text(per_cell=2).drop(columns=column))

    with pytest.raises(JudgmentsError, match=f"missing required columns: {column}"):
        load_judgments(file=path)


def test_unknown_column_is_ignored_with_a_note(judgments_text, write_judgments):
    path = write_judgments(judgments_text(per_cell=2).assign(mood="fine"))

    frame = load_judgments(file=path)

    assert "mood" not in frame.columns
    assert frame.attrs["notes"] == ["ignored unknown columns: mood"]


def test_optional_columns_may_be_absent(judgments_text, write_judgments):
    path = write_judgments(judgments_text(per_cell=2)[list(REQUIRED)])

    frame = load_judgments(file=path)

    assert set(frame["question"]) == {"realism"}
    assert frame["counted"].all()
    assert frame["loops"].isna().all()


BROKEN = {
    "label in neither clip": ({"label": "elsewhere/a.mp4"}, "the label is in neither clip"),
    "label of other side": ({"choice": None}, "the label is not the clip on the chosen side"),
    "choice": ({"choice": "middle"}, "must be one of left, right, tie"),
    "kind": ({"trial_kind": "tests"}, "must be one of test, gold"),
    "naive time": ({"answered_at": "2026-01-01T10:00:00"}, "has no time zone"),
    "other zone": ({"answered_at": "2026-01-01T10:00:00+02:00"}, "is not UTC"),
    "no time": ({"answered_at": "soonZ"}, "not an ISO 8601 time"),
    "number": ({"rt_ms": "fast"}, "`rt_ms` is not a number"),
    "negative": ({"rt_ms": "-1"}, "`rt_ms` is negative"),
    "negative loops": ({"loops": "-1"}, "`loops` is negative"),
    "flag": ({"counted": "maybe"}, "`counted` must be true or false"),
    "empty worker": ({"worker": ""}, "`worker` is empty"),
    "pair type": ({"pair_type": "a__b"}, "pair_type must be the two source names"),
    "row sources": ({"source_a": "other"}, "source_a, source_b are not the sources shown"),
    "tie with label": ({"choice": "tie"}, "a tie has a label"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_row_is_named_by_its_line(judgments_text, write_judgments, case):
    values, message = BROKEN[case]
    frame = judgments_text(per_cell=3)
    for column, value in values.items():
        swap = {"left": "right", "right": "left"}
        frame.loc[4, column] = swap[frame.loc[4, "choice"]] if value is None else value
    path = write_judgments(frame)

    with pytest.raises(JudgmentsError, match=message) as caught:
        load_judgments(file=path)

    assert f"{path}:6:" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_studies_need_a_choice(judgments_text, write_judgments):
    frame = judgments_text(per_cell=2)
    other = frame.assign(study="other", trial="x" + frame["trial"])
    path = write_judgments(pd.concat([frame, other]))

    with pytest.raises(UsageError, match="several studies"):
        load_judgments(file=path)
    with pytest.raises(UsageError, match="no study 'third'"):
        load_judgments(file=path, study="third")
    assert set(load_judgments(file=path, study="other")["study"]) == {"other"}


def test_two_questions_need_a_choice(judgments_text, write_judgments):
    frame = judgments_text(per_cell=2)
    path = write_judgments(pd.concat([frame, frame.assign(question="motion")]))

    with pytest.raises(UsageError, match="several questions"):
        load_judgments(file=path)
    assert len(load_judgments(file=path, question="motion")) == len(frame)


def test_simulated_among_real_rows_is_refused_unless_asked(judgments_text, write_judgments):
    frame = judgments_text(per_cell=2)
    frame.loc[:9, "simulated"] = "true"
    path = write_judgments(frame)

    with pytest.raises(JudgmentsError, match="10 of 48 judgments are simulated"):
        load_judgments(file=path)

    both = load_judgments(file=path, simulated="include")
    real = load_judgments(file=path, simulated="exclude")
    assert (len(both), both.attrs["simulated"]) == (48, True)
    assert (len(real), real.attrs["simulated"]) == (38, False)


def test_nothing_but_simulated_rows_is_not_a_table_without_them(judgments_text, write_judgments):
    path = write_judgments(judgments_text(per_cell=2, simulated=True))

    with pytest.raises(JudgmentsError, match="all judgments are simulated, so none is left"):
        load_judgments(file=path, simulated="exclude")
    assert load_judgments(file=path).attrs["simulated"]


def test_duplicates_are_refused_or_the_first_is_kept(judgments_text, write_judgments):
    frame = judgments_text(per_cell=2)
    path = write_judgments(pd.concat([frame, frame.iloc[[7]]]))

    with pytest.raises(JudgmentsError, match="50: the trial was already judged"):
        load_judgments(file=path)

    kept = load_judgments(file=path, duplicates="keep-first")
    assert len(kept) == len(frame)


def test_two_counted_judgments_of_one_trial_are_refused(judgments_text, write_judgments):
    frame = judgments_text(per_cell=2)
    again = frame.iloc[[3]].assign(worker="w999", assignment="as999")
    path = write_judgments(pd.concat([frame, again]))

    with pytest.raises(JudgmentsError, match="already judged"):
        load_judgments(file=path)

    late = write_judgments(pd.concat([frame, again.assign(counted="false")]))
    assert len(load_judgments(file=late)) == len(frame) + 1


def test_two_designs_under_one_name_are_refused(judgments_text, write_judgments):
    frame = judgments_text(per_cell=2)
    frame.loc[0, "study_hash"] = "cd" * 32

    with pytest.raises(JudgmentsError, match="2 designs under one study name"):
        load_judgments(file=write_judgments(frame))


def test_no_file_no_rows_and_no_source_are_clear(judgments_text, write_judgments, tmp_path):
    with pytest.raises(JudgmentsError, match="no such file"):
        load_judgments(file=tmp_path / "none.csv")
    with pytest.raises(JudgmentsError, match="no judgments"):
        load_judgments(file=write_judgments(judgments_text(per_cell=1).iloc[:0]))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(JudgmentsError, match="the file is empty"):
        load_judgments(file=tmp_path / "empty.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00study")
    with pytest.raises(JudgmentsError, match="not a UTF-8 CSV file"):
        load_judgments(file=tmp_path / "bytes.csv")
    with pytest.raises(UsageError, match="either --db URL or --judgments FILE"):
        load_judgments()


def test_study_file_beside_the_judgments_declares_exclusions_seed_and_the_default_question(
    judgments_text, write_judgments, tmp_path
):
    path = write_judgments(judgments_text(per_cell=2))
    study = tmp_path / "study.toml"
    study.write_text('[study]\nname = "paper"\nseed = 7\n[analysis]\nexclude = ["gold"]\n')

    frame = load_judgments(file=path)

    asked = {"realism": "Which video is more realistic?"}
    assert declared_of(frame) == Declared(seed=7, exclude=("gold",), wordings=asked)
    study.write_text('[study]\nname = "another"\nseed = 7\n')
    assert declared_of(load_judgments(file=path)) == Declared()


def test_what_is_read_is_what_the_study_and_its_export_write():
    assert tuple(kind.value for kind in TrialKind) == load._KINDS
    assert tuple(choice.value for choice in Choice) == load._CHOICES
    assert set(EXCLUSIONS) == set(RULES)


def test_what_a_study_declares_follows_its_judgments_uncopied(judgments_text, write_judgments):
    frame = load_judgments(file=write_judgments(judgments_text(per_cell=2)))

    assert declared_of(frame[frame["counted"]].copy()) is declared_of(frame)


def test_two_hundred_thousand_rows_are_checked_in_seconds(judgments_text):
    small = judgments_text(per_cell=417)
    frame = pd.concat([small] * 20, ignore_index=True)
    frame["trial"] = [f"t{i}" for i in range(len(frame))]
    start = time.process_time()

    checked = check_judgments(frame)

    assert len(checked) > 200_000
    assert time.process_time() - start < 6
