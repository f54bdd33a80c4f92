"""Loss terms and scores for TensorBoard and Weights & Biases, off unless asked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from lightning_fabric.loggers import Logger, TensorBoardLogger

from bench.base.errors import BenchError, unknown
from bench.base.text import install_hint, one_line
from bench.matrix.cell import Cell
from bench.train.events import Ended, Event, Listener, Scored, TermsRead

NOT_ONLINE = ("offline", "disabled", "dryrun")


class CellLogger(Listener):
    """Logs every cell as a run of its own: ``loss/<term>``, the learner's scores and, at the end, what it was.

    A cell's logger is made when there is something to write: only then is it known where a resumed cell goes on.

    Args:
        title: what messages call it.
        make: returns the logger of a cell whose first point is of the given iteration.
    """

    def __init__(self, title: str, make: Callable[[Cell, int], Logger]) -> None:
        self.title = title
        self._make = make
        self._open: dict[str, Logger] = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._open:
            self._open.popitem()[1].finalize("aborted")

    def _of(self, cell: Cell, iteration: int) -> Logger:
        if cell.id not in self._open:
            self._open[cell.id] = self._make(cell, iteration)
        return self._open[cell.id]

    def tell(self, event: Event) -> None:
        """Log loss terms, their sum and scores, as stored; close a cell's logger at its end."""
        match event:
            case TermsRead(cell, done, terms) if terms:
                values = {f"loss/{name}": value for name, value in terms.items()}
                self._of(cell, done).log_metrics({**values, "loss": sum(terms.values())}, done)
            case Scored(cell, done, metric, float(value)):
                self._of(cell, done).log_metrics({metric.key: value}, done)
            case Ended(cell, state, _) if (logger := self._open.pop(cell.id, None)) is not None:
                logger.finalize("success" if state == "done" else "failed")


class WandbLogger(Logger):
    """One Weights & Biases run for one cell; Fabric has no logger for it.

    Several are open at once, since a group's cells train together. Neither the terminal's output nor code nor figures
    of the machine are sent.

    Args:
        folder: where files go; a folder ``wandb`` is made in it.
        project: name of the project.
        cell: what trains.
    """

    def __init__(self, folder: Path, project: str, cell: Cell) -> None:
        import wandb

        self._name = cell.id
        self._run = wandb.init(
            project=project,
            dir=str(folder),
            id=cell.key[:32],
            name=cell.id,
            group=f"{cell.dataset.name} {cell.student.name}",
            tags=[cell.method.name[:64], f"seed {cell.seed}"],
            config=cell.record(),
            resume="allow" if _online() else None,
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True, disable_git=True, disable_code=True,
                                    x_disable_stats=True, x_disable_machine_info=True),
        )  # fmt: skip
        # a metric of our own as the axis: W&B drops points below the last step, which a resumed cell has
        self._run.define_metric("iteration")
        self._run.define_metric("*", step_metric="iteration")

    @property
    def name(self) -> str:
        """The cell's id."""
        return self._name

    @property
    def version(self) -> str:
        """The id of the W&B run."""
        return str(self._run.id)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log values of an iteration."""
        self._run.log({**metrics, "iteration": step})

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Add to the run's configuration."""
        self._run.config.update(params)

    def finalize(self, status: str) -> None:
        """End the run."""
        self._run.finish(exit_code=0 if status == "success" else 1)


def _online() -> bool:
    import wandb

    return wandb.setup().settings.mode not in NOT_ONLINE


def _tensorboard(run_folder: Path) -> CellLogger:
    """Write ``tensorboard/<cell id>/``; points of a resumed cell beyond its checkpoint are replaced."""

    def make(cell: Cell, iteration: int) -> Logger:
        root = run_folder / "tensorboard"
        logger: Logger = TensorBoardLogger(root, name="", version=cell.id, purge_step=iteration)
        return logger

    return CellLogger("logger tensorboard", make)


def _wandb(run_folder: Path) -> CellLogger:
    """Write ``wandb/`` and send it, unless W&B is told to stay offline; the project is the run's name."""
    try:
        import wandb

        if _online():
            wandb.login()
    except Exception as error:  # noqa: BLE001 - no key, no terminal to ask for one, no connection: all the user's
        why = one_line(str(error), 300).rstrip(".")
        raise BenchError(
            f"--logger wandb: {why}. Log in with 'wandb login', or set WANDB_MODE=offline and upload later with "
            "'wandb sync'."
        ) from None
    project = "bench-" + run_folder.name
    return CellLogger("logger wandb", lambda cell, iteration: WandbLogger(run_folder, project, cell))


LOGGERS: Mapping[str, tuple[str, Callable[[Path], CellLogger]]] = {
    "tensorboard": ("tensorboard", _tensorboard),
    "wandb": ("wandb", _wandb),
}
"""Package that a logger needs, and what makes it for a run folder; by the name that ``--logger`` takes."""


def make_loggers(names: Sequence[str], run_folder: Path) -> list[CellLogger]:
    """Return loggers by name, before anything trains.

    Args:
        names: of :data:`LOGGERS`; the same name twice is one logger.
        run_folder: where their files go.

    Raises:
        BenchError: a name is unknown, its package is missing, or it refuses to work.
    """
    wanted = list(dict.fromkeys(names))
    problems = [f"--logger: {unknown('logger', name, LOGGERS)}" for name in wanted if name not in LOGGERS]
    problems += [
        f"--logger {name} needs a package that is not installed: {install_hint('loggers')}"
        for name in wanted
        if name in LOGGERS and importlib.util.find_spec(LOGGERS[name][0]) is None
    ]
    if problems:
        raise BenchError(*problems)
    return [LOGGERS[name][1](run_folder) for name in wanted]
