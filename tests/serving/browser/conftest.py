"""A real browser: Debian's chromium with its driver. Without it these tests say so and skip."""

import functools
import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

STATIC = Path(__file__).resolve().parents[3] / "sppdet" / "serving" / "static"
Run = Callable[..., Any]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A window of chromium, 1,280 x 800 pixels, that starts with an empty profile."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no chromium with its driver (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("profile")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument("--window-size=1280,800")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    window.set_script_timeout(60)
    yield window
    window.quit()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def modules(browser: Any) -> Iterator[Run]:
    """``modules(script, *arguments)`` runs JavaScript beside the page's modules.

    The script is the body of an async function of ``load`` (a module by its name) and ``given``
    (the arguments); what it returns comes back.
    """
    handler = functools.partial(_Quiet, directory=str(STATIC))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"

        def run(script: str, *arguments: Any) -> Any:
            if not browser.current_url.startswith(address):
                browser.get(address + "icon.svg")
            answer = browser.execute_async_script(
                "const [given, done] = [arguments[0], arguments[arguments.length - 1]];"
                f"const load = (name) => import('{address}' + name);"
                f"(async () => {{ {script} }})()"
                ".then((value) => done({ value }), (error) => done({ error: String(error) }));",
                arguments,
            )
            assert "error" not in answer, answer["error"]
            return answer.get("value")

        yield run
        server.shutdown()
