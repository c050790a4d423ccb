"""What a sweep costs with PyTorch: trainings of one LSTM shape one after the other, one thread a process.

    python benches/torch_sweep.py A 32 7904     # shape, trainings, windows that each training learns from

Run two of them side by side to use two cores, as `candlewick sweep configs/sweeps/population.yaml --threads 2` does.
Data are random numbers made before the clock starts; the clock runs over all trainings, model building included.
Prints one JSON line. Measured with torch 2.15.0 (CPU) and numpy 2.4.6.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

SHAPES = {  # steps, features, units of the layers, outputs
    "A": (60, 6, (100, 50), 5),
    "B": (50, 4, (50,), 1),
    "C": (60, 10, (128, 64), 4),
}
BATCH, DROPOUT = 32, 0.2


class Network(torch.nn.Module):
    def __init__(self, features, units, outputs):
        super().__init__()
        inputs = (features,) + units[:-1]
        self.layers = torch.nn.ModuleList(torch.nn.LSTM(i, h, batch_first=True) for i, h in zip(inputs, units))
        self.dropout = torch.nn.Dropout(DROPOUT)
        self.head = torch.nn.Linear(units[-1], outputs)

    def forward(self, x):
        for layer in self.layers:
            x, _ = layer(x)
            x = self.dropout(x)
        return self.head(x[:, -1])


def main():
    shape, trainings, windows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    steps, features, units, outputs = SHAPES[shape]
    torch.set_num_threads(1)
    torch.manual_seed(1)
    x, y = torch.randn(windows, steps, features), torch.randn(windows, outputs)
    wall, cpu = time.perf_counter(), time.process_time()
    for training in range(trainings):
        network = Network(features, units, outputs).train()
        optimiser = torch.optim.AdamW(network.parameters(), 1e-3 / (1 + training), fused=True)
        for batch in torch.randperm(windows).split(BATCH):
            optimiser.zero_grad()
            F.mse_loss(network(x[batch]), y[batch]).backward()
            optimiser.step()
    seconds = time.perf_counter() - wall
    print(json.dumps({"shape": shape, "trainings": trainings, "seconds": round(seconds, 2),
                      "cpu_seconds": round(time.process_time() - cpu, 2),
                      "windows_per_second": round(trainings * windows / seconds)}))


main()
