"""The page of the audit in a real browser: every part of it answers to clicks."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

import audit
from tests.audited import NASTY, bad, page

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,900",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium and its driver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    file = tmp_path_factory.mktemp("page") / "audit.html"
    file.write_text(page())
    driver.get(file.as_uri())
    try:
        yield driver
    finally:
        driver.quit()


def find(browser: Any, selector: str) -> list[Any]:
    return list(browser.find_elements("css selector", selector))


def click(browser: Any, selector: str, text: str = "") -> None:
    next(one for one in find(browser, selector) if text in one.text).click()


def target(browser: Any, number: int) -> None:
    find(browser, "#target option")[number].click()


def shown(browser: Any, selector: str) -> str:
    return "\n".join(one.text for one in find(browser, selector) if one.is_displayed())


def test_the_overview_says_verdict_budget_cuts_and_changes(browser: Any) -> None:
    target(browser, 0)
    click(browser, "[data-tab=overview]")
    text = shown(browser, "#overview")
    for words in (
        "Not good",
        "Budget",
        "limit set by the user",
        "Since the baseline (action.zip)",
        "Largest packages",
    ):
        assert words in text
    target(browser, 1)
    assert "Good" in shown(browser, "#overview .verdict")
    assert browser.title == "action.zip: under48 audit"


def test_findings_can_be_filtered_and_opened(browser: Any) -> None:
    target(browser, 0)
    click(browser, "[data-tab=findings]")
    count = len(find(browser, "#finding-list .finding"))
    assert count == len(bad().findings)
    click(browser, "#severities button", "error")
    errors = find(browser, "#finding-list .finding.error")
    assert 0 < len(errors) == len(find(browser, "#finding-list .finding")) <= count
    errors[0].find_element("css selector", "summary").click()
    assert "To do:" in errors[0].text
    assert "Why it matters" in errors[0].text
    find(browser, "#finding-filter")[0].send_keys("no such finding")
    assert shown(browser, "#finding-list") == "No findings."


def test_the_treemap_goes_into_folders_and_back_and_knows_compressed_bytes(browser: Any) -> None:
    target(browser, 0)
    click(browser, "[data-tab=bytes]")
    assert len(find(browser, "#treemap .cell")) >= 3
    whole = shown(browser, "#hovered")
    click(browser, "#children .link")
    inside = shown(browser, "#hovered")
    assert inside != whole
    click(browser, "#crumbs .link", "all files")
    assert shown(browser, "#hovered") == whole
    click(browser, "#measures button", "Compressed")
    assert f"{audit.as_json(*bad())['summary']['compressed_bytes']:,} bytes" in shown(browser, "#hovered")
    click(browser, "#groupings button", "By package")
    assert "(top)" in shown(browser, "#children")
    click(browser, "#measures button", "Size")
    click(browser, "#groupings button", "By folder")


def test_the_graph_shows_who_needs_whom(browser: Any) -> None:
    target(browser, 2)
    click(browser, "[data-tab=graph]")
    assert len(find(browser, "#edges .node")) >= 3
    assert len(find(browser, "#edges path")) >= 2
    find(browser, "#edges .node[data-name='liba.so']")[0].click()
    assert "/lib/liba.so" in shown(browser, "#library")
    assert "Needed by" in shown(browser, "#library")
    click(browser, "#whole")
    assert "Most needed" in shown(browser, "#library")
    target(browser, 0)
    assert len(find(browser, "#edges .node.missing")) >= 1


def test_nasty_names_are_text(browser: Any) -> None:
    target(browser, 0)
    click(browser, "[data-tab=findings]")
    find(browser, "#finding-filter")[0].clear()
    click(browser, "#severities button", "all")
    assert NASTY.split("\x1b", maxsplit=1)[0] in shown(browser, "#finding-list")
    assert find(browser, "#finding-list code b") == []


def test_nothing_is_asked_of_the_network_and_no_script_fails(browser: Any) -> None:
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert browser.current_url in sent
    assert [url for url in sent if url.startswith(("http", "ws", "ftp"))] == []
