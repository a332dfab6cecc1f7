import builtins
import functools
import json
import math

import pytest

from mmjax.runs import log
from mmjax.runs.log import Log
from mmjax.runs.trackers import TensorBoard, WeightsAndBiases


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
    with Log(tmp_path, 10, start=0, trackers=[lambda: TensorBoard(tmp_path, 0)]) as found:
        found.record(record(3))
    (file,) = (tmp_path / "tensorboard").iterdir()
    content = file.read_bytes()
    assert b"train/loss" in content and b"train/match/accuracy" in content


def test_weights_and_biases_gets_every_record_and_a_resumed_run_goes_on(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    run = tmp_path / "run"
    run.mkdir()
    for start in (0, 3):
        tracker = functools.partial(WeightsAndBiases, run, "a-project", {"steps": 10})
        with Log(run, 10, start=start, trackers=[tracker]) as found:
            assert wandb.run.project == "a-project" and wandb.run.config["steps"] == 10
            found.record(record(start + 1))
            found.record(record(start + 3))
            assert wandb.run.summary["train/loss"] == 0.5
    first, second = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert first.name == second.name and b"train/match/accuracy" in first.read_bytes()
    assert {path.name for path in run.iterdir()} == {"metrics.jsonl", "wandb.json"}


@pytest.mark.parametrize(
    "package, make",
    [
        ("tensorboardX", lambda run: TensorBoard(run, 0)),
        ("wandb", lambda run: WeightsAndBiases(run, "p", {})),
    ],
)
def test_a_tracker_without_its_extra_says_what_to_install(tmp_path, monkeypatch, package, make):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == package:
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mmjax\[(tensorboard|wandb)\]'"):
        make(tmp_path)


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
    with Log(
        tmp_path, 10, start=3, silent=True, trackers=[lambda: TensorBoard(tmp_path, 3)]
    ) as found:
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
