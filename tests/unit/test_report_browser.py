"""The pages of `paceline report` in a real browser, from file://: seen, read, and by keyboard."""

import pytest

from paceline.report import athlete_page, pipeline_page
from tests.unit import test_report as given
from tests.unit.test_docs_browser import BROWSER, SCHEMES, WIDTHS, Browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
]

OPENED = "[...document.querySelectorAll('details')].filter(one => one.open = true).length"
FOCUSED = "document.activeElement.getAttribute('href') || document.activeElement.innerText"
# Marks of charts beside what the grid of their plot leaves free.
OUTSIDE = """[...document.querySelectorAll('.plot')].filter(plot => {
  const box = plot.getBoundingClientRect(), svg = plot.querySelector('svg').getBoundingClientRect();
  return svg.height < 90 || svg.left < box.left + 30 || svg.right > box.right + 1;
}).length"""
SMALL_TEXTS = """[...document.querySelectorAll('body *')].filter(
  element => element.innerText && parseFloat(getComputedStyle(element).fontSize) < 12).length"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    place = tmp_path_factory.mktemp("reports")
    texts = {
        "athlete": athlete_page.render(given.an_athlete()),
        "pipeline": pipeline_page.render(given.a_pipeline()),
    }
    for name, text in texts.items():
        (place / f"{name}.html").write_text(text, encoding="utf-8")
    return [place / f"{name}.html" for name in texts]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_complains_of_nothing_and_loads_nothing(browser, pages, width, scheme):
    for page in pages:
        browser.open(page.as_uri(), width, scheme)
        assert browser.value(OPENED) == page.read_text().count("<details>")
        name = f"{page.name} at {width} px, {scheme}"
        assert browser.value("document.documentElement.scrollWidth") <= width, name
        assert (browser.value(OUTSIDE), browser.value(SMALL_TEXTS)) == (0, 0), name
        paper = browser.value("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme], name
        picture = page.with_suffix(f".{width}.{scheme}.png")
        picture.write_bytes(browser.screenshot())
        assert picture.stat().st_size > 20_000, f"{name} is empty: {picture}"
        complaints = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        assert browser.seen(*complaints) == [], name
        asked = {event["request"]["url"] for event in browser.seen("Network.requestWillBeSent")}
        assert asked <= {page.as_uri(), "data:,"}, name


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(browser, pages):
    browser.open(pages[0].as_uri(), 375, "light")
    browser.call("Page.bringToFront")
    stops = [press(browser, "Tab", 9) for _ in range(10)]
    links = ["#main", "#load", "#volume", "#ratio", "#pace", "#quality"]
    tables = ["Training load", "Weekly volume", "The ratio", "Run pace"]
    assert stops == [*links, *(f"{name} as a table" for name in tables)]
    # A closed table is no stop; opened by the keyboard it is one, so that it can be scrolled.
    press(browser, "Enter", 13, text="\r")
    assert browser.value("document.querySelectorAll('details[open]').length") == 1
    assert press(browser, "Tab", 9).startswith("Run pace by day")
    assert press(browser, "Tab", 9).startswith("Rules that records of this athlete break")


def press(browser, key, code, **more):
    """Presses a key; what has the focus then."""
    named = {"key": key, "code": key, "windowsVirtualKeyCode": code}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **named, **more)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **named)
    return browser.value(FOCUSED)


def test_pictures_are_read_out_by_their_words_and_their_labels_are_not(browser, pages):
    browser.open(pages[0].as_uri(), 375, "light")
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    seen = [node for node in tree if not node["ignored"]]
    pictures = [node["name"]["value"] for node in seen if node["role"]["value"] in ("img", "image")]
    beginnings = ("Fitness went", "Form was", "The most was", "The ratio is", "The pace over")
    assert len(pictures) == len(beginnings)
    for words, beginning in zip(pictures, beginnings, strict=True):
        assert words.startswith(beginning)
    assert "4:50" in browser.value("document.querySelector('#pace').parentElement.innerText")
    said = [node["name"]["value"] for node in seen if node["role"]["value"] == "StaticText"]
    assert "Fitness" in said
    assert "raised" not in said, "the label of a band, which only belongs to the picture"
