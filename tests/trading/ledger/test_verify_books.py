"""Books that are false although every signature, hash and commitment in them holds."""

import importlib.util
import json
from pathlib import Path

import pytest

import trading.verify as verifier
from grid.interval import label
from trading.ledger import entry

_SPEC = importlib.util.spec_from_file_location(
    "ledger_log", Path(__file__).with_name("conftest.py")
)
made = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(made)

AT = label(made.START_S)
PRICE = made.PRICE
TRADE = {"energy_wh": "500", "price": str(PRICE)}


@pytest.fixture
def books():
    """A new log with a genesis only."""
    one = made.Log()
    one.append(entry.Kind.GENESIS, "", {})
    return one


@pytest.fixture
def verdict(capsys, tmp_path):
    """Returns exit status and report on a log."""

    def run(log, *arguments, flags=("--openings",)):
        log.export(tmp_path / "export")
        capsys.readouterr()
        given = [str(tmp_path / "export"), "--key", log.vkey, "--json", *flags, *arguments]
        status = verifier.main(given)
        return status, json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


def cleared(log, price=PRICE, volume_wh=500, trades=None):
    both = {"0-buyer": TRADE, "0-seller": TRADE} if trades is None else trades
    log.clear(AT, both, price, volume_wh)
    return log


def refused(verdict, log, *words, file="openings.jsonl"):
    status, report = verdict(log)
    assert status == 1, report
    assert report["file"] == file
    assert all(word in report["reason"] for word in words), report["reason"]
    return report


def reversal(line):
    return {**line, "debit": line["credit"], "credit": line["debit"], "reversal": True}


def test_true_books_are_verified_and_counted(verdict, books):
    cleared(books).readings(AT, {"up-0": made.reading(900)})
    fee = made.posting("p-buyer", "supplier", "fixed_fee", 0, 0, amount_nano="1000000000")
    books.settle(AT, [made.purchase(), made.sale(), fee])
    status, report = verdict(books)
    assert status == 0, report
    assert (report["openings"], report["commitments"]) == (6, 6)
    assert report["checked_intervals"] == {
        "postings": 1, "prices": 1, "readings": 1, "trades": 1,
    }  # fmt: skip


def test_a_label_committed_twice_is_named(verdict, books):
    books.readings(AT, {"up-0": made.reading(900)})
    other = {"up-0": made.reading(700)}
    books.commit(entry.Kind.READINGS, AT, "reading", other, {}, secret="other")
    report = refused(verdict, books, "reading", "up-0", "version 0", AT, "twice")
    assert report["entry"] == {"sequence": 2, "kind": "readings", "interval": AT}
    assert report["offset"] > 0


def test_a_label_committed_twice_by_one_entry_is_named(verdict, books):
    both = books.openings
    books.readings(AT, {"up-0": made.reading(900), "up-1": made.reading(900)})
    again = made.commitment.commit(
        b"2".ljust(32), made.commitment.Label(AT, "order", "O-1"), {"energy_wh": 1}
    )
    first = made.commitment.commit(
        b"1".ljust(32), made.commitment.Label(AT, "order", "O-1"), {"energy_wh": 2}
    )
    digests = made.commitment.commitments([again[0], first[0]])
    both += [(2, again[1]), (2, first[1])]
    books.append(entry.Kind.BOOK, AT, {"commitments": digests})
    refused(verdict, books, "order", "O-1", "twice")


def test_postings_that_leave_money_on_the_market_account_are_named(verdict, books):
    cleared(books).settle(AT, [made.purchase(), made.sale(499)])
    books.openings, kept = books.openings[:-1], books.openings
    status, report = verdict(books, "--partial")
    assert status == 0, "with a person erased the sum is not known"
    assert report["intervals_not_fully_opened"] == 1
    books.openings = kept
    report = refused(verdict, books, "leave 84 nano-currency on the market account")
    assert report["entry"] == {"sequence": 2, "kind": "settlement", "interval": AT}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"amount_nano": "41999"}, "posts 41999 for 500 Wh at 84"),
        ({"amount_nano": "-42000"}, "posts -42000"),
        ({"energy_wh": "-500", "amount_nano": "-42000"}, "-500 Wh"),
        ({"energy_wh": "0"}, "no energy"),
        ({"energy_wh": "0", "amount_nano": "0", "price": "0"}, "no energy"),
        ({"price": None}, "price"),
        ({"energy_wh": 500}, "energy_wh"),
        ({"amount_nano": "042000"}, "amount_nano"),
        ({"kind": None}, "kind"),
        ({"debit": ""}, "debit"),
        ({"debit": "supplier"}, "itself"),
        ({"reversal": "false"}, "reversal"),
    ],
)
def test_a_posting_must_be_its_energy_times_its_price(verdict, books, change, words):
    line = {**made.posting("p-buyer", "supplier", "supply"), **change}
    books.settle(AT, [line])
    refused(verdict, books, words)


def test_a_posting_that_is_no_posting_is_refused(verdict, books):
    for payload in ("", 3, None, [], {"account": "p-a", "amount_nano": "0"}):
        log = made.Log()
        log.append(entry.Kind.GENESIS, "", {})
        log.settle(AT, [payload])
        refused(verdict, log, "posting")


@pytest.mark.parametrize("kind", ["fixed_fee", "rounding"])
def test_only_fees_and_roundings_have_no_energy(verdict, books, kind):
    books.settle(AT, [made.posting("p-a", "supplier", kind, 0, 0, amount_nano="7")])
    assert verdict(books)[0] == 0
    books.settle(AT, [made.posting("p-a", "supplier", kind, 5, 2, amount_nano="7")], 1)
    refused(verdict, books, "posts 7 for 5 Wh at 2")


def test_trades_are_settled_at_the_published_price(verdict, books):
    cleared(books).settle(AT, [made.purchase(price=90), made.sale(price=90)])
    refused(verdict, books, "is at 0.000090", "0.000084 per kWh")


def test_trades_are_committed_at_the_published_price(verdict, books):
    trade = {"energy_wh": "500", "price": "90"}
    cleared(books, trades={"0-buyer": trade, "0-seller": trade})
    books.settle(AT, [made.purchase(), made.sale()])
    refused(verdict, books, "is at 0.000090", "0.000084 per kWh")


def test_a_price_that_a_small_group_hides_is_not_compared(verdict, books):
    cleared(books, price=None, volume_wh=None)
    books.settle(AT, [made.purchase(), made.sale()])
    status, report = verdict(books)
    assert status == 0
    assert report["checked_intervals"]["prices"] == 0


def test_a_purchase_needs_a_clearing(verdict, books):
    books.settle(AT, [made.purchase(), made.sale()])
    refused(verdict, books, "no clearing")


def test_an_interval_is_cleared_once(verdict, books):
    cleared(books).clear(AT, {}, 90)
    refused(verdict, books, "cleared twice", file="")


@pytest.mark.parametrize("price", ["84", 84, "0.1", "1e-4", ""])
def test_a_published_price_must_be_one(verdict, books, price):
    books.append(entry.Kind.CLEARING, AT, {"price": price, "volume_wh": 0})
    refused(verdict, books, "price", file="")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([made.purchase(400), made.sale(400)], ("400", "500")),
        ([], ("0 Wh", "500")),
        (
            [made.purchase(), made.sale(), made.purchase(price=0), made.sale(400, 0)],
            ("1000", "900"),
        ),
    ],
)
def test_what_is_settled_is_what_was_traded(verdict, books, lines, words):
    cleared(books, price=None, volume_wh=None).settle(AT, lines)
    refused(verdict, books, *words)


def test_the_volume_published_is_what_was_traded(verdict, books):
    cleared(books, volume_wh=600).settle(AT, [made.purchase(), made.sale()])
    refused(verdict, books, "600", "500")


def test_the_sides_of_a_trade_agree(verdict, books):
    more, less = {**TRADE, "energy_wh": "501"}, {**TRADE, "energy_wh": "499"}
    cleared(books, trades={"0-buyer": more, "0-seller": less})
    refused(verdict, books, "trade 0")


@pytest.mark.parametrize(
    "form", [{"buyer": "a", "seller": "b"}, {"side": "buy", "usage_point": "a"}]
)
def test_trades_of_either_form_are_summed(verdict, books, form):
    trade = {**TRADE, **form}
    cleared(books, trades={"0-buyer": trade, "0-seller": trade})
    books.settle(AT, [made.purchase(499), made.sale(499)])
    refused(verdict, books, "499", "500")


def test_a_purchase_runs_from_the_buyer_to_the_market(verdict, books):
    line = {**made.purchase(), "debit": "market", "credit": "p-buyer"}
    cleared(books).settle(AT, [line, {**made.sale(), "debit": "p-seller", "credit": "market"}])
    refused(verdict, books, "does not run by the market account")


def test_postings_cannot_hide_in_an_entry_that_says_final(verdict, books):
    cleared(books)
    body = {"part": 0, "state": "final", "version": 0}
    books.commit(entry.Kind.SETTLEMENT, AT, "posting", {"0": made.purchase()}, body)
    refused(verdict, books, "market account")


def test_final_is_said_without_postings(verdict, books):
    cleared(books).settle(AT, [made.purchase(), made.sale()])
    body = {"part": 0, "state": "final", "version": 0}
    books.append(entry.Kind.SETTLEMENT, AT, body)
    assert verdict(books)[0] == 0


@pytest.mark.parametrize(
    ("kind", "what", "payload"),
    [
        (entry.Kind.ACTION, "posting", made.purchase()),
        (entry.Kind.SETTLEMENT, "trade", TRADE),
        (entry.Kind.CLEARING, "reading", made.reading(1)),
    ],
)
def test_facts_stand_in_entries_of_their_kind(verdict, books, kind, what, payload):
    books.commit(kind, AT, what, {"0": payload}, {})
    refused(verdict, books, f"a {what} in an entry of another kind")


def test_postings_have_the_version_of_their_entry(verdict, books):
    books.commit(entry.Kind.CORRECTION, AT, "posting", {"0": made.sale()}, {"version": 1})
    refused(verdict, books, "another version")


def test_an_interval_that_is_not_settled_yet_is_not_compared(verdict, books):
    assert verdict(cleared(books))[0] == 0


def test_a_correction_takes_back_what_was_posted(verdict, books):
    old = [made.posting("p-a", "supplier", "supply", wh) for wh in (10, 10, 30)]
    books.settle(AT, old)
    new = made.posting("p-a", "supplier", "supply", 40)
    books.settle(AT, [reversal(old[0]), reversal(old[1]), new], 1)
    books.settle(AT, [reversal(new)], 2)
    assert verdict(books)[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"credit": "p-b"},
        {"debit": "p-b"},
        {"kind": "feed_in"},
        {"energy_wh": "9", "amount_nano": "756"},
        {"price": "42", "energy_wh": "20"},
    ],
)
def test_a_reversal_of_what_was_never_posted_is_named(verdict, books, change):
    old = made.posting("p-a", "supplier", "supply", 10)
    books.settle(AT, [old])
    books.settle(AT, [{**reversal(old), **change}], 1)
    report = refused(verdict, books, "takes back", AT)
    assert report["entry"] == {"sequence": 2, "kind": "correction", "interval": AT}


def test_a_line_is_taken_back_once_and_only_later(verdict, books):
    old = made.posting("p-a", "supplier", "supply", 10)
    books.settle(AT, [old, reversal(old)])
    refused(verdict, books, "takes back")
    log = made.Log()
    log.append(entry.Kind.GENESIS, "", {})
    log.settle(AT, [old])
    log.settle(AT, [reversal(old)], 1)
    assert verdict(log)[0] == 0
    log.settle(AT, [reversal(old)], 2)
    refused(verdict, log, "takes back")


def test_corrected_trades_still_sum_to_what_was_traded(verdict, books):
    cleared(books).settle(AT, [made.purchase(), made.sale()])
    books.settle(AT, [reversal(made.purchase())], 1)
    refused(verdict, books, "market account")


def test_readings_must_agree_with_the_head_meter(verdict, books):
    points = {"up-0": made.reading(50_000), "up-1": made.reading(0, 20_000)}
    books.readings(AT, points, head_import_wh=50_012 + 72)
    assert verdict(books)[0] == 0, "0.1 % of 70 kWh and 1 Wh for each of two points"
    log = made.Log()
    log.append(entry.Kind.GENESIS, "", {})
    log.readings(AT, points, head_import_wh=50_012 + 73)
    report = refused(verdict, log, "-73 Wh", "72")
    assert report["entry"] == {"sequence": 1, "kind": "readings", "interval": AT}


def test_a_corrected_reading_stands_for_the_earlier_one(verdict, books):
    books.readings(AT, {"up-0": made.reading(900), "up-1": made.reading(500)}, head_import_wh=1912)
    books.readings(AT, {"up-1": made.reading(1000)}, 1, head_import_wh=None)
    assert verdict(books)[0] == 0, "the figures of the first version stand"
    books.readings(AT, {"up-1": made.reading(600)}, 2, head_import_wh=1512)
    assert verdict(books)[0] == 0
    books.readings(AT, {"up-1": made.reading(700)}, 3, head_import_wh=1512)
    refused(verdict, books, "100 Wh")


def test_readings_without_public_figures_or_not_all_opened_are_not_compared(verdict, books):
    books.readings(AT, {"up-0": made.reading(900)}, head_import_wh=None)
    status, report = verdict(books)
    assert (status, report["checked_intervals"]["readings"]) == (0, 0)
    later = label(made.START_S + 900)
    books.readings(later, {"up-0": made.reading(900), "up-1": made.reading(9)}, head_import_wh=5)
    books.openings.pop()
    status, report = verdict(books, "--partial")
    assert (status, report["checked_intervals"]["readings"]) == (0, 0)


@pytest.mark.parametrize("change", [{"import_wh": "900"}, {"export_wh": -1}, {"import_wh": None}])
def test_a_reading_is_whole_watt_hours(verdict, books, change):
    books.readings(AT, {"up-0": made.reading(900)})
    books.commit(entry.Kind.READINGS, AT, "reading", {"up-1": {**made.reading(900), **change}}, {})
    refused(verdict, books, "reading", "up-1")


def test_openings_asked_for_must_be_all_unless_partial(verdict, books):
    cleared(books).settle(AT, [made.purchase(), made.sale()])
    books.openings = books.openings[1:]
    status, report = verdict(books)
    assert status == 1
    assert report["reason"] == "1 of 4 commitments are not opened"
    status, report = verdict(books, "--partial")
    assert (status, report["openings"], report["commitments"]) == (0, 3, 4)
    status, report = verdict(books, flags=("--partial",))
    assert (status, report["openings"], report["commitments"]) == (0, 3, 4)
    assert verdict(books, flags=())[0] == 0


def test_partial_openings_that_are_false_are_still_refused(verdict, books):
    wrong = made.posting("p-a", "supplier", "supply", 10, amount_nano="1")
    books.settle(AT, [wrong, made.sale()])
    books.openings.pop()
    status, report = verdict(books, "--partial")
    assert status == 1
    assert "posts 1 for 10 Wh at 84" in report["reason"]


def test_partial_says_how_much_is_opened(books, tmp_path, capsys):
    cleared(books)
    books.openings.pop()
    books.export(tmp_path / "export")
    assert verifier.main([str(tmp_path / "export"), "--key", books.vkey, "--partial"]) == 0
    told = capsys.readouterr().out
    assert "1 of 2 commitments opened" in told
    assert f"1 interval is not opened in full, the first {AT}" in told
