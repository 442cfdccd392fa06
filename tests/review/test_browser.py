"""The review page in a real browser: judged by keys, undone, opened twice, with hostile names in it."""

import re
import shutil

import pages
import pytest
from playwright.sync_api import expect

from found import write_findings
from omokage.store import Dataset


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return pages.dataset(tmp_path_factory.mktemp("review") / "data", folders=12)


@pytest.fixture
def data(drawn, tmp_path):
    shutil.copytree(drawn.folder.root, tmp_path / "data")
    return Dataset.open(str(tmp_path / "data"))


@pytest.fixture
def opened(chromium, data):
    with pages.reviewed(data.folder.url) as reviewer:
        with Window(chromium, reviewer) as window:
            yield window
        assert window.complaints == []


class Window:
    """A browser window on a page; it notes what the page should not do."""

    def __init__(self, chromium, reviewer):
        self.reviewer = reviewer
        self.complaints = []
        self.context = chromium.new_context(viewport={"width": 1280, "height": 800})
        self.page = self.context.new_page()
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self.asked)
        self.page.on("dialog", lambda box: self.complaints.append(box.message))

    def __enter__(self):
        self.page.goto(self.reviewer.url)
        expect(self.page.locator(".item")).to_be_visible()
        return self

    def __exit__(self, *_):
        self.context.close()

    def asked(self, request):
        if not request.url.startswith((f"http://{self.reviewer.netloc}/", f"blob:http://{self.reviewer.netloc}/")):
            self.complaints.append(request.url)

    def title(self):
        return self.page.locator("main h1").inner_text()

    def judged(self):
        return int(self.page.locator(".progress b").inner_text())

    def where(self):
        return self.page.evaluate("location.hash")

    def press(self, key):
        """Press a key that judges, and wait until another finding is there."""
        before = self.where()
        self.page.keyboard.press(key)
        self.page.wait_for_function("before => location.hash !== before", arg=before)

    def settled(self, count):
        """Wait until so many lines are in the ledger, as the page knows."""
        expect(self.page.locator(".progress b")).to_have_text(str(count))
        expect(self.page.locator("body:not([data-saving])")).to_be_attached()


def test_twenty_are_judged_by_keys_one_is_undone_and_a_reload_shows_it(opened, data):
    page = opened.page
    assert "token" not in page.url
    expect(page.locator("main img[src^='blob:']")).to_have_count(page.locator("main img").count())
    total = int(re.search(r"of (\d+)", page.locator(".progress").inner_text())[1])
    judged = 0
    while judged < 20:
        kind = page.evaluate("document.querySelector('.item').className")
        if "people" in kind:
            key = "s" if judged == 0 else "d"
        elif "mixed" in kind:
            key = "s"
        elif "outlier" in kind:
            key = ["x", "k"][judged % 2]
        else:
            key = "Enter"
        opened.press(key)
        judged += 1
    opened.settled(20)
    written = pages.lines(data)
    assert len(written) == 20 and len({line["finding"] for line in written}) == 20
    assert {line["who"] for line in written} == {"anna"} and {line["by"] for line in written} == {"person"}
    assert written[0]["do"] == "merge" and {"different", "keep", "drop_face", "drop_duplicate"} <= {
        line["do"] for line in written
    }

    page.keyboard.press("u")
    opened.settled(19)
    assert pages.lines(data)[-1]["undoes"] == 20
    undone = opened.where().removeprefix("#f/")
    assert undone == written[-1]["finding"]

    page.reload()
    expect(page.locator(".item")).to_be_visible()
    opened.settled(19)
    assert opened.where().removeprefix("#f/") == undone
    page.locator(".segments button", has_text="Decided").click()
    expect(page.locator(".list .space")).to_have_css("height", f"{19 * 52}px")  # not all of its rows exist
    page.locator(".segments button", has_text="All").first.click()
    assert page.locator(".list .row .tick").count() > 5
    assert total == int(re.search(r"of (\d+)", page.locator(".progress").inner_text())[1])

    page.keyboard.press("l")
    expect(page.locator(".lines li")).to_have_count(21)
    expect(page.locator(".lines li.undone")).to_have_count(1)
    page.locator(".lines li").first.locator("button").click()  # the undo is undone
    opened.settled(20)
    assert [line["undoes"] for line in pages.lines(data)][-2:] == [20, 21]


def test_faces_are_picked_by_number_and_moved(opened, data):
    page = opened.page
    page.locator(".list .row", has_text="stray face").first.click()
    expect(page.locator(".verdict")).to_have_text("stray face")
    expect(page.locator(".face.picked")).to_have_count(1)  # what is proposed
    page.keyboard.press("6")
    expect(page.locator(".face.picked")).to_have_count(0)
    expect(page.locator("#bar .move")).to_be_disabled()
    page.keyboard.press("1")
    page.keyboard.press("7")
    page.locator("section.side").nth(1).locator(".face").nth(1).click()  # 7 again: not picked
    expect(page.locator(".face.picked")).to_have_count(1)
    opened.press("m")
    opened.settled(1)
    expect(page.locator(".verdict")).to_have_text("stray face")
    page.keyboard.press("r")
    page.locator("dialog input").fill("a third")
    opened.press("Enter")
    opened.settled(2)
    assert (pages.lines(data)[1]["do"], pages.lines(data)[1]["into"]) == ("relabel", "a third")
    line = pages.lines(data)[0]
    assert (line["do"], len(line["faces"])) == ("relabel", 1)


def test_the_name_that_stays_is_shown_and_can_be_swapped(opened, data):
    page = opened.page
    before = page.locator("#bar .same small").text_content()
    a, b = before.split("→")
    page.keyboard.press("w")
    assert page.locator("#bar .same small").text_content() == f"{b}→{a}"
    opened.press("Enter")
    opened.settled(1)
    assert (pages.lines(data)[0]["person"], pages.lines(data)[0]["into"]) == (b, a)


def test_hostile_names_are_text(opened):
    page = opened.page
    page.keyboard.press("/")
    page.keyboard.type("<script")
    expect(page.locator(".found a")).to_have_count(1)
    assert "<script>document.title" in page.locator(".found a").inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("main h1")).to_contain_text("<img src=x onerror=alert(1)>")
    page.keyboard.press("p")
    expect(page.locator(".grid .face").first).to_be_visible()
    assert page.evaluate("document.querySelectorAll('main script, main img:not([alt])').length") == 0
    assert "owned" not in page.title()


def test_filters_and_the_end_of_the_queue(opened):
    page = opened.page
    page.locator("button.kind.mixed").click()
    expect(page.locator(".list .row")).to_have_count(1)
    page.keyboard.press("s")
    expect(page.locator(".done h1")).to_have_text("All judged.")
    page.locator(".done button").click()
    expect(page.locator(".item")).to_be_visible()
    page.locator("button.kind.outlier").click()
    rows = page.locator(".list .row").count()
    slider = page.locator(".slider input")
    slider.evaluate("el => { el.value = Number(el.max); el.dispatchEvent(new Event('input')); }")
    assert 1 <= page.locator(".list .row").count() < rows


def test_two_windows_see_what_the_other_decides(chromium, data):
    with (
        pages.reviewed(data.folder.url) as anna,
        pages.reviewed(data.folder.url, "<b>ben</b>") as ben,
        Window(chromium, anna) as first,
        Window(chromium, ben) as second,
    ):
        same = first.where()
        assert second.where() == same
        second.press("d")
        second.settled(1)
        expect(first.page.locator(".decided")).to_contain_text("<b>ben</b>", timeout=6000)
        first.settled(1)
        expect(first.page.locator(".toast").first).to_contain_text("different people")
        first.press("s")  # knowing it, one may decide otherwise
        first.settled(1)
        assert [line["do"] for line in pages.lines(data)] == ["different", "merge"]
        one = first.where()
        second.page.goto(f"http://{ben.netloc}/{one}")
        expect(second.page.locator(".item")).to_be_visible()
        second.page.route("**/api/since/**", lambda _: None)  # the news does not come in time
        with second.page.expect_response("**/api/decide"):
            first.press("d")
            first.settled(2)
            second.page.keyboard.press("s")
        expect(second.page.locator(".toast.warn").first).to_contain_text("anna was faster")
        assert len(pages.lines(data)) == 3
        assert [each for each in first.complaints + second.complaints if "409" not in each] == []


def test_a_person_is_judged_on_their_own_page(opened, data):
    page = opened.page
    page.keyboard.press("p")
    expect(page.locator(".grid .face")).to_have_count(6)
    page.locator(".grid .face").nth(0).click()
    page.locator(".grid .face").nth(2).click(modifiers=["Shift"])
    expect(page.locator(".face.picked")).to_have_count(3)
    page.keyboard.press("x")
    expect(page.locator(".grid .face[data-status=dropped]")).to_have_count(3)
    page.locator(".grid .face").nth(3).click()
    page.keyboard.press("m")
    page.locator("dialog input").fill("Somebody new")
    page.keyboard.press("Enter")
    expect(page.locator(".grid .face")).to_have_count(5)
    page.keyboard.press("u")
    expect(page.locator(".grid .face")).to_have_count(6)
    page.keyboard.press("Escape")
    expect(page.locator(".item")).to_be_visible()
    assert [line["do"] for line in pages.lines(data)] == ["drop_face", "relabel", "undo"]


def test_where_nothing_was_found_the_page_says_so(chromium, tmp_path):
    data = pages.Crowd(folders=2, faces=2, dim=8).write(str(tmp_path / "data"))
    write_findings(data.folder, "outliers", [])
    with pages.reviewed(data.folder.url) as reviewer:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(reviewer.url)
        expect(page.locator(".done h1")).to_have_text("Nothing was found.")
        page.keyboard.press("l")
        expect(page.locator(".lines")).to_contain_text("Nothing is decided yet.")
        context.close()


def test_a_page_without_its_key_shows_nothing(chromium, data):
    with pages.reviewed(data.folder.url) as reviewer:
        context = chromium.new_context()
        page = context.new_page()
        assert page.goto(f"http://{reviewer.netloc}/").status == 403
        assert "omokage review printed" in page.content()
        context.close()


def test_colours_are_chosen_by_a_key_and_remembered(opened):
    def theme():
        return opened.page.evaluate("document.documentElement.dataset.theme ?? 'auto'")

    seen = [theme()]
    for _ in range(3):
        opened.page.keyboard.press("t")
        seen.append(theme())
    assert seen == ["auto", "light", "dark", "auto"]
    opened.page.keyboard.press("t")
    opened.page.reload()
    expect(opened.page.locator(".item")).to_be_visible()
    assert theme() == "light"
