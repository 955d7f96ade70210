"""L2TPv2 (RFC 2661): a sans-IO protocol core, the kernel's data plane, two daemons."""

from typing import Final

VERSION: Final = "0.1.0"
