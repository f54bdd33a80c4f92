from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.leaderboard import leaderboard, load
from bench.report.text.latex import escape, latex
from tests.run_builder import RunBuilder

HOSTILE = [
    "a|b_&%=<x>",
    "*bold* `code`\nnext",
    "名前 ü ± ñ ő Ж α λ 😀 ﬁ ½ ™ Þ",  # noqa: RUF001
    "x" * 200,
    "=SUM(A1)",
    "[link](http://x)",
    "a\\|b",
    "~^{}#$\\input{x}",
    "-- ,, '' \"q\" ?` !`",
    "*",
    "a/b\\\\c",
    "{" * 5,
    "e\u0301 \u202e \u200b",
]


@pytest.fixture
def builder(tmp_path: Path) -> RunBuilder:
    return RunBuilder(tmp_path / "run")


def text_of(builder: RunBuilder) -> str:
    return latex(leaderboard(load(builder.run)))


def three_tiers(builder: RunBuilder, **given: object) -> None:
    for seed in range(3):
        builder.done("none", 0.5 + 0.01 * seed, seed, **given)
        builder.done("kd", 0.6 + 0.0101 * seed, seed, **given)
        builder.done("a_b", 0.4 + 0.0099 * seed, seed, **given)


def test_one_table_a_board_with_booktabs_caption_and_the_best_tier_bold(builder: RunBuilder) -> None:
    three_tiers(builder)
    text = text_of(builder)
    assert text.count(r"\begin{tabular}") == 1
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]
    (caption,) = re.findall(r"\\caption\{(.*)\}\\label", text)
    assert "n = 3 seeds" in caption
    assert leaderboard(load(builder.run))[0].protocol in caption
    assert re.findall(r"\\textbf\{([^}]*)\}", text) == [r"61.01 $\pm$ 1.01 (3)", "1"]
    assert r"{}a\_b & 40.99 $\pm$ 0.99 (3) & $-$10.01" in text


def test_unfinished_cells_footnotes_and_watermark_are_in_it(builder: RunBuilder) -> None:
    builder.done("kd", 0.5, 0)
    builder.failed("kd", 1)
    builder.failed("cwd", 0, status="failed")
    text = text_of(builder)
    assert "1 diverged" in text
    assert "1 failed" in text
    assert "{}kd$^{1}$ & 50.00 (1)" in text
    assert "$^{1}$ n=1 of 2: seed 1 diverged" in text
    assert "no baseline: gains cannot be told." in text


def test_pairs_of_one_protocol_have_a_table_of_their_own(builder: RunBuilder) -> None:
    three_tiers(builder)
    three_tiers(builder, student="o&ther")
    text = text_of(builder)
    assert text.count(r"\begin{table}") == 3
    assert r"{}Method & big $\rightarrow$ o\&ther & big $\rightarrow$ small & Mean gain" in text
    assert r"{}kd & \textbf{+10.01} & \textbf{+10.01} & +10.01 {[}+10.01, +10.01{]}" in text


@given(st.text(max_size=60))
def test_escaped_text_is_ascii_or_latin_letters_and_its_braces_match(text: str) -> None:
    escaped = escape(text)
    assert all(char.isascii() or "À" <= char <= "ÿ" for char in escaped)
    bare = re.sub(r"\\[{}&%$#_]", "", escaped)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"(?<!\\)[&%#_]", bare.replace(r"\textbackslash", ""))
    assert bare.count("$") % 2 == 0


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("50 % of a_b & c#d", r"50 \% of a\_b \& c\#d"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("~^$", r"\textasciitilde{}\textasciicircum{}\$"),
        ("a--b", "a-{}-b"),
        ("ő名", "o{[}U+540D{]}"),
        ("τ = 4 ± 1", r"$\tau$ = 4 $\pm$ 1"),
    ],
)
def test_escape(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def compiled(folder: Path, name: str) -> str:
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", name],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_hostile_names_compile_alone_and_inside_another_document(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path / "run", dataset="data_set &1", teacher="t#", student="s$")
    builder.done("none", 0.5)
    for name in HOSTILE:
        builder.done(name, 0.6, label=name)
    builder.failed("% & _", reason="\\undefined {")
    for index in range(35):
        builder.done(f"m{index}", 0.5, student="many")
    (tmp_path / "leaderboard.tex").write_text(text_of(builder), encoding="utf-8")
    assert "Output written on leaderboard.pdf" in compiled(tmp_path, "leaderboard.tex")
    host = r"\documentclass{article}\usepackage{booktabs,longtable}\begin{document}A\input{leaderboard}B\end{document}"
    (tmp_path / "paper.tex").write_text(host)
    assert "Output written on paper.pdf" in compiled(tmp_path, "paper.tex")


def test_no_board_is_still_a_document(tmp_path: Path) -> None:
    assert latex([]).rstrip().endswith(r"\benchend")
