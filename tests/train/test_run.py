"""The main job, from a matrix to its folder: what it clears away before anything trains."""

from __future__ import annotations

from pathlib import Path

from bench.base.temporary import new_temporary, temporary_name
from tests.harness import run, write_matrix


def test_a_run_sweeps_what_killed_ones_left_everywhere(tmp_path: Path) -> None:
    results, cache = tmp_path / "results", tmp_path / "results" / "cache"
    places = {
        results / "shapes": ("report.html", "gains.png", "plan.json"),
        results / "shapes" / "cells" / "of another matrix": ("checkpoint.pt",),
        results / "shapes" / "efficiency": ("0.json",),
        results / "shapes" / "gallery": ("gallery.json",),
        results / "teachers" / "cells" / "old": ("student.safetensors",),
        cache / "decoded" / "0": ("sizes.json",),
        cache / "weights": ("0.part.json",),
    }
    left = [folder / temporary_name(name) for folder, names in places.items() for name in names]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    pictures = results / "shapes" / "gallery" / temporary_name("pictures")
    pictures.mkdir()
    others = [results / "shapes" / ".mine.tmp", cache / "upload.tmp", cache / "weights" / "0.part"]
    for path in others:
        path.write_text("not left by a kill")
    with new_temporary(cache / "weights" / "now") as living:
        run(write_matrix(tmp_path, methods=["none", "kd"]), results)
        assert Path(living.name).exists()
    assert [path for path in (*left, pictures) if path.exists()] == []
    assert [path for path in others if not path.exists()] == []
