"""What a tracer asks of the kernel at each start, asked once for all those that are forked."""

from probes.hooks import libbpf
from probes.hooks.attaching import offsets_of
from probes.hooks.spec import FIGURES


def remember() -> None:
    """Find where the kernel keeps what the probes read, and the types of what they watch.

    Raises ProbeError where nothing can be traced.
    """
    offsets_of(FIGURES)
    libbpf.remember(FIGURES.hooks)
