"""Solutions to notebook 09: attention maps."""

import numpy as np


# 9.1: The sum runs over the keys of a row, and the exponential turns its nats into a number of
# tokens: five equal weights have an entropy of $\ln 5$. With a 1 in the place of each 0 the
# logarithm is 0, as the term should be; `0 * np.log(0)` is nan. Counting the weights above 0
# takes a weight of 0.001 for a whole token.
def tokens_looked_at(weights):
    logs = np.log(np.where(weights > 0, weights, 1))  # (q, k)
    return np.exp(-(weights * logs).sum(axis=1))


# 9.2: Queries run down and keys across, and each id is compared with each. A token is always the
# same as itself, so the diagonal has to go, or every head that looks at itself would pass for one
# of this kind. `k=-1` leaves what lies strictly before. Falcon has no such head. For
# `np.stack([same_token(row) for row in ids])`, `verdict` says NO: the best, layer 2, head 2, has 9%
# of its weight there, and an even head 4%. In the repeated lists the best has 5%, an even head 2%.
def same_token(token_ids):
    same = token_ids[:, None] == token_ids[None, :]  # (query, key)
    return same & np.tri(len(token_ids), k=-1, dtype=bool)


# 9.3: A weight only makes a vector longer or shorter, so the length is the weight times the
# length of `value @ kernel`. That belongs to the key, and multiplies along the last axis of the
# map. Before the output projection a vector may be long and still write little.
def written(weights, value, kernel):
    return weights * np.linalg.norm(value @ kernel, axis=1)  # (q, k) * (k,)


# 9.4: What is added to a score multiplies the weight by its exponential, and Falcon divides the
# bias by $\sqrt{h}$ as it does the scores. So each weight divided by that exponential has lost
# one ALiBi, and dividing by the row's sum makes a softmax of it again. Halving weights, or
# subtracting from them, undoes nothing that a softmax did.
def mend(weights, slope, head_dim):
    bias = slope * np.arange(weights.shape[1]) / np.sqrt(head_dim)
    powers = weights / np.exp(bias)  # the same as taking the bias off the scores
    return powers / powers.sum(axis=1, keepdims=True)
