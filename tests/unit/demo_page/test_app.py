"""Responses and heading of the page."""

import re

import pytest

from emosphere_sb.demo_page.app import page_heading, respond, style_sheet
from emosphere_sb.demo_page.limits import Limits
from tests.helpers.fixed_model import levels_model, write_levels


def test_recording_is_analysed(tmp_path):
    shown = respond(levels_model(), Limits(), str(write_levels(tmp_path / "a.wav", (2, 0.25))))
    assert shown["scene"]["overall"]["vad"] == pytest.approx([0.25, 0.25, -0.125], abs=1e-6)


def test_error_for_damaged_file_does_not_show_the_folder(tmp_path):
    path = tmp_path / "damaged.wav"
    path.write_bytes(b"RIFF nothing")
    shown = respond(levels_model(), Limits(), str(path))
    assert "damaged.wav: not a recognised audio file" in shown["html"]
    assert str(tmp_path) not in shown["html"]


def test_limits_are_enforced(tmp_path):
    path = str(write_levels(tmp_path / "a.wav", (2, 0.25)))
    assert "the limit is 0:01 min" in respond(levels_model(), Limits(max_seconds=1), path)["html"]
    assert "the limit is 0.1 MB" in respond(levels_model(), Limits(max_megabytes=0.1), path)["html"]


def test_internal_error_is_logged_and_shown_as_alert(tmp_path, caplog):
    model = levels_model()

    def broken(*_):
        raise RuntimeError("secret details")

    model.mods.model.forward = broken
    shown = respond(model, Limits(), str(write_levels(tmp_path / "a.wav", (2, 0.25))))
    assert "Internal error (RuntimeError)" in shown["html"]
    assert "secret details" not in shown["html"]
    assert "secret details" in caplog.text


def test_heading_shows_model_licence_and_synthetic_mark():
    head = page_heading(levels_model().info, Limits(90, 5), "127.0.0.1")
    assert "Levels &lt;i&gt;by hand&lt;/i&gt;" in head
    assert "For tests &amp; nothing else." in head
    assert "SYNTHETIC" in head
    assert "Up to 1:30 min and 5 MB." in head
    assert "WARNING" not in head


def test_heading_of_a_real_model_on_a_public_address():
    head = page_heading(levels_model(synthetic=False, licence="").info, Limits(), "0.0.0.0")
    assert "SYNTHETIC" not in head
    assert "Licence of the weights: unknown" in head
    assert "WARNING: this page listens on 0.0.0.0" in head


def luminance(colour):
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, two):
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_known_colour_pairs():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the known near miss


@pytest.mark.parametrize(("scheme", "paper"), [(":root", "#ffffff"), (".dark", "#18181b")])
def test_text_has_the_contrast_of_level_aa(scheme, paper):
    css = style_sheet().read_text(encoding="utf-8")
    block = re.search(rf"^{re.escape(scheme)} {{(.*?)^}}", css, re.DOTALL | re.MULTILINE)[1]
    colours = dict(re.findall(r"--em-([\w-]+): (#[0-9a-f]{6})", block))
    for name in ("ink", "soft", "accent", "valence", "arousal", "dominance"):
        assert contrast(colours[name], paper) >= 4.5, name
    for box in ("warn-paper", "alert-paper"):
        assert contrast(colours["ink"], colours[box]) >= 4.5, box
