"""``python -m grid.operation.field DIR START_S``: the field process."""

import asyncio
import sys
from pathlib import Path

from grid import site_file
from grid.operation.field.serve import serve

directory = Path(sys.argv[1])
asyncio.run(serve(directory, site_file.read(directory / "SITE.toml"), start_s=int(sys.argv[2])))
