"""The page: what it holds, that it is safe, and that it works in a browser opened from disk."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import POINTS, floating_ip

from report.document.conftest import Open
from tracer.cli.offline import joined
from tracer.core.journeys import JourneySet
from tracer.core.nat_rules.rule import NatRule
from tracer.report.document.origin import InputFile, Origin
from tracer.report.document.page import render
from tracer.report.statistics.flow_segments import FlowSegments

HOSTILE = (
    "</script><script>window.hacked=1</script>",
    "\"'><img src=x onerror=window.hacked=1>",
    "]]><svg onload=window.hacked=1>",
    "{{ 7*7 }}{% raw %}${alert(1)}",
    "evil\u202egnp.exe\u2066\u200f",
    "a\x00b\x1b[31m\ud800",
)


class Elements(HTMLParser):
    """Every element with its attributes, and the text of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style"):
            self.texts.append((self._open, data))

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def all(self, *tags: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.found if tag in tags)


@pytest.fixture(scope="module")
def outbound() -> JourneySet:
    """Recorded packets out of a floating IP; one of them was dropped after `fpr`."""
    folder = Path(__file__).resolve().parents[3] / "captures" / "fip-outbound"
    return joined([str(folder)], {}, ())


@pytest.fixture(scope="module")
def page(outbound: JourneySet) -> str:
    return render(outbound, Origin("tracer report x", 1, {"tracer": "0"}), "A title")


def hostile_set() -> JourneySet:
    """An exchange whose hosts, namespaces, devices, captures, reasons and rules are hostile."""
    journey_set = floating_ip()
    points = tuple(
        replace(point, host=HOSTILE[at % 6], netns=HOSTILE[(at + 1) % 6],
                device=f"{HOSTILE[(at + 2) % 6]}{at}")
        for at, point in enumerate(POINTS)
    )  # fmt: skip
    journey_set.observations.points = points
    journey_set.observations.captures = HOSTILE
    journey_set.reasons = HOSTILE[:1]
    journey_set.journeys["reason"] = 0
    journey_set.nat_rules = tuple(
        NatRule("postrouting", HOSTILE, "masquerade", text, host=None, netns=text,
                is_open=True)
        for text in HOSTILE
    )  # fmt: skip
    journey_set.nat_rules += (NatRule("postrouting", HOSTILE, "masquerade", HOSTILE[1]),)
    return journey_set


def hostile_page() -> str:
    inputs = tuple(InputFile(name, 1, "0" * 64, name) for name in HOSTILE)
    origin = Origin(" ".join(HOSTILE), 1, {"tracer": HOSTILE[0]}, inputs, (), HOSTILE[1])
    return render(hostile_set(), origin, HOSTILE[0], floating_ip())


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found[1])


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    elements = Elements(page)
    for tag, attributes in elements.found:
        assert tag not in {"link", "iframe", "object", "embed", "img", "form", "base"}
        assert not {"src", "srcset", "action", "style", "data"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert (attributes.get("href") or "#").startswith("#")
    assert "@import" not in page
    assert "url(" not in page


def test_the_policy_allows_this_style_and_this_script_alone(page: str) -> None:
    elements = Elements(page)
    policies = [
        attributes["content"] or ""
        for attributes in elements.all("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert "unsafe" not in policies[0]
    assert policies[0].startswith("default-src 'none';")
    scripts = [text for tag, text in elements.texts if tag == "script"]
    styles = [text for tag, text in elements.texts if tag == "style"]
    assert len(scripts) == 2  # the data and the one program
    for directive, text in (("script-src", scripts[1]), ("style-src", styles[0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policies[0]


def test_landmarks_headers_and_references(page: str) -> None:
    elements = Elements(page)
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert len(list(elements.all(landmark))) == 1
    identifiers = [a["id"] for _, a in elements.found if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    for name in ("aria-labelledby", "href"):
        for _, attributes in elements.found:
            for reference in (attributes.get(name) or "").split():
                is_row = reference.startswith("#journey-")  # made when the page opens
                assert is_row or reference.removeprefix("#") in identifiers
    assert all("scope" in attributes for attributes in elements.all("th"))
    for picture in elements.all("svg"):
        assert picture["role"] == "img"
        assert picture["aria-labelledby"]
    assert not re.search(r"<summary>(?:(?!</summary>).)*<(?:a|button)\b", page, re.DOTALL)
    inside = page[page.index("<main>") : page.index("</main>")]
    assert not re.search(r"<(?:aside|nav|header|footer)\b", inside)  # landmarks stand beside it


def test_every_section_of_the_report_is_there(page: str) -> None:
    for name in ("happened", "path", "ladders", "time", "latencies", "nat", "flows", "journeys",
                 "clocks", "unseen", "made"):  # fmt: skip
        assert f'<section id="{name}"' in page
    assert "The one lost packet stopped between fpr-b6a86b9f-6 and fg-2417e6fb-ee" in page
    assert "SNAT 192.168.3.69 → 100.122.0.145" in page


def test_hostile_names_stay_text() -> None:
    elements = Elements(hostile_page())
    assert len(list(elements.all("script"))) == 2
    assert not list(elements.all("img"))
    assert not [a for _, a in elements.found if any(name.startswith("on") for name in a)]
    page = hostile_page()
    assert not set("\u202e\u2066\u200f\x00\x1b") & set(page)
    assert "⟨U+202E⟩" in page
    assert "⟨U+0000⟩" in page
    assert 'class="rule"><code>' in page
    page.encode("utf-8")
    assert HOSTILE[0] in {place[0] for place in data_of(page)["journeys"]["places"]}


def test_an_empty_set_is_a_page_too(open_page: Open) -> None:
    empty = floating_ip()
    empty.journeys, empty.hops, empty.flows = empty.journeys[:0], empty.hops[:0], empty.flows[:0]
    empty.observations = empty.observations.take(np.zeros(0, np.int64))
    page = render(empty, Origin())
    assert "No packet was found" in page
    open_page(page)


def rows_of(window: Any, table: str) -> list[list[str]]:
    script = """return [...document.querySelectorAll(
        `[data-table="${arguments[0]}"] tbody > tr:not(.detail)`)]
        .map(row => [...row.cells].map(cell => cell.textContent))"""
    found: list[list[str]] = window.execute_script(script, table)
    return found


def grid_rows(window: Any, table: str, expected: int) -> list[list[str]]:
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(window, 10).until(lambda _: len(rows_of(window, table)) == expected)
    return rows_of(window, table)


def test_opens_without_network(page: str, outbound: JourneySet, open_page: Open) -> None:
    window = open_page(page)
    assert window.title == "A title"
    assert window.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert len(rows_of(window, "journeys")) == 50
    assert len(rows_of(window, "flows")) == len(outbound.flows)
    assert window.execute_script(
        "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def test_journeys_are_filtered_by_outcome_and_by_text(
    page: str, outbound: JourneySet, open_page: Open
) -> None:
    window = open_page(page)
    vanished = int(np.count_nonzero(outbound.journeys["outcome"] == 3))
    choose = window.find_element("css selector", '[data-table="journeys"] select')
    choose.send_keys("vanished")
    assert len(grid_rows(window, "journeys", vanished)) == vanished == 1
    clear = window.find_element("css selector", '[data-table="journeys"] .controls button')
    clear.click()
    search = window.find_element("css selector", '[data-table="journeys"] input')
    search.send_keys("no such thing")
    grid_rows(window, "journeys", 0)
    status = window.find_element("css selector", '[data-table="journeys"] [role=status]')
    assert status.text == f"none of {len(outbound.journeys)} matches"
    search.clear()
    search.send_keys("#26")
    assert grid_rows(window, "journeys", 1)[0][0] == "#26"


def test_a_head_sorts_its_table_both_ways(page: str, outbound: JourneySet, open_page: Open) -> None:
    window = open_page(page)
    heads = window.find_elements("css selector", '[data-table="journeys"] thead th')
    took = next(head for head in heads if head.text.startswith("duration"))
    button = took.find_element("css selector", "button")
    taken = outbound.journeys["last_ns"] - outbound.journeys["first_ns"]
    for order, journey in (("descending", taken.argmax()), ("ascending", taken.argmin())):
        window.execute_script("arguments[0].click()", button)
        assert took.get_attribute("aria-sort") == order
        first = int(rows_of(window, "journeys")[0][0].removeprefix("#")) - 1
        assert taken[first] == taken[journey]
    segments = window.find_element("css selector", "#path table.sortable")
    packets = segments.find_element("css selector", "th:nth-child(3)")
    window.execute_script("arguments[0].click()", packets.find_element("css selector", "button"))
    counts = [int(cell.get_attribute("data-value")) for cell in
              segments.find_elements("css selector", "tbody td:nth-child(3)")]  # fmt: skip
    assert counts == sorted(counts, reverse=True)
    assert packets.get_attribute("aria-sort") == "descending"


def test_a_flow_opens_to_its_segments(page: str, outbound: JourneySet, open_page: Open) -> None:
    window = open_page(page)
    segments = FlowSegments()
    segments.add(outbound)
    found = segments.table()
    lossy = int(found["flow"][np.flatnonzero(found["lost"])[0]])
    opener = window.find_element("css selector", f"#flow-{lossy + 1} button.open")
    window.execute_script("arguments[0].click()", opener)
    detail = window.find_element("id", opener.get_attribute("aria-controls"))
    table = detail.find_element("css selector", "table")
    assert table.find_element("css selector", "caption").text == f"Segments of flow {lossy + 1}"
    lines = table.find_elements("css selector", "tbody tbody tr")
    cells = [[cell.text for cell in line.find_elements("css selector", "td")] for line in lines]
    mine = found[found["flow"] == lossy]
    for at, name in ((3, "packets"), (4, "lost"), (5, "resent"), (6, "reordered"), (7, "missed")):
        assert [int(line[at]) for line in cells] == mine[name].tolist()
    names = [segments.points[at].device for at in mine["from_point"]]
    assert all(str(name) in line[0] for name, line in zip(names, cells, strict=True))
    assert [line[2] for line in cells] == ["back" if way == 1 else "" for way in mine["way"]]


def test_a_journey_opens_by_keyboard(page: str, outbound: JourneySet, open_page: Open) -> None:
    window = open_page(page)
    opener = window.find_element("css selector", "#journey-3 button.open")
    assert opener.get_attribute("aria-expanded") == "false"
    opener.send_keys("\ue007")  # Enter
    assert opener.get_attribute("aria-expanded") == "true"
    detail = window.find_element("id", opener.get_attribute("aria-controls"))
    lines = detail.find_elements("css selector", "tbody tbody tr")
    assert len(lines) == outbound.journeys["n_hops"][2]
    translated = next(line.text for line in lines if "100.122.0.145" in line.text)
    assert "conntrack" in translated
    assert "rfp-b6a86b9f-6" in translated
    opener.send_keys("\ue007")
    assert not window.find_elements("css selector", "#journey-3-detail")


def test_a_link_to_a_journey_opens_it(page: str, open_page: Open) -> None:
    window = open_page(page, "#journey-113")
    assert window.find_element("id", "journey-113-detail").is_displayed()


def test_hostile_names_do_nothing_in_a_browser(open_page: Open) -> None:
    window = open_page(hostile_page())
    for button in window.find_elements("css selector", "button.open"):
        window.execute_script("arguments[0].click()", button)
    assert window.execute_script("return window.hacked") is None
    assert len(window.find_elements("css selector", "script")) == 2
    text = window.find_element("tag name", "body").text
    assert "</script><script>window.hacked=1</script>" in text
    assert "evil⟨U+202E⟩gnp.exe" in text


def test_the_browser_keeps_the_policy(page: str, open_page: Open) -> None:
    window = open_page(page)
    refused = """try { document.body.innerHTML = '<b>x</b>'; return 'done'; }
        catch (error) { return error.name; }"""
    assert window.execute_script(refused) == "TypeError"
    said = window.get_log("browser")  # taken out: this complaint is what was asked for
    assert len(said) == 1
    assert "TrustedHTML" in said[0]["message"]


def test_light_and_dark(page: str, open_page: Open) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    assert open_page(page).execute_script(background) == "rgb(255, 255, 255)"
    assert open_page(page, dark=True).execute_script(background) == "rgb(13, 17, 23)"
