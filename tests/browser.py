"""Pages as people meet them: in a real browser, where chromium is installed."""

import contextlib
import shutil

import pytest

PATH = shutil.which("chromium") or shutil.which("chromium-browser")
needed = pytest.mark.skipif(PATH is None, reason="chromium is not installed (apt install chromium)")
PHONE, DESK, SHEET = 390, 1280, 690  # pixels across; of A4 between margins of 1.4 cm
# Parts that stick out: of the window, or where nothing scrolls, of a box that would.
WIDE = """print => [...document.querySelectorAll("body, body *")].filter(
  e => print ? e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX != "visible"
    : !e.closest(".scroll") && e.getBoundingClientRect().right > innerWidth + 1
).map(e => e.outerHTML.slice(0, 90))"""
# Texts that are hard to read: under a contrast of 4.5, or 3 where letters are large (WCAG 2.2).
PALE = """() => {
  const parsed = text => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r*a + R*(1-a), g*a + G*(1-a), b*a + B*(1-a), 1];
  const behind = e => {
    if (!e) return parsed(getComputedStyle(document.body).backgroundColor);
    const own = parsed(getComputedStyle(e).backgroundColor);
    return own[3] == 1 ? own : over(own, behind(e.parentElement));
  };
  const light = color => color.slice(0, 3).map(x => x / 255).map(
    x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4
  ).reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, style = getComputedStyle(e);
    if (!walk.currentNode.data.trim() || !e.checkVisibility()) continue;
    const svg = e.closest("svg"), back = behind(e), at = e.getBoundingClientRect();
    const within = box => box.left <= at.left && box.right >= at.right && box.top <= at.top + 1;
    if (svg && [...svg.querySelectorAll("image")].some(i => within(i.getBoundingClientRect()))) {
      continue;  // the colour of a cell of a heat map is not known here
    }
    const ink = over(parsed(svg ? style.fill : style.color), back);
    const [low, high] = [light(ink), light(back)].sort((a, b) => a - b);
    const large = parseFloat(style.fontSize) >= 24;
    if ((high + 0.05) / (low + 0.05) < (large ? 3 : 4.5)) found.push(e.outerHTML.slice(0, 90));
  }
  return found;
}"""


@contextlib.contextmanager
def started():
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PATH, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def shown(browser, path, *, width=DESK, dark=False):
    """The page, without a network; fails for what it says, and for all it fetches."""
    problems = []
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        is_mobile=width == PHONE,
        has_touch=width == PHONE,
        color_scheme="dark" if dark else "light",
        offline=True,
    )
    page = context.new_page()
    page.on("console", lambda one: problems.append(one.text))
    page.on("pageerror", lambda one: problems.append(str(one)))

    def requested(one):
        if not one.url.startswith(("data:", "blob:", path.as_uri())):
            problems.append(one.url)

    page.on("request", requested)
    page.goto(path.as_uri())
    yield page
    assert problems == []
    context.close()


@contextlib.contextmanager
def opened(path, **how):
    """The page in a browser of its own."""
    with started() as browser, shown(browser, path, **how) as page:
        yield page


def look(path):
    """The page on a phone and a desk, in light and dark: it fits, and all can be read."""
    with started() as browser:
        for width, dark in ((PHONE, False), (DESK, True), (PHONE, True), (DESK, False)):
            with shown(browser, path, width=width, dark=dark) as page:
                assert page.evaluate("innerWidth") == width
                page.evaluate("for (const e of document.querySelectorAll('details')) e.open = true")
                assert page.evaluate(WIDE, False) == []
                assert page.evaluate(PALE) == []
                back = page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert back == ("rgb(22, 22, 24)" if dark else "rgb(255, 255, 255)")


def print_out(path):
    """The page on paper: all numbers are there, and nothing is cut off."""
    with opened(path, width=SHEET, dark=True) as page:
        page.emulate_media(media="print")
        assert page.evaluate(WIDE, True) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= SHEET
        hidden = (
            "[...document.querySelectorAll('details td')].filter(e => !e.checkVisibility()).length"
        )
        assert page.evaluate(hidden) == 0
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert page.pdf(format="A4").startswith(b"%PDF")


def walk(path):
    """The page by keyboard: all that can be used is reached, in order, and seen to be reached."""
    with opened(path) as page:
        found = "[...document.querySelectorAll('a, summary, .scroll, audio')]"
        count = page.evaluate(f"{found}.filter(e => e.checkVisibility()).length")
        assert count > 3
        at = f"""() => {{
          const e = document.activeElement, style = getComputedStyle(e);
          return [{found}.filter(e => e.checkVisibility()).indexOf(e),
            style.outlineStyle != "none" && parseFloat(style.outlineWidth) > 0, e.tagName];
        }}"""
        places = []
        while not places or (places[-1] < count - 1 and len(places) < 5 * count):
            page.keyboard.press("Tab")
            place, outlined, tag = page.evaluate(at)
            assert (place >= 0 and outlined) or tag == "AUDIO", (place, tag)
            places.append(place)
        assert list(dict.fromkeys(places)) == list(range(count))
        page.evaluate("scrollTo(0, 0)")
        page.focus("nav a")
        page.keyboard.press("Enter")
        assert page.url.endswith(page.evaluate("document.querySelector('nav a').hash"))
        page.focus("summary")
        page.keyboard.press("Enter")
        assert page.evaluate("document.querySelector('details').open")
