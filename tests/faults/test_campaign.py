"""A short form of each part of `campaign.py` that no other test stands for."""

import pytest

from tests.faults.controls import CONTROLS, controls
from tests.faults.damage import DAMAGES, damage
from tests.faults.disk import disks
from tests.faults.endurance import endure

pytestmark = pytest.mark.usefixtures("standard_promotion")


def test_damaged_copies_of_a_run_give_what_was_saved_or_an_error(finished):
    row = damage(finished[0], 5 * len(DAMAGES))
    assert row.right == row.tried == 25, row.remark


@pytest.mark.slow
def test_a_resumption_that_forgets_anything_is_found_out(digits_dir):
    row = controls(digits_dir, batch_norm=False)
    assert row.right == row.tried == len(CONTROLS), row.remark


@pytest.mark.slow
def test_a_disk_that_is_full_loses_nothing(digits_dir):
    (row,) = disks(1, digits_dir, kinds=("full",))
    if not row.tried:
        pytest.skip("a disk full: needs to mount a small file system (root)")
    assert row.right == 1, row.remark


@pytest.mark.slow
def test_memory_and_open_files_do_not_grow(digits_dir):
    """300 steps show a leak of a file a step; what leaks slowly is for the campaign."""
    row = endure(digits_dir, 300)
    assert int(row.remark.split("MiB, ")[1].split()[0]) < 30, row.remark
