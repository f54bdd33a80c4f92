"""A cell: one training run, and the key that says when two runs are the same."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from bench import NUMERICS
from bench.base.files import digest
from bench.matrix.recipe import Recipe, recipe_for


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


def _above_zero(values: tuple[float, ...]) -> tuple[float, ...]:
    if min(values) <= 0:
        raise ValueError("a standard deviation must be above 0")
    return values


Normalization = Literal["dataset", "imagenet"]
SharedImages = Literal["refused", "allowed"]
Triple = tuple[Annotated[float, Ge(0), Le(1)], Annotated[float, Ge(0), Le(1)], Annotated[float, Ge(0), Le(1)]]


class DatasetSpec(_Frozen):
    """A dataset by name, its options and the splits in use.

    Attributes:
        name: registered name.
        options: its options with defaults filled in, but for ``paths``.
        paths: its options that only say where files lie; in no record and no key, so that data may be moved.
        train_split: what is trained on.
        eval_split: what is scored.
        normalization: whose mean and standard deviation models get that have none of their own.
        shared_images: whether one image may be in both splits; in records and keys only where it may.
    """

    name: str
    options: dict[str, Any] = {}
    paths: dict[str, Any] = Field(default={}, exclude=True)
    train_split: str = "train"
    eval_split: str = "val"
    normalization: Normalization = "dataset"
    shared_images: SharedImages = "refused"

    @model_serializer(mode="wrap")
    def _told(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        if self.shared_images == "refused":
            fields.pop("shared_images", None)
        return fields

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits in use, each once."""
        return tuple(dict.fromkeys((self.train_split, self.eval_split)))


class InputSpec(_Frozen):
    """How images are prepared for one model, where neither its own way nor the dataset's is right.

    Attributes:
        mean: RGB mean in 0..1 to subtract; None keeps what it would be.
        std: RGB standard deviation in 0..1 to divide by; None keeps what it would be.
        bgr: whether blue comes first; None keeps what it would be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: Triple | None = None
    std: Annotated[Triple, AfterValidator(_above_zero)] | None = None
    bgr: bool | None = None


class ModelSpec(_Frozen):
    """A model by name.

    Attributes:
        name: registered name.
        options: its options with defaults filled in.
        weights_sha256: digest of the weights file that it starts from, if any.
        input: how images are prepared for it, where the matrix says so.
    """

    name: str
    options: dict[str, Any] = {}
    weights_sha256: str | None = None
    input: InputSpec | None = None


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
    recipe: SerializeAsAny[Recipe]

    @field_validator("recipe", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        """Read a recipe that is given as a mapping, as a record holds it, with the fields of segmentation."""
        return recipe_for().model_validate(value) if isinstance(value, dict) else value

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
