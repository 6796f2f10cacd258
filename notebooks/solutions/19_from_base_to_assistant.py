"""Solutions to notebook 19: from base to assistant, exactly graded."""

import math

import numpy as np


def answer_weights(token_ids, assistant, end):
    places = np.arange(token_ids.shape[1])
    # Where each of the two stood last, up to each place; -1 for never.
    begun, ended = (
        np.maximum.accumulate(np.where(token_ids == token, places, -1), axis=1)
        for token in (assistant, end)
    )
    return (begun > ended)[:, :-1]


def pass_at_k(tries, right, k):
    return 1 - math.comb(tries - right, k) / math.comb(tries, k)


def advantages(rewards):
    others = rewards.sum(axis=1, keepdims=True) - rewards
    return rewards - others / (rewards.shape[1] - 1)


def dpo_loss(chosen, rejected, chosen_before, rejected_before, beta):
    margins = beta * ((chosen - chosen_before) - (rejected - rejected_before))
    return np.logaddexp(0, -margins).mean()  # -ln(sigmoid(margin))
