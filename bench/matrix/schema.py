"""What a matrix may hold."""

from __future__ import annotations

import re
from typing import Annotated, Any

from annotated_types import Ge, Le, Len
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, create_model, model_validator

from bench.matrix.cell import InputSpec, Normalization, SharedImages
from bench.matrix.recipe import Recipe, recipe_for
from bench.tasks.metric import Scoring
from bench.tasks.scorings import known_scorings


class Named(BaseModel):
    """A registered name and its options: ``name`` alone, or ``{name: ..., option: ...}``."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Annotated[str, Len(1)]

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and "name" not in value and len(value) == 1:
            (only,) = value
            raise ValueError(f"options stand beside the name: write {{name: {only}, option: value}}")
        if not isinstance(value, dict):
            raise ValueError("a name or {name: ..., option: value} is needed")
        return value

    @property
    def options(self) -> dict[str, Any]:
        """The options as written."""
        return dict(self.model_extra or {})


class DatasetEntry(Named):
    """The dataset, its splits, and whose mean and standard deviation models get that have none of their own.

    Attributes:
        shared_images: whether one image may be in both splits, as in some published ones.
    """

    train_split: str = "train"
    eval_split: str | None = None
    normalization: Normalization = "dataset"
    shared_images: SharedImages = "refused"


class Expected(BaseModel):
    """The scores that a teacher must have before anything learns from it, as metrics show them: mIoU in percent.

    :func:`matrix_for` adds a field for each metric of a task.

    Attributes:
        tolerance: how far a score may be off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tolerance: Annotated[float, Ge(0)] = 0.5

    @property
    def scores(self) -> dict[str, float]:
        """The expected scores by metric."""
        fields = self.model_dump(exclude={"tolerance"})
        return {key: value for key, value in fields.items() if value is not None}

    @model_validator(mode="after")
    def _told(self) -> Expected:
        if not self.scores:
            raise ValueError(
                f"a score is missing: give one of {', '.join(set(type(self).model_fields) - {'tolerance'})}"
            )
        return self


def _sha256(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"(sha256:)?[0-9a-fA-F]{64}", value):
        raise ValueError("64 hexadecimal digits are needed, as sha256sum prints them, in quotes where all are decimal")
    return value.removeprefix("sha256:").lower()


class ModelEntry(Named):
    """A student or a teacher.

    Attributes:
        weights: what it starts from: a file, a URL or published weights by name.
        sha256: what the content of ``weights`` must have; another file is refused.
        expected: of a teacher, its score on the evaluation split; far off, the run stops.
        input: how images are prepared for it, where neither its own way nor the dataset's is right.
    """

    weights: str | None = None
    sha256: Annotated[str | None, BeforeValidator(_sha256)] = None
    expected: SerializeAsAny[Expected] | None = None
    input: InputSpec | None = None

    @model_validator(mode="after")
    def _told_of_something(self) -> ModelEntry:
        if self.sha256 and self.weights is None:
            raise ValueError("sha256 tells what 'weights' must hold: give weights as well")
        return self


class PairEntry(BaseModel):
    """A teacher and a student."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    teacher: SerializeAsAny[ModelEntry]
    student: SerializeAsAny[ModelEntry]


Seed = Annotated[int, Ge(0), Le(2**32 - 1), Field(strict=True)]
"""The generators keep 32 bits of a seed: a larger one would repeat another's stream."""


class Matrix(BaseModel):
    """A validated matrix."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    dataset: DatasetEntry
    recipe: SerializeAsAny[Recipe]
    teacher_recipe: dict[str, Any] = {}
    teacher_seed: Seed = 0
    pairs: Annotated[list[SerializeAsAny[PairEntry]], Len(1)]
    methods: Annotated[list[Named], Len(1)]
    seeds: Annotated[list[Seed], Len(1)]
    include: list[dict[str, Any]] = []
    exclude: list[dict[str, Any]] = []
    plugins: list[str] = []

    def recipe_of_teachers(self) -> Recipe:
        """Return the recipe that teachers without weights are trained with."""
        return type(self.recipe).model_validate(_merged(self.recipe.model_dump(), self.teacher_recipe))


def matrix_for(task: str) -> type[Matrix]:
    """Return the schema of matrices whose dataset is of a task.

    Raises:
        BenchError: no task of that name is known.
    """
    recipe = recipe_for(task)
    expected: Any = create_model("Expected", __base__=Expected, **_expected_fields(known_scorings()[task]))
    model: Any = create_model("Model", __base__=ModelEntry, expected=(expected | None, None))
    pair: Any = create_model("PairEntry", __base__=PairEntry, teacher=(model, ...), student=(model, ...))
    pairs = Annotated[list[pair], Len(1)]
    return create_model("Matrix", __base__=Matrix, recipe=(recipe, ...), pairs=(pairs, ...))


def _expected_fields(scoring: Scoring) -> dict[str, Any]:
    """Return a field for each metric; a percentage has its bounds."""
    bounded = Annotated[float, Ge(0), Le(100)] | None
    return {metric.key: (bounded if metric.unit == "%" else float | None, None) for metric in scoring.metrics}


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result
