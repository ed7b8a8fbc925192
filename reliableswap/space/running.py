"""Jobs that can be cancelled, one per browser tab."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class RunningJobs:
    """The running jobs of all tabs. A tab is identified by its session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, threading.Event] = {}

    @contextlib.contextmanager
    def job(self, session: str) -> Iterator[threading.Event]:
        """Begin a job, and yield the event that is set when it is cancelled."""
        cancelled = threading.Event()
        with self._lock:
            self._jobs[session] = cancelled
        try:
            yield cancelled
        finally:
            with self._lock:
                if self._jobs.get(session) is cancelled:
                    del self._jobs[session]

    def cancel(self, session: str) -> None:
        """Cancel the tab's job, if there is one; it ends after its current frame."""
        with self._lock:
            cancelled = self._jobs.get(session)
        if cancelled is not None:
            cancelled.set()
