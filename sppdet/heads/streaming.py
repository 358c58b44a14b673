"""A linear SVM whose examples are too many for a Gram matrix: dual coordinate descent in blocks.

The examples are read block by block, the products of a block with itself suffice for many steps in
it (Yu, Hsieh, Chang and Lin, "Large linear classification when data cannot fit in memory", 2010),
and a step solves for one dual variable (Hsieh, Chang, Lin, Keerthi and Sundararajan, "A dual
coordinate descent method for large-scale linear SVM", 2008, algorithm 1). Memory holds the weights,
one block, and the products of each block: for n examples n x ``BLOCK`` floats in place of n x n.
"""

import numpy as np
from numpy.typing import NDArray

from sppdet.heads.examples import ClassExamples

BLOCK = 256
"""Examples of a block."""

MOST_ROUNDS, CHECK = 400, 5
"""Rounds over all blocks, and those after which it is computed how far the solution is."""

BIAS = 2.0
"""The value of the bias's feature in a round, for features of norm 20; with 10 the rounds are five
times as many."""


def fit_in_blocks(
    examples: ClassExamples,
    cost: NDArray[np.float64],
    tolerance: float = 1e-3,
    seed: int = 0,
) -> tuple[NDArray[np.float32], float]:
    """Minimise |w|^2 / 2 + sum_i cost_i max(0, 1 - y_i (w . x_i + b)).

    The bias is not penalised. In each round it is, by (b - c)^2 / (2 BIAS^2) with the bias c of the
    round before (the proximal point method): so coordinate descent, which has no equality
    constraint, solves for it as for another weight, and the penalty vanishes in the end. The mean
    of the features is taken from them, which changes b alone and makes the rounds few.

    Args:
        examples: of both signs.
        cost: (n,), of each example.
        tolerance: the rounds end when the objective exceeds that of the dual problem by less than
            this part of it.
        seed: of the blocks and of the order in them.

    Returns:
        w (D,) and b. The objective exceeds the least one by about 0.1 % for the default
        (``tests/heads/test_streaming.py``).
    """
    random = np.random.default_rng([seed, 5])
    count = len(examples)
    signs = examples.signs.astype(np.float64)
    blocks = [
        np.sort(part) for part in np.split(random.permutation(count), range(BLOCK, count, BLOCK))
    ]
    sums = [examples.take(block).float().sum(dim=0).numpy() for block in blocks]
    middle = np.sum(sums, axis=0) / np.float32(count)
    duals = np.zeros(count)
    weight = np.zeros(examples.dimension, np.float32)
    bias = best = 0.0
    scores = np.empty(count)
    products: list[NDArray[np.float32]] = []
    for turn in range(MOST_ROUNDS):
        bias += BIAS**2 * float(signs @ duals)  # that of the round before is the new c
        order = random.permutation(len(blocks)) if products else range(len(blocks))
        for number in map(int, order):
            block = blocks[number]
            rows = examples.take(block).float().numpy() - middle
            if turn == 0:
                products.append(rows @ rows.T)
            change = _solve_block(
                products[number],
                rows @ weight,
                signs[block],
                duals[block],
                cost[block],
                bias,
                random,
            )
            duals[block] += change
            steps = signs[block] * change
            weight += rows.T @ steps.astype(np.float32)
            bias += BIAS**2 * float(steps.sum())
        if turn % CHECK == CHECK - 1 or turn == MOST_ROUNDS - 1:
            for block in blocks:
                scores[block] = (examples.take(block).float().numpy() - middle) @ weight
            best = best_bias(scores, signs, cost)
            half = float(weight @ weight) / 2
            objective = half + float(cost @ np.maximum(1 - signs * (scores + best), 0))
            # The equality constraint does not hold exactly; the best bias may be a margin off.
            unequal = float(signs @ duals)
            dual = float(duals.sum()) - half - best * unequal - abs(unequal)
            if objective - dual < tolerance * objective:
                break
    return weight, best - float(weight @ middle)


def best_bias(
    scores: NDArray[np.float64], signs: NDArray[np.float64], cost: NDArray[np.float64]
) -> float:
    """The b that minimises sum_i cost_i max(0, 1 - y_i (s_i + b)), of an interval the middle.

    The sum is convex and its slope rises by cost_i at b = y_i - s_i, from that of all positives.
    """
    places = signs - scores
    order = np.argsort(places, kind="stable")
    slopes = -cost[signs > 0].sum() + np.cumsum(cost[order])
    flat = 1e-12 * cost.sum()
    first = min(int(np.searchsorted(slopes, -flat)), len(order) - 1)
    last = min(int(np.searchsorted(slopes, flat, side="right")), len(order) - 1)
    return float(places[order[first]] + places[order[last]]) / 2


def _solve_block(
    products: NDArray[np.float32],
    scores: NDArray[np.float32] | NDArray[np.float64],
    signs: NDArray[np.float64],
    duals: NDArray[np.float64],
    cost: NDArray[np.float64],
    bias: float,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Steps of the dual variables (m,) of one block.

    Args:
        products: (m, m), of its examples.
        scores: (m,), of its examples by the weights, without the bias.
        signs, duals, cost: (m,).
        bias: of this moment.

    Returns:
        The steps (m,).
    """
    kernel = products.astype(np.float64) + BIAS**2
    margins = scores.astype(np.float64) + bias
    new = duals.copy()
    diagonal = np.maximum(kernel.diagonal(), 1e-12)
    for i in random.permutation(len(signs)).tolist():
        old = new[i]
        value = min(max(old - (signs[i] * margins[i] - 1) / diagonal[i], 0.0), cost[i])
        if value != old:
            new[i] = value
            margins += (value - old) * signs[i] * kernel[i]
    return new - duals
