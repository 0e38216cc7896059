"""The same batch on the workers of a Ray cluster, or of this machine."""

import logging
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from anifacediff.batch.animator import Animator, Result
from anifacediff.batch.rows import Row
from anifacediff.batch.run import Batch
from anifacediff.errors import ConfigurationError

MOST_BLOCKS = 10_000
"""Ray keeps account of blocks of rows; more of them slow it down."""


@dataclass(frozen=True)
class OnRay:
    """Makes clips with Ray Data; what a killed worker had under way is made again by another.

    Every worker has one processor core, and one GPU if the cluster has any. Inputs and the folder of clips must be
    at the same place on all machines.

    Args:
        workers: how many, each with a model of its own.
        address: of a cluster that runs, such as ``"auto"`` or ``"ray://head:10001"``; if None, one is started on this
            machine for the time of the batch.

    Raises:
        ConfigurationError: when called, if Ray is not installed, the cluster cannot be reached, or its workers cannot
            be started, such as for want of a file of the model.
    """

    workers: int
    address: str | None = None

    def __call__(self, rows: Sequence[Row], batch: Batch) -> Iterator[Result]:
        ray = _imported_ray()
        with _connected(ray, self.workers, self.address):
            data = ray.data.from_items([_cells(row) for row in rows], override_num_blocks=min(len(rows), MOST_BLOCKS))
            made = data.map_batches(
                Animator,
                fn_constructor_args=(batch.folder.absolute(), batch.build, batch.name),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=min(self.workers, len(rows))),
                num_cpus=1,
                num_gpus=1 if ray.cluster_resources().get("GPU") else 0,
            )
            try:
                for cells in made.iter_rows():
                    yield Result(**cells)
            except ray.exceptions.RayError as error:
                raise ConfigurationError(f"The workers cannot go on: {_last_line(error)}") from error


def _cells(row: Row) -> dict[str, object]:
    return {**asdict(row), "reference": str(row.reference), "driving": str(row.driving)}


@contextmanager
def _connected(ray: Any, workers: int, address: str | None) -> Generator[None]:
    """Connected to a cluster; to one that was there before, if any."""
    if ray.is_initialized():
        yield
        return
    here: dict[str, object] = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone unless the user wants it
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = address or "on this machine"
        raise ConfigurationError(f"Ray ({where}) cannot be reached: {error}") from error
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield
    finally:
        ray.shutdown()


def _imported_ray() -> Any:
    try:
        ray = import_module("ray")
        import_module("ray.data")
    except ImportError as error:
        raise ConfigurationError(f"Ray cannot be imported ({error}); pip install 'anifacediff[ray]'.") from error
    return ray


def _last_line(error: Exception) -> str:
    """What was raised in the worker, behind its traceback."""
    return str(error).strip().splitlines()[-1]
