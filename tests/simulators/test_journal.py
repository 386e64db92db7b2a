"""The journal of what was published."""

from pathlib import Path

from simulators.journal import Journal, Published, read_journal


def test_what_is_noted_is_read(tmp_path: Path) -> None:
    """Numbers and words come back with their asset, metric and time, over several openings."""
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.add("a/b", [(5, "state", 3), (5, "product", 'ge"ar\n'), (6, "power", 1.5)])
        journal.reached(7)
        assert journal.published == 3
    with Journal(path) as journal:
        journal.add("a/c", [(8, "state", 2)])
    record = read_journal(path)
    assert record.published == [
        Published("a/b", "state", 5, 3),
        Published("a/b", "product", 5, 'ge"ar\n'),
        Published("a/b", "power", 6, 1.5),
        Published("a/c", "state", 8, 2),
    ]
    assert record.reached_ns == 7
    assert ("a/b", "power", 6) in record.identities


def test_no_journal_yet_is_an_empty_one(tmp_path: Path) -> None:
    """Before the first run nothing was published and nothing reached."""
    record = read_journal(tmp_path / "none")
    assert (record.published, record.reached_ns) == ([], None)


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    """A last line without its end is neither read nor glued to what is noted next."""
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.add("a/b", [(5, "parts", 1)])
    with path.open("ab") as file:
        file.write(b"[0,17950000")
    assert read_journal(path).identities == {("a/b", "parts", 5)}
    with Journal(path) as journal:
        journal.add("a/b", [(6, "parts", 2)])
    assert read_journal(path).identities == {("a/b", "parts", 5), ("a/b", "parts", 6)}
