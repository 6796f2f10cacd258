"""Checks of assignment 7: what each patient has, and examinations that find it."""

from falcon_edu.backbone import FalconBackbone
from falcon_edu.checks.exercise import expect, given
from falcon_edu.checks.graded import Graded
from falcon_edu.checks.patients import SmallFalcon, patient
from falcon_edu.checks.patients.stories import STORIES, SUSPECTS

import numpy as np

# === Diagnoses ===


def _diagnosis(number):
    task, record = Graded(), STORIES[number]

    @task.part(1, f"what patient {number} has")
    def _(answer, rng):
        expect(
            isinstance(answer, str) and answer in SUSPECTS,
            f"choose a key of `check.SUSPECTS`, such as 'alibi missing'. Received: {answer!r}",
        )
        far = f"{SUSPECTS[answer]}: that would not show in the way that you saw."
        expect(answer == record.suspect, record.why_not.get(answer, far))

    return task


(
    suspect_1,
    suspect_2,
    suspect_3,
    suspect_4,
    suspect_5,
    suspect_6,
    suspect_7,
    suspect_8,
    suspect_9,
) = map(_diagnosis, range(1, 10))


def story(number, suspect):
    """Tells where a defect happened, to whoever has found it.

    Args:
        number: of the patient.
        suspect: the learner's diagnosis.

    >>> story(1, "no mask")
    The story of patient 1 comes with the right diagnosis.
    """
    if suspect == STORIES[number].suspect:
        print(STORIES[number].text)
    else:
        print(f"The story of patient {number} comes with the right diagnosis.")


# === Examinations ===


class _InFloat32(SmallFalcon):
    """A healthy Falcon that rounds, as every real one does."""

    dtype = "float32"


def _with_other_weights(falcon, rng):
    """The same Falcon, but `random(seed)` gives weights that nobody has seen."""
    shift = int(rng.integers(1000, 2000))

    class Other(falcon):  # type: ignore[valid-type, misc]
        @classmethod
        def random(cls, seed=0, **settings):
            return super().random(seed + shift, **settings)

    return Other


def finds_fault(examine, falcon):
    """Whether an examination finds fault with a Falcon.

    Args:
        examine: a function of a class, true where all is well; an assertion that fails is false.
        falcon: a class, such as `SmallFalcon` or `patient(1)`.

    >>> finds_fault(lambda Falcon: Falcon.random().run([[1, 2]]).logits.sum() > 1e6, SmallFalcon)
    True
    """
    try:
        healthy = examine(falcon)
    except AssertionError:
        return True
    healthy = given(healthy)
    expect(
        isinstance(healthy, (bool, np.bool_)),
        f"an examination returns True or False, but yours returned a {type(healthy).__name__}.",
    )
    return not healthy


def _examination(number):
    task = Graded()

    @task.part(1, f"stops patient {number}, and no healthy Falcon")
    def _(answer, rng):
        expect(callable(answer), "an examination is a function of a class.")
        healthy: dict = {"a healthy Falcon": SmallFalcon}
        if number == 9:
            healthy = {"a healthy backbone": FalconBackbone}
        else:
            healthy["a healthy Falcon in float32: allow for rounding"] = _InFloat32
            other = _with_other_weights(SmallFalcon, rng)
            healthy["a healthy Falcon with other weights: do not expect certain numbers"] = other
        for what, falcon in healthy.items():
            expect(not finds_fault(answer, falcon), f"your examination finds fault with {what}.")
        sick = patient(number)
        sick = [sick] if number == 9 else [sick, _with_other_weights(sick, rng)]
        passes = not all(finds_fault(answer, falcon) for falcon in sick)
        expect(not passes, f"patient {number} passes: {STORIES[number].missed}")

    return task


(
    examine_1,
    examine_2,
    examine_3,
    examine_4,
    examine_5,
    examine_6,
    examine_7,
    examine_8,
    examine_9,
) = map(_examination, range(1, 10))

# === Telling two apart ===

tell_apart = Graded()


def _expect_told(answer, falcon, wanted):
    got = given(answer(falcon))
    expect(
        got in ("healthy", "twice", "early"),
        f"return 'healthy', 'twice' or 'early'. Received: {got!r}",
    )
    expect(got == wanted, f"a Falcon that is '{wanted}' was taken for '{got}'.")


@tell_apart.part(1, "one that is healthy, and patient 4")
def _(answer, rng):
    _expect_told(answer, SmallFalcon, "healthy")
    _expect_told(answer, patient(4), "twice")


@tell_apart.part(1, "patient 5, and all three with other weights")
def _(answer, rng):
    for falcon, wanted in ((SmallFalcon, "healthy"), (patient(4), "twice"), (patient(5), "early")):
        _expect_told(answer, falcon, wanted)
        _expect_told(answer, _with_other_weights(falcon, rng), wanted)
    _expect_told(answer, _InFloat32, "healthy")
