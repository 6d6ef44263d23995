"""What importing loads, and that the lazy names are those that type checkers see."""

import importlib
import inspect
import subprocess
import sys
import types

import pytest

import hopfield_theory as ht


@pytest.mark.parametrize(
    "program",
    [
        "import hopfield_theory",
        "import hopfield_theory.bounds",
        "import hopfield_theory as ht; ht.bounds.mean_field.threshold(1.0)",
        "import hopfield_theory.statistics",
        "import sys; sys.argv = ['x', '--help']; from hopfield_theory.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass",
        "from hopfield_theory import bounds, statistics; dir(bounds), dir(statistics)",
        "import hopfield_theory as ht; dir(ht), ht.__version__, hasattr(ht, 'nonsense')",
        "import sys; sys.argv = ['x', '--version']; from hopfield_theory.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass",
        "import sys; sys.argv = ['x', 'certify', '--help']; from hopfield_theory.cli.main import main\n"
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


def test_dir_and_star_import_give_the_public_names():
    assert dir(ht) == sorted(ht.__all__)
    assert len(ht.__all__) == len(set(ht.__all__))
    names = {}
    exec("from hopfield_theory import *", names)
    assert set(names) - {"__builtins__"} == set(ht.__all__)
