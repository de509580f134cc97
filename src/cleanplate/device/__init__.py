"""Facts about the machine: devices, memory, errors, threads. What to do about them is decided above."""
