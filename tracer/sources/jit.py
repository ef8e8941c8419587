"""The jit decorator, under the name sources use."""

from tracer.core.jit import jit

__all__ = ["jit"]
