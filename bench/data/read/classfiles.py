"""Files that name classes: one name a line, or a table of colours."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.base.errors import BenchError, capped
from bench.data.read.labels import Colour
from bench.data.read.standard import read_lines

_COLUMNS = {"name": 0, "class": 0, "label": 0, "r": 1, "red": 1, "g": 2, "green": 2, "b": 3, "blue": 3}


def read_names(path: Path) -> tuple[str, ...]:
    """Return the names of a text file, one a line; empty lines do not count.

    Raises:
        BenchError: it is missing, no text, or empty.
    """
    layout = "'classes' is a list of names, or a text file with one name a line."
    names = tuple(name for line in read_lines(path, layout) if (name := line.strip().lstrip("\ufeff")))
    if not names:
        raise BenchError(f"{path}: the file is empty. {layout}")
    return names


def read_colour_table(path: Path) -> dict[str, Colour]:
    """Return the colours of a CSV file by name: name, r, g, b in this order, or in that of its header.

    Raises:
        BenchError: it is missing or no text, or lines are something else; all are named.
    """
    layout = "Each line of the table is: name,r,g,b with numbers 0..255."
    lines = [line.lstrip("\ufeff") for line in read_lines(path, layout)]
    delimiter = next((sign for sign in ",;\t" if any(sign in line for line in lines)), ",")
    order = [0, 1, 2, 3]
    table: dict[str, Colour] = {}
    problems: list[str] = []
    for number, fields in enumerate(csv.reader(lines, delimiter=delimiter), start=1):
        row = [field.strip() for field in fields]
        if not any(row):
            continue
        columns = [_COLUMNS.get(field.lower()) for field in row]
        if not table and sorted(column for column in columns if column is not None) == [0, 1, 2, 3]:
            order = [columns.index(column) for column in range(4)]
            continue
        name, *digits = (row[position] if position < len(row) else "" for position in order)
        if not name or not all(text.isascii() and text.isdecimal() and int(text) <= 255 for text in digits):
            problems.append(f"{path}:{number}: '{delimiter.join(fields)}' is no colour of a class. {layout}")
        elif name in table:
            problems.append(f"{path}:{number}: '{name}' stands there already. Give each class one colour.")
        else:
            red, green, blue = (int(text) for text in digits)
            table[name] = (red, green, blue)
    if not table and not problems:
        problems.append(f"{path}: the file is empty. {layout}")
    if problems:
        raise BenchError(*capped(problems))
    return table
