"""Pictures, faces and DICOM files."""

import io

import matplotlib.cbook
import numpy as np
import pydicom
import pytest
from PIL import Image, ImageOps

from mmjax.errors import UserError
from mmjax.privacy import dicom, faces, pictures
from mmjax.privacy.pseudonyms import Pseudonyms
from tests.data.media.dicoms import dicom as made

KEYED = Pseudonyms(b"a key")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_keeps_its_pixels_upright_and_nothing_else(kind):
    image = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    exif = image.getexif()
    exif[0x0112], exif[0x010E] = 6, "SECRET"  # turned, described
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.0)})
    file = io.BytesIO()
    image.save(file, kind, exif=exif, icc_profile=b"SECRET", lossless=True)
    assert b"SECRET" in file.getvalue()
    content, suffix, _ = pictures.bare(file.getvalue(), "a", None)
    clean = Image.open(io.BytesIO(content))
    assert b"SECRET" not in content and not clean.getexif() and "icc_profile" not in clean.info
    assert suffix == (".jpg" if kind == "JPEG" else ".png")
    if suffix == ".png":
        upright = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        assert np.array_equal(np.asarray(clean.convert("RGB")), np.asarray(upright))


def test_several_frames_are_refused():
    frames = [Image.new("L", (4, 4), level) for level in (0, 255)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match="one frame"):
        pictures.bare(file.getvalue(), "a", None)


def test_a_face_is_found_and_then_no_longer():
    path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    found_by = faces.detector("require")
    content, _, count = pictures.bare(str(path), "a", found_by)
    assert count == 1
    before, after = Image.open(path), Image.open(io.BytesIO(content))
    assert pictures.bare(content, "a", found_by)[2] == 0
    changed = np.abs(np.asarray(before, float) - np.asarray(after, float)).mean(axis=2) > 30
    assert 0.02 < changed.mean() < 0.3  # the face, and not the rest
    assert faces.detector("off") is None


def nested(name):
    item = pydicom.Dataset()
    item.PatientName, item.ReferencedSOPInstanceUID = name, "1.2.3.5"
    item.ReferencedSOPClassUID = pydicom.uid.CTImageStorage
    return [item]


@pytest.mark.parametrize("compressed", [False, True])
def test_dicom_keeps_its_pixels_and_nothing_of_the_patient(compressed):
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    content = made(
        pixels,
        compressed=compressed,
        PatientName="SECRET^Ann",
        PatientID="SECRET1",
        PatientAge="042Y",
        StudyDate="19991231",
        InstitutionName="SECRET HOSPITAL",
        StudyInstanceUID="1.2.3.4",
        SeriesInstanceUID="1.2.3.4",
        ReferencedImageSequence=nested("SECRET"),
        AnatomicRegionSequence=nested("SECRET"),
    )
    data = pydicom.dcmread(io.BytesIO(content))
    data.preamble = b"SECRET".ljust(128, b"\0")
    data.private_block(0x0099, "SECRET", create=True).add_new(1, "LO", "SECRET")
    data.add_new(0x60000022, "LO", "SECRET")  # an overlay's description
    data.add_new(0x00101234, "LO", "SECRET")  # not in the dictionary
    data.file_meta.SourceApplicationEntityTitle = "SECRET"
    file = io.BytesIO()
    data.save_as(file)
    content, _ = dicom.deidentified(file.getvalue(), "a", KEYED)
    for private in (b"SECRET", b"19991231", b"042Y", b"1.2.3."):
        assert private not in content
    clean = pydicom.dcmread(io.BytesIO(content))
    assert np.array_equal(clean.pixel_array, pixels)
    assert clean.StudyInstanceUID == clean.SeriesInstanceUID == KEYED.uid("1.2.3.4")
    assert clean.SOPInstanceUID == clean.file_meta.MediaStorageSOPInstanceUID
    (reference,) = clean.ReferencedImageSequence
    assert reference.ReferencedSOPInstanceUID == KEYED.uid("1.2.3.5")
    assert reference.ReferencedSOPClassUID == pydicom.uid.CTImageStorage
    assert clean.PatientID == KEYED("PatientID", "SECRET1")
    assert clean.DeidentificationMethodCodeSequence[0].CodeValue == "113100"


def test_dicom_with_text_in_its_pixels_is_refused():
    content = made(np.ones((8, 8), np.uint8), BurnedInAnnotation="YES")
    with pytest.raises(UserError, match="burned"):
        dicom.deidentified(content, "a", KEYED)
    content = made(np.ones((8, 8), np.uint8), BurnedInAnnotation="NO")
    assert dicom.deidentified(content, "a", KEYED)[1]
