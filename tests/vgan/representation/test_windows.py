import errno
import os

import numpy as np
import pytest

from vgan.data.actions import open_action_set
from vgan.data.videos import write_clip
from vgan.errors import DataError
from vgan.representation.windows import cut_windows, open_windows


def numbered(count):
    return [np.full((2, 2, 3), i, np.uint8) for i in range(count)]


def test_windows_do_not_overlap_and_the_rest_is_dropped():
    windows = cut_windows(numbered(70))

    assert windows.shape == (2, 32, 2, 2, 3)
    assert windows[1, 0, 0, 0, 0] == 32
    assert windows[1, -1, 0, 0, 0] == 63


def test_a_short_video_holds_its_last_frame():
    window = cut_windows(numbered(30))[0, :, 0, 0, 0]

    assert window.tolist() == [*range(30), 29, 29]


def test_windows_are_the_centre_square_of_every_video(action_folder, tmp_path):
    actions = open_action_set(action_folder)
    windows = open_windows(actions.videos, tmp_path, progress=False)

    assert windows.clips.shape == (8, 32, 64, 64, 3)
    assert windows.owner.tolist() == list(range(8))
    assert windows.of([5, 2]).tolist() == [5, 2]
    assert windows.padded == ()
    first = windows.clips[0, 0]
    assert first[-1, 0].tolist() == [40, 40, 40]  # the ground of the first group


def test_windows_are_decoded_once(action_folder, tmp_path, monkeypatch):
    actions = open_action_set(action_folder)
    before = open_windows(actions.videos, tmp_path, progress=False)
    monkeypatch.setattr(
        "vgan.representation.windows.read_small", lambda path: pytest.fail(f"decoded {path} again")
    )
    after = open_windows(actions.videos, tmp_path, progress=False)

    np.testing.assert_array_equal(before.clips, after.clips)


def test_windows_of_videos_that_have_changed_since_take_no_room(action_folder, tmp_path):
    videos = open_action_set(action_folder).videos
    (tmp_path / "imagenet-1.npy").touch()
    open_windows(videos[:2], tmp_path, progress=False)
    before = {path.name for path in tmp_path.iterdir()}

    open_windows(videos[1:], tmp_path, progress=False)

    after = {path.name for path in tmp_path.iterdir()}
    assert before & after == {"imagenet-1.npy"}
    assert len(after) == len(before) == 3


def test_frames_that_cannot_be_opened_now_are_not_called_damaged(
    action_folder, tmp_path, monkeypatch
):
    def no_more_files(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    actions = open_action_set(action_folder)
    open_windows(actions.videos, tmp_path, progress=False)
    monkeypatch.setattr(np, "memmap", no_more_files)

    with pytest.raises(DataError, match=r"\.u8: cannot be read \(Too many open files\)$"):
        open_windows(actions.videos, tmp_path, progress=False)


def test_frames_that_are_gone_are_damaged(action_folder, tmp_path):
    actions = open_action_set(action_folder)
    open_windows(actions.videos, tmp_path, progress=False)
    next(tmp_path.glob("*.u8")).unlink()

    with pytest.raises(DataError, match=r"damaged .* to decode again"):
        open_windows(actions.videos, tmp_path, progress=False)


def test_a_short_video_is_named(tmp_path):
    file = tmp_path / "set" / "wave" / "v_wave_g01_c01.mp4"
    write_clip(file, np.zeros((20, 64, 64, 3), np.uint8), 25.0)
    from vgan.data.actions import ActionVideo

    video = ActionVideo(file, "wave", "g01", "wave/v_wave_g01_c01")

    assert open_windows([video], tmp_path / "cache", progress=False).padded == (video.name,)


def test_a_video_smaller_than_a_clip_is_refused(tmp_path):
    file = tmp_path / "small.mp4"
    write_clip(file, np.zeros((4, 48, 48, 3), np.uint8), 25.0)
    from vgan.data.actions import ActionVideo

    with pytest.raises(DataError, match=r"small\.mp4: is 48x48, smaller than 64x64"):
        open_windows([ActionVideo(file, "a", "g", "a/small")], tmp_path / "cache", progress=False)
