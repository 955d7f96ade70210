"""What a tracer asks of the kernel at each start, asked once for all those that are forked."""

from probes.hooks import libbpf
from probes.hooks.attaching import offsets_of
from probes.hooks.spec import FIGURES
from probes.moments.tracer import MOMENTS


def remember() -> None:
    """Find where the kernel keeps what the probes read, and the types of what they watch.

    Raises ProbeError where nothing can be traced.
    """
    for program in (FIGURES, MOMENTS):
        offsets_of(program)
        libbpf.remember(program.hooks)
