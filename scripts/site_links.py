"""A hook of mkdocs: links that lead out of docs/ become the path of what they name.

The pages are also read in the repository, where such links work. The site has no copy of those
files, so there only the words remain, with the path as a hint. A link to nothing is a warning, as
mkdocs gives for links inside docs/, and fails a strict build.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)#\s]*)(#[^)\s]*)?\)")

log = logging.getLogger("mkdocs.hooks.site_links")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Called by mkdocs with the text of each page; returns the text to show."""
    source = Path(page.file.abs_src_path)
    return without_outside_links(markdown, source, Path(config["docs_dir"]))


def without_outside_links(markdown: str, source: Path, docs: Path) -> str:
    """The text of a page in which only links that stay inside `docs` are links.

    Args:
        markdown: the text.
        source: the file of the page.
        docs: the directory of all pages.
    """

    def shown(link: re.Match[str]) -> str:
        words, target = link[1], (source.parent / link[2]).resolve()
        if target.is_relative_to(docs.resolve()):
            return link[0]
        if not target.exists():
            log.warning("%s links to %s, which does not exist", source.name, link[2])
        path = target.relative_to(docs.resolve().parent).as_posix()
        return words if path in words else f"{words} (`{path}`)"

    return _LINK.sub(shown, markdown)
