"""What importing loads, and that the lazy names are those that type checkers see."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import hopfield_theory as ht
from hopfield_theory._version import version

ROOT = Path(__file__).parents[1]
WITHOUT_TORCH = [
    "import hopfield_theory",
    "import hopfield_theory.bounds",
    "import hopfield_theory as ht; ht.bounds.mean_field.threshold(1.0)",
    "import hopfield_theory.statistics",
    "from hopfield_theory import bounds, statistics; dir(bounds), dir(statistics)",
    "import hopfield_theory.runs.sweep",
    "import hopfield_theory as ht; dir(ht), ht.__version__, hasattr(ht, 'nonsense')",
    *(
        f"import sys; sys.argv = {['x', *arguments]}; from hopfield_theory.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass"
        for arguments in (["--help"], ["--version"], ["certify", "--help"])
    ),
]


def loads_torch(*programs):
    """Which of the programs loads it, run one after another in one process."""
    lines = [
        f"import sys\nexec({program!r}, {{}})\nif 'torch' in sys.modules: sys.exit({index + 1})"
        for index, program in enumerate(programs)
    ]
    found = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert not found.stderr
    return found.returncode


def test_these_never_load_torch():
    assert loads_torch(*WITHOUT_TORCH) == 0


@pytest.mark.slow
def test_the_check_above_can_fail():
    assert loads_torch(*WITHOUT_TORCH[:2], "import sys; sys.modules['torch'] = None") == 3


# what a machine with a GPU may have no wheels of; run from the source tree, where no version is installed
BARE = """
import importlib.metadata, sys

class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("entmax", "flint", "distributed", "dask", "dask_jobqueue", "latex2mathml", "mkdocs"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def version(name, known=importlib.metadata.version):
    if name == "hopfield-theory":
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)

importlib.metadata.version = version
sys.meta_path.insert(0, Gone())
import benchmarks.gpu, figures.models_bars, figures.models_curves, figures.models_table, simulations.__main__
from simulations import models
from simulations._architectures import METHODS, MODELS, Size, build
size = Size(1, 8, 2, length=24, batch=4, held_out=8, vocabulary=300, characters=20_000, segment=6, horizon=6)
for name in MODELS:
    for method, (noop, *_) in METHODS.items():
        build(name, method, bool(noop), size, 0, "cpu")
import hopfield_theory
print(hopfield_theory.__version__)
"""


@pytest.mark.slow
def test_the_gpu_benchmarks_and_the_study_need_little():
    told = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, cwd=ROOT, check=False)
    assert told.returncode == 0, told.stderr[-2000:]
    assert told.stdout.strip().splitlines()[-1] == version()


def test_every_public_name_resolves_to_what_it_says():
    for name in ht.__all__:
        value = getattr(ht, name)
        assert isinstance(value, types.ModuleType) == (name in ("bounds", "corruption", "statistics")), name
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__name__ == name
            assert value.__doc__


@pytest.mark.parametrize("name", ["nonsense", "_private", "torch", "certificate", "__wrapped__"])
def test_unknown_names_raise_attribute_errors(name):
    assert not hasattr(ht, name)
    with pytest.raises(AttributeError, match=f"No hopfield_theory attribute {name}"):
        getattr(ht, name)


def test_every_public_name_is_public_where_it_lives():
    for name in ht.__all__:
        value = getattr(ht, name)
        if not isinstance(value, types.ModuleType):
            assert name in importlib.import_module(value.__module__).__all__


def test_the_stub_names_what_is_there():
    tree = ast.parse(Path(ht.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    names = [(node.module, alias.name, alias.asname) for node in imported for alias in node.names]
    assert sorted(asname for _, _, asname in names) == sorted(ht.__all__)
    for module, name, asname in names:
        assert name == asname
        home = importlib.import_module(f"hopfield_theory.{module}" if module else "hopfield_theory")
        assert getattr(ht, name) is getattr(home, name)


def test_what_public_functions_raise_and_return_is_public_too():
    functions = [getattr(ht, name) for name in ht.__all__ if inspect.isfunction(getattr(ht, name))]
    homes = {function.__module__ for function in functions}
    ours = {name: value for home in homes for name, value in vars(importlib.import_module(home)).items()}
    returned = {name for f in functions for name in re.findall(r"\w+", str(inspect.signature(f).return_annotation))}
    kinds = {value for name, value in ours.items() if name in returned and inspect.isclass(value)}
    for home in homes:
        module = importlib.import_module(home)
        kinds |= {getattr(module, n) for n in module.__all__ if n.endswith("Error")}
    wanted = {kind.__name__ for kind in kinds if kind.__module__.startswith("hopfield_theory.")}
    assert {"BudgetError", "Certificate", "Retrieval", "SearchInterruptedError", "Verdicts"} <= wanted
    assert wanted <= set(ht.__all__)


def test_dir_and_star_import_give_the_public_names():
    assert dir(ht) == sorted(ht.__all__)
    assert len(ht.__all__) == len(set(ht.__all__))
    names = {}
    exec("from hopfield_theory import *", names)
    assert set(names) - {"__builtins__"} == set(ht.__all__)
