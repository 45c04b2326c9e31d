"""A witness over its socket: what it cosigns, what it refuses, and what it never forgets."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from grid.errors import BadInputError, StoreError
from grid.operation import witness_server
from grid.operation.signer import BehindError
from grid.operation.witness import Witness, key_of, origin_hash
from grid.operation.witness_client import Posted, ask
from grid.operation.witness_server import WitnessServer
from trading.ledger import checkpoint, merkle, note, policy
from trading.ledger.witness import REQUEST_BYTES_MAX, Request

ORIGIN = "log.example"
LOG = note.signer(ORIGIN, b"l" * 32)
OURS = note.signer("witness.example", b"w" * 32, note.COSIGNATURE)
AT_S = 1_780_000_000


def leaves(count: int, fork: int | None = None) -> merkle.Tree:
    """A tree of `count` leaves, other ones from `fork` on."""
    named = (f"{n}{'x' if fork is not None and n >= fork else ''}" for n in range(count))
    return merkle.Tree(merkle.leaf_hash(name.encode()) for name in named)


def request(old: int, size: int, *, fork: int | None = None, by: note.Signer = LOG) -> bytes:
    tree = leaves(max(old, size), fork)
    head = checkpoint.Checkpoint(by.key.name, size, tree.root(size))
    proof = tree.consistency(old, size) if old <= size else ()
    return Request(old, proof, checkpoint.sign(head, by)).encode()


def post(port: int, body: bytes, path: str = "/add-checkpoint") -> tuple[int, str, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.getheader("Content-Type", "")


def get(port: int, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@contextmanager
def serving(folder: Path, *logs: note.VerifierKey) -> Iterator[int]:
    witness = Witness(OURS, logs or (LOG.key,), folder, lambda: AT_S)
    with closing(witness), WitnessServer(("127.0.0.1", 0), witness) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with serving(tmp_path / "state") as port:
        yield port


def cosigned(body: bytes, line: str) -> dict[str, int]:
    signed = body.decode().partition("\n\n")[2]
    return checkpoint.cosigners(signed + line, [OURS.key])


def test_a_growing_log_is_cosigned_and_the_cosignature_holds(port: int) -> None:
    size = 0
    for larger in (1, 2, 7, 256, 300, 300):
        body = request(size, larger)
        status, line, _ = post(port, body)
        assert status == 200
        assert cosigned(body, line) == {OURS.key.encode(): AT_S}
        size = larger
    status, signed = get(port, f"/{origin_hash(ORIGIN)}/checkpoint")
    assert status == 200
    assert checkpoint.verify(signed, LOG.key).size == 300
    assert checkpoint.cosigners(signed, [OURS.key])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (request(0, 9), 409),
        (request(7, 9), 409),
        (request(8, 9, fork=3), 422),
        (request(8, 8, fork=3), 422),
        (request(9, 8), 400),
        (request(8, 9).replace(b"old 8\n", b"old 8\n" + b"A" * 43 + b"=\n"), 422),
        (request(8, 9, by=note.signer(ORIGIN, b"x" * 32)), 403),
        (request(8, 9, by=note.signer("other.example", b"l" * 32)), 404),
        (request(8, 9).replace(b"old 8", b"old 08"), 400),
        (request(8, 9).replace(b"old 8", b"new 8"), 400),
        (request(8, 9).replace(b"old 8\n", b"old 8\nAAAA\n"), 400),
        (request(8, 9).replace(b"old 8\n", b"old 8\n" + (b"A" * 43 + b"=\n") * 64), 400),
        (request(8, 9) + b"\x00", 400),
        (b"", 400),
        (b"\xff", 400),
    ],
)
def test_what_does_not_follow_is_refused_with_the_status_of_the_protocol(
    port: int, body: bytes, status: int
) -> None:
    assert post(port, request(0, 8))[0] == 200
    found, text, kind = post(port, body)
    assert found == status, text
    if status == 409:
        assert (text, kind) == ("8\n", "text/x.tlog.size")
    assert post(port, request(8, 9))[0] == 200


def test_an_altered_signature_is_forbidden(port: int) -> None:
    signed = request(0, 8)
    at = signed.rindex(b"\n") - 20
    assert post(port, signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :])[0] in (400, 403)
    assert post(port, request(0, 8))[0] == 200


def test_other_paths_and_lengths_are_refused(port: int) -> None:
    assert post(port, request(0, 8), "/elsewhere")[0] == 404
    assert post(port, b"x" * (REQUEST_BYTES_MAX + 1))[0] == 413
    assert get(port, f"/{origin_hash(ORIGIN)}/checkpoint")[0] == 404
    assert get(port, "/../etc/passwd")[0] == 404


def test_a_log_with_two_keys_goes_on_from_one_to_the_other(tmp_path: Path) -> None:
    second = note.signer(ORIGIN, b"2" * 32)
    with serving(tmp_path, LOG.key, second.key) as port:
        assert post(port, request(0, 8))[0] == 200
        assert post(port, request(8, 9, by=second))[0] == 200


def test_what_was_cosigned_is_known_after_a_restart_and_by_one_process_at_a_time(
    tmp_path: Path,
) -> None:
    with serving(tmp_path) as port:
        assert post(port, request(0, 8))[0] == 200
        with pytest.raises(StoreError, match="another witness"):
            Witness(OURS, [LOG.key], tmp_path, lambda: AT_S)
    with serving(tmp_path) as port:
        assert post(port, request(0, 9, fork=2))[:2] == (409, "8\n")
        assert post(port, request(8, 9, fork=2))[0] == 422
    (tmp_path / origin_hash(ORIGIN)).write_text("nonsense")
    with pytest.raises(StoreError):
        Witness(OURS, [LOG.key], tmp_path, lambda: AT_S)


def test_of_many_posts_at_once_no_two_histories_are_cosigned(port: int) -> None:
    """Thirty-two threads offer two forks of every size; one of each size at most gets through."""
    taken: list[tuple[int, str]] = []

    def offer(fork: int | None) -> None:
        for size in range(1, 9):
            body = request(size - 1, size, fork=fork)
            if post(port, body)[0] == 200:
                taken.append((size, body.decode().splitlines()[-3]))

    threads = [threading.Thread(target=offer, args=(n % 2 or None,)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken
    assert len({root for _, root in taken}) == len({size for size, _ in taken})


def test_a_disk_that_fails_stops_every_cosignature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path) as port:
        assert post(port, request(0, 8))[0] == 200

        def broken(handle: int) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", broken)
            assert post(port, request(8, 9))[0] == 503
        assert post(port, request(8, 9))[0] == 503
    with serving(tmp_path) as port:
        assert post(port, request(8, 9))[0] in (200, 409)


def test_a_request_that_drips_is_cut_off_and_others_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_server, "REQUEST_S", 0.5)
    with serving(tmp_path) as port:
        with socket.create_connection(("127.0.0.1", port)) as slow:
            began = time.monotonic()
            slow.sendall(b"POST /add-checkpoint HTTP/1.1\r\n")
            slow.settimeout(0.05)
            over = False
            while not over and time.monotonic() - began < 5:
                try:
                    slow.sendall(b"a")
                    over = slow.recv(100) == b""
                except TimeoutError:
                    pass
                except OSError:
                    over = True
            assert over
        assert post(port, request(0, 8))[0] == 200


def test_more_connections_than_there_are_places_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_server, "CONNECTIONS_MAX", 2)
    with serving(tmp_path) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        time.sleep(0.2)
        with socket.create_connection(("127.0.0.1", port)) as third:
            third.settimeout(5)
            assert third.recv(1) == b""
        for one in held:
            one.close()
        time.sleep(0.2)
        assert post(port, request(0, 8))[0] == 200


def posted(size: int, fork: int | None = None) -> Posted:
    tree = leaves(size, fork)
    head = checkpoint.Checkpoint(ORIGIN, size, tree.root())
    return Posted(head, checkpoint.sign(head, LOG), lambda old: tree.consistency(old, size))


def of_policy(port: int, name: str = "w", key: note.VerifierKey = OURS.key) -> policy.Witness:
    return policy.Witness(name, key, f"http://127.0.0.1:{port}/")


def test_the_client_finds_out_what_a_witness_has_seen(port: int) -> None:
    for size in (5, 5, 300):
        (line,), failed = ask(posted(size), [of_policy(port)])
        assert not failed
        assert checkpoint.cosigners(posted(size).signed + line, [OURS.key])
    _, failed = ask(posted(299), [of_policy(port)])
    assert isinstance(failed["w"], BehindError)
    assert "has cosigned 300 entries of log.example, the store holds 299" in str(failed["w"])
    _, failed = ask(posted(301, fork=7), [of_policy(port)])
    assert isinstance(failed["w"], BehindError)


def test_a_witness_that_is_down_slow_or_somebody_else_takes_the_deadline_and_no_more(
    port: int,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stranger = note.signer("witness.example", b"s" * 32, note.COSIGNATURE).key
        asked = [
            of_policy(port),
            of_policy(silent.getsockname()[1], "silent"),
            of_policy(1, "down"),
            of_policy(port, "stranger", stranger),
        ]
        began = time.monotonic()
        lines, failed = ask(posted(5), asked, deadline_s=1.0)
        assert time.monotonic() - began < 3.0
    assert len(lines) == 1
    assert sorted(failed) == ["down", "silent", "stranger"]
    assert "does not hold" in str(failed["stranger"])


def test_a_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "witness.key"
    made = key_of(path, "w.example")
    assert key_of(path, "ignored").key == made.key
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(note.encode_secret("log.example", bytes(32)))
    with pytest.raises(BadInputError, match="not of a witness"):
        key_of(path, "w.example")


@pytest.fixture
def witnessing(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str, int]]]:
    """Starts a witness as people start it; its key and port are what it prints."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str, int]:
        process = subprocess.Popen(
            [sys.executable, "-m", "grid.console.cli", "ledger", "witness"]
            + ["--listen", "127.0.0.1:0", "--key", str(tmp_path / "w.key"), "--name", "w.example"]
            + ["--log", LOG.key.encode(), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout
        key = process.stdout.readline().removeprefix("key: ").strip()
        where = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        assert where
        return process, key, int(where[1])

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_a_stranger_runs_a_witness_kills_it_and_it_forgets_nothing(
    witnessing: Callable[..., tuple[subprocess.Popen[str], str, int]],
) -> None:
    process, key, port = witnessing()
    body = request(0, 8)
    status, line, _ = post(port, body)
    assert status == 200
    signed = body.decode().partition("\n\n")[2] + line
    assert checkpoint.cosigners(signed, [note.parse_key(key)])
    process.kill()
    process.wait()
    process, again, port = witnessing()
    assert again == key
    assert post(port, request(0, 9, fork=1))[:2] == (409, "8\n")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 0
    assert told.endswith("stopped\n")
    assert "Traceback" not in told


def test_the_help_of_the_witness_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    from grid.console.cli import main

    with pytest.raises(SystemExit):
        main(["ledger", "witness", "--help"])
    assert "khazri ledger witness --listen 0.0.0.0:8041" in capsys.readouterr().out
