"""Judging models through the served pipeline."""

from sightline.evaluation.evaluate import Rules, evaluate
from sightline.evaluation.report import ClassRow, Figure, Report

__all__ = ["ClassRow", "Figure", "Report", "Rules", "evaluate"]
