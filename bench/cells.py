"""A cell: one training run, and the key that says when two runs are the same."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict

from bench import NUMERICS
from bench.recipe import Recipe
from bench.store import digest


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class DatasetSpec(_Frozen):
    """A dataset by name, its options and the splits in use."""

    name: str
    options: dict[str, Any] = {}
    train_split: str = "train"
    eval_split: str = "val"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits in use, each once."""
        return tuple(dict.fromkeys((self.train_split, self.eval_split)))


class ModelSpec(_Frozen):
    """A model by name.

    Attributes:
        name: registered name.
        options: its options with defaults filled in.
        weights_sha256: digest of the weights file that it starts from, if any.
    """

    name: str
    options: dict[str, Any] = {}
    weights_sha256: str | None = None


class TeacherSpec(ModelSpec):
    """A frozen teacher.

    Attributes:
        trained_by: key of the cell that trains it, where no weights file is given.
    """

    trained_by: str | None = None

    @property
    def key(self) -> str:
        """What its weights are: a file's digest or the key of the cell that trains it."""
        return self.weights_sha256 or self.trained_by or ""


class MethodSpec(_Frozen):
    """A method with all hyperparameters.

    Attributes:
        label: the name in tables: the method and those hyperparameters that are not its defaults.
    """

    name: str
    params: dict[str, Any] = {}
    label: str


class Cell(_Frozen):
    """One training run: dataset x pair x method x hyperparameters x seed x recipe."""

    dataset: DatasetSpec
    teacher: TeacherSpec | None
    student: ModelSpec
    method: MethodSpec
    seed: int
    recipe: Recipe

    @cached_property
    def key(self) -> str:
        """SHA-256 of all that determines the result; paths, device, workers and logging are not in it."""
        fields = self.model_dump(mode="json", exclude={"recipe": True, "method": {"label"}})
        return digest({**fields, "recipe": self.recipe.key_fields(), "numerics": NUMERICS})

    @cached_property
    def id(self) -> str:
        """Readable, safe as a folder name, unique through the key's first digits."""
        pair = f"{self.teacher.name}-{self.student.name}" if self.teacher else self.student.name
        text = f"{_slug(self.dataset.name)}.{_slug(pair)}.{_slug(self.method.label)}.s{self.seed}"
        return f"{text[:120]}.{self.key[:12]}"

    def record(self) -> dict[str, Any]:
        """Return the cell as it stands in results."""
        return {"id": self.id, "key": self.key, **self.model_dump(mode="json")}


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_+-]+", "-", text).strip("-") or "x"
