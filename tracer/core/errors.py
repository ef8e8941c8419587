"""The one error tree of the project.

TracerError
├── InputError      a capture, dump or options file cannot be used
├── HostError       this host (kernel, privileges, tools) cannot do what was asked
└── LabError        the lab cannot be built or removed
"""

from shlex import quote


class TracerError(Exception):
    """An error a user can act on: one sentence with the cause, and the next command to run."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class InputError(TracerError):
    """A capture, dump or points file cannot be used at all."""


def unreadable(path: object, error: OSError | ValueError) -> InputError:
    """Return the error for a file or folder that the system did not let us open or read."""
    folder, slash, _ = str(path).rpartition("/")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    if isinstance(error, PermissionError):
        hint = "Run with sudo, or copy it."
    elif isinstance(error, (FileNotFoundError, NotADirectoryError)):
        hint = f"`ls {quote(folder or slash or '.')}` shows what is there."
    elif isinstance(error, IsADirectoryError):
        hint = f"Name a file; `ls {quote(str(path))}` shows those in it."
    else:
        hint = "Copy the file again, and give the copy."
    return InputError(f"{path} cannot be read: {reason}.", hint)


class HostError(TracerError):
    """The kernel, privileges or tools of this host do not allow what was asked."""


class LabError(TracerError):
    """The lab cannot be built, used or removed."""
