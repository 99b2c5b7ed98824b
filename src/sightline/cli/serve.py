"""``sightline serve``."""

import click

from sightline.cli.options import with_settings
from sightline.errors import SightlineError
from sightline.settings import Settings


@click.command(name="serve")
@with_settings(
    "host",
    "port",
    "model",
    "engine",
    "precision",
    "threads",
    "decoders",
    "memory_mb",
    "batch_max",
    "waiting_max",
    "deadline_s",
    "retention_days",
    "allowed_hosts",
    "tls",
    "tls_cert",
    "tls_key",
)
def command(settings: Settings) -> None:
    """Serve the web page and the HTTP interface until Ctrl-C."""
    from sightline.cli.qr import square  # noqa: PLC0415
    from sightline.private import need_to_write, private_folder  # noqa: PLC0415
    from sightline.web.serve import serve  # noqa: PLC0415 - the web server loads only when it is wanted
    from sightline.worker.crew import Crew  # noqa: PLC0415

    if settings.model:
        _say_if_missing(settings)
    if not (settings.database and settings.blobs):
        need_to_write(private_folder(settings.data_path))
    with Crew(settings):
        serve(settings, square)


def _say_if_missing(settings: Settings) -> None:
    """A default model that is not there may still come, so serving begins; nobody should have to guess."""
    from sightline.registry import Registry  # noqa: PLC0415

    try:
        Registry(settings).resolve(settings.model)
    except SightlineError as error:
        wait = "Until it is there, only requests that name another model are answered."
        click.echo(" ".join(filter(None, (error.message, error.next_step, wait))), err=True)
