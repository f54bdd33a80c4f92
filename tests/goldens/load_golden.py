"""Reads the golden files: builds a case's input arrays and compares outputs. numpy only.

    for case in load("kd.json"):
        arrays = make_inputs(case)                       # name -> np.ndarray (float64 or int64)
        ... compute loss, terms, gradients ...
        assert not compare(case, loss, terms, grads)

A file is a list of cases: id, method, variant, source, params, inputs, outputs, maybe extra.
Input recipe, in this order:
  1. rng = numpy.random.default_rng(seed)
     normal: rng.standard_normal(shape) * scale;  uniform: rng.random(shape) * scale
     randint: rng.integers(low, high, shape)
  2. upsample k: every entry becomes a k x k block over the last two dims (labels with visible boundaries)
  3. final_shape: cropped to it
  4. ignore_fraction f: 255 where numpy.random.default_rng(seed + 1).random(final shape) < f
"grad": false marks a constant; otherwise every float input has a gradient in outputs.grads if it takes part in one.
"""

import json
import math
from pathlib import Path

import numpy as np

IGNORE = 255


def load(path):
    return json.loads(Path(path).read_text())


def make_input(spec):
    rng = np.random.default_rng(int(spec["seed"]))
    shape = tuple(spec["shape"])
    if spec["dist"] == "normal":
        array = rng.standard_normal(shape) * spec.get("scale", 1.0)
    elif spec["dist"] == "uniform":
        array = rng.random(shape) * spec.get("scale", 1.0)
    elif spec["dist"] == "randint":
        array = rng.integers(int(spec["low"]), int(spec["high"]), shape)
    else:
        raise ValueError(f"unknown dist {spec['dist']!r}")
    block = spec.get("upsample")
    if block:
        array = array.repeat(block, axis=-2).repeat(block, axis=-1)
    final = tuple(spec.get("final_shape", array.shape))
    if final != array.shape:
        array = array[tuple(slice(0, n) for n in final)]
    fraction = spec.get("ignore_fraction") or 0.0
    if fraction:
        array = array.copy()
        array[np.random.default_rng(int(spec["seed"]) + 1).random(final) < fraction] = IGNORE
    return array


def make_inputs(case):
    return {spec["name"]: make_input(spec) for spec in case["inputs"]}


def compare(case, loss, terms=None, grads=None, rtol=1e-6, atol=1e-12):
    """Mismatches in words; an empty list when everything agrees.

    grads maps an input's name to its whole gradient. Entries are compared relative to themselves and to the gradient's
    rms; a gradient marked zero by symmetry is compared with the largest gradient of the case instead.
    """
    expected, wrong = case["outputs"], []
    scale_of_case = max((g["l2"] for g in (expected.get("grads") or {}).values()), default=0.0)

    def check(label, want, got, scale=0.0):
        if not abs(want - got) <= atol + rtol * max(abs(want), scale):
            wrong.append(f"{label}: expected {want:.12g}, got {got:.12g}")

    check("loss", expected["loss"], float(loss))
    for name, want in (expected.get("terms") or {}).items():
        if terms is not None and name in terms and isinstance(want, (int, float)):
            check(f"term {name}", want, float(terms[name]))
    for name, want in (expected.get("grads") or {}).items():
        if grads is None or name not in grads:
            continue
        flat = np.asarray(grads[name], dtype=np.float64).reshape(-1)
        zero = want.get("zero") or want.get("structural_zero")
        scale = scale_of_case if zero else want["l2"]
        check(f"grad {name} l2", want["l2"], math.sqrt(float(flat @ flat)), scale)
        check(f"grad {name} sum", want["sum"], float(flat.sum()), scale * math.sqrt(flat.size))
        rms = scale if zero else want["l2"] / math.sqrt(max(flat.size, 1))
        for index, value in zip(want["flat_indices"], want["flat_values"], strict=True):
            check(f"grad {name}[{index}]", value, float(flat[index]), rms)
    return wrong
