"""A served console and a browser that must stay silent and at home."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.console import village

_FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def _served(app: Flask) -> Iterator[str]:
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def served() -> Callable[[Flask], AbstractContextManager[str]]:
    """Serve an application and yield its address."""
    return _served


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a served village; a module may serve another site."""
    from grid.console.web import create_app

    village.fill(tmp_path)
    url = f"sqlite:///{tmp_path / 'khazri.sqlite3'}"
    with _served(create_app(url, village.SITE, directory=tmp_path)) as at:
        yield at


@pytest.fixture
def accounts() -> dict[str, tuple[str, str]]:
    """E-mail address and password of each who may sign in."""
    roles = ("operator", "metering", "prosumer", "auditor", "administrator")
    return {role: (f"{role}@example.org", village.PASSWORD) for role in roles}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for a module; longer would leave its event loop running under other tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def enter(
    chromium: Any, address: str, accounts: dict[str, tuple[str, str]]
) -> Iterator[Callable[..., Any]]:
    """Sign in as someone; at the end no error was logged and no other host was asked."""
    trouble: list[str] = []
    contexts = []

    def sign_in(who: str, *, width: int = 1366) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, locale="en", base_url=address
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: trouble.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        page.on(
            "request",
            lambda r: None if r.url.startswith(address + "/") else trouble.append(r.url),
        )
        page.goto("/login")
        page.fill("input[name=email]", accounts[who][0])
        page.fill("input[name=password]", accounts[who][1])
        page.click("button.main")
        return page

    yield sign_in
    for context in contexts:
        context.close()
    assert trouble == []
