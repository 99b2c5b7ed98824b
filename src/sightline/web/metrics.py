"""Prometheus metrics of one application. Labels come from closed sets, so they cannot grow without bound."""

import threading
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from sightline import __version__
from sightline.types import Timing

STAGES: Final = ("decode", "queue", "preprocess", "infer", "postprocess", "total")
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Seen: TypeAlias = tuple[str, int | None]
"""Digest of a model, and the size it was asked for if it has several."""


class Metrics:
    """Counters and histograms, and the text that Prometheus reads."""

    def __init__(self) -> None:
        """An own registry: several applications may live in one process (tests do)."""
        self.registry = CollectorRegistry()
        Info("sightline_build", "Version that runs.", registry=self.registry).info({"version": __version__})
        self._requests = Counter(
            "sightline_requests_total",
            "Answered requests.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "sightline_request_seconds",
            "Request to answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        stages = Histogram(
            "sightline_stage_seconds",
            "Parts of a prediction.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._stages = {name: stages.labels(name) for name in STAGES}
        self._refusals = Counter(
            "sightline_refusals_total", "Refusals by code.", ("code",), registry=self.registry
        )
        self.pictures = Counter("sightline_pictures_total", "Pictures answered.", registry=self.registry)
        self._engines = Counter(
            "sightline_engine_pictures_total",
            "Pictures answered, by what computed them.",
            ("engine", "precision"),
            registry=self.registry,
        )
        self._live = Counter(
            "sightline_live_pictures_total",
            "Pictures of live connections: answered, or replaced by a newer one before they were begun.",
            ("fate",),
            registry=self.registry,
        )
        self.stored = Counter("sightline_stored_total", "Results stored.", registry=self.registry)
        self.gone = Counter(
            "sightline_clients_gone_total", "Clients that left first.", registry=self.registry
        )
        self._lock = threading.Lock()
        self._at_the_door: tuple[Counter, Histogram, Counter] | None = None
        self._speeds: dict[Seen, tuple[int, float, float]] = {}
        self.running = Gauge("sightline_requests_running", "Requests inside now.", registry=self.registry)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request is over; ``route`` is the template, never the path."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def turned_away(self, route: str) -> None:
        """A request was refused at the door: the cheapest way to say ``refused`` and ``answered``."""
        if self._at_the_door is None:
            labels = self._requests.labels(route, "POST", "503"), self._seconds.labels(route)
            self._at_the_door = *labels, self._refusals.labels("busy")
        requests, seconds, refusals = self._at_the_door
        requests.inc()
        seconds.observe(0.0)
        refusals.inc()

    def live(self, answered: int, replaced: int) -> None:
        """A live connection has ended."""
        self._live.labels("answered").inc(answered)
        self._live.labels("replaced").inc(replaced)

    def refused(self, code: str) -> None:
        """A problem was sent; ``code`` is from the closed table."""
        self._refusals.labels(code).inc()

    def looked(self, seen: Seen, engine: str, timing: Timing) -> None:
        """One picture was answered by that model, at that size, on ``engine`` (its name and precision)."""
        self.pictures.inc()
        self._engines.labels(*engine.split(" ", maxsplit=1)).inc()
        with self._lock:
            count, infer, total = self._speeds.get(seen, (0, 0.0, 0.0))
            self._speeds[seen] = (count + 1, infer + timing.infer, total + timing.total)
        for name in STAGES:
            self._stages[name].observe(getattr(timing, name) / 1000)

    def speed_of(self, seen: Seen) -> dict[str, float] | None:
        """Mean milliseconds of a model at a size on this server, once it has answered."""
        count, infer, total = self._speeds.get(seen, (0, 0.0, 0.0))
        if not count:
            return None
        return {"pictures": count, "infer_ms": round(infer / count, 2), "total_ms": round(total / count, 2)}

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self.registry)
