"""``export``: the file alone scores what its cell scored; what computes something else is not kept."""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn
from typer.testing import CliRunner

from bench import __version__
from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.cli.deploy import add_to
from bench.data.base import datasets
from bench.data.facts import DatasetInfo, Locations
from bench.deploy import student as trained
from bench.deploy.export import ExportRecord, export_student
from bench.deploy.formats import FORMATS, Shapes
from bench.deploy.student import ImageSegmenter, TrainedStudent, load_student
from bench.method import Outputs
from bench.models.base import SegmentationModel, build_model, students
from bench.models.weights.reading import save_weights
from bench.store.folders import CellFolder, read_result
from bench.tasks.segmentation.scores import scores
from bench.tasks.segmentation.settings import Evaluation
from tests.harness import BASE, PLUGINS, run, write_matrix

PLUGIN = (PLUGINS / "shapes.py",)
ONNX = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime", "onnxscript")),
    reason="the optional packages of ONNX are not installed",
)
EVERY_FORMAT = pytest.mark.parametrize("format", ["torchscript", "pt2", pytest.param("onnx", marks=ONNX)])
WITHOUT_EXTRAS = pytest.mark.parametrize("format", ["torchscript", "pt2"])
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    recipe = {**BASE["recipe"], "iterations": 60}
    (found,) = run(write_matrix(folder, methods=["none"], recipe=recipe), folder / "results").run.cells()
    return found.path


def make_cell(path: Path, name: str, classes: int = 3, **options: Any) -> Path:
    """Write what training leaves behind, for a model with random weights."""
    path.mkdir(parents=True)
    torch.manual_seed(0)
    save_weights(build_model(name, classes, options), path / "student.safetensors")
    dataset = {"name": "made", "classes": [f"c{k}" for k in range(classes)], "mean": [0.3] * 3, "std": [0.2] * 3}
    CellFolder(path).finish(
        {
            "cell": {
                "id": path.name,
                "student": {"name": name, "options": options},
                "recipe": {"align_corners": False, "augment": {"crop": [32, 48]}},
            },
            "protocol": {"fields": {"dataset": dataset}},
            "metrics": {"miou": None},
            "efficiency": {"input_size": [32, 48]},
        }
    )
    return path


def opened(path: Path, format: str) -> tuple[Callable[[Tensor], Tensor], dict[str, Any]]:
    """Read a file as its user would, who has no bench: what it computes, and what it tells."""
    files = {"bench.json": ""}
    if format == "torchscript":
        return torch.jit.load(path, _extra_files=files), json.loads(files["bench.json"])
    if format == "pt2":
        program = torch.export.load(path, extra_files=files)
        return program.module(), json.loads(files["bench.json"])
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0]), told


class Small(SegmentationModel):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3, 2, 1)
        self.head = nn.Conv2d(4, classes, 1)

    def forward(self, images: Tensor) -> Outputs:
        feature = self.body(images)
        return Outputs(self.head(feature), feature, (feature,), model=self)


class Dice(Small):
    def forward(self, images: Tensor) -> Outputs:
        outputs = super().forward(images)
        return replace(outputs, logits=F.dropout(outputs.logits, 0.5, training=True))


class OneSize(Small):
    def forward(self, images: Tensor) -> Outputs:
        images = images + torch.linspace(0, 1, int(images.shape[-1]))
        return super().forward(images)


class NeedsEven(Small):
    def forward(self, images: Tensor) -> Outputs:
        if images.shape[-1] % 16:
            raise ValueError("the width is no multiple of 16")
        return super().forward(images)


class WithHeads(Small):
    training_only = ("adapter",)

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.their_head = nn.Conv2d(4, classes, 1)
        self.__dict__["auxiliary"] = self.their_head
        self.adapter = nn.Conv2d(4, 64, 1)

    def forward(self, images: Tensor) -> Outputs:
        outputs = super().forward(images)
        return replace(outputs, auxiliary=self.their_head(outputs.stages[0]) if self.training else None)


@pytest.fixture(scope="module")
def exported(cell: Path) -> Callable[[str], ExportRecord]:
    """Export for any number of images, once for each format."""

    @functools.cache
    def export(format: str) -> ExportRecord:
        output = cell.parent.parent / f"out{FORMATS[format].suffixes[0]}"
        return export_student(cell, format, output, batch=None, plugins=PLUGIN)

    return export


@EVERY_FORMAT
def test_the_file_alone_scores_what_its_cell_scored(
    cell: Path, exported: Callable[[str], ExportRecord], tmp_path: Path, format: str
) -> None:
    record = exported(format)
    network, _ = opened(record.path, format)
    total = np.zeros((3, 3), np.int64)
    samples = datasets.get("shapes").builder(Locations(tmp_path)).split("val")
    images = torch.stack([samples[index][0].as_subclass(Tensor) for index in range(len(samples))]).float() / 255
    predicted = network(images).argmax(1)
    assert len(predicted.unique()) > 1
    for index in range(len(samples)):
        true = samples[index][1].as_subclass(Tensor)
        scored = true < 255
        np.add.at(total, (true[scored].numpy(), predicted[index][scored].numpy()), 1)
    found, metrics = scores(total, ("ground", "disc", "square")), read_result(cell)["metrics"]
    assert found == {name: metrics[name] for name in found}
    assert record.input_shape == (None, 3, 32, 32)
    assert record.checked == ((2, 32, 32), (1, 32, 32))
    assert record.difference < 1e-5
    assert record.same_class == 1.0


@EVERY_FORMAT
def test_the_file_tells_what_it_is(cell: Path, exported: Callable[[str], ExportRecord], format: str) -> None:
    _, told = opened(exported(format).path, format)
    if format == "onnx":  # whose properties are texts
        told |= {name: json.loads(told[name]) for name in ("class_names", "mean", "std", "miou")}
    assert told["class_names"] == ["ground", "disc", "square"]
    assert told["mean"] == told["std"] == [0.2, 0.2, 0.2]
    assert told["miou"] == read_result(cell)["metrics"]["miou"]
    assert told["cell"] == cell.name
    assert told["bench_version"] == __version__
    assert "RGB images, float32 in 0..1, batch x 3 x 32 x 32" in told["input"]
    assert "batch x 3 x 32 x 32" in told["output"]


@EVERY_FORMAT
def test_free_axes_take_other_sizes(cell: Path, tmp_path: Path, format: str) -> None:
    output = tmp_path / f"out{FORMATS[format].suffixes[0]}"
    record = export_student(cell, format, output, (40, 40), batch=None, dynamic=True, plugins=PLUGIN)
    assert record.input_shape == (None, 3, None, None)
    assert record.checked == ((2, 40, 40), (1, 72, 104), (3, 53, 67))
    images = torch.rand(5, 3, 31, 70)
    logits = opened(output, format)[0](images)
    torch.testing.assert_close(logits, ImageSegmenter(load_student(cell, PLUGIN))(images), rtol=1e-4, atol=1e-5)
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
        assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
        assert session.get_outputs()[0].shape == ["batch", 3, "height", "width"]


def test_axes_that_are_not_asked_to_be_free_are_fixed(cell: Path, tmp_path: Path) -> None:
    record = export_student(cell, "pt2", tmp_path / "out.pt2", (24, 40), batch=2, plugins=PLUGIN)
    assert record.input_shape == (2, 3, 24, 40)
    network = opened(record.path, "pt2")[0]
    assert network(torch.rand(2, 3, 24, 40)).shape == (2, 3, 24, 40)
    with pytest.raises((AssertionError, RuntimeError), match=r"size|shape"):
        network(torch.rand(2, 3, 24, 48))


def test_images_are_prepared_as_they_were_when_the_student_was_scored() -> None:
    """Blue first, the model's own figures, and up-sampling with corners aligned: all three differ from the usual."""
    model = build_model("espnet", 5, {"q": 1, "normalization": "espnet_camvid"}).eval()
    assert model.bgr
    assert model.mean is not None
    assert model.std is not None
    student = TrainedStudent(
        model, "espnet", "c", "d", tuple("abcde"), model.mean, model.std, True, (32, 32), None, Evaluation()
    )
    images = torch.rand(2, 3, 32, 48)
    normalised = torch.stack([(images[:, k] - model.mean[k]) / model.std[k] for k in (2, 1, 0)], 1)
    expected = F.interpolate(model(normalised).logits, (32, 48), mode="bilinear", align_corners=True)
    torch.testing.assert_close(ImageSegmenter(student)(images), expected)


@WITHOUT_EXTRAS
def test_what_only_training_uses_is_left_out(tmp_path: Path, format: str) -> None:
    students.register("with_heads")(WithHeads)
    folder = make_cell(tmp_path / "cell", "with_heads")
    output = tmp_path / f"out{FORMATS[format].suffixes[0]}"
    export_student(folder, format, output)
    network = opened(output, format)[0]
    assert {name for name, _ in network.named_parameters()} == {
        f"model.{name}" for name in ("body.weight", "body.bias", "head.weight", "head.bias")
    }
    model = load_student(folder).model
    assert model.their_head is not None, "the loaded student itself keeps them"


@WITHOUT_EXTRAS
def test_a_file_that_computes_something_else_is_not_kept(tmp_path: Path, format: str) -> None:
    students.register("dice")(Dice)
    output = tmp_path / "out" / f"student{FORMATS[format].suffixes[0]}"
    output.parent.mkdir()
    output.write_text("an earlier export")
    with pytest.raises(BenchError, match=r"'dice' as .* is not what was trained.*logits differ by .* 0.001 is allowed"):
        export_student(make_cell(tmp_path / "cell", "dice"), format, output)
    assert output.read_text() == "an earlier export"
    assert list(output.parent.iterdir()) == [output]


def test_logits_that_are_no_numbers_are_refused(cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned = replace(FORMATS["pt2"], load=lambda _: lambda images: torch.full_like(images, float("nan")))
    monkeypatch.setitem(FORMATS, "pt2", poisoned)
    with pytest.raises(BenchError, match="logits differ by nan"):
        export_student(cell, "pt2", tmp_path / "out.pt2", plugins=PLUGIN)
    monkeypatch.setitem(FORMATS, "pt2", replace(poisoned, load=lambda _: lambda images: images[..., 1:]))
    with pytest.raises(BenchError, match=r"does not run: .*logits of shape \(1, 3, 32, 31\) instead of \(1, 3, 32, 32"):
        export_student(cell, "pt2", tmp_path / "out.pt2", plugins=PLUGIN)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [RuntimeError("no\nsuch operator"), OSError(28, "No space left on device")])
def test_a_file_that_cannot_be_written_leaves_nothing(
    cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def write(file: IO[bytes]) -> None:
        file.write(b"half")
        raise error

    monkeypatch.setitem(FORMATS, "pt2", replace(FORMATS["pt2"], convert=lambda *_: write))
    told = "cannot be exported as pt2: RuntimeError: no such operator. Try --format onnx or torchscript"
    with pytest.raises(BenchError, match="cannot write to .*No space left" if isinstance(error, OSError) else told):
        export_student(cell, "pt2", tmp_path / "out.pt2", plugins=PLUGIN)
    assert not list(tmp_path.iterdir())


@WITHOUT_EXTRAS
def test_a_model_of_one_size_is_exported_at_that_size_only(tmp_path: Path, format: str) -> None:
    students.register("one_size")(OneSize)
    folder, output = make_cell(tmp_path / "cell", "one_size"), tmp_path / f"out{FORMATS[format].suffixes[0]}"
    with pytest.raises(BenchError, match=r"'one_size'.*([Ll]eave out|without) --dynamic"):
        export_student(folder, format, output, dynamic=True)
    assert not output.exists()
    assert export_student(folder, format, output).difference < 1e-5


def test_sizes_that_the_student_refuses_are_not_asked_of_the_file(tmp_path: Path) -> None:
    students.register("needs_even")(NeedsEven)
    folder = make_cell(tmp_path / "cell", "needs_even")
    record = export_student(folder, "torchscript", tmp_path / "out.pt", dynamic=True)
    assert record.checked == ((1, 32, 48), (1, 64, 112))
    with pytest.raises(BenchError, match=r"does not work on images of 32x50: .*multiple of 16.*another --size"):
        export_student(folder, "torchscript", tmp_path / "out.pt", (32, 50))


def test_a_traced_graph_sees_no_two_free_axes_of_one_length() -> None:
    for size in ((64, 64), (2, 64), (64, 96)):
        count, height, width = Shapes(size, None, True).example
        assert count > 1
        assert height != width


def test_a_changed_source_of_the_model_is_told(cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert export_student(cell, "torchscript", tmp_path / "out.pt", plugins=PLUGIN).notes == ()
    monkeypatch.setattr(trained, "model_code", lambda _: "another")
    (note,) = export_student(cell, "torchscript", tmp_path / "out.pt", plugins=PLUGIN).notes
    assert "source of model 'net_small' has changed" in note


def copied(cell: Path, to: Path) -> Path:
    to.mkdir(parents=True)
    for file in cell.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def resealed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    record = read_result(folder)
    change(record)
    CellFolder(folder).finish(record)


def damage_record(folder: Path) -> None:
    record = json.loads((folder / "result.json").read_text())
    write_json(folder / "result.json", {**record, "cell": {**record["cell"], "seed": 7}})


def change_weights(folder: Path) -> None:
    data = bytearray((folder / "student.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "student.safetensors").write_bytes(bytes(data))


def fail(folder: Path) -> None:
    (folder / "result.json").unlink()
    CellFolder(folder).fail({"status": "diverged", "reason": "not finite at iteration 3"})


FAULTS: list[tuple[Callable[[Path], object], str]] = [
    (damage_record, "is damaged: result.json does not match its digest"),
    (change_weights, "student.safetensors does not match the digest in result.json"),
    (lambda f: (f / "student.safetensors").unlink(), "is damaged: student.safetensors is missing"),
    (fail, r"has no student: its training diverged \(not finite at iteration 3\)"),
    (lambda f: (f / "result.json").unlink(), r"is not finished \(planned\). Run its matrix again"),
    (lambda f: [file.unlink() for file in f.iterdir()], "is no cell: it holds neither result.json nor config.json"),
    (
        lambda f: resealed(f, lambda r: r["cell"]["student"]["options"].update(depth=3)),
        "was trained with options that model 'net_small' no longer takes: depth: unknown key 'depth'",
    ),
    (
        lambda f: resealed(f, lambda r: r["cell"]["student"]["options"].update(width=8)),
        "student.safetensors .model 'net_small', 3 classes. does not fit the model: .* of another shape",
    ),
    (
        lambda f: resealed(f, lambda r: r["cell"]["student"].update(name="net_smal")),
        "was trained with unknown student 'net_smal'.*--plugin FILE",
    ),
    (lambda f: resealed(f, lambda r: r.pop("protocol")), "lacks what tells its model .KeyError.'protocol'"),
]


@pytest.mark.parametrize(("spoil", "message"), FAULTS)
def test_a_cell_without_a_trustworthy_student_is_refused(
    cell: Path, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    folder = copied(cell, tmp_path / "results" / "cells" / "x")
    spoil(folder)
    with pytest.raises(BenchError, match=message):
        export_student(folder, "torchscript", tmp_path / "out.pt", plugins=PLUGIN)
    assert not (tmp_path / "out.pt").exists()


def test_a_run_in_place_of_a_cell_names_its_cells(cell: Path) -> None:
    for folder in (cell.parent, cell.parent.parent):
        with pytest.raises(BenchError, match=f"is no cell.*Finished cells in it: .*{cell.name}"):
            export_student(folder, "pt2", plugins=PLUGIN)


def test_missing_packages_of_onnx_are_named(cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(BenchError, match=r'onnxscript: pip install "dense-kd-bench\[export\]"'):
        export_student(cell, "onnx", tmp_path / "out.onnx", plugins=PLUGIN)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "pt2", "--output", "out.onnx"], "--output out.onnx: a pt2 file ends in .pt2"),
        (["--format", "pt2", "--output", "."], "--output . is a folder: name a file in it"),
        (["--format", "pt2", "--size", "32"], "--size 32: write height and width in pixels"),
        (["--format", "pt2", "--batch", "0"], "--batch 0: write a number of images, or dynamic"),
        (["--format", "pt2", "--batch", "many"], "--batch many: write a number of images, or dynamic"),
        (["--format", "pt2", "--plugin", "absent.py"], "plugin file not found"),
        (["--format", "torchscript", "--output", "file/out.pt"], "cannot write to file/out.pt: .*another --output"),
    ],
)
def test_a_mistake_is_told(
    cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    result = CliRunner().invoke(app(), ["export", str(cell), "--plugin", str(PLUGIN[0]), *arguments])
    assert isinstance(result.exception, BenchError)
    assert message.partition(".*")[0] in str(result.exception)
    assert message.rpartition(".*")[2] in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def app() -> typer.Typer:
    commands = typer.Typer()
    add_to(commands)
    return commands


def test_the_command_writes_to_the_cells_name_and_tells_what_it_checked(
    cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["export", str(cell), "--format", "torchscript", "--batch", "dynamic", "--plugin", str(PLUGIN[0])]
    result = CliRunner().invoke(app(), arguments)
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == [f"{cell.name}.pt"]
    for text in (
        f"wrote {cell.name}.pt",
        "input: RGB images in 0..1, batch x 3 x 32 x 32",
        "output: logits, batch x 3 x 32 x 32",
        "on 2 x 3 x 32 x 32, 1 x 3 x 32 x 32: logits differ by at most 0.0e+00",
        "the class is the same for 100.00 % of the pixels",
    ):
        assert text in result.output


@pytest.mark.parametrize("named", [(), ("--output", "out.pt")])
def test_a_file_that_is_there_is_kept_unless_forced(
    cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(named[-1] if named else f"{cell.name}.pt")
    path.write_text("mine")
    arguments = ["export", str(cell), "--format", "torchscript", "--plugin", str(PLUGIN[0]), *named]
    refused = CliRunner().invoke(app(), arguments)
    assert str(refused.exception) == (
        f"{path} is there already. Choose another --output, or overwrite it with --force."
    )
    assert path.read_text() == "mine"
    assert CliRunner().invoke(app(), [*arguments, "--force"]).exit_code == 0
    assert opened(path, "torchscript")[1]["cell"] == cell.name


def test_the_info_of_the_dataset_is_not_needed(cell: Path) -> None:
    """The student is fed as it was when it trained, whatever the dataset says of itself by now."""
    builder = datasets.get("shapes").builder
    recorded = builder.info
    builder.info = DatasetInfo(("other",), ((0, 0, 0),), (0.9,) * 3, (0.1,) * 3, "elsewhere")
    try:
        student = load_student(cell)
    finally:
        builder.info = recorded
    assert (student.mean, student.class_names) == ((0.2, 0.2, 0.2), ("ground", "disc", "square"))
