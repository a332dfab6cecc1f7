import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmjax.data.transforms.image import PIXEL_LIMIT, SCAN_LIMIT, ImageTransform, open_image, upright

_RANDOM = np.random.default_rng(0)
_COLOUR = _RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
_PLAIN = ImageTransform(shape=(4, 6, 1), mean=(0.0,), std=(1.0,))
_PLAIN_COLOUR = ImageTransform(shape=(20, 30, 3), mean=(0.0,) * 3, std=(1.0,) * 3)


def _saved(path, image):
    Image.fromarray(image).save(path)
    return path


def test_fit_gives_the_mean_and_deviation_of_each_channel():
    images = _RANDOM.integers(0, 256, (2500, 3, 5, 2), dtype=np.uint8)
    transform = ImageTransform.fit(images)
    assert transform.shape == (3, 5, 2)
    np.testing.assert_allclose(transform.mean, (images / 255).mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(transform.std, (images / 255).std((0, 1, 2)), rtol=1e-12)


def test_a_constant_channel_is_divided_by_one_grey_level():
    images = np.full((3, 2, 2, 1), 200, np.uint8)
    transform = ImageTransform.fit(images)
    assert transform.std == (1 / 255,)
    assert np.abs(transform(images).values).max() < 1e-3


@pytest.mark.parametrize(
    "images", [np.zeros((0, 2, 2, 1), np.uint8), np.zeros((2, 2, 2, 1)), np.zeros((2, 2), np.uint8)]
)
def test_fit_refuses_what_is_no_array_of_images(images):
    with pytest.raises(ValueError, match=r"images: expected a uint8 array \[n, h, w, c\]"):
        ImageTransform.fit(images)


def test_fitted_images_come_out_standardised():
    images = _RANDOM.integers(0, 256, (100, 4, 4, 3), dtype=np.uint8)
    result = ImageTransform.fit(images)(images)
    assert result.values.dtype == np.float32
    assert result.mask.all()
    np.testing.assert_allclose(result.values.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(result.values.std((0, 1, 2)), 1, atol=1e-5)


def test_an_array_its_rows_its_floats_and_its_pictures_give_the_same():
    images = _RANDOM.integers(0, 256, (5, 4, 6, 1), dtype=np.uint8)
    transform = ImageTransform.fit(images)
    whole = transform(images).values
    np.testing.assert_array_equal(transform(list(images)).values, whole)
    np.testing.assert_array_equal(
        transform([Image.fromarray(image[..., 0]) for image in images]).values, whole
    )
    np.testing.assert_allclose(transform(images / 255).values, whole, atol=1e-6)


def test_a_missing_image_is_zeros_under_a_false_mask():
    transform = ImageTransform(shape=(2, 2, 1), mean=(0.5,), std=(0.1,))
    result = transform([None, np.zeros((2, 2, 1), np.uint8), None])
    assert result.mask.tolist() == [False, True, False]
    assert (result.values[[0, 2]] == 0).all()
    np.testing.assert_allclose(result.values[1], -5)
    assert transform([]).values.shape == (0, 2, 2, 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_no_number_is_refused_with_its_row(bad):
    images = np.zeros((3, 4, 6, 1), np.float32)
    images[2, 1, 1] = bad
    with pytest.raises(ValueError, match="row 2: expected finite pixels"):
        _PLAIN(images)


def test_floats_in_grey_levels_of_255_are_refused():
    with pytest.raises(ValueError, match=r"row 0: expected floats in 0..1, got 0 to 255"):
        _PLAIN([np.linspace(0, 255, 24, dtype=np.float32).reshape(4, 6, 1)])


def test_other_shapes_and_types_are_refused_with_their_row():
    with pytest.raises(ValueError, match=r"expected \[b, \*\(4, 6, 1\)\], got \(2, 6, 4, 1\)"):
        _PLAIN(np.zeros((2, 6, 4, 1), np.uint8))
    with pytest.raises(ValueError, match=r"row 1: expected an array \(4, 6, 1\), got \(4, 6\)"):
        _PLAIN([None, np.zeros((4, 6), np.uint8)])
    with pytest.raises(ValueError, match=r"row 0: expected uint8 or floats in 0..1, got int64"):
        _PLAIN([np.zeros((4, 6, 1), np.int64)])


def test_a_picture_is_turned_upright_converted_and_stretched(tmp_path):
    grey = np.repeat(np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)[..., None], 3, -1)
    picture = Image.fromarray(grey)
    np.testing.assert_allclose(_PLAIN([picture]).values[0, :, :, 0] * 255, grey[..., 0], atol=1e-3)
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture.save(tmp_path / "turned.png", exif=exif)
    turned = _PLAIN([open_image(tmp_path / "turned.png")]).values[0, :, :, 0] * 255
    np.testing.assert_allclose(turned, grey[::-1, ::-1, 0], atol=1e-3)
    large = Image.fromarray(np.full((400, 300), 77, np.uint8))
    np.testing.assert_allclose(_PLAIN([large]).values * 255, 77, atol=1e-3)


def test_sixteen_bits_are_scaled_and_not_clipped():
    picture = Image.fromarray(np.full((4, 6), 0x80FF, np.uint16))
    assert picture.mode == "I;16"
    np.testing.assert_allclose(_PLAIN([picture]).values * 255, 0x80, atol=1e-3)


def test_what_is_transparent_shows_white_paper():
    picture = Image.new("RGBA", (6, 4), (10, 20, 30, 0))
    np.testing.assert_allclose(_PLAIN([picture]).values, 1, atol=1e-6)


def test_pictures_of_unusual_depth_or_channels_are_refused_with_their_row():
    with pytest.raises(ValueError, match="row 0: expected 8 or 16 bits per channel, got mode 'F'"):
        _PLAIN([Image.new("F", (6, 4))])
    two = ImageTransform(shape=(4, 6, 2), mean=(0.0, 0.0), std=(1.0, 1.0))
    with pytest.raises(ValueError, match="row 1: a picture has 1 or 3 channels"):
        two([None, Image.new("L", (6, 4))])


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": (4, 0, 1)},
        {"mean": (0.0, 0.0)},
        {"mean": (float("nan"),)},
        {"std": (0.0,)},
        {"std": (1e-300,)},
        {"std": (1e308,)},
        {"shape": (50_000, 1001, 1)},
    ],
)
def test_impossible_fields_are_named(fields):
    (name,) = fields
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        ImageTransform(**({"shape": (4, 6, 1), "mean": (0.0,), "std": (1.0,)} | fields))


def test_png_and_jpeg_are_opened(tmp_path):
    picture = open_image(_saved(tmp_path / "a.png", _COLOUR))
    np.testing.assert_array_equal(np.asarray(picture), _COLOUR)
    np.testing.assert_allclose(_PLAIN_COLOUR([picture]).values[0] * 255, _COLOUR, atol=1e-3)
    assert open_image(_saved(tmp_path / "a.jpg", _COLOUR)).size == (30, 20)


@pytest.mark.parametrize("content", [b"", b"not an image at all", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image_is_refused_by_name(tmp_path, content):
    path = tmp_path / "words.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"words\.png: expected a PNG, JPEG or WebP image"):
        open_image(path)


def test_another_format_is_refused_even_under_the_name_of_a_png(tmp_path):
    Image.fromarray(_COLOUR).save(tmp_path / "a.png", format="GIF")
    with pytest.raises(ValueError, match="got a file of another kind"):
        open_image(tmp_path / "a.png")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.png: expected a PNG, JPEG or WebP image"):
        open_image(tmp_path / "none.png")


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), suffix=st.sampled_from([".png", ".jpg"]))
def test_an_image_cut_short_anywhere_is_refused(tmp_path_factory, share, suffix):
    path = _saved(tmp_path_factory.mktemp("cut") / f"a{suffix}", _COLOUR)
    content = path.read_bytes()
    # The last four bytes of a PNG are the checksum of an empty chunk: nobody misses them.
    path.write_bytes(content[: int(share * (len(content) - 4))])
    with pytest.raises(ValueError, match=rf"a\{suffix}: expected a PNG, JPEG or WebP image"):
        open_image(path)


def test_a_png_without_its_last_bytes_is_refused(tmp_path):
    path = _saved(tmp_path / "a.png", _COLOUR)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(ValueError, match="got a damaged one"):
        open_image(path)


def _png_of(width, height):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [40_000, 10_000, 7_100])
def test_a_huge_image_is_refused_by_its_header(tmp_path, side):
    assert side**2 > PIXEL_LIMIT
    path = tmp_path / "bomb.png"
    path.write_bytes(_png_of(side, side))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bomb\.png: .* pixels, got (7100 x|10000 x|Image size)"):
        open_image(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_jpeg_that_goes_over_its_pixels_for_ever_is_refused(tmp_path):
    path = _saved(tmp_path / "a.jpg", _COLOUR)
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"\xff\xda" * SCAN_LIMIT + content[-2:])
    with pytest.raises(ValueError, match=r"a\.jpg: .* got more than 100 scans over the pixels"):
        open_image(path)


def test_a_picture_whose_turn_cannot_be_read_is_left_as_it_is():
    picture = Image.fromarray(_COLOUR)
    picture.info["exif"] = b"Exif\0\0II*\0\xff\xff\xff\xff"
    assert upright(picture).size == picture.size
