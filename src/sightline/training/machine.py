"""What a model was trained on, in a few words."""

import os
import platform

import torch

from sightline.runtime.features import this_machine


def machine() -> str:
    """Processor and versions, without names of this machine."""
    cores = len(os.sched_getaffinity(0))
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{this_machine().describe()}, {cores} cores, {versions}"
