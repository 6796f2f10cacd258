"""Solutions to notebook 10: hidden states."""

import numpy as np


# 10.1: Rows that are divided by their lengths have length 1, and the dot product of two such rows
# is their cosine. `keepdims` keeps the axis, so that each row is divided by its own length. If
# only one of the two is divided, or the whole by one number, long vectors still count for more.
def cosines(a, b):
    a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    b = b / np.linalg.norm(b, axis=-1, keepdims=True)
    return a @ b.T


# 10.2: A rank is the number of logits that are larger, and 1 for the token itself. The true token
# differs from place to place and is the same after every layer, so `take_along_axis` picks one
# logit for each layer and place. `argmax` says only who is first, not how far behind the true one
# is.
def ranks(logits, true_ids):
    true = np.take_along_axis(logits, true_ids[None, :, None], axis=-1)  # (layers, t, 1)
    return (logits > true).sum(axis=-1) + 1


# 10.3: Each pair has names of its own, so the gap is taken row by row. The share is the way that
# a patch has gone, divided by the whole way from the corrupted gap to the clean one. It may be
# below 0 or above 1, and cutting it there would hide a patch that does harm. Divided by the clean
# gap alone, a patch without effect would not get 0.
def restored(patched, clean, corrupted, names):
    rows = np.arange(len(names))

    def gap(logits):
        return logits[rows, names[:, 0]] - logits[rows, names[:, 1]]

    return (gap(patched) - gap(corrupted)) / (gap(clean) - gap(corrupted))


# 10.4: In each round a head is tried *together with* those that are taken already, so one that
# brings only what is there gains nothing. Sorted by what each head does alone, two that bring the
# same would both be taken. The loop ends as soon as the share is reached. Trying all sets might
# find a smaller one, but 16 heads make 65,536 sets. On Falcon it ends after one round, with layer
# 3, head 0: that head alone turns 100% of the answers, so the order of section 6 was good enough
# there.
def find_circuit(restores, heads, share):
    circuit = []
    while not circuit or restores(circuit) < share:
        others = [head for head in heads if head not in circuit]
        circuit.append(max(others, key=lambda head: restores([*circuit, head])))
    return circuit
