"""``sightline``: the group of commands. Nothing heavy may be imported from here."""

import click

from sightline import __version__
from sightline.cli.lazy import Root

_COMMANDS = {
    "predict": ("sightline.cli.predict", "Say what is in pictures."),
    "watch": ("sightline.cli.watch", "Watch cameras and videos."),
    "serve": ("sightline.cli.serve", "Serve the web page and the HTTP interface."),
    "worker": ("sightline.cli.worker", "Work on jobs: many pictures, videos, evaluations."),
    "jobs": ("sightline.cli.jobs.group", "Look at jobs, wait for them, take their results."),
    "models": ("sightline.cli.models.group", "List, import, pull, measure and remove models."),
    "pipelines": ("sightline.cli.pipelines.group", "Chain models: list, show and change pipelines."),
    "rules": ("sightline.cli.rules.group", "Do something when something is seen."),
    "train": ("sightline.cli.train", "Train a model by a recipe."),
    "evaluate": ("sightline.cli.evaluate", "Measure a model on labelled pictures."),
    "doctor": ("sightline.cli.doctor", "Check this machine and this installation."),
    "config": ("sightline.cli.config", "Show every setting and where its value came from."),
    "completion": ("sightline.cli.completion", "Print the completion script of a shell."),
}


@click.group(
    cls=Root,
    table=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try `sightline predict photo.jpg`, or `sightline serve` and open the address that it prints.",
)
@click.version_option(__version__, "-V", "--version", prog_name="sightline", message="%(prog)s %(version)s")
@click.option("--traceback", is_flag=True, help="Show the trace of an unforeseen error.")
def cli(traceback: bool) -> None:
    """Sightline: say what is in a picture, on your own machine."""
    del traceback  # read from the context by the border that catches errors
