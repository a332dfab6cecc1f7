import builtins
import json
import math

import pytest

from mmjax.runs import log
from mmjax.runs.log import Log


def record(step, split="train"):
    return {"step": step, "split": split, "loss": 0.5, "match/accuracy": 0.75}


def steps(run):
    return [line["step"] for line in log.read(run / log.FILE)]


def test_every_record_is_one_line_on_disk_at_once(tmp_path):
    with Log(tmp_path, 10, start=0) as found:
        found.record(record(1))
        line = json.loads((tmp_path / log.FILE).read_text())
        assert line.pop("checksum") and line == record(1)


def test_a_resumed_run_forgets_what_came_after_its_checkpoint_and_a_torn_line(tmp_path):
    with Log(tmp_path, 10, start=0) as found:
        for step in (2, 4, 6):
            found.record(record(step))
    with (tmp_path / log.FILE).open("a") as file:
        file.write('{"step": 8, "spl')
    with Log(tmp_path, 10, start=4) as found:
        found.record(record(6))
    assert steps(tmp_path) == [2, 4, 6]


def test_damage_in_the_middle_is_an_error_that_names_the_line(tmp_path):
    (tmp_path / log.FILE).write_text('{"step": 1}\nrubbish\n{"step": 2}\n')
    with pytest.raises(
        ValueError, match=r"metrics\.jsonl:2: expected a JSON object with a step, got b'rubbish'"
    ):
        log.read(tmp_path / log.FILE)


def test_without_a_terminal_records_are_plain_lines(tmp_path, capsys):
    with Log(tmp_path, 10, start=0) as found:
        found.record(record(1) | {"examples_per_second": 1234.5})
        found.advance()
    assert capsys.readouterr().err == (
        "step      1  train       loss 0.5000  match/accuracy 0.7500  1234 examples/s\n"
    )


def test_tensorboard_files_are_written_when_asked_for(tmp_path):
    pytest.importorskip("tensorboardX", reason="the extra `tensorboard` is not installed")
    with Log(tmp_path, 10, start=0, tensorboard=True) as found:
        found.record(record(3))
    (file,) = (tmp_path / "tensorboard").iterdir()
    content = file.read_bytes()
    assert b"train/loss" in content and b"train/match/accuracy" in content


def test_tensorboard_without_its_extra_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "tensorboardX":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mmjax\[tensorboard\]'"):
        Log(tmp_path, 10, start=0, tensorboard=True)


def test_on_a_terminal_a_bar_shows_loss_speed_and_the_time_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Log(tmp_path, 3, start=0) as found:
        for step in (1, 2, 3):
            found.record(record(step) | {"examples_per_second": 1234.5})
            found.advance()
        found.record(record(3, "validation"))
    shown = capsys.readouterr().err
    assert "3/3" in shown and "loss 0.5000" in shown and "1234 examples/s" in shown
    assert "step      3  validation  loss 0.5000" in shown
    assert "step      1  train" not in shown


def test_what_was_saved_goes_on_byte_for_byte_and_the_rest_is_forgotten(tmp_path):
    with Log(tmp_path, 10, start=0) as found:
        found.record(record(2))
        mark = found.mark
        found.record(record(4))
    with Log(tmp_path, 10, start=2, mark=mark) as found:
        found.record(record(5))
    assert steps(tmp_path) == [2, 5]


def test_a_log_that_somebody_changed_is_kept_aside_and_what_can_be_read_goes_on(tmp_path, capsys):
    with Log(tmp_path, 10, start=0) as found:
        for step in (2, 4, 6):
            found.record(record(step))
        mark = found.mark
    path = tmp_path / log.FILE
    damaged = path.read_bytes().replace(b'"step": 4', b'"step": 5')
    path.write_bytes(damaged)
    with Log(tmp_path, 10, start=6, mark=mark):
        pass
    assert steps(tmp_path) == [2, 6]
    assert (tmp_path / "metrics.damaged").read_bytes() == damaged
    assert "is not what this run wrote up to step 6" in capsys.readouterr().err


def test_a_number_that_is_not_defined_is_null_on_disk_and_nan_in_memory(tmp_path):
    with Log(tmp_path, 10, start=0) as found:
        found.record(record(1) | {"loss": math.inf, "match/auroc": math.nan})
    assert "NaN" not in (tmp_path / log.FILE).read_text()
    (line,) = log.read(tmp_path / log.FILE)
    assert math.isnan(line["loss"]) and math.isnan(line["match/auroc"])


def test_a_process_that_is_not_the_first_writes_nothing(tmp_path, capsys):
    with Log(tmp_path, 10, start=3, silent=True, tensorboard=True) as found:
        found.record(record(4))
    assert not list(tmp_path.iterdir()) and capsys.readouterr().err == ""


def test_a_changed_digit_in_a_line_is_damage(tmp_path):
    with Log(tmp_path, 10, start=0) as found:
        found.record(record(1))
        found.record(record(2))
    path = tmp_path / log.FILE
    path.write_text(path.read_text().replace("0.75", "0.76", 1))
    with pytest.raises(ValueError, match=r"metrics\.jsonl:1: expected a JSON object with a step"):
        log.read(path)
