"""The report's page with the power to act, served on loopback; and the same page while a run goes on.

`desk` is what can be done, without HTTP: it keeps the photographs (`album`), their pictures (`gallery`), a
queue of work (`queue`) that goes through the engine (`redo`), and tells whoever listens (`feed`). `app` makes
endpoints of it, behind a `gate`; `serve` runs them. `live` follows a run.
"""
