"""``python -m grid.console DIR PORT``: the console of a site folder, in its own process."""

import sys
from pathlib import Path

from grid.console.web import serve

directory = Path(sys.argv[1]).resolve()
url = f"sqlite:///{directory / 'khazri.sqlite3'}"
serve(url, directory / "SITE.toml", directory, "127.0.0.1", int(sys.argv[2]))
