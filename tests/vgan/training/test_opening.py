import pytest

from vgan.errors import UsageError
from vgan.training.config import resolve_config
from vgan.training.opening import resumed_config


def test_resuming_keeps_what_is_not_asked_for():
    saved = resolve_config("two-stream", batch=4, seed=3)

    assert resumed_config(saved, batch=None, seed=3) == saved


def test_resuming_may_change_when_things_are_written():
    saved = resolve_config("two-stream")

    assert resumed_config(saved, sample_every=7).sample_every == 7


@pytest.mark.parametrize(
    ("change", "named"),
    [({"width": 4}, "`width` 4"), ({"dtype": "float32"}, "`dtype` float32"),
     ({"steps": 5000}, "`steps` 5000"), ({"seed": 9}, "`seed` 9")],
)  # fmt: skip
def test_resuming_with_a_setting_that_decides_the_weights_is_refused_by_name(change, named):
    saved = resolve_config("two-stream", dtype="bfloat16")

    with pytest.raises(UsageError, match=named):
        resumed_config(saved, **change)


def test_resuming_may_add_steps_where_the_learning_rate_is_constant():
    saved = resolve_config("two-stream", "paper")

    assert resumed_config(saved, steps=70_000).steps == 70_000
