"""`mmjax prepare`: the data of an experiment, on disk before anything is trained."""

import subprocess
import sys

from tests.cli.command import mmjax, process
from tests.data.tables.made import splits, write

SCRIPT = """
import mmjax

experiment = mmjax.Experiment(
    model=mmjax.Multimodal(
        encoders={"text": mmjax.encoders.Lstm(dim=8)},
        fusion=mmjax.fusion.Concat(),
        heads={"match": mmjax.heads.Logit((8,))},
    ),
    objectives={"match": mmjax.objectives.BinaryCrossEntropy(output="match", target="match")},
    data=mmjax.data.TableData(split="split"),
    optim=mmjax.optim.Adam(),
    steps=2,
    batch_size=8,
)
if __name__ == "__main__":
    mmjax.main(experiment)
"""


def test_a_table_is_prepared_once_and_trained_on(tmp_path):
    rows = [{"text": f"a {i}", "match": i % 2, "split": s} for i, s in enumerate(splits(40))]
    write(tmp_path / "rows.csv", rows)
    (tmp_path / "exp.py").write_text(SCRIPT)
    flags = ("--data.prepared", "out")
    done = process("prepare", "exp.py", "--", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "writing the rows to out/mmjax_table/" in done.stderr
    assert "rows: 24 train, 8 validation, 8 test" in done.stdout
    command = [sys.executable, "exp.py", "--workdir", "run", *flags]
    trained = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert trained.returncode == 0, trained.stderr
    assert "writing the rows" not in trained.stderr
    assert len(list((tmp_path / "out" / "mmjax_table").iterdir())) == 1


def test_errors_are_a_line(tmp_path):
    (tmp_path / "none.py").write_text("x = 1\n")
    assert "none.py: expected an mmjax.Experiment called" in mmjax(
        "prepare", "none.py", cwd=tmp_path, code=1
    )
    (tmp_path / "exp.py").write_text(SCRIPT)
    assert "rows.csv: expected a table" in mmjax("prepare", "exp.py", cwd=tmp_path, code=1)
