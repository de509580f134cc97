"""The batch: files, memory, time and the journal. `run.repair_folder` is the program, top to bottom."""
