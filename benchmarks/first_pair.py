"""How long a rater waits for the first pair on a slow line, in a real browser.

    python benchmarks/first_pair.py                    # 10 Mbit/s, 100 ms, 5 visits
    python benchmarks/first_pair.py --mbit 2 --latency 300

Chromium opens the join link with an empty cache; its own network emulation delays every answer by
the latency and sends its bytes at the rate. "Start" is pressed in the moment it can be, so the
figure is all waiting: up to the instructions, then up to the frame in which both clips are on the
screen. A person reads in between. The waterfall is of the median visit. (The emulation does not
delay the opening of connections; a real line adds a round trip, with TLS two.)
"""

import argparse
import os
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Playwright, sync_playwright
from rating_server import build, served

# Runs before the page's own scripts: press Start when it can be pressed; note when both canvases
# have been drawn on and shown.
WATCH = """
const seen = new Set();
const draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (...args) {
  seen.add(this.canvas);
  return draw.apply(this, args);
};
const look = () => {
  const start = document.querySelector('#instructions:not([hidden]) [data-action=start]');
  if (start && !start.disabled && !window.startAt) {
    window.startAt = performance.now();
    start.click();
  }
  const shown = [...document.querySelectorAll('#trial:not([hidden]) canvas')];
  if (shown.filter((canvas) => seen.has(canvas)).length === 2) {
    requestAnimationFrame(() => { window.pairAt ??= performance.now(); });
  } else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
SHOWN = """
() => new Promise((done) => {
  const look = () => {
    if (window.pairAt) done([window.startAt, window.pairAt]);
    else setTimeout(look, 50);
  };
  look();
})
"""
WATERFALL = """
() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .map((entry) => ({
    what: new URL(entry.name).pathname, begun: entry.startTime, ended: entry.responseEnd,
    bytes: entry.transferSize,
  }))
"""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Visit:
    """One rater's way to the first pair; times in ms since they opened the link."""

    start_ms: float
    pair_ms: float
    requests: list[dict[str, Any]]


def launched(playwright: Playwright) -> Browser:
    """Start `CHROMIUM`, the system's Chromium, or Playwright's own."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    return playwright.chromium.launch(executable_path=path, args=["--disable-gpu"])


def visit(browser: Browser, link: str, mbit: float, latency_ms: float) -> Visit:
    """Open the link as a new rater, with nothing in the cache."""
    context = browser.new_context()
    page = context.new_page()
    rate = mbit * 1e6 / 8
    emulation = context.new_cdp_session(page)
    emulation.send("Network.enable")
    emulation.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": latency_ms, "downloadThroughput": rate,
         "uploadThroughput": rate},
    )  # fmt: skip
    page.add_init_script(WATCH)
    page.goto(link, wait_until="commit")
    start, pair = page.evaluate(SHOWN)  # (`wait_for_function` needs the eval that the page forbids)
    requests = page.evaluate(WATERFALL)
    context.close()
    return Visit(start, pair, requests)


def named(path: str) -> str:
    """Return how a request is listed: a clip's key says nothing."""
    return "a clip" if path.startswith("/media/") else path


def waterfall(shown: Visit) -> list[str]:
    """Return the requests of a visit as lines of text."""
    lines = [f"{'begun':>8} {'ended':>8} {'bytes':>9}  request"]
    for one in sorted(shown.requests, key=lambda one: float(one["begun"])):
        what = named(one["what"])
        lines.append(f"{one['begun']:8.0f} {one['ended']:8.0f} {one['bytes']:9,}  {what}")
    total = sum(int(one["bytes"]) for one in shown.requests)
    return [*lines, f"{len(shown.requests)} requests, {total:,} bytes"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--mbit", type=float, default=10.0, help="megabits a second, each way")
    parser.add_argument("--latency", type=float, default=100.0, help="of every answer, ms")
    parser.add_argument("--visits", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = f"sqlite:///{folder / 'study.db'}"
        build(folder, database, 60 * args.visits)
        with served(folder, database) as (_, link), sync_playwright() as playwright:
            browser = launched(playwright)
            visit(browser, link, 1000, 0)  # the first of a server is slower
            visits = [visit(browser, link, args.mbit, args.latency) for _ in range(args.visits)]
            browser.close()
    visits.sort(key=lambda one: one.pair_ms)
    middle = visits[len(visits) // 2]
    print(f"{args.mbit:g} Mbit/s, {args.latency:g} ms, empty cache, {args.visits} visits")
    print("\n".join(waterfall(middle)))
    for what, times in (
        ("instructions", [one.start_ms for one in visits]),
        ("first pair", [one.pair_ms for one in visits]),
        ("from Start to the first pair", [one.pair_ms - one.start_ms for one in visits]),
    ):
        print(
            f"{what}: median {statistics.median(times):,.0f} ms "
            f"({min(times):,.0f} to {max(times):,.0f})"
        )


if __name__ == "__main__":
    main()
