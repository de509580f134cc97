"""The sweep with the shipped networks; minutes, so `make sweep` runs it and `make test` does not."""

import os
from pathlib import Path

import pytest

from .table import format_table, run_sweep

#: Where the result is committed.
TABLE = Path(__file__).with_name("result.md")


@pytest.mark.sweep
def test_each_allocation_of_the_shipped_networks_failing_in_turn(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    rows = list(run_sweep(tmp_path))
    assert all(row.runs == row.allocations + 1 for row in rows if row.failing == "once")
    assert all(row.named == 0 for row in rows if row.failing == "once")
    TABLE.write_text(format_table(rows), encoding="utf-8")
