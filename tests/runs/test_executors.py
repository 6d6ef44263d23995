"""Whoever does the work, and whatever happens to them, the results are the same."""

import itertools
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
import torch

from hopfield_theory.data.ensembles import RandomPatterns, Sphere
from hopfield_theory.model.stream import Stream
from hopfield_theory.runs.executors import Dask, Executor, Processes, Serial, WorkerDiedError, executor

# other processes can import what is in a file of its own, wherever this one was loaded from
WORK = """
import os, pathlib, signal, time

def square(x):
    return x * x

def refuse_odd(x):
    if x % 2:
        raise ArithmeticError(f"{x} is odd")
    return x

def leave(x):
    raise SystemExit(3)

def threads(_):
    import torch
    return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]

def pid(_):
    return os.getpid()

def sleep(seconds):
    time.sleep(seconds)
    return seconds

def die_first(item):
    "Kill the worker the first few times that an item is tried."
    folder, x, deaths = item
    tries = pathlib.Path(folder) / str(x)
    with tries.open("a") as file:
        file.write("x")
    if len(tries.read_text()) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    (folder / "executors_work.py").write_text(WORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        import executors_work

        yield executors_work


@pytest.fixture(scope="module")
def processes(work):
    with Processes(2) as workers:
        yield workers


@pytest.fixture(scope="module")
def scheduler(work):
    """The address of a Dask scheduler with two workers of its own."""
    distributed = pytest.importorskip("distributed")
    with (
        pytest.importorskip("dask.config").set({"distributed.scheduler.allowed-failures": 20}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            # any port that is free: another cluster of this machine may have the usual one
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def dask(scheduler):
    with executor("dask", address=scheduler) as workers:
        yield workers


DASK = pytest.param("dask", marks=pytest.mark.slow)


@pytest.fixture(params=["serial", "processes", DASK])
def anyone(request):
    return Serial() if request.param == "serial" else request.getfixturevalue(request.param)


@pytest.fixture(params=["processes", DASK])
def others(request):
    return request.getfixturevalue(request.param)


# a worker imports the script before anything else; in the script's own process torch would make no difference
USES_TORCH = "if __name__ != '__main__': import torch; torch.get_num_threads()"


def parent(work, folder, lines, first=""):
    """Write a script that does something with ``workers``, a process of its own."""
    script = folder / "parent.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            {first}
            sys.path.insert(0, {os.path.dirname(work.__file__)!r})
            import executors_work
            from hopfield_theory.runs.executors import Processes
            if __name__ == "__main__":
                with Processes(1) as workers:
                    {lines}
            """
        )
    )
    return script


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(pids, seconds=10.0):
    """Whether processes end within a time."""
    end = time.monotonic() + seconds
    while any(map(alive, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_map_keeps_the_order_and_run_the_indices(anyone, work):
    items = list(range(20))
    assert list(anyone.map(work.square, items)) == [x * x for x in items]
    assert sorted(anyone.run(work.square, items)) == [(x, x * x) for x in items]
    assert list(anyone.map(work.square, [])) == list(anyone.run(work.square, iter(()))) == []


def test_map_keeps_the_order_where_the_first_takes_longest(anyone, work):
    items = [0.3, 0.0, 0.1, 0.0]
    assert list(anyone.map(work.sleep, items)) == items


def test_items_are_taken_as_they_are_needed(anyone, work):
    assert list(itertools.islice(anyone.map(work.square, itertools.count()), 5)) == [0, 1, 4, 9, 16]
    assert list(anyone.map(work.square, range(3))) == [0, 1, 4]


def test_errors_stand_in_the_place_of_results(anyone, work):
    outcomes = dict(anyone.run(work.refuse_odd, range(4)))
    assert [outcomes[0], outcomes[2]] == [0, 2]
    assert all(isinstance(outcomes[x], ArithmeticError) and f"{x} is odd" in str(outcomes[x]) for x in (1, 3))
    mapped = anyone.map(work.refuse_odd, range(4))
    assert next(mapped) == 0
    with pytest.raises(ArithmeticError, match="1 is odd"):
        next(mapped)


def test_what_cannot_travel_is_an_error_of_its_item(processes):
    (index, error), *_ = processes.run(lambda x: x, [1])
    assert index == 0
    assert isinstance(error, Exception)


def test_a_function_that_exits_ends_no_other_process(processes, work):
    (_, error), *_ = processes.run(work.leave, [1])
    assert str(error) == "SystemExit(3)"


def test_workers_do_not_share_cores(processes, work):
    cores = len(os.sched_getaffinity(0))
    assert processes.threads == max(1, cores // 2)
    assert set(processes.map(work.threads, range(4))) == {(processes.threads, str(processes.threads))}


@pytest.mark.slow
def test_a_script_that_uses_torch_first_does_not_share_cores_either(work, tmp_path):
    script = parent(work, tmp_path, "print(*workers.map(executors_work.threads, [0]), workers.threads)", USES_TORCH)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True)
    cores = len(os.sched_getaffinity(0))
    assert told.stdout == f"({cores}, '{cores}') {cores}\n"


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_one_stream_shared_out_is_the_same_to_the_bit(others, torch_threads):
    torch_threads(getattr(others, "threads", 1))
    source = RandomPatterns(Sphere(3.0), 1_200_000, 16, seed=5)
    queries = source.block(0)[:3] * 0.9
    shared = Stream(source, 1.5, map_fn=others.map)
    assert shared.num_parts >= 3
    assert torch.equal(shared.update(queries), Stream(source, 1.5, map_fn=Serial().map).update(queries))
    assert torch.equal(shared.energy(queries), Stream(source, 1.5, map_fn=map).energy(queries))


@pytest.mark.slow
def test_a_worker_killed_while_it_had_nothing_to_do_is_replaced(processes, work):
    pids = set(processes.map(work.pid, range(8)))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert gone(pids)
    assert list(processes.map(work.square, range(4))) == [0, 1, 4, 9]


@pytest.mark.slow
def test_an_item_whose_worker_dies_is_computed_again_and_given_up_at_the_third_death(processes, work, tmp_path):
    items = [(str(tmp_path), x, {1: 99, 3: 1}.get(x, 0)) for x in range(6)]
    outcomes = dict(processes.run(work.die_first, items))
    error = outcomes.pop(1)
    assert isinstance(error, WorkerDiedError)
    assert str(items[1]) in str(error)
    assert "died, each time" in str(error)
    # the others were not computed again, let alone blamed
    assert [len((tmp_path / str(x)).read_text()) for x in range(6)] == [1, 3, 1, 2, 1, 1]
    assert outcomes == {x: x * x for x in range(6) if x != 1}


@pytest.mark.slow
def test_work_nobody_waits_for_is_stopped_and_no_process_is_left(work):
    begin = time.monotonic()
    with Processes(1) as workers:
        pids = set(workers.map(work.pid, range(3)))
        assert pids != {os.getpid()}
        for _ in workers.run(work.sleep, [0.0, 60.0]):
            break
    assert time.monotonic() - begin < 30
    assert gone(pids)
    # it begins anew when it is asked again
    assert list(workers.map(work.square, [3])) == [9]
    workers.close()


@pytest.mark.slow
def test_workers_do_not_outlive_a_parent_that_is_killed(work, tmp_path):
    lines = "print(*workers.map(executors_work.pid, [0]), flush=True); list(workers.map(executors_work.sleep, [60]))"
    script = parent(work, tmp_path, lines)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        worker = int(process.stdout.readline())
        assert psutil.pid_exists(worker)
        process.kill()
    assert gone([worker])


def test_a_scheduler_that_does_not_answer():
    config = pytest.importorskip("dask.config")
    pytest.importorskip("distributed")
    with (
        config.set({"distributed.comm.timeouts.connect": "300ms"}),
        pytest.raises(OSError, match=r"^no scheduler answers at tcp://127\.0\.0\.1:9: "),
    ):
        list(Dask("tcp://127.0.0.1:9").map(abs, [1]))


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"distributed is needed here: pip install 'hopfield-theory\[cluster\]'"):
        executor("dask", address="tcp://127.0.0.1:9")


def test_executors_by_name():
    assert type(executor("serial")) is Serial
    with executor("processes", workers=3) as workers:
        assert isinstance(workers, Processes)
        assert isinstance(workers, Executor)
        assert workers.workers == 3
    assert Processes().workers == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (("threads",), ValueError, "executor is 'threads'"),
        (("serial", 2), ValueError, "only processes take a number"),
        (("processes", 0), ValueError, "workers is 0"),
        (("processes", True), TypeError, "workers is True"),
        (("processes", 1.5), ValueError, "workers is 1.5"),
        (("processes", None, "tcp://127.0.0.1:9"), ValueError, "others none"),
        (("dask",), ValueError, "dask needs the address of a scheduler"),
        (("dask", 2, "tcp://127.0.0.1:9"), ValueError, "only processes take a number"),
    ],
)
def test_what_no_executor_takes(arguments, error, match):
    with pytest.raises(error, match=match):
        executor(*arguments)
