"""The models of a matrix: their weights, their outputs, and whether the two fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import BenchError, describe_error, is_ctrl_c
from bench.base.files import digest, file_digest
from bench.base.registry import students
from bench.data.facts import DatasetInfo
from bench.matrix.cell import ModelSpec
from bench.matrix.schema import ModelEntry
from bench.method import Specs
from bench.models.base import Model, lone_value, output_spec
from bench.models.weights.addressed import AddressedFile
from bench.models.weights.opening import is_safetensors
from bench.models.weights.pretrained import PublishedFile
from bench.models.weights.published import renamed
from bench.models.weights.reading import read_told, require_finite, require_fit
from bench.plan.build import build_spec
from bench.plan.weights import find_weights
from bench.tasks.base import Task


@dataclass(frozen=True)
class Probed:
    """What was learnt of a model by building it without memory.

    Attributes:
        model: the model on the meta device.
        spec: shapes of its outputs at the size that it is trained at.
        n_parameters: of its training, auxiliary heads included.
    """

    model: Model
    spec: Specs
    n_parameters: int


class Models:
    """Describes the models that a matrix names, each weights file read and each model built once.

    Args:
        task: of the dataset.
        info: facts of the dataset.
        folder: where the matrix lies.
        cache: the folder of derived files, where weights of addresses are kept; the usual one where not given.

    Attributes:
        weights: files given for models, by digest.
        published: files of weights that models start from and that somebody publishes, by address.
        notes: what is worth knowing of the given weights.
    """

    def __init__(self, task: type[Task], info: DatasetInfo, folder: Path, cache: Path | None = None) -> None:
        self._channels, self._folder, self._cache = task.channels(info), folder, cache
        self._digests: dict[tuple[str, str | None], str] = {}
        self.weights: dict[str, Path] = {}
        self.published: dict[str, PublishedFile] = {}
        self.notes: list[str] = []
        self._probes: dict[str, Probed] = {}
        self._lone_values: dict[str, str] = {}

    def describe(self, entry: ModelEntry) -> ModelSpec:
        """Return a model with its options filled in and its weights file digested.

        Raises:
            BenchError: no such weights, or others than the matrix tells.
        """
        options = students.get(entry.name).options.resolve(entry.options)
        sha256 = None if entry.weights is None else self._known_digest(entry.weights, entry.sha256)
        return ModelSpec(name=entry.name, options=options, weights_sha256=sha256, input=entry.input)

    def _known_digest(self, text: str, told: str | None) -> str:
        if (text, told) not in self._digests:
            self._digests[text, told] = self._weights_digest(text, told)
        return self._digests[text, told]

    def _weights_digest(self, text: str, told: str | None) -> str:
        """Return the digest of a model's weights; where they are not here yet, the one told, or that of their address.

        Args:
            text: as in the matrix.
            told: the SHA-256 that the matrix tells.

        Raises:
            BenchError: no such weights, or others than the matrix tells.
        """
        found = find_weights(text, self._folder, self._cache, told)
        path = found if isinstance(found, Path) else found.path
        if isinstance(found, AddressedFile) and found.is_open:
            self._note(f"{text} comes without encryption, so that others may change it on its way: tell its sha256")
        if isinstance(found, PublishedFile):
            self.published[found.url] = found
            if not path.is_file():
                return told or digest({"absent": found.url})
        sha256 = file_digest(path)
        if told and told != sha256:
            raise BenchError(f"{path}: the matrix tells sha256 {told} of it, but it has {sha256}")
        if isinstance(found, AddressedFile) and (problem := found.changed(sha256)):
            raise BenchError(problem)
        self.weights[sha256] = path
        return sha256

    def _shown(self, path: Path) -> str:
        """Return what a weights file is called to the user."""
        kept = {file.path: file.file for file in self.published.values() if isinstance(file, AddressedFile)}
        return kept.get(path, path.name)

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def probe(self, spec: ModelSpec, size: tuple[int, int]) -> Probed:
        """Return what a model hands to a method; a given weights file is tried on it.

        Args:
            spec: the model.
            size: height and width of the images that it trains on.

        Raises:
            BenchError: the model cannot be built with its options, or the weights do not fit.
        """
        key = digest([spec.model_dump(mode="json"), size])
        if key not in self._probes:
            self._probes[key] = self._probed(spec, size)
        return self._probes[key]

    def lone_value(self, spec: ModelSpec, size: tuple[int, int]) -> str:
        """Return why a model cannot be trained on batches of one image, in torch's words; empty where it can.

        Args:
            spec: the model.
            size: height and width of the images that it trains on.

        Raises:
            BenchError: the model cannot be built with its options.
        """
        key = digest([spec.model_dump(mode="json"), size])
        if key not in self._lone_values:
            self._lone_values[key] = lone_value(self.probe(spec, size).model, size)
        return self._lone_values[key]

    def _probed(self, spec: ModelSpec, size: tuple[int, int]) -> Probed:
        try:
            model = build_spec(spec, self._channels, device="meta")
            outputs = output_spec(model, size)
        except BenchError:
            raise
        except BaseException as error:  # a builder's own code meets the options of a matrix here for the first time
            if is_ctrl_c(error):
                raise
            raise BenchError(
                f"model '{spec.name}' with {spec.options or 'no options'} and input {size[0]}x{size[1]} "
                f"does not work: {describe_error(error)}"
            ) from error
        if spec.weights_sha256 is None:
            self.published |= {source.url: source for source in model.pretrained}
        elif path := self.weights.get(spec.weights_sha256):
            self._try(spec, model, path)
        return Probed(model, outputs, sum(parameter.numel() for parameter in model.parameters()))

    def _try(self, spec: ModelSpec, model: Model, path: Path) -> None:
        """Try weights on a model; where their form is a publisher's who prepares images otherwise, note that."""
        read = read_told(path)
        own = renamed(model, read.tensors)
        require_fit(model, own.weights, f"{path} (model '{spec.name}')")
        require_finite(model, own.weights, f"{path} (model '{spec.name}')")
        for note in (*read.notes, *own.notes):
            self._note(f"{self._shown(path)}: {note}")
        found = own.published if not is_safetensors(path) else None
        other = {k: v for k, v in found.preparation.items() if spec.options.get(k) != v} if found else {}
        if found and other:
            shown = ", ".join(f"{key}: {value}" for key, value in other.items())
            self._note(f"{self._shown(path)} has the form of {found.layout}, which goes with {shown} of '{spec.name}'")
