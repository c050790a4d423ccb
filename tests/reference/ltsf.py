"""ltsf.py ETTh1.parquet|csv: figures of the LTSF protocol on ETTh1 by other means than the engine's, all windows kept.

Written with numpy 2.x and pyarrow; prints JSON: mean squared and absolute error on scaled values over windows x horizons x
channels, for horizons 96, 192, 336, 720. `repeat` forecasts the last value; `nlinear` is ridge regression (penalty 1 on
standardised values, no intercept) of the next values on the last 336, both relative to the last value, one for all
channels. Training rows 0..8640, test 11520..14400; scaling by mean and population deviation of the training rows.
"""
import json
import sys

import numpy as np

CHANNELS = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
TRAIN, VALIDATION, TEST, BACK, PENALTY = 8640, 11520, 14400, 336, 1.0


def table(path):
    if path.endswith(".csv"):
        return np.genfromtxt(path, delimiter=",", skip_header=1, usecols=range(1, 8))
    import pyarrow.parquet as parquet

    frame = parquet.read_table(path, columns=CHANNELS)
    return np.stack([frame[name].to_numpy() for name in CHANNELS], axis=1)


def windows(values, start, end, horizon):
    """Past [N, BACK] and future [N, horizon] relative to the last value, all channels one below the other."""
    cut = np.lib.stride_tricks.sliding_window_view(values[start:end], BACK + horizon, axis=0)
    cut = np.swapaxes(cut, 0, 1).reshape(-1, BACK + horizon)
    last = cut[:, BACK - 1 : BACK]
    return cut[:, : BACK - 1] - last, cut[:, BACK:] - last


def main():
    values = table(sys.argv[1])[:TEST]
    values = (values - values[:TRAIN].mean(0)) / values[:TRAIN].std(0)
    found = {}
    for horizon in (96, 192, 336, 720):
        past, future = windows(values, 0, TRAIN, horizon)
        seen, wanted = windows(values, VALIDATION - BACK, TEST, horizon)
        gram = past.T @ past + PENALTY * np.eye(BACK - 1)
        error = seen @ np.linalg.solve(gram, past.T @ future) - wanted
        found[str(horizon)] = {
            "windows": len(wanted) // len(CHANNELS),
            "repeat": [float((wanted**2).mean()), float(np.abs(wanted).mean())],
            "nlinear": [float((error**2).mean()), float(np.abs(error).mean())],
        }
    print(json.dumps(found, indent=1))


main()
