"""Writing a log to a folder."""

import pytest

from grid.errors import BadInputError, VerificationError
from trading.ledger import tiles


def test_paths_are_those_of_the_specification():
    assert tiles.tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tiles.tile_path(2, 0, 1) == "tile/2/000.p/1"
    assert tiles.tile_path(tiles.ENTRIES, 273, 112) == "tile/entries/273.p/112"
    assert tiles.tile_path(0, 1_000) == "tile/0/x001/000"


def test_the_same_log_is_exported_to_the_same_bytes(log, tmp_path):
    def content(folder):
        return {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    first = content(log.export(tmp_path / "first", 5, 11))
    assert first == content(log.export(tmp_path / "second", 11, 5))


def test_an_export_replaces_an_earlier_one_and_leaves_nothing_beside_it(log, tmp_path):
    folder = tmp_path / "export"
    tiles.export(log.encoded[:20], [log.checkpoint(20)], folder)
    log.export(folder, 20)
    assert not (folder / "tile/0/000.p/20").exists()
    assert (folder / "checkpoints/20").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_folder_with_something_else_is_left_alone(log, tmp_path):
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(BadInputError):
        log.export(tmp_path)
    assert (tmp_path / "letter").read_text() == "dear"


@pytest.mark.parametrize("count", [19, 21])
def test_a_checkpoint_of_other_entries_is_refused_and_nothing_appears(log, tmp_path, count):
    with pytest.raises(VerificationError):
        tiles.export(log.encoded[:count], [log.checkpoint(20)], tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_entries_out_of_sequence_and_forked_checkpoints_are_refused(log, tmp_path, make_log):
    with pytest.raises(BadInputError):
        tiles.export(log.encoded[1:], [log.checkpoint()], tmp_path / "export")
    with pytest.raises(BadInputError):
        tiles.export(log.encoded, [], tmp_path / "export")
    other = make_log(1)
    with pytest.raises(VerificationError):
        tiles.export(log.encoded, [log.checkpoint(), other.checkpoint()], tmp_path / "export")


def test_openings_out_of_order_are_refused(log, tmp_path):
    with pytest.raises(BadInputError):
        tiles.export(log.encoded, [log.checkpoint()], tmp_path / "e", reversed(log.openings))
