"""Where Python searches: a checkout's ``methods/`` is ``bench.methods``; the current folder has no modules for us.

This is read while the current folder may still be searched first. So it imports only what Python's own ``runpy`` has
loaded before: not ``pathlib`` or ``typing``, which a file in that folder could be called.
"""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder

ENTRIES = ("bench.methods", "bench.students", "bench.teachers")
"""The packages whose folders lie beside ``bench`` in a checkout; a wheel has them inside ``bench``."""

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(PACKAGE)
DOOR = os.path.join(PACKAGE, "base", "door")
"""Holds nothing but a module ``bench`` that becomes :data:`PACKAGE`."""


class EntriesFinder:
    """Finds the packages of :data:`ENTRIES` in a checkout, and no other folder of it.

    Args:
        root: the checkout.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return where a package of :data:`ENTRIES` is, None for every other module; Python's import calls it."""
        return PathFinder.find_spec(name, [self.root]) if name in ENTRIES else None


def find_entries(distribution: str) -> None:
    """Make the entries of a checkout importable; an installed wheel needs nothing.

    The finder goes first: an editable installation of another checkout offers packages of the same names.

    Args:
        distribution: the name in ``pyproject.toml`` by which a checkout is known.
    """
    if _is_checkout(ROOT, distribution):
        sys.meta_path.insert(0, EntriesFinder(ROOT))


def _is_checkout(root: str, distribution: str) -> bool:
    try:
        with open(os.path.join(root, "pyproject.toml"), encoding="utf-8") as file:
            return f'name = "{distribution}"' in file.read().splitlines()
    except (OSError, ValueError):
        return False


def leave_current_folder() -> None:
    """Take the folder that ``python -m`` searches first off ``sys.path``, in child processes too.

    Where ``bench`` itself lies in it, they still find ``bench``, and it alone, through :data:`DOOR`. A current folder
    that ``PYTHONPATH`` names stays where it is. One that stands there for another reason (an empty item of
    ``PYTHONPATH``, an editable installation) is searched last.
    """
    try:
        here = os.getcwd()
    except OSError:  # it is gone, and Python has put nothing in front
        return
    if not sys.flags.safe_path and sys.path[0] in ("", here):
        del sys.path[0]
        if here == ROOT:
            sys.path.insert(0, DOOR)
    os.environ["PYTHONSAFEPATH"] = "1"
    named = [os.path.abspath(item) for item in os.environ.get("PYTHONPATH", "").split(os.pathsep) if item]
    if here not in named:
        others = [entry for entry in sys.path if entry not in ("", here)]
        sys.path[:] = others if len(others) == len(sys.path) else [*others, here]
