"""The calls to the hub, and its refusals in words for people."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, constants, errors, get_token, hf_hub_download

from pivm.errors import HubUnreachableError, PivmError, disk_error, first_line

#: statuses of a server that is there and cannot serve for now
_BUSY = (429, 500, 502, 503, 504)
_TOKEN_HELP = "set HF_TOKEN, or log in once with `hf auth login`"
#: what huggingface_hub raises, beside errors of programming
_RAISED = (
    *(OSError, RuntimeError, ValueError, LookupError, TypeError),
    *(httpx2.HTTPError, httpx2.InvalidURL, errors.XetDownloadError),
)


class Snapshot(NamedTuple):
    """A revision of a repository.

    Attributes:
        repository: owner and name.
        commit: its hash.
        files: names of all files.
        sha256: of the large ones, as the hub states them.
    """

    repository: str
    commit: str
    files: tuple[str, ...]
    sha256: dict[str, str]


def endpoint() -> str:
    """The server: that of ``HF_ENDPOINT``, else the hub."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def require_token() -> None:
    """Raises PivmError where no token is at hand."""
    if not get_token():
        raise PivmError(f"no token for {endpoint()}: {_TOKEN_HELP}; it needs the right to write")


def publish(
    files: Mapping[str, bytes | Path], repository: str, private: bool, revision: str | None, message: str
) -> dict[str, Any]:
    """Make the repository where it is missing, and commit files to it, all or none.

    Args:
        files: name -> content or file.
        repository: owner and name; a name alone is of the owner of the token.
        private: only its owners may see it.
        revision: branch, made where it is missing; ``None`` for the main one.
        message: of the commit.

    Returns:
        ``repository``, ``commit`` and ``url``.

    Raises:
        HubUnreachableError: the hub does not answer.
        PivmError: it refuses; or the repository is public and ``private`` was asked for.
    """
    require_token()
    api = HfApi(endpoint=endpoint(), library_name="pivm")
    with _in_words(repository, revision):
        repository = api.create_repo(repository, private=private or None, exist_ok=True).repo_id
        # the hub ignores the visibility that is asked for where the repository is there already
        if private and not api.model_info(repository).private:
            raise PivmError(f"{repository}: is there already and is public; make it private there, or name another")
        if revision:
            api.create_branch(repository, branch=revision, exist_ok=True)
        parts = [CommitOperationAdd(name, one if isinstance(one, bytes) else str(one)) for name, one in files.items()]
        commit = api.create_commit(repository, parts, commit_message=message, revision=revision)
    return {"repository": repository, "commit": commit.oid, "url": str(commit.commit_url)}


def find_snapshot(repository: str, revision: str | None) -> Snapshot:
    """What a repository holds.

    Args:
        repository: owner and name.
        revision: branch, tag or commit; ``None`` for the main branch.

    Raises:
        HubUnreachableError: the hub does not answer.
        PivmError: no such repository or revision, or it may not be read with this token.
    """
    with _in_words(repository, revision):
        info = HfApi(endpoint=endpoint(), library_name="pivm").model_info(
            repository, revision=revision, files_metadata=True
        )
    files = info.siblings or []
    hashes = {file.rfilename: file.lfs.sha256 for file in files if file.lfs}
    if not info.sha:
        raise PivmError(f"{repository}: {endpoint()} names no commit, so it is no hub; check HF_ENDPOINT")
    return Snapshot(repository, info.sha, tuple(file.rfilename for file in files), hashes)


def download(snapshot: Snapshot, names: tuple[str, ...], folder: Path) -> None:
    """Fetch files of a snapshot; one that was cut off is taken up where it ended.

    Args:
        snapshot: of :func:`find_snapshot`.
        names: of the files.
        folder: receives them, made where it is missing.

    Raises:
        HubUnreachableError: the hub does not answer.
        PivmError: it refuses, or the folder cannot be written.
    """
    with _in_words(snapshot.repository, snapshot.commit, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            hf_hub_download(
                *(snapshot.repository, name),
                revision=snapshot.commit,
                local_dir=folder,
                endpoint=endpoint(),
                library_name="pivm",
            )


@contextlib.contextmanager
def _in_words(repository: str, revision: str | None, folder: Path | None = None) -> Iterator[None]:
    """Turn what huggingface_hub, HTTP, Xet and the disk raise into one message each."""
    try:
        yield
    except PivmError:
        raise
    except _RAISED as error:
        raise _said(_cause(error), repository, revision, folder) from None


def _cause(error: Exception) -> Exception:
    """What a wrapper of huggingface_hub was raised from: it says what went wrong."""
    wraps = isinstance(error, errors.LocalEntryNotFoundError) or type(error) is RuntimeError
    return _cause(error.__cause__) if wraps and isinstance(error.__cause__, Exception) else error


def _said(error: Exception, repository: str, revision: str | None, folder: Path | None) -> PivmError:
    server = endpoint()
    if isinstance(error, errors.HfHubHTTPError):
        return _refused(error, repository, revision)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubUnreachableError(f"{server}: HF_HUB_OFFLINE is set, which forbids all calls; unset it")
    if known := disk_error(error):
        return _not_written(error, known, folder or repository)
    # hf_xet names no kinds of its own
    if isinstance(error, RuntimeError | errors.XetDownloadError) or "/xet-" in str(error):
        return HubUnreachableError(
            f"{server}: the transfer failed ({first_line(error)}); run again, with HF_HUB_DISABLE_XET=1 where the "
            "server has no Xet storage"
        )
    if isinstance(error, httpx2.TransportError | httpx2.InvalidURL | ConnectionError | TimeoutError):
        return HubUnreachableError(
            f"{server}: cannot be reached ({first_line(error) or type(error).__name__}); check the network, the proxy "
            "and HF_ENDPOINT, and run again"
        )
    if isinstance(error, errors.FileMetadataError | errors.LocalEntryNotFoundError):
        return PivmError(f"{server}: does not answer as a hub does ({first_line(error)}); check HF_ENDPOINT")
    if isinstance(error, errors.HFValidationError):
        return PivmError(f"{repository}: no name of a repository, expected owner/name ({first_line(error)})")
    if isinstance(error, OSError):
        return _not_written(error, error, folder or repository)
    text = " ".join(str(error).split())
    if "Invalid metadata" in text:
        return PivmError(f"{repository}: the hub does not take the card: {text}")
    return PivmError(f"{server}: does not answer as a hub does ({type(error).__name__}: {text}); check HF_ENDPOINT")


def _not_written(error: Exception, known: OSError, place: Path | str) -> PivmError:
    where = getattr(error, "filename", None) or place
    return PivmError(f"{where}: cannot be written: {known.strerror or known}; free some space or name another folder")


def _refused(error: errors.HfHubHTTPError, repository: str, revision: str | None) -> PivmError:
    status, server = error.response.status_code, endpoint()
    reason = " ".join((error.server_message or error.response.reason_phrase).split())
    if isinstance(error, errors.RevisionNotFoundError):
        return PivmError(f"{repository}: no revision {revision!r}, expected a branch, a tag or a commit of it")
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return PivmError(f"{repository}: {first_line(error)}: a file is gone from {revision}; run again")
    if isinstance(error, errors.GatedRepoError):
        return PivmError(f"{repository}: its owner grants access one by one; ask for it at {server}, and {_TOKEN_HELP}")
    known = bool(get_token())
    if isinstance(error, errors.RepositoryNotFoundError):
        hint = "or this token may not see it" if known else f"or it is private: {_TOKEN_HELP}"
        return PivmError(f"{repository}: no such repository at {server}, {hint}")
    if status == 401:
        return PivmError(
            f"{repository}: {server} does not take the token ({reason}); make a new one, and {_TOKEN_HELP}"
        )
    if status == 403:
        return PivmError(f"{repository}: this token may not do that ({reason}); it needs the right to write there")
    if status in _BUSY:
        return HubUnreachableError(f"{server}: cannot serve for now ({status} {reason}); run again later")
    return PivmError(f"{repository}: {server} refused ({status} {reason})")
