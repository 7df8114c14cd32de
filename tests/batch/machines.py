"""dask clusters of real processes on this machine, forked from one that has imported medgen: they start at once."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import dask
import numpy as np
import torch
from distributed import LocalCluster, Nanny, Scheduler, SpecCluster
from distributed.utils import get_mp_context

if TYPE_CHECKING:
    from typing_extensions import Self

GPU = {"GPU": 1.0}


@contextmanager
def cluster(folder: Path, workers: Mapping[str, Mapping[str, float]], env: Mapping[str, str] | None = None) -> Iterator[SpecCluster]:
    """Give a scheduler and workers by name with their resources; each has two threads, and is started again when killed."""
    settings = {
        "distributed.worker.multiprocessing-method": "forkserver",
        # a worker that happens to be down again so long after a kill is given up for good
        "distributed.deploy.lost-worker-timeout": "1 day",
    }
    with dask.config.set(settings):
        get_mp_context().set_forkserver_preload(["medgen.batch.one_case", "s3fs", "tests.batch.machines"])
        common = {"nthreads": 2, "local_directory": str(folder), "memory_limit": "4GB", "env": dict(env or {}), "host": "127.0.0.1",
                  "silence_logs": logging.CRITICAL}  # fmt: skip
        spec = {name: {"cls": Nanny, "options": {**common, "resources": dict(has)}} for name, has in workers.items()}
        scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard": False}}
        with SpecCluster(workers=spec, scheduler=scheduler, silence_logs=logging.CRITICAL) as made:
            yield made


class Killer(threading.Thread):
    """Kills workers of a cluster by SIGKILL at random moments, at `most` so many, until it is stopped; `kills` counts them."""

    def __init__(self, of: SpecCluster, pause: float, seed: int, most: int) -> None:
        super().__init__(daemon=True)
        self.of, self.pause, self.most, self.rng = of, pause, most, np.random.RandomState(seed)
        self.kills, self.stopped = 0, threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.join()

    def run(self) -> None:
        while self.kills < self.most and not self.stopped.wait(self.rng.exponential(self.pause)):
            at_work = [one for one in self.of.workers.values() if one.worker_address in self.of.scheduler.workers and one.pid]
            if at_work:
                os.kill(at_work[self.rng.randint(len(at_work))].pid, signal.SIGKILL)
                self.kills += 1


class Machine:
    """A process that is scheduler and two workers at once, and can be killed as one."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        reader, writer = context.Pipe(duplex=False)
        self.process = context.Process(target=_host, args=(folder, writer), daemon=True)
        self.process.start()
        writer.close()
        self.address: str = reader.recv()

    def kill(self) -> None:
        """Kill it by SIGKILL."""
        os.kill(self.process.pid or 0, signal.SIGKILL)
        self.process.join()


def _host(folder: Path, pipe: Connection) -> None:
    options = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard_address": None, "local_directory": str(folder)}
    with LocalCluster(2, threads_per_worker=2, processes=False, silence_logs=logging.CRITICAL, **options) as made:
        pipe.send(made.scheduler_address)
        while True:
            time.sleep(60)


class Deadly(torch.nn.Conv3d):
    """A network that kills its process over an image with a side of 31."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if 31 in image.shape:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(image)
