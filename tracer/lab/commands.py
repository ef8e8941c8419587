"""Running the system tools the lab is built with: ip, sysctl, iptables-restore, nft, tc."""

import shutil
import subprocess
from collections.abc import Iterable, Sequence

from tracer.core.errors import HostError, LabError

TOOLS = {
    "ip": "iproute2",
    "bridge": "iproute2",
    "tc": "iproute2",
    "sysctl": "procps",
    "iptables-restore": "iptables",
    "nft": "nftables",
}
"""Tool to the Debian/Ubuntu package that brings it."""


def require(tools: Iterable[str], packages: dict[str, str] = TOOLS) -> None:
    """Return nothing; raise HostError when a tool is not on the PATH."""
    missing = sorted(tool for tool in tools if shutil.which(tool) is None)
    if missing:
        wanted = " ".join(sorted({packages.get(tool, tool) for tool in missing}))
        raise HostError(
            f"The lab needs {', '.join(missing)}, which this host lacks.",
            hint=f"Run: apt-get install {wanted}",
        )


def run(argv: Sequence[str], stdin: str | None = None) -> str:
    """Return the standard output of a command; raise LabError with its first complaint."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        complaint = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[0]
        raise LabError(f"`{' '.join(argv)}` failed: {complaint}", hint="Run: tracer lab down")
    return done.stdout


def run_in(netns: str, argv: Sequence[str], stdin: str | None = None) -> str:
    """Return the standard output of a command run inside a network namespace."""
    return run(["ip", "netns", "exec", netns, *argv], stdin)
