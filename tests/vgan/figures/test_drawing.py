import io

import numpy as np
import pytest
from PIL import Image

from vgan.data.videos import read_video
from vgan.figures.drawing import block, captioned, draw_arrows, enlarge, mp4, png, stacked, webp
from vgan.figures.flow import Arrow
from vgan.figures.pages import Picture, Section, html_page, markdown_page


def flat(level: int, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def test_no_arrows_leave_the_frame_as_it_is():
    assert (draw_arrows(flat(80), []) == flat(80)).all()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_arrow_shows_on_any_ground(level):
    drawn = draw_arrows(flat(level, 128), [Arrow(32, 32, 1, 0)], factor=2)
    colours = {tuple(colour) for colour in drawn.reshape(-1, 3)}

    assert {(255, 221, 0), (0, 0, 0)} <= colours


def test_an_arrow_is_longer_where_things_are_faster_and_points_where_they_go():
    slow, fast = (
        draw_arrows(flat(128, 256), [Arrow(32, 32, speed, 0)], factor=4) for speed in (1, 2)
    )
    widths = [np.ptp(np.nonzero((d != 128).any((0, 2)))[0]) for d in (slow, fast)]
    columns = (fast == (255, 221, 0)).all(2).sum(0)
    middle = np.nonzero(columns)[0].mean()

    assert widths[1] > 1.5 * widths[0]
    assert columns[int(middle) :].sum() > columns[: int(middle)].sum()  # the head is on the right


def test_an_arrow_at_the_border_is_drawn_whole():
    inside = draw_arrows(flat(128, 256), [Arrow(32, 32, 0, 2)], factor=4)
    border = draw_arrows(flat(128, 256), [Arrow(63, 63, 0, 2)], factor=4)

    assert (border != 128).any(2).sum() == pytest.approx((inside != 128).any(2).sum(), rel=0.1)


def test_pictures_stand_in_rows_under_their_headings():
    laid = block([[flat(10), flat(20)], [flat(30)]], ["left", "right"])

    assert laid.shape == (19 + 64 + 4 + 64, 64 + 4 + 64, 3)
    assert (laid[19:83, :64] == 10).all()
    assert (laid[19:83, 68:] == 20).all()
    assert (laid[87:, 68:] == 255).all()  # no picture there
    assert (laid[:19] < 128).any()  # words


def test_a_caption_is_wrapped_to_the_picture_and_stacking_keeps_all():
    short, long = (captioned(flat(0), "word " * n) for n in (1, 60))

    assert short.shape[1] == long.shape[1]
    assert len(long) > len(short)
    assert len(stacked([short, long])) > len(short) + len(long)


def test_a_png_gives_back_its_pixels_and_enlarging_keeps_flat_ones():
    assert (np.asarray(Image.open(io.BytesIO(png(flat(77))))) == 77).all()
    assert (enlarge(flat(77), 3) == 77).all()
    assert enlarge(flat(77), 3).shape == (192, 192, 3)


def test_a_webp_plays_at_the_clips_rate_and_a_single_picture_stands_still():
    played = Image.open(io.BytesIO(webp([flat(0), flat(128), flat(255)], 20)))

    assert played.n_frames == 3
    played.seek(1)
    played.load()
    assert played.info["duration"] == 50
    assert Image.open(io.BytesIO(webp([flat(0)], 1))).n_frames == 1


def test_an_mp4_of_odd_pictures_plays(tmp_path):
    (tmp_path / "a.mp4").write_bytes(mp4([flat(0, 33), flat(200, 33)], 20))
    video = read_video(tmp_path / "a.mp4")

    assert video.frames.shape == (2, 34, 34, 3)
    assert video.fps == 20
    assert abs(int(video.frames[1, 5, 5, 0]) - 200) < 4


def test_a_page_holds_its_pictures_and_escapes_its_words():
    section = Section("units <3", "a & b", [Picture("a.png", png(flat(0)), 'says "hm"')])
    page = html_page("t", "i", [section]).decode()

    assert "units &lt;3" in page
    assert "a &amp; b" in page
    assert "data:image/png;base64," in page
    assert 'src="a.png"' in html_page("t", "i", [section], inside=False).decode()
    assert "](a.png)" in markdown_page("t", "i", [section]).decode()
