"""What a person sees of a run: a plan, a progress bar with the time left, one line for each failure, a last line."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from medgen.batch.apply import prepare, repairs, seconds_a_voxel
from medgen.batch.convert import convert
from medgen.batch.logs import event
from medgen.batch.many_machines import spread
from medgen.batch.run import Options, Result, one_line, outputs, run
from medgen.batch.workers import share
from medgen.bundles import Bundle, BundleError
from medgen.scans import Case, Found, ScanError, read


def prepare_output(folder: Path) -> None:
    """Make the output folder and prove that it can be written to, before any work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BundleError(f"{folder}: cannot be written to ({error.strerror}); choose another output folder") from None


def plan(bundle: Bundle, cases: list[Case], errors: list[ScanError], options: Options, console: Console) -> int:
    """Print what a run would do, how much memory it needs and about how long it takes; return the bad cases."""
    each = seconds_a_voxel(bundle, uncertainty=options.uncertainty, samples=options.samples, fills=options.fills)
    inferer = bundle.get("inferer")
    inferer.memory = options.memory
    failed, seconds, memory = len(errors), 0.0, 0.0
    for case in cases:
        try:
            scan = read(case, permissive=options.permissive, repair=repairs(bundle))
            voxels, need = inferer.cost(prepare(bundle, scan)["image"].shape[1:], bundle.network, bundle.channels)
        except (ScanError, ValueError, RuntimeError) as error:
            console.print(f"would fail: {one_line(case, error)}")
            failed += 1
            continue
        took = voxels * each
        seconds, memory = seconds + took, max(memory, need)
        shape = "x".join(map(str, scan.image.shape[1:]))
        console.print(f"{case.name}: {scan.modality or case.kind} {shape}, about {took:.1f} s -> {outputs(bundle, case, options)['']}")
    for unread in errors:
        console.print(f"would fail: {unread}")
    console.print(
        f"{len(cases) + len(errors) - failed} of {len(cases) + len(errors)} can be run on {bundle.device}: "
        f"about {seconds:.0f} s of network time, up to {memory / 2**30:.1f} GiB of memory beside the program's own"
    )
    return failed


def follow(
    bundle: Bundle, cases: list[Case], errors: list[ScanError], options: Options, console: Console, json_lines: bool = False
) -> int:
    """Run all cases, show how it goes, and return how many failed."""
    failures = [str(error) for error in errors]
    written = skipped = 0
    begun = time.monotonic()
    engine = spread if options.scheduler else share if options.workers > 1 else run
    event("start", bundle=bundle.root.name, bundle_sha256=bundle.sha256, device=bundle.device, cases=len(cases), unread=len(errors))
    with _bar(console, json_lines) as bar:
        task = bar.add_task(cases[0].name, total=len(cases))
        for number, result in enumerate(engine(bundle, cases, options), start=1):
            following = cases[number].name if number < len(cases) else "writing"
            bar.update(task, advance=1, description=following)
            if result.error:
                failures.append(result.error)
            written += bool(result.files)
            skipped += not result.files and not result.error
            left = (time.monotonic() - begun) / written * (len(cases) - number) if written else None
            event("progress", settled=number, cases=len(cases), failed=len(failures), seconds_left=left and round(left, 1))
            tell(result, f"{number}/{len(cases)}", console, json_lines)
    event("end", written=written, kept=skipped, failed=len(failures))
    if not json_lines:
        for error in errors:
            console.print(f"failed: {error}", markup=False)
        notes = [f"{written} written to {options.url or options.output}"]
        notes += [f"{skipped} were there already (--overwrite does them again)"] if skipped else []
        notes += [f"{len(failures)} failed (--retry tries them again)"] if failures else []
        console.print(", ".join(notes), markup=False)
    return len(failures)


def tell(result: Result, number: str, console: Console, json_lines: bool) -> None:
    """Print what became of one case: a JSON object, or lines with its number; nothing of what was done before."""
    if json_lines:
        files = [str(path) for path in result.files]
        about = {"seconds": result.seconds, "error": result.error, "warnings": result.warnings}
        print(json.dumps({"case": result.case.name, "files": files, **about}), flush=True)
        return
    if result.files:
        console.print(f"[{number}] {result.case.name}: {result.seconds:.1f} s -> {result.files[0]}", markup=False)
    elif result.error:
        console.print(f"[{number}] failed: {result.error}", markup=False)
    for warning in result.warnings:
        console.print(f"{result.case.name}: warning: {warning}", markup=False)


def follow_conversion(
    found: Found, output: Path, console: Console, permissive: bool, four_d: bool, overwrite: bool, json_lines: bool
) -> int:
    """Convert all cases to NIfTI, say for each what became of it, and return how many were refused."""
    refused = [str(error) for error in found.errors]
    written = kept = 0
    with _bar(console, json_lines) as bar:
        task = bar.add_task("converting", total=len(found.cases))
        for result in convert(found.cases, output, permissive=permissive, four_d=four_d, overwrite=overwrite):
            bar.update(task, advance=1, description=result.case.name)
            if result.error:
                refused.append(result.error)
            written += len(result.files)
            kept += not result.files and not result.error
            if json_lines:
                about = {"files": [str(path) for path in result.files], "error": result.error, "warnings": result.warnings}
                print(json.dumps({"case": result.case.name, **about}))
                continue
            if result.files:
                more = f" and {len(result.files) - 1} more" if len(result.files) > 1 else ""
                console.print(f"{result.case.name} -> {result.files[0]}{more}", markup=False)
            for warning in result.warnings:
                console.print(f"{result.case.name}: warning: {warning}", markup=False)
    if not json_lines:
        for line in (*(f"skipped: {line}" for line in found.skipped), *(f"refused: {line}" for line in refused)):
            console.print(line, markup=False)
        already = f", {kept} scans were there already (--overwrite does them again)" if kept else ""
        console.print(f"{written} files written to {output}{already}, {len(refused)} scans refused", markup=False)
    return len(refused)


def _bar(console: Console, json_lines: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=json_lines or not console.is_terminal, transient=True)
