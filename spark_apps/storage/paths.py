"""A path on HDFS that behaves like a pathlib path, as far as shopstream uses one."""

from __future__ import annotations

import errno
import getpass
import io
import os
import re
import stat as modes
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any, Literal, Union
from urllib.parse import urlsplit

from hdfs import HdfsError

from spark_apps.errors import UserError
from spark_apps.platform import webhdfs

SCHEME = "hdfs"
DEFAULT_WEBHDFS_PORT = 9870
# What an open file gathers before it is appended: 64 of them, the most that a load keeps open, take 512 MiB.
APPEND_BYTES = 8 << 20
READ_BYTES = 1 << 20
_OS_ERRORS = {
    "FileNotFoundException": errno.ENOENT,
    "FileAlreadyExistsException": errno.EEXIST,
    "AlreadyBeingCreatedException": errno.EEXIST,  # somebody else is just writing it
    "AccessControlException": errno.EACCES,
    "SecurityException": errno.EACCES,
    "ParentNotDirectoryException": errno.ENOTDIR,
    "PathIsNotEmptyDirectoryException": errno.ENOTEMPTY,
    "DSQuotaExceededException": errno.EDQUOT,
    "NSQuotaExceededException": errno.EDQUOT,
    "QuotaByStorageTypeExceededException": errno.EDQUOT,
}
# Windows' patterns and streams, ends of names that it drops, and its devices
_NO_FOLDER = re.compile(r'[<>:"|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$', re.IGNORECASE)


@dataclass(frozen=True)
class HdfsStat:
    """What `HdfsPath.stat` tells, by the names of os.stat_result.

    Attributes:
        st_size: length in bytes.
        st_mtime: last change, seconds since 1970.
        st_mode: type and permission bits.
    """

    st_size: int
    st_mtime: float
    st_mode: int


@dataclass(frozen=True)
class Entry:
    """What stands in a folder.

    Attributes:
        name: as the file system has it; bytes that are no UTF-8 are surrogates.
        kind: a link is what it points to; one that points to nothing is of another kind, as pipes and devices are.
        bytes: of a file.
        modified: last change, seconds since 1970.
    """

    name: str
    kind: Literal["file", "folder", "other"]
    bytes: int
    modified: float


class HdfsPath:
    """One path on HDFS; its string is the URI that Spark reads and writes."""

    def __init__(self, authority: str, path: str | PurePosixPath, connection: webhdfs.WebHdfs) -> None:
        """Names a path.

        Args:
            authority: host and port of the NameNode's RPC, as in the URI.
            path: absolute path.
            connection: WebHDFS client of the same NameNode.
        """
        self._authority, self._path, self.connection = authority, PurePosixPath(path), connection

    def __reduce__(self) -> tuple[Any, ...]:
        """A path travels to Spark's tasks, its connection does not: each process has its own."""
        return _path_here, (self._authority, self.path, self.connection.about)

    def __str__(self) -> str:
        return f"{SCHEME}://{self._authority}{self._path}"

    def __repr__(self) -> str:
        return f"HdfsPath({str(self)!r})"

    def __fspath__(self) -> str:
        raise TypeError(f"{self} is on HDFS: the operating system cannot open it")

    def __truediv__(self, part: str | PurePosixPath) -> HdfsPath:
        return self._at(self._path / part)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HdfsPath) and str(self) == str(other)

    def __lt__(self, other: HdfsPath) -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def path(self) -> str:
        """The path without scheme and authority."""
        return str(self._path)

    @property
    def name(self) -> str:
        """The last part."""
        return self._path.name

    @property
    def suffix(self) -> str:
        """The name's ending, with its dot."""
        return self._path.suffix

    @property
    def parent(self) -> HdfsPath:
        """The folder that this is in."""
        return self._at(self._path.parent)

    @property
    def parents(self) -> list[HdfsPath]:
        """All folders above, the nearest first."""
        return [self._at(path) for path in self._path.parents]

    def relative_to(self, other: StoragePath) -> PurePosixPath:
        """Returns the way from another path of the same HDFS to this one."""
        return self._path.relative_to(_on_hdfs(other)._path)

    def as_posix(self) -> str:
        """Returns the URI."""
        return str(self)

    def with_suffix(self, suffix: str) -> HdfsPath:
        """Returns the path with another ending."""
        return self._at(self._path.with_suffix(suffix))

    def with_name(self, name: str) -> HdfsPath:
        """Returns the path with another name."""
        return self._at(self._path.with_name(name))

    def exists(self) -> bool:
        """Says whether there is anything here."""
        return self._status() is not None

    def is_dir(self) -> bool:
        """Says whether this is a folder."""
        status = self._status()
        return status is not None and status["type"] == "DIRECTORY"

    def is_file(self) -> bool:
        """Says whether this is a file."""
        status = self._status()
        return status is not None and status["type"] == "FILE"

    def stat(self) -> HdfsStat:
        """Returns size, time and mode.

        Raises:
            FileNotFoundError: when there is nothing here.
        """
        return self._stat_of(self._call(lambda: self.connection.status(self.path)))

    @staticmethod
    def _stat_of(status: dict[str, Any]) -> HdfsStat:
        kind = modes.S_IFDIR if status["type"] == "DIRECTORY" else modes.S_IFREG
        return HdfsStat(status["length"], status["modificationTime"] / 1000, kind | int(status["permission"], 8))

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Makes the folder.

        Raises:
            FileExistsError: when it is there and `exist_ok` is false, or a file is in its place.
            FileNotFoundError: when its parent is missing and `parents` is false.
        """
        status = self._status()
        if status is not None and not (exist_ok and status["type"] == "DIRECTORY"):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self))
        if status is not None:
            return
        if not parents and not self.parent.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.parent))
        self._call(lambda: self.connection.makedirs(self.path, permission=f"{mode & 0o755:o}"))

    def iterdir(self) -> Iterator[HdfsPath]:
        """Yields what is in the folder, by name.

        Raises:
            FileNotFoundError: when there is no folder.
        """
        yield from (path for path, _ in self._listing())

    def glob(self, pattern: str) -> Iterator[HdfsPath]:
        """Yields what in this folder has a name like the pattern, which is one part; nothing without a folder."""
        try:
            yield from (path for path in self.iterdir() if fnmatchcase(path.name, pattern))
        except (FileNotFoundError, NotADirectoryError):
            return

    def rglob(self, pattern: str) -> Iterator[HdfsPath]:
        """Yields what below this folder, however deep, has a name like the pattern."""
        for path, status in self._listing():
            if fnmatchcase(path.name, pattern):
                yield path
            if status["type"] == "DIRECTORY":
                yield from path.rglob(pattern)

    def rename(self, target: StoragePath) -> HdfsPath:
        """Moves a file or folder to a place where nothing is.

        Raises:
            FileNotFoundError: when there is nothing here.
            FileExistsError: when there is something at the target.
        """
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        return self._move(_on_hdfs(target), overwrite=False)

    def replace(self, target: StoragePath) -> HdfsPath:
        """Moves a file to a place where a file may be, which it replaces at one moment.

        Raises:
            FileNotFoundError: when there is nothing here.
        """
        return self._move(_on_hdfs(target), overwrite=True)

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes a file.

        Raises:
            FileNotFoundError: when it is not there and `missing_ok` is false.
        """
        removed = self._call(lambda: self.connection.delete(self.path))
        if not removed and not missing_ok:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))

    def remove_tree(self) -> None:
        """Removes a folder with all that is in it; nothing where nothing is."""
        self._call(lambda: self.connection.delete(self.path, recursive=True))

    def read_bytes(self) -> bytes:
        """Returns a file's content."""
        content: bytes = self.read_range(0, None)
        return content

    def read_text(self, encoding: str = "utf-8") -> str:
        """Returns a file's text."""
        return self.read_bytes().decode(encoding)

    def read_range(self, offset: int, length: int | None) -> bytes:
        """Returns some of a file's bytes; to its end where no length is given."""

        def read() -> bytes:
            with self.connection.read(self.path, offset=offset, length=length) as reader:
                content: bytes = reader.read()
                return content

        content: bytes = self._call(read)
        return content

    def write_bytes(self, content: bytes) -> None:
        """Writes a file, in the place of the one that is there."""
        self._call(lambda: self.connection.write(self.path, data=content, overwrite=True))

    def write_text(self, text: str, encoding: str = "utf-8") -> None:
        """Writes a file of text, in the place of the one that is there."""
        self.write_bytes(text.encode(encoding))

    def create(self, content: bytes) -> bool:
        """Writes a file where none is; says whether this call made it."""
        try:
            self._call(lambda: self.connection.write(self.path, data=content, overwrite=False))
        except FileExistsError:
            return self._holds(content)  # an earlier try may have done it although its answer was lost
        return True

    def _holds(self, content: bytes) -> bool:
        try:
            return self.read_bytes() == content
        except FileNotFoundError:
            return False

    def touch_at(self, moment: float) -> None:
        """Sets the time of the last change, in seconds since 1970.

        Raises:
            FileNotFoundError: when there is nothing here.
        """
        self._call(lambda: self.connection.set_times(self.path, modification_time=int(1000 * moment)))

    def open(self, mode: str = "r", **_: Any) -> IO[Any]:
        """Opens a file for reading bytes at any place (rb), or for appending bytes (ab)."""
        if mode == "rb":
            return io.BufferedReader(_Reader(self), READ_BYTES)
        if mode == "ab":
            return io.BufferedWriter(_Appender(self), APPEND_BYTES)
        raise ValueError(f"files on HDFS are opened with rb or ab, not {mode}")

    def _at(self, path: PurePosixPath) -> HdfsPath:
        return HdfsPath(self._authority, path, self.connection)

    def _call(self, action: Any) -> Any:
        try:
            return self.connection.attempt(action)
        except HdfsError as error:
            raise _as_os_error(error, str(self)) from error

    def _status(self) -> dict[str, Any] | None:
        try:
            status: dict[str, Any] = self._call(lambda: self.connection.status(self.path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status

    def _listing(self) -> list[tuple[HdfsPath, dict[str, Any]]]:
        answer = self._call(lambda: self.connection._list_status(self.path).json())
        statuses = answer["FileStatuses"]["FileStatus"]
        if any(not status["pathSuffix"] for status in statuses):  # WebHDFS lists a file as itself
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self))
        return sorted(((self / one["pathSuffix"], one) for one in statuses), key=lambda entry: entry[0].name)

    def _move(self, target: HdfsPath, overwrite: bool) -> HdfsPath:
        options = {"renameoptions": "OVERWRITE"} if overwrite else {}

        def move() -> None:
            try:
                response = self.connection._rename(self.path, destination=target.path, **options)
            except HdfsError as error:
                # an earlier try may have done it although its answer was lost
                if error.exception != "FileNotFoundException" or not target.exists():
                    raise
                return
            if not overwrite and not response.json()["boolean"] and not (target.exists() and not self.exists()):
                raise HdfsError(f"cannot be moved to {target}", exception="FileNotFoundException")

        self._call(move)
        return target


StoragePath = Union[Path, HdfsPath]  # noqa: UP007 (an alias that is used as a value)


def _on_hdfs(path: StoragePath) -> HdfsPath:
    if not isinstance(path, HdfsPath):
        raise TypeError(f"{path} is not on HDFS")
    return path


def root_path(
    root: str, webhdfs_url: str | None = None, user: str | None = None, copies: int | None = None
) -> StoragePath:
    """Returns the folder behind a root.

    Args:
        root: a folder's path, a file:// URI or an hdfs:// URI.
        webhdfs_url: the NameNode's HTTP address; by default its host with the usual port.
        user: the HDFS user; by default the one who runs this.
        copies: how many copies of each block the files have that are written on HDFS; by default as it thinks best.

    Raises:
        UserError: for another kind of URI, an hdfs:// URI without a host, or what no folder can be called.
    """
    scheme, separator, rest = root.partition("://")
    if not separator:
        return _local_root(root)
    if scheme == "file":
        # Windows' part of file:///C:/data is C:/data
        return _local_root(re.sub(r"^/(?=[A-Za-z]:)", "", rest) if os.name == "nt" else rest, is_uri=True)
    if scheme != SCHEME:
        raise UserError(f"--root {root}: {scheme}:// is not known here; name a folder or an hdfs:// URI.")
    parts = urlsplit(root)
    if not parts.hostname:
        raise UserError(f"--root {root} names no NameNode: write it as hdfs://namenode:8020/data.")
    url = webhdfs_url or f"http://{parts.hostname}:{DEFAULT_WEBHDFS_PORT}"
    return HdfsPath(parts.netloc, parts.path or "/", webhdfs.client(url, user or getpass.getuser(), copies))


def _local_root(text: str, is_uri: bool = False) -> Path:
    """A folder of this machine; only in a path `~` is the user's own."""
    try:
        path = (Path(text) if is_uri else Path(text).expanduser()).absolute()
    except RuntimeError:
        raise UserError(
            f"--root {text}: no user of this machine is called so; write ./{text} for a folder here."
        ) from None
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise UserError(f"--root {shown}: its name is not UTF-8, as DuckDB and Spark need; choose another.") from None
    if os.name == "nt":
        refuse_no_folder(path)
        if not Path(path.anchor).exists():
            raise UserError(f"--root {text}: there is no {path.anchor} on this machine; choose a drive that is there.")
    return path


def refuse_no_folder(path: PurePath) -> None:
    """Checks that Windows makes a folder of each part's name, and no device, stream or name that is cut.

    Raises:
        UserError: naming the part.
    """
    part = next((one for one in path.parts[1:] if one != ".." and _NO_FOLDER.search(one)), None)
    if part is not None:
        raise UserError(f"--root {path}: on Windows no folder can be called {part!r}; choose another name.")


def _path_here(authority: str, path: str, connection: tuple[str, str, int | None]) -> HdfsPath:
    return HdfsPath(authority, path, webhdfs.client(*connection))


def for_another_thread(path: StoragePath) -> StoragePath:
    """Returns the same path with a connection of its own: those to HDFS are not for several threads."""
    if isinstance(path, HdfsPath):
        return HdfsPath(path._authority, path.path, webhdfs.own_client(path.connection))
    return path


def entries(folder: StoragePath) -> list[Entry]:
    """Returns what stands in a folder, in no order, with one request on HDFS; what goes meanwhile is left out.

    Raises:
        FileNotFoundError: when there is no folder.
    """
    if isinstance(folder, HdfsPath):
        return [_entry(path.name, path._stat_of(status)) for path, status in folder._listing()]
    with os.scandir(folder) as found:
        pairs = [(one.name, _status_of(one)) for one in found]
    return [_entry(name, status) for name, status in pairs if status is not None]


def _entry(name: str, status: os.stat_result | HdfsStat) -> Entry:
    kind: Literal["file", "folder", "other"] = "other"
    if modes.S_ISDIR(status.st_mode):
        kind = "folder"
    elif modes.S_ISREG(status.st_mode):
        kind = "file"
    return Entry(name, kind, status.st_size, status.st_mtime)


def _status_of(found: os.DirEntry[str]) -> os.stat_result | None:
    for follow in (True, False):  # a link that points to nothing is a thing itself
        try:
            return found.stat(follow_symlinks=follow)
        except OSError:
            continue
    return None


def write_durably(path: StoragePath, text: str) -> None:
    """Writes a small file that is there whole or not at all, also after a power cut."""
    if isinstance(path, HdfsPath):
        draft = path.with_suffix(".part")
        draft.write_bytes(text.encode())
        draft.replace(path)
        return
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def _as_os_error(error: HdfsError, path: str) -> OSError:
    """The same error as pathlib would raise it: file not found, permission denied, disk quota exceeded."""
    code = _OS_ERRORS.get(error.exception)
    message = str(error.message).splitlines()[0]
    if code == errno.EACCES and "is not a directory" in message:
        code = errno.ENOTDIR
    if code is None and "could only be written to 0 of the" in message:
        code = errno.ENOSPC  # no DataNode has room
    if code is None:
        return OSError(errno.EIO, f"HDFS: {message}", path)
    return OSError(code, os.strerror(code), path)


class _Reader(io.RawIOBase):
    """A file read at any place, one request a buffer."""

    def __init__(self, path: HdfsPath) -> None:
        self._file, self._size, self._position = path, path.stat().st_size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readall(self) -> bytes:
        content = self._file.read_range(self._position, None) if self._position < self._size else b""
        self._position += len(content)
        return content

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._position)
        if length <= 0:
            return 0
        content = self._file.read_range(self._position, length)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


class _Appender(io.RawIOBase):
    """A file that grows at its end, one request a buffer; a request that was cut off is made good before the next."""

    def __init__(self, path: HdfsPath) -> None:
        self._file = path
        status = path._status()
        self._size: int | None = None if status is None else status["length"]

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        block = bytes(content)
        if self._size is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_bytes(block)
            self._size = len(block)
            return len(block)
        before = self._size

        def append() -> None:
            have = self._file.stat().st_size
            if have == before + len(block):
                return  # an earlier try did it, its answer was lost
            if have != before:
                raise OSError(
                    errno.EIO, f"{self._file} has {have} bytes, not {before}: another process changed it", None
                )
            self._file.connection.write(self._file.path, data=block, append=True)

        self._file._call(append)
        self._size = before + len(block)
        return len(block)
