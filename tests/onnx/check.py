"""Checks exported models with onnx and runs them with onnxruntime (versions: requirements.txt).

Reads a JSON list of cases: `name`, `model` (an ONNX file), `windows` and `forecasts` (files of little-endian float64:
`[N, T, F]` raw features and `[N, H]` what Candlewick forecast for them). Prints a JSON list with, for each case, what the
file says of itself and the largest absolute difference between the two programs, for one batch of all windows and for
batches of one, and microseconds a window. Use: python check.py cases.json
"""

import json
import sys
import time

import numpy
import onnx
import onnxruntime


def forecast_of(model, table):
    """How the README says that a file is used: `table` holds a column of raw values for each feature, the newest last."""
    session = onnxruntime.InferenceSession(model)
    facts = session.get_modelmeta().custom_metadata_map
    columns = [table[name][-int(facts["window"]) :] for name in json.loads(facts["features"])]
    window = numpy.stack(columns, axis=1)[None].astype("float64")  # [1, T, F]
    return session.run(["forecast"], {"window": window})[0][0]  # a number a horizon: facts["horizons_bars"]


def shape_of(value):
    return [value.type, *value.shape]


def check(case):
    onnx.checker.check_model(case["model"], full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(case["model"], options, providers=["CPUExecutionProvider"])
    (given,), (got,) = session.get_inputs(), session.get_outputs()
    facts = session.get_modelmeta().custom_metadata_map
    length, features = int(facts["window"]), json.loads(facts["features"])
    horizons = len(json.loads(facts["horizons_bars"]))
    windows = numpy.fromfile(case["windows"], "<f8").reshape(-1, length, len(features))
    expected = numpy.fromfile(case["forecasts"], "<f8").reshape(len(windows), horizons)
    start = time.perf_counter()
    (together,) = session.run(["forecast"], {"window": windows})
    middle = time.perf_counter()
    alone = [session.run(["forecast"], {"window": windows[row : row + 1]})[0] for row in range(len(windows))]
    end = time.perf_counter()
    alone = numpy.concatenate(alone)
    table = {name: windows[7, :, column] for column, name in enumerate(features)}
    assert numpy.allclose(forecast_of(case["model"], table), alone[7], rtol=1e-6)
    assert together.dtype == numpy.float64 and together.shape == expected.shape == alone.shape
    assert numpy.isfinite(together).all() and numpy.isfinite(expected).all()
    return {
        "name": case["name"],
        "windows": len(windows),
        "input": [given.name, *shape_of(given)],
        "output": [got.name, *shape_of(got)],
        "metadata": facts,
        "difference": float(abs(together - expected).max()),
        "difference_alone": float(abs(alone - expected).max()),
        "microseconds_together": 1e6 * (middle - start) / len(windows),
        "microseconds_alone": 1e6 * (end - middle) / len(windows),
    }


print(json.dumps([check(case) for case in json.load(open(sys.argv[1]))], indent=1))
