"""The files that start a training on many machines: their syntax, their flags, what must agree."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from mmjax.config.command_line import parse
from tests.test_experiments import load

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "experiments" / "launch"
FILES = sorted(FOLDER.iterdir())


def commands(path):
    """The arguments of every `python experiments/...` in a file, as a shell would split them."""
    text = path.read_text().replace("\\\n", " ")
    if path.suffix == ".yaml":
        (text,) = _job()["template"]["spec"]["containers"][0]["args"]
    text = re.sub(r"\$\{?\w+\}?", "3", text)  # as the shell would, whatever the variables are
    return [shlex.split(found) for found in re.findall(r"python (experiments/[^'\n]*)", text)]


def _job():
    (job,) = yaml.safe_load((FOLDER / "jobset.yaml").read_text())["spec"]["replicatedJobs"]
    return job["template"]["spec"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_flag_exists_and_stands_for_a_possible_training(path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    found = commands(path)
    assert found
    for script, *arguments in found:
        command = parse(load(ROOT / script).experiment, Path("nowhere"), arguments, "")
        assert command.run != Path("nowhere")
        if path.suffix != ".md":
            (point,) = command.points
            assert command.processes.distributed and point.experiment.batch_size % 32 == 0


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sh")), ids=lambda path: path.name)
def test_the_shell_understands_it(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text()
    assert text.startswith("#!/bin/bash\n") and f"experiments/launch/{path.name}" in text


def test_slurm_starts_a_process_for_each_gpu_and_lets_it_save():
    text = (FOLDER / "slurm.sh").read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", text, flags=re.MULTILINE))
    assert options["ntasks-per-node"] == options["gpus-per-node"]
    assert options["signal"].startswith("TERM@")
    assert '--cpus-per-task="$SLURM_CPUS_PER_TASK"' in text[text.index("\nsrun") :]
    # Slurm reads no option after the first command.
    assert text.rindex("#SBATCH") < text.index("set -uo")


def test_the_jobset_says_everywhere_the_same():
    name = yaml.safe_load((FOLDER / "jobset.yaml").read_text())
    job = _job()
    assert name["kind"] == "JobSet" and job["completionMode"] == "Indexed"
    (replicated,) = name["spec"]["replicatedJobs"]
    (arguments,) = commands(FOLDER / "jobset.yaml")
    experiment = load(ROOT / arguments[0]).experiment
    processes = parse(experiment, Path("x"), arguments[1:], "").processes
    assert processes.num_processes == job["parallelism"] == job["completions"]
    host = f"{name['metadata']['name']}-{replicated['name']}-0-0.{name['metadata']['name']}"
    assert processes.coordinator.partition(":")[0] == host
    (container,) = job["template"]["spec"]["containers"]
    gpus = container["resources"]["limits"]["nvidia.com/gpu"]
    ids = {entry["name"]: entry["value"] for entry in container["env"]}["JAX_LOCAL_DEVICE_IDS"]
    assert ids == ",".join(map(str, range(gpus)))
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in job["template"]["spec"]["volumes"]}


def test_the_page_links_every_file():
    text = (FOLDER / "README.md").read_text()
    for path in FILES:
        assert path.name == "README.md" or f"]({path.name})" in text
