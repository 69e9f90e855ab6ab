"""`shopstream simulate --stream`: the stream as a process beside the replay, ended when it has applied everything."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import IO

from rich.markup import escape

from spark_apps.errors import UserError
from spark_apps.jobs.simulate.rate_limit import Backlog
from spark_apps.platform.signals import Wait
from spark_apps.progress import console
from spark_apps.storage import StoragePath

_LOOK_AGAIN_SECONDS = 0.5


class StreamProcess:
    """`shopstream stream` in a process of its own; what it says appears on standard error."""

    def __init__(self, root: StoragePath, options: Sequence[str] = ()) -> None:
        """Names the root and further options of the command."""
        self._root, self._command = root, [sys.executable, "-m", "spark_apps", "stream", "--root", str(root), *options]
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []

    def __enter__(self) -> StreamProcess:
        pipe = subprocess.PIPE
        spoken = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        self._process = subprocess.Popen(
            self._command, stdout=pipe, stderr=pipe, env=spoken, encoding="utf-8", errors="replace"
        )
        for source in (self._process.stdout, self._process.stderr):
            assert source is not None
            self._readers.append(threading.Thread(target=_tell, args=(source,), daemon=True))
            self._readers[-1].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def wait(self, asked: Wait) -> Wait:
        """Returns what waits for the replay: it ends, too, when the stream has ended."""
        return lambda seconds: not self._alive() or asked(seconds)

    def finish(self, asked: Wait) -> None:
        """Waits until every dropped file is applied, or it is asked to end, and ends the stream.

        Raises:
            UserError: when the stream ended in failure.
        """
        wait, backlog = self.wait(asked), Backlog(self._root)
        while backlog.count(0) and not wait(_LOOK_AGAIN_SECONDS):
            pass
        code = self._end()
        if code:
            raise UserError(
                f"The stream ended with exit code {code}, see above: run `shopstream stream` again, it goes on where "
                "it was."
            )

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _end(self) -> int:
        assert self._process is not None
        ended_here = self._alive()
        if ended_here:
            self._process.terminate()  # it finishes its batch; on Windows the next stream begins it anew
        code = self._process.wait()
        for reader in self._readers:
            reader.join()
        return 0 if ended_here and sys.platform == "win32" else code


def _tell(lines: IO[str]) -> None:
    with lines:
        for line in lines:
            console.print(escape(line.rstrip()), soft_wrap=True)
