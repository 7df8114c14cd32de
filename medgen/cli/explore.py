"""The command that opens a page to make scans by sliders."""

from __future__ import annotations

from typing import Annotated

import typer

from medgen.cli.app import Device, app, fail


@app.command()
def explore(
    bundle: Annotated[str, typer.Argument(help="a bundle that makes scans to order (medgen bundles)")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the page")] = True,
    device: Device = None,
) -> None:
    """Open a page with sliders for age, ventricles, lesions ..., and a viewer: a new synthetic scan in seconds.

    Example: medgen explore BUNDLE

    The page is served to this machine alone, at an address with a random token. Ctrl-C ends it.
    """
    import webbrowser

    from medgen.batch.explore import serve
    from medgen.bundles import BundleError, open_bundle

    try:
        server, folder = serve(open_bundle(bundle, device), port)
    except (BundleError, OSError) as error:
        raise fail(str(error)) from None
    print(f"{server.url}\nCtrl-C ends it.", flush=True)
    if browser:
        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("ended")
    finally:
        server.server_close()
        folder.cleanup()
