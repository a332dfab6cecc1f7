import pytest

from mmjax.config.processes import Processes


def test_all_of_the_meeting_place_is_given_or_none_of_it():
    assert Processes(True, "host:1", 2, 0).num_processes == 2
    with pytest.raises(ValueError, match="give all three or none"):
        Processes(True, "host:1", 2)
    with pytest.raises(ValueError, match="only goes with --distributed"):
        Processes(False, "host:1", 2, 0)
    with pytest.raises(ValueError, match="--timeout: expected at least 1 second, got 0"):
        Processes(timeout=0)
