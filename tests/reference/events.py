"""Reference for the figures of rare events: scikit-learn on made forecasts with many ties.

python tests/reference/events.py > tests/reference/events.json      (scikit-learn 1.9.1, numpy 2.4.6)
"""
import json

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score


def forecasts(count, levels):
    """Risks and outcomes over the uniform numbers of a linear congruential generator (ANSI C)."""
    state, risk, happens = 1, [], []

    def uniform():
        nonlocal state
        state = (1103515245 * state + 12345) % 2**31
        return state / 2**31

    for _ in range(count):
        level = uniform()
        value = np.floor(level * levels) / levels if levels else level
        risk.append(value)
        happens.append(uniform() < 0.02 + 0.2 * level * level)
    return np.array(risk), np.array(happens)


figures = {}
for levels in [0, 7, 40]:
    risk, happens = forecasts(3000, levels)
    figures[str(levels)] = {
        "auc": roc_auc_score(happens, risk),
        "average_precision": average_precision_score(happens, risk),
        "brier": brier_score_loss(happens, risk),
        "log_loss": log_loss(happens, risk),
    }
print(json.dumps({"scikit-learn": sklearn.__version__, "count": 3000, "figures": figures}, indent=1))
