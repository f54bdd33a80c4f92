"""Running small matrices of the shapes plug-in inside the test process."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from bench.cli.screen.progress import PlainReporter
from bench.matrix.matrix import load_matrix
from bench.matrix.settings import Settings
from bench.plan.groups import Plan
from bench.store.folders import RunFolder
from bench.train.run import run_matrix
from bench.train.stop import StopRequest

PLUGINS = Path(__file__).parent / "plugins"
BASE: dict[str, Any] = {
    "dataset": "shapes",
    "recipe": {
        "iterations": 12,
        "batch_size": 4,
        "optimizer": {"lr": 1e-2},
        "augment": {"shift": 2, "flip": 0.5},
        "evaluations": 2,
        "log_every": 3,
    },
    "pairs": [{"teacher": "net_large", "student": "net_small"}],
    "methods": ["none", "kd", "cwd"],
    "seeds": [0],
    "plugins": [str(PLUGINS / "shapes.py"), str(PLUGINS / "faulty.py")],
}


def write_matrix(folder: Path, name: str = "shapes", **changes: Any) -> Path:
    """Write a matrix of the shapes plug-in with some top-level keys changed."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**BASE, **changes}, sort_keys=False))
    return path


def run(path: Path, results: Path, **settings: Any) -> Plan:
    """Run a matrix in this process; return the plan as it stands afterwards."""
    reporter = PlainReporter(Console(file=io.StringIO()))
    return run_matrix(load_matrix(str(path)), Settings(results=results, **settings), reporter, StopRequest())


def weights(run_folder: RunFolder) -> dict[tuple[str, int], bytes]:
    """Return the bytes of every finished student, by method label and seed."""
    found = {}
    for folder in run_folder.cells():
        state, record = folder.state()
        if state == "done":
            key = (record["cell"]["method"]["label"], record["cell"]["seed"])
            found[key] = (folder.path / "student.safetensors").read_bytes()
    return found


def records(run_folder: RunFolder) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return state and record of every cell, by method label."""
    return {
        json.loads((folder.path / "config.json").read_text())["cell"]["method"]["label"]: folder.state()
        for folder in run_folder.cells()
    }
