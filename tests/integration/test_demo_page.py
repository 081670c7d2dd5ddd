"""Test the demo page in a browser: uploaded recordings, displayed predictions, and cleanup.

The browser can only reach this machine, and its log shows that it sends no other requests.
"""

import csv
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import soundfile

pytest.importorskip("gradio", reason="the 'page' extra is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from emosphere_sb.demo_page.limits import Limits
from emosphere_sb.demo_page.server import open_page
from emosphere_sb.scale import DIMENSIONS
from tests.helpers.fixed_model import levels_model, write_levels

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    BROWSER is None or DRIVER is None, reason="no chromium with its driver on this machine"
)

PATIENCE = 60
"""Timeout in s. It is generous because the machine may be busy."""
LIMITS = Limits(max_seconds=30, max_megabytes=3)


@pytest.fixture(scope="module")
def model():
    return levels_model()


@pytest.fixture(scope="module")
def address(model):
    with open_page(model, LIMITS) as address:
        yield address


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A browser without a page."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    profile = tmp_path_factory.mktemp("profile")
    for word in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-background-networking", f"--user-data-dir={profile}",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    ):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@contextmanager
def tab(driver, address, *, width=1280, height=1400):
    """Open the page in a new tab."""
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    try:
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        for name in ("browser", "performance"):
            driver.get_log(name)  # removes the messages of earlier tests
        driver.get(address)
        until(driver, "#em-audio input[type=file]")
        until(driver, "#em-result .em-soft")
        yield driver
    finally:
        driver.close()
        driver.switch_to.window(first)


@pytest.fixture
def page(driver, address):
    with tab(driver, address) as page:
        yield page


def until(driver, selector, text=""):
    """Wait for an element that contains ``text`` and return it."""

    def find(_):
        found = driver.find_elements(By.CSS_SELECTOR, selector)
        return next((one for one in found if text in one.get_attribute("textContent")), None)

    message = f"no {selector} with {text!r}"
    waiting = WebDriverWait(driver, PATIENCE, ignored_exceptions=[StaleElementReferenceException])
    return waiting.until(find, message)


def upload(driver, path):
    until(driver, "#em-audio input[type=file]").send_keys(str(path))


def numbers(driver):
    """Return the displayed VAD in [-1, 1] and on the label scale, shape (3, 2)."""
    rows = [until(driver, f"#em-{name}") for name in DIMENSIONS]
    cells = [row.find_elements(By.CSS_SELECTOR, "td[data-value]") for row in rows]
    return np.array([[float(c.get_attribute("data-value")) for c in row] for row in cells])


def errors(driver):
    return [line["message"] for line in driver.get_log("browser") if line["level"] == "SEVERE"]


def hosts(driver):
    """Return the hosts that the browser sent requests to."""
    urls = set()
    for line in driver.get_log("performance"):
        message = json.loads(line["message"])["message"]
        if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            request = message["params"].get("request", message["params"])
            urls.add(urlsplit(request["url"]))
    assert urls
    return {url.hostname for url in urls if url.scheme in ("http", "https", "ws", "wss")}


def test_uploaded_recording_shows_prediction(page, model, tmp_path):
    path = write_levels(tmp_path / "two levels ü.wav", (4, 0.25), (4, -0.75))
    upload(page, path)
    until(page, "#em-result h2", "two levels ü.wav")
    expected = model.predict(path)
    assert numbers(page)[:, 0] == pytest.approx(expected.vad, abs=1e-9)
    assert numbers(page)[:, 1] == pytest.approx(expected.on_scale, abs=1e-9)
    assert expected.region_description.replace("-", "−") in until(page, ".em-region").text
    assert until(page, "#em-head .em-synthetic").is_displayed()
    assert until(page, "#em-model").text == model.info.name
    assert errors(page) == []
    assert hosts(page) == {"127.0.0.1"}


def test_sphere_rotates_and_slider_selects_window(page, tmp_path):
    upload(page, write_levels(tmp_path / "levels.wav", (4, 0.25), (4, -0.75)))
    canvas = until(page, ".em-sphere")
    image = "return arguments[0].toDataURL()"
    home = page.execute_script(image, canvas)
    colours = "const c = arguments[0]; return [...new Set(new Uint32Array(c.getContext('2d')"
    colours += ".getImageData(0, 0, c.width, c.height).data.buffer))].length"
    assert page.execute_script(colours, canvas) > 50
    canvas.send_keys(Keys.ARROW_LEFT)
    assert page.execute_script(image, canvas) != home
    canvas.send_keys(Keys.HOME)
    assert page.execute_script(image, canvas) == home
    slider = until(page, ".em-range")
    slider.send_keys(Keys.END)
    label = "0:04–0:08: valence −0.75, arousal +0.75, dominance −0.38; region VIII"
    assert until(page, ".em-now").text == label
    assert slider.get_attribute("aria-valuetext") == label
    assert label in canvas.get_attribute("aria-label")
    assert page.execute_script(image, canvas) != home
    style = until(page, ".em-cursor").get_attribute("style")
    assert re.findall(r"(left|width): (\d+)%", style) == [("left", "50"), ("width", "50")]
    # A click in the middle of the time line at 4 s selects the window from 2 to 6 s.
    until(page, ".em-plot").click()
    assert until(page, ".em-now").text.startswith("0:02–0:06")


def test_cursor_does_not_cross_the_names_of_the_dimensions(page, tmp_path):
    upload(page, write_levels(tmp_path / "levels.wav", (4, 0.25), (4, -0.75)))
    until(page, "#em-result h2", "levels")
    # The cursor starts at the left edge, where the names start
    script = """
        const cursor = document.querySelector(".em-cursor");
        cursor.style.pointerEvents = "auto";
        return [...document.querySelectorAll(".em-name")].map((name) => {
            name.scrollIntoView({ block: "center" });
            const box = name.getBoundingClientRect();
            const at = (y) => document.elementFromPoint(box.left + 1, y).className;
            return [at((box.top + box.bottom) / 2), at(box.bottom + 20)];
        });
    """
    assert page.execute_script(script) == [
        [f"em-name em-{name}", "em-cursor"] for name in DIMENSIONS
    ]


def test_playback_stops_at_last_window(page, tmp_path):
    upload(page, write_levels(tmp_path / "levels.wav", (4, 0.25), (2, -0.75)))
    until(page, ".em-play").click()
    until(page, ".em-now", "0:02–0:06")
    until(page, ".em-play", "Play")


def test_point_follows_audio_player(page, tmp_path):
    upload(page, write_levels(tmp_path / "levels.wav", (4, 0.25), (3, -0.75)))
    until(page, ".em-now", "0:00–0:04")
    until(page, "#em-audio button[aria-label=Play]").click()
    # the window whose centre is closest to the playback position
    until(page, ".em-now", "0:01–0:05")


def test_csv_download_contains_windows(page, tmp_path):
    upload(page, write_levels(tmp_path / "levels.wav", (4, 0.25), (2, -0.75)))
    link = until(page, ".em-download").get_attribute("href")
    rows = list(csv.DictReader(io.StringIO(unquote(link.partition(",")[2]))))
    valence = [float(row["valence"]) for row in rows]
    assert valence == pytest.approx([0.25, 0.0, -0.25], abs=1e-6)


def test_valid_file_is_processed_after_rejected_files(page, tmp_path):
    damaged = tmp_path / "damaged.wav"
    damaged.write_bytes(b"RIFF\x00\x00\x00\x00WAVE but nothing else" * 9)
    upload(page, damaged)
    text = until(page, ".em-alert[role=alert]", "damaged.wav: not a recognised audio file").text
    assert "Traceback" not in text
    assert tempfile.gettempdir() not in text
    clear(page)
    upload(page, write_levels(tmp_path / "long.wav", (31, 0.25), rate=8_000))
    until(page, ".em-alert[role=alert]", "the limit is 0:30 min; found 0:31 min")
    clear(page)
    upload(page, write_levels(tmp_path / "good.wav", (2, 0.25)))
    assert numbers(page)[0, 0] == pytest.approx(0.25, abs=1e-6)


def clear(page):
    until(page, "#em-audio button[aria-label=Clear]").click()
    until(page, "#em-result .em-soft", "Record speech or upload a file")


def test_file_over_size_limit_is_rejected(page, tmp_path):
    upload(page, write_levels(tmp_path / "large.wav", (50, 0.25)))  # 3.2 MB as 32-bit floats
    until(page, ".toast-body", "exceed the maximum allowed size of 3.0 Mb")
    assert page.find_elements(By.ID, "em-valence") == []


@pytest.mark.parametrize("ending", ["flac", "ogg", "mp3"])
def test_other_audio_formats_are_accepted(page, model, tmp_path, ending):
    if ending.upper() not in soundfile.available_formats():
        pytest.skip(f"this version of libsndfile cannot write {ending}")
    time = np.arange(2 * 44_100) / 44_100
    path = tmp_path / f"tone.{ending}"
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 220 * time)[:, None].repeat(2, 1), 44_100)
    upload(page, path)
    until(page, "#em-result h2", path.name)
    assert numbers(page)[:, 0] == pytest.approx(model.predict(path).vad, abs=1e-9)


def test_microphone_recording_is_analysed(page):
    until(page, "#em-audio button[aria-label='Record audio']").click()
    until(page, "#em-audio .record-button").click()
    WebDriverWait(page, PATIENCE).until(
        lambda _: until(page, "#em-audio .stop-button").is_displayed()
    )
    page.execute_async_script("setTimeout(arguments[0], 1500)")  # the fake microphone plays beeps
    until(page, "#em-audio .stop-button").click()
    assert np.isfinite(numbers(page)).all()
    assert numbers(page)[1, 0] > 0  # beeps are not silent


@pytest.mark.parametrize("width", [320, 390])
def test_page_fits_narrow_screens(driver, address, tmp_path, width):
    with tab(driver, address, width=width) as page:
        upload(page, write_levels(tmp_path / "levels.wav", (4, 0.25), (14, -0.75)))
        until(page, "#em-result h2", "levels.wav")
        content_width = "return document.documentElement.scrollWidth"
        WebDriverWait(page, PATIENCE).until(
            lambda _: page.execute_script(content_width) <= width,
            "the page is wider than the screen",
        )


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory):
    """Ten minutes at alternating levels: about 300 windows."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    levels = [(4, (-1) ** (n // 5) * 0.2 + 0.1) for n in range(150)]
    return write_levels(path, *levels, rate=4_000)


@pytest.mark.parametrize("seconds", [3, 20, 600])
def test_main_values_are_visible_on_a_phone(driver, model, tmp_path, long_recording, seconds):
    path = long_recording
    if seconds < 600:
        path = write_levels(tmp_path / f"{seconds}.wav", (seconds, 0.25))
    with (
        open_page(model, Limits(max_seconds=900)) as address,
        tab(driver, address, width=390, height=844) as page,
    ):
        upload(page, path)
        until(page, "#em-result h2", path.name)
        rows = "return [...document.querySelectorAll('.em-numbers tbody tr')].map(row => {"
        rows += "const box = row.getBoundingClientRect(); return [box.top, box.bottom, box.right]})"
        WebDriverWait(page, PATIENCE).until(
            lambda _: all(
                top >= 0 and bottom <= 844 and right <= 390
                for top, bottom, right in page.execute_script(rows)
            ),
            "the values are not on the screen",
        )
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
        assert len(page.find_elements(By.CSS_SELECTOR, ".em-panel")) == (3 if seconds > 4 else 0)
        assert errors(page) == []


def test_labels_on_the_sphere_do_not_overlap(driver, tmp_path):
    """Text is recorded with its box; 16 words at almost the same place leave one of them."""
    words = {f"word{n}": [0.3 + n / 500, 0.2, 0.1] for n in range(16)}
    crowded = levels_model(words=words)
    record = """
    const write = CanvasRenderingContext2D.prototype.fillText;
    window.written = [];
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
      const half = this.measureText(text).width / 2;
      window.written.push([text, x - half, x + half, y, parseFloat(this.font)]);
      return write.call(this, text, x, y);
    };"""
    with (
        open_page(crowded, LIMITS) as address,
        tab(driver, address) as page,
    ):
        page.execute_script(record)
        upload(page, write_levels(tmp_path / "levels.wav", (4, 0.25), (4, -0.75)))
        canvas = until(page, ".em-sphere")
        for _ in range(6):
            page.execute_script("window.written = []")
            canvas.send_keys(Keys.ARROW_LEFT)
            found = page.execute_script("return window.written")
            assert any(text.startswith("word") for text, *_ in found)
            assert sum(text.startswith("+ ") for text, *_ in found) >= 2
            for one, other in itertools.combinations(found, 2):
                (_, left, right, y, size), (_, start, end, place, height) = one, other
                apart = right <= start or end <= left
                assert apart or abs(y - place) >= (size + height) / 2, (one, other)


def test_uploads_are_deleted_with_next_upload_and_when_page_closes(
    driver, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_page(model, LIMITS) as address:
        folder = Path(os.environ["GRADIO_TEMP_DIR"])
        with tab(driver, address) as page:
            for name in ("one.wav", "two.wav"):
                upload(page, write_levels(tmp_path / name, (2, len(name) / 8)))
                until(page, "#em-result h2", name)
                assert uploaded_files(folder) == [name]
                if name == "one.wav":
                    clear(page)
                    assert uploaded_files(folder) == []
            page.get("about:blank")
            WebDriverWait(page, PATIENCE).until(lambda _: uploaded_files(folder) == [])
    assert not folder.exists()


def uploaded_files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_sigterm_stops_server_and_removes_temporary_files(root, tmp_path):
    code = (
        "from tests.helpers.fixed_model import levels_model\n"
        "from emosphere_sb.demo_page.limits import Limits\n"
        "from emosphere_sb.demo_page.server import serve\n"
        "from functools import partial\n"
        "serve(levels_model(), Limits(), announce=partial(print, flush=True))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, text=True, stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        assert re.match(r"Page running at http://127\.0\.0\.1:\d+ \(press Ctrl\+C to", line)
        assert list(tmp_path.glob("emosphere-demo-*"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.stdout.close()
    assert list(tmp_path.glob("emosphere-demo-*")) == []


def test_occupied_port_raises(address, model):
    port = urlsplit(address).port
    message = f"Cannot listen on 127.0.0.1, port {port}: the port is in use.*another --port"
    with pytest.raises(OSError, match=message), open_page(model, LIMITS, port=port):
        pytest.fail("two servers on the same port")
