"""Another program on the card: `python -m tests.gpu.hog LEAVE_MB [ONCE_USED_MB]`.

Takes all the card's free memory but LEAVE_MB: at once, or as soon as others have taken ONCE_USED_MB of it.
Prints `ready`, `taken` when it has, and holds it until its standard input is closed.
"""

import os
import sys
import threading
import time

import torch

MB = 1 << 20


def main() -> None:
    leave = int(sys.argv[1]) * MB
    once_used = int(sys.argv[2]) * MB if len(sys.argv) > 2 else 0
    torch.zeros(1, device="cuda")
    before, _ = torch.cuda.mem_get_info()
    print("ready", flush=True)
    threading.Thread(target=wait_and_leave, daemon=True).start()
    while torch.cuda.mem_get_info()[0] > before - once_used and once_used:
        time.sleep(0.002)
    held = []
    piece = 1 << 30
    while piece >= 16 * MB:
        while torch.cuda.mem_get_info()[0] - piece > leave:
            held.append(torch.empty(piece, dtype=torch.uint8, device="cuda"))
        piece //= 4
    print("taken", flush=True)
    threading.Event().wait()


def wait_and_leave() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
