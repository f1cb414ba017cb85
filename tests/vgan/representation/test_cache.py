import errno
import os

import numpy as np
import pytest

from vgan.data.actions import ActionVideo
from vgan.errors import DataError
from vgan.representation import stip
from vgan.representation.cache import cached


def no_more_files(*_, **__):
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize("mapped", [True, False])
def test_an_array_is_made_once_and_read_back(tmp_path, mapped):
    path = tmp_path / "folder" / "array.npy"
    made = cached(path, lambda: np.arange(6).reshape(2, 3), mapped=mapped)
    again = cached(path, lambda: pytest.fail("made again"), mapped=mapped)

    np.testing.assert_array_equal(made, again)
    assert isinstance(again, np.memmap) == mapped


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("left", [0, 40, 140])
def test_a_file_cut_short_is_damaged(tmp_path, mapped, left):
    path = tmp_path / "array.npy"
    np.save(path, np.arange(6))
    path.write_bytes(path.read_bytes()[:left])

    with pytest.raises(DataError, match=r"array\.npy: damaged .*; delete it"):
        cached(path, lambda: pytest.fail("made again"), mapped=mapped)


def test_a_file_that_cannot_be_opened_now_is_not_called_damaged(tmp_path, monkeypatch):
    path = tmp_path / "array.npy"
    np.save(path, np.arange(6))
    monkeypatch.setattr(np, "load", no_more_files)

    with pytest.raises(DataError, match=r"array\.npy: cannot be read \(Too many open files\)$"):
        cached(path, lambda: pytest.fail("made again"))


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="open files are counted there")
def test_descriptors_of_many_videos_leave_no_file_open(tmp_path, monkeypatch):
    monkeypatch.setattr(stip, "describe_video", lambda *_: np.ones((3, 162), np.float32))
    videos = []
    for number in range(40):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(b"video")
        videos.append(ActionVideo(path, "wave", "ann", str(number)))
    before = len(os.listdir("/dev/fd"))
    kept = list(stip.Stip()._described(videos, tmp_path / "cache"))

    assert len(kept) == 40
    assert len(os.listdir("/dev/fd")) < before + 20
