"""Cameras on a machine and video files: frames over time."""
