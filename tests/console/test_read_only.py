"""When the disk failed, pages are read on, and whoever wants to write is told why not."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from flask.testing import FlaskClient

from tests.console import village

SignIn = Callable[..., FlaskClient]


def test_a_store_that_is_read_only_is_read_on_and_says_why_it_is_not_written(
    app: Flask, sign_in: SignIn
) -> None:
    operator = sign_in("operator")
    store = app.extensions["khazri"].store
    store._refuse("the disk failed (SQLITE_IOERR_FSYNC); check it, then start this program again")
    page = operator.get("/operator/now")
    assert page.status_code == 200
    assert operator.get("/healthz").status_code == 200
    form = {"csrf_token": village.token(page.text), "comment": "seen"}
    answer = operator.post("/operator/alarms/1/acknowledge", data=form)
    assert answer.status_code == 503
    for words in ("the store is read-only", "SQLITE_IOERR_FSYNC", "start this program again"):
        assert words in answer.text
    assert operator.get("/operator/now").status_code == 200
