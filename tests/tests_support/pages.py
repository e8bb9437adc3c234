"""The programs of README and documentation: each block of Python begins with the name of its file."""

from __future__ import annotations

import re

from tests_support.served import CHECKOUT

PAGES = tuple(f"docs/{page.name}" for page in sorted((CHECKOUT / "docs").glob("*.md")))
"""The pages of the documentation, from the checkout."""


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of code of a page."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def programs_of(page: str) -> dict[str, str]:
    """Return the programs of a page by the names of their files."""
    programs = (text for language, text in blocks_of(page) if language == "python")
    return {text.partition("\n")[0].removeprefix("# "): text for text in programs}
