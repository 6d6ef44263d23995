"""Docstrings for the site: roles become links, ``.. math::`` becomes a fenced block."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:func|class|meth|mod|attr|data|exc):`(~?)([^`]+)`")
_FORMULA = re.compile(r":math:`([^`]+)`")
_MATH = re.compile(r"^( *)\.\. math:: *(.*(?:\n\1 +\S.*)*)", re.MULTILINE)


class Roles(griffe.Extension):
    """Rewrite the docstrings of a package once all of it is loaded, when names can be looked up."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Visit every object of the package."""
        self._visit(pkg, pkg)

    def _visit(self, it: griffe.Object, package: griffe.Module) -> None:
        if it.docstring:
            it.docstring.value = rewrite(it.docstring.value, it, package)
        for member in it.members.values():
            if not member.is_alias:
                self._visit(member, package)


def rewrite(text: str, it: griffe.Object, package: griffe.Module) -> str:
    """Return a docstring with the roles that lead somewhere as links, and the others as code."""

    def link(match: re.Match[str]) -> str:
        short, name = match[1], match[2]
        shown = name.rpartition(".")[2] if short else name
        path = _path(name, it, package)
        return f"[`{shown}`][{path}]" if path else f"`{shown}`"

    def fence(match: re.Match[str]) -> str:
        indent, formula = match[1], " ".join(match[2].split())
        return f"\n{indent}```math\n{indent}{formula}\n{indent}```\n"

    def inline(match: re.Match[str]) -> str:
        return f"`:::math {' '.join(match[1].split())}`"

    # else types such as "array-like, shape (M, d)" are taken for Python, a difference and a call
    text = text.replace("array-like", "array\u2011like").replace("shape (", "shape\u00a0(")
    return _MATH.sub(fence, _FORMULA.sub(inline, _ROLE.sub(link, text)))


def _path(name: str, it: griffe.Object, package: griffe.Module) -> str | None:
    """Full path of a name as seen from an object: in the package, or in a scope around the object."""
    if name.startswith(f"{package.name}."):
        scopes: list[Any] = [package]
        name = name.removeprefix(f"{package.name}.")
    else:
        scopes = [it]
        while scopes[-1].parent is not None:
            scopes.append(scopes[-1].parent)
    for scope in scopes:
        try:
            return scope[name].canonical_path
        except (KeyError, griffe.AliasResolutionError, griffe.CyclicAliasError):
            continue
    return None
