"""The parser of the command line: the layout of help, and what a misspelt word probably meant."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from lab.spelling import nearest

_CHOICE = re.compile(r"invalid choice: '(?P<word>[^']*)' \(choose from (?P<known>.*)\)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


class Help(argparse.HelpFormatter):
    """Wraps what is one paragraph, and leaves a text of several lines as it is laid out."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "\n".join(indent + line for line in text.strip().splitlines())
        return super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """argparse's, as are the parsers of its sub-commands."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2, usage, message, and the nearest word to one that is unknown."""
        if found := _CHOICE.search(message):
            message += nearest(found["word"], re.findall(r"[^\s',]+", found["known"]))
        super().error(message)

    def refuse(self, unknown: list[str]) -> NoReturn:
        """End because of words that are neither options nor arguments here."""
        message = f"unrecognized arguments: {' '.join(unknown)}"
        known = sorted(set(_OPTION.findall(self.format_help())))
        for word in unknown:
            if word.startswith("--"):
                message += nearest(word.partition("=")[0], known)
        self.error(message)
