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


def shape_of(value):
    return [value.type, *value.shape]


def check(case):
    onnx.checker.check_model(case["model"], full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(case["model"], options, providers=["CPUExecutionProvider"])
    (given,), (got,) = session.get_inputs(), session.get_outputs()
    facts = session.get_modelmeta().custom_metadata_map
    length, features = int(facts["window"]), len(json.loads(facts["features"]))
    horizons = len(json.loads(facts["horizons_bars"]))
    windows = numpy.fromfile(case["windows"], "<f8").reshape(-1, length, features)
    expected = numpy.fromfile(case["forecasts"], "<f8").reshape(len(windows), horizons)
    (together,) = session.run(["forecast"], {"window": windows})
    start = time.perf_counter()
    alone = [session.run(["forecast"], {"window": windows[row : row + 1]})[0] for row in range(len(windows))]
    seconds = time.perf_counter() - start
    alone = numpy.concatenate(alone)
    assert together.dtype == numpy.float64 and together.shape == expected.shape == alone.shape
    assert numpy.isfinite(together).all() and numpy.isfinite(expected).all()
    return {
        "name": case["name"],
        "windows": len(windows),
        "input": [given.name, *shape_of(given)],
        "output": [got.name, *shape_of(got)],
        "metadata": facts,
        "deviation": float(expected.std(axis=0).max()),
        "difference": float(abs(together - expected).max()),
        "difference_alone": float(abs(alone - expected).max()),
        "microseconds_alone": 1e6 * seconds / len(windows),
    }


print(json.dumps([check(case) for case in json.load(open(sys.argv[1]))], indent=1))
