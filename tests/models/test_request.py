"""The attempt without policy."""

from cleanplate.models.request import Request, plainly


def test_plainly_runs_everything_at_once():
    calls = []

    def run(items, tile):
        calls.append((tuple(items), tile))
        return [item * 2 for item in items]

    request = Request(
        stage="detect", network=None, items=(1, 2, 3), shape=lambda n, tile: (n, 3, tile or 8, 8), run=run
    )
    assert plainly(request) == [2, 4, 6]
    assert calls == [((1, 2, 3), None)]
