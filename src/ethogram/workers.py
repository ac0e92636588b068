"""Where jobs run: in this process, in processes of this machine, or on the workers of a Ray cluster.

A job is a picklable callable of (number, watch). Ray is started for the time of the search, without its dashboard,
usage reports and questions to a cloud's metadata service; it listens on the machine's own address, whatever it is
told, and asks for a token that it makes anew. A cluster that `ray.init` was told of before is used as it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

from ethogram.errors import MissingExtra

Job = Callable[..., Any]


class Pool(Protocol):
    """What runs jobs."""

    def submit(self, number: int, watch: Any) -> Any:
        """Begin; returns a handle."""

    def wait(self, running: list[Any]) -> list[Any]:
        """Handles that have ended, at least one."""

    def result(self, ended: Any) -> Any:
        """What the job returned; raises what it raised."""


class Here:
    """In this process, when `submit` is called."""

    def __init__(self, job: Job):
        self.job = job

    def submit(self, number: int, watch: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(self.job(number, watch))
        except Exception as error:
            future.set_exception(error)
        return future

    def wait(self, running: list[Any]) -> list[Any]:
        return running

    def result(self, ended: Any) -> Any:
        return ended.result()


class Processes(Here):
    """In processes of their own, one torch and BLAS thread each."""

    def __init__(self, job: Job, executor: ProcessPoolExecutor):
        super().__init__(job)
        self.executor = executor

    def submit(self, number: int, watch: Any) -> Future[Any]:
        return self.executor.submit(self.job, number)

    def wait(self, running: list[Any]) -> list[Any]:
        return list(wait(running, return_when=FIRST_COMPLETED).done)


class Ray:
    """On Ray's workers."""

    def __init__(self, job: Job, home: str):
        import ray

        self.ray = ray
        held = ray.put(job)

        def told(job: Job, number: int) -> Any:
            os.environ["HOME"] = home  # of the caller, for caches
            return job(number)

        self.remote = ray.remote(num_cpus=1, max_retries=0)(told)
        self.job = held

    def submit(self, number: int, watch: Any) -> Any:
        return self.remote.remote(self.job, number)

    def wait(self, running: list[Any]) -> list[Any]:
        return list(self.ray.wait(running, num_returns=1)[0])

    def result(self, ended: Any) -> Any:
        try:
            return self.ray.get(ended)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None


@contextlib.contextmanager
def pool(job: Job, workers: int, on: str) -> Iterator[Pool]:
    """A pool of so many workers, ended when the block ends.

    Parameters
    ----------
    on : ``here`` or ``ray``.

    Raises
    ------
    MissingExtra
        Ray is not installed.
    """
    if on == "ray":
        with _ray(workers) as home:
            yield Ray(job, home)
    elif workers == 1:
        yield Here(job)
    else:
        with ProcessPoolExecutor(workers, get_context("spawn"), _one_thread) as executor:
            yield Processes(job, executor)


def _one_thread() -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


@contextlib.contextmanager
def _ray(workers: int) -> Iterator[str]:
    home = str(Path.home())
    # before it is imported: it reads them then
    settings = {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="ethogram-ray-") as quiet, _environment(settings):
        try:
            import ray
        except ImportError as error:
            raise MissingExtra("on='ray' needs Ray: pip install 'ethogram[ray]'.") from error
        if ray.is_initialized():
            yield home
            return
        # the one switch for the questions to a cloud's metadata service is this file in the home folder
        Path(quiet, "ray_bootstrap_config.yaml").touch()
        with _environment({"HOME": quiet}):
            ray.init(
                num_cpus=workers, include_dashboard=False, log_to_driver=False,
                object_store_memory=200 * 2**20, logging_level=logging.ERROR,
            )  # fmt: skip
            try:
                yield home
            finally:
                ray.shutdown()


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
