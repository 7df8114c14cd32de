"""The command that waits for scans: in a folder, or from a PACS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from medgen.cli.app import Device, LogJson, Permissive, app, console, fail
from medgen.cli.bundles import Format, _check_format, _settings


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(help="folder that scans arrive in")],
    bundle: Annotated[str, typer.Option("--bundle", "-b", help="a bundle's name (medgen bundles) or folder")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the results")],
    quiet: Annotated[float, typer.Option(min=0, help="a scan is complete after so many seconds without a change")] = 10.0,
    poll: Annotated[float, typer.Option(min=0.05, help="seconds between looks at the folder")] = 2.0,
    receive: Annotated[Optional[str], typer.Option(help="[HOST:]PORT to receive DICOM on, into the folder; 127.0.0.1")] = None,
    send: Annotated[Optional[str], typer.Option(help="AET@HOST:PORT of a PACS to send the results to, as DICOM")] = None,
    my_aet: Annotated[str, typer.Option("--my-aet", help="this side's AE title")] = "MEDGEN",
    uncertainty: Annotated[bool, typer.Option("--uncertainty", help="also write a standard deviation map")] = False,
    setting: Annotated[list[str], typer.Option("--set", help="NAME=VALUE of a setting of the bundle (medgen info)")] = [],  # noqa: B006
    device: Device = None,
    format: Format = "auto",
    deidentify: Annotated[bool, typer.Option("--deidentify", help="no patient data in results or their names")] = False,
    permissive: Permissive = False,
    memory: Annotated[Optional[float], typer.Option(help="GiB that one scan may take at most; the tiles shrink to it")] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="one JSON line a case, for machines")] = False,
    log_json: LogJson = None,
) -> None:
    """Run a bundle on each new scan in a folder. Example: medgen watch incoming/ --bundle BUNDLE -o out/

    Until it is stopped (Ctrl-C, SIGTERM); started again, it goes on. Each scan is done once, whatever becomes of its result.
    With --receive 11112 the folder is the inbox of a DICOM receiver; with --send PACS@host:104 the results go to a PACS.
    """
    _check_format(format)
    if send and format not in ("auto", "dicom", "same"):
        raise fail(f"--send sends DICOM; leave --format {format} out")
    import signal
    from contextlib import ExitStack
    from threading import Event

    from medgen.batch import progress
    from medgen.batch import receive as receiver
    from medgen.batch import watch as watching
    from medgen.batch.association import PacsError
    from medgen.batch.derivative import bids_of, describe_derivative
    from medgen.batch.logs import write_json_lines
    from medgen.batch.outbox import Outbox
    from medgen.batch.run import Options
    from medgen.bundles import BundleError, open_bundle
    from medgen.scans import ScanError

    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        if log_json:
            write_json_lines(log_json)
        listen = receiver.address(receive) if receive else None
        pacs = receiver.peer(send, my_aet) if send else None
        if listen:
            progress.prepare_output(folder)
        elif not folder.is_dir():
            raise BundleError(f"{folder}: there is no such folder; check the path")
        opened = open_bundle(bundle, device, _settings(setting))
        opened.network  # noqa: B018  a missing or altered checkpoint stops here
        format = "same" if send and format == "auto" else format
        bids = None if send else bids_of([folder], format, deidentify)
        if bids:
            describe_derivative(output, bids, opened)
        progress.prepare_output(output)
        options = Options(output, uncertainty, format=format, deidentify=deidentify, permissive=permissive, memory=memory, bids=bids)
        screen = console()
        told = None if json_lines else screen
        outbox = Outbox(pacs, output, opened.root.name, told) if pacs else None
        with ExitStack() as stack:
            inbox = stack.enter_context(receiver.receiving(folder, listen, my_aet, opened.root.name)) if listen else None
            if listen and not receiver.is_loopback(listen[0]):
                print(f"medgen: warning: whoever reaches {receive} can send scans to it; let a firewall pass the PACS only", file=sys.stderr)
            if listen and told:
                told.print(f"receiving on {listen[0]}:{listen[1]} as {my_aet}", markup=False)
            results = watching.watch(opened, folder, options, quiet=quiet, poll=poll, stop=stop, console=told, inbox=inbox, outbox=outbox)
            watching.show(results, screen, json_lines)
    except (BundleError, ScanError, PacsError) as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
