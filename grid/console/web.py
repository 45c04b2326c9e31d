"""The web application: a factory, and the server that runs it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, redirect, render_template, request, session, url_for
from flask_security import current_user
from flask_wtf.csrf import CSRFProtect

from grid.console import (
    administrator,
    agreements,
    auditor,
    auditor_log,
    auth,
    charging,
    disputes,
    erasures,
    events,
    incidents,
    lost_energy,
    meter_exchanges,
    meter_orders,
    operator,
    operator_decisions,
    overrides,
    prosumer,
    prosumer_batteries,
    prosumer_contracts,
    prosumer_erasure,
    prosumer_ordering,
    readings,
    safety_tags,
    tariffs,
    voltage_quality,
    web_errors,
    web_language,
)
from grid.console.permissions import HOME, allowed
from grid.console.web_quality import quality_text
from grid.console.web_view import Room, Whole, civil, clock, local_hhmm, own_path
from grid.errors import StoreError
from grid.quantities import format_money, format_price
from grid.site import Site
from grid.store import Store, control, people, views
from grid.store.group_commit import GroupCommit
from networks.drawing.style import STYLE

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SECRET = "console.secret_key"
_BODY_BYTES_MAX = 64 * 1024

_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def create_app(
    store_url: str, site: Site, *, directory: Path, trusted_hosts: tuple[str, ...] = LOOPBACK
) -> Flask:
    """Return the console of a site.

    Parameters
    ----------
    store_url : str
        The site's store; it must have the secret ``console.secret_key``.
    directory : Path
        The folder of the site's state.
    trusted_hosts : tuple of str
        Names the console answers to. With others than loopback, cookies need HTTPS.

    Raises
    ------
    StoreError
        When there is no store, or no secret key in it.
    """
    store = Store(store_url)
    with store.read() as tx:
        secret_key = control.get_secret(tx, SECRET)
    if len(secret_key) < 32:
        raise StoreError(f"the secret {SECRET!r} must have at least 32 bytes")
    app = Flask(__name__)
    app.config.update(
        auth.settings(secret_key, secure=not set(trusted_hosts) <= set(LOOPBACK)),
        MAX_CONTENT_LENGTH=_BODY_BYTES_MAX,
        MAX_FORM_MEMORY_SIZE=_BODY_BYTES_MAX,
        MAX_FORM_PARTS=50,
        TRUSTED_HOSTS=list(trusted_hosts),
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.url_map.converters["int"] = Whole
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions["khazri"] = Room(site, store, directory, GroupCommit(store))
    CSRFProtect(app)
    web_language.init(app)
    auth.init(app, store)
    for module in (
        operator, operator_decisions, overrides, safety_tags, events, incidents, voltage_quality,
        readings, lost_energy, meter_orders, meter_exchanges, charging, agreements, tariffs,
        disputes, erasures, prosumer, prosumer_ordering, prosumer_contracts, prosumer_batteries,
        prosumer_erasure,
        auditor, auditor_log, administrator,
    ):  # fmt: skip
        app.register_blueprint(module.pages)
    _register(app, site, store)
    return app


def _register(app: Flask, site: Site, store: Store) -> None:
    app.jinja_env.filters.update(
        civil=civil,
        hhmm=local_hhmm,
        money=format_money,
        price=format_price,
        number=_number,
        quality=quality_text,
    )

    is_driven = site.field.kind == "simulated"

    @app.context_processor
    def shared() -> dict[str, Any]:
        roles = auth.roles()
        with store.read() as tx:
            now_s = clock(tx)
            waiting = views.open_findings(tx) if "operator" in roles else {}
        return {
            "site": site,
            "clock_s": now_s,
            # Between two cycles of real devices time goes on.
            "shown_s": now_s if now_s is None or is_driven else int(time.time()),
            "language": web_language.selected(),
            "languages": web_language.LANGUAGES,
            "may": lambda endpoint: current_user.is_authenticated and allowed(endpoint, roles),
            "alarms": sum(waiting.values()),
        }

    @app.after_request
    def headers(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers[name] = value
        if request.endpoint not in ("static", "drawing_style"):
            # Whoever answered: what is shown to one person is kept nowhere.
            response.headers["Cache-Control"] = "no-store"
            response.vary.add("Cookie")
        return response

    app.add_url_rule("/", "home", _home)
    app.add_url_rule("/drawing.css", "drawing_style", _drawing_style)
    app.add_url_rule("/healthz", "healthz", lambda: _healthz(store))
    app.add_url_rule("/language", "language", lambda: _language(store), methods=["POST"])
    web_errors.init(app)


def _number(value: float | None, places: int = 1) -> str:
    """Return a number for people; what is not known is a dash."""
    return "–" if value is None or value != value else f"{value:,.{places}f}".replace(",", " ")


def _home() -> Any:
    roles = auth.roles()
    for role, endpoint in HOME:
        if role in roles:
            return redirect(url_for(endpoint))
    return render_template("no_role.html")


def _drawing_style() -> Response:
    """Return the colours of networks' pictures, which a file that stands alone has inside."""
    response = Response(STYLE, mimetype="text/css")
    response.cache_control.no_cache = True
    response.add_etag()
    response.make_conditional(request)
    return response


def _healthz(store: Store) -> Response:
    with store.read() as tx:
        clock(tx)
    return Response("ok\n", mimetype="text/plain")


def _language(store: Store) -> Any:
    language = request.form.get("language", "")
    if language not in web_language.LANGUAGES:
        abort(400)
    after = own_path(request.form.get("after", "/")[:2048])
    session["language"] = language
    if current_user.is_authenticated:
        with store.write() as tx:
            people.set_language(tx, current_user.id, language)
    return redirect(after)


def serve(store_url: str, site_path: Path, directory: Path, host: str, port: int) -> None:
    """Serve the console until the process is told to stop.

    Parameters
    ----------
    site_path : Path
        The site file.
    host, port : str, int
        Where to listen; `host` is added to the trusted names when it is not loopback.
    """
    import os

    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    _end_with_parent()
    os.environ["KHAZRI_CONSOLE"] = "\n".join(
        (store_url, str(site_path.resolve()), str(directory.resolve()), host)
    )
    Server(
        "grid.console.web:from_environment",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=64,
        backlog=1024,
        log_level=LogLevels.error,
        log_access=False,
    ).serve()


def _end_with_parent() -> None:
    """End this process when the one above it was killed: it would hold the port for ever."""
    import os
    import threading
    import time

    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()


def from_environment() -> Flask:
    """Return the application :func:`serve` asked its worker for."""
    import os

    from grid import site_file

    store_url, site_path, directory, host = os.environ["KHAZRI_CONSOLE"].split("\n")
    hosts = LOOPBACK if host in LOOPBACK else (*LOOPBACK, host)
    site = site_file.read(Path(site_path))
    _end_with_parent()
    return create_app(store_url, site, directory=Path(directory), trusted_hosts=hosts)
