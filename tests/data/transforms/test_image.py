import io
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from mmjax.data.media.image import open_image
from mmjax.data.transforms.image import ImageFit, ImageTransform

_RANDOM = np.random.default_rng(0)
_PLAIN = ImageTransform(shape=(4, 6, 1), mean=(0.0,), std=(1.0,))


def _file(pixels, kind="PNG", **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


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
    ("images", "message"),
    [
        (np.zeros((0, 2, 2, 1), np.uint8), "images: expected one image at least, got none"),
        ([None], "images: expected one image at least, got none"),
        (np.zeros((2, 2), np.uint8), r"image 0: expected an array \[h, w, c\], got \(2,\)"),
        (np.zeros((2, 2, 2, 1), int), "image 0: expected uint8, uint16 or floats in 0..1"),
        ([None, np.zeros((2, 2, 1)), np.zeros((2, 3, 1))], r"image 2: expected an array \(2, 2"),
    ],
)
def test_fit_refuses_what_is_no_image(images, message):
    with pytest.raises(ValueError, match=message):
        ImageTransform.fit(images)


def test_a_fit_in_one_pass_is_that_of_the_whole_array():
    images = _RANDOM.integers(0, 256, (50, 3, 5, 3), dtype=np.uint8)
    fitting = ImageFit((3, 5, 3))
    for row in [None, *images, None]:
        fitting.add(row)
    assert fitting.result() == ImageTransform.fit(images)


@pytest.mark.parametrize("bits", [9, 12, 16])
def test_twelve_bits_in_sixteen_use_the_whole_range(bits):
    images = _RANDOM.integers(0, 2**bits, (40, 6, 6, 1), dtype=np.uint16)
    images[3, 2, 1] = 2**bits - 1
    transform = ImageTransform.fit(images)
    assert transform.levels == 2**bits - 1
    values = transform(images).values
    np.testing.assert_allclose([values.mean(), values.std()], [0, 1], atol=1e-5)
    assert len(np.unique(values)) == len(np.unique(images))


def test_a_black_16_bit_picture_leaves_the_range_whole():
    assert ImageTransform.fit(np.zeros((1, 2, 2, 1), np.uint16)).levels == 65_535


def test_8_and_16_bits_and_floats_are_fitted_on_one_scale():
    images = [np.full((2, 2, 1), value, kind) for value, kind in [(255, "u1"), (4000, "u2")]]
    images += [np.full((2, 2, 1), 0.0, np.float32)]
    transform = ImageTransform.fit(images)
    assert transform.levels == 4000
    np.testing.assert_allclose(transform.mean, 2 / 3)
    np.testing.assert_allclose(transform(images).values.std(), 1, rtol=1e-6)


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
    np.testing.assert_allclose(transform(images * np.uint16(257)).values, whole, atol=1e-6)
    np.testing.assert_array_equal(transform(jnp.asarray(images)).values, whole)
    np.testing.assert_array_equal(transform([jnp.asarray(row) for row in images]).values, whole)


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
    with pytest.raises(
        ValueError, match=r"row 0: expected uint8, uint16 or floats in 0..1, got int6"
    ):
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
    np.testing.assert_allclose(_PLAIN([picture]).values, 0x80FF / 0xFFFF, rtol=1e-6)


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
        {"levels": 0.0},
        {"levels": float("nan")},
    ],
)
def test_impossible_fields_are_named(fields):
    (name,) = fields
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        ImageTransform(**({"shape": (4, 6, 1), "mean": (0.0,), "std": (1.0,)} | fields))


_SCENE = _RANDOM.integers(0, 256, (4, 6), dtype=np.uint8)


@pytest.mark.parametrize(
    "cell",
    [
        "a.png",
        _file(_SCENE),
        bytearray(_file(_SCENE, "TIFF")),
        {"bytes": _file(_SCENE), "path": "unknown.png"},
        {"bytes": None, "path": "a.png"},
        {"path": "a.png"},
        _SCENE,
        _SCENE[..., None],
        np.repeat(_SCENE[..., None], 3, axis=2),
        jnp.asarray(_SCENE),
    ],
)
def test_a_cell_is_a_path_bytes_or_an_array(tmp_path, cell):
    (tmp_path / "a.png").write_bytes(_file(_SCENE))
    np.testing.assert_array_equal(_PLAIN.read(cell, tmp_path), _SCENE[..., None])


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (3, "expected a path, the bytes of a file, {bytes, path} or an array, got int"),
        ({"data": b"x"}, "or an array, got {data}"),
        ({"bytes": "x", "path": "y"}, "or an array, got {bytes, path}"),
        ({"bytes": b"x", "path": "y.png"}, "^y.png: expected a PNG"),
        (b"x", "^the picture: expected a PNG"),
        (np.zeros((2, 2), int), r"expected pixels uint8 or uint16, .*, got int64 \(2, 2\)"),
        (np.zeros(4, np.uint8), r"got uint8 \(4,\)"),
        (np.zeros((0, 4), np.uint8), r"got uint8 \(0, 4\)"),
        (np.zeros((2, 2, 5), np.uint8), "expected pixels of 1 channels, got 5"),
    ],
)
def test_a_cell_that_is_no_picture_is_refused(tmp_path, cell, message):
    with pytest.raises(ValueError, match=message):
        _PLAIN.read(cell, tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_of_a_file_are_all_kept(kind):
    pixels = _RANDOM.integers(0, 4096, (4, 6), dtype=np.uint16)
    row = _PLAIN.read(_file(pixels, kind), Path())
    assert row.dtype == np.uint16
    np.testing.assert_array_equal(row, pixels[..., None])


def test_16_bits_are_resized_as_8_are():
    small = _RANDOM.integers(0, 256, (40, 36), dtype=np.uint8)
    found = _PLAIN.read(small * np.uint16(257), Path())
    np.testing.assert_allclose(found / 257, _PLAIN.read(small, Path()), atol=0.6)
    colour = ImageTransform(shape=(4, 6, 3), mean=(0.0,) * 3, std=(1.0,) * 3)
    assert (colour.read(small * np.uint16(257), Path()) == found).all()


def test_an_array_is_converted_as_its_file_is():
    pixels = _RANDOM.integers(0, 256, (40, 36, 4), dtype=np.uint8)
    for channels in (1, 3):
        transform = ImageTransform((4, 6, channels), (0.0,) * channels, (1.0,) * channels)
        for count in (3, 4) if channels == 3 else (1, 2, 3):
            part = pixels[..., :count]
            file = _file(part[..., 0] if count == 1 else part)
            found, expected = (transform.read(cell, Path()) for cell in (part, file))
            np.testing.assert_allclose(found.astype(int), expected, atol=1)


def test_any_number_of_channels_is_kept_where_the_model_has_it():
    pixels = _RANDOM.integers(0, 2**16, (40, 36, 5), dtype=np.uint16)
    five = ImageTransform(shape=(4, 6, 5), mean=(0.0,) * 5, std=(1.0,) * 5)
    found = five.read(pixels, Path())
    for i in range(5):
        np.testing.assert_array_equal(found[..., i : i + 1], _PLAIN.read(pixels[..., i], Path()))


def test_a_drafted_photograph_is_nearly_that_which_is_decoded_whole():
    slow = Image.fromarray(_RANDOM.integers(0, 256, (6, 9, 3), dtype=np.uint8)).resize((900, 600))
    colour = ImageTransform(shape=(32, 48, 3), mean=(0.0,) * 3, std=(1.0,) * 3)
    file = _file(slow, "JPEG", quality=95)
    drafted = colour.read(file, Path()).astype(int)
    whole = colour([open_image(file)]).values[0] * 255
    assert np.abs(drafted - whole).mean() < 2
