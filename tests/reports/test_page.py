"""The HTML page: complete in itself, safe, and the same for readers without script or sight."""

import re
import shutil

import pytest
from playwright.sync_api import sync_playwright

from reports.render_html import _inlined, _text


@pytest.fixture
def page(quick_report):
    return quick_report.page


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


def test_the_page_opens_with_the_verdict_and_every_claim_with_its_margin(page):
    text = page.read_text()
    assert text.index("<h1>4 of 4 claims hold</h1>") < text.index("<figure")
    assert text.count('<li class="TRUE">') == 4
    assert "Margin 58.9 MB" in text


def test_nothing_on_it_asks_for_anything_or_runs(page):
    text = page.read_text()
    assert "<script" not in text
    assert "default-src 'none'" in text
    links = re.findall(r'(?:src|href)="([^"#][^"]*)"', text)
    assert {link for link in links if "://" in link} == set()


def test_ids_do_not_repeat_and_every_reference_meets_its_target(page):
    text = page.read_text()
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    wanted = re.findall(r'href="#([^"]+)"', text) + re.findall(r"url\(#([^)]+)\)", text)
    assert set(wanted) <= set(ids)


def test_hostile_text_is_shown_and_not_obeyed():
    assert _text("<script>x</script> `a` **b**") == (
        "&lt;script&gt;x&lt;/script&gt; <code>a</code> <strong>b</strong>"
    )
    drawing = '<?xml?><svg width="1" height="2" viewBox="0"><g id="a" clip-path="url(#b)"/></svg>'
    assert _inlined(drawing, "n") == ('<svg viewBox="0"><g id="n-a" clip-path="url(#n-b)"/></svg>')


@pytest.mark.slow
def test_a_browser_shows_it_from_a_file_without_script_request_or_complaint(page, browser):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 800})
    tab = context.new_page()
    asked, said = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.goto(page.as_uri())
    boxes = [figure.bounding_box() for figure in tab.locator("figure svg").all()]
    context.close()
    assert asked == [page.as_uri()]
    assert said == []
    assert len(boxes) == 4
    assert all(0 < box["width"] <= 360 and box["height"] > 100 for box in boxes)


@pytest.mark.slow
def test_however_many_sections_there_are_their_links_fit_a_narrow_screen(page, browser, tmp_path):
    many = tmp_path / "many.html"
    links = '<a href="#s1">Authentication</a>' * 8
    many.write_text(page.read_text().replace("</nav>", f"{links}</nav>"))
    context = browser.new_context(viewport={"width": 360, "height": 800})
    tab = context.new_page()
    tab.goto(many.as_uri())
    width = tab.locator("html").evaluate("page => page.scrollWidth")
    context.close()
    assert width == 360
