"""What README.md and docs/ tell people to write."""

from __future__ import annotations

import re

from chart import ROOT


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)

