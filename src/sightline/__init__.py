"""Sightline: self-hosted computer vision."""

__version__ = "0.1.0"
