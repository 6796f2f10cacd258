"""Solutions to notebook 11: training from scratch."""

import numpy as np


# 11.1: The first time, nothing can tell which word comes, so each costs `np.log(words)`. Every
# later time it can be copied and costs nothing, so the mean is that divided by `times`. `np.log2`
# would give bits, not nats.
def limit(words, times):
    return np.log(words) / times


# 11.2: The running means start at 0 and are too small at first, so each is divided by what its
# weights so far add up to, `1 - beta ** step`; without that the first step would be three times
# as long. Epsilon stands behind the root, and keeps a weight whose gradient is 0 from being
# divided by 0. The means are returned as they are: corrected ones would be corrected once more in
# the next step.
def adam_step(weight, gradient, mean, square, step, learning_rate, b1=0.9, b2=0.999, epsilon=1e-7):
    mean = b1 * mean + (1 - b1) * gradient
    square = b2 * square + (1 - b2) * gradient**2
    direction = mean / (1 - b1**step) / (np.sqrt(square / (1 - b2**step)) + epsilon)
    return weight - learning_rate * direction, mean, square


# 11.3: `words[:, ::-1]` turns each list round, while `words[::-1]` would only exchange the lists.
# Bars weigh nothing, because only words count. Each step to the right in the second half is a
# step to the left in the first, so the line to expect falls the other way: it is an antidiagonal.
# No head has it. After 300 steps the second half costs about half a nat a word, and the best head
# has about a sixth of its weight on the words to be said, where an even head has 6%. Which word
# comes next can also be known by counting alone, for all lists are equally long: place 15 finds it
# at place 6, whatever the words are.
def mirrored(words):
    mark = np.zeros((len(words), 1), "int32")
    ids = np.concatenate([mark, words, mark, words[:, ::-1]], axis=1)
    weights = np.ones(ids.shape)
    weights[:, [0, words.shape[1] + 1]] = 0
    return ids, weights


# 11.4: Every earlier place with the same id has one vote, for the id that came right after it, so
# an id that came twice gets two shares. The place itself has none: what follows it is what is to
# be predicted. Where nobody votes, all ids are equally likely, and in the end each row is divided
# by its sum. With 0.001 more for each id, the second lists of `test_ids` cost 0.20 nats a word by
# this rule: 0.98 after a word that comes twice, where the votes are divided, and 0.06 elsewhere,
# which is what the thousandths take. The model pays about 0.14 and 0.01 (section 9), so it does not
# only vote: it must look at more than the last word.
def rule(ids, vocabulary_size):
    counts = np.zeros((len(ids), vocabulary_size))
    for q in range(len(ids)):
        for j in range(q):
            if ids[j] == ids[q]:
                counts[q, ids[j + 1]] += 1
    counts[counts.sum(axis=1) == 0] = 1
    return counts / counts.sum(axis=1, keepdims=True)
