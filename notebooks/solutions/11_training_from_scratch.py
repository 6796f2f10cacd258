"""Solutions to notebook 11: training from scratch."""

import numpy as np


def limit(words, times):
    return np.log(words) / times


def adam_step(weight, gradient, mean, square, step, learning_rate, b1=0.9, b2=0.999, epsilon=1e-7):
    mean = b1 * mean + (1 - b1) * gradient
    square = b2 * square + (1 - b2) * gradient**2
    direction = mean / (1 - b1**step) / (np.sqrt(square / (1 - b2**step)) + epsilon)
    return weight - learning_rate * direction, mean, square


def mirrored(words):
    mark = np.zeros((len(words), 1), "int32")
    ids = np.concatenate([mark, words, mark, words[:, ::-1]], axis=1)
    weights = np.ones(ids.shape)
    weights[:, [0, words.shape[1] + 1]] = 0
    return ids, weights


def rule(ids, vocabulary_size):
    counts = np.zeros((len(ids), vocabulary_size))
    for q in range(len(ids)):
        for j in range(q):
            if ids[j] == ids[q]:
                counts[q, ids[j + 1]] += 1
    counts[counts.sum(axis=1) == 0] = 1
    return counts / counts.sum(axis=1, keepdims=True)
