"""Reference for logistic regression with a ridge penalty: scikit-learn on windows of made features.

python tests/reference/logistic.py > tests/reference/logistic.json
(scikit-learn 1.9.1, numpy 2.4.6)

scikit-learn minimises C * sum(log-loss) + |w|^2 / 2, so C = 1 / penalty; its intercept is not penalised.
"""
import json
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression

warnings.simplefilter("error")
ROWS, WINDOW, TRAIN = 260, 3, 200


def numbers(count, seed):
    """Uniform numbers in -0.5..0.5 of a linear congruential generator (ANSI C)."""
    state, values = seed, []
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        values.append(state / 2**31 - 0.5)
    return np.array(values)


def main():
    # Numbers that f32 holds exactly; the second feature lies far from 0, as a price does.
    features = [np.round(numbers(ROWS, 1) * 4096) / 1024, 500 + np.round(numbers(ROWS, 2) * 4096) / 256]
    noise = numbers(ROWS, 3)
    signal = features[0] + 0.3 * (features[1] - 500) + 0.5 * np.roll(features[0], 1)
    targets = [(signal + 3 * noise > 0).astype(int), (signal + 3 * np.roll(noise, 7) > 3.5).astype(int)]
    columns = np.stack(features, axis=1)
    ends = range(WINDOW - 1, ROWS)
    x = np.array([columns[end - WINDOW + 1 : end + 1].ravel() for end in ends])
    y = np.array([[target[end] for target in targets] for end in ends])
    cases = []
    for penalty in [0.01, 1.0, 50.0]:
        for picked in [[], [0], [1]]:
            keep = [k for k in range(x.shape[1]) if not picked or k % 2 in picked]
            forecasts = []
            for horizon in range(2):
                model = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-14, max_iter=1000)
                centre = x[:TRAIN, keep].mean(axis=0)
                model.fit(x[:TRAIN, keep] - centre, y[:TRAIN, horizon])
                forecasts.append(model.predict_proba(x[TRAIN:, keep] - centre)[:, 1].tolist())
            cases.append({"penalty": penalty, "picked": picked, "forecasts": forecasts})
    data = {
        "window": WINDOW,
        "train": TRAIN,
        "features": [list(feature) for feature in features],
        "targets": [target.tolist() for target in targets],
        "cases": cases,
    }
    print(json.dumps(data))


main()
