"""Checks of notebook 17: attribution, copying, a probe with its control, directions taken out."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given

import numpy as np


@exercise(
    wants="a number",
    nudge="The norm divides by one number, and that number belongs to the whole state.",
    hint="Take `head_output @ rows`, subtract its mean, divide by "
    "`np.sqrt(state.var() + epsilon)`, multiply by gamma, and take the product with `difference`.",
    praise="With the norm held fixed, what a head wrote is a number.",
)
def attributed(answer):
    """Exercise 17.1."""
    rng = np.random.default_rng(0)
    for width, epsilon in ((6, 0.5), (9, 1e-5)):
        head_output, rows = rng.normal(size=3), rng.normal(size=(3, width))
        state, difference = 3 * rng.normal(size=(2, width)) + 1
        gamma = rng.uniform(0.5, 2, width)
        got = given(
            answer(
                head_output.copy(),
                rows.copy(),
                state.copy(),
                gamma.copy(),
                difference.copy(),
                epsilon,
            )
        )
        written = head_output @ rows
        scale = 1 / np.sqrt(state.var() + epsilon)
        wanted = (written - written.mean()) * scale * gamma @ difference
        if np.shape(got) == ():
            of_itself = (written - written.mean()) / np.sqrt(written.var() + epsilon)
            for wrong, message in (
                (written * scale * gamma @ difference, "the norm takes the mean out, too."),
                (wanted / scale, "the norm also divides: by the deviation of the state."),
                (
                    of_itself * gamma @ difference,
                    "you divide by the deviation of what the head wrote. The norm knows only "
                    "that of the whole state.",
                ),
                (
                    (written - written.mean()) * scale @ difference,
                    "gamma is missing: the norm multiplies by it.",
                ),
            ):
                expect(not np.allclose(got, wrong), message)
        expect_close(got, wanted, f"what the head wrote, in a stream of width {width},")


@exercise(
    wants="a number from -1 to 1",
    nudge="The eigenvalues may be complex. Which of their parts cancels in a sum, and which not?",
    hint="The large matrix is `left @ right`. Its eigenvalues other than 0 are those of the small "
    "`right @ left`: `np.linalg.eigvals`. Divide their sum by the sum of their sizes.",
    praise="A matrix of a million numbers, judged by a few.",
)
def copying(answer):
    """Exercise 17.2."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 4))
    mixed = x @ np.diag([1.0, 2.0, -0.5, -1.0])
    turned = x @ np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    cases = {
        "a head that copies": (x, x.T),
        "a head that strikes out": (x, -x.T),
        "a head that does some of both": (mixed, x.T),
        "a head whose eigenvalues are complex": (turned, x.T),
    }
    for what, (left, right) in cases.items():
        got = given(answer(left.copy(), right.copy()))
        values = np.linalg.eigvals(right @ left)
        wanted = values.sum().real / abs(values).sum()
        if np.ndim(got) == 0 and np.iscomplexobj(got):
            expect(abs(np.imag(got)) < 1e-9, "the sum is real: something else is complex here.")
            got = np.real(got)
        if np.shape(got) == ():
            expect(
                not (np.allclose(got, values.sum().real) and not np.isclose(wanted, got)),
                "this is the sum of the eigenvalues: divide by the sum of their sizes.",
            )
            for wrong, message in (
                (
                    values.real.sum() / abs(values.real).sum(),
                    "the size of a complex number is `abs` of it, not of its real part.",
                ),
                (
                    (values.real > 0).mean(),
                    "you count the eigenvalues; let each count by its size.",
                ),
            ):
                expect(not (np.isclose(got, wrong) and not np.isclose(wanted, wrong)), message)
        expect_close(got, wanted, f"the score of {what}")


@exercise(
    wants="a number",
    nudge="Which examples may the probe see, and which is it asked about? And whose labels has it "
    "learned when you test the control?",
    hint="Twice the same, with `labels` and with `control`: "
    "`predict = fit(states[~test], labels[~test])`, then the share that "
    "`predict(states[test])` gets right. Subtract the second from the first.",
    praise="What is left is what the states know, and not what the probe can learn by heart.",
)
def selectivity(answer):
    """Exercise 17.3."""
    rng = np.random.default_rng(2)
    for count, width in ((60, 3), (40, 2)):
        states = rng.normal(size=(count, width))
        labels = (states[:, 0] > 0).astype(int)
        control = rng.permutation(labels)
        test = rng.permutation(count) < count // 4

        def fit(some, theirs, count=count, test=test):
            """Predict by the nearest example."""
            some, theirs = np.asarray(some), np.asarray(theirs)
            expect(
                len(some) == len(theirs),
                f"`fit` was given {len(some)} states and {len(theirs)} labels.",
            )
            expect(
                len(some) == count - test.sum(),
                f"`fit` was given {len(some)} examples: it may see only the "
                f"{count - test.sum()} that are not kept for the test.",
            )

            def predict(asked):
                distance = np.linalg.norm(np.asarray(asked)[:, None] - some, axis=-1)
                return theirs[distance.argmin(axis=1)]

            return predict

        shares = []
        for these in (labels, control):
            predicted = fit(states[~test], these[~test])(states[test])
            shares.append((predicted == these[test]).mean())
        got = given(answer(fit, states.copy(), labels.copy(), control.copy(), test.copy()))
        if np.shape(got) == ():
            for wrong, message in (
                (shares[0], "this is the accuracy alone: subtract that of the control."),
                (shares[1] - shares[0], "the other way round: the true labels first."),
                (
                    shares[0]
                    - (fit(states[~test], labels[~test])(states[test]) == control[test]).mean(),
                    "the control has a probe of its own: fit it to the control's labels.",
                ),
            ):
                is_it = np.isclose(got, wrong) and not np.isclose(wrong, shares[0] - shares[1])
                expect(not is_it, message)
        expect_close(got, shares[0] - shares[1], "the selectivity")


@exercise(
    wants="an array (states, m)",
    nudge="Two directions that are not at right angles share a part. What happens to it if you "
    "take out one after the other?",
    hint="First make the directions orthonormal: `q, _ = np.linalg.qr(directions.T)`, of shape "
    "(m, k). Then `states - states @ q @ q.T`.",
    praise="Nothing along them is left, and nothing else has changed.",
)
def project_out(answer):
    """Exercise 17.4."""
    rng = np.random.default_rng(3)
    states, directions = rng.normal(size=(5, 7)), rng.normal(size=(3, 7))
    first = directions[:1]
    q, _ = np.linalg.qr(first.T)
    got = given(answer(states.copy(), first.copy()))
    if np.shape(got) == states.shape:
        expect(
            not np.allclose(got, states @ q @ q.T),
            "you return the part along the direction. It is to be taken away.",
        )
        expect(
            not np.allclose(got, states - states @ first.T @ first),
            "the direction has a length of its own: bring it to 1 first.",
        )
        expect(not np.allclose(got, states - first), "you subtract the direction itself.")
    expect_close(got, states - states @ q @ q.T, "the states without one direction")
    q, _ = np.linalg.qr(directions.T)
    got = given(answer(states.copy(), directions.copy()))
    if np.shape(got) == states.shape:
        left = np.abs(np.asarray(got) @ directions.T).max()
        expect(
            left < 1e-6,
            f"along one of the three directions a state still has {left:.2g}. They are not at "
            "right angles, so taking out one brings back a part of another.",
        )
    expect_close(got, states - states @ q @ q.T, "the states without three directions")
