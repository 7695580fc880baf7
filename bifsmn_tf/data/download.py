"""Fetches the official Speech Commands archives.

A broken download goes on where it stopped. Nothing is unpacked before its SHA-256 agrees, and
nothing appears under its final name before it is complete.
"""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from bifsmn_tf.data import progress

_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Archive:
    """A published archive.

    Attributes:
        url: Where it lies.
        sha256: Its checksum, in hexadecimal.
        size: Its length in bytes.
    """

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The archive's file name."""
        return self.url.rpartition("/")[2]


_BASE = "http://download.tensorflow.org/data/"
ARCHIVES = {
    "v0.01": Archive(
        _BASE + "speech_commands_v0.01.tar.gz",
        "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
        1_489_096_277,
    ),
    "v0.02": Archive(
        _BASE + "speech_commands_v0.02.tar.gz",
        "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        2_428_923_189,
    ),
}


class DownloadError(RuntimeError):
    """The archive could not be fetched, or is not what it should be."""


def download(
    version: str = "v0.02",
    root="speech_commands",
    archive: Archive | None = None,
    keep_archive: bool = False,
    timeout: float = 30.0,
) -> Path:
    """Downloads and unpacks Speech Commands.

    Args:
        version: `"v0.02"` (105,829 recordings, 2.4 GB to fetch) or `"v0.01"` (64,721, 1.5 GB).
        root: Folder for the data; made if missing. The recordings come to lie in
            `<root>/speech_commands_<version>/`.
        archive: Fetch this archive instead of the official one, for example from a mirror.
        keep_archive: Keep the .tar.gz after unpacking.
        timeout: Seconds without an answer after which a connection counts as broken.

    Returns:
        The folder of the recordings. If it is there already, nothing is fetched.

    Raises:
        DownloadError: If the server cannot be reached, or the archive has another size or
            checksum than it should, or would write outside its folder.
        ValueError: If the version is not known.
    """
    if version not in ARCHIVES:
        raise ValueError(
            f"`version` must be one of {', '.join(ARCHIVES)}. Received: version={version!r}"
        )
    archive = archive or ARCHIVES[version]
    root = Path(root)
    folder = root / f"speech_commands_{version}"
    if folder.is_dir():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    target = root / archive.name
    if not target.is_file():
        part = target.with_name(target.name + ".part")
        _fetch(archive, part, target, timeout)
        _verify(archive, part)
        os.replace(part, target)
    else:
        _verify(archive, target)
    extract(target, folder)
    if not keep_archive:
        target.unlink()
    return folder


def _fetch(archive: Archive, part: Path, target: Path, timeout: float) -> None:
    """Brings `part` to the archive's full length, going on from what is there."""
    done = part.stat().st_size if part.exists() else 0
    if done > archive.size:
        part.unlink()
        done = 0
    if done == archive.size:
        return
    headers = {"User-Agent": "bifsmn_tf", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    try:
        request = urllib.request.Request(archive.url, headers=headers)
        with urllib.request.urlopen(request, timeout=timeout) as response:
            expected = f"bytes {done}-"
            if done and (
                response.status != 206
                or not response.headers.get("Content-Range", "").startswith(expected)
            ):
                done = 0  # the server sends everything from the start
            with (
                open(part, "ab" if done else "wb") as file,
                progress.ByteProgress(archive.size, done, archive.name) as bar,
            ):
                while done <= archive.size and (chunk := response.read(_CHUNK)):
                    file.write(chunk)
                    done += len(chunk)
                    bar.update(len(chunk))
    except (OSError, http.client.HTTPException, urllib.error.URLError) as error:
        raise DownloadError(
            f"Could not download {archive.url}: {error}. What arrived is kept in {part} and the "
            "next try goes on from there. Without a network, fetch that address by another "
            f"machine, put the file at {target} and run the same command again; or unpack it "
            "yourself and pass the folder of the recordings as the data set."
        ) from error
    if done < archive.size:
        raise DownloadError(
            f"The connection to {archive.url} ended early. Expected: {archive.size} bytes. "
            f"Received: {done} bytes, kept in {part}; run the same command again to go on"
        )


def _verify(archive: Archive, path: Path) -> None:
    size = path.stat().st_size
    digest = None
    if size == archive.size:
        sha256 = hashlib.sha256()
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                sha256.update(chunk)
        digest = sha256.hexdigest()
    if digest != archive.sha256.lower():
        # Only what was fetched here is removed: a file the user put there is the user's.
        fetched = path.suffix == ".part"
        if fetched:
            path.unlink()
        raise DownloadError(
            f"{path} is not the archive of {archive.url}"
            f"{' and was removed' if fetched else ': remove it and try again'}. "
            f"Expected: {archive.size} bytes, SHA-256 {archive.sha256}. "
            f"Received: {size} bytes" + (f", SHA-256 {digest}" if digest else "")
        )


def extract(archive, folder) -> None:
    """Unpacks a .tar.gz of files and folders.

    Args:
        archive: The archive.
        folder: Where to; must not exist. It appears when everything is unpacked.

    Raises:
        DownloadError: If the archive is damaged, or a member lies outside the folder or is
            neither a file nor a folder. Nothing is left behind.
    """
    archive, folder = Path(archive), Path(folder)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        base = temporary.resolve()
        with (
            tarfile.open(archive, "r:*") as tar,
            progress.ByteProgress(None, 0, f"Unpacking {archive.name}") as bar,
        ):
            for member in tar:
                target = (base / member.name).resolve()
                if not (target.is_relative_to(base) and (member.isfile() or member.isdir())):
                    raise DownloadError(
                        f"{archive} has a member that is not a plain file or folder within it. "
                        f"Received: {member.name!r}"
                    )
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                # Plain files with default permissions: owners and modes are of no use here.
                with tar.extractfile(member) as source, open(target, "wb") as sink:
                    shutil.copyfileobj(source, sink, _CHUNK)
                bar.update(member.size)
        temporary.chmod(0o755)
        os.replace(temporary, folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DownloadError(f"Could not unpack {archive} to {folder}. Received: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
