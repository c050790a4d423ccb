"""Reference for Hansen's test and White's reality check: arch's SPA on made books.

python tests/reference/superior_ability.py > tests/reference/superior_ability.json      (arch 8.0.0, numpy 2.4.6)

arch compares means that are not divided by their deviations, so the books are scaled to equal deviations first. Returns
are rounded to single precision.
"""
import json

import arch
import numpy as np
from arch.bootstrap import SPA

PERIODS, BOOKS, BLOCK = 250, 6, 8


def numbers(count, seed):
    """Uniform numbers in -0.5..0.5 of a linear congruential generator (ANSI C)."""
    state, values = seed, []
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        values.append(state / 2**31 - 0.5)
    return np.array(values)


def books():
    """Mean 0 but for a shift, one in the last book clearly bad, with some memory."""
    rows = []
    for book, shift in enumerate([0.0003, 0.0, 0.0006, -0.0003, 0.0009, -0.002]):
        noise = 0.02 * numbers(PERIODS + 1, 10 + book)
        own = noise[1:] + 0.3 * noise[:-1]
        rows.append(own - own.mean() + shift)
    return np.float64(np.float32(rows))


def test_of(returns):
    """SPA takes losses: the benchmark's are 0."""
    spa = SPA(np.zeros(PERIODS), -returns.T, block_size=BLOCK, reps=20_000, bootstrap="stationary", seed=1)
    spa.compute()
    return spa


unequal = books()
returns = np.float64(np.float32(0.01 * unequal / np.sqrt(test_of(unequal)._loss_diff_var)[:, None]))
spa = test_of(returns)
print(
    json.dumps(
        {
            "arch": arch.__version__,
            "block_length": BLOCK,
            "reps": 20_000,
            "standardised": list(map(float, np.sqrt(PERIODS / spa._loss_diff_var) * returns.mean(1))),
            "p_values": {name: float(value) for name, value in spa.pvalues.items()},
            "returns": [[float(np.float32(value)) for value in book] for book in returns],
        },
        indent=1,
    )
)
