"""Solutions to notebook 12: LoRA."""

import numpy as np


# 12.1: `a` has the kernel's axes but the last, and then the rank; `b` is the rank by the last.
# For `(128, 4, 32)` the heads are therefore among the inputs, and multiply into `a`: adding the
# axes up, or counting the heads in `b`, gives other numbers.
def factor_count(shape, rank):
    *inputs, outputs = shape
    return int(np.prod(inputs)) * rank + rank * outputs


# 12.2: With the first factors side by side and the second ones one below the other, the product
# is the sum of the two products, and the ranks add up. A strength stands in one of the two
# factors: in both it would count squared, and roots in both can't make a negative strength.
# Adding up the two `a`, and the two `b`, would also multiply each `a` by the other's `b`.
def join_adapters(first, second, strength, other_strength):
    (a, b), (other_a, other_b) = first, second
    joined_a = np.concatenate([strength * a, other_strength * other_a], axis=1)
    return joined_a, np.concatenate([b, other_b], axis=0)


# 12.3: The singular values are sorted, so the first `rank` of them, with their directions, are
# the nearest that a sum of so many outer products comes to the update (Eckart and Young 1936).
# They are multiplied into one of the factors: left out, all directions are equally strong, and in
# both they count squared. The rows of `v` are directions already, so it isn't transposed.
def squeeze(update, rank):
    u, s, v = np.linalg.svd(update, full_matrices=False)
    return u[:, :rank] * s[:rank], v[:rank]


# 12.4: The whole kernel would have the gradient `x.T @ upstream`; each factor gets it through the
# other one, times the scale. A gradient has the shape of what it belongs to, and that tells which
# factor is transposed and on which side it stands. If `b` is zero, the gradient of `a` is zero:
# in the first step only `b` moves.
def factor_gradients(x, upstream, a, b, scale):
    kernel = x.T @ upstream  # the gradient that the whole kernel would have
    return scale * kernel @ b.T, scale * a.T @ kernel
