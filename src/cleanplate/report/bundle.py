"""The page's scripts as one: a page opened from disk cannot load modules from other files.

The modules in `page/` are plain ones, as browsers run them, of a plain kind: `import { a, b } from "./x.js";`
and `export` before a declaration. They are put one after the other, each after those that it imports, without
those words; so no two may declare the same name, which is checked here.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([a-z0-9]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function|class|const|let)", re.MULTILINE)
_DECLARED = re.compile(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)
_LEFT_OVER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


@cache
def read_page_file(name: str) -> str:
    """One of the files in `page/`."""
    return (files("cleanplate.report") / "page" / name).read_text(encoding="utf-8")


@cache
def bundle_scripts(entry: str = "main.js") -> str:
    """The script that does what the module `entry` does. Raises ValueError for modules of another kind."""
    ordered: list[str] = []
    _visit(entry, ordered, ())
    owners: dict[str, str] = {}
    for module in ordered:
        for name in _DECLARED.findall(read_page_file(module)):
            if name in owners:
                raise ValueError(f"{module} and {owners[name]} both declare {name}")
            owners[name] = module
    return "\n".join(_strip(module) for module in ordered)


def _visit(module: str, ordered: list[str], path: tuple[str, ...]) -> None:
    if module in path:
        raise ValueError(f"modules import each other: {' > '.join([*path, module])}")
    if module in ordered:
        return
    for names, imported in _IMPORT.findall(read_page_file(module)):
        _visit(imported, ordered, (*path, module))
        declared = set(_DECLARED.findall(read_page_file(imported)))
        missing = {name.strip() for name in names.split(",") if name.strip()} - declared
        if missing:
            raise ValueError(f"{module} imports {sorted(missing)}, which {imported} does not have")
    ordered.append(module)


def _strip(module: str) -> str:
    text = _EXPORT.sub("", _IMPORT.sub("", read_page_file(module)))
    left = _LEFT_OVER.search(text)
    if left:
        raise ValueError(f"{module}: not of the plain kind: {left[0]}")
    return f"// ---- {module}\n{text}"
