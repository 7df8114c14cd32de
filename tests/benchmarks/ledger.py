"""What a run survives, in numbers, with tiny scans and a network that costs next to nothing:

    python -m tests.benchmarks.ledger kills [--count 300] [--workers 4]    # SIGKILL at random moments
    python -m tests.benchmarks.ledger bad [--count 1000]                   # 10 % of the scans are bad, in ten ways
    python -m tests.benchmarks.ledger full [--count 30]                    # the disk fills at random moments
    python -m tests.benchmarks.ledger memory [--count 1000]                # resident memory along a run
    python -m tests.benchmarks.ledger machines [--count 100] [--workers 4] # as kills, of the workers of a dask scheduler
    python -m tests.benchmarks.ledger pace [--count 2000]                  # what one ledger can hand out and enter

Each prints one line, and ends with an error where a case was lost, halved or done twice, or a result differs from that of
an undisturbed run.
"""

from __future__ import annotations

import argparse
import gzip
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from medgen.batch.claims import Claim, Claims
from medgen.batch.ledger import Ledger, RunStopped
from medgen.batch.many_machines import spread
from medgen.batch.run import Options, run, works
from medgen.batch.sources import enter_sources, keep_names
from medgen.bundles import Bundle, open_bundle
from medgen.scans import Case, find
from tests.batch.killing import assert_same, kill_at_random, tallied, tally
from tests.batch.small_disk import empty, fill, on_small_disk
from tests.batch.tiny import ball, quick_bundle, save, scans


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def _header(**fields: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        image = nib.load(path)
        for name, value in fields.items():
            image.header[name] = value
        path.write_bytes(gzip.compress(image.header.binaryblock + b"\0" * 4 + np.asarray(image.dataobj).tobytes("F")))

    return change


def _array(array: np.ndarray) -> Callable[[Path], None]:
    return lambda path: nib.save(nib.Nifti1Image(array, np.eye(4)), path)


#: Ten ways to be bad.
FAULTS: list[Callable[[Path], None]] = [
    _half, _flip, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"no image"),
    lambda path: path.write_bytes(gzip.compress(b"no image")), _header(sform_code=0, qform_code=0), _header(datatype=1),
    _array(np.full((9, 9, 9), np.nan, np.float32)), _array(np.zeros((9, 9, 9, 3), np.int16)),
    _array(np.zeros((9, 9), np.int16)),
]  # fmt: skip


def kills(bundle: Bundle, folder: Path, count: int, workers: int) -> str:
    cases = find(scans(folder / "in", 60)).cases
    list(run(bundle, cases, Options(folder / "undisturbed")))
    done = rounds = 0
    started = time.perf_counter()
    while done < count:
        output = folder / f"out{rounds}"
        tally(output)
        done += kill_at_random(bundle, cases, Options(output), workers=workers, moments=count - done, pause=0.15, seed=rounds)
        rounds += 1
        if tallied(output) != sorted(f"{case.name}_{bundle.root.name}" for case in cases):
            raise SystemExit(f"{output}: not each case was done once")
        assert_same(output, folder / "undisturbed")
    return (f"SIGKILL at {done} random moments with {workers} workers, of one or all of them, in {rounds} runs of {len(cases)} scans, "
            f"{time.perf_counter() - started:.0f} s: 0 lost, 0 half-written, 0 done twice, outputs equal to an undisturbed run")  # fmt: skip


def bad(bundle: Bundle, folder: Path, count: int) -> str:
    names, broken = [f"s{number:04}" for number in range(count)], set(range(0, count, 10))
    for number, name in enumerate(names):
        path = save(folder / f"in/{name}.nii.gz", ball(number, (16, 15, 14)))
        if number in broken:
            FAULTS[number // 10 % len(FAULTS)](path)
    started = time.perf_counter()
    results = {result.case.name: result for result in run(bundle, find(folder / "in").cases, Options(folder / "out"))}
    seconds = time.perf_counter() - started
    with Ledger(folder / "out") as ledger:
        rows = {row.name.removesuffix(f"_{bundle.root.name}"): row for row in ledger.rows()}
    wrong = [name for number, name in enumerate(names) if (rows[name].state, bool(results[name].files), bool(rows[name].reason))
             != (("failed", False, True) if number in broken else ("done", True, False))]  # fmt: skip
    lines = [name for name in names if rows[name].reason and ("\n" in str(rows[name].reason) or len(str(rows[name].reason)) > 500)]
    if wrong or lines or len(rows) != count:
        raise SystemExit(f"not as it should be: {[(name, rows[name].state, rows[name].reason) for name in (wrong + lines)[:9]]}")
    reasons = {str(rows[name].reason).partition(": ")[2] for name in rows if rows[name].reason}
    return f"{count} scans, {len(broken)} bad: {count - len(broken)} done, {len(broken)} failed with one reason each ({len(reasons)} reasons), {seconds:.0f} s"


def _fill_and_go_on(bundle: Bundle, cases: list[Case], disk: Path, undisturbed: Path, count: int) -> None:
    torch.set_num_threads(1)
    stopped = tries = 0
    chance = random.Random(0)
    started = time.perf_counter()
    list(run(bundle, cases, Options(disk / "paced")))
    whole = time.perf_counter() - started
    while stopped < count and tries < 4 * count:
        options, tries = Options(disk / f"out{tries}"), tries + 1
        timer = threading.Timer(chance.uniform(0, whole), fill, (disk, chance.randrange(0, 40000)))
        timer.start()
        try:
            if any(result.error for result in run(bundle, cases, options)):
                raise SystemExit(f"{options.output}: a full disk was a case's fault")
        except RunStopped:
            stopped += 1
        timer.cancel()
        timer.join()
        for path in options.output.glob("*.nii.gz"):
            if path.read_bytes() != (undisturbed / path.name).read_bytes():
                raise SystemExit(f"{path}: half-written")
        if list(options.output.glob(".part_*")):
            raise SystemExit(f"{options.output}: holds a partial file")
        empty(disk)
        list(run(bundle, cases, options))
        assert_same(options.output, undisturbed)
        shutil.rmtree(options.output)
    print(f"{tries} runs whose disk was full from a random moment on, {stopped} of them stopped: no partial output, all resumed to the "
          "undisturbed result")  # fmt: skip


def full(bundle: Bundle, folder: Path, count: int) -> str:
    cases = find(scans(folder / "in", 8)).cases
    list(run(bundle, cases, Options(folder / "undisturbed")))
    on_small_disk(folder / "disk", 8, _fill_and_go_on, bundle, cases, folder / "disk", folder / "undisturbed", count)
    return ""


def memory(bundle: Bundle, folder: Path, count: int) -> str:
    for number in range(count):
        save(folder / f"in/s{number:04}.nii.gz", ball(number, (48, 48, 48)))
    resident = []
    for _ in run(bundle, find(folder / "in").cases, Options(folder / "out")):
        resident.append(_resident())
    tenth = count // 10
    first, last = (float(np.median(part)) for part in (resident[tenth : 2 * tenth], resident[-tenth:]))
    return (f"{count} scans of 48^3: resident {first:.0f} MiB in the second tenth of the run, {last:.0f} MiB in the last "
            f"({last - first:+.1f}), at most {max(resident):.0f}")  # fmt: skip


def machines(bundle: Bundle, folder: Path, count: int, workers: int) -> str:
    from tests.batch.machines import Killer, cluster

    cases = find(scans(folder / "in", 60)).cases
    list(run(bundle, cases, Options(folder / "undisturbed")))
    done = rounds = 0
    with cluster(folder / "scratch", {f"w{number}": {} for number in range(workers)}) as made:
        started = time.perf_counter()
        list(spread(bundle, cases, Options(folder / "first", scheduler=made.scheduler_address)))
        # so seldom that a worker gets something done between its start and its end, on a busy machine too
        pause = max(0.5, (time.perf_counter() - started) / 8)
        while done < count:
            options = Options(folder / f"out{rounds}", scheduler=made.scheduler_address)
            tally(options.output)
            with Killer(made, pause=pause, seed=rounds, most=count - done) as killer:
                failed = [result.error for result in spread(bundle, cases, options) if not result.files]
            done, rounds = done + killer.kills, rounds + 1
            if failed or tallied(options.output) != sorted(f"{case.name}_{bundle.root.name}" for case in cases):
                raise SystemExit(f"{options.output}: not each case was done once; {failed}")
            assert_same(options.output, folder / "undisturbed")
            print(f"run {rounds}: {done} kills so far, {time.perf_counter() - started:.0f} s", flush=True)
    return (f"{done} kills of {workers} dask workers in {rounds} runs of {len(cases)} scans, {time.perf_counter() - started:.0f} s: "
            "0 lost, 0 half-written, 0 done twice, outputs equal to an undisturbed run")  # fmt: skip


def pace(bundle: Bundle, folder: Path, count: int) -> str:
    source = save(folder / "in/scan.nii.gz", ball(0))
    before = _resident()
    cases, options = [Case(f"scan{number:07}", (source,), "nifti") for number in range(count)], Options(folder / "out")
    work = works(bundle, cases, options)
    started = time.perf_counter()
    enter_sources(bundle, cases, (), [folder / "in"], options)
    with Ledger(options.output) as ledger:
        ledger.plan((one.name, one.bundle) for one in work)
        planned = time.perf_counter() - started
        claims, outputs = Claims(ledger, work), {"": [["scan.nii.gz"], "0" * 64, "0" * 64], "json": [["scan.json"], "0" * 64, "0" * 64]}
        started = time.perf_counter()
        for claim in claims:
            assert isinstance(claim, Claim)
            claims.done(claim, "0" * 64, outputs, 1.0)
        each = (time.perf_counter() - started) / count
    size = (folder / "out/ledger.sqlite").stat().st_size
    started = time.perf_counter()
    keep_names(bundle, cases, options)
    named = time.perf_counter() - started
    return (f"{count} cases planned in {planned:.1f} s, handed out and entered at {1 / each:.0f} a second; {size / count:.0f} bytes of ledger "
            f"and {(_resident() - before) * 2**20 / count:.0f} of memory a case; the names of a second run in {named:.1f} s")  # fmt: skip


def _resident() -> float:
    fields = Path("/proc/self/status").read_text().split()
    return int(fields[fields.index("VmRSS:") + 1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bar", choices=["kills", "bad", "full", "memory", "machines", "pace"])
    parser.add_argument("--count", type=int)
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    torch.set_num_threads(1)  # more of them do not survive a fork
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = open_bundle(str(quick_bundle(folder)), "cpu")
        bundle.network  # noqa: B018  loaded, for those that are forked
        if given.bar == "kills":
            print(kills(bundle, folder, given.count or 300, given.workers))
        elif given.bar == "bad":
            print(bad(bundle, folder, given.count or 1000))
        elif given.bar == "full":
            print(full(bundle, folder, given.count or 30), end="")
        elif given.bar == "machines":
            print(machines(bundle, folder, given.count or 100, given.workers))
        elif given.bar == "pace":
            print(pace(bundle, folder, given.count or 2000))
        else:
            print(memory(bundle, folder, given.count or 1000))


if __name__ == "__main__":
    main()
