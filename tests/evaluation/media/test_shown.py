"""What becomes of a study's clips is said, and named where a few of them cost the others much."""

import pytest

from evaluation import schema
from evaluation.media.formats import common_format
from evaluation.media.shown import ShownClips
from evaluation.study import Display


def shown(display, *clips, pair_bytes=434_000):
    """Clips as (name, frames, fps, (width, height)) in the format that they come to."""
    rows = [
        schema.Clip(name=name, frames=frames, fps=fps, width=size[0], height=size[1])
        for name, frames, fps, size in clips
    ]
    return ShownClips(rows, common_format(rows, display), pair_bytes, trials=24)


def alike(source, n=4, frames=48, fps=24.0, size=(96, 96)):
    return [(f"{source}/{i}.mp4", frames, fps, size) for i in range(n)]


WEIGHT = "; 430 kB a pair, 10 MB a session"  # two digits of 434,000 bytes, for 24 pairs
SHORTEST = Display(duration="shortest", fps=24)


def test_clips_of_one_form_are_named_by_it_alone():
    found = shown(Display(), *alike("ours"), *alike("theirs"))

    assert found.line() == f"96x96, 48 frames at 24/s (2.00 s){WEIGHT}"
    assert found.warnings() == ()


def test_still_pictures_have_no_length():
    found = shown(Display(), *alike("ours", frames=1, fps=1.0))

    assert found.line() == f"96x96, still{WEIGHT}"


def test_what_all_clips_are_cut_to_is_told_with_the_clip_that_is_so_short():
    found = shown(SHORTEST, *alike("ours"), ("third/8.mov", 20, 30.0, (96, 96)))

    assert found.line() == f"96x96, 16 frames at 24/s (0.67 s){WEIGHT}; shortest: third/8.mov"


def test_a_clip_under_half_of_the_usual_length_is_a_warning():
    found = shown(SHORTEST, *alike("ours"), ("third/8.mov", 23, 24.0, (96, 96)))

    assert found.warnings() == (
        "every clip is cut to 23 frames, as third/8.mov is that short, and half of them have 48 or "
        'more; leave it out, or set another duration than "shortest" under [display]',
    )
    assert shown(SHORTEST, *alike("ours"), ("b/1.mp4", 24, 24.0, (96, 96))).warnings() == ()


def test_a_clip_of_one_frame_that_makes_stills_of_all_is_a_warning():
    (warning,) = shown(SHORTEST, *alike("ours"), ("b/1.mp4", 1, 25.0, (96, 96))).warnings()

    assert warning.startswith("every clip is cut to 1 frame, a still picture, as b/1.mp4 is")


@pytest.mark.parametrize(
    ("display", "clips"),
    [
        (SHORTEST, alike("a", n=1) + alike("b", frames=1)),  # most are stills
        (Display(fps=5, duration="loop-each"), alike("a", n=1, frames=6) + alike("b", frames=48)),
    ],
)
def test_a_clip_of_several_frames_that_is_shown_as_one_is_a_warning(display, clips):
    (warning,) = shown(display, *clips).warnings()

    assert warning.startswith("a/0.mp4 moves and is shown as a still picture")


def test_clips_that_loop_each_are_told_with_the_range_of_their_lengths():
    found = shown(Display(duration="loop-each"), *alike("a"), *alike("b", frames=24))

    assert (
        found.line()
        == f"96x96, 24 to 48 frames at 24/s (1.00 to 2.00 s){WEIGHT}; shortest: b/0.mp4"
    )
    assert found.warnings() == ()


def test_sources_of_other_proportions_that_keep_their_scale_need_no_word():
    found = shown(Display(fit="pad"), *alike("a", size=(128, 128)), *alike("b", size=(160, 90)))

    assert found.line() == f"160x128, 48 frames at 24/s (2.00 s){WEIGHT}"


def test_sources_that_are_shrunk_unequally_are_told_and_warned_of():
    wide = alike("wide", size=(256, 144))
    found = shown(Display(fit="pad"), *alike("square", size=(64, 64)), *wide)

    assert found.line() == (
        f"114x64, 48 frames at 24/s (2.00 s){WEIGHT}; smallest: square/0.mp4; scaled to "
        "100 % (square), 44 % (wide)"
    )
    assert found.warnings() == (
        "clips of wide are scaled to 44 % and those of square to 100 %, and shrinking hides "
        "faults; bring the sources to one size, unless that is what you compare",
    )


def test_one_small_clip_that_shrinks_all_others_is_a_warning():
    small = ("ours/small.mp4", 48, 24.0, (32, 32))
    found = shown(Display(fit="crop"), *alike("ours"), small, *alike("theirs"))

    assert "scaled to 33 to 100 % (ours), 33 % (theirs)" in found.line()
    assert found.warnings() == (
        "half of the clips are scaled to 33 % or less, as ours/small.mp4 is so small; leave it "
        "out, or make it as large as the others",
    )


@pytest.mark.parametrize(("megabytes", "waits"), [(4.9, False), (5.1, True)])
def test_pairs_that_load_for_longer_than_the_one_before_is_looked_at_are_a_warning(
    megabytes, waits
):
    found = shown(Display(), *alike("ours"), pair_bytes=megabytes * 1e6)  # 2 s, and 2 to answer

    assert found.line().endswith(f"{megabytes} MB a pair, 120 MB a session")
    assert (
        found.warnings()
        == (
            "a pair loads for 4 s at 10 Mbit/s, longer than raters look at the one before, so "
            "that they wait; a smaller box or fps under [display] makes clips lighter",
        )[: int(waits)]
    )


def test_still_pictures_may_load_while_the_pair_before_is_answered():
    stills = alike("ours", frames=1, fps=1.0)

    assert shown(Display(), *stills, pair_bytes=2.4e6).warnings() == ()
    [warning] = shown(Display(), *stills, pair_bytes=2.6e6).warnings()
    assert warning.startswith("a pair loads for 2 s at 10 Mbit/s")


def test_a_rate_that_lets_one_source_stutter_is_a_warning_with_one_that_fits_all():
    ours, film = alike("ours", n=9, fps=24.0), alike("film", frames=60, fps=30000 / 1001)

    (warning,) = shown(Display(fps=24, duration="shortest"), *ours, *film).warnings()

    assert warning == (
        "at 24 frames per second clips of film lose frames, or show some longer than others, and "
        "so stutter, which those of ours do not; make all at one rate, or set fps = 120 under "
        "[display], which every rate here divides"
    )
    assert shown(Display(fps=120, duration="shortest"), *ours, *film).warnings() == ()


def test_a_rate_that_no_screen_shows_is_not_advised():
    clips = alike("a", fps=24.0) + alike("b", frames=50, fps=25.0)

    (warning,) = shown(SHORTEST, *clips).warnings()

    assert warning.endswith("which those of a do not; make all at one rate")


@pytest.mark.parametrize(
    "clips",
    [
        alike("a", frames=60, fps=60.0) + alike("b", frames=30, fps=30.0),  # every second frame
        alike("a", fps=12.0) + alike("b", fps=24000 / 1001),  # every frame twice
        alike("a", fps=24.0) + alike("b", n=5, fps=24.0) + alike("b", n=2, fps=25.0),  # a few
        alike("a", fps=25.0) + alike("b", fps=25.0),  # all alike
        alike("a", fps=24.0) + alike("b", frames=1, fps=1.0),  # still pictures
    ],
)
def test_rates_that_let_no_source_stutter_more_need_no_word(clips):
    found = shown(Display(fps=30 if clips[0][2] == 60 else 24, duration="loop-each"), *clips)

    assert not [text for text in found.warnings() if "stutter" in text]
