"""Who may import whom, and what the package may not hold."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mmjax"
LEVELS = [
    {"types", "errors"},
    {"io"},
    {"layers", "metrics", "statistics"},
    {"encoders", "fusion", "imputation", "heads", "objectives", "balance", "optim", "data"},
    {"models"},
    {"config"},
    {"devices"},
    {"runs"},
    {"weights"},
    {"train/step"},
    {"evaluation"},
    {"train/loop"},
    {"reports", "assemble", "search", "export", "privacy"},
    {"active"},  # shows examples as reports do
    {"cli", "testing"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def part(module):
    """The room of a module, such as `fusion`, `types` or `train/loop`."""
    first, *rest = module.split(".")[1:]
    return f"train/{rest[0]}" if first == "train" and rest else first


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (
                [node.module] if node.module != "mmjax" else [f"mmjax.{a.name}" for a in node.names]
            )
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    here = part(".".join(("mmjax", *path.relative_to(PACKAGE).with_suffix("").parts)))
    if here == "__init__" or here.endswith("/__init__"):
        return
    for name in imports(path):
        if name.split(".")[0] == "mmjax":
            there = part(name)
            assert there == here or LEVEL[there] < LEVEL[here], f"{here} imports {there}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_package_raises_errors_and_never_asserts(path):
    tree = ast.parse(path.read_text())
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    assert len(path.read_text().splitlines()) <= 250
    assert ast.get_docstring(tree)


def holding(*words):
    """The files that hold one of these texts, none of which stands in the middle of a word."""
    pattern = re.compile("|".join(rf"(?<![\w.]){re.escape(word)}" for word in words))
    return {p.relative_to(PACKAGE).as_posix() for p in FILES if pattern.search(p.read_text())}


def test_only_parallel_knows_devices():
    names = ("pmap(", "shard_map(", "Mesh(", "local_devices(", "devices(")
    knowing = holding(*(f"jax.{name}" for name in names), *names[:-1])
    assert knowing == {"devices/parallel.py", "runs/folder.py"}  # the latter writes down their kind


def test_what_others_need_of_a_model_is_in_its_base_class():
    asking = holding("getattr(model", "getattr(experiment.model", "getattr(self.model")
    assert not {path for path in asking if not path.startswith("models/")}


def test_no_folder_is_crowded():
    """But those of families, in which every file is one member."""
    crowds = Counter(path.parent.relative_to(PACKAGE).as_posix() for path in FILES)
    crowded = {folder for folder, files in crowds.items() if files > 24}
    assert crowded <= {"encoders", "fusion", "data/datasets"}


def test_every_convolution_is_fast_in_a_loop():
    """linen's is a hundred times slower there on CPUs; that of layers/convolution is not."""
    words = ("nn.Conv", "conv_general_dilated(", "jax.lax.conv")
    used = {path.name for path in FILES if any(word in path.read_text() for word in words)}
    assert used == {"convolution.py"}


def test_importing_the_package_loads_neither_tensorflow_nor_torch():
    code = (
        "import sys, mmjax\n"
        "for name in mmjax.__all__: getattr(mmjax, name)\n"
        "assert 'jax' in sys.modules\n"
        "sys.exit(bool({'tensorflow', 'torch'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_top_level_is_what_it_is_said_to_be():
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if files.returncode:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in files.stdout.split()}
    visible = {name for name in top if not name.startswith(".")}
    assert visible <= {"LICENSE", "README.md", "experiments", "mmjax", "pyproject.toml", "tests"}
