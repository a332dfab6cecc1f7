"""The digits, really built once for all tests, and where the real files are."""

from pathlib import Path

import pytest

from mmjax.data.datasets import DigitsMatch

_REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> DigitsMatch:
    data = DigitsMatch(data_dir=str(tmp_path_factory.mktemp("prepared")))
    data.prepare()
    return data


@pytest.fixture(scope="session")
def real_files() -> Path:
    if not _REAL.is_dir():
        pytest.skip(f"no real data: {_REAL} does not exist")
    return _REAL
