"""Leaderboards as LaTeX tables (booktabs), for pdflatex: the file compiles by itself and inside a paper."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from bench.base.text import one_line
from bench.leaderboard import AcrossBoard, Board, Row, across_pairs
from bench.matrix.baseline import BASELINE
from bench.report.columns import Column, filled
from bench.report.lines import is_best, marks, mean_gain, name, on_pair
from bench.report.notes import tier_notes
from bench.report.values import within

_LONGEST_NAME, _LONGEST_NOTE = 44, 300
_MOST_ROWS_OF_A_FLOAT = 30

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''",
    "`": r"\textasciigrave{}", "[": "{[}", "]": "{]}", "±": r"$\pm$", "\N{MULTIPLICATION SIGN}": r"$\times$",
    "÷": r"$\div$", "→": r"$\rightarrow$", "←": r"$\leftarrow$", "−": "$-$", "–": "--", "—": "---", "…": r"\ldots{}",  # noqa: RUF001
    "’": "'", "‘": "'", "“": "``", "”": "''", "≤": r"$\leq$", "≥": r"$\geq$", "·": r"$\cdot$", "°": r"$^\circ$",  # noqa: RUF001
    "µ": r"$\mu$", "²": "$^2$", "³": "$^3$", "¹": "$^1$",
    "Ð": "D", "ð": "d", "Þ": "Th", "þ": "th",
}  # fmt: skip
_GREEK = {
    unicodedata.lookup(f"GREEK SMALL LETTER {letter.upper().replace('LAMBDA', 'LAMDA')}"): rf"$\{letter}$"
    for letter in (
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
        "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
    )
}  # fmt: skip
_LIGATURES = re.compile(r"(?<=([-,']))(?=\1)")

_HEAD = r"""% Compile this file with pdflatex, or \input it into a document that loads booktabs and longtable.
\expandafter\ifx\csname @twoclasseserror\endcsname\documentclass
\def\benchend{}%
\else
\documentclass{article}
\IfFileExists{lmodern.sty}{\usepackage[T1]{fontenc}\usepackage{lmodern}}{}
\usepackage[utf8]{inputenc}
\usepackage{booktabs,longtable}
\usepackage[a4paper,landscape,margin=12mm]{geometry}
\begin{document}
\def\benchend{\end{document}}%
\fi"""


def escape(text: str, limit: int | None = None) -> str:
    """Return text that pdflatex sets as it is, on one line.

    Letters that every font encoding has stay, others lose their accent; what has no counterpart is told by its code
    point, such as ``[U+540D]``.
    """
    plain = _LIGATURES.sub("\0", one_line(text, limit))
    return "".join(_letter(char) for char in plain)


def _letter(char: str) -> str:
    if char == "\0":
        return "{}"
    known = _SPECIAL.get(char) or _GREEK.get(char)
    if known:
        return known
    if char.isascii() or "À" <= char <= "ÿ":
        return char
    base = "".join(c for c in unicodedata.normalize("NFKD", char) if c.isascii() and c.isprintable())
    if base:
        return "".join(_SPECIAL.get(c, c) for c in base)
    return "" if unicodedata.combining(char) else f"{{[}}U+{ord(char):04X}{{]}}"


def latex(boards: Sequence[Board]) -> str:
    """Return one table for each board, and one for each dataset and protocol with several pairs."""
    tables = [_across(across) for across in across_pairs(boards)]
    tables += [_table(board, number) for number, board in enumerate(boards, 1)]
    return "\n\n".join([_HEAD, *tables, r"\benchend"]) + "\n"


def _table(board: Board, number: int) -> str:
    columns = filled(board, "latex")
    lines = [_line([_label(board, row), *(_value(board, c, row) for c in columns)]) for row in board.shown]
    if board.teacher_row:
        lines.insert(1, r"\midrule")
    head = _line(["Method", *(escape(column.header) for column in columns)])
    notes = [f"$^{{{n}}}$ {escape(note, _LONGEST_NOTE)}" for n, note in enumerate(board.footnotes(), 1)]
    notes += [escape(note, _LONGEST_NOTE) for note in (*tier_notes(board), *board.notes)]
    return _placed("l" + "r" * len(columns), head, lines, _caption(board), f"tab:bench-{number}", notes)


def _caption(board: Board) -> str:
    seeds = sorted({row.n_seeds for row in board.rows if row.n_seeds})
    told = " to ".join(str(n) for n in dict.fromkeys((*seeds[:1], *seeds[-1:])))
    n = f"n = {told} seed{'' if told == '1' else 's'}" if seeds else "no finished cell"
    protocol = f"protocol {board.protocol}" if board.protocol else "protocol not recorded"
    warning = f" {board.watermark}." if board.watermark else ""
    metric = board.metric
    title = f"{board.dataset}, {board.pair}: {metric.header} mean ± standard deviation ({n}), {protocol}.{warning}"
    gain = f"Gain: paired by seed{within(metric.difference_unit)}"
    return f"{escape(title)} {escape(gain)}" + ", with 95\\,\\% interval; best tier in bold."


def _across(across: AcrossBoard) -> str:
    heads = ["Method", *(escape(board.pair, 30) for board in across.boards), "Mean gain [95 \\% over pairs]"]
    lines, metric = [], across.metric
    for row in across.rows:
        label = f"{row.label} ({metric.header})" if row.method == BASELINE else row.label
        cells = [escape(label, _LONGEST_NAME)]
        for board, found in zip(across.boards, row.rows, strict=True):
            cells.append(_pair_value(board, found))
        lines.append(_line([*cells, _number(mean_gain(metric, row))]))
    unit = f" in {metric.difference_unit}" if metric.difference_unit else ""
    caption = escape(f"{across.title}: gain over {BASELINE}{unit}. Best of several tiers of a pair in bold.")
    label = f"tab:bench-pairs-{re.sub('[^0-9A-Za-z]', '-', f'{across.dataset}-{across.protocol}')}"
    return _placed("l" + "r" * (len(heads) - 1), _line(heads), lines, caption, label, [])


def _pair_value(board: Board, row: Row | None) -> str:
    text = _number(on_pair(board.metric, row))
    return rf"\textbf{{{text}}}" if row and text and is_best(board, row) else text


def _label(board: Board, row: Row) -> str:
    label = escape(name(board, row), _LONGEST_NAME)
    numbers = ",".join(str(number) for number in marks(board, row))
    return f"{label}$^{{{numbers}}}$" if numbers else label


def _value(board: Board, column: Column, row: Row) -> str:
    text = _number(column.text(row))
    bold = "latex" in column.bold_in and is_best(board, row)
    return rf"\textbf{{{text}}}" if text and bold else text


def _number(text: str) -> str:
    return escape(text.replace("-", "\N{MINUS SIGN}"))


def _line(cells: Sequence[str]) -> str:
    """Return a row; the braces keep a name in brackets from being read as an option of the row before."""
    return "{}" + " & ".join(cells) + r" \\"


def _placed(spec: str, head: str, lines: Sequence[str], caption: str, label: str, notes: Sequence[str]) -> str:
    """Put a table into a float, or, where it is longer than a page, into one that breaks."""
    below = "\\par\n".join(notes)
    if len(lines) <= _MOST_ROWS_OF_A_FLOAT:
        body = [
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            head,
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
        ]
        under = [rf"\par\smallskip\parbox{{\linewidth}}{{\scriptsize {below}}}"] if notes else []
        opening = [r"\begin{table}[htbp]", r"\centering\footnotesize", rf"\caption{{{caption}}}\label{{{label}}}"]
        return "\n".join([*opening, *body, *under, r"\end{table}"])
    opening = [r"{\footnotesize", rf"\begin{{longtable}}{{{spec}}}", rf"\caption{{{caption}}}\label{{{label}}}\\"]
    body = [r"\toprule", head, r"\midrule\endhead", *lines, r"\bottomrule", r"\end{longtable}}"]
    return "\n".join([*opening, *body, *([rf"{{\noindent\scriptsize {below}\par}}"] if notes else [])])
