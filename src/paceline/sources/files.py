"""The files below a directory that are safe to open: regular ones, and really below it.

Whoever may drop a delivery may also drop a link to a file that is none of their business, or a pipe
that nobody ever writes to.
"""

import os
import re
import stat
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

from paceline.errors import UsageError

LINK_OUT = "links out of the landing zone"
LINK_TO_NOTHING = "is a link to nothing"
NO_FILE = "is neither a file nor a folder"

# What names an athlete wherever it stands: `athlete_id=7`, `athlete-7`, `athletes/7`, and the name
# of Strava's own archive, `export_12345678`; not the `athlete_id=<id>/` of an advice.
_SEPARATOR = r"""(?:[\s_.:="'#-]|%[0-9a-f]{2}){0,4}"""
_ATHLETE = re.compile(
    r"""(?i)(athlete_ids?=)(?!<id>/)(?:\d+,)*[^/\s"',;:)]+"""
    rf"""|(athlete(?:s/|{_SEPARATOR}(?:ids?)?{_SEPARATOR}))\d+"""
    r"""|(export[_-]?)\d{5,}"""
)


_PATH, _NUMBER, _LONG = re.compile(r"\S*/\S*"), re.compile(r"\d+"), re.compile(r"\d{5,}")
HIDDEN = "***"


class Refused(Exception):
    """A file that must not or cannot be opened; the text completes a sentence after its path."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is below a directory, names that start with `.` or `_` left out.

    root: the directory. paths: the files, relative to the directory, with `/`, sorted.
    refused: path -> why nothing of it is read, to complete a sentence after the path.
    """

    root: Path
    paths: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def listing(root: Path) -> Listing:
    """Look at everything below the landing directory; nothing is opened but folders.

    Links are followed while they stay inside. A folder is looked at once; one that has a path
    without a link goes by that, so that a link added later renames no delivery. Raises UsageError
    when the directory is missing or cannot be read.
    """
    if not root.is_dir():
        raise UsageError(
            f"The landing directory {root} does not exist: "
            "create it and put deliveries into it, or name another one with --landing."
        )
    found = Listing(root)
    home = os.path.realpath(root)
    visited: set[tuple[int, int]] = set()
    folders, linked = [""], list[str]()
    while folders or linked:
        folder = folders.pop() if folders else linked.pop(0)
        try:
            status = (root / folder).stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            entries = _entries(root / folder)
        except OSError as error:
            if not folder:
                message = f"The landing directory {root} cannot be read: {error.strerror}."
                raise UsageError(message) from None
            found.refused[folder] = f"cannot be read ({error.strerror})"
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            _sort_in(entry, path, home, found, linked if entry.is_symlink() else folders)
    found.paths.sort()
    return found


def escaped(text: str) -> str:
    """Return the text on one line, with what does not print written out.

    A name or a payload may hold line breaks and the escape sequences of terminals.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def masked(text: str) -> str:
    """Return the text `escaped`, and with `***` in place of each number that names an athlete."""
    return _ATHLETE.sub(lambda found: f"{found[1] or found[2] or found[3]}{HIDDEN}", escaped(text))


def shown(path: str) -> str:
    """Return a path for a message: `masked`, and with U+FFFD for what is not UTF-8."""
    return masked(as_text(path))


def without_path_numbers(text: str) -> str:
    """Return the text `masked`, and with `***` for each number in a word with a `/`.

    They may be ids, and what is kept or sent away names a file well enough without them. A path may
    have blanks in it, so that long numbers go from the rest of a text that has one, too.
    """
    kept = _PATH.sub(lambda path: _NUMBER.sub(HIDDEN, path[0]), masked(text))
    return _LONG.sub(HIDDEN, kept) if "/" in text else kept


def as_text(path: str) -> str:
    """Return the path with U+FFFD for what is not UTF-8 in it, which no table could hold."""
    return os.fsencode(path).decode("utf-8", "replace")


def open_file(root: Path, path: str) -> BufferedReader:
    """Open a file below the landing directory, for the caller to close.

    Raises Refused when it links out, is no regular file or may not be read, and FileNotFoundError.
    """
    try:
        target = os.path.realpath(root / path, strict=True)
        if not _is_inside(target, os.path.realpath(root)):
            raise Refused(LINK_OUT)
        # Things change after they were looked at: a pipe would block, a link lead elsewhere.
        stored = os.fdopen(os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refused(f"cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(os.fstat(stored.fileno()).st_mode):
        stored.close()
        raise Refused(NO_FILE)
    return stored


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries by name, without names that start with `.` or `_`."""
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if e.name[0] not in "._"), key=lambda entry: entry.name)


def _sort_in(
    entry: os.DirEntry[str], path: str, home: str, found: Listing, folders: list[str]
) -> None:
    """Note the entry as a file, as refused, or as one of the folders to look into."""
    try:
        if entry.is_symlink() and not _is_inside(os.path.realpath(entry.path), home):
            found.refused[path] = LINK_OUT
        elif entry.is_dir():
            folders.append(path)
        elif entry.is_file():
            found.paths.append(path)
        else:
            found.refused[path] = _kind(entry)
    except OSError as error:
        found.refused[path] = f"cannot be read ({error.strerror})"


def _kind(entry: os.DirEntry[str]) -> str:
    is_dangling = entry.is_symlink() and not Path(entry.path).exists()
    return LINK_TO_NOTHING if is_dangling else NO_FILE


def _is_inside(target: str, home: str) -> bool:
    return target == home or os.path.commonpath([target, home]) == home
