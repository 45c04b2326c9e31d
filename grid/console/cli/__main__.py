"""``python -m grid.console.cli``: the ``khazri`` command."""

import sys

from grid.console.cli import main

sys.exit(main())
