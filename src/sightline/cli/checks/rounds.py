"""All checks, in the order of the doctor's round: cheap ones first, the whole road last."""

from collections.abc import Callable, Iterator

from sightline.cli.checks import machine, models, safety
from sightline.cli.checks.finding import Finding
from sightline.settings import Settings

CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    machine.python,
    machine.processor,
    machine.memory,
    machine.engines,
    machine.disk,
    machine.cameras,
    safety.settings_are_safe,
    safety.files,
    safety.port,
    models.shelf,
    models.road,
)


def rounds(settings: Settings) -> Iterator[Finding]:
    """Every finding, as soon as it is made; a check that breaks is a finding too, not the end."""
    for check in CHECKS:
        try:
            yield from check(settings)
        except Exception as error:  # noqa: BLE001 - a doctor that faints helps nobody
            words = f"This check broke: {type(error).__name__}: {error}"
            yield Finding(
                check.__name__.replace("_", " "), "problem", words, "Report it as a bug in Sightline."
            )
