"""Cameras on this machine or its network, and video files: frames over time, looked at along the one road.

``source`` reads what a person typed; ``capture`` (OpenCV, in a child that can be killed) and ``http_camera``
(no OpenCV) open it; ``motion`` says whether anything changed; ``loop`` watches one source for as long as it
is wanted; ``records`` writes down what was seen; ``manager`` has the watches of a server. ``film``,
``tracking`` and ``writer`` make a film of a film.
"""
