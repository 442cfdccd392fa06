"""Its place puts this folder on the path, so that tests everywhere below it can import ``tables``."""

import shutil
import signal
import threading

import pytest

if threading.current_thread() is threading.main_thread():
    # a shell that starts tests in the background has Ctrl-C ignored, and what they start would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def chromium():
    """Give a real browser."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((place for name in names if (place := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
