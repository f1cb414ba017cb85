"""What was computed for some videos is never taken for others under the same names."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from vgan.data.actions import ActionSet, ActionSplit
from vgan.errors import DataError, UsageError
from vgan.models.discriminator import Discriminator
from vgan.representation.classifier import Schedule, count_parameters
from vgan.representation.imagenet import ImageNet, _frames
from vgan.representation.pretrained import PretrainedDiscriminator
from vgan.representation.protocol import Task
from vgan.representation.run import Plan, measure, open_actions, open_data, tasks
from vgan.representation.unlabelled import training_videos
from vgan.representation.vgan_methods import FineTuned, LogisticOnLayer4


@pytest.fixture
def folder(action_folder, tmp_path):
    """A copy of the action folder, to change."""
    return shutil.copytree(action_folder, tmp_path / "actions")


@pytest.fixture
def logistic():
    torch.manual_seed(0)
    return LogisticOnLayer4(PretrainedDiscriminator(Discriminator(1).eval(), 1, "ab" * 32))


class Means(nn.Module):
    """Gives each frame's mean colour as its features, and has one weight."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, frames):
        return self.gain * frames.mean((2, 3))


def opened(folder, out, actions=None):
    return open_data(actions or open_actions(folder, None, None), out, torch.device("cpu"))


def other_content(folder):
    """Replace a training video by another one under its name."""
    shutil.copyfile(folder / "down" / "dan_down.mp4", folder / "right" / "ann_right.mp4")


def answers(method, data):
    return method.predict(data, next(tasks(data.actions, Plan()))).scores


def test_results_of_other_content_under_the_same_names_are_refused(folder, logistic, tmp_path):
    out = tmp_path / "out"
    list(measure(opened(folder, out), [logistic], Plan(), out))
    other_content(folder)

    with pytest.raises(UsageError, match="results of other videos, labels or splits"):
        list(measure(opened(folder, out), [logistic], Plan(), out))


def test_results_of_another_training_list_are_refused(folder, logistic, tmp_path):
    out = tmp_path / "out"
    data = opened(folder, out)
    list(measure(data, [logistic], Plan(), out))
    (split,) = data.actions.splits
    fewer = ActionSplit(split.name, split.train[1:], split.test)
    actions = ActionSet(data.actions.classes, data.actions.videos, (fewer,))

    with pytest.raises(UsageError, match="results of other videos, labels or splits"):
        list(measure(replace(data, actions=actions), [logistic], Plan(), out))


def test_a_copy_with_other_dates_continues_the_same_results(folder, logistic, tmp_path):
    out = tmp_path / "out"
    (first,) = measure(opened(folder, out), [logistic], Plan(), out)
    for file in folder.rglob("*.mp4"):
        os.utime(file, (1, 1))

    assert list(measure(opened(folder, out), [logistic], Plan(), out)) == [first]


@pytest.mark.parametrize("row", ["vgan-logistic", "imagenet"])
def test_features_of_other_content_are_computed_anew(folder, logistic, tmp_path, row):
    method = logistic if row == "vgan-logistic" else ImageNet(Means(), "cd" * 32)
    answers(method, opened(folder, tmp_path / "out"))
    other_content(folder)
    found = answers(method, opened(folder, tmp_path / "out"))

    np.testing.assert_array_equal(found, answers(method, opened(folder, tmp_path / "new")))


def test_unlabelled_training_videos_go_by_their_content(folder, tmp_path):
    task = Task("table", 1.0, 0, (), ())
    before = training_videos(opened(folder, tmp_path / "out"), task)
    other_content(folder)
    after = training_videos(opened(folder, tmp_path / "out"), task)

    assert before.sha256 != after.sha256


def test_logistic_regression_counts_the_weights_under_it(folder, logistic, tmp_path):
    data = opened(folder, tmp_path / "out")
    task = next(tasks(data.actions, Plan()))
    tuned = FineTuned(logistic.pretrained, Schedule(epochs=1, batch=4)).predict(data, task)
    trunk = count_parameters(logistic.pretrained.network.trunk)
    found = logistic.predict(data, task).parameters

    # Two classes are one column of weights in scikit-learn, and two in the network.
    assert found == trunk + 256 + 1
    assert tuned.parameters == trunk + 2 * (256 + 1)


def test_labels_of_one_class_are_refused_by_the_name_of_their_split(folder, logistic, tmp_path):
    data = opened(folder, tmp_path / "out")
    task = next(tasks(data.actions, Plan()))
    alone = replace(task, train=tuple(v for v in task.train if data.labels[v] == 0))

    for method in (logistic, ImageNet(Means(), "cd" * 32)):
        with pytest.raises(DataError, match="split table: all training videos are of one class"):
            method.predict(data, alone)


def test_frames_reach_a_network_as_those_of_imagenet_did():
    clip = torch.ones(1, 3, 32, 64, 64)
    clip[:, :, 16:] = -1
    frames = _frames(clip)
    # White and black, 1 and 0 less ImageNet's mean colour, over its spread; four frames of each.
    white, black = (2.2489, 2.4286, 2.64), (-2.1179, -2.0357, -1.8044)

    assert frames.shape == (8, 3, 224, 224)
    for shown, colour in zip(frames, [white] * 4 + [black] * 4, strict=True):
        expected = torch.tensor(colour)[:, None, None].expand(3, 224, 224)
        assert torch.allclose(shown, expected, atol=1e-4)
