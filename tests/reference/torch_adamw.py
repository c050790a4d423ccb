"""AdamW with clipping by the norm of all gradients, in f64 with torch 2.15.0 (`torch.optim.AdamW`,
`torch.nn.utils.clip_grad_norm_`). Writes torch_adamw.json: three tensors, the gradients of every step, and the weights after
it. torch divides by the norm plus 1e-6."""
import json
from pathlib import Path

import torch

torch.manual_seed(3)
shapes, steps = [[5, 7], [11], [1, 3]], 12
settings = {"learning_rate": 0.02, "weight_decay": 0.03, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-6, "clip": 4.0}
# Numbers that f32 holds, so that both programs start from the same.
exact = lambda tensor: tensor.float().double()
weights = [torch.nn.Parameter(exact(torch.randn(shape, dtype=torch.float64))) for shape in shapes]
start = [weight.detach().flatten().tolist() for weight in weights]
optimizer = torch.optim.AdamW(
    weights,
    lr=settings["learning_rate"],
    weight_decay=settings["weight_decay"],
    betas=(settings["beta_1"], settings["beta_2"]),
    eps=settings["epsilon"],
)
rows = []
for step in range(steps):
    # Sizes on both sides of the clip.
    gradients = [exact(torch.randn(shape, dtype=torch.float64) * 0.1 * (step + 1)) for shape in shapes]
    for weight, gradient in zip(weights, gradients):
        weight.grad = gradient.clone()
    norm = float(torch.nn.utils.clip_grad_norm_(weights, settings["clip"]))
    optimizer.step()
    rows.append(
        {
            "gradients": [gradient.flatten().tolist() for gradient in gradients],
            "norm": norm,
            "weights": [weight.detach().flatten().tolist() for weight in weights],
        }
    )
document = {"settings": settings, "shapes": shapes, "start": start, "steps": rows}
Path(__file__).with_suffix(".json").write_text(json.dumps(document) + "\n")
