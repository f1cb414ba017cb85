"""Pictures of every kind become the same small square."""

import numpy as np
import pytest
from PIL import Image

from vgan.data.framing import area_average
from vgan.data.manifest import ClipRecord, Origin, sha256_of, write_manifest
from vgan.data.pictures import find_pictures, read_picture
from vgan.data.videos import write_clip
from vgan.errors import DataError, UsageError

SIZE = 16


def halves(height, width):
    """Red on the left of the centre square, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 200
    pixels[:, width // 2 :, 2] = 200
    return pixels


def is_halves(square):
    return (
        square.shape == (SIZE, SIZE, 3)
        and (square[:, : SIZE // 2 - 1, 0] > 170).all()
        and (square[:, SIZE // 2 + 1 :, 2] > 170).all()
    )


def saved(folder, name, image, **how):
    path = folder / name
    image.save(path, **how)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff"])
def test_every_format_gives_the_centre_square(tmp_path, suffix):
    wide = np.pad(halves(32, 32), ((0, 0), (20, 20), (0, 0)), constant_values=255)
    path = saved(tmp_path, f"a.{suffix}", Image.fromarray(wide), quality=95)

    assert is_halves(read_picture(path, SIZE))


def test_a_picture_is_what_its_bytes_say(tmp_path):
    path = saved(tmp_path, "photo.mp4", Image.fromarray(halves(32, 32)), format="PNG")

    assert is_halves(read_picture(path, SIZE))


def test_grey_and_sixteen_bit_grey_keep_their_levels(tmp_path):
    eight = saved(tmp_path, "a.png", Image.fromarray(np.full((20, 20), 128, np.uint8)))
    sixteen = saved(tmp_path, "b.png", Image.fromarray(np.full((20, 20), 128 * 257, np.uint16)))

    assert (read_picture(eight, SIZE) == 128).all()
    assert (read_picture(sixteen, SIZE) == 128).all()


def test_floating_point_is_refused_since_its_white_is_not_known(tmp_path):
    path = saved(tmp_path, "a.tiff", Image.fromarray(np.ones((20, 20), np.float32)))

    with pytest.raises(DataError, match=r"a.tiff: is in floating point"):
        read_picture(path, SIZE)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_put_on_white(tmp_path, mode):
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 40, 20))
    square = read_picture(saved(tmp_path, "a.png", image.convert(mode)), SIZE)

    assert (square[: SIZE // 2] == 0).all()
    assert (square[SIZE // 2 :] == 255).all()


def test_half_transparent_black_is_grey_on_white(tmp_path):
    path = saved(tmp_path, "a.png", Image.new("RGBA", (20, 20), (0, 0, 0, 127)))

    assert np.abs(read_picture(path, SIZE).astype(int) - 128).max() <= 1


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_portrait_phone_picture_stands_upright(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn a quarter clockwise to see it upright
    lying = np.rot90(halves(300, 200), 1)
    path = saved(tmp_path, f"a.{suffix}", Image.fromarray(lying), exif=exif, quality=95)

    assert is_halves(read_picture(path, SIZE))


@pytest.mark.parametrize(("suffix", "most"), [("png", 1), ("jpg", 8)])
def test_a_large_picture_is_area_averaged(tmp_path, suffix, most):
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 255, (20, 30, 3), np.uint8), np.ones((37, 37, 1), np.uint8))
    path = saved(tmp_path, f"a.{suffix}", Image.fromarray(pixels), quality=95)
    side = 20 * 37
    exact = area_average(pixels[:, (30 * 37 - side) // 2 :][:, :side], SIZE)

    assert np.abs(read_picture(path, SIZE).astype(int) - exact).max() <= most


def test_a_jpeg_is_decoded_at_a_fraction_of_its_size(tmp_path, monkeypatch):
    path = saved(tmp_path, "a.jpg", Image.fromarray(halves(2048, 2048)))
    decoded = []
    monkeypatch.setattr(
        "vgan.data.pictures._square", lambda image, _: decoded.append(image.size) or halves(2, 2)
    )
    read_picture(path, SIZE)

    assert decoded == [(256, 256)]


def test_a_small_picture_is_enlarged(tmp_path):
    path = saved(tmp_path, "a.png", Image.new("RGB", (1, 3), (9, 8, 7)))

    assert (read_picture(path, SIZE) == (9, 8, 7)).all()


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_gives_the_frame_asked_for(tmp_path, suffix):
    frames = [Image.new("RGB", (20, 20), (level, 0, 0)) for level in (0, 128, 255)]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)

    assert read_picture(path, SIZE)[0, 0, 0] == 0
    assert read_picture(path, SIZE, 2)[0, 0, 0] == 255
    with pytest.raises(DataError, match="has 3 frames, so none of number 3"):
        read_picture(path, SIZE, 3)


def test_a_video_gives_the_frame_asked_for(tmp_path):
    frames = np.stack([np.full((24, 40, 3), level, np.uint8) for level in (10, 20, 30)])
    path = tmp_path / "a.mp4"
    write_clip(path, frames, 10)

    assert (read_picture(path, SIZE) == 10).all()
    assert (read_picture(path, SIZE, 2) == 30).all()
    with pytest.raises(DataError, match="has no frame of number 3"):
        read_picture(path, SIZE, 3)


def test_what_is_no_picture_is_named_with_the_reason(tmp_path):
    text = tmp_path / "a.jpg"
    text.write_text("not a picture")
    whole = saved(tmp_path, "b.png", Image.fromarray(halves(400, 400)))
    whole.write_bytes(whole.read_bytes()[:200])

    with pytest.raises(DataError, match=r"a.jpg: is no picture that can be read"):
        read_picture(text, SIZE)
    with pytest.raises(DataError, match=r"b.png: is damaged or cannot be decoded"):
        read_picture(whole, SIZE)
    with pytest.raises(DataError, match=r"c.png: no such file"):
        read_picture(tmp_path / "c.png", SIZE)


def test_a_picture_beyond_pillows_limit_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, "a.png", Image.fromarray(halves(40, 40)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(DataError, match=r"a.png: has more than 0 million pixels: shrink it"):
        read_picture(path, SIZE)

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # a warning of Pillow's own, not ours
    assert is_halves(read_picture(path, SIZE))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "My Photos"
    (folder / "sub").mkdir(parents=True)
    for name in ("Küste 1.jpg", "b.png", "sub/b.png", "notes.txt", ".hidden.png"):
        (folder / name).touch()
    return folder


def test_folders_are_searched_and_names_become_slugs(photos):
    found = find_pictures([photos], category="beach")

    assert [(p.name, p.origin.video) for p in found] == [
        ("b", "b.png"), ("kuste-1", "Küste 1.jpg"), ("sub/b", "sub/b.png")
    ]  # fmt: skip
    assert all(picture.split is None for picture in found)


def test_patterns_are_expanded_and_a_file_may_have_their_letters(photos):
    (photos / "a[1].png").touch()

    assert [p.name for p in find_pictures([photos / "*.png"], category="x")] == ["a-1", "b"]
    assert [p.name for p in find_pictures([photos / "a[1].png"], category="x")] == ["a-1"]
    with pytest.raises(DataError, match="no such file or folder"):
        find_pictures([photos / "*.gif"], category="x")


def test_pictures_of_one_name_are_told_apart(photos):
    (photos / "b.jpg").touch()
    names = [p.name for p in find_pictures([photos], category="x")]

    assert len(set(names)) == len(names) == 4
    assert sum(name.startswith("b-") for name in names) == 2


def test_a_picture_given_twice_is_one_and_two_of_one_clip_are_refused(photos, clips):
    twice = find_pictures([photos / "b.png", photos / "*.png"], category="x")

    assert [p.name for p in twice] == ["b"]
    assert len(find_pictures([clips, clips], category="beach")) == 2
    (photos / "a.png").touch()
    with pytest.raises(UsageError, match=r"a.png and .*a.mp4 would both be clip 'a'"):
        find_pictures([clips, photos / "a.png"], category="beach")


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"no pictures or videos here$"):
        find_pictures([tmp_path], category="x")


def test_a_folder_of_pictures_that_are_not_read_says_so(tmp_path):
    for name in ("a.HEIC", "b.heic", "notes"):
        (tmp_path / name).touch()

    with pytest.raises(
        DataError, match=r"not read: 3 files \(heic, no ending\); save heic as JPEG"
    ):
        find_pictures([tmp_path], category="x")


@pytest.fixture
def clips(tmp_path):
    records = []
    for name, split, origin in (
        ("beach/a", "test", Origin("v", 64)), ("beach/b", "train", None), ("golf/c", "test", None)
    ):  # fmt: skip
        path = tmp_path / f"{name}.mp4"
        write_clip(path, np.zeros((2, 8, 8, 3), np.uint8), 10)
        records.append(
            ClipRecord(f"{name}.mp4", sha256_of(path), "real", name[:-2], 2, 10, 8, 8,
                       split=split, origin=origin)
        )  # fmt: skip
    write_manifest(tmp_path, records)
    return tmp_path


def test_a_manifest_gives_the_clips_of_the_category_with_their_videos(clips):
    found = find_pictures([clips], category="beach", frame=1)

    assert [(p.name, p.split, p.origin) for p in found] == [
        ("a", "test", Origin("v", 65)), ("b", "train", Origin("real/beach/b.mp4", 1))
    ]  # fmt: skip


def test_a_split_takes_only_its_clips_and_needs_a_manifest(clips, photos):
    found = find_pictures([clips], category="beach", split="test")

    assert [p.name for p in found] == ["a"]
    with pytest.raises(UsageError, match=r"--split test: .* has no manifest.jsonl"):
        find_pictures([photos], category="beach", split="test")
    with pytest.raises(DataError, match=r"no pictures or videos here of category 'train'$"):
        find_pictures([clips], category="train")
    with pytest.raises(DataError, match="of split 'validation'"):
        find_pictures([clips], category="beach", split="validation")
