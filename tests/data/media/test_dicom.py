import io
import sys
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from mmjax.data.media.dicom import is_dicom, open_dicom, open_slices
from mmjax.data.transforms.image import ImageFit, ImageTransform
from tests.data.media.dicoms import dicom

_RANDOM = np.random.default_rng(0)
_TWELVE = _RANDOM.integers(0, 4096, (6, 8), dtype=np.uint16)
_CT = _RANDOM.integers(-1000, 2000, (6, 8), dtype=np.int16)


def test_all_levels_are_kept_without_a_window(tmp_path):
    file = dicom(_TWELVE, bits=12)
    found = open_dicom(file)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, _TWELVE[..., None])
    np.testing.assert_array_equal(open_dicom(dicom(_TWELVE, bits=12, compressed=True)), found)
    (tmp_path / "a").write_bytes(file)
    np.testing.assert_array_equal(open_dicom(tmp_path / "a"), found)
    assert is_dicom(tmp_path / "a") and is_dicom(file)
    assert not (is_dicom(b"DICM") or is_dicom(tmp_path / "b") or is_dicom(tmp_path))


def test_signed_levels_begin_at_the_lowest_that_the_bits_can_hold():
    found = open_dicom(dicom(_CT, bits=12, RescaleSlope=1, RescaleIntercept=-24))
    np.testing.assert_array_equal(found[..., 0], _CT.clip(-2048, 2047).astype(int) + 2048)
    found = open_dicom(dicom(_CT, RescaleSlope=1, RescaleIntercept=0))
    np.testing.assert_array_equal(found[..., 0], _CT.astype(int) + 32768)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_few_bits_are_stretched_to_eight(bits):
    pixels = _RANDOM.integers(0, 2**bits, (6, 8), dtype=np.uint8)
    found = open_dicom(dicom(pixels, bits=bits))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[..., 0], pixels * (255 // (2**bits - 1)))


def test_black_and_white_are_as_they_are_to_be_seen():
    one = {"PhotometricInterpretation": "MONOCHROME1"}
    found = open_dicom(dicom(_TWELVE, bits=12, **one))
    np.testing.assert_array_equal(found[..., 0], 4095 - _TWELVE)
    window = {"WindowCenter": 1000, "WindowWidth": 500}
    plain, turned = (open_dicom(dicom(_TWELVE, bits=12, **e)) for e in (window, window | one))
    np.testing.assert_array_equal(turned, 65_535 - plain)
    negative = open_dicom(dicom(_TWELVE, bits=12, RescaleSlope=-2, RescaleIntercept=9))
    np.testing.assert_array_equal(negative[..., 0], 4095 - _TWELVE)


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_is_that_of_pydicom(function):
    """Its range is that of the stored levels, ours 0..65,535."""
    elements = {"RescaleSlope": 2, "RescaleIntercept": -1024}
    elements |= {"WindowCenter": [40, 99], "WindowWidth": [400, 9]}
    if function:
        elements["VOILUTFunction"] = function
    file = dicom(_TWELVE, bits=12, **elements)
    data = pydicom.dcmread(io.BytesIO(file))
    values = pydicom.pixels.apply_modality_lut(data.pixel_array, data)
    expected = pydicom.pixels.apply_windowing(values, data)
    low, high = -1024, 4095 * 2 - 1024
    found = open_dicom(file)[..., 0] / 65_535
    np.testing.assert_allclose(found, (expected - low) / (high - low), atol=2e-5)
    assert ((found > 0) & (found < 1)).sum() > 0


def test_the_window_may_be_chosen_and_makes_files_comparable():
    rescaled = {"RescaleSlope": 1, "RescaleIntercept": -1000}
    window = {"WindowCenter": 9, "WindowWidth": 9}
    first = dicom((_CT + 1000).astype(np.uint16), **rescaled, **window)
    second = dicom(_CT, WindowCenter=-300, WindowWidth=50)
    found = [open_dicom(file, window=(40.0, 400.0)) for file in (first, second)]
    np.testing.assert_array_equal(*found)
    share = (_CT - 39.5) / 399 + 0.5
    np.testing.assert_allclose(found[0][..., 0] / 65_535, share.clip(0, 1), atol=1e-5)
    np.testing.assert_array_equal(open_dicom(second, window=None)[..., 0], _CT.astype(int) + 32768)
    with pytest.raises(ValueError, match=r"the window 1.0, 0.0, whose width is not above 0"):
        open_dicom(second, window=(1.0, 0.0))


def test_a_table_of_levels_is_looked_up():
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.add_new("LUTData", "OW", (np.arange(4096) * 7 % 65_536).astype("<u2").tobytes())
    file = dicom(_TWELVE, bits=12, VOILUTSequence=[table])
    np.testing.assert_array_equal(open_dicom(file)[..., 0], _TWELVE.astype(int) * 7 % 65_536)


def test_colours_become_rgb():
    colour = _RANDOM.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(open_dicom(dicom(colour)), colour)
    ycbcr = np.array(Image.fromarray(colour).convert("YCbCr"))
    file = dicom(ycbcr, PhotometricInterpretation="YBR_FULL")
    assert np.abs(open_dicom(file).astype(int) - colour).mean() < 2


def test_a_palette_becomes_rgb():
    pixels = _RANDOM.integers(0, 4, (6, 8), dtype=np.uint8)
    tables = {}
    for i, name in enumerate(["Red", "Green", "Blue"]):
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, 16]
        table = (np.arange(4) * 1000 + i).astype("<u2").tobytes()
        tables[f"{name}PaletteColorLookupTableData"] = table
    found = open_dicom(dicom(pixels, PhotometricInterpretation="PALETTE COLOR", **tables))
    np.testing.assert_array_equal(found, pixels[..., None] * np.uint16(1000) + [0, 1, 2])


def test_a_jpeg_inside_is_decoded():
    colour = np.array(Image.linear_gradient("L").resize((32, 16)).convert("RGB"))
    jpeg = io.BytesIO()
    Image.fromarray(colour).save(jpeg, "JPEG", quality=95)
    data = pydicom.dcmread(io.BytesIO(dicom(colour)))
    data.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    data.PhotometricInterpretation = "YBR_FULL_422"
    data.PixelData = encapsulate([jpeg.getvalue()])
    data["PixelData"].is_undefined_length = True
    file = io.BytesIO()
    data.save_as(file)
    assert np.abs(open_dicom(file.getvalue()).astype(int) - colour).mean() < 2


def _changed(name, value, syntax=None):
    data = pydicom.dcmread(io.BytesIO(dicom(_TWELVE, bits=12)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
        if syntax:
            data.file_meta.TransferSyntaxUID = syntax
            data["PixelData"].is_undefined_length = True
        file = io.BytesIO()
        data.save_as(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got a damaged one"),
        (bytes(128) + b"DICM", "got a damaged one"),
        (dicom(_TWELVE)[:-9], "pixels that pydicom cannot decode"),
        (_changed("NumberOfFrames", 3), "got 3 frames; save each as a file of its own"),
        (_changed("Rows", 60_000), "pixels that pydicom cannot decode"),
        (_changed("Columns", 0), "got 0 x 6 pixels"),
        (_changed("PixelData", None), "a file without integer pixels, such as a report"),
        (_changed("Rows", None), "got a damaged one"),
        (
            _changed("PixelData", encapsulate([b"12345678"]), pydicom.uid.JPEGLSLossless),
            r"cannot decode \(JPEG-LS Lossless",
        ),
    ],
)
def test_what_is_no_picture_is_named(content, message):
    with pytest.raises(ValueError, match=rf"^b: expected a DICOM picture .*({message})"):
        open_dicom(content, name="b")


def test_a_deflated_file_is_not_unpacked():
    data = pydicom.dcmread(io.BytesIO(dicom(np.zeros((2000, 2000), np.uint8))))
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    file = io.BytesIO()
    data.save_as(file)
    with pytest.raises(ValueError, match="deflated one, which could unpack to any size"):
        open_dicom(file.getvalue())


def test_the_limit_of_pixels_is_an_argument_that_errors_name():
    with pytest.raises(ValueError, match=r"at most 47 pixels \(pixel_limit\), got 8 x 6 pixels"):
        open_dicom(dicom(_TWELVE), pixel_limit=47)
    assert open_dicom(dicom(_TWELVE), pixel_limit=48).shape == (6, 8, 1)


def test_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImportError, match=r"^b: .* pip install 'mmjax\[medical\]'"):
        open_dicom(dicom(_TWELVE), name="b")


def test_a_column_of_pictures_may_hold_dicom_files(tmp_path):
    (tmp_path / "a.dcm").write_bytes(dicom(_TWELVE, bits=12))
    plain = ImageTransform(shape=(6, 8, 3), mean=(0.0,) * 3, std=(1.0,) * 3)
    row = plain.read("a.dcm", tmp_path)
    np.testing.assert_array_equal(row, np.repeat(_TWELVE[..., None], 3, axis=2))
    fitting = ImageFit((6, 8, 3))
    fitting.add(row)
    assert fitting.result().levels == _TWELVE.max()
    colour = dicom(_RANDOM.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    grey = ImageTransform(shape=(3, 4, 1), mean=(0.0,), std=(1.0,))
    assert grey.read({"bytes": colour, "path": "b"}, Path()).shape == (3, 4, 1)


def _volume(folder, places, numbers, **elements):
    for i, (place, number) in enumerate(zip(places, numbers, strict=True)):
        more = {"InstanceNumber": number} if number is not None else {}
        if place is not None:
            more["ImagePositionPatient"] = [5, place, 7]
            more["ImageOrientationPatient"] = [1, 0, 0, 0, 0, -1]  # coronal: the normal is y
        (folder / f"{i}.dcm").write_bytes(dicom(np.full((2, 3), i, np.uint16), **more, **elements))


@pytest.mark.parametrize(
    ("places", "numbers", "expected"),
    [
        ([3.5, -2, 10], [1, 2, 3], [1, 0, 2]),
        ([None] * 3, [30, 4, 100], [1, 0, 2]),
        ([1, None, 3], [3, 2, 1], [2, 1, 0]),
        ([None] * 3, [None] * 3, [0, 1, 2]),
    ],
)
def test_slices_are_in_the_order_of_their_places(tmp_path, places, numbers, expected):
    _volume(tmp_path, places, numbers)
    (tmp_path / "notes.txt").write_text("no slice")
    volume = open_slices(tmp_path)
    assert volume.shape == (3, 2, 3) and volume.dtype == np.uint16
    assert volume[:, 0, 0].tolist() == expected


def test_slices_that_do_not_belong_together_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected DICOM files, got none"):
        open_slices(tmp_path)
    _volume(tmp_path, [1, 2], [1, 2], RescaleSlope=1, RescaleIntercept=0)
    more = {"RescaleSlope": 2, "RescaleIntercept": 0}
    (tmp_path / "2.dcm").write_bytes(dicom(np.zeros((2, 3), np.uint16), **more))
    with pytest.raises(ValueError, match="slices are rescaled differently; give a window"):
        open_slices(tmp_path)
    assert open_slices(tmp_path, window=(0.0, 10.0)).shape == (3, 2, 3)
    (tmp_path / "2.dcm").write_bytes(dicom(np.zeros((3, 2), np.uint16)))
    with pytest.raises(ValueError, match=r"2\.dcm: expected slices of one shape, \(2, 3\) as of 0"):
        open_slices(tmp_path)
