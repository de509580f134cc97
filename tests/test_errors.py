"""Errors say file, cause and remedy, and cross process borders whole."""

import pickle
from pathlib import Path

import pytest

from cleanplate import errors


@pytest.mark.parametrize(
    "kind",
    [
        errors.UnreadablePhotoError,
        errors.UnsupportedPhotoError,
        errors.UnwritablePhotoError,
        errors.RepairFailedError,
    ],
)
def test_photo_errors_carry_their_three_parts_through_a_pickle(kind):
    error = pickle.loads(pickle.dumps(kind("a/b.jpg", "it is empty", "copy it again")))
    assert type(error) is kind
    assert (error.path, error.cause, error.remedy) == (Path("a/b.jpg"), "it is empty", "copy it again")
    assert "it is empty; copy it again" in str(error)


def test_an_invalid_setting_comes_through_a_pickle():
    error = pickle.loads(pickle.dumps(errors.InvalidSettingError("batch_size", 0, "a whole number from 1")))
    assert str(error) == "batch_size is 0; wanted: a whole number from 1"
    assert (error.name, error.given) == ("batch_size", 0)


def test_too_little_memory_comes_through_a_pickle():
    error = pickle.loads(
        pickle.dumps(errors.TooLittleMemoryError("a crop needs 9 GB", "close other programs"))
    )
    assert (error.cause, error.remedy) == ("a crop needs 9 GB", "close other programs")
    assert str(error) == "a crop needs 9 GB; close other programs"


def test_everything_raised_on_purpose_has_one_root():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    raised = [kind for kind in kinds if issubclass(kind, Exception)]
    assert len(raised) > 8
    assert all(issubclass(kind, errors.CleanplateError) for kind in raised)


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = errors.__doc__ or ""
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert kind.__name__ in drawn
