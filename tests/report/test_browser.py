"""The page in headless Chromium: no error, no request, a click shows the curve, print shows all, a phone does
not scroll it sideways. The browser is driven through a pipe (`--remote-debugging-pipe`): no driver is needed.
"""

import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asr_topdown.runs.store import Store

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
PATIENCE = 60.0  # seconds; the machine may be busy


class Browser:
    """A tab of a headless Chromium; speaks the DevTools protocol, JSON messages that end in a zero byte."""

    def __init__(self, profile: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()
        # Chromium reads from descriptor 3 and writes to 4: keep ours out of their way.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (ours[0], theirs[1])]
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
        options += [
            "--disable-background-networking",
            f"--user-data-dir={profile}",
            "--remote-debugging-pipe",
        ]
        redirect = f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}'
        self.process = subprocess.Popen(
            ["bash", "-c", redirect, "bash", str(CHROMIUM), *options, "about:blank"],
            pass_fds=ends,
            stderr=subprocess.DEVNULL,
        )
        for end in (ours[0], theirs[1], *ends):
            os.close(end)
        self._write, self._read = ours[1], theirs[0]
        self._numbers, self._buffer = itertools.count(1), b""
        self.events: list[dict[str, Any]] = []
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Network", "Log", "Page"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        message = {"id": next(self._numbers), "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != message["id"]:
            self.events.append(answer)
        assert "error" not in answer, (method, answer)
        return dict(answer["result"])

    def open(self, path: Path) -> None:
        self._go("about:blank")  # so that what comes is a new document, not a new place in the old one
        self.events.clear()
        self._go(path.as_uri())

    def _go(self, url: str) -> None:
        loader = self.call("Page.navigate", url=url)["loaderId"]
        while not any(
            event.get("method") == "Page.lifecycleEvent"
            and (event["params"]["loaderId"], event["params"]["name"]) == (loader, "load")
            for event in self.events
        ):
            self.events.append(self._message())

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def size(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)  # fmt: skip  # noqa: E501

    def problems(self) -> list[dict[str, Any]]:
        """Exceptions, errors and warnings so far."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event for event in self.events if event.get("method") in kinds]

    def requests(self) -> list[str]:
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        for end in (self._write, self._read):
            os.close(end)

    def _message(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "Chromium does not answer"
            part = os.read(self._read, 1 << 16)
            assert part, "Chromium has gone"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(line))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    one = Browser(tmp_path_factory.mktemp("profile"))
    yield one
    one.close()


@pytest.fixture
def opened(browser: Browser, reported: Path) -> Browser:
    browser.size(1200, 900)
    browser.open(reported / "report" / "report.html")
    return browser


def test_it_opens_without_error_or_outside_request(opened: Browser) -> None:
    assert opened.ask("document.querySelectorAll('li[data-node]').length") == 14
    assert opened.ask("document.title") == "tiny: report"
    outside = [url for url in opened.requests() if not url.startswith(("file:", "data:"))]
    assert outside == []
    assert opened.problems() == []


def test_a_click_shows_the_curve_and_another_hides_it(opened: Browser, reported: Path) -> None:
    step = Store(reported).load_results("study")[0].steps[1].node
    button, box = f"document.querySelector('#n-{step} button')", f"document.getElementById('c-{step}')"
    assert opened.ask(f"{box}.hidden") is True
    assert opened.ask(f"{box}.querySelectorAll('svg').length") == 0
    opened.ask(f"{button}.click()")
    assert opened.ask(f"{box}.hidden") is False
    assert opened.ask(f"{button}.getAttribute('aria-expanded')") == "true"
    assert opened.ask(f"{box}.querySelectorAll('svg.chart').length") == 2
    assert opened.ask(f"{box}.getBoundingClientRect().height") > 100
    # training loss, dev loss and dev error, eight epochs each
    assert opened.ask(f"{box}.querySelectorAll('circle').length") == 24
    lowest = f"[...{box}.querySelectorAll('circle title')].map(e => e.textContent)"
    assert "greedy dev CER %, epoch 6: 26" in opened.ask(lowest)
    opened.ask(f"{button}.click()")
    assert opened.ask(f"{box}.hidden") is True
    assert opened.problems() == []


def test_the_keyboard_opens_a_curve(opened: Browser, reported: Path) -> None:
    step = Store(reported).load_results("study")[0].steps[0].node
    opened.ask(f"document.querySelector('#n-{step} button').focus()")
    for kind in ("keyDown", "keyUp"):
        opened.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")  # fmt: skip  # noqa: E501
    assert opened.ask(f"document.getElementById('c-{step}').hidden") is False


def test_a_link_to_a_training_opens_it(opened: Browser, reported: Path) -> None:
    step = Store(reported).load_results("study")[1].steps[1].node
    opened.ask(f"location.hash = '#n-{step}'")
    opened.ask("new Promise(done => setTimeout(done, 200))")
    assert opened.ask(f"document.getElementById('c-{step}').hidden") is False


def test_one_button_shows_all_of_a_tree(opened: Browser) -> None:
    opened.ask("document.querySelector('button.all').click()")
    assert opened.ask("document.querySelectorAll('.curves:not([hidden]) svg.chart').length") == 14
    opened.ask("document.querySelector('button.all').click()")
    assert opened.ask("document.querySelectorAll('.curves:not([hidden])').length") == 0


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_the_page_does_not_scroll_sideways(opened: Browser, width: int) -> None:
    opened.size(width, 800)
    opened.ask("document.querySelectorAll('button.all').forEach(b => b.click())")
    assert opened.ask("document.documentElement.scrollWidth") <= width


def test_a_phone_shows_error_rates_on_its_first_screen(opened: Browser) -> None:
    """The verdict with its rates is in view, and so are both error columns of the first table, unscrolled."""
    opened.size(390, 844)
    box = "document.querySelector('{}').getBoundingClientRect()"
    assert "test CER 15.00 %" in opened.ask("document.querySelector('h1 + p').textContent")
    assert opened.ask(box.format("h1 + p") + ".bottom") < 844
    assert opened.ask(box.format("#table-systems-study thead th:nth-child(3)") + ".right") <= 390
    # Charts are no wider than the phone, and their letters (11 units) no smaller than 9 pixels.
    for chart in ("#figure-differences-study svg", "#figure-cascade-study svg"):
        width = opened.ask(box.format(chart) + ".width")
        units = opened.ask(f"document.querySelector('{chart}').viewBox.baseVal.width")
        assert width <= 390
        assert 11 * width / units >= 9


def test_print_shows_everything(opened: Browser) -> None:
    pdf = opened.call("Page.printToPDF", transferMode="ReturnAsBase64")["data"]
    assert len(pdf) > 50_000
    # drawn for the paper, and closed again
    assert opened.ask("document.querySelectorAll('.curves[data-drawn]').length") == 14
    assert opened.ask("document.querySelectorAll('.curves:not([hidden])').length") == 0
    opened.call("Emulation.setEmulatedMedia", media="print")
    opened.ask("dispatchEvent(new Event('beforeprint'))")
    assert opened.ask("document.querySelectorAll('.curves:not([hidden]) svg.chart').length") == 28
    assert opened.ask("document.querySelector('details').open") is True
    opened.call("Emulation.setEmulatedMedia", media="")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(opened: Browser, scheme: str) -> None:
    """Contrast of at least 4.5 : 1 (WCAG 2, AA) for text and 3 : 1 for the curves' colours."""
    opened.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    colours = opened.ask(
        "(() => { const style = getComputedStyle(document.documentElement);"
        "const names = ['paper', 'ink', 'soft', 'link', 'c0', 'c1', 'c2', 'c3', 'c4'];"
        "return Object.fromEntries(names.map(n => [n, style.getPropertyValue('--' + n).trim()])) })()"
    )
    opened.call("Emulation.setEmulatedMedia", features=[])
    paper = luminance(colours.pop("paper"))
    assert (paper > 0.5) == (scheme == "light")
    for name, colour in colours.items():
        high, low = max(paper, luminance(colour)), min(paper, luminance(colour))
        assert (high + 0.05) / (low + 0.05) >= (4.5 if name in ("ink", "soft", "link") else 3), name


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
