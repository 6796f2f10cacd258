"""Checks of assignment 7: what each patient has, and examinations that find it."""

from falcon_edu.backbone import FalconBackbone
from falcon_edu.checks.exercise import Wrong, expect, given
from falcon_edu.checks.graded import Graded
from falcon_edu.checks.patients import SmallFalcon, patient
from falcon_edu.checks.patients.stories import STORIES, SUSPECTS

import numpy as np

# === Stories ===


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


def _expect_found(number, examine, rng):
    """That an examination stops a patient and no healthy Falcon."""
    expect(callable(examine), "an examination is a function of a class.")
    healthy: dict = {"a healthy Falcon": SmallFalcon}
    if number == 9:
        healthy = {"a healthy backbone": FalconBackbone}
    else:
        healthy["a healthy Falcon in float32: allow for rounding"] = _InFloat32
        other = _with_other_weights(SmallFalcon, rng)
        healthy["a healthy Falcon with other weights: do not expect certain numbers"] = other
    for what, falcon in healthy.items():
        expect(not finds_fault(examine, falcon), f"your examination finds fault with {what}.")
    sick = patient(number)
    sick = [sick] if number == 9 else [sick, _with_other_weights(sick, rng)]
    passes = not all(finds_fault(examine, falcon) for falcon in sick)
    expect(not passes, f"patient {number} passes: {STORIES[number].missed}")


# === Cases: a diagnosis, and an examination ===


def _case(number):
    task, record = Graded(), STORIES[number]

    @task.part(1, f"an examination that stops patient {number}, and no healthy Falcon")
    def _(answer, rng):
        _, examine = answer
        _expect_found(number, examine, rng)

    @task.part(1, f"what patient {number} has, together with such an examination")
    def _(answer, rng):
        suspect, examine = answer
        expect(
            isinstance(suspect, str) and suspect in SUSPECTS,
            f"choose a key of `check.SUSPECTS`, such as 'alibi missing'. Received: {suspect!r}",
        )
        far = f"{SUSPECTS[suspect]}: that would not show in the way that you saw."
        expect(suspect == record.suspect, record.why_not.get(suspect, far))
        # Seventeen suspects are soon tried, so a name alone is worth nothing.
        try:
            _expect_found(number, examine, rng)
        except Wrong:
            raise Wrong("that is it, and it counts as soon as your examination does.") from None

    return task


case_1, case_2, case_3, case_4, case_5, case_6, case_7, case_8, case_9 = map(_case, range(1, 10))

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
