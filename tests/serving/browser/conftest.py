"""A real browser: Debian's chromium with its driver. Without it these tests say so and skip."""

import functools
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

STATIC = Path(__file__).resolve().parents[3] / "sppdet" / "serving" / "static"
Run = Callable[..., Any]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A window of chromium, 1,280 x 800 pixels, that starts with an empty profile."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    exceptions = pytest.importorskip("selenium.common.exceptions")
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
    try:
        window = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    except exceptions.WebDriverException as error:  # as in a container that allows no processes
        pytest.skip(f"chromium does not start here: {error.msg}")
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
                browser.get(address + "serve.html")  # any HTML page
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


class Server:
    """``sppdet label`` or ``sppdet serve`` as a process of its own, which can be killed."""

    def __init__(self, command: str, path: Path, cache: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/"
        self.path = path
        words = [command, str(path), "--port", str(self.port)]
        self._command = [sys.executable, "-m", "sppdet", *words]
        if command == "label":
            self._command.append("--no-browser")
        self._environment = {**os.environ, "SPPDET_CACHE": str(cache)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, env=self._environment
        )
        for _ in range(1200):
            assert self._process.poll() is None, "the server has ended"
            try:
                urllib.request.urlopen(self.address, timeout=10).close()
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as Ctrl-C does; it may take its processes with it."""
        self._end(signal.SIGINT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:  # it compiles
                self._process.kill()
                self._process.wait()
            self._process = None


class Page:
    """The page of ``sppdet label`` as a person uses it: points are pixels of the photograph."""

    def __init__(self, browser: Any, address: str) -> None:
        from selenium.webdriver import ActionChains, Keys

        self.browser = browser
        self.address = address
        self.keys = Keys
        self._actions = functools.partial(ActionChains, browser, duration=20)

    def open(self, number: int | None = None) -> None:
        """Load the page, and wait until a photograph is open and has its proposals."""
        self.browser.get("about:blank")
        self.browser.get(self.address + ("" if number is None else f"#{number}"))
        self.until(lambda: self.text("#photo"))
        self.until_ready()

    def until_ready(self) -> None:
        """Wait until a box lights up under the pointer somewhere in the photograph."""

        def lit() -> str:
            for place in ((0.5, 0.5), (0.4, 0.4), (0.6, 0.6)):
                width, height = self._view()[3:]
                self._at((place[0] - 0.5) * width, (place[1] - 0.5) * height).perform()
                if "choice" in self.hint:
                    return self.hint
            return ""

        self.until(lit)

    def until(self, condition: Callable[[], Any], seconds: float = 240) -> Any:
        """Wait for a condition to hold; returns its value."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, f"not within {seconds} s; hint: {self.hint}"
            time.sleep(0.05)
        return value

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page."""
        return self.browser.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """The text of an element; empty where there is none."""
        text = self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        return str(text).strip()

    @property
    def hint(self) -> str:
        """The line on the photograph."""
        return self.text("#hint")

    @property
    def saving(self) -> str:
        """saved, saving or failed."""
        return str(self.run("return document.querySelector('#save').dataset.state"))

    def rows(self, dashed: bool = False) -> list[tuple[str, list[float]]]:
        """The objects in the list, or the suggestions: class and box."""
        script = """return [...document.querySelectorAll("#objects .item")]
            .filter((row) => row.classList.contains("dashed") === arguments[0])
            .map((row) => [row.querySelector(".name").textContent, row.dataset.box])"""
        found = self.run(script, dashed)
        return [(label, [float(value) for value in box.split(",")]) for label, box in found]

    @property
    def objects(self) -> list[tuple[str, list[float]]]:
        """The objects: class and box."""
        return self.rows()

    @property
    def suggestions(self) -> list[tuple[str, list[float]]]:
        """The suggestions: class and box."""
        return self.rows(dashed=True)

    def _view(self) -> list[float]:
        return list(
            self.run(
                """const stage = document.querySelector("#stage");
                const { scale, x, y } = stage.dataset;
                return [+scale, +x, +y, stage.clientWidth, stage.clientHeight]"""
            )
        )

    def _at(self, dx: float, dy: float, actions: Any = None) -> Any:
        stage = self.browser.find_element("id", "stage")
        return (actions or self._actions()).move_to_element_with_offset(stage, round(dx), round(dy))

    def _to(self, point: Sequence[float], actions: Any = None) -> Any:
        scale, x, y, width, height = self._view()
        dx, dy = x + scale * point[0] - width / 2, y + scale * point[1] - height / 2
        return self._at(dx, dy, actions)

    def hover(self, point: Sequence[float]) -> None:
        """Move the pointer."""
        self._to(point).perform()

    def click(self, point: Sequence[float]) -> None:
        """Click."""
        self._to(point).click().perform()

    def drag(
        self,
        start: Sequence[float],
        end: Sequence[float],
        key: str | None = None,
        begin: bool = True,
        release: bool = True,
    ) -> None:
        """Press, move, release; with a key held. Without ``begin`` the button is down already."""
        actions = self._to(start)
        if begin:
            actions.click_and_hold()
        if key:
            actions.key_down(key)
        middle = [(a + b) / 2 for a, b in zip(start, end, strict=True)]
        actions = self._to(end, self._to(middle, actions))
        if release:
            actions.release()
        if key:
            actions.key_up(key)
        actions.perform()

    def press(self, *keys: str, held: str | None = None) -> None:
        """Press keys, one after the other; with a key held."""
        actions = self._actions()
        if held:
            actions.key_down(held)
        actions.send_keys(*keys)
        if held:
            actions.key_up(held)
        actions.perform()

    def push(self, selector: str) -> None:
        """Click on an element."""
        self.browser.find_element("css selector", selector).click()

    def complaints(self) -> list[str]:
        """Errors in the browser's console since the last call."""
        found = [entry["message"] for entry in self.browser.get_log("browser")]
        return [one for one in found if "ERR_CONNECTION" not in one and "409" not in one]


@pytest.fixture(scope="module")
def make_page(
    browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, Path], tuple[Server, Page]]]:
    """``make_page(command, path)`` starts a server; returns it with its page."""
    servers = []
    cache = tmp_path_factory.getbasetemp() / "sppdet-cache"  # as that of all tests

    def make(command: str, path: Path) -> tuple[Server, Page]:
        server = Server(command, path, cache)
        servers.append(server)
        server.start()
        return server, Page(browser, server.address)

    yield make
    browser.get("about:blank")
    for server in servers:
        server.stop()
