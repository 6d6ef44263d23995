"""Executors: this process, other processes, or the workers of a Dask scheduler; results are the same.

An executor has two methods. ``map`` yields the results in the order of the items, as ``map_fn`` of a stream needs;
``run`` yields them as they are finished, with an exception in place of a missing result. If a worker dies, its item is
computed again; after the third death the item is given up.

Functions, items and results are sent between processes, so functions must be importable, and a script that uses
processes must keep its own work under ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.connection import wait as wait_for
from types import TracebackType
from typing import Any, Self

from hopfield_theory import _arguments

# torch is not imported here: a worker reads this module before its number of threads is set

__all__ = ["Dask", "Executor", "Processes", "Serial", "WorkerDiedError", "executor"]

Function = Callable[[Any], Any]

_RETRIES = 2
_DIED = "{item}: the workers that computed it died, each time; they were killed, for want of memory perhaps"
# items that a Dask scheduler is given at a time: enough for it to see how many workers could be busy
_IN_FLIGHT = 1000


class WorkerDiedError(RuntimeError):
    """Every worker that computed an item died."""


class Executor:
    """Base class of :class:`Serial`, :class:`Processes` and :class:`Dask`.

    All are context managers: leaving one ends its workers, immediately if by an exception.
    """

    def run(self, function: Function, items: Iterable[Any]) -> Generator[tuple[int, Any]]:
        """Apply a function to items, taken one by one as workers become free.

        Yields
        ------
        index : int
            Index of an item; items come in the order in which they are finished.
        result
            The function's result, or the exception that it raises; :class:`WorkerDiedError` after three deaths of its
            worker.
        """
        raise NotImplementedError

    def map(self, function: Function, items: Iterable[Any]) -> Generator[Any]:
        """Apply a function to items; yield the results in the order of the items. Exceptions of :meth:`run` raise."""
        waiting: dict[int, Any] = {}
        following = 0
        with contextlib.closing(self.run(function, items)) as finished:
            for index, result in finished:
                waiting[index] = result
                while following in waiting:
                    result = waiting.pop(following)
                    if isinstance(result, Exception):
                        raise result
                    yield result
                    following += 1

    def close(self) -> None:
        """End the workers, if there are any."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _outcome(future: Any) -> Any:
    """Return the result of a finished future, or the exception in its place."""
    error = future.exception()
    if error is None:
        return future.result()
    # SystemExit, for example, must not end this process too
    return error if isinstance(error, Exception) else RuntimeError(repr(error))


class Serial(Executor):
    """The current process, one item after the other.

    Examples
    --------
    >>> with Serial() as alone:
    ...     list(alone.map(abs, [-1, 2, -3]))
    [1, 2, 3]
    """

    def run(self, function: Function, items: Iterable[Any]) -> Generator[tuple[int, Any]]:  # noqa: D102
        for index, item in enumerate(items):
            try:
                result = function(item)
            except Exception as error:
                result = error
            yield index, result


class Processes(Executor):
    """Processes of this machine, each with its share of the cores.

    Parameters
    ----------
    workers : int, optional
        At least 1; by default as many as there are cores.

    Attributes
    ----------
    workers : int
    threads : int
        Threads of torch per worker: cores divided by workers, at least 1.

    Examples
    --------
    >>> with Processes(1) as processes:
    ...     list(processes.map(abs, [-1, 2, -3]))
    [1, 2, 3]
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = _cores() if workers is None else _arguments.integer("workers", workers, 1)
        self.threads = max(1, _cores() // self.workers)
        self._slots = [_Slot(self.threads) for _ in range(self.workers)]

    def run(self, function: Function, items: Iterable[Any]) -> Generator[tuple[int, Any]]:  # noqa: D102
        source = enumerate(items)
        free = self._slots[::-1]
        busy: dict[Future[Any], tuple[_Slot, int, Any, int]] = {}
        try:
            while True:
                for index, item in itertools.islice(source, len(free)):
                    slot = free.pop()
                    busy[slot.submit(function, item)] = (slot, index, item, 0)
                if not busy:
                    return
                for future in wait(busy, return_when=FIRST_COMPLETED).done:
                    slot, index, item, deaths = busy.pop(future)
                    result = _outcome(future)
                    died = isinstance(result, BrokenProcessPool)
                    if died and deaths < _RETRIES:
                        busy[slot.submit(function, item)] = (slot, index, item, deaths + 1)
                        continue
                    free.append(slot)
                    yield index, WorkerDiedError(_DIED.format(item=item)) if died else result
        finally:
            # left early: the results of the others are not needed
            _kill([slot for slot, *_ in busy.values()])

    def close(self) -> None:  # noqa: D102
        for slot in self._slots:
            slot.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            _kill(self._slots)


class _Slot:
    """A pool of one process: if it dies, the item at which it died is known."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, function: Function, item: Any) -> Future[Any]:
        try:
            return self._submit(function, item)
        except BrokenProcessPool:
            # it died at its last item, or while idle
            self.close()
            return self._submit(function, item)

    def _submit(self, function: Function, item: Any) -> Future[Any]:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, context, initializer=_begin_worker, initargs=(self._threads,))
        with _no_interrupts():
            return self._pool.submit(function, item)

    def kill(self) -> None:
        # before Python 3.14 the executor has no public method to stop a busy process
        for process in list((getattr(self._pool, "_processes", None) or {}).values()):
            process.kill()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _kill(slots: list[_Slot]) -> None:
    for slot in slots:
        slot.kill()
    for slot in slots:
        slot.close()


def _begin_worker(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    # a script of one's own is imported before this; who imports torch later reads the variables
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)


def _die_with_parent() -> None:
    # a killed parent cannot notify its workers, and they would wait forever
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C: the process that started them ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # pragma: no cover
        yield
        return
    # the first spawn would start the tracker, which unblocks interrupts
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Dask(Executor):
    """Workers of a Dask scheduler (extra ``cluster``).

    Parameters
    ----------
    address : str
        Address of the scheduler, such as ``tcp://host:8786``. Its workers need this package; its own configuration
        says how often an item is retried when workers die.

    Notes
    -----
    The connection is made with the first item; if the scheduler does not answer, this raises OSError.
    """

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError as error:
            raise ImportError(f"{error.name} is needed here: pip install 'hopfield-theory[cluster]'") from error
        self._distributed, self._address = distributed, address
        self._client: Any = None

    def run(self, function: Function, items: Iterable[Any]) -> Generator[tuple[int, Any]]:  # noqa: D102
        self._connect()
        source = enumerate(items)
        busy: dict[Any, tuple[int, Any]] = {}
        finished = self._distributed.as_completed(loop=self._client.loop)

        def submit(count: int) -> None:
            for index, item in itertools.islice(source, count):
                with warnings.catch_warnings():
                    # patterns held in memory are sent with each part of their stream
                    warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
                    future = self._client.submit(function, item, pure=False)
                busy[future] = (index, item)
                finished.add(future)

        try:
            submit(_IN_FLIGHT)
            for future in finished:
                if future.status == "pending":
                    # the worker with this result died: it is computed again
                    finished.add(future)
                    continue
                index, item = busy.pop(future)
                result = self._result(future, item)
                submit(1)
                yield index, result
        finally:
            self._client.cancel(list(busy))

    def _result(self, future: Any, item: Any) -> Any:
        if future.status not in ("finished", "error"):
            raise ConnectionError(f"the scheduler was lost while {item} was computed")
        result = _outcome(future)
        return (
            WorkerDiedError(_DIED.format(item=item)) if isinstance(result, self._distributed.KilledWorker) else result
        )

    def _connect(self) -> None:
        if self._client is None:
            try:
                self._client = self._distributed.Client(self._address)
            except OSError as error:
                raise OSError(f"no scheduler answers at {self._address}: {error}") from error

    def close(self) -> None:  # noqa: D102
        if self._client is not None:
            self._client.close()
            self._client = None


def executor(name: str, workers: int | None = None, address: str | None = None) -> Executor:
    """Return the executor of a name: ``serial``, ``processes`` (of so many workers) or ``dask`` (at an address).

    Examples
    --------
    >>> executor("threads")
    Traceback (most recent call last):
        ...
    ValueError: executor is 'threads': it must be one of 'serial', 'processes', 'dask'
    """
    _arguments.one_of("executor", name, ("serial", "processes", "dask"))
    if (address is None) == (name == "dask"):
        raise ValueError(
            f"executor is {name!r}, address {address!r}: dask needs the address of a scheduler, others none"
        )
    if workers is not None and name != "processes":
        raise ValueError(f"workers is {workers} for the executor {name}: only processes take a number of workers")
    return Dask(address) if address is not None else Processes(workers) if name == "processes" else Serial()


def _cores() -> int:
    # not every platform knows which cores this process may use
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
