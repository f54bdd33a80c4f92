from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.base import options
from bench.base.errors import BenchError
from bench.base.registry import datasets, discover
from bench.data.base import SegmentationData
from bench.data.facts import Locations

NAMES = ["ground", "thing", "other"]


def pictures(count: int, seed: int, channels: int, high: int) -> list[Image.Image]:
    random = np.random.RandomState(seed)
    shape = (6, 8, 3) if channels == 3 else (6, 8)
    return [Image.fromarray(random.randint(0, high, shape).astype(np.uint8)) for _ in range(count)]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    library = pytest.importorskip("datasets")
    monkeypatch.setattr(library.config, "HF_HUB_OFFLINE", True)
    library.disable_progress_bars()
    return library


def saved(hub: Any, columns: tuple[str, str] = ("image", "annotation"), high: int = 3, extra: bool = True) -> Any:
    splits = {}
    for index, (split, count) in enumerate({"train": 4, "validation": 2}.items()):
        content: dict[str, Any] = {
            columns[0]: pictures(count, index, 3, 256),
            columns[1]: pictures(count, 9 + index, 1, high),
        }
        features = {name: hub.Image() for name in columns}
        if extra:
            content["scene_category"] = [0] * count
            features["scene_category"] = hub.ClassLabel(names=["street", "field"])
        splits[split] = hub.Dataset.from_dict(content, features=hub.Features(features))
    return hub.DatasetDict(splits)


def parquet(hub: Any, folder: Path, **given: Any) -> Path:
    (folder / "data").mkdir(parents=True)
    for split, rows in saved(hub, **given).items():
        rows.to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))
    return folder


def build(folder: Path | str, cache: Path, **given: Any) -> SegmentationData:
    discover()
    builder = datasets.get(f"hf:{folder}").builder
    resolved = options.Options.of(builder).resolve(given)
    assert json.loads(json.dumps(resolved)) == resolved
    data = builder(Locations(cache), **resolved)
    assert isinstance(data, SegmentationData)
    return data


def prepare(data: SegmentationData) -> tuple[str, ...]:
    names = data.info.splits
    data.require(names)
    data.check({name: data.split(name) for name in names})
    return names


def test_parquet_files_are_read_as_they_were_written(hub: Any, tmp_path: Path) -> None:
    data = build(parquet(hub, tmp_path / "set"), tmp_path / "cache", classes=NAMES)
    assert prepare(data) == ("train", "validation")
    assert data.info.eval_split == "validation"
    assert [len(data.split(name)) for name in data.info.splits] == [4, 2]
    image, mask = data.split("train")[2]
    assert np.array_equal(image.permute(1, 2, 0), np.asarray(pictures(4, 0, 3, 256)[2]))
    assert np.array_equal(mask, np.asarray(pictures(4, 9, 1, 3)[2]))


def test_a_folder_saved_by_the_library_gives_the_same_content_on_any_machine(hub: Any, tmp_path: Path) -> None:
    saved(hub).save_to_disk(str(tmp_path / "saved"))
    first = build(tmp_path / "saved", tmp_path / "cache", classes=NAMES)
    second = build(parquet(hub, tmp_path / "set"), tmp_path / "other", classes=NAMES)
    names = prepare(first)
    assert first.fingerprint(names) == second.fingerprint(names)
    other = build(parquet(hub, tmp_path / "changed", high=2), tmp_path / "cache", classes=NAMES)
    assert other.fingerprint(names) != first.fingerprint(names)
    reduced = build(tmp_path / "saved", tmp_path / "cache", classes=NAMES[:2], reduce_zero_label=True)
    assert reduced.fingerprint(names) != first.fingerprint(names)


def test_a_folder_of_images_is_read_where_they_lie(hub: Any, tmp_path: Path) -> None:
    for split, seed in (("train", 0), ("test", 1)):
        folder = tmp_path / "set" / split
        folder.mkdir(parents=True)
        rows = []
        for index, (image, mask) in enumerate(zip(pictures(3, seed, 3, 256), pictures(3, 9, 1, 3), strict=True)):
            image.save(folder / f"{index}.png")
            mask.save(folder / f"{index}_m.png")
            rows.append(json.dumps({"file_name": f"{index}.png", "mask_file_name": f"{index}_m.png"}))
        (folder / "metadata.jsonl").write_text("\n".join(rows))
    data = build(tmp_path / "set", tmp_path / "cache", classes=NAMES)
    assert set(prepare(data)) == {"train", "test"}
    assert data.info.eval_split == "test"
    assert np.array_equal(data.split("train")[1][1], np.asarray(pictures(3, 9, 1, 3)[1]))


def test_zero_may_be_unscored_and_another_number_ignored(hub: Any, tmp_path: Path) -> None:
    folder = parquet(hub, tmp_path / "set", high=4)
    data = build(folder, tmp_path / "cache", classes=["a", "b"], reduce_zero_label=True, ignore=3)
    raw = np.asarray(pictures(4, 9, 1, 4)[0])
    expected = np.select([raw == 1, raw == 2], [0, 1], 255)
    assert np.array_equal(data.split("train")[0][1], expected)


def test_names_may_stand_in_files(hub: Any, tmp_path: Path) -> None:
    folder = parquet(hub, tmp_path / "set")
    table = tmp_path / "id2label.json"
    table.write_text(json.dumps({str(index): name for index, name in enumerate(NAMES)}))
    assert build(folder, tmp_path / "cache", classes=str(table)).info.class_names == tuple(NAMES)
    lines = tmp_path / "names.txt"
    lines.write_text("\n".join(NAMES))
    assert build(folder, tmp_path / "cache", classes=str(lines)).info.class_names == tuple(NAMES)
    table.write_text(json.dumps({"0": "a", "2": "b"}))
    with pytest.raises(BenchError, match="without gaps"):
        _ = build(folder, tmp_path / "cache", classes=str(table)).info


def test_without_names_the_line_to_add_is_told_and_other_labels_are_not_taken(hub: Any, tmp_path: Path) -> None:
    with pytest.raises(BenchError) as caught:
        _ = build(parquet(hub, tmp_path / "set"), tmp_path / "cache").info
    assert "classes: [class_0, class_1, class_2]" in str(caught.value)
    assert "id2label.json" in str(caught.value)


def test_columns_are_found_by_type_and_name_or_asked_for(hub: Any, tmp_path: Path) -> None:
    odd = parquet(hub, tmp_path / "odd", columns=("before", "segmentation"))
    assert len(build(odd, tmp_path / "cache", classes=NAMES).split("train")) == 4
    unclear = parquet(hub, tmp_path / "unclear", columns=("one", "two"))
    with pytest.raises(BenchError, match=r"image_column: NAME and label_column: NAME. Columns: one \(Image\)"):
        build(unclear, tmp_path / "cache", classes=NAMES).require(("train",))
    given = build(unclear, tmp_path / "cache", classes=NAMES, image_column="one", label_column="two")
    assert np.array_equal(given.split("train")[0][1], np.asarray(pictures(4, 9, 1, 3)[0]))
    with pytest.raises(BenchError, match="'scene_category' is no column of images"):
        build(unclear, tmp_path / "cache", classes=NAMES, label_column="scene_category").require(("train",))


def test_faults_are_told_by_row(hub: Any, tmp_path: Path) -> None:
    rows = saved(hub)
    image = hub.Features({"image": hub.Image(), "annotation": hub.Image()})
    content = {"image": pictures(2, 0, 3, 256), "annotation": [None, *pictures(1, 1, 1, 3)]}
    rows["train"] = hub.Dataset.from_dict(content, features=image)
    rows["validation"] = rows["validation"].remove_columns("scene_category")
    rows.save_to_disk(str(tmp_path / "saved"))
    data = build(tmp_path / "saved", tmp_path / "cache", classes=NAMES)
    with pytest.raises(BenchError, match="row 0 of train has no annotation"):
        data.require(("train",))
    data.require(("validation",))
    with pytest.raises(BenchError, match=r"unknown split of hf:.* 'val'. .*Known: train, validation"):
        data.require(("val",))


def test_a_label_beyond_the_classes_is_refused(hub: Any, tmp_path: Path) -> None:
    data = build(parquet(hub, tmp_path / "set"), tmp_path / "cache", classes=NAMES[:2])
    with pytest.raises(BenchError, match="label values outside the classes"):
        prepare(data)


def test_files_taken_out_of_the_cache_are_written_again(hub: Any, tmp_path: Path) -> None:
    folder = parquet(hub, tmp_path / "set")
    data = build(folder, tmp_path / "cache", classes=NAMES)
    victim = data.split("train").pairs[0].label  # type: ignore[attr-defined]
    victim.unlink()
    again = build(folder, tmp_path / "cache", classes=NAMES)
    prepare(again)
    assert victim.is_file()


def test_building_needs_neither_the_library_nor_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **given: Any) -> Any:
        if name == "datasets":
            raise ImportError(name)
        return original(name, *arguments, **given)

    monkeypatch.setattr(builtins, "__import__", without)
    data = build("someone/something", tmp_path, classes=NAMES)
    with pytest.raises(BenchError, match=r'pip install "dense-kd-bench\[huggingface\]"'):
        data.require(("train",))


def test_an_unreachable_hub_is_told_in_a_sentence(hub: Any, tmp_path: Path) -> None:
    with pytest.raises(BenchError) as caught:
        _ = build("someone/something", tmp_path, classes=NAMES).info
    assert "hf:someone/something: the hub cannot be reached" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_data_is_told_in_a_sentence(hub: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match="cannot be loaded as a dataset"):
        build(tmp_path / "empty", tmp_path / "cache", classes=NAMES).require(("train",))
