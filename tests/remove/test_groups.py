from __future__ import annotations

import numpy as np
import pytest

from cleanplate.remove.groups import fit_groups, label_groups

from .scenes import blend, letters, photograph
from .test_estimate import gather


def test_letters_of_a_word_are_one_group_and_far_words_are_two() -> None:
    word = letters(120, 200) > 0.02
    assert label_groups(word)[1] == 1
    both = np.zeros((120, 900), bool)
    both[:, :200] = word
    both[:, 700:] = word
    labels, count = label_groups(both)
    assert count == 2
    assert set(np.unique(labels[both])) == {1, 2}
    assert not labels[~both].any()


def test_marks_of_two_opacities_get_a_fit_each() -> None:
    clean = np.hstack([photograph(), photograph(), photograph()])
    matte = np.hstack([letters(120, 200), np.zeros((120, 200), np.float32), letters(120, 200)])
    light = matte.copy()
    light[:, 300:] = 0
    marked = blend(clean, light, 0.3, (1.0, 1.0, 1.0))
    marked = blend(marked, matte - light, 0.8, (0.0, 0.0, 0.0))
    labels, count = label_groups(matte > 0.02)
    groups = fit_groups(gather(marked, matte), labels[matte > 0.02], count)
    fits = [group.fit for group in groups]
    assert count == 2
    assert fits[0] is not None
    assert fits[1] is not None
    assert sorted(fit.opacity for fit in fits if fit) == pytest.approx([0.3, 0.8], abs=0.1)


def test_equal_marks_share_one_fit() -> None:
    clean = np.hstack([photograph(), photograph(), photograph()])
    matte = np.hstack([letters(120, 200), np.zeros((120, 200), np.float32), letters(120, 200)])
    marked = blend(clean, matte, 0.5, (1.0, 1.0, 1.0))
    labels, count = label_groups(matte > 0.02)
    hints = np.full(int((matte > 0.02).sum()), 0.5, np.float32)
    groups = fit_groups(gather(marked, matte), labels[matte > 0.02], count, hints)
    assert count == 2
    assert groups[0].fit is groups[1].fit


def test_no_groups_give_no_fits() -> None:
    matte = letters(120, 200)
    assert fit_groups(gather(photograph(), matte), np.zeros(int((matte > 0.02).sum()), np.int32), 0) == []
