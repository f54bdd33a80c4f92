"""The line of Python that saves the tensors of a checkpoint alone."""

from __future__ import annotations

import shlex
from pathlib import Path


def saving_line(
    path: Path, keys: tuple[str, ...] = (), *, module: bool = False, data: bool = False, bare: bool = False
) -> str:
    """Return a command that saves a state dict of a checkpoint to a file beside it.

    Args:
        path: the checkpoint.
        keys: what leads to the state dict, or to the model that has it.
        module: whether a model stands there.
        data: whether the file opens without running code from it.
        bare: whether it was written by pickle instead of torch.
    """
    suffix = "-".join(("", *("".join(char for char in key if char.isalnum() or char in "_-") for key in keys)))
    target = path.with_name(f"{path.stem}{suffix or '-tensors'}.pth")
    opened = f"torch.load({str(path)!r}, map_location='cpu', weights_only={data})"
    if bare:
        opened = f"pickle.load(open({str(path)!r}, 'rb'))"
    access = "".join(f"[{key!r}]" for key in keys) + (".state_dict()" if module else "")
    return _command(f"torch.save({opened}{access}, {str(target)!r})", "pickle, torch" if bare else "torch")


def program_line(path: Path) -> str:
    """Return a command that saves the state dict of a TorchScript archive to a file beside it."""
    target = path.with_name(f"{path.stem}-tensors.pth")
    return _command(f"torch.save(torch.jit.load({str(path)!r}, map_location='cpu').state_dict(), {str(target)!r})")


def _command(code: str, modules: str = "torch") -> str:
    text = f"import {modules}; {code}"
    return f"python -c {shlex.quote(text)}" if set(text) & set('"$`\\!') else f'python -c "{text}"'
