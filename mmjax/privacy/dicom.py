"""DICOM de-identified by the Basic Application Level Confidentiality Profile.

PS3.15 Annex E, https://dicom.nema.org/medical/dicom/current/output/chtml/part15/chapter_e.html.
The table of attributes (2026c) is that of the package dicom-anonymizer.
"""

import functools
import importlib
import io
from collections.abc import Iterable
from typing import Any

import numpy as np

from mmjax.data.media.dicom import open_dicom
from mmjax.errors import MissingPackageError, UserError
from mmjax.privacy.pseudonyms import Pseudonyms

_EDITION = "dicomfields_2026c"
# Z: without a value. D: a dummy. X: removed. U: another UID. Of two letters, such as X/Z, the one
# that leaves least: a type 2 attribute may be empty, a type 1 attribute may not.
_ACTIONS = {
    "X_TAGS": "X",
    "X_Z_TAGS": "Z",
    "Z_TAGS": "Z",
    "X_D_TAGS": "D",
    "X_Z_D_TAGS": "D",
    "Z_D_TAGS": "D",
    "D_TAGS": "D",
    "U_TAGS": "U",
    "X_Z_U_STAR_TAGS": "recurse",  # sequences of references, whose UIDs are replaced
}
_TEXTS = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT")
_DUMMIES: dict[str, Any] = {
    **dict.fromkeys(_TEXTS, "ANONYMISED"),
    **dict.fromkeys(("DS", "IS"), "0"),
    **dict.fromkeys(("FD", "FL", "SL", "SS", "UL", "US", "SV", "UV"), 0),
    **{"DA": "19000101", "DT": "19000101000000", "TM": "000000", "AS": "000Y"},
    **{"UR": "http://anonymised.invalid", "SQ": []},
    **dict.fromkeys(("OB", "OW", "OD", "OF", "OL", "OV", "UN"), b"\0\0"),
}
_PATIENT_ID = 0x00100020
_BURNED_IN = 0x00280301


def deidentified(content: bytes, name: str, pseudonyms: Pseudonyms) -> tuple[bytes, bool]:
    """The file de-identified, and whether it says itself that nothing is written in its pixels.

    UIDs and the patient's ID become keyed pseudonyms, the same in all files; private attributes,
    those that the dictionary does not know, curves and overlays are removed; pixels are unpacked,
    because a compressed picture can hold comments.

    Raises:
        MissingPackageError: pydicom or dicom-anonymizer is not installed.
        UserError: it is no picture that can be read, or says that it has text burned in.
    """
    before = open_dicom(content, name=name)
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.sequence import Sequence as Items
    from pydicom.uid import ExplicitVRLittleEndian

    data = pydicom.dcmread(io.BytesIO(content))
    burned_in = str(data.get("BurnedInAnnotation", "")).upper()
    if burned_in == "YES":
        raise UserError(f"{name}: says that text is burned into its pixels (BurnedInAnnotation)")
    try:
        if data.file_meta.TransferSyntaxUID.is_compressed:
            data.decompress(generate_instance_uid=False)
        _clean(data, _table(), pseudonyms)
    except (NotImplementedError, RuntimeError, ValueError, AttributeError, KeyError) as error:
        raise UserError(f"{name}: cannot be de-identified: {error!r:.300}") from error
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta, data.preamble = meta, b"\0" * 128
    data.PatientIdentityRemoved = "YES"
    data.LongitudinalTemporalInformationModified = "REMOVED"
    data.DeidentificationMethod = "mmjax anonymise, PS3.15 Basic Profile"
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    data.DeidentificationMethodCodeSequence = Items([code])
    file = io.BytesIO()
    pydicom.dcmwrite(file, data, enforce_file_format=True)
    if not np.array_equal(open_dicom(file.getvalue(), name=name), before):
        raise UserError(f"{name}: its pixels changed while it was de-identified")
    return file.getvalue(), burned_in == "NO"


@functools.cache
def _table() -> dict[int, str]:
    try:
        module = importlib.import_module(
            f"dicomanonymizer.dicom_anonymization_databases.{_EDITION}"
        )
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"DICOM files need an extra: pip install 'mmjax[anonymise]' ({error.name} is missing)"
        ) from None
    actions: dict[int, str] = {}
    for category, action in _ACTIONS.items():
        tags: Iterable[tuple[int, ...]] = getattr(module, category)
        actions |= {(tag[0] << 16) + tag[1]: action for tag in tags if len(tag) == 2}
    return actions


def _clean(data: Any, actions: dict[int, str], pseudonyms: Pseudonyms) -> None:
    """Clean a data set, and those in its sequences, in place."""
    from pydicom.datadict import dictionary_has_tag

    for element in list(data):
        tag, group = element.tag, element.tag.group
        repeating = group & 0xFF00 in (0x5000, 0x6000)  # curves and overlays
        if tag.is_private or repeating or not dictionary_has_tag(tag):
            del data[tag]
            continue
        action = actions.get(int(tag), "recurse")
        if action == "X":
            del data[tag]
        elif int(tag) == _PATIENT_ID and element.value:
            element.value = pseudonyms("PatientID", str(element.value))
        elif action == "Z":
            element.value = [] if element.VR == "SQ" else None
        elif action == "U" or element.VR == "UI":
            element.value = _uids(element.value, pseudonyms)
        elif action == "D":
            element.value = _DUMMIES[element.VR]
        elif element.VR == "SQ":
            for item in element.value:
                _clean(item, actions, pseudonyms)
        elif element.VR == "PN":
            element.value = None  # a name that the table does not list


def _uids(value: Any, pseudonyms: Pseudonyms) -> Any:
    """Other UIDs for those of a study, device or frame; constants of the standard stay."""
    if not value:
        return value
    if not isinstance(value, str):
        return [_uids(one, pseudonyms) for one in value]
    return value if value.startswith("1.2.840.10008.") else pseudonyms.uid(value)
