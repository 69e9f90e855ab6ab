"""The errors a user can cause. Each says in one sentence what happened and what to do."""

from __future__ import annotations

import errno
from pathlib import Path


class UserError(Exception):
    """A mistake or a missing condition on the user's side: one sentence, exit code 2, no stack trace.

    Attributes:
        details: lines that a person should see before the sentence.
    """

    details: tuple[str, ...] = ()


class BadInputError(UserError):
    """An input file that cannot be taken as an event log."""


class UnusableFileError(UserError):
    """A path that cannot be read or written."""


class DiskFullError(UserError):
    """The device that holds the root has no room left."""

    def __init__(self, where: object) -> None:
        super().__init__(
            f"No space left while writing under {where}: free some space there or choose another --root, "
            "then run the same command again; what was there before is unchanged."
        )


class NotWritableError(UserError):
    """The root may not be written by this user."""

    def __init__(self, where: object) -> None:
        super().__init__(
            f"No permission to write under {where}: choose another --root or change the folder's owner or mode."
        )


class InUseError(UserError):
    """Windows lets nobody replace, rename or remove what a program has open, and says the same of missing rights."""

    def __init__(self, where: object) -> None:
        super().__init__(
            f"Windows does not let {where} be changed: close the program that has it open, or see to your rights "
            "there, then run the same command again."
        )


class MissingTableError(UserError):
    """A table that an earlier command should have written is not there."""

    def __init__(self, table: str, command: str) -> None:
        super().__init__(f"There is no table {table} yet: run `shopstream {command}` first (with the same --root).")


class TooFewToTuneError(UserError):
    """Parameters cannot be tuned on so little."""

    def __init__(self, users: int, held: int) -> None:
        super().__init__(
            f"Too few users to tune on: it takes {users:,}, and SHOPSTREAM_VALIDATION_USERS of at least {held}; "
            "load more events, or train without --tune."
        )


class MissingModelError(UserError):
    """No complete version of a model exists."""

    def __init__(self, model: str, version: str | None = None) -> None:
        wanted = f"model {model}" if version is None else f"version {version} of model {model}"
        super().__init__(f"There is no complete {wanted}: see `shopstream models list`, or run `shopstream train`.")


class ReplacedTableError(UserError):
    """Another command published a table anew while this one was reading it."""

    def __init__(self, where: object) -> None:
        super().__init__(
            f"A table under {where} was replaced by another command while it was read: run the command again."
        )


class BusyRootError(UserError):
    """Another process is writing the same tables."""

    def __init__(self, tables: str, writer: object) -> None:
        super().__init__(f"Process {writer} is writing {tables}: wait until it ends, then run the command again.")


class HdfsUnreachableError(UserError):
    """The NameNode does not answer, or not in time."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"HDFS does not answer at {url} ({reason.splitlines()[0][:200]}): see `shopstream cluster status`, "
            "and that --webhdfs or SHOPSTREAM_WEBHDFS is the NameNode's HTTP address."
        )


class LostClaimError(UserError):
    """A job was out of touch with HDFS for so long that others took it for dead."""

    def __init__(self, tables: str) -> None:
        super().__init__(
            f"This job was out of touch with HDFS for too long and lost its claim on {tables}: nothing was replaced; "
            "run the command again."
        )


class SparkMissingError(UserError):
    """Work was to run on Spark, and the package pyspark is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "Spark is not installed here: run `make setup SPARK=1` or `pip install 'shopstream[spark]'`, "
            "or leave out --engine spark and --master for work on this machine."
        )


class JavaMissingError(UserError):
    """No Java that Spark can run on."""


class SparkNotStartedError(UserError):
    """The JVM or the Spark context refused what it was told."""

    def __init__(self) -> None:
        super().__init__(
            "Spark did not start (what Java says of it stands above): check --master, and that the heap in "
            "SHOPSTREAM_DRIVER_MEMORY is a size such as 4g that this machine has free, and SPARK_SUBMIT_OPTS where it "
            "is set."
        )


class BalanceError(UserError):
    """Two counts that must agree do not."""


class NothingToDoError(UserError):
    """The chosen dates or files hold no data."""


class NothingCleanError(NothingToDoError):
    """Lines were landed and cleaned, and every one is in quarantine."""

    def __init__(self, dates: str | None = None, details: tuple[str, ...] = ()) -> None:
        of = f" of {dates}" if dates else ""
        super().__init__(
            f"No event{of} survived cleaning: `shopstream quarantine` shows the lines; take their file out with "
            "`shopstream unload FILE`, correct it, and load it again."
        )
        self.details = details


class NothingToLearnError(NothingToDoError):
    """Interactions that ALS can learn nothing from."""

    def __init__(self) -> None:
        super().__init__("No user shows interest in any product, so there is nothing to learn: load more events.")


# the ways in which Spark and DuckDB say that a file which had been listed is gone
_FILE_GONE = (
    "FAILED_READ_FILE.FILE_NOT_EXIST",
    "java.io.FileNotFoundException",
    "java.nio.file.NoSuchFileException",
    "IO Error: No files found that match the pattern",
    "IO Error: Cannot open file",
)


# Windows' access denied, sharing violation, lock violation
_IN_USE = (5, 32, 33)


def from_os_error(error: OSError, where: object) -> UserError | None:
    """Names the user's mistake behind an operating-system error.

    Args:
        error: what the operating system said.
        where: the folder that was being written, for the sentence.

    Returns:
        The matching user error, or None when the error is not one a user can cause.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(where)
    if getattr(error, "winerror", None) in _IN_USE:
        return InUseError(error.filename or where)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NotWritableError(error.filename or where)
    if error.errno == errno.ENOENT and ".parquet" in str(error):
        return ReplacedTableError(where)
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ):
        return UnusableFileError(f"{error.filename or where} is no name for this file system: choose another --root.")
    if error.errno == errno.ENOTDIR:
        path = Path(error.filename or str(where))
        file = next((part for part in (path, *path.parents) if part.is_file()), path)
        return UnusableFileError(f"{file} is a file where a folder is needed: choose another --root.")
    return None


def is_engine_error(error: BaseException) -> bool:
    """Says whether an error comes from DuckDB, or Spark or its JVM, which this process may never have loaded."""
    packages = {one.__module__.partition(".")[0] for one in type(error).__mro__}
    return not packages.isdisjoint({"duckdb", "_duckdb", "pyspark", "py4j"})


class OutOfMemoryError(UserError):
    """A query that does not fit what it may take, and cannot be spilled."""

    def __init__(self) -> None:
        super().__init__(
            "A query does not fit the memory that it may take: give it more, for example SHOPSTREAM_MEMORY=8g."
        )


def from_engine_error(text: str, where: object) -> UserError | None:
    """Names the user's mistake behind an error that came out of DuckDB or the JVM.

    Args:
        text: the error's message, of a Java exception with its causes.
        where: the root that was being read or written.

    Returns:
        The matching user error, or None when it is a fault of the program or the cluster.
    """
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return DiskFullError(where)
    if "Permission denied" in text or "AccessControlException" in text or "Mkdirs failed" in text:
        return NotWritableError(where)
    if "JAVA_GATEWAY_EXITED" in text or "Could not parse Master URL" in text or "Asked to run locally with" in text:
        return SparkNotStartedError()
    if text.startswith("Out of Memory Error"):
        return OutOfMemoryError()
    if any(absent in text for absent in _FILE_GONE):
        return ReplacedTableError(where)
    return None


def readable_file(path: Path) -> None:
    """Checks that a path is a file this user can read.

    Raises:
        UnusableFileError: naming the path and what to give instead.
    """
    if path.is_dir():
        raise UnusableFileError(f"{path} is a folder: name the CSV files in it, for example {path / '*.csv'}.")
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise UnusableFileError(f"There is no file {path}: check the name.") from None
    except OSError as error:
        raise UnusableFileError(f"{path} cannot be read ({error.strerror}): check its owner and mode.") from None
