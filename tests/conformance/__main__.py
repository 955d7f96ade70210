"""Writes docs/rfc2661.md from the requirements and the tests' marks: ``make docs``."""

from __future__ import annotations

from tests.conformance.page import PAGE, make_page

if __name__ == "__main__":
    PAGE.write_text(make_page(), encoding="utf-8")
    print(f"wrote {PAGE}")
