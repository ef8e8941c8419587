"""Live tracing: packets seen by BPF programs in the running kernel, drained as raw event arrays."""
