"""The work folder beside a clip that is being made. It keeps what is finished, so that a run can resume."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from reliableswap.errors import ClipError
from reliableswap.media.atomic import atomic_file
from reliableswap.media.video.library import clip_errors

logger = logging.getLogger(__name__)

SUFFIX = ".parts"
_JOB, _KEPT, _LOCK = "job.json", "kept.json", "lock"
_CURRENT = "current-"


class WorkFolder:
    """OUT.parts: job.json (what is being made), the faces, the frame times, and each segment with its facts.

    Use it in a `with` statement: it is locked against other processes. Nodes that make segments for its holder need no
    lock.
    """

    def __init__(self, output: Path) -> None:
        self.output, self.path = output, output.with_name(output.name + SUFFIX)
        if self.path.exists() and not self.path.is_dir():
            raise ClipError(f"{self.path.name} is a file, but the work folder needs this name; move it away")
        self._lock: int | None = None
        self._current = (
            f"{_CURRENT}{secrets.token_hex(4)}.mkv"  # this process's own, as nodes may make a segment too
        )

    @property
    def faces(self) -> Path:
        return self.path / "faces.npz"

    @property
    def times(self) -> Path:
        return self.path / "times.npz"

    @property
    def joined(self) -> Path:
        return self.path / f"joined{self.output.suffix}"

    @property
    def current(self) -> Path:
        """The segment that is being made, before it gets its number; after an interrupt, the part that was made."""
        return self.path / self._current

    def segment(self, number: int) -> Path:
        """The file of a finished segment."""
        return self.path / f"{number:06d}.mkv"

    def facts(self, number: int) -> dict[str, Any] | None:
        """Read what `keep_facts` wrote about a segment; return None if it is not finished."""
        if not self.segment(number).is_file():
            return None
        found: dict[str, Any] | None = self._read(f"{number:06d}.json")
        return found

    def keep_facts(self, number: int, facts: Mapping[str, Any]) -> None:
        """Write a segment's facts. Call it before the segment gets its name, so that no segment lacks them."""
        self._write(f"{number:06d}.json", facts)

    def __enter__(self) -> WorkFolder:
        with clip_errors(self.path.name, "created"):
            self.path.mkdir(exist_ok=True)
        self._lock = _locked(self.path / _LOCK, self.output.name)
        for draft in (*self.path.glob(".reliableswap-*.tmp"), *self.path.glob(f"{_CURRENT}*")):
            draft.unlink()  # of a killed run
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self.path.is_dir() and {entry.name for entry in self.path.iterdir()} <= {_LOCK}:
            self.remove()

    def begin(self, job: Mapping[str, Any], identity: Mapping[str, Any], *, fresh: bool) -> dict[str, Any]:
        """Start a job, or resume the same one; return its `new` facts, which a job keeps from its first run.

        Another job's finished segments are an error, unless `fresh` throws them away.
        """
        job = json.loads(json.dumps(job))  # with the types that it has when read back
        known = self._read(_JOB)
        if known is not None and not fresh:
            before = known.get("job", {})
            if before == job:
                logger.info("resuming %s", self.path.name)
                kept: dict[str, Any] = known["new"]
                return kept
            if any(self.path.glob("[0-9]*.mkv")):
                differing = sorted(name for name in {*job, *before} if job.get(name) != before.get(name))
                raise ClipError(
                    f"{self.path.name} holds a run with different settings ({', '.join(differing)}); give the same "
                    "settings to resume it, or start over with fresh=True (--fresh)"
                )
        self._empty()
        self._write(_JOB, {"job": job, "new": identity})
        return dict(identity)

    def update_identity(self, job: Mapping[str, Any], identity: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the `new` facts that `begin` stored for a job, and return them."""
        self._write(_JOB, {"job": job, "new": identity})
        return dict(identity)

    def is_for(self, job: Mapping[str, Any]) -> bool:
        """Whether the job was begun in this folder."""
        known = self._read(_JOB)
        return known is not None and known.get("job") == json.loads(json.dumps(job))

    def note_kept(self) -> None:
        """Record that the output is an interrupted run's, which the next run may replace."""
        state = self.output.stat()
        self._write(_KEPT, {"size": state.st_size, "time": state.st_mtime_ns})

    def may_replace(self) -> bool:
        """Whether the output is what an interrupted run of this job left, unchanged."""
        known = self._read(_KEPT)
        if known is None or not self.output.is_file():
            return False
        state = self.output.stat()
        return bool(known == {"size": state.st_size, "time": state.st_mtime_ns})

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _empty(self) -> None:
        for entry in self.path.iterdir():
            if entry.name not in (_LOCK, _KEPT, self.faces.name, self.times.name):  # checked before reuse
                entry.unlink()

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ClipError(
                f"{self.path.name}/{name} is damaged ({error}); delete {self.path.name} and run again"
            ) from error
        return found

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        with clip_errors(self.path.name, "written"), atomic_file(self.path / name, overwrite=True) as stream:
            stream.write(json.dumps(content, indent=1).encode())


def _locked(path: Path, name: str) -> int:
    """Open and lock a file; the lock ends with the process, however it ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    with suppress(ImportError):  # Windows has no fcntl; there, two runs at once are not noticed
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise ClipError(f"{name} is being made by another process; wait for it") from error
    return handle
