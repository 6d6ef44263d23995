"""The built wheel, installed without its extras."""

import email
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]
ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("pandas", "pyarrow", "sklearn", "hypothesis", "transformers", "distributed", "dask_jobqueue")
HIDE = f"""
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Run a script of a fresh environment, which sees the wheel and its dependencies but not the extras' packages."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, capture_output=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    install = [sys.executable, "-m", "pip", "--python", folder, "install", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    (site,) = {path.parent for path in folder.rglob("hopfield_theory") if path.is_dir()}
    # a folder named in a .pth file comes last, and the .pth files in it (the editable install's) are not read
    (site / "hide_extras.py").write_text(HIDE)
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\nimport hide_extras\n")

    def run(script, *arguments):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [scripts / script, *map(str, arguments)]
        return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)

    where = run("python", "-c", "import hopfield_theory; print(hopfield_theory.__file__)")
    assert where.stdout.strip() == str(site / "hopfield_theory" / "__init__.py")
    return run


def test_the_wheel_holds_the_library_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hopfield_theory").rglob("*.py")}
    inside = {name for name in names if name.startswith("hopfield_theory/")}
    parts = {
        "hopfield_theory/__init__.pyi",
        "hopfield_theory/docs/bounds-proofs.md",
        "hopfield_theory/docs/retrieval-proofs.md",
        "hopfield_theory/py.typed",
        "hopfield_theory/statements/table1.csv",
        "hopfield_theory/verification/render/page.css",
        "hopfield_theory/verification/render/page.html.jinja",
        "hopfield_theory/verification/render/page.js",
    }
    assert inside == modules | parts
    assert all(name.partition("/")[0].endswith(".dist-info") for name in set(names) - inside)
    assert not any("test_" in name or "conftest" in name for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert len(names) == len(set(names))


def test_its_metadata_is_the_project_s(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
        scripts = archive.read(name.replace("METADATA", "entry_points.txt")).decode()
    requirements = metadata.get_all("Requires-Dist")
    assert sorted(line for line in requirements if "extra ==" not in line) == sorted(PROJECT["dependencies"])
    extras = {extra: [] for extra in PROJECT["optional-dependencies"]}
    for line in requirements:
        if match := re.fullmatch(r"([^;]+); (?:\(?(.+?)\)? and )?extra == '(.+)'", line.replace('"', "'")):
            extras[match[3]].append(match[1] + (f"; {match[2]}" if match[2] else ""))
    # the metadata writes pyright[nodejs]>=1 as the project does
    assert {extra: sorted(lines) for extra, lines in extras.items()} == {
        extra: sorted(lines) for extra, lines in PROJECT["optional-dependencies"].items()
    }
    assert metadata["Version"] == PROJECT["version"]
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert "hopfield-theory = hopfield_theory.cli.main:main" in scripts


def test_the_extras_are_hidden_and_the_dependencies_are_not(installed):
    program = """
import importlib
for name in ("pandas", "pyarrow.parquet", "sklearn.datasets", "safetensors"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(error)
"""
    said = installed("python", "-c", program).stdout.splitlines()
    assert said == [f"No module named {name!r}" for name in ("pandas", "pyarrow", "sklearn")]


def test_it_works_without_extras(installed, tmp_path):
    np.save(tmp_path / "p.npy", np.eye(3))
    result = installed("hopfield-theory", "certify", tmp_path / "p.npy", "--beta", 0.1)
    assert (result.returncode, result.stderr) == (1, "")
    assert "0 of 3 patterns proved stored" in result.stdout


def test_what_needs_an_extra_says_how_to_get_it(installed, tmp_path):
    program = """
import sys
from hopfield_theory.cli.main import main
*sources, out = sys.argv[1:]
for source in sources:
    sys.argv = ["hopfield-theory", "certify", source, "--json", out]
    try:
        main()
    except SystemExit as end:
        print(end.code)
"""
    paths = [tmp_path / name for name in ("p.csv", "p.parquet")]
    for path in paths:
        path.write_text("1,0\n0,1\n")
    result = installed("python", "-c", program, "digits", *paths, tmp_path / "out.json")
    assert result.stdout.splitlines() == ["2"] * 3
    assert result.stderr.splitlines() == [
        f"hopfield-theory: {package} is needed here: pip install 'hopfield-theory[data]'"
        for package in ("scikit-learn", "pandas", "pyarrow")
    ]
    assert not (tmp_path / "out.json").exists()


def test_every_module_imports_without_extras_or_names_the_one_it_needs(installed):
    program = """
import importlib, pkgutil
import hopfield_theory
for module in pkgutil.walk_packages(hopfield_theory.__path__, "hopfield_theory."):
    if module.name in ("hopfield_theory.testing", "hopfield_theory.__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        print(module.name, "-", error)
"""
    result = installed("python", "-W", "error", "-c", program)
    assert (result.returncode, result.stderr) == (0, "")
    without = ("_dispatch", "_interface", "_transformers", "transformers")
    needs = dict.fromkeys((f"attention.{name}" for name in without), "transformers")
    said = [f"{name} - {package} is needed here: pip install" for name, package in needs.items()]
    said += [f"runs.{name} - pandas is needed here: pip install" for name in ("store", "sweep")]
    lines = result.stdout.splitlines()
    assert [line.removeprefix("hopfield_theory.").rpartition(" 'hopfield-theory[")[0] for line in lines] == said
