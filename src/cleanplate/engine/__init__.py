"""The batch: files, memory, time and the journal."""
