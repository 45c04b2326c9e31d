"""The languages people read: az, en, ru."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, request, session
from flask_babel import Babel, Domain, get_locale
from flask_security import current_user

LANGUAGES: Final = {"az": "Azərbaycanca", "en": "English", "ru": "Русский"}
FOLDER: Final = Path(__file__).parent / "translations"


def catalogue(language: str) -> NullTranslations:
    """Return a catalogue read from its ``.po`` file; English is the source."""
    path = FOLDER / language / "messages.po"
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as file:
        messages = read_po(file, locale=language, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, messages)
    compiled.seek(0)
    return Translations(compiled)


class _Catalogues(Domain):  # type: ignore[misc]  # flask-babel has no types
    """Compiles the catalogues in memory, so that no stale file is ever served."""

    def get_translations(self) -> NullTranslations:
        language = str(get_locale() or "en")
        found: NullTranslations | None = self.cache.get(language)
        if found is None:
            found = self.cache[language] = catalogue(language)
        return found


def selected() -> str:
    """Return the language of this request."""
    chosen = session.get("language")
    if chosen not in LANGUAGES and current_user and current_user.is_authenticated:
        chosen = current_user.language
    if chosen in LANGUAGES:
        return str(chosen)
    return request.accept_languages.best_match(list(LANGUAGES), default="en") or "en"


def init(app: Flask) -> None:
    """Attach the languages to the application."""
    catalogues = _Catalogues()
    Babel(app, locale_selector=selected)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]  # of its i18n extension
        catalogues.gettext, catalogues.ngettext, newstyle=True
    )

    @app.before_request
    def use() -> None:
        catalogues.as_default()
