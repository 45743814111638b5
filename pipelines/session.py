"""The Ray that a command works with: the cluster that was named, or one of this machine's cores that nobody else can reach."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from app.contracts.landing import VERSIONS
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import plan, run
from pipelines.executor import InProcess, RayData
from pipelines.progress import Observer, Silent


def start_ray(settings: Settings) -> Callable[[], None]:
    """Connect to the cluster that was named, or start one here that nobody else can reach; returns what ends it again."""
    import ray.data

    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if ray.is_initialized():
        return lambda: None
    if settings.ray_address:
        ray.init(address=settings.ray_address, log_to_driver=False, logging_level=logging.ERROR)
    else:
        ray.init(
            address="local",
            num_cpus=settings.workers,
            include_dashboard=False,
            object_store_memory=settings.object_store_bytes,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    _look_often()
    if not settings.ray_address:
        _warm_up(settings)
    return ray.shutdown


@contextmanager
def ray_running(settings: Settings, observer: Observer) -> Iterator[None]:
    """Ray, for as long as the work within takes."""
    observer.begun("start Ray", 1)
    stop = start_ray(settings)
    observer.ended("start Ray")
    try:
        yield
    finally:
        stop()


def _look_often() -> None:
    """Let Ray Data's scheduler look for finished tasks every 30 ms and for free cores every 100 ms.

    It looks every 100 ms and every second, and takes a cluster for one of a single core until its second look: with stages of a few
    seconds, a tenth of a run is idle time. Ray has no option for either (docs/adr/0008); a test fails when Ray renames them.
    """
    from ray.data._internal.execution import resource_manager, streaming_executor_state

    streaming_executor_state.WAIT_FOR_TASK_COMPLETION_TIMEOUT_S = 0.03
    resource_manager.ResourceManager.GLOBAL_LIMITS_UPDATE_INTERVAL_S = 0.1  # type: ignore[assignment]  # Ray writes 1 and means seconds


def _warm_up(settings: Settings) -> None:
    """Let each worker do a run of one record: imports and compiled kernels are then there when the real one begins."""
    for _ in RayData(settings).map(_run_one_record, range(settings.workers or os.cpu_count() or 1)):
        pass


def _run_one_record(_: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        landing, lake = Path(folder) / "landing", Path(folder) / "lake"
        landing.mkdir()
        lake.mkdir()
        record = "1,2026-01-01T00:00:00Z,000000,00000000,,,,1,GBP,,GB,"
        (landing / "one.csv").write_text(f"{','.join(VERSIONS[1])}\n{record}\n")
        sources = plan.source_files([str(landing)], [], {})
        run.run(Storage(str(lake)), sources, Settings(), InProcess(), Silent(), datetime(2026, 1, 1, tzinfo=UTC))
