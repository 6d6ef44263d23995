"""What importing loads, and that the lazy names are those that type checkers see."""

import ast
import inspect
import subprocess
import sys
import types
from pathlib import Path

import pytest

import hopfield_theory as ht


@pytest.mark.parametrize(
    "program",
    [
        "import hopfield_theory",
        "import hopfield_theory.bounds",
        "import hopfield_theory as ht; ht.bounds.thermodynamics.threshold(1.0)",
        "import hopfield_theory.statistics",
        "import sys; sys.argv = ['x', '--help']; from hopfield_theory.cli import main\n"
        "try: main()\nexcept SystemExit: pass",
        "import sys; sys.argv = ['x', 'certify', '--help']; from hopfield_theory.cli import main\n"
        "try: main()\nexcept SystemExit: pass",
    ],
)
def test_these_never_load_torch(program):
    program += "\nimport sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def test_the_check_above_can_fail():
    program = "import hopfield_theory as ht; ht.Memory; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 1


def test_every_public_name_resolves_to_what_it_says():
    for name in ht.__all__:
        value = getattr(ht, name)
        assert isinstance(value, types.ModuleType) == (name in ("bounds", "corruption", "statistics")), name
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__name__ == name
            assert value.__doc__
    assert set(ht.__all__) <= set(dir(ht))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        ht.nonsense  # noqa: B018


def test_type_checkers_see_the_lazy_names():
    tree = ast.parse(Path(ht.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(ht.__all__) - {"__version__"}


def test_versions_agree():
    project = (Path(ht.__file__).parent.parent / "pyproject.toml").read_text()
    assert f'version = "{ht.__version__}"' in project
