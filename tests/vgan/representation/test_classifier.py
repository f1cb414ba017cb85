import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from vgan.errors import DataError
from vgan.models.discriminator import Discriminator
from vgan.representation.classifier import (
    ClipClassifier,
    Schedule,
    classify,
    count_parameters,
    train_classifier,
)
from vgan.representation.linear import PENALTIES, fit_logistic


@pytest.fixture
def toy():
    """Twelve windows, dark ones of class 0 and bright ones of class 1, with noise."""
    chance = np.random.default_rng(0)
    labels = np.arange(12) % 2
    clips = chance.integers(0, 60, (12, 32, 64, 64, 3)).astype(np.uint8)
    clips[labels == 1] += 160
    return clips, labels.astype(np.int64)


def test_the_paper_s_classifier_has_twelve_point_seven_million_weights():
    assert count_parameters(ClipClassifier(64, 101)) == pytest.approx(12.7e6, rel=0.005)


def test_a_random_start_follows_torch7():
    torch.manual_seed(0)
    network = ClipClassifier(8, 5).network
    first = network.trunk[0]
    reach = (3 * 4**3) ** -0.5

    assert 0.95 * reach < float(first.weight.detach().abs().max()) <= reach
    assert (
        0
        <= float(network.trunk[3].weight.detach().min())
        < float(network.trunk[3].weight.detach().max())
        <= 1
    )


def test_the_new_readout_starts_within_one_over_the_root_of_its_inputs():
    network = ClipClassifier(64, 2)
    largest = float(network.network.readout.weight.detach().abs().max())

    assert pytest.approx(largest, abs=0.0001) == 0.0078


def test_fine_tuning_starts_from_the_pretrained_trunk():
    trunk = Discriminator(2)
    network = ClipClassifier(2, 3, trunk)

    for ours, theirs in zip(
        network.network.trunk.parameters(), trunk.trunk.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_a_separable_toy_set_is_learnt_to_the_last_window(toy):
    clips, labels = toy
    torch.manual_seed(0)
    network = ClipClassifier(2, 2)
    losses = train_classifier(
        network, clips, np.arange(12), labels, Schedule(20, batch=6, learning_rate=2e-3), seed=0
    )
    scores = classify(network, clips, np.arange(12))

    assert losses[-1] < losses[0]
    assert not network.training  # no dropout, no statistics of the batch
    assert (scores.argmax(axis=1) == labels).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


def test_training_is_repeatable_and_leaves_the_global_chance_alone(toy):
    clips, labels = toy
    state = torch.get_rng_state()
    runs = []
    for _ in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            network = ClipClassifier(1, 2)
        runs.append(train_classifier(network, clips, np.arange(12), labels, Schedule(2), seed=1))

    assert runs[0] == runs[1]
    assert torch.equal(torch.get_rng_state(), state)


def test_windows_are_trained_on_in_even_batches_of_at_most_the_size(toy):
    clips, labels = toy
    network, seen = ClipClassifier(1, 2), []
    network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    train_classifier(network, clips, np.arange(11), labels[:11], Schedule(1, batch=5), seed=0)

    assert seen == [4, 4, 3]


def test_training_ends_when_the_loss_is_low_enough(toy):
    clips, labels = toy
    torch.manual_seed(0)
    losses = train_classifier(
        ClipClassifier(1, 2), clips, np.arange(12), labels, Schedule(50, enough=10.0), seed=0
    )

    assert len(losses) == 1


def features_of(labels, chance, shift):
    return chance.normal(0, 1, (len(labels), 12)) + shift * np.eye(12)[labels]


def test_logistic_regression_is_at_scikit_learns_optimum():
    chance = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 30)
    features = features_of(labels, chance, 2.0)
    fitted = fit_logistic(features, labels, np.zeros(90), classes=3, seed=0)  # one group: no search
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    exact = LogisticRegression(C=1e-3, solver="newton-cg", tol=1e-10, max_iter=5000)
    exact.fit(scaled, labels)

    np.testing.assert_allclose(
        fitted.probabilities(features), exact.predict_proba(scaled), atol=2e-4
    )


def test_the_penalty_is_chosen_on_groups_left_out():
    chance = np.random.default_rng(0)
    labels = np.tile(np.arange(3), 40)
    features = features_of(labels, chance, 6.0)
    fitted = fit_logistic(features, labels, np.repeat(np.arange(6), 20), classes=3, seed=0)

    assert (fitted.probabilities(features).argmax(axis=1) == labels).all()
    assert fitted.model[-1].C in PENALTIES


def test_few_features_may_choose_a_weaker_penalty_than_many_would():
    # Classes in a row along one axis: those between are told apart by large weights only.
    chance = np.random.default_rng(0)
    labels = np.tile(np.arange(6), 20)
    features = labels[:, None] + chance.normal(0, 0.1, (120, 1))
    fitted = fit_logistic(features, labels, np.repeat(np.arange(6), 20), classes=6, seed=0)

    assert fitted.model[-1].C == 10


def test_with_one_group_of_a_class_the_usual_penalty_is_taken():
    # One film of each class, as at small shares: left out, its class is not known at all.
    chance = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 5)
    fitted = fit_logistic(features_of(labels, chance, 2.0), labels, labels, classes=6, seed=0)

    assert fitted.model[-1].C == 1e-3


def test_where_a_fold_would_leave_out_a_whole_class_the_usual_penalty_is_taken():
    # The two small groups, all that class 2 has, go into one fold.
    chance = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), [20, 20, 10, 10])
    labels = np.where(groups > 1, 2, np.arange(60) % 2)
    fitted = fit_logistic(features_of(labels, chance, 0.5), labels, groups, classes=3, seed=0)

    assert fitted.model[-1].C == 1e-3


def test_of_penalties_that_do_equally_well_the_usual_one_is_taken():
    chance = np.random.default_rng(0)
    labels = np.tile(np.arange(3), 42)
    features = features_of(labels, chance, 50.0)  # so far apart that every penalty is right
    fitted = fit_logistic(features, labels, np.repeat(np.arange(6), 21), classes=3, seed=0)

    assert fitted.model[-1].C == 1e-3


def test_labels_of_one_class_are_refused():
    with pytest.raises(DataError, match="split 2: all training videos are of one class"):
        fit_logistic(np.zeros((4, 3)), np.ones(4, np.int64), np.arange(4), 3, 0, title="split 2")


def test_shuffled_labels_are_guessed_at_chance():
    chance = np.random.default_rng(1)
    labels = chance.integers(0, 4, 400)
    features = chance.normal(0, 1, (400, 12))
    fitted = fit_logistic(features[:200], labels[:200], np.arange(200), classes=4, seed=0)
    right = (fitted.probabilities(features[200:]).argmax(axis=1) == labels[200:]).sum()

    assert 50 - 2.6 * 6.2 < right < 50 + 2.6 * 6.2  # binomial(200, 1/4), 99 in 100


def test_a_class_never_seen_gets_no_probability():
    features = np.random.default_rng(0).normal(0, 1, (20, 3))
    labels = np.asarray([0, 2] * 10)
    fitted = fit_logistic(features, labels, np.zeros(20), classes=3, seed=0)

    assert fitted.probabilities(features)[:, 1].tolist() == [0.0] * 20
