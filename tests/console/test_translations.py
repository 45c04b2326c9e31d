"""Every text of the console exists in Azerbaijani and Russian."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from flask.testing import FlaskClient

import grid.console

FOLDER = Path(grid.console.__file__).parent


def _texts() -> set[str]:
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    options = {"templates/**.html": {"extensions": "jinja2.ext.i18n"}}
    found = extract_from_dir(FOLDER, methods, options, keywords={"_": None, "gettext": None})
    return {str(message) for _, _, message, _, _ in found}


@pytest.mark.parametrize("language", ["az", "ru"])
def test_catalogues_hold_every_text_and_no_other(language: str) -> None:
    with (FOLDER / "translations" / language / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    known = {str(message.id): str(message.string) for message in catalogue if message.id}
    assert set(known) == _texts()
    assert not [text for text, meant in known.items() if not meant]
    fields = re.compile(r"%\((\w+)\)s")
    for text, meant in known.items():
        assert set(fields.findall(text)) == set(fields.findall(meant)), text


def test_the_language_is_kept_with_the_user(sign_in: Callable[..., FlaskClient]) -> None:
    client = sign_in("operator")
    found = re.search(r'csrf_token" value="([^"]+)', client.get("/operator/now").text)
    assert found
    form = {"language": "az", "after": "//evil.example", "csrf_token": found[1]}
    assert client.post("/language", data=form).location == "/"
    again = sign_in("operator")
    assert "Güc balansı" in again.get("/operator/now").text
