"""The one error tree of the project.

TracerError
├── InputError      a capture, dump or options file cannot be used
├── HostError       this host (kernel, privileges, tools) cannot do what was asked
└── LabError        the lab cannot be built or removed
"""


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


class HostError(TracerError):
    """The kernel, privileges or tools of this host do not allow what was asked."""


class LabError(TracerError):
    """The lab cannot be built, used or removed."""
