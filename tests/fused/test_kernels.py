"""Every kernel compiles for cards that are not there, and the widths in daily use keep their sums in registers."""

import json
import os
import subprocess
import sys

import pytest

COMPILE = """
import json, os, re, subprocess, sys, tempfile, importlib
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

tool = os.path.join(os.path.dirname(triton.__file__), "backends", "nvidia", "bin", "cuobjdump")

def stack(capability, module, name, types, constants):
    kernel = getattr(importlib.import_module(f"hopfield_theory.fused.kernels.{module}"), name)
    signature = dict(zip(kernel.arg_names, types + ["constexpr"] * len(constants), strict=True))
    places = {(kernel.arg_names.index(key),): value for key, value in constants.items()}
    warps = constants["ROWS"] // 16 if name == "_pull" else 4
    built = triton.compile(
        ASTSource(fn=kernel, signature=signature, constexprs=places),
        target=GPUTarget("cuda", capability, 32), options={"num_warps": warps, "num_stages": 2},
    )
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(built.asm["cubin"])
        file.flush()
        usage = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"STACK:(\\d+)", usage)[1])

print(json.dumps([
    {told: stack(capability, *kernel) for told, kernel in kernels.items()}
    for capability, kernels in json.loads(sys.argv[1])
]))
"""
HALVES = ["*fp16"] * 2 + ["*fp32"] * 3 + ["i64"] * 3 + ["i32", "fp32"] + ["*fp32"] * 4 + ["i32"]


def pull(width, kind, same=True, rows=64):
    sizes = {"width": width, "value_width": width, "ROWS": rows, "TILE": 64 if width <= 64 else 32}
    return "pull", "_pull", HALVES, sizes | {"WIDTH": width, "VALUE_WIDTH": width, "KIND": kind, "SAME": same}


def pull_double(width):
    types = ["*fp64"] * 3 + ["i64", "i32"] + ["*fp64"] * 3 + ["i32"]
    sizes = {"width": width, "value_width": width, "ROWS": 64, "TILE": 32}
    return "pull", "_pull_double", types, sizes | {"WIDTH": width, "VALUE_WIDTH": width, "SAME": True}


def gate(dtype, number):
    types = [f"*{dtype}", "*fp32", "fp32" if number else "*fp32"] + ["i32"] * 13
    return "gate", "_gate", types, {"NUMBER": number, "UNCHANGED": 2**-9, "COLUMNS": 64, "ROWS": 64}


KERNELS = {
    "gate, a number": gate("bf16", True),
    "gate, a tensor": gate("fp32", False),
    "gradient of the mass": (
        "gate",
        "_mass_gradient",
        ["*bf16", "*bf16", "*fp32", "*fp32", "*fp32"] + ["i32"] * 16,
        {"COLUMNS": 64, "ROWS": 64},
    ),
    **{
        f"draw {kind}": (
            "drawn",
            "_draw",
            ["*fp32", "i64", "i64", "i64", "fp32"],
            {"width": 22, "ROWS": 128, "WIDTH": 32, "KIND": kind},
        )
        for kind in (0, 1, 2)
    },
    **{f"pull {kind}": pull(32, kind) for kind in (-1, 0, 1, 2)},
    "pull 64": pull(64, -1),
    "pull 128 rows": pull(64, -1, rows=128),
    "pull 128": pull(128, -1),
    "pull, other values": pull(64, -1, same=False),
    "pull, float64": pull_double(32),
    "segment sums": (
        "ball_sums",
        "_segment_sums",
        ["*fp64"] * 4 + ["*i64", "i64", "i32", "i64", "*fp64", "*fp64", "*i64"],
        {"SEGMENT": 1024},
    ),
    **{
        f"small memories {dtype}{' running' * running}": (
            "small_memories",
            "_pull_parts",
            [f"*{dtype}"] * 3 + ["*i32"] + [f"*{dtype}"] * 3 + ["i32"] * 4,
            {"width": 22, "COLUMNS": 32, "TILE": 128, "RUNNING": running},
        )
        for dtype in ("fp32", "fp64")
        for running in (False, True)
    },
    "mixing": (
        "mixing",
        "_trial_states",
        ["*fp64"] * 5 + ["*i64"] + ["*fp64"] * 2 + ["*i8", "*fp64", "*i8"],
        {"width": 16, "COLUMNS": 16, "WINDOW": 8, "RIDGE": 1e-10, "TINY": 1e-300, "TRUST": 40.0, "RELAXATION": 5.0},
    ),
    "small memories, joined": (
        "small_memories",
        "_join_parts",
        ["*fp64"] * 2 + ["*i32", "*i64"] + ["*fp64"] * 4 + ["i32"],
        {"width": 22, "COLUMNS": 32, "PARTS": 256},
    ),
}
# bytes of the stack: wide sums do not fit into registers
SPILLS = {"pull 128 rows": 256, "pull 64": 128, "pull 128": 512, "pull, other values": 512}


@pytest.mark.slow
def test_they_compile():
    pytest.importorskip("triton", reason="Triton is not installed")
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    # the tiles are made for Hopper: on an older card one form of each kernel
    one_each = dict({(each[0], each[1]): (told, each) for told, each in KERNELS.items()}.values())
    line = [sys.executable, "-c", COMPILE, json.dumps([(80, one_each), (90, KERNELS)])]
    told = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
    assert told.returncode == 0, told.stderr[-2000:]
    older, hopper = json.loads(told.stdout)
    assert (older.keys(), hopper.keys()) == (one_each.keys(), KERNELS.keys())
    assert {name for name, stack in hopper.items() if stack > SPILLS.get(name, 0)} == set()
