"""Text files of other encodings are told with the byte's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.base.textfile import read_utf8

TEXT = "name: x\nclasses: [Stra\N{LATIN SMALL LETTER SHARP S}e, \u9053\u8def, end]\n"


def read(folder: Path, content: bytes) -> str:
    path = folder / "m.yaml"
    path.write_bytes(content)
    try:
        return read_utf8(path)
    except BenchError as error:
        return str(error).replace(f"{folder}/", "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_utf_8_is_read_with_and_without_a_mark(tmp_path: Path, encoding: str, ending: str) -> None:
    assert read(tmp_path, TEXT.replace("\n", ending).encode(encoding)) == TEXT


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-16", " but UTF-16: byte 0 is 0xff (line 1, column 1)"),
        ("utf-16-le", " but UTF-16: byte 1 is 0x00 (line 1, column 2)"),
        ("utf-16-be", " but UTF-16: byte 0 is 0x00 (line 1, column 1)"),
        ("utf-32", " but UTF-32: byte 0 is 0xff (line 1, column 1)"),
    ],
)
def test_wide_characters_are_named(tmp_path: Path, encoding: str, told: str) -> None:
    assert read(tmp_path, TEXT.encode(encoding)) == f"m.yaml is not UTF-8 text{told}. Save it as UTF-8."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a: 1\nb: caf\xe9\n", "byte 11 is 0xe9 (line 2, column 7)"),
        (b"a: 1\r\nb: \xfc\n", "byte 9 is 0xfc (line 2, column 4)"),
        (b"\xef\xbb\xbfb: \x93x\x94\n", "byte 6 is 0x93 (line 1, column 4)"),
        ("a: \u9053\u8def".encode() + b" \xe9", "byte 10 is 0xe9 (line 1, column 7)"),
        ("a: \u9053".encode()[:-1], "byte 3 is 0xe9 (line 1, column 4)"),
        ("b: \u9053\u8def".encode("gbk"), "byte 3 is 0xb5 (line 1, column 4)"),
    ],
)
def test_the_place_of_the_first_byte_that_does_not_fit(tmp_path: Path, content: bytes, told: str) -> None:
    assert read(tmp_path, content) == f"m.yaml is not UTF-8 text: {told}. Save it as UTF-8."


def test_a_few_zeros_are_no_sign_of_wide_characters(tmp_path: Path) -> None:
    assert read(tmp_path, b"a: 1\nb: \0\n") == "a: 1\nb: \0\n"
    assert read(tmp_path, b"") == ""
