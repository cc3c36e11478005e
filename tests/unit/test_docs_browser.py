"""The site of `paceline docs` in a real browser, from file://."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
from itertools import count

import pytest

from tests.unit.test_docs import audited_site

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    *("--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars"),
    *("--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"),
    # Chromium refuses to sandbox the super user.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
)
WIDTHS = (375, 1280)
SCHEMES = ("light", "dark")
SECONDS = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
]


class Browser:
    """A headless Chromium, spoken to over its file descriptors 3 and 4: JSON texts, each with a
    NUL byte behind it."""

    def __init__(self, profile):
        (reads, self.commands), (self.answers, writes) = os.pipe(), os.pipe()
        # Beyond 4, so that making one 3 or 4 cannot close the other.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (reads, writes)]
        self.pid = os.posix_spawn(
            BROWSER,
            [BROWSER, *FLAGS, f"--user-data-dir={profile}"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, ends[0], 3),
                (os.POSIX_SPAWN_DUP2, ends[1], 4),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
        )
        for end in (reads, writes, *ends):
            os.close(end)
        self.numbers, self.unread, self.events, self.session = count(1), b"", [], {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        found = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": found["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        number = next(self.numbers)
        command = {"id": number, "method": method, "params": parameters, **self.session}
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        answer = self.receive(lambda message: message.get("id") == number)
        assert "error" not in answer, answer
        return answer["result"]

    def receive(self, is_wanted):
        """The first message that is wanted; events before it are kept in `events`."""
        while True:
            while b"\0" not in self.unread:
                assert select.select([self.answers], [], [], SECONDS)[0], "the browser hangs"
                read = os.read(self.answers, 1 << 20)
                assert read, "the browser has ended"
                self.unread += read
            text, self.unread = self.unread.split(b"\0", 1)
            message = json.loads(text)
            if "method" in message:
                self.events.append(message)
            if is_wanted(message):
                return message

    def open(self, url, width, scheme):
        """Loads a page anew, and forgets the events of the one before."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False},
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.events.clear()
        self.call("Page.navigate", url=url)
        if not self.seen("Page.loadEventFired"):
            self.receive(lambda message: message.get("method") == "Page.loadEventFired")

    def seen(self, *methods):
        """The parameters of the events so far that have one of these names."""
        return [event["params"] for event in self.events if event["method"] in methods]

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"]["value"]

    def screenshot(self):
        made = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(made["data"])

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.commands)
        os.close(self.answers)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory, contracts):
    pages = sorted(audited_site(tmp_path_factory.mktemp("site")).rglob("*.html"))
    # An index, a page for each contract, and the audits: their index and two batches.
    assert len(pages) == 1 + len(contracts) + 3
    return pages


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_complains_of_nothing_and_loads_nothing(browser, site, width, scheme):
    for page in site:
        browser.open(page.as_uri(), width, scheme)
        name = f"{page.name} at {width} px, {scheme}"
        assert browser.value("document.querySelector('h1').textContent") != "", name
        assert browser.value("document.documentElement.scrollWidth") <= width, name
        paper = browser.value("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme], name
        assert browser.screenshot().startswith(b"\x89PNG"), name
        complaints = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        assert browser.seen(*complaints) == [], name
        asked = {event["request"]["url"] for event in browser.seen("Network.requestWillBeSent")}
        assert asked <= {page.as_uri(), "data:,"}, name


def test_what_overflows_is_noticed(browser, tmp_path):
    page = tmp_path / "wide.html"
    page.write_text("<h1>wide</h1><div style='width: 400px'>x</div>")
    browser.open(page.as_uri(), 375, "light")
    assert browser.value("document.documentElement.scrollWidth") == 408


def test_what_is_loaded_or_complained_of_is_noticed(browser, tmp_path):
    page = tmp_path / "loud.html"
    page.write_text("<h1>loud</h1><img src='missing.png'><script>console.error('no')</script>")
    browser.open(page.as_uri(), 375, "light")
    asked = [event["request"]["url"] for event in browser.seen("Network.requestWillBeSent")]
    assert (tmp_path / "missing.png").as_uri() in asked
    assert browser.seen("Runtime.consoleAPICalled")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_label_stands_beside_each_cell_where_the_head_of_a_table_is_hidden(browser, site, width):
    page = next(path for path in site if path.name == "silver.strava_activities.html")
    browser.open(page.as_uri(), width, "light")
    label = "getComputedStyle(document.querySelector('.stacked td'), '::before').content"
    assert browser.value(label) == ('"Type"' if width == 375 else "none")
