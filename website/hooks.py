"""Hooks of the build: formulas, pages for the sources that the documents link to, and what the search leaves out."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.plugins import CombinedEvent, event_priority
from mkdocs.structure.files import File
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename

from website import mathematics

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# pages with formulas in plain text
FORMULAS = {"bounds-proofs.md", "certificates.md", "retrieval-proofs.md", "virtual.md"}
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
_SOURCE = re.compile(r'<details class="mkdocstrings-source">.*?</details>', re.DOTALL)
_TEXT = re.compile(r">[^<]+")
_NUMBER = re.compile(r"(?<![\w#&])\.?\d[\w.,]*")


def on_files(files: Any, config: Any) -> Any:
    """Add a page for every file and folder outside the documents that one of them links to."""
    targets = [
        _outside(file.src_uri, target)
        for file in files.documentation_pages()
        for target, _ in _LINK.findall(file.content_string)
    ]
    linked = set(filter(None, targets))
    for path in linked:
        text = _folder(path, linked) if path.is_dir() else _file(path)
        name = path.relative_to(ROOT).as_posix()
        head = f"---\ntitle: {name}\nsearch:\n  exclude: true\nhide: [toc]\n---\n\n# `{name}`\n\n"
        files.append(File.generated(config, _uri(path), content=head + text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links into the sources at their pages, and write formulas as LaTeX."""
    here = page.file.src_uri

    def link(match: re.Match[str]) -> str:
        path = _outside(here, match[1])
        if path is None:
            return match[0]
        line = (match[2] or "").replace("#L", "#L-")
        return f"]({posixpath.relpath(_uri(path), posixpath.dirname(here))}{line})"

    markdown = _LINK.sub(link, markdown)
    return mathematics.rewrite(markdown) if here in FORMULAS else markdown


@event_priority(50)
def _for_the_search(context: Any, page: Any, config: Any, nav: Any) -> None:
    """Hide from the search the code below docstrings, most of its index, and the numbers.

    lunr takes digits for its own numbers of nodes: an index of many numbers may lose words, and fail on every query.
    """
    page.shown = page.content
    page.content = _TEXT.sub(lambda text: _NUMBER.sub(" ", text[0]), _SOURCE.sub("", page.content))


@event_priority(-100)
def _as_shown(context: Any, page: Any, config: Any, nav: Any) -> None:
    page.content = page.shown


on_page_context = CombinedEvent(_for_the_search, _as_shown)


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Name the dialogue of the search, which the theme leaves without a name to those who hear the page."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')


def _outside(page: str, target: str) -> Path | None:
    """The file or folder that a link of a page names, if it is in the project but is no page of the documents."""
    if "://" in target or page.startswith("source/"):
        return None
    path = (DOCS / page).parent.joinpath(target).resolve()
    if not path.is_relative_to(ROOT) or not path.exists():
        return None
    return path if not path.is_relative_to(DOCS) or path.is_dir() else None


def _uri(path: Path) -> str:
    name = path.relative_to(ROOT).as_posix()
    return f"source/{name}/index.md" if path.is_dir() else f"source/{name}.md"


def _folder(path: Path, linked: set[Path]) -> str:
    """Names of what is in a folder, each a link if the site has it."""
    lines = []
    for file in sorted(path.iterdir()):
        up = posixpath.relpath(".", posixpath.dirname(_uri(path)))
        if file.is_relative_to(DOCS):
            lines.append(f"- [`{file.name}`]({up}/{file.relative_to(DOCS).as_posix()})")
        elif file in linked:
            lines.append(f"- [`{file.name}`]({up}/{_uri(file)})")
        elif not file.name.startswith(("_", ".")):
            lines.append(f"- `{file.name}`")
    return "\n".join(lines)


def _file(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    lexer = get_lexer_for_filename(path.name) if path.suffix in (".py", ".json") else TextLexer()
    # as raw HTML, in which MkDocs finds the anchors of the lines
    return highlight(text, lexer, HtmlFormatter(cssclass="highlight", linenos="inline", linespans="L"))
