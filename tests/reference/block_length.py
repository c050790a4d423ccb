"""Reference for `expected_block_length`: arch's optimal_block_length, stationary column, on two made series.

python tests/reference/block_length.py > tests/reference/block_length.json      (arch 8.0.0, numpy 2.4.6)
"""
import json

import arch
import numpy as np
from arch.bootstrap import optimal_block_length


def series(count, memory):
    """AR(1) over the uniform numbers of a linear congruential generator (ANSI C)."""
    state, value, values = 1, 0.0, []
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        value = memory * value + state / 2**31 - 0.5
        values.append(value)
    return np.array(values)


lengths = {
    f"{memory}": float(optimal_block_length(series(2000, memory))["stationary"].iloc[0])
    for memory in (0.3, 0.6, 0.9)
}
print(json.dumps({"arch": arch.__version__, "count": 2000, "stationary": lengths}, indent=1))
