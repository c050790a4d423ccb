"""Reads the event files of an exported sweep with TensorBoard itself and compares them with sweep.json.

Run by the ignored test `tensorboard_reads_the_same_values`; written for tensorboard 2.21.0.
Usage: python tensorboard_events.py SWEEP_DIRECTORY (with the export in its folder `tensorboard`).
"""

import json
import struct
import sys
from pathlib import Path

from tensorboard import version
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

single = lambda value: struct.unpack("f", struct.pack("f", value))[0]
root = Path(sys.argv[1])
trials = json.loads((root / "sweep.json").read_text())["trials"]
points = settings = 0
for trial in trials:
    events = EventAccumulator(str(root / "tensorboard" / f"trial_{trial['number']:02}"), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    found = [(event.step, event.value) for event in events.Scalars("validation_loss")] if "validation_loss" in tags else []
    assert found == [(epoch, single(loss)) for epoch, loss in trial["curve"]], trial["number"]
    metric = [event.value for event in events.Scalars("validation.loss")] if "validation.loss" in tags else []
    assert metric == ([] if trial["value"] is None else [single(trial["value"])]), trial["number"]
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    session = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    for path, value in trial["settings"].items():
        read = session.hparams[path]
        expected = json.dumps(value, separators=(",", ":")) if isinstance(value, list) else value
        assert getattr(read, read.WhichOneof("kind")) == expected, (trial["number"], path)
        settings += 1
    assert len(session.hparams) == len(trial["settings"])
    points += len(found) + len(metric)
print(f"tensorboard {version.VERSION}: {len(trials)} trials agree, {points} points, {settings} settings")
