"""The house's rules that a reader relies on: import directions, light imports, small files."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("vgan", "evaluation", "analysis", "webapp")


def imported_packages(path: Path) -> set[str]:
    """Return every module name that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def files_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("layer", ["evaluation", "analysis", "webapp"])
def test_a_study_takes_only_the_manifest_from_vgan(layer):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files_of(layer)
        for name in imported_packages(path)
        if name.split(".")[0] == "vgan" and not f"{name}.".startswith("vgan.data.manifest.")
    ]

    assert wrong == []


def test_only_its_door_and_what_freezes_it_read_the_json_of_a_study():
    by_key = re.compile(r"\.(design|settings)(\[|\.get\()")

    readers = {
        str(path.relative_to(ROOT))
        for layer in ("evaluation", "analysis", "webapp")
        for path in files_of(layer)
        if by_key.search(path.read_text(encoding="utf-8"))
    }

    assert readers == {"evaluation/freeze.py", "evaluation/frozen.py"}


def test_signals_are_met_alike_in_both_packages_which_may_not_share_code():
    twins = [(ROOT / package / "signals.py").read_text() for package in ("vgan", "evaluation")]

    assert twins[0] == twins[1]


def test_package_doors_that_a_study_passes_are_empty():
    assert (ROOT / "vgan" / "__init__.py").read_text() == ""
    assert (ROOT / "vgan" / "data" / "__init__.py").read_text() == ""


def test_a_study_runs_where_torch_opencv_and_scikit_learn_cannot_be_imported():
    code = """
import importlib, pkgutil, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "cv2", "sklearn"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import evaluation, analysis, webapp
for package in (evaluation, analysis, webapp):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".migrations." not in module.name:
            importlib.import_module(module.name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.returncode == 0


def test_the_server_takes_nothing_from_the_analysis_and_only_light_rules():
    taken = {
        name
        for path in files_of("webapp")
        if path.name != "dashboard_child.py"  # a process of its own
        for name in imported_packages(path)
        if name.startswith("analysis.")
    }
    imported = imported_packages(ROOT / "evaluation" / "exclusion_rules.py")

    assert taken == set()
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


@pytest.mark.parametrize("layer", LAYERS)
def test_files_stay_under_three_hundred_and_thirty_lines(layer):
    long = {
        str(path.relative_to(ROOT)): lines
        for path in files_of(layer)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 330
    }
    long.pop(
        "evaluation/schema.py", None
    )  # one table after another: cutting it would hide the whole

    assert long == {}


def test_no_file_is_a_drawer_for_everything():
    drawers = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"}

    found = [
        str(path.relative_to(ROOT))
        for layer in LAYERS
        for path in files_of(layer)
        if path.name in drawers
    ]

    assert found == []
