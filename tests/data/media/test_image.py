import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmjax.data.media.chunks import scans
from mmjax.data.media.image import PIXEL_LIMIT, SCAN_LIMIT, open_image, upright

_RANDOM = np.random.default_rng(0)
_COLOUR = _RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
_GREY = Image.fromarray(_COLOUR[..., 0])


def _saved(path, image):
    Image.fromarray(image).save(path)
    return path


def _file(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


_EXACT = {"PNG": {}, "WEBP": {"lossless": True}, "BMP": {}, "TIFF": {"compression": "tiff_lzw"}}


@pytest.mark.parametrize("kind", _EXACT)
def test_exact_formats_give_their_pixels(kind):
    file = _file(Image.fromarray(_COLOUR), kind, **_EXACT[kind])
    np.testing.assert_array_equal(np.asarray(open_image(file).convert("RGB")), _COLOUR)


@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "GIF"])
def test_lossy_formats_give_nearly_their_pixels(kind):
    smooth = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    if kind == "AVIF":
        pytest.importorskip("PIL._avif")
    found = np.asarray(open_image(_file(smooth, kind)).convert("RGB"), int)
    assert found.shape == (48, 64, 3) and np.abs(found - np.asarray(smooth)).mean() < 2


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_of_several_frames_is_read(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    file = _file(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert open_image(file).convert("RGB").getpixel((3, 3)) == (255, 0, 0)


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match=r"a\.png: expected a PNG.*, got an empty file$"):
        open_image(tmp_path / "a.png")


def test_png_and_jpeg_are_opened(tmp_path):
    picture = open_image(_saved(tmp_path / "a.png", _COLOUR))
    np.testing.assert_array_equal(np.asarray(picture), _COLOUR)
    assert open_image(_saved(tmp_path / "a.jpg", _COLOUR)).size == (30, 20)


@pytest.mark.parametrize(
    "content", [b"", b"not an image at all", b"\x89PNG\r\n\x1a\n", b"II*\0", b"BM"]
)
def test_a_file_that_is_no_image_is_refused_by_name(tmp_path, content):
    path = tmp_path / "words.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"words\.png: expected a PNG, JPEG, WebP, GIF"):
        open_image(path)


def test_another_format_is_refused_even_under_the_name_of_a_png(tmp_path):
    Image.fromarray(_COLOUR).save(tmp_path / "a.png", format="PPM")
    with pytest.raises(ValueError, match="got a file of another kind"):
        open_image(tmp_path / "a.png")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.png: expected a PNG, JPEG, WebP, GIF"):
        open_image(tmp_path / "none.png")


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), suffix=st.sampled_from([".png", ".jpg"]))
def test_an_image_cut_short_anywhere_is_refused(tmp_path_factory, share, suffix):
    path = _saved(tmp_path_factory.mktemp("cut") / f"a{suffix}", _COLOUR)
    content = path.read_bytes()
    # The last four bytes of a PNG are the checksum of an empty chunk: nobody misses them.
    path.write_bytes(content[: int(share * (len(content) - 4))])
    with pytest.raises(ValueError, match=rf"a\{suffix}: expected a PNG, JPEG, WebP, GIF"):
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
    with pytest.raises(ValueError, match=rf"bomb\.png: .* \(pixel_limit\), got {side} x"):
        open_image(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_jpeg_that_goes_over_its_pixels_for_ever_is_refused(tmp_path):
    path = _saved(tmp_path / "a.jpg", _COLOUR)
    content = path.read_bytes()
    again = content[content.rindex(b"\xff\xda") : -2]
    path.write_bytes(content[:-2] + again * SCAN_LIMIT + content[-2:])
    with pytest.raises(ValueError, match=r"a\.jpg: .* got more than 100 scans over the pixels"):
        open_image(path)


def test_a_picture_whose_turn_cannot_be_read_is_left_as_it_is():
    picture = Image.fromarray(_COLOUR)
    picture.info["exif"] = b"Exif\0\0II*\0\xff\xff\xff\xff"
    assert upright(picture).size == picture.size


@pytest.mark.parametrize("progressive", [False, True])
def test_bytes_after_the_end_of_a_jpeg_are_passed_over(progressive):
    """Telephones append a film, in whose bytes the mark of a scan is frequent."""
    image = Image.fromarray(_COLOUR)
    whole = _file(image, "JPEG", progressive=progressive, comment=b"\xff\xda" * 300)
    film = _RANDOM.bytes(2**23) + b"\xff\xda" * 1000 + whole * SCAN_LIMIT
    np.testing.assert_array_equal(open_image(whole + film), open_image(whole))
    assert scans(whole + film) == scans(whole) == (10 if progressive else 1)


def test_a_jpeg_with_a_thumbnail_has_the_scans_of_the_picture_alone():
    inner = _file(_GREY, "JPEG", progressive=True)
    whole = _file(_GREY, "JPEG", exif=b"Exif\0\0" + inner, restart_marker_blocks=1)
    assert scans(whole) == 1


def _large(kind, **options):
    return _file(Image.new("L", (9600, 6400), 99), kind, **options)  # 61 million pixels


@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_photograph_is_decoded_at_a_smaller_size(progressive):
    image = open_image(_large("JPEG", progressive=progressive), size=(300, 500))
    assert image.size == (2400, 1600)
    assert np.asarray(image).min() > 95


def test_a_jpeg_is_never_drafted_below_twice_the_size():
    for width, height in [(64, 64), (100, 700), (400, 10), (801, 799)]:
        for size in [(8, 8), (50, 3), (30, 40), (2000, 10)]:
            image = open_image(_file(Image.new("L", (width, height)), "JPEG"), size=size)
            whole = (width, height)
            assert image.size == whole or min(image.size) >= 2 * max(size)


def test_the_limit_of_pixels_is_an_argument_that_errors_name():
    png, jpeg = _large("PNG"), _large("JPEG")
    for file in (png, jpeg):
        with pytest.raises(
            ValueError, match=r"at most 50,000,000 pixels \(pixel_limit\), got 9600"
        ):
            open_image(file)
        assert open_image(file, pixel_limit=70_000_000).size == (9600, 6400)
    with pytest.raises(ValueError, match=r"at most 200,000,000 .* got 9600 x 6400"):
        open_image(jpeg, size=(6000, 6000))  # whose half is too small
    with pytest.raises(ValueError, match="at most 599 pixels"):
        open_image(_file(_GREY, "PNG"), pixel_limit=599)


def test_large_texts_and_colour_profiles_of_a_png_are_left_out(tmp_path):
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("a", "x" * 2**22, zip=True)
    text.add_itxt("b", "y" * 2**22)
    file = _file(_GREY, "PNG", pnginfo=text, icc_profile=_RANDOM.bytes(2**21))
    np.testing.assert_array_equal(open_image(file), _GREY)


def test_a_png_keeps_its_palette_its_transparency_and_its_turn():
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = _GREY.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE)
    image = open_image(_file(palette, "PNG", transparency=3, exif=exif))
    assert image.size == (20, 30) and image.has_transparency_data
    np.testing.assert_array_equal(
        image.convert("RGB"), palette.convert("RGB").transpose(Image.Transpose.ROTATE_270)
    )


def test_a_png_whose_checksum_is_wrong_is_refused():
    file = bytearray(_file(_GREY, "PNG"))
    file[file.index(b"IDAT") + 5] ^= 1
    with pytest.raises(ValueError, match=r"^b\.png: .* the checksum of b'IDAT' does not agree"):
        open_image(bytes(file), name="b.png")
