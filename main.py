"""The original plan's door: `python main.py repair --input DIR --output DIR --model CKPT --optimize`."""

import sys

from cleanplate.cli.doors import run_door

if __name__ == "__main__":
    sys.exit(run_door("main.py", optimize=False, command="repair"))
