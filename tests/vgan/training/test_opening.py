import pytest

from vgan.data.manifest import ClipRecord, write_manifest
from vgan.errors import UsageError
from vgan.training.config import resolve_config
from vgan.training.folder import RunFolder
from vgan.training.opening import check_data, resumed_config


def test_resuming_keeps_what_is_not_asked_for():
    saved = resolve_config("two-stream", batch=4, seed=3)

    assert resumed_config(saved, batch=None, seed=3) == saved


def test_resuming_may_change_when_things_are_written():
    saved = resolve_config("two-stream")

    assert resumed_config(saved, sample_every=7).sample_every == 7


@pytest.mark.parametrize(
    ("change", "named"),
    [({"width": 4}, "`width` 4"), ({"dtype": "float32"}, "`dtype` float32"),
     ({"steps": 5000}, "`steps` 5000: .* 600, towards which its learning rate falls;"),
     ({"seed": 9}, "`seed` 9")],
)  # fmt: skip
def test_resuming_with_a_setting_that_decides_the_weights_is_refused_by_name(change, named):
    saved = resolve_config("two-stream", dtype="bfloat16")

    with pytest.raises(UsageError, match=named):
        resumed_config(saved, **change)


def test_resuming_may_add_steps_where_the_learning_rate_is_constant():
    saved = resolve_config("two-stream", "paper")

    assert resumed_config(saved, steps=70_000).steps == 70_000


@pytest.mark.parametrize(("rates", "warned"), [((12.5, 60.0), True), ((23.976, 25.0), False)])
def test_clips_of_several_speeds_are_trained_on_with_a_warning(tmp_path, caplog, rates, warned):
    records = [
        ClipRecord(f"golf/{rate}.mp4", "0" * 64, "real", "golf", 32, rate, 64, 64) for rate in rates
    ]
    write_manifest(tmp_path, records)

    check_data(RunFolder(tmp_path), resolve_config("two-stream"), tmp_path, records, [])

    said = "frame rates 12.5 to 60; ingest with --fps 25 puts all on one clock"
    assert (said in caplog.text) == warned


@pytest.mark.parametrize(("split", "warned"), [("train", True), ("test", False)])
def test_training_on_a_category_without_test_clips_says_what_to_do(tmp_path, caplog, split, warned):
    records = [
        ClipRecord(f"golf/{n}.mp4", "0" * 64, "real", "golf", 32, 25, 64, 64, split=side)
        for n, side in enumerate(("train", split))
    ]
    write_manifest(tmp_path, records)
    config = resolve_config("two-stream", category="golf")

    check_data(RunFolder(tmp_path / "run"), config, tmp_path, records[:1], [])

    said = "no test clips of golf to measure generated ones against (add videos with `vgan ingest`"
    assert (said in caplog.text) == warned
