"""Solutions to notebook 19: from base to assistant, exactly graded."""

import math

import numpy as np


# 19.1: The assistant speaks at a place if its own token came later than the last end. So for each of
# the two tokens the running maximum of its places says where it stood last, -1 for never, and one
# comparison decides for all places at once. The place of the end itself no longer speaks, but the
# label of the place before is that end, so it counts. The last column has no label and goes.
def answer_weights(token_ids, assistant, end):
    places = np.arange(token_ids.shape[1])
    # Where each of the two stood last, up to each place; -1 for never.
    begun, ended = (
        np.maximum.accumulate(np.where(token_ids == token, places, -1), axis=1)
        for token in (assistant, end)
    )
    return (begun > ended)[:, :-1]


# 19.2: All choices of `k` among the tries are equally likely. Those without a right one take all
# their `k` from the wrong tries, and `comb` counts them, as 0 where there are fewer than `k`. What
# is left holds a right one. With the share `p` of right tries, `1 - (1 - p)**k` would draw the same
# try twice, and is too low for few tries.
def pass_at_k(tries, right, k):
    return 1 - math.comb(tries - right, k) / math.comb(tries, k)


# 19.3: The sum over the others is the sum over all without one's own reward, and there is one less
# of them. With its own reward in the baseline, each advantage would shrink by the same factor, the
# number of tries less one, over that number: the direction stays, and the step gets shorter.
def advantages(rewards):
    others = rewards.sum(axis=1, keepdims=True) - rewards
    return rewards - others / (rewards.shape[1] - 1)


# 19.4: The logarithm of a quotient is a difference, so the margin is how much the chosen answer has
# gained since the start, less what the rejected one has. And -ln(sigmoid(x)) is ln(1 + e^-x), which
# `logaddexp(0, -x)` computes from the larger of the two: so e^-x can't grow beyond what a float
# holds.
def dpo_loss(chosen, rejected, chosen_before, rejected_before, beta):
    margins = beta * ((chosen - chosen_before) - (rejected - rejected_before))
    return np.logaddexp(0, -margins).mean()  # -ln(sigmoid(margin))
