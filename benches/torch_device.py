"""PyTorch's side of `benches/device.rs`: training steps of shapes A, B, C (cuDNN, eager) and D (eager and torch.compile).

    python benches/torch_device.py [--device cuda] [--seconds 130] [--small]

Prints markdown. A step gathers its batch on the device, runs forward and backward, and moves the weights with fused AdamW;
the clock runs between two synchronisations, and the median of five blocks counts, after a warm-up. f32 is measured with
TF32 on and off, bf16 by autocast. A sweep in PyTorch is one training after the other, network and optimiser built anew: a
few are timed and multiplied, and the table says how many. Rows for which `--seconds` leave no time are left out, and said.
With `--device cpu --small` everything runs in tiny sizes, to see that it works.
"""
import argparse
import contextlib
import math
import statistics
import time

import torch
from torch import nn
import torch.nn.functional as F

LSTMS = {  # bars, features, units of the layers, outputs
    "A": (60, 6, (100, 50), 5),
    "B": (50, 4, (50,), 1),
    "C": (60, 10, (128, 64), 4),
}
SMALL_LSTMS = {"A": (6, 3, (10, 5), 5), "B": (5, 3, (5,), 1), "C": (6, 3, (12, 6), 4)}
BATCH, WINDOWS, DROPOUT = 32, 7968, 0.2
SWEEPS = (("A", 64), ("B", 256))
ROUNDS = 5
# Name, TF32, autocast.
PRECISIONS = (("f32, TF32 off", False, False), ("f32, TF32 on", True, False), ("bf16 autocast", True, True))


class LstmNetwork(nn.Module):
    def __init__(self, features, units, outputs):
        super().__init__()
        inputs = (features,) + units[:-1]
        self.layers = nn.ModuleList(nn.LSTM(i, h, batch_first=True) for i, h in zip(inputs, units))
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(units[-1], outputs)

    def forward(self, x):
        for layer in self.layers:
            x, _ = layer(x)
            x = self.dropout(x)
        return self.head(x[:, -1])


class Encoder(nn.Module):
    """Shape D, as in torch_transformer.py."""

    def __init__(self, steps, features, width, heads, layers, middle, outputs):
        super().__init__()
        self.embed = nn.Linear(features, width)
        angle = torch.arange(steps)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(1e4) / width))
        self.register_buffer("positions", torch.stack((angle.sin(), angle.cos()), -1).reshape(steps, width))
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(steps))
        self.dropout = nn.Dropout(0.1)
        layer = nn.TransformerEncoderLayer(width, heads, middle, 0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, outputs)

    def forward(self, x):
        x = self.dropout(self.embed(x) + self.positions)
        return self.head(self.layers(x, mask=self.mask, is_causal=True)[:, -1])


class OutOfTime(Exception):
    pass


class Bench:
    def __init__(self, arguments):
        self.device, self.small = torch.device(arguments.device), arguments.small
        self.end = time.perf_counter() + arguments.seconds

    def synchronise(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def check_time(self):
        if time.perf_counter() > self.end:
            raise OutOfTime

    def set_tf32(self, on):
        torch.backends.cuda.matmul.allow_tf32 = on
        torch.backends.cudnn.allow_tf32 = on

    def cast(self, on):
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if on else contextlib.nullcontext()

    def data(self, windows, steps, features, outputs):
        x = torch.randn(windows, steps, features, device=self.device)
        return x, torch.randn(windows, outputs, device=self.device)

    def trainer(self, network, autocast, forward=None):
        """A function that does one step on the windows of these numbers."""
        optimiser = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)
        forward = forward or network

        def step(x, y, batch):
            optimiser.zero_grad(set_to_none=True)
            with self.cast(autocast):
                loss = F.mse_loss(forward(x[batch]).float(), y[batch])
            loss.backward()
            optimiser.step()

        return step

    def timed(self, work):
        self.synchronise()
        start = time.perf_counter()
        work()
        self.synchronise()
        return time.perf_counter() - start

    def seconds_of_step(self, step, data, batch_size):
        """Median seconds of a step."""
        x, y = data
        batches = torch.randperm(len(x), device=self.device).split(batch_size)
        batches = [batch for batch in batches if len(batch) == batch_size]

        def steps(count):
            for number in range(count):
                step(x, y, batches[number % len(batches)])

        self.timed(lambda: steps(3 if self.small else 20))
        once = self.timed(lambda: steps(3)) / 3
        count = 2 if self.small else max(10, round(0.3 / once))
        rates = []
        for _ in range(ROUNDS):
            self.check_time()
            rates.append(self.timed(lambda: steps(count)) / count)
        return statistics.median(rates)


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(title, *columns):
    print(f"\n## {title}\n")
    row(*columns)
    print("|" + "---|" * len(columns), flush=True)


def attempt(cells, work):
    """A row, or why there is none: one that fails must not end the others."""
    try:
        row(*cells, *work())
    except OutOfTime:
        row(*cells, "left out: no time")
    except Exception as error:  # noqa: BLE001
        row(*cells, "failed: " + " ".join(str(error).split())[:120])


def lstm_steps(bench):
    head("PyTorch, eager: training steps of LSTMs, batch 32", "network", "precision", "us a step", "steps/s", "windows/s")
    for name, (steps, features, units, outputs) in (SMALL_LSTMS if bench.small else LSTMS).items():
        data = bench.data(64 if bench.small else WINDOWS, steps, features, outputs)
        for precision, tf32, autocast in PRECISIONS:

            def measure():
                bench.check_time()
                bench.set_tf32(tf32)
                network = LstmNetwork(features, units, outputs).to(bench.device).train()
                seconds = bench.seconds_of_step(bench.trainer(network, autocast), data, BATCH)
                return f"{1e6 * seconds:.0f}", f"{1 / seconds:.0f}", f"{BATCH / seconds:.0f}"

            attempt((name, precision), measure)


def sweeps(bench):
    head("PyTorch, eager: sweeps, one training after the other", "sweep", "precision", "timed", "seconds of all",
         "model-steps/s")
    for name, trainings in SWEEPS:
        steps, features, units, outputs = (SMALL_LSTMS if bench.small else LSTMS)[name]
        windows = 64 if bench.small else WINDOWS
        x, y = bench.data(windows, steps, features, outputs)
        for precision, tf32, autocast in PRECISIONS:

            def train():
                network = LstmNetwork(features, units, outputs).to(bench.device).train()
                step = bench.trainer(network, autocast)
                for batch in torch.randperm(windows, device=bench.device).split(BATCH):
                    step(x, y, batch)

            def measure():
                bench.check_time()
                bench.set_tf32(tf32)
                timed = 3
                train()
                seconds = bench.timed(lambda: [train() for _ in range(timed)]) / timed
                each = math.ceil(windows / BATCH)
                return f"{timed}, times {trainings / timed:.1f}", f"{trainings * seconds:.2f}", f"{each / seconds:.0f}"

            attempt((f"{trainings} x {name}, one epoch of {windows} windows", precision), measure)


def transformer_steps(bench):
    shape = (5, 4, 16, 2, 2, 32, 2) if bench.small else (25, 40, 256, 8, 6, 1024, 4)
    batch = 8 if bench.small else 128
    head(f"PyTorch: training steps of D, batch {batch}", "how", "precision", "us a step", "steps/s", "windows/s",
         "first step, s")
    data = bench.data(64 if bench.small else 4096, shape[0], shape[1], shape[-1])
    for how in ("eager", "compile"):
        for precision, tf32, autocast in PRECISIONS:

            def measure():
                bench.check_time()
                bench.set_tf32(tf32)
                network = Encoder(*shape).to(bench.device).train()
                forward = torch.compile(network) if how == "compile" else network
                step = bench.trainer(network, autocast, forward)
                # torch.compile works at the first step.
                first = bench.timed(lambda: step(*data, torch.arange(batch, device=bench.device)))
                seconds = bench.seconds_of_step(step, data, batch)
                return f"{1e6 * seconds:.0f}", f"{1 / seconds:.0f}", f"{batch / seconds:.0f}", f"{first:.1f}"

            attempt((how, precision), measure)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=130, help="no row begins after so many")
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    torch.manual_seed(1)
    if bench.device.type == "cuda":
        if not torch.cuda.is_available():
            print("Nothing to measure: PyTorch sees no CUDA device.")
            return
        print(f"# {torch.cuda.get_device_name(bench.device)}")
    else:
        torch.set_num_threads(1)
        print("# cpu")
    print(f"\ntorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}")
    lstm_steps(bench)
    sweeps(bench)
    transformer_steps(bench)


if __name__ == "__main__":
    main()
