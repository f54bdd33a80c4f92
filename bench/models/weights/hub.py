"""Files of the Hugging Face hub: its own client fetches them and keeps them in its own cache (``HF_HOME``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from bench.base.download import DownloadFailed, one_line

_ADDRESS = re.compile(
    r"https://huggingface\.co/(?!datasets/|spaces/)((?:[\w.-]+/)?[\w.-]+)/resolve/([^/?#]+)/([^?#]+)(?:\?download=true)?"
)


@dataclass(frozen=True)
class HubFile:
    """A file in a repository of models.

    Attributes:
        repository: ``OWNER/NAME``.
        file: its path in the repository.
        revision: a branch, a tag or a commit.
    """

    repository: str
    file: str
    revision: str = "main"

    @classmethod
    def at(cls, url: str) -> HubFile | None:
        """Return the file that stands at an address; None where that is not the hub's or no file of a model."""
        found = _ADDRESS.fullmatch(url)
        if found is None or not (_is_plain(unquote(found[2])) and _is_plain(unquote(found[3]))):
            return None

        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id

        try:
            validate_repo_id(found[1])
        except HFValidationError:
            return None
        return cls(found[1], unquote(found[3]), unquote(found[2]))

    @property
    def url(self) -> str:
        """The address of the file."""
        return f"https://huggingface.co/{self.repository}/resolve/{self.revision}/{self.file}"

    def cached(self) -> Path | None:
        """Return where the file is on this machine, None where it is not; the network is not asked."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.repository, self.file, revision=self.revision)
        return Path(found) if isinstance(found, str) else None

    def fetch(self) -> None:
        """Download the file into the hub's cache.

        Raises:
            DownloadFailed: it cannot be had.
        """
        from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
        from huggingface_hub.utils import disable_progress_bars

        if constants.HF_HUB_OFFLINE:
            raise DownloadFailed("HF_HUB_OFFLINE is set")
        disable_progress_bars()
        try:
            # A question for its own sake: the download would ask a hub that is out of reach for half a minute.
            get_hf_file_metadata(hf_hub_url(self.repository, self.file, revision=self.revision))
            hf_hub_download(self.repository, self.file, revision=self.revision)
        except Exception as error:  # those of the client, of its HTTP library and of the disk have no common class
            raise DownloadFailed(self._reason(error)) from error

    def _reason(self, error: Exception) -> str:
        """Return why the file cannot be had, in one line."""
        from huggingface_hub import errors

        if isinstance(error, errors.GatedRepoError):
            return f"its owner grants access at https://huggingface.co/{self.repository}; then run `hf auth login`"
        if isinstance(error, errors.RepositoryNotFoundError):
            return f"the hub has no {self.repository} for you; where it is private, run `hf auth login`"
        if isinstance(error, errors.RevisionNotFoundError):
            return f"{self.repository} has no revision {self.revision}"
        if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
            return f"{self.repository} has no file {self.file}"
        return one_line(error if isinstance(error, errors.HfHubHTTPError) else _origin(error))


def _is_plain(path: str) -> bool:
    """Tell whether a revision or a file, both of which become paths in the client's cache, leads only further down."""
    parts = path.split("/")
    return path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(parts)


def _origin(error: BaseException) -> BaseException:
    """Return what an error came of: an HTTP library wraps the refusal of a connection many times."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error
