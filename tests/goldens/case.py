"""One golden case: its inputs as tensors, our method on them, and the comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bench.base.registry import discover
from bench.method import Batch, Method, Outputs, OutputSpec, Pair, Step, TapSpec
from bench.method.registry import methods
from tests.goldens.load_golden import compare, make_inputs

IGNORE = 255


class NotOffered(Exception):  # noqa: N818 - a verdict
    """A variant that no option of ours expresses, with the reason."""


Terms = dict[str, Tensor]
Express = Callable[["Case"], tuple[Tensor, Terms]]
_EXPRESSED: dict[str, Express] = {}


def expresses(*names: str) -> Callable[[Express], Express]:
    """Register the function that computes the cases whose ``method`` is one of the names.

    It returns the loss and the terms to compare, by the names of the file.
    """

    def add(function: Express) -> Express:
        _EXPRESSED.update(dict.fromkeys(names, function))
        return function

    return add


class Case:
    """A record of a golden file with its inputs in one floating type.

    Attributes:
        params: the hyperparameters of the file.
        variant: which implementation it was computed by.
        inputs: tensors by name; floating ones have a gradient.
    """

    def __init__(self, record: dict[str, Any], dtype: torch.dtype = torch.float64) -> None:
        self.record, self.dtype = record, dtype
        self.params, self.variant = record["params"], str(record["variant"])
        self.inputs: dict[str, Tensor] = {}
        constants = {spec["name"] for spec in record["inputs"] if spec.get("grad") is False}
        for name, array in make_inputs(record).items():
            tensor = torch.from_numpy(array)
            if tensor.is_floating_point():
                tensor = tensor.to(dtype).requires_grad_(name not in constants)
            self.inputs[name] = tensor
        self._loaded: dict[str, nn.Parameter] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self.inputs[name]

    def __contains__(self, name: str) -> bool:
        return name in self.inputs

    def numbered(self, name: str) -> list[Tensor]:
        """Return the inputs ``name0, name1, ...`` or ``name.0, name.1, ...``."""
        found = [self.inputs[key] for dot in ("", ".") for i in range(99) if (key := f"{name}{dot}{i}") in self.inputs]
        if not found:
            raise KeyError(name)
        return found

    def load(self, parameter: nn.Parameter, name: str) -> None:
        """Give a trainable part the values of an input; its gradient counts as the input's."""
        with torch.no_grad():
            parameter.copy_(self[name])
        self._loaded[name] = parameter

    def method(self, name: str, student: Outputs, teacher: Outputs, options: dict[str, Any], **facts: Any) -> Method:
        """Build a registered method for the shapes of the inputs.

        Args:
            name: registered name, or a sum.
            student: what the student gives.
            teacher: what the teacher gives.
            options: hyperparameters.
            facts: ``num_classes`` and ``size`` where the shapes do not tell them.
        """
        discover()
        size = facts.get("size") or student.logits.shape[-2:]
        pair = Pair(
            facts.get("num_classes") or student.logits.shape[1],
            IGNORE,
            spec_of(student, size[0]),
            spec_of(teacher, size[0]),
            (int(size[0]), int(size[1])),
        )
        entry = methods.get(name)
        method: Method = entry.builder(pair, **entry.options.resolve(options))
        return method.to(self.dtype).train()

    def terms(
        self, method: Method, student: Outputs, teacher: Outputs, target: Tensor | None = None, progress: float = 0.0
    ) -> Terms:
        """Run a method's forward; ``progress`` is the share of the training done, to a millionth."""
        return method(student, teacher, self.batch(student, target), self.step(progress))

    def batch(self, student: Outputs, target: Tensor | None = None, images: Tensor | None = None) -> Batch:
        """Return a batch with the given target, or one that is ignored everywhere."""
        count, _, height, width = student.logits.shape
        if target is None:
            target = torch.full((count, height, width), IGNORE)
        if images is None:
            images = torch.zeros(count, 3, *target.shape[-2:], dtype=self.dtype)
        return Batch(images, target, IGNORE)

    def step(self, progress: float = 0.0) -> Step:
        """Return a step at a share of the training."""
        return Step(round(progress * 10**6), 10**6, torch.zeros((), dtype=self.dtype))

    def gradients(self, loss: Tensor) -> dict[str, Any]:
        """Return the gradient of every input that the file lists one for."""
        leaves = {name: self._loaded.get(name, tensor) for name, tensor in self.inputs.items()}
        wanted = [name for name in self.record["outputs"].get("grads") or {} if name in leaves]
        missing = set(self.record["outputs"].get("grads") or {}) - set(wanted)
        assert not missing, f"no input is called {sorted(missing)}"
        if not wanted:
            return {}
        found = torch.autograd.grad(loss, [leaves[name] for name in wanted], allow_unused=True)
        return {
            name: (torch.zeros_like(leaves[name]) if gradient is None else gradient).numpy()
            for name, gradient in zip(wanted, found, strict=True)
        }


def spec_of(outputs: Outputs, height: int) -> OutputSpec:
    """Return the shapes of given outputs at an input height."""

    def spec(tensor: Tensor) -> TapSpec:
        return TapSpec(tensor.shape[1], height / tensor.shape[2])

    embedding = None if outputs.embedding is None else spec(outputs.embedding)
    return OutputSpec(spec(outputs.logits), embedding, tuple(spec(stage) for stage in outputs.stages))


def with_zeros(record: dict[str, Any]) -> dict[str, Any]:
    """Mark the gradients that are zero but for rounding, so that they are compared with the largest of the case."""
    gradients = record["outputs"].get("grads") or {}
    largest = max((gradient["l2"] for gradient in gradients.values()), default=0.0)
    marked = {name: {**one, "zero": True} if one["l2"] < 1e-12 * largest else one for name, one in gradients.items()}
    return {**record, "outputs": {**record["outputs"], "grads": marked}}


def mismatches(record: dict[str, Any], dtype: torch.dtype = torch.float64, rtol: float = 1e-6) -> list[str]:
    """Compute a case and return what differs, in words.

    Raises:
        NotOffered: no option of ours expresses the variant.
    """
    import tests.goldens.express  # noqa: F401 - registers what is expressed

    if record["method"] not in _EXPRESSED:
        raise NotOffered(f"no method of ours is '{record['method']}'")
    case = Case(record, dtype)
    loss, terms = _EXPRESSED[record["method"]](case)
    values = {name: float(term.detach()) for name, term in terms.items()}
    record = with_zeros(record)
    return compare(record, float(loss.detach()), values, case.gradients(loss), rtol=rtol)
