from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.files.stored_file import FILENAME_CHARS_MAX, StoredFile, clean_name, file_of, row_of

FILE = StoredFile("file-" + "0" * 32, "ann", "a.pdf", "user_data", 7, 100, 200, "application/pdf", "gpt", {"lines": 3})


def test_a_file_is_shown_as_openai_shows_it() -> None:
    assert FILE.shown() == {
        "id": "file-" + "0" * 32,
        "object": "file",
        "bytes": 7,
        "created_at": 100,
        "expires_at": 200,
        "filename": "a.pdf",
        "purpose": "user_data",
        "status": "processed",
        "status_details": None,
        "spillway": {"lines": 3},
    }


def test_a_file_of_which_nothing_was_found_out_says_nothing_of_us() -> None:
    assert "spillway" not in replace(FILE, notes={}).shown()


def test_a_row_gives_the_file_back() -> None:
    assert file_of(row_of(FILE)) == FILE


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("a.jsonl", "a.jsonl"),
        ("/etc/passwd", "passwd"),
        ("C:\\temp\\b.txt", "b.txt"),
        ("..", ".."),
        ("", "file"),
        ("a/", "file"),
        ("x\r\ny\x00.txt", "xy.txt"),
        ("日本.jsonl", "日本.jsonl"),
    ],
)
def test_a_name_is_kept_without_its_path_and_control_characters(written: str, kept: str) -> None:
    assert clean_name(written) == kept


@given(st.text())
def test_any_name_is_kept_short_and_printable(written: str) -> None:
    kept = clean_name(written)
    assert 0 < len(kept) <= FILENAME_CHARS_MAX
    assert kept.isprintable()
