import shutil
from pathlib import Path

import pytest

from mmjax.evaluation.evaluate import evaluate


def test_it_gives_the_numbers_that_training_gave(finished):
    assert evaluate(finished[0]) == finished[1]
    assert evaluate(finished[0], "validation") != finished[1]


def test_the_data_may_lie_elsewhere(finished, digits_dir, tmp_path):
    shutil.copytree(digits_dir, tmp_path / "data")
    assert evaluate(finished[0], data_dir=str(tmp_path / "data")) == finished[1]


def test_an_unknown_split_is_refused_with_the_choices(finished):
    with pytest.raises(ValueError, match="'tests', choose from train, validation, test"):
        evaluate(finished[0], "tests")


def test_a_folder_that_the_data_set_does_not_take_is_refused(finished):
    with pytest.raises(ValueError, match=r"\['manual_dir'\]: the data set of .* takes none"):
        evaluate(finished[0], manual_dir=str(Path.cwd()))
