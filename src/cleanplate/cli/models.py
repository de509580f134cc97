"""`cleanplate models list|path|fetch|verify|import`: the weights files of networks that others publish."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.errors import ModelError, UsageError

if TYPE_CHECKING:
    from cleanplate.models.store import ModelStore

ACTIONS = ("list", "path", "fetch", "verify", "import")
#: Seconds between two lines of progress.
TELL_EVERY = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.usage = (
        f"{parser.prog} list | path [NAME] | fetch NAME... | verify [NAME...] | import FILE... [options]"
    )
    parser.add_argument(
        "action", choices=ACTIONS, metavar="ACTION", help="list, path, fetch, verify or import"
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME|FILE", help="models of the catalogue, or files to import"
    )
    parser.add_argument("--model-dir", metavar="DIR", help="a folder of weights that is looked at first")
    parser.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="URL",
        help="https address of the file, or of a folder that holds it, to try first; may be repeated",
    )
    parser.add_argument("--trust", action="store_true", help="take a file whose checksum nobody knows")
    parser.add_argument("--as", dest="kind", metavar="NAME", help="import: which model the file is")


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    from cleanplate.models.catalog import CATALOG
    from cleanplate.models.store import open_store

    store = open_store(CATALOG, arguments.model_dir)
    action = {"list": _list, "path": _path, "fetch": _fetch, "verify": _verify, "import": _import}
    return action[arguments.action](arguments, store)


def _list(_arguments: argparse.Namespace, store: ModelStore) -> int:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("name", "here", "size", "licence", "checksum", "for"):
        table.add_column(heading)
    for model in store.catalog:
        checksum = "SHA-256" if model.sha256 else "md5" if model.md5 else "unknown"
        size = decimal(model.nbytes) if model.nbytes else "unknown"
        here = "yes" if store.find(model) else "no"
        table.add_row(model.name, here, size, model.licence, checksum, model.purpose)
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    return 0


def _path(arguments: argparse.Namespace, store: ModelStore) -> int:
    if not arguments.names:
        print(store.cache)
    for name in arguments.names:
        print(store.require(store.catalog.get(name)))
    return 0


def _fetch(arguments: argparse.Namespace, store: ModelStore) -> int:
    from cleanplate.models.download import fetch

    for name in _named(arguments):
        model = store.catalog.get(name)
        path = fetch(
            model, store, mirrors=tuple(arguments.mirror), trust=arguments.trust, progress=_Teller(model.file)
        )
        print(path)
    return 0


def _verify(arguments: argparse.Namespace, store: ModelStore) -> int:
    models = [store.catalog.get(name) for name in arguments.names]
    models = models or [model for model in store.catalog if store.find(model)]
    wrong = 0
    for model in models:
        path = store.require(model)
        try:
            store.verify(model, path)
        except ModelError as error:
            wrong += 1
            print(f"cleanplate: error: {error}", file=sys.stderr)
        else:
            print(f"{path}: as published")
    if not models:
        print(f"no model of the catalogue is in {store.cache}")
    return 1 if wrong else 0


def _import(arguments: argparse.Namespace, store: ModelStore) -> int:
    for name in _named(arguments):
        model, path = store.bring_in(Path(name), trust=arguments.trust, name=arguments.kind)
        print(f"{path}: {model.name if model else 'unknown to the catalogue, use it by its path'}")
    return 0


def _named(arguments: argparse.Namespace) -> list[str]:
    if not arguments.names:
        raise UsageError(f"models {arguments.action} needs a name; `cleanplate models list` shows them")
    names: list[str] = arguments.names
    return names


class _Teller:
    """Says on standard error how far a download is, now and then."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._told = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        if time.monotonic() - self._told < TELL_EVERY and done != total:
            return
        self._told = time.monotonic()
        share = f" of {total / 1e6:.1f} MB, {done / total:.0%}" if total else " MB"
        print(f"{self._file}: {done / 1e6:.1f}{share}", file=sys.stderr, flush=True)
