"""The training loop: it learns, goes on where it stopped, and never loses what it has."""

import json
import shutil
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from cleanplate.errors import InvalidSettingError, ModelError, UsageError
from cleanplate.models.nets.finder import Finder
from cleanplate.models.nets.restorer import Restorer
from cleanplate.models.weights import load_into, read_weights
from cleanplate.train.examples import Examples, make_finder_examples, make_restorer_examples
from cleanplate.train.loop import TrainingOptions, learning_rate_at, train
from cleanplate.train.losses import finder_loss, restorer_loss
from cleanplate.train.validation import Scores

KINDS = {
    "finder": (Finder, make_finder_examples, finder_loss),
    "restorer": (Restorer, make_restorer_examples, restorer_loss),
}


class FixedBatch(Examples):
    """The same few crops again and again."""

    def __iter__(self):
        rng = np.random.default_rng(self.seed)
        return cycle(self.make(self.source, rng) + self.make(self.source, rng))


def make_options(output, **changes) -> TrainingOptions:
    defaults = {
        "examples": 12, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 0, "workers": 0,
        "report_every": 1, "validate_every": 2,
    }  # fmt: skip
    return TrainingOptions(output=output, **{**defaults, **changes})


def run(kind, source, options, *, report=lambda _: None, seen=None, dataset=FixedBatch, seed=0, goals=()):
    """Train a network of a kind; its validations give these goals, or always the same."""
    build, make, loss = KINDS[kind]
    torch.manual_seed(seed)
    network = build()

    def examples(example_seed: int) -> Examples:
        if seen is not None:
            seen.append(example_seed)
        return dataset(source, make, 1 if dataset is FixedBatch else example_seed)

    groups = [{"params": list(network.parameters())}]
    validate = iter(goals).__next__ if goals else lambda: 0.5

    def score(_) -> Scores:
        goal = validate()
        return Scores({"score": 0.5}, goal, {"text": {"crops": 2, "score": 0.5}})

    return train(kind, network, groups, examples, loss, score, options, report)


def measure_loss(kind, source, network: nn.Module) -> float:
    _, make, loss = KINDS[kind]
    stream = iter(FixedBatch(source, make, 1))
    crops = [next(stream) for _ in range(4)]
    batch = {name: torch.stack([crop[name] for crop in crops]) for name in crops[0]}
    with torch.no_grad():
        return float(loss(network(batch["image"]), batch)[0])


@pytest.mark.parametrize("kind", list(KINDS))
def test_three_steps_lower_the_loss_of_a_fixed_batch(kind, source, tmp_path):
    torch.manual_seed(0)
    before = measure_loss(kind, source, KINDS[kind][0]())
    path = run(kind, source, make_options(tmp_path))
    assert path == tmp_path / f"{kind}-best.safetensors"
    trained = KINDS[kind][0]()
    load_into(trained, kind, read_weights(tmp_path / f"{kind}.safetensors")[0], "here")
    assert measure_loss(kind, source, trained) < before


def test_a_run_leaves_state_log_curves_and_described_weights(source, tmp_path):
    lines = []
    path = run("restorer", source, make_options(tmp_path), report=lines.append)
    assert {p.name for p in tmp_path.iterdir()} == {
        "state.ckpt", "log.jsonl", "curves.png", "validation.txt", "restorer.safetensors",
        "restorer-best.safetensors",
    }  # fmt: skip
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged == lines
    assert [line["step"] for line in logged] == [1, 2, 2, 3, 3]
    assert logged[0].keys() >= {"loss", "matte", "background", "examples_per_second"}
    assert logged[-1]["validation"] == {"score": 0.5, "goal": 0.5}
    assert logged[-1]["groups"] == {"text": {"crops": 2, "score": 0.5}}
    table = (tmp_path / "validation.txt").read_text(encoding="utf-8").splitlines()
    assert (table[0], table[-1].split()) == ("step 3", ["text", "2", "0.500"])
    metadata = {}
    for name in ("restorer", "restorer-best"):
        with safe_open(tmp_path / f"{name}.safetensors", framework="pt") as file:
            metadata[name] = file.metadata()
    assert path == tmp_path / "restorer-best.safetensors"
    assert metadata["restorer"] == {"step": "3", "validation_score": "0.5000", "validation_goal": "0.5000"}
    assert metadata["restorer-best"] == {**metadata["restorer"], "step": "2"}  # the first of equals


def test_the_best_weights_are_those_of_the_best_goal(source, tmp_path):
    options = make_options(tmp_path, examples=16, validate_every=1, validate_first=True)
    best = run("restorer", source, options, goals=(0.1, 0.4, 0.9, 0.2, 0.3))
    with safe_open(best, framework="pt") as file:
        assert file.metadata()["step"] == "2"
    state = torch.load(tmp_path / "state.ckpt", weights_only=True)
    assert (state["step"], state["best"], state["best_step"]) == (4, 0.9, 2)
    before = read_weights(best)[1]
    run("restorer", source, make_options(tmp_path, examples=20, validate_every=1), goals=(0.8,))
    assert read_weights(best)[1] == before  # a resumed run knows what was best
    run("restorer", source, make_options(tmp_path, examples=24, validate_every=1), goals=(0.95,))
    assert read_weights(best)[1] != before


def test_weights_to_start_from_are_kept_where_none_get_better(source, tmp_path):
    torch.manual_seed(0)
    given = Restorer()
    options = make_options(tmp_path, examples=8, validate_every=1, validate_first=True)
    best = run("restorer", source, options, goals=(0.9, 0.8, 0.7))
    own = read_weights(best)[0]
    for name, tensor in given.state_dict().items():
        torch.testing.assert_close(own[f"restorer.{name}"], tensor, atol=1e-3, rtol=1e-3)


def test_a_resumed_run_goes_on_from_its_step_and_repeats(source, tmp_path):
    run("restorer", source, make_options(tmp_path / "first", examples=8), dataset=Examples)
    results = []
    for name in ("again", "once-more"):
        shutil.copytree(tmp_path / "first", tmp_path / name)
        seen, lines = [], []
        options = make_options(tmp_path / name, examples=16, seed=3)
        path = run("restorer", source, options, report=lines.append, seen=seen, dataset=Examples, seed=9)
        assert [line["step"] for line in lines if "loss" in line] == [3, 4]
        assert seen == [3 * 1_000_003 + 2]  # other examples than those of the first two steps
        assert path == tmp_path / name / "restorer-best.safetensors"  # the first of equals, from before
        results.append(read_weights(tmp_path / name / "restorer.safetensors")[1])
    assert results[0] == results[1]
    assert results[0] != read_weights(tmp_path / "first" / "restorer.safetensors")[1]


def test_a_finished_run_is_left_as_it_is(source, tmp_path):
    path = run("restorer", source, make_options(tmp_path))
    before, lines = read_weights(path)[1], []
    run("restorer", source, make_options(tmp_path), report=lines.append)
    assert read_weights(path)[1] == before
    assert lines == []


def test_an_interrupt_saves_what_there_is(source, tmp_path):
    def interrupt(line):
        if line["step"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("restorer", source, make_options(tmp_path, examples=400), report=interrupt)
    assert torch.load(tmp_path / "state.ckpt", weights_only=True)["step"] == 2
    assert (tmp_path / "curves.png").exists()
    lines = []
    run("restorer", source, make_options(tmp_path), report=lines.append)
    assert [line["step"] for line in lines if "loss" in line] == [3]


def test_a_validation_that_was_broken_off_is_made_up_for(source, tmp_path):
    asked = []

    def validate(_) -> Scores:
        asked.append(len(asked))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return Scores({}, float(len(asked)))

    def learn() -> None:
        network = Restorer()
        groups = [{"params": list(network.parameters())}]
        options = make_options(tmp_path, examples=8, validate_every=1)
        dataset = FixedBatch(source, make_restorer_examples, 1)
        train(
            "restorer", network, groups, lambda _: dataset, restorer_loss, validate, options, lambda _: None
        )

    with pytest.raises(KeyboardInterrupt):
        learn()
    learn()
    state = torch.load(tmp_path / "state.ckpt", weights_only=True)
    assert (state["step"], state["validated_step"], state["best_step"]) == (2, 2, 2)
    learn()
    assert len(asked) == 3, "what is validated is not validated again"


def test_a_step_that_is_not_finite_changes_nothing(source, tmp_path):
    torch.manual_seed(0)
    network = Restorer()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def nothing(_) -> Scores:
        return Scores({}, 0.0)

    def spoiled(planes, example):
        value, parts = restorer_loss(planes, example)
        return value * float("nan"), parts

    groups = [{"params": list(network.parameters())}]
    options = make_options(tmp_path, examples=4)
    dataset = FixedBatch(source, make_restorer_examples, 1)
    train("restorer", network, groups, lambda _: dataset, spoiled, nothing, options, lambda _: None)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"no state", None])
def test_a_state_that_does_not_fit_is_named(content, source, tmp_path):
    if content is None:
        run("restorer", source, make_options(tmp_path, examples=4))
    else:
        (tmp_path / "state.ckpt").write_bytes(content)
    with pytest.raises(ModelError, match=r"state\.ckpt: is not a state of this network"):
        run("finder", source, make_options(tmp_path))


def test_the_rate_warms_up_and_then_falls():
    options = TrainingOptions(output=None, examples=1200, learning_rate=1e-3, warmup_steps=10)
    rates = [learning_rate_at(step, 100, options) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4, rel=0.01)
    assert max(rates) <= 1e-3
    assert np.argmax(rates) in (9, 10)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(1e-5)
    assert learning_rate_at(250, 100, options) == pytest.approx(1e-5)  # past the end
    flat = TrainingOptions(output=None, examples=1200, learning_rate=1e-3, warmup_steps=0)
    assert learning_rate_at(0, 100, flat) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0), ("examples", 3), ("learning_rate", 0.0), ("seed", -1), ("workers", -1),
        ("average", 1.0), ("validation_count", 0), ("report_every", 0), ("validate_every", 0),
        ("warmup_steps", -1),
    ],
)  # fmt: skip
def test_options_out_of_range_are_named(name, value, tmp_path):
    with pytest.raises(InvalidSettingError, match=f"{name} is"):
        make_options(tmp_path, **{name: value})


def test_a_workers_error_is_told_as_if_it_were_the_programs_own(source, tmp_path):
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"\xff\xd8\xff\xe0")
    options = make_options(tmp_path / "out", workers=1)
    with pytest.raises(UsageError, match=r"^[^\n]*damaged\.jpg: cannot be decoded[^\n]*$"):
        run("finder", replace(source, photos=(damaged,)), options, dataset=Examples)
