"""The original plan's door: `python repair_optimized.py --input DIR --output DIR --model CKPT [--fast]`."""

import sys

from cleanplate.cli.doors import run_door

if __name__ == "__main__":
    sys.exit(run_door("repair_optimized.py", optimize=True))
