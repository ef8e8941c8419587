"""Where the BPF sources and the compiled object are, installed or in a checkout."""

from pathlib import Path

import tracer


def bpf_folder() -> Path:
    """Return the folder of bpf/: inside the package when installed, else the checkout's."""
    package = Path(tracer.__file__).resolve().parent
    checkout = package.parent / "bpf"
    # A checkout's own folder first: an editable install may leave a stale copy in the package.
    return checkout if (checkout / "journey.bpf.c").exists() else package / "_bpf"
