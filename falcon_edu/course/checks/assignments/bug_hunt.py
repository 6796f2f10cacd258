"""Checks of assignment 7: what each patient has, and examinations that find it."""

from dataclasses import asdict
from inspect import isfunction
from typing import Any

from falcon_edu.course.checks.exercise import Wrong, expect, given
from falcon_edu.course.checks.graded import Graded
from falcon_edu.course.checks.patients import SmallFalcon, patient
from falcon_edu.course.checks.patients.stories import STORIES, SUSPECTS
from falcon_edu.model.backbone import FalconBackbone
from falcon_edu.model.config import FalconConfig

import numpy as np

# === Stories ===


def story(number, suspect):
    """Tell where a defect happened, to whoever has found it.

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


def in_disguise(number, is_cured, shift=0, dtype=None):
    """Make a patient, or its healthy twin, that only an examination can tell from the other.

    Both have the same name and the same base, so that it is no use to ask who they are.

    Args:
        number: of the patient.
        is_cured: true for a healthy Falcon.
        shift: added to the seeds of random weights, so that nobody has seen those.
        dtype: what it computes in, if not what the patient does.

    >>> sick, healthy = in_disguise(1, False), in_disguise(1, True)
    >>> sick.__name__ == healthy.__name__, sick.__mro__[1] is healthy.__mro__[1]
    (True, True)
    """
    sick = patient(number)
    healthy = sick.__mro__[1]
    whose = healthy if is_cured else sick
    steps = {name: _step(whose, name) for name, f in vars(sick).items() if isfunction(f)}
    return with_steps(healthy, steps, shift, dtype)


def with_steps(base, steps, shift=0, dtype=None):
    """Make a class some of whose steps are taken elsewhere.

    In a student's process it is made anew, and there the steps are questions to the judge: of who
    it is, nothing crosses.

    Args:
        base: a healthy class.
        steps: functions of a configuration, as a dictionary, a dtype and the step's own arguments.
        shift, dtype: as in `in_disguise`.
    """
    made: Any = type("Falcon", (base,), {name: _method(step) for name, step in steps.items()})
    if dtype:
        made.dtype = dtype
    if shift:
        # `made` is what draws: `cls` may be a class that a learner has made of it.
        drawn = vars(SmallFalcon)["random"].__func__
        made.random = classmethod(lambda cls, seed=0, **s: drawn(cls, seed + shift, **s))
    made.made_of = with_steps, (base, steps, shift, dtype)
    return made


def _method(step):
    def method(self, *args):
        dtype = self.dtype if isinstance(self, SmallFalcon) else None
        return step(asdict(self.config), dtype, *args)

    return method


def _step(whose, name):
    def step(config, dtype, *args):
        if name == "trains_biases":
            return whose.trains_biases(None)
        falcon = whose({}, FalconConfig(**config))
        falcon.dtype = dtype
        if name == "scores":  # of all queries with all keys
            query, key = args[:2]
            if query.size * key.shape[1] > 100_000_000:
                raise ValueError("This text is too long for a small Falcon.")
        return getattr(falcon, name)(*args)

    return step


def _shift(rng):
    return int(rng.integers(1000, 2000))


def finds_fault(examine, falcon):
    """True if an examination finds fault with a Falcon.

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
    """Check that an examination stops a patient and no healthy Falcon, in any order."""
    expect(callable(examine), "an examination is a function of a class.")
    fault, missed = "your examination finds fault with", STORIES[number].missed
    if number == 9:
        guests = [
            (FalconBackbone, f"{fault} a healthy backbone."),
            (in_disguise(9, True), f"{fault} a healthy backbone."),
            (in_disguise(9, False), None),
        ]
    else:
        shift = _shift(rng)
        single = (
            f"{fault} a healthy Falcon in float32: allow for rounding (`atol=1e-3`). To try it: "
            "`class Single(SmallFalcon): dtype = 'float32'`."
        )
        other = f"{fault} a healthy Falcon with other weights: do not expect certain numbers."
        guests = [
            (in_disguise(number, True), f"{fault} a healthy Falcon."),
            (in_disguise(number, True, dtype="float32"), single),
            (in_disguise(number, True, shift), other),
            (in_disguise(number, False), None),
            (in_disguise(number, False, shift), None),
        ]
    found = {}
    for place in rng.permutation(len(guests)):  # an answer can't know whose turn it is
        found[place] = finds_fault(examine, guests[place][0])
    for place, (_, wrong) in enumerate(guests):
        expect(wrong is None or not found[place], wrong)
    passes = not all(found[place] for place, (_, wrong) in enumerate(guests) if wrong is None)
    expect(not passes, f"patient {number} passes: {missed}")


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


def _expect_all_told(answer, guests, rng):
    for place in rng.permutation(len(guests)):
        _expect_told(answer, *guests[place])


@tell_apart.part(1, "one that is healthy, and patient 4")
def _(answer, rng):
    guests = [(in_disguise(4, True), "healthy"), (in_disguise(4, False), "twice")]
    _expect_all_told(answer, guests, rng)


@tell_apart.part(1, "patient 5, and all three with other weights")
def _(answer, rng):
    guests = [(in_disguise(5, True, dtype="float32"), "healthy")]
    for number, is_cured, wanted in (
        (4, True, "healthy"),
        (4, False, "twice"),
        (5, False, "early"),
    ):
        guests.append((in_disguise(number, is_cured), wanted))
        guests.append((in_disguise(number, is_cured, _shift(rng)), wanted))
    _expect_all_told(answer, guests, rng)
