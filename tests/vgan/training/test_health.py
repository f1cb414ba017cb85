import pytest

from vgan.training.config import resolve_config
from vgan.training.health import PATIENCE_STEPS, WARM_UP_STEPS, Health


def test_a_discriminator_that_wins_for_long_is_named_once():
    health = Health()
    warnings = [
        health.see_metrics(step, {"loss_d": 1e-4}) for step in range(10, 10 * PATIENCE_STEPS, 10)
    ]
    said = [warning for warning in warnings if warning]

    assert len(said) == 1
    assert "has been about 0 since step 10" in said[0]
    assert not health.good


def test_a_discriminator_that_wins_now_and_then_is_no_warning():
    health = Health()
    for step in range(10, 10 * PATIENCE_STEPS, 10):
        loss = 1e-4 if step % 100 else 0.7

        assert health.see_metrics(step, {"loss_d": loss}) is None
    assert health.good


def test_a_run_whose_discriminator_no_longer_wins_is_good_again_and_is_watched_anew():
    health = Health(easy_since=10, easy_told=True)

    assert health.see_metrics(500, {"loss_d": 0.7}) is None
    assert health.good
    assert health.see_metrics(600, {"loss_d": 1e-4}) is None
    assert "since step 600" in str(health.see_metrics(600 + PATIENCE_STEPS, {"loss_d": 1e-4}))


def test_an_autoencoder_has_no_discriminator_to_watch():
    health = Health()
    for step in range(10, 10 * PATIENCE_STEPS, 10):
        assert health.see_metrics(step, {"loss": 0.0}) is None


@pytest.mark.parametrize(
    ("steps", "last_of_the_start"), [(8, 8), (600, WARM_UP_STEPS), (8000, 2000)]
)
def test_equal_samples_are_a_collapse_only_after_the_start(steps, last_of_the_start):
    config = resolve_config("two-stream", steps=steps, dtype="float32")
    health = Health()

    assert health.see_samples(last_of_the_start, config, 0.0) is None
    assert health.good


def test_a_collapse_is_said_once():
    config = resolve_config("two-stream", steps=1000, dtype="float32")
    health = Health()

    assert "collapsed" in str(health.see_samples(600, config, 0.0))
    assert health.see_samples(700, config, 0.0) is None
    assert not health.good


def test_health_returns_with_the_samples():
    config = resolve_config("two-stream", steps=1000, dtype="float32")
    health = Health(collapsed=True)
    health.see_samples(500, config, 0.1)

    assert health.good


def test_health_survives_a_checkpoint():
    health = Health(easy_since=3, collapsed=True, last_good=2)

    assert Health(**health.to_dict()) == health
