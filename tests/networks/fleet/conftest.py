"""Two small bases, planned once, and what a serial run of forty feeders gives."""

import pytest

from networks.fleet.fleet import plan
from networks.fleet.run import run
from networks.fleet.store import Store

SOURCES = ("simbench:1-LV-rural1--0-sw", "simbench:1-LV-semiurb4--0-sw")
COUNT = 40


@pytest.fixture(scope="session")
def fleet():
    return plan(SOURCES, count=COUNT, seed=3)


@pytest.fixture(scope="session")
def serial(fleet, tmp_path_factory):
    """Return the folder of the fleet solved in this process."""
    directory = tmp_path_factory.mktemp("fleet") / "serial"
    with Store(directory, fleet) as store:
        run(store)
        assert store.refused == 0
    return directory


@pytest.fixture(scope="session")
def contents():
    """Return a function that gives the bytes of everything a folder of results holds."""

    def read(directory):
        return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}

    return read
