"""A fleet of both protocols, ciphered or not, read in one call with counters on disk."""

import asyncio
import random

from meters.bench_fleet import fleet, misread, serve_fleet
from meters.bench_poll import AT_S, apart
from meters.dlms.counters import FileCounterStore, name_of
from meters.modbus.gateway import Gateways
from meters.reader import read_meters

COUNT = 60


def read(addresses, counters, gateways):
    return asyncio.run(
        read_meters(addresses, at_s=AT_S, timeout_s=20.0, gateways=gateways, counters=counters)
    )


def test_every_meter_is_read_as_it_is_and_no_counter_comes_twice(tmp_path):
    with apart(serve_fleet, COUNT) as urls:
        addresses = fleet(urls)
        gateways = Gateways(random.Random(1))
        first = read(addresses, FileCounterStore(tmp_path), gateways)
        assert misread(first, COUNT) == 0
        own = [address.ciphering for address in addresses if address.ciphering is not None]
        names = [name_of(one.encryption_key, one.title) for one in own]
        assert {address.auth for address in addresses} == {"none", "lls", "hls-gmac"}
        assert len(names) == 24
        used = {name: FileCounterStore(tmp_path).reserve(name, 0, 0) for name in names}
        # As after a restart: what was reserved is passed over, and meters refuse what is not new.
        again = read(addresses, FileCounterStore(tmp_path), gateways)
        assert misread(again, COUNT) == 0
        assert all(FileCounterStore(tmp_path).reserve(name, 0, 0) > used[name] for name in names)
    assert [one.raw_sha256 for one in first[0]] == [one.raw_sha256 for one in again[0]]
    healthy = [one for one in gateways.by_subject.values() if one.successes == one.requests == 2]
    assert len(healthy) == COUNT // 2


def test_a_meter_with_other_keys_is_told_of_and_spoils_no_other(tmp_path):
    with apart(serve_fleet, COUNT) as urls:
        addresses = fleet(urls)
        place = next(n for n, one in enumerate(addresses) if one.auth == "hls-gmac")
        other = next(one for one in addresses[place + 1 :] if one.ciphering is not None)
        wrong = addresses[place]
        addresses[place] = type(wrong)(
            wrong.meter, wrong.url, wrong.profile, wrong.auth, ciphering=other.ciphering
        )
        reads, findings = read(addresses, FileCounterStore(tmp_path), Gateways(random.Random(1)))
    assert [one.subject for one in findings] == [wrong.meter]
    assert len(reads) == COUNT - 1
