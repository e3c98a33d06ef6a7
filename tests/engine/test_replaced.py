"""Files that are written beside the old ones: whole, or as they were before."""

import os
import stat

import pytest

from skae.engine.replaced import ABANDONED, replaced


def test_a_file_is_replaced_when_it_is_complete(tmp_path):
    file, link = tmp_path / "a.txt", tmp_path / "link.txt"
    file.write_text("old")
    file.chmod(0o440)
    link.symlink_to(file)
    with replaced(link) as part:
        assert stat.S_IMODE(part.stat().st_mode) == 0o640  # before anything is in it, and it can be written to
        part.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o440
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [file, link]


def test_after_an_error_it_is_as_before(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")

    def fail(part):
        part.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), replaced(file) as part:
        fail(part)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_parts_of_killed_processes_are_removed_after_some_time(tmp_path):
    left, others, mine = tmp_path / ".skae-7-12ab.part", tmp_path / ".skae-8-12ab.part", tmp_path / "notes.part"
    for file in (left, others, mine):
        file.write_text("half")
    for file in (left, mine):
        os.utime(file, (0, file.stat().st_mtime - ABANDONED - 60))
    with replaced(tmp_path / "a.txt") as part:
        part.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([others, tmp_path / "a.txt", mine])
