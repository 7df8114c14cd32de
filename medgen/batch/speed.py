"""How fast a bundle is on this machine, and how much memory it takes: measured, with the hardware named."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from medgen.batch import tables
from medgen.batch.apply import apply
from medgen.batch.evaluate import line_of, save
from medgen.batch.pairing import masks_of, read_mask
from medgen.batch.quality import Row
from medgen.batch.run import Options, run
from medgen.bundles import Bundle
from medgen.scans import Case, Scan, ScanError, read

DEFINITIONS = {
    "read_seconds": "wall time to read the scan, once",
    "seconds": "wall time from the scan in memory to the result in memory, median of the repeats; a first run warms up and does "
    "not count",
    "fastest, slowest": "the least and the most of the repeats, seconds",
    "voxels_per_second": "voxels of the input / seconds",
    "peak_gib": "most memory of the process during the repeats, beyond that before, GiB; empty where the system does not tell",
    "device_peak_gib": "most memory that PyTorch took on the CUDA device, network included, GiB; empty on a CPU",
    "throughput": "all scans in one run of medgen run: read, restored and written as NIfTI, network already loaded",
}
GIB = 2.0**30


def speed(
    bundle: Bundle, cases: list[Case], repeats: int, mask: Path | None, output: Path | None, console: Console
) -> int:
    """Time a bundle on scans, one by one and as one batch, and print a table; write speed.csv and .json in `output`.

    Returns the number of failures.
    """
    masks = masks_of(mask, cases) if mask else {}
    rows: list[Row] = []
    failures: list[str] = []
    for case in cases:
        try:
            started = time.perf_counter()
            scan = read(case)
            seconds = time.perf_counter() - started
            rows.append({"case": case.name, "shape": "x".join(map(str, scan.image.shape[1:])), "read_seconds": seconds,
                         **_time(bundle, scan, read_mask(masks.get(case.name), scan), repeats)})  # fmt: skip
        except (ScanError, ValueError, RuntimeError, MemoryError) as error:
            failures.append(line_of(case, error))
    whole = _throughput(bundle, [case for case in cases if any(row["case"] == case.name for row in rows)], mask) if rows else {}
    machine = hardware(bundle.device)
    _print(rows, whole, machine, failures, console)
    report = {
        "definitions": DEFINITIONS, "bundle": bundle.root.name, "bundle_version": bundle.metadata.get("version"),
        "settings": bundle.settings, "hardware": machine, "repeats": repeats, "throughput": whole, "failures": failures,
    }  # fmt: skip
    return len(failures) + (save(output, "speed", rows, report, console) if rows else 0)


def hardware(device: str) -> dict[str, Any]:
    """Return what the numbers were measured on: processor, threads, memory, and the CUDA device where one was used."""
    found: dict[str, Any] = {
        "device": device,
        "processor": _line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    memory = _line("/proc/meminfo", "MemTotal")
    if memory:
        found["memory_gib"] = round(int(memory.split()[0]) / 2**20, 1)
    if hasattr(os, "getloadavg"):
        found["load_before"] = round(os.getloadavg()[0], 2)  # a busy machine is slower: to be judged by who reads it
    if device.startswith("cuda"):
        about = torch.cuda.get_device_properties(device)
        found |= {"gpu": about.name, "gpu_memory_gib": round(about.total_memory / GIB, 1), "cuda": torch.version.cuda}
    return found


def _time(bundle: Bundle, scan: Scan, mask: Scan | None, repeats: int) -> Row:
    cuda = bundle.device.startswith("cuda")
    before = _reset_peak()
    if cuda:
        torch.cuda.reset_peak_memory_stats(bundle.device)
    took = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        apply(bundle, scan, mask)  # whose result is in host memory: the device has nothing left to do
        took.append(time.perf_counter() - started)
    took = took[1:]
    peak = _peak("VmHWM")
    seconds = statistics.median(took)
    return {
        "seconds": seconds,
        "fastest": min(took),
        "slowest": max(took),
        "voxels_per_second": scan.image[0].numel() / seconds,
        "peak_gib": None if before is None or peak is None else max(peak - before, 0) / GIB,
        "device_peak_gib": torch.cuda.max_memory_allocated(bundle.device) / GIB if cuda else None,
    }


def _throughput(bundle: Bundle, cases: list[Case], mask: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        results = list(run(bundle, cases, Options(Path(folder), mask=mask)))
        seconds = time.perf_counter() - started
    done = sum(result.error is None for result in results)
    return {"scans": done, "seconds": seconds, "scans_per_hour": 3600 * done / seconds}


def _reset_peak() -> int | None:
    """Start the process's peak memory anew and return its memory now, in bytes; None where that cannot be done."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _peak("VmRSS")


def _peak(word: str) -> int | None:
    text = _line("/proc/self/status", word)
    return int(text.split()[0]) * 1024 if text else None


def _line(path: str, word: str) -> str:
    """Return what stands behind a word and a colon in a file of the system; nothing where there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(word)), "")


def _print(rows: list[Row], whole: dict[str, Any], machine: dict[str, Any], failures: list[str], console: Console) -> None:
    table = Table("scan", "shape", "read (s)", "seconds", "voxels/s", "memory (GiB)", "on device (GiB)", box=None)
    for row in rows:
        cells = [tables.cell(row[name], ".3g") for name in ("read_seconds", "seconds", "voxels_per_second", "peak_gib", "device_peak_gib")]
        table.add_row(str(row["case"]), str(row["shape"]), *cells)
    if rows:
        console.print(table)
        console.print(
            f"all {whole['scans']}, read, restored and written: {whole['seconds']:.1f} s, {whole['scans_per_hour']:.0f} scans an hour",
            markup=False,
        )
        console.print("on: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items()), markup=False)
    for failure in failures:
        console.print(f"failed: {failure}", markup=False)
