"""The page in Chromium, opened from file://, used with clicks and keys, on a wide screen and on a phone's."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from fake_films import add_frame, fake_film
from fake_runs import advance_run, fake_batch, fake_run, finish_run
from pictures import painted
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from nstyle import stylize
from nstyle.painter.generators import make_generator
from nstyle.painter.painter_file import write_painter
from nstyle.view.publish import Gallery

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="no browser: apt-get install chromium chromium-driver"
)

WIDE, PHONE = (1400, 900), (390, 844)
both_widths = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


class Browser:
    """A page in the browser, and ways to use it."""

    def __init__(self, driver: Chrome, page: Path, size: tuple[int, int]) -> None:
        self.driver = driver
        self.resize(*size)
        driver.get("about:blank")
        driver.get(page.resolve().as_uri())

    def resize(self, width: int, height: int) -> None:
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def click_at(self, selector: str, x: float, y: float = 0.5) -> None:
        """Click at a relative position in an element."""
        element = self.shown(selector)
        box = element.rect
        offsets = (round((x - 0.5) * box["width"]), round((y - 0.5) * box["height"]))
        ActionChains(self.driver).move_to_element_with_offset(element, *offsets).click().perform()

    def shown(self, selector: str) -> WebElement:
        element = self.find(selector)
        self.script("arguments[0].scrollIntoView({block: 'center'})", element)
        return element

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def wait_until_drawn(self) -> None:
        """Wait until a page that was just loaded is drawn. Before, a busy browser ignores keys."""
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def script(self, code: str, *arguments: object) -> Any:
        return self.driver.execute_script(code, *arguments)

    def wait(self, condition: Callable[[], object], seconds: float = 30) -> None:
        """Wait until a condition holds. Retry it if the page reloads meanwhile."""

        def holds(_: object) -> object:
            try:
                return condition()
            except (StaleElementReferenceException, NoSuchElementException):
                return False
            except WebDriverException as error:  # a newer driver's message for an element of the previous page
                if "does not belong to the document" in str(error.msg):
                    return False
                raise

        WebDriverWait(self.driver, seconds, 0.05).until(holds)

    @property
    def caption(self) -> str:
        return self.find("#caption").text

    @property
    def position(self) -> int:
        return int(self.find("#slider").get_property("value"))  # type: ignore[arg-type]

    def complaints(self) -> list[str]:
        """The browser's log messages since the last call."""
        return [entry["message"] for entry in self.log("browser")]

    def log(self, kind: str) -> list[Any]:
        return list(self.driver.get_log(kind))  # type: ignore[no-untyped-call]


Open = Callable[..., Browser]


@pytest.fixture
def open_page(chromium: Chrome) -> Iterator[Open]:
    """Publish a folder and open its page."""
    chromium.get_log("browser")  # type: ignore[no-untyped-call]
    opened: list[Browser] = []

    def open_page(folder: Path, size: tuple[int, int] = WIDE, every: float | None = None) -> Browser:
        opened.append(Browser(chromium, Gallery(folder, folder).publish(every).page, size))
        return opened[-1]

    yield open_page
    assert opened[0].complaints() == []


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with snapshots after 3, 6 ... 30 epochs, and the final picture."""
    return fake_run(tmp_path / "run", epochs=30)


@both_widths
def test_slider(size: tuple[int, int], run: Path, open_page: Open) -> None:
    browser = open_page(run, size)
    assert browser.caption == "Final, after epoch 30 (11 of 11)"
    newest = browser.find("#painting").get_attribute("src")
    browser.click_at("#slider", 0.5)
    assert browser.caption == "After epoch 18 (6 of 11)"
    assert browser.find("#file").text == "e_18.jpg"
    assert browser.find("#slider").get_attribute("aria-valuetext") == "After epoch 18"
    assert browser.find("#painting").get_attribute("src") != newest
    assert browser.find("#painting").get_property("naturalWidth") == 48
    browser.click("#previous")
    assert browser.caption == "After epoch 15 (5 of 11)"
    browser.click("#next")
    browser.click("#next")
    assert browser.caption == "After epoch 21 (7 of 11)"
    browser.click_at("#slider", 0.01)
    browser.click("#previous")
    assert browser.caption == "After epoch 3 (1 of 11)"


@both_widths
def test_play(size: tuple[int, int], run: Path, open_page: Open) -> None:
    browser = open_page(run, size)
    seen: list[int] = []

    def at_the_end() -> bool:
        seen.append(browser.position)
        return browser.find("#play").text == "Play" and browser.position == 10

    browser.click("#play")
    assert browser.find("#play").text == "Pause"
    browser.wait(at_the_end)
    assert seen[0] < 5
    assert seen == sorted(seen)
    assert len(set(seen)) > 5
    browser.click("#play")  # again from the start
    browser.wait(lambda: 0 < browser.position < 9)
    browser.click("#play")
    assert browser.find("#play").text == "Play"
    assert 0 < browser.position < 10


def test_keys(run: Path, open_page: Open) -> None:
    browser = open_page(run)
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_RIGHT)
    assert browser.position == 8
    browser.press(" ")
    assert browser.find("#play").text == "Pause"
    browser.press(" ")
    assert browser.find("#play").text == "Play"
    browser.find("#slider").send_keys(Keys.HOME)
    assert browser.position == 0
    browser.find("#slider").send_keys(Keys.ARROW_RIGHT)
    assert browser.position == 1
    browser.find("#slider").send_keys(" ")
    assert browser.find("#play").text == "Pause"
    browser.find("#play").send_keys(" ")  # a key that the focused button handles itself: once, not twice
    assert browser.find("#play").text == "Play"


@both_widths
def test_curves(size: tuple[int, int], run: Path, open_page: Open) -> None:
    browser = open_page(run, size)
    titles = [title.text.splitlines()[0] for title in browser.find_all(".chart h2")]
    assert titles == ["Losses", "Relative change", "Learning rate", "Gradient norm"]
    assert len(browser.find_all(".chart:nth-child(1) path")) == 4
    assert browser.find(".chart:nth-child(2) b").text == "0.235"  # exp(-29 / 20)

    for number in range(1, 5):  # a click moves timeline and cursors
        browser.click("#next")
        browser.click_at(f".chart:nth-child({number}) svg", 0.2)
        assert browser.position < 3
        browser.click_at(f".chart:nth-child({number}) svg", 0.98)
        assert browser.position > 8
    browser.click_at("#slider", 0.01)
    cursor = browser.find(".chart:nth-child(2) .cursor").rect["x"]
    assert browser.find(".chart:nth-child(2) b").text == "0.905"  # exp(-2 / 20)
    browser.click_at("#slider", 0.5)
    assert browser.find(".chart:nth-child(2) .cursor").rect["x"] > cursor + 50

    legend = browser.find_all(".series")
    assert [entry.text.splitlines()[0].split()[0] for entry in legend] == ["content", "content", "relu1_1", "relu5_1"]
    legend[2].click()
    assert legend[2].get_attribute("aria-pressed") == "false"
    assert len(browser.find_all(".chart:nth-child(1) path")) == 3
    legend[2].click()
    assert len(browser.find_all(".chart:nth-child(1) path")) == 4


@both_widths
def test_before_and_after(size: tuple[int, int], run: Path, open_page: Open) -> None:
    browser = open_page(run, size)
    assert not browser.find("#original").is_displayed()
    assert not browser.find("#divider").is_enabled()

    def choose(word: str) -> None:
        next(label for label in browser.find_all("fieldset label") if label.text == word).click()

    def clipped() -> str:
        return str(browser.find("#original").value_of_css_property("clip-path"))

    choose("content")
    assert browser.find("#original").is_displayed()
    assert browser.find("#original-badge").text == "content"
    assert browser.find("#original").get_attribute("src") == browser.find("#input-0").get_attribute("src")
    assert "50%" in clipped()
    browser.click_at("#divider", 0.99)
    assert browser.find("#divider").get_property("value") in {str(number) for number in range(96, 101)}
    browser.click_at("#frame", 0.25)
    assert browser.find("#divider").get_property("value") in {"24", "25", "26"}
    assert "75%" in clipped()
    frame = browser.shown("#frame")
    quarter = round(frame.rect["width"] / 4)
    actions = ActionChains(browser.driver).move_to_element_with_offset(frame, -quarter, 0).click_and_hold()
    actions.move_by_offset(2 * quarter, 0).release().perform()
    assert browser.find("#divider").get_property("value") in {"74", "75", "76"}
    choose("style")
    assert browser.find("#original-badge").text == "style"
    assert browser.find("#original").get_attribute("src") == browser.find("#input-1").get_attribute("src")
    choose("nothing")
    assert not browser.find("#original").is_displayed()


@both_widths
def test_links(size: tuple[int, int], run: Path, open_page: Open) -> None:
    browser = open_page(run, size)
    page = browser.driver.current_url
    browser.click_at("#slider", 0.5)
    for selector, target in (
        ("#file", run / "e_18.jpg"),
        (".inputs figure:nth-child(1) a", run.parent / "run content.png"),
        (".inputs figure:nth-child(2) a", run.parent / "waves.png"),
    ):
        browser.shown(selector).click()
        browser.wait(lambda: browser.driver.current_url != page)
        assert browser.driver.current_url == target.resolve().as_uri()
        assert browser.find("img").get_property("naturalWidth") in (48, 40)
        browser.driver.back()
        browser.wait(lambda: browser.caption == "After epoch 18 (6 of 11)")  # the view state is kept


@both_widths
def test_batch(size: tuple[int, int], tmp_path: Path, open_page: Open) -> None:
    batch = fake_batch(tmp_path / "batch")
    browser = open_page(batch, size)
    tiles = browser.find_all(".sheet img")
    assert [tile.get_property("naturalWidth") for tile in tiles] == [48, 48]
    tiles[1].click()
    browser.wait(lambda: browser.driver.current_url == (batch / "dog_waves" / "index.html").as_uri())
    assert browser.find("h1").text == "dog_waves in the style of waves"
    browser.click("#previous")
    assert browser.caption == "After epoch 12 (4 of 5)"
    browser.click("nav a")
    browser.wait(lambda: browser.find("h1").text == "2 paintings")


@pytest.mark.parametrize("size", [WIDE, PHONE, (360, 640)])
def test_nothing_sticks_out(size: tuple[int, int], run: Path, tmp_path: Path, open_page: Open) -> None:
    for folder in (run, fake_batch(tmp_path / "batch"), fake_run(tmp_path / ("w" * 120), init="/" + "x" * 300)):
        browser = open_page(folder, size)
        assert browser.script("return document.documentElement.scrollWidth - innerWidth") <= 0
        for element in browser.find_all("button, input[type=range], .sheet a"):
            assert element.rect["x"] >= 0
            assert element.rect["x"] + element.rect["width"] <= size[0]


def test_curves_follow_the_width_of_the_window(run: Path, open_page: Open) -> None:
    browser = open_page(run)
    browser.resize(*PHONE)
    drawn = "return Number(document.querySelector('.chart svg').getAttribute('viewBox').split(' ')[2])"
    browser.wait(lambda: browser.script(drawn) == browser.find(".chart svg").rect["width"] < 390)
    assert browser.script("return document.documentElement.scrollWidth - innerWidth") <= 0


def test_nothing_but_the_page_and_its_pictures_is_fetched(run: Path, open_page: Open) -> None:
    browser = open_page(run)
    browser.wait(lambda: browser.find("#painting").get_attribute("src") == (run / "final.jpg").as_uri())
    events = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
    fetched = [
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    ]
    fetched = [address for address in fetched if not address.startswith("data:")]
    fetched = fetched[fetched.index(browser.driver.current_url) :]
    assert set(fetched) == {browser.driver.current_url, (run / "final.jpg").as_uri()}


@pytest.mark.parametrize("image_format", ["jpg", "tiff"])
def test_a_page_that_was_carried_away_from_its_pictures(image_format: str, tmp_path: Path, open_page: Open) -> None:
    """The embedded picture is shown. This also works for TIFF, which browsers cannot show."""
    run = fake_run(tmp_path / "run", image_format=image_format)
    Gallery(run, run).publish()
    shutil.copy(run / "index.html", tmp_path / "carried.html")
    shutil.rmtree(run)
    fake_run(run, epochs=0, stop_reason="running")
    browser = open_page(run)
    browser.driver.get((tmp_path / "carried.html").as_uri())
    browser.click("#previous")
    browser.wait(lambda: browser.find("#painting").get_property("naturalWidth") == 48)
    assert str(browser.find("#painting").get_attribute("src")).startswith("data:")
    if image_format == "jpg":
        browser.wait(lambda: any("e_12.jpg - Failed to load" in message for message in browser.complaints()))


def test_a_page_elsewhere_shows_its_own_copies(tmp_path: Path, open_page: Open) -> None:
    run = fake_run(tmp_path / "run")
    shown = Gallery(run, tmp_path / "site" / "new").publish()
    browser = open_page(run)
    browser.driver.get(shown.page.as_uri())
    browser.complaints()
    browser.click("#previous")
    time.sleep(0.5)  # a file would be asked for after 0.2 s
    assert browser.caption.startswith("After epoch 12")
    assert not browser.find("#file").is_displayed()
    assert str(browser.find("#painting").get_attribute("src")).startswith("data:")
    assert browser.complaints() == []


def test_before_the_first_snapshot(tmp_path: Path, open_page: Open) -> None:
    browser = open_page(fake_run(tmp_path / "run", epochs=0, stop_reason="running"), PHONE)
    assert browser.find("#nothing").is_displayed()
    assert "No snapshot yet" in browser.find("#nothing").text
    assert not browser.find("#play").is_enabled()
    assert "No curves yet" in browser.find("#curves").text


def test_one_epoch(tmp_path: Path, open_page: Open) -> None:
    browser = open_page(fake_run(tmp_path / "run", epochs=1))
    assert browser.caption == "Final, after epoch 1"
    assert len(browser.find_all(".chart")) == 4


def test_stages_of_a_painter(tmp_path: Path, open_page: Open) -> None:
    painted(32, 48).save(tmp_path / "photo.png")
    write_painter(tmp_path / "chain.safetensors", make_generator("boosted", width=2, blocks=2).eval(), {})
    stylize(
        tmp_path / "photo.png", painter=tmp_path / "chain.safetensors", max_long_edge=48, output_dir=tmp_path / "run"
    )
    browser = open_page(tmp_path / "run")
    assert browser.caption == "In one pass (3 of 3)"
    browser.click("#previous")
    assert browser.caption == "After stage 2 (2 of 3)"
    assert browser.find("#painting").get_attribute("alt") == "The painting after stage 2"
    assert browser.find("#file").text == "e_2.jpg"


def test_news_come_by_themselves_and_the_place_is_kept(tmp_path: Path, open_page: Open) -> None:
    run = fake_run(tmp_path / "run", epochs=9, stop_reason="running")
    browser = open_page(run, every=0.3)

    advance_run(run, 9, 12)
    Gallery(run, run).publish(every=0.3)
    browser.wait(
        lambda: browser.caption == "After epoch 12 (4 of 4)"
    )  # a user at the newest picture stays at the newest

    browser = open_page(run, every=600)  # so that the user's action comes first
    browser.click("#previous")
    browser.find_all("fieldset label")[1].click()
    browser.click_at("#divider", 0.01)
    browser.find_all(".series")[3].click()
    browser.shown("summary").click()
    Gallery(run, run).publish(every=0.3)
    browser.driver.refresh()
    advance_run(run, 12, 15)
    Gallery(run, run).publish(every=0.3)
    browser.wait(lambda: browser.caption == "After epoch 9 (3 of 5)")
    finish_run(run, 15)
    Gallery(run, run).publish()
    browser.wait(lambda: browser.caption == "After epoch 9 (3 of 6)")

    assert "finished" in browser.find(".state").text
    assert browser.find("#original").is_displayed()
    assert int(browser.find("#divider").get_property("value")) < 5  # type: ignore[arg-type]
    assert len(browser.find_all(".chart:nth-child(1) path")) == 3
    assert not browser.find("table").is_displayed()
    browser.script("window.mine = true")
    with pytest.raises(TimeoutException):
        browser.wait(lambda: not browser.script("return window.mine"), seconds=1.5)  # it reloads no more


def test_playing_goes_on_after_a_reload_and_is_not_disturbed_by_news(tmp_path: Path, open_page: Open) -> None:
    run = fake_run(tmp_path / "run", epochs=300, stop_reason="running")
    browser = open_page(run, every=600)
    browser.click("#play")
    browser.wait(lambda: browser.position > 2)
    Gallery(run, run).publish(every=0.3)
    browser.driver.refresh()
    browser.script("window.mine = true")
    assert browser.find("#play").text == "Pause"
    reached = browser.position
    assert reached > 2
    browser.wait(lambda: browser.position > reached + 10)
    assert browser.script("return window.mine")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(scheme: str, run: Path, open_page: Open) -> None:
    browser = open_page(run)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    background, text = (
        sum(map(int, str(browser.find("body").value_of_css_property(name)).strip("rgba()").split(",")[:3]))
        for name in ("background-color", "color")
    )
    assert (background > text + 400) if scheme == "light" else (text > background + 400)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_hostile_names_do_nothing(tmp_path: Path, open_page: Open) -> None:
    name = "<img src=x onerror=document.title='owned'>"
    batch = tmp_path / "batch"
    fake_run(batch / name, content=tmp_path / f"{name}.png", init="</script><script>document.title='owned'</script>")
    (batch / name / "epochs.csv").write_text(f"epoch,{name}_loss,loss\n0,1,2\n1,2,3\n")
    browser = open_page(batch)
    browser.click(".sheet a")
    browser.wait(lambda: browser.find_all(".chart"))
    assert name in browser.find("h1").text
    assert any(name in entry.text for entry in browser.find_all(".series"))
    browser.click("#previous")
    assert browser.driver.title.startswith(f"{name} in the style of")
    assert not browser.find_all("img[onerror]")


def test_names_of_all_kinds_can_be_followed(tmp_path: Path, open_page: Open) -> None:
    batch = tmp_path / "batch"
    names = ["100%25#1?x=y", "a 'b' \"c\"", "javascript:alert(1)", "new\nline"]
    for name in names:
        fake_run(batch / name, epochs=3, content=tmp_path / f"{name}.png")
    browser = open_page(batch)
    for name, link in zip(names, browser.find_all(".sheet a"), strict=True):
        assert Path(unquote(urlsplit(str(link.get_property("href"))).path)) == batch / name / "index.html"
    for number in range(len(names)):
        browser.find_all(".sheet a")[number].click()
        assert browser.find("#painting").get_property("naturalWidth") == 48
        picture = browser.find("#input-0").find_element(By.XPATH, "..")
        assert Path(unquote(urlsplit(str(picture.get_property("href"))).path)) == tmp_path / f"{names[number]}.png"
        browser.click("nav a")


def test_curves_that_no_run_draws(run: Path, open_page: Open) -> None:
    """Columns without a name or with a name from JavaScript's own objects, and numbers near the limits."""
    names = ["epoch", "loss", "", "__proto__", "constructor", "toString", "_loss", "_", "<b>", "\u202ex"]
    rows = [
        [str(epoch), "1e308", "5e-324", "-1e308", "1e16", "nan", "0", "1e-300", "1e16", "-0"] for epoch in range(4)
    ]
    rows[2][1:] = ["1e-308", "1", "1e308", "10000000000000002", "inf", "", "x", "1", "9" * 400]
    (run / "epochs.csv").write_text("\n".join([",".join(row) for row in [names, *rows]]) + "\n")
    browser = open_page(run)
    assert browser.caption == "Final, after epoch 30 (11 of 11)"
    titles = [title.text.splitlines()[0] for title in browser.find_all(".chart h2")]
    names_shown = ["Losses", "Column 3", "proto", "Constructor", "ToString", "<b>", r"\u202ex"]
    assert [title for title in titles if not title.startswith("10")] == names_shown  # one has only its value as title
    browser.click("#previous")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A finished film of 12 frames in two shots, at 10 frames a second."""
    return fake_film(tmp_path / "film")


def frame_shown(browser: Browser, screen: str = "painted") -> int:
    """The number of the frame in a screen, from its file's name; 0 while none is loaded."""
    pictures = browser.find_all(f"#{screen} img")
    address = str(pictures[0].get_attribute("src")) if pictures else "000000.png"
    return int(Path(address).stem[-6:])


@both_widths
def test_film_steps(size: tuple[int, int], film: Path, open_page: Open) -> None:
    browser = open_page(film, size)
    assert browser.caption == "Frame 1 of 12, shot 1"
    browser.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert browser.caption == "Frame 3 of 12, shot 1"
    for screen, target in (("painted", film / "frames" / "000003.png"), ("source", film / "source" / "000003.jpg")):
        browser.wait(lambda screen=screen: frame_shown(browser, screen) == 3)  # type: ignore[misc]
        shown = browser.find(f"#{screen} img")
        assert shown.get_attribute("src") == target.resolve().as_uri()
        assert shown.get_property("naturalWidth") == 48
    browser.click("#previous")
    browser.click("#next")
    browser.click("#next")
    assert browser.caption == "Frame 4 of 12, shot 1"
    browser.click_at("#slider", 0.99)
    assert browser.caption == "Frame 12 of 12, shot 2"
    assert browser.find("#slider").get_attribute("aria-valuetext") == "Frame 12 of 12, shot 2"
    browser.find("#slider").send_keys(Keys.ARROW_LEFT)
    assert browser.position == 11
    browser.shown("#file").click()
    browser.wait(lambda: browser.driver.current_url == (film / "frames" / "000011.png").resolve().as_uri())
    browser.driver.back()
    browser.wait(lambda: browser.caption == "Frame 11 of 12, shot 2")


@both_widths
def test_film_curve(size: tuple[int, int], film: Path, open_page: Open) -> None:
    """A click on the curve moves the frame, the curve is below the slider, and shots are marked on both."""
    browser = open_page(film, size)
    titles = [title.text.splitlines()[0] for title in browser.find_all(".chart h2")]
    assert titles == ["Temporal error", "Losses", "Epochs", "Seconds"]
    browser.click_at("#temporal svg", 0.5)
    assert 5 <= browser.position <= 8
    browser.click_at("#temporal svg", 0.99)
    assert browser.position == 12
    assert browser.find("#temporal b").text == "0.012"
    browser.wait(lambda: frame_shown(browser) == 12)
    browser.press(Keys.ARROW_LEFT)
    assert browser.find("#temporal b").text == "0.011"
    path = str(browser.find("#temporal path").get_attribute("d"))
    assert path.count("M") == 2  # a line for each shot
    marks = (browser.find("#track .shot"), browser.find("#temporal .mark"))
    assert abs(marks[0].rect["x"] - marks[1].rect["x"]) < 3
    browser.click_at("#temporal svg", 0.1)
    assert browser.find("#track .done").rect["width"] > 0.6 * browser.find("#temporal svg").rect["width"]
    assert browser.script("return document.documentElement.scrollWidth - innerWidth") <= 0


SEEN = """
window.seen = [];
new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes) {
    seen.push([Number(node.src.slice(-10, -4)), node.complete && node.naturalWidth > 0]);
  }
}).observe(document.getElementById("painted"), { childList: true });
"""


def test_film_shows_each_frame_once_and_loops(film: Path, open_page: Open) -> None:
    browser = open_page(film)
    browser.wait(lambda: frame_shown(browser) == 1)
    browser.script(SEEN)
    assert browser.find("#loop").is_selected()
    browser.press(" ")
    assert browser.find("#play").text == "Pause"
    browser.wait(lambda: browser.script("return seen.length") > 26)
    browser.press(" ")
    assert browser.find("#play").text == "Play"
    seen = browser.script("return seen.slice(0, 26)")
    assert [number for number, _ in seen] == [*range(2, 13), *range(1, 13), 1, 2, 3]
    assert all(is_loaded for _, is_loaded in seen)

    browser.click("#loop")
    browser.click_at("#slider", 0.7)
    browser.press(" ")
    browser.wait(lambda: browser.find("#play").text == "Play")
    assert browser.position == 12
    browser.press(" ")  # again from the start
    browser.wait(lambda: 1 <= browser.position < 12)


CLOCK = """
let now = performance.now(), calls = [];
performance.now = () => now;
window.requestAnimationFrame = (call) => calls.push(call);
window.cancelAnimationFrame = () => { calls = []; };
window.advance = (screens) => {  // as a screen with 60 pictures a second does
  for (let screen = 0; screen < screens; screen++) {
    now += 1000 / 60;
    for (const call of calls.splice(0)) call(now);
  }
};
"""


@pytest.mark.parametrize(("rate", "reached"), [(10, 6), (24, 1), (60, 7)])
def test_film_plays_at_its_rate(rate: float, reached: int, tmp_path: Path, open_page: Open) -> None:
    """In half a second of a clock made by hand, so that a busy machine does not matter: 5, 12 or 30 frames."""
    browser = open_page(fake_film(tmp_path / "film", frame_rate=rate))
    browser.wait(lambda: frame_shown(browser) == 1)
    for _ in range(12):  # so that all pictures are loaded
        browser.press(Keys.ARROW_RIGHT)
    browser.wait(lambda: frame_shown(browser) == 12)
    browser.find("#slider").send_keys(Keys.HOME)
    browser.wait(lambda: frame_shown(browser) == 1 and frame_shown(browser, "source") == 1)
    browser.script(CLOCK)
    browser.press(" ")
    browser.script("advance(30)")
    assert browser.position == reached
    browser.press(" ")
    browser.script("advance(30)")
    assert browser.position == reached


def test_film_while_it_is_painted(tmp_path: Path, open_page: Open) -> None:
    """Frames that are not painted are passed over; who is at the newest frame stays there."""
    film = fake_film(tmp_path / "film", painted_frames=[1, 2, 6, 7], stop_reason="running")
    browser = open_page(film, every=600)
    assert browser.caption == "Frame 7 of 12, shot 2"
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert browser.position == 2
    browser.press(Keys.ARROW_RIGHT)
    assert browser.position == 6
    browser.click_at("#temporal svg", 0.95)
    assert browser.position == 7
    assert len(browser.find_all("#track .done")) == 2

    def publish(frame: int, every: float) -> None:
        add_frame(film, frame)
        Gallery(film, film).publish(every)

    publish(8, every=600)
    browser.driver.refresh()
    browser.wait(lambda: browser.caption == "Frame 8 of 12, shot 2")
    browser.wait_until_drawn()
    browser.press(Keys.ARROW_LEFT)
    publish(9, every=0.3)
    browser.driver.refresh()
    publish(10, every=600)
    browser.wait(lambda: "7 of 12" in browser.find(".state").text)
    assert browser.position == 7

    browser.press(" ")  # while it plays, news come at the end of the loop
    publish(11, every=0.3)
    browser.driver.refresh()
    publish(12, every=0.3)
    browser.wait(lambda: "9 of 12" in browser.find(".state").text and browser.find("#play").text == "Pause")


def test_large_frames_of_a_film(tmp_path: Path, open_page: Open) -> None:
    """Small copies play; at rest the frame's own file is shown."""
    film = fake_film(tmp_path / "film", painted_frames=[1, 2, 3], size=(24, 1000))
    browser = open_page(film)
    whole = (film / "frames" / "000001.png").resolve().as_uri()
    browser.wait(lambda: browser.find("#painted img").get_attribute("src") == whole)
    browser.wait(lambda: str(browser.find("#source img").get_attribute("src")).endswith("source/000001.jpg"))
    shown = "document.querySelector('#painted img')"
    plays = f"return {shown}?.src.endsWith('previews/painted-000002.webp') && {shown}.naturalWidth"
    browser.press(" ")
    browser.wait(lambda: browser.script(plays) == 720)
    browser.press(" ")
    browser.click_at("#slider", 0.99)
    whole = (film / "frames" / "000003.png").resolve().as_uri()
    browser.wait(lambda: browser.find("#painted img").get_attribute("src") == whole)


def test_a_film_without_frames(tmp_path: Path, open_page: Open) -> None:
    browser = open_page(fake_film(tmp_path / "film", painted_frames=[], stop_reason="running"), PHONE)
    assert browser.find("#nothing").is_displayed()
    assert not browser.find("#play").is_enabled()
    assert browser.find_all(".chart") == []
    browser.press(" ", Keys.ARROW_RIGHT)


def test_frames_of_a_film_that_are_damaged_or_missing(film: Path, open_page: Open) -> None:
    (film / "frames" / "000001.png").write_bytes(b"no picture")
    (film / "source" / "000002.jpg").unlink()
    browser = open_page(film)
    browser.wait(lambda: browser.find("#painted").text == "cannot be read")
    browser.press(Keys.ARROW_RIGHT)
    browser.wait(lambda: frame_shown(browser) == 2)
    assert browser.find("#source").text == "not there"
    browser.press(" ")
    browser.wait(lambda: browser.position > 4)
    browser.press(" ")
