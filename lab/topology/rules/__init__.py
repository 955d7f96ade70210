"""What must hold between the parts of a topology; a rule a function.

Each rule looks at the sound items of a draft and complains about all that it finds. ``RULES`` is
the list; no rule relies on another one having passed.
"""

from __future__ import annotations

from lab.topology.rules import addresses, callers, names, peers, protection, service, ways
from lab.topology.rules.finding import Rule

RULES: tuple[Rule, ...] = (
    *names.RULES,
    *addresses.RULES,
    *ways.RULES,
    *service.RULES,
    *callers.RULES,
    *protection.RULES,
    *peers.RULES,
)
