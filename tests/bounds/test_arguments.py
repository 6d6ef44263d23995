"""What is not a random memory, or not a number, is refused by name in every function about one."""

from inspect import signature

import pytest
import torch

from hopfield_theory import bounds
from hopfield_theory.bounds import RandomMemory, finite_size, mean_field
from hopfield_theory.measured import sampled_capacity
from hopfield_theory.model.memory import Memory
from hopfield_theory.sampled import fixed_points, one_update

MEMORY = RandomMemory(20, 20.0)
MODULES = [getattr(bounds, name) for name in bounds.__all__ if name != "RandomMemory"]


def functions(modules):
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": function
        for module in modules
        for name, function in vars(module).items()
        # a copy of the library with mutants holds them beside what they were made of
        if not name.startswith("_")
        and "__mutmut_" not in name
        and getattr(function, "__module__", "") == module.__name__
        and callable(function)
        and not isinstance(function, type)
    }


ABOUT_ONE = {
    name: function
    for name, function in functions([*MODULES, sampled_capacity, fixed_points, one_update]).items()
    if "memory" in signature(function).parameters
}
# steps of a bound that modules share, of arguments that its face has checked
SHARED = {"chernoff.log_shares", "one_update.gap_offset", "one_update.log_less_one"}
NUMBERS = [
    (name, parameter)
    for name, function in functions(MODULES).items()
    for parameter in signature(function).parameters
    if name not in SHARED and parameter not in ("memory", "witness", "quantifier", "progress")
]


@pytest.mark.parametrize("function", ABOUT_ONE.values(), ids=ABOUT_ONE)
@pytest.mark.parametrize("memory", [5, Memory(torch.eye(3), 2.0)], ids=["a number", "another memory"])
def test_what_is_not_a_random_memory_is_refused(function, memory):
    needed = [p for p in signature(function).parameters.values() if p.default is p.empty and p.name != "memory"]
    said = rf"memory is {type(memory).__name__}: it must be a RandomMemory, as of RandomMemory\(dim, kappa\)"
    with pytest.raises(TypeError, match=said):
        function(**{each.name: 0.5 for each in needed}, memory=memory)


def test_there_are_such_functions():
    assert len(ABOUT_ONE) > 20
    assert len(NUMBERS) > 50


@pytest.mark.parametrize(("name", "parameter"), NUMBERS)
def test_what_is_no_number_is_refused_under_its_name(name, parameter):
    function = functions(MODULES)[name]
    module = name.partition(".")[0]
    witnesses = {
        "chernoff": bounds.chernoff.chernoff_witness,
        "directional": bounds.directional.directional_witness,
        "crowding": bounds.crowding.typical_witness,
        "merging": bounds.merging.pair_witness,
    }
    others = {"memory": MEMORY, "quantifier": "typical", "dim": 20}
    given = {
        other: others.get(other, 0.5)
        for other, known in signature(function).parameters.items()
        if known.default is known.empty
    }
    if "witness" in given:
        given["witness"] = witnesses[module](MEMORY, 0.5)
    with pytest.raises(TypeError, match=f"^{parameter} is 'x': it must "):
        function(**given | {parameter: "x"})


@pytest.mark.parametrize("value", ["a", "5", [[1.0], [1.0, 2.0]], {}, 10**400, torch.ones(2, requires_grad=True)])
def test_what_holds_no_numbers_is_refused(value):
    with pytest.raises(TypeError, match=r"lam is .*: it must hold numbers"):
        mean_field.threshold(value)


def test_a_number_beyond_floats_is_refused():
    with pytest.raises(ValueError, match="kappa is beyond the largest float"):
        RandomMemory(5, 10**400)


@pytest.mark.parametrize("module", [bounds.chernoff, bounds.directional, bounds.merging, bounds.crowding])
def test_what_is_no_witness_is_refused(module):
    name = next(name for name in ABOUT_ONE if name.startswith(module.__name__.rpartition(".")[2]) and "log_" in name)
    others = {"quantifier": "all"} if "quantifier" in signature(ABOUT_ONE[name]).parameters else {}
    with pytest.raises(TypeError, match="witness is int: it must be a "):
        ABOUT_ONE[name](RandomMemory(20, 171.0), witness=5, log_patterns=1.0, **others)


def test_a_distance_is_one_number():
    for value in ("x", None):
        with pytest.raises(TypeError, match=r"distance is .*: it must be a number"):
            finite_size.law(RandomMemory(12, 12.0), distance=value)
