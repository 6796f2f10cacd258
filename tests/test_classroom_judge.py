"""The judge gives every known answer the points that the checks give it in one process."""

from tools import assignments

import pytest

pytest.importorskip("nbgrader")

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", assignments.find(), ids=lambda path: path.stem)
def test_good_blank_and_wrong_answers_get_their_points(path):
    notebook = assignments.read(path)
    full = assignments.tasks(notebook)
    other = {}
    with assignments.judged(notebook) as points:
        assert points(notebook) == full
        for name, answers in assignments.wrong_answers(path).items():
            for what, edit in answers.items():
                got = points(assignments.answered(notebook, {name: edit}), name)[name]
                if got != edit[0]:
                    other[name, what] = got, edit[0]
        assert points(assignments.blank(notebook)) == dict.fromkeys(full, 0)
    assert other == {}
