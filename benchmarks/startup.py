"""How long `cleanplate --help` takes beside an empty Python: best of 20 runs each, alternating."""

from __future__ import annotations

import subprocess
import sys
import time

LIMIT_SECONDS = 0.3
RUNS = 20
PROGRAMS = {"python -c pass": ["-c", "pass"], "cleanplate --help": ["-m", "cleanplate", "--help"]}


def time_run(arguments: list[str]) -> float:
    """Seconds of wall clock that one run takes."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    best = dict.fromkeys(PROGRAMS, float("inf"))
    for _ in range(RUNS):
        for name, arguments in PROGRAMS.items():
            best[name] = min(best[name], time_run(arguments))
    print(f"{'':<20} {'best':>8}  {'of limit':>8}")
    for name, seconds in best.items():
        print(f"{name:<20} {seconds * 1000:>5.0f} ms  {seconds / LIMIT_SECONDS:>8.0%}")


if __name__ == "__main__":
    main()
