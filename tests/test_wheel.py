"""The built wheel, installed without its extras."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
EXTRAS = ("pandas", "pyarrow", "sklearn", "hypothesis", "transformers", "distributed")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An interpreter that sees the wheel and the dependencies, and neither the checkout nor what the extras bring."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    hide = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
sys.path[:0] = [{str(folder)!r}]
sys.path.append({sysconfig.get_path("purelib")!r})
import hopfield_theory
assert hopfield_theory.__file__.startswith({str(folder)!r})
"""

    def run(program, *arguments):
        command = [sys.executable, "-S", "-c", hide + program, *map(str, arguments)]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    return run


def test_the_wheel_holds_the_library_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "hopfield_theory").rglob("*.py")}
    assert modules <= set(names)
    assert "hopfield_theory/py.typed" in names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"hopfield_theory"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_works_without_extras(python, tmp_path):
    np.save(tmp_path / "p.npy", np.eye(3))
    (tmp_path / "p.csv").write_text("1,0\n0,1\n")
    command = "from hopfield_theory.cli import main; main()"
    good = python(command, "certify", tmp_path / "p.npy", "--beta", 20)
    assert (good.returncode, good.stderr) == (0, "")
    assert "All 3 patterns proved stored" in good.stdout
    for source in ("digits", tmp_path / "p.csv"):
        missing = python(command, "certify", source)
        assert missing.returncode == 2
        assert missing.stderr.startswith("hopfield-theory: ")
        assert "pip install 'hopfield-theory[data]'" in missing.stderr
        assert len(missing.stderr.splitlines()) == 1


def test_every_module_imports_without_extras(python):
    program = """
import importlib, pkgutil
for module in pkgutil.walk_packages(hopfield_theory.__path__, "hopfield_theory."):
    if module.name not in ("hopfield_theory.testing", "hopfield_theory.__main__"):
        importlib.import_module(module.name)
"""
    result = python(program)
    assert (result.returncode, result.stderr) == (0, "")
