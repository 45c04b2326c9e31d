"""Controllers on pymgrid's microgrids: ``python -m tests.dispatch.pymgrid25_backtest``.

Prints for each microgrid what every controller cost and its share of what could be saved over the
rule. A year takes some minutes for each.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dispatch.backtest.run import Backtest, Setting, share_of_gain
from tests import peers
from tests.dispatch.pymgrid25 import HOURS, read
from tests.dispatch.pymgrid25_input import window

WARM_UP_H = 28 * 24
"""Four weeks of the year are what the first forecast is made from."""


def backtest(
    folder: Path, number: int, *, hours: int, setting: Setting, first: int = WARM_UP_H
) -> Backtest:
    """Return a backtest of `hours` hours from hour `first`, not yet run."""
    return Backtest(window(read(folder, number), 0, first + hours), first, setting)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int, nargs="*", default=[0, 4, 12])
    parser.add_argument("--hours", type=int, default=HOURS - WARM_UP_H)
    parser.add_argument("--futures", type=int, default=12)
    options = parser.parse_args()
    folder = peers.data("pymgrid25")
    setting = Setting(futures=options.futures, controllers=("rule", "mpc", "stochastic"))
    for number in options.number:
        test = backtest(folder, number, hours=options.hours, setting=setting)
        for done, _ in enumerate(test.steps(), start=1):
            if done % 500 == 0:
                sys.stderr.write(f"microgrid {number}: {done:,} of {options.hours:,} h\n")
        bound = test.bound()
        for name, tally in test.tally.items():
            share = share_of_gain(test.tally, name, bound)
            told = f"microgrid {number} {name}: {tally.total:,.2f}, {share:.1%} of the gain\n"
            sys.stdout.write(told)
        sys.stdout.write(f"microgrid {number} bound: {bound:,.2f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
