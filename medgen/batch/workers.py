"""A run in several processes, which claim their cases from one ledger; each loads the network once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

import torch

from medgen.batch.claims import POLL, Claims
from medgen.batch.ledger import Ledger, RunStopped
from medgen.batch.logs import log_target, write_json_lines
from medgen.batch.run import Options, Result, begin, run, works
from medgen.bundles import Bundle, BundleError
from medgen.scans import Case


def share(bundle: Bundle, cases: list[Case], options: Options) -> Iterator[Result]:
    """Yield the result of each case, in the order in which they end, from `options.workers` processes.

    A worker that is killed costs nothing but its time: another does its cases. Raises as `run` does, and `RunStopped` where
    all workers were killed.
    """
    with Ledger(options.output) as ledger:
        work = works(bundle, cases, options)
        begin(ledger, work, options)
        claims, left = Claims(ledger, work), []
        for one in work:
            (row,) = ledger.rows(one.name)
            settled = None if row.state == "running" else claims.settled(one, row)
            if settled is None:
                left.append(one.case)
            else:
                yield Result(one.case, error=settled.reason)
        if left:
            yield from _gather(bundle, left, replace(options, retry=False, overwrite=False), ledger)  # both are planned


def _gather(bundle: Bundle, cases: list[Case], options: Options, ledger: Ledger) -> Iterator[Result]:
    context = get_context("spawn")
    workers, readers = [], []
    try:
        for number in range(options.workers):
            reader, writer = context.Pipe(duplex=False)
            arguments = (writer, bundle.root, _device(bundle.device, number), bundle.settings, cases, options, log_target())
            workers.append(context.Process(target=_work, args=arguments, daemon=True))
            workers[-1].start()
            writer.close()  # so that the pipe ends with the worker
            readers.append(reader)
        settled: dict[str, Result] = {}
        told: set[str] = set()
        absent = options.workers  #: who are starting, and not in the ledger yet: this process stands for them
        ledger.lead(absent)
        while readers:
            before, absent = absent, min(absent, max(0, len(readers) - len(ledger.others()))) if absent else 0
            if absent != before:
                ledger.lead(absent)
            for ready in cast("list[Connection]", wait(readers, POLL if absent else None)):
                try:
                    sent = ready.recv()
                except (EOFError, OSError):
                    readers.remove(ready)
                    continue
                if isinstance(sent, BundleError):
                    raise sent
                settled[sent.case.name] = sent
                if (sent.files or sent.error) and sent.case.name not in told:
                    told.add(sent.case.name)
                    yield sent
        for case in cases:
            if case.name in settled and case.name not in told:
                yield settled[case.name]
        if len(settled) < len(cases):
            raise RunStopped(
                f"all {options.workers} workers were killed (for want of memory?) with {len(cases) - len(settled)} cases left; "
                "give --memory or fewer --workers, and the same again goes on"
            )
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()


def _work(
    pipe: Connection, root: Path, device: str, settings: dict[str, Any], cases: list[Case], options: Options, log: str | None
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends its workers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what is held is given back
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, min(torch.get_num_threads(), cores // options.workers)))
    if log is not None:
        write_json_lines(log)
    with suppress(BrokenPipeError):  # without its parent a worker ends
        try:
            for result in run(Bundle(root, device, settings), cases, options):
                pipe.send(result)
        except BundleError as error:
            pipe.send(error)


def _device(device: str, number: int) -> str:
    """Return the device of a worker: "cuda" is the machine's GPUs in turn."""
    return f"cuda:{number % torch.cuda.device_count()}" if device == "cuda" else device
