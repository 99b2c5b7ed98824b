"""A page under watch: what it asked for, what it complained about, how much it moved by itself."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request

FELT: Final = 0.0005
"""A smaller score is a fraction of a pixel of one line of text; 0.1 is what Web Vitals still call good."""

# Shifts within half a second of a key or click are expected by people and do not count, as in Web Vitals.
COUNT_SHIFTS: Final = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const what = entry.sources.map((source) => source.node?.className ?? "").join(" ");
    if (!entry.hadRecentInput) window.shifts.push([entry.value, what]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


@dataclass
class Watch:
    """Everything a page did since it was opened."""

    page: Page
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.add_init_script(COUNT_SHIFTS)
        self.page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108 - playwright marks it
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        # The browser itself writes a line for each 4xx and each lost connection; the tests that cause
        # those check the words on the page instead.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def hosts(self) -> set[str]:
        """Every host that the page asked."""
        return {urlsplit(request.url).netloc for request in self.requests if request.url.startswith("http")}

    def api_calls(self) -> int:
        """How often the page asked the API so far."""
        return sum("/api/" in request.url for request in self.requests)

    def shifts(self) -> list[tuple[float, str]]:
        """Layout shifts without a cause: (score, classes of what moved)."""
        found: list[tuple[float, str]] = self.page.evaluate("() => window.shifts")
        return [(score, what) for score, what in found if score > FELT]
