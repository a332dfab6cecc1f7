"""Every reader of a foreign file, a second of mutations each; `fuzz.py` goes on for longer."""

import pytest

from tests.faults import fuzz
from tests.faults.kinds import KINDS, Kind


@pytest.mark.parametrize("target", fuzz.targets())
def test_mutations_are_values_or_errors(target, tmp_path):
    assert fuzz.blind(target, tmp_path, seconds=0.7, seed=7) > 0


def test_what_crashes_a_reader_is_kept(tmp_path, monkeypatch):
    def read(path):
        raise KeyError("no error for users")

    monkeypatch.setitem(KINDS, "wav", Kind("a.wav", KINDS["wav"].good, read))
    with pytest.raises(KeyError):
        fuzz.blind("wav", tmp_path, seconds=9)
    assert (tmp_path / "wav-crash-0-0").exists()


def test_a_reader_that_takes_for_ever_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "SECONDS", 0.0)
    with pytest.raises(TimeoutError, match="wav: "):
        fuzz.read("wav", b"", tmp_path)
