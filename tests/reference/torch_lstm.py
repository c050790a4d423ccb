"""Two LSTM layers, the second one's last output, and all gradients, in f64 with torch 2.15.0 (`torch.nn.LSTM`, autograd).
Writes torch_lstm.json. torch has two biases; the second one is zero. Its weights are transposed here into [1 + I + H, 4H]:
bias, input, recurrent; torch's order of gates is ours (input, forget, cell, output)."""
import json
from pathlib import Path

import torch

torch.manual_seed(5)
steps, batch, sizes = 7, 5, [3, 4, 2]
# Numbers that f32 holds, so that both programs start from the same.
exact = lambda tensor: tensor.float().double()
layers = [torch.nn.LSTM(inputs, units, batch_first=True).double() for inputs, units in zip(sizes, sizes[1:])]
for layer in layers:
    for name, weight in layer.named_parameters():
        zero = name.startswith("bias_hh")
        weight.data = torch.zeros_like(weight) if zero else exact(torch.randn_like(weight) * 0.7)


def stacked(bias, inputs, recurrent):
    return torch.cat([bias[None, :], inputs.T, recurrent.T]).flatten().tolist()


x = exact(torch.randn(batch, steps, sizes[0], dtype=torch.float64)).requires_grad_()
shares = exact(torch.randn(batch, sizes[-1], dtype=torch.float64))
sequence = x
for layer in layers:
    sequence, _ = layer(sequence)
output = sequence[:, -1]
(output * shares).sum().backward()
document = {
    "sizes": [batch, steps, *sizes],
    "x": x.detach().flatten().tolist(),
    "shares": shares.flatten().tolist(),
    "weights": [stacked(l.bias_ih_l0.detach(), l.weight_ih_l0.detach(), l.weight_hh_l0.detach()) for l in layers],
    "output": output.detach().flatten().tolist(),
    "of_x": x.grad.flatten().tolist(),
    "of_weights": [stacked(l.bias_ih_l0.grad, l.weight_ih_l0.grad, l.weight_hh_l0.grad) for l in layers],
}
Path(__file__).with_suffix(".json").write_text(json.dumps(document) + "\n")
