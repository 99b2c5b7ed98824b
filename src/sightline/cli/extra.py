"""Commands that need the extra ``train``."""

from importlib.util import find_spec

from sightline.errors import ConfigError


def need_torch(command: str) -> None:
    """Say what to do before an import fails in the middle.

    Raises:
        ConfigError: torch or torchvision is not installed.
    """
    missing = [
        name for name in ("torch", "torchvision", "onnxscript", "pycocotools") if find_spec(name) is None
    ]
    if missing:
        raise ConfigError(
            f"`sightline {command}` needs {' and '.join(missing)}, which the core install leaves out.",
            next_step="Use .venv-dev/bin/sightline, which `make test` makes, or install the extra `train`.",
        )
