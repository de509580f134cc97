"""What a person decided, in a file that only grows, and what a plan makes of it."""

from cleanplate.engine.decisions import Decision, Verb, is_reviewed, read_decisions, write_decisions
from cleanplate.engine.lines import LineFile
from cleanplate.engine.plan import make_plan
from cleanplate.engine.run import repair_folder
from cleanplate.engine.workspace import Workspace
from cleanplate.images.discover import discover
from cleanplate.settings import RepairSettings
from tests.engine.simple import MagentaPipeline, draw_photo


def decide(path, *decisions):
    with LineFile(path) as lines:
        write_decisions(lines, decisions)


def test_the_latest_decision_on_a_photograph_holds(tmp_path):
    path = tmp_path / "decisions.jsonl"
    assert read_decisions(path) == {}
    kept, approved = (Decision(verb, "/in/a.jpg", "a.jpg", "ab") for verb in (Verb.KEPT, Verb.APPROVED))
    other = Decision(Verb.APPROVED, "/in/b.jpg", "b.jpg", "cd")
    decide(path, kept, other)
    decide(path, approved)
    assert read_decisions(path) == {"/in/a.jpg": approved, "/in/b.jpg": other}
    decide(path, Decision(Verb.REOPENED, "/in/b.jpg", "b.jpg", "cd"))
    assert read_decisions(path) == {"/in/a.jpg": approved}


def test_lines_that_mean_nothing_are_passed_over(tmp_path):
    path = tmp_path / "decisions.jsonl"
    path.write_text(
        '{"kind": "approved"}\n{"kind": "eaten", "source": "a", "output": "a", "sha256": "a"}\n'
        '{"kind": "kept", "source": 1, "output": "a", "sha256": "a"}\n[]\n{"kind": "ke',
        encoding="utf-8",
    )
    assert read_decisions(path) == {}
    decision = Decision(Verb.KEPT, "/in/a.jpg", "a.jpg", "ab")
    decide(path, decision)
    assert read_decisions(path) == {"/in/a.jpg": decision}


def test_a_plan_takes_what_was_decided_for_finished_and_only_that(tmp_path):
    for name in ("a.png", "b.png"):
        draw_photo(tmp_path / "in" / name)
    output, settings = tmp_path / "out", RepairSettings(threshold=0.01)
    repair_folder(tmp_path / "in", output, settings, pipeline=MagentaPipeline())
    workspace = Workspace(output)
    found = discover([tmp_path / "in"], output, recursive=False, limit=None, format="keep")

    def plan_under_another_key():
        history = workspace.read_history()
        plan = make_plan(found.sources, workspace, history, key="another", overwrite=False)
        return [job.source.relative for job in plan.jobs]

    assert plan_under_another_key() == ["a.png", "b.png"]
    entry = workspace.read_history().results["a.png"]
    source = str(found.sources[0].path.absolute())
    decide(workspace.decisions, Decision(Verb.APPROVED, source, "a.png", entry.receipt.output.sha256))
    assert plan_under_another_key() == ["b.png"]
    decide(workspace.decisions, Decision(Verb.APPROVED, source, "a.png", "of an earlier result"))
    assert plan_under_another_key() == ["a.png", "b.png"]


def test_keys_of_reviewed_results():
    assert is_reviewed("reviewed-0123-net")
    assert not is_reviewed("0123-net")
    assert not is_reviewed(None)
