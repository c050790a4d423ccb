"""PyTorch's side of shape D: samples per CPU second of a whole training step on one thread.

    taskset -c 1 python benches/torch_transformer.py [fp32|bf16] [seconds a block]

The same function as `transformer` of this engine: 40 numeric inputs -> linear -> sinusoidal positions -> dropout -> 6
causal pre-norm encoder layers of width 256 with 8 heads and a perceptron of 1024 units with ReLU -> layer norm -> linear
at the last position; dropout 0.1, mean squared error, fused AdamW. bf16 is autocast. A step gathers its batch, runs
forward and backward, and moves the weights. Prints the median of 7 blocks of process CPU time.
"""

import contextlib
import math
import statistics
import sys
import time

import torch
from torch import nn

STEPS, FEATURES, WIDTH, HEADS, LAYERS, MIDDLE, OUTPUTS, BATCH, ROWS = 25, 40, 256, 8, 6, 1024, 4, 128, 4096

precision = sys.argv[1] if len(sys.argv) > 1 else "fp32"
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
torch.set_num_threads(1)
torch.manual_seed(0)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(FEATURES, WIDTH)
        angle = torch.arange(STEPS)[:, None] * torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(1e4) / WIDTH))
        self.register_buffer("positions", torch.stack((angle.sin(), angle.cos()), -1).reshape(STEPS, WIDTH))
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(STEPS))
        self.dropout = nn.Dropout(0.1)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, MIDDLE, 0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, OUTPUTS)

    def forward(self, x):
        x = self.dropout(self.embed(x) + self.positions)
        return self.head(self.layers(x, mask=self.mask, is_causal=True)[:, -1])


x, y = torch.randn(ROWS, STEPS, FEATURES), torch.randn(ROWS, OUTPUTS)
model = Encoder().train()
optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
generator = torch.Generator().manual_seed(1)


def step():
    rows = torch.randint(0, ROWS, (BATCH,), generator=generator)
    cast = torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()
    optimizer.zero_grad()
    with cast:
        loss = nn.functional.mse_loss(model(x[rows]), y[rows])
    loss.backward()
    optimizer.step()


for _ in range(2):
    step()
start = time.process_time()
step()
steps = max(1, round(seconds / (time.process_time() - start)))
rates = []
for _ in range(7):
    start = time.process_time()
    for _ in range(steps):
        step()
    rates.append(steps * BATCH / (time.process_time() - start))
parameters = sum(p.numel() for p in model.parameters())
print(
    f"torch {torch.__version__} {precision}: {statistics.median(rates):.1f} samples per CPU second "
    f"({min(rates):.1f} to {max(rates):.1f}), {parameters} parameters"
)
