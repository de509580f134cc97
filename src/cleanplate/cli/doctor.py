"""`cleanplate doctor`: what a report of a problem needs, with verdicts and remedies."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print what is found; 1 where something must be mended."""
    from cleanplate.device.threads import configure_threads
    from cleanplate.engine.diagnosis import diagnose, to_json

    configure_threads()  # as a run does, so that what is found is what a run gets
    report = to_json(diagnose())
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        _print_table(report["findings"])
    return 0 if report["healthy"] else 1


def _print_table(findings: list[dict[str, str | None]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {"good": "green", "note": "yellow", "bad": "red"}
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for finding in findings:
        verdict = finding["verdict"] or ""
        fact = Text(finding["fact"] or "")
        if finding["remedy"]:
            fact.append(f"\n-> {finding['remedy']}", style="dim")
        table.add_row(Text(verdict, style=colours.get(verdict, "")), Text(finding["topic"] or ""), fact)
    Console().print(table)
