"""Reference numbers of PyTorch for the encoder layer and for attention alone.

    python tests/reference/torch_transformer.py > tests/reference/torch_transformer.json

Made with torch 2.15.0 in f64, seed 7. Weights are written in this engine's order: norm of attention (scale, shift),
queries-keys-values (weight `[inputs, outputs]`, bias), attention's output, norm of the perceptron, expand, contract.
Gradients are those of sum(y * direction).
"""

import json

import torch
from torch import nn

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
BATCH, LENGTH, WIDTH, HEADS, MIDDLE = 2, 5, 6, 2, 10


def listed(tensor):
    return [round(value, 9) for value in tensor.detach().flatten().tolist()]


def flat(layer, of):
    def linear(module_weight, module_bias):
        return [of(module_weight).T.reshape(-1), of(module_bias)]

    attention = layer.self_attn
    parts = [of(layer.norm1.weight), of(layer.norm1.bias)]
    parts += linear(attention.in_proj_weight, attention.in_proj_bias)
    parts += linear(attention.out_proj.weight, attention.out_proj.bias)
    parts += [of(layer.norm2.weight), of(layer.norm2.bias)]
    parts += linear(layer.linear1.weight, layer.linear1.bias)
    parts += linear(layer.linear2.weight, layer.linear2.bias)
    return torch.cat(parts)


def encoder(norm_first, activation, causal):
    layer = nn.TransformerEncoderLayer(
        WIDTH, HEADS, MIDDLE, 0.0, activation, batch_first=True, norm_first=norm_first
    ).train()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    x = torch.randn(BATCH, LENGTH, WIDTH, requires_grad=True)
    mask = nn.Transformer.generate_square_subsequent_mask(LENGTH, dtype=torch.float64) if causal else None
    y = layer(x, src_mask=mask, is_causal=causal)
    direction = torch.randn_like(y)
    (y * direction).sum().backward()
    return {
        "norm_first": norm_first,
        "activation": activation,
        "causal": causal,
        "x": listed(x),
        "weights": listed(flat(layer, lambda parameter: parameter)),
        "direction": listed(direction),
        "y": listed(y),
        "of_x": listed(x.grad),
        "of_weights": listed(flat(layer, lambda parameter: parameter.grad)),
    }


def attention(causal):
    qkv = torch.randn(BATCH, LENGTH, 3 * WIDTH, requires_grad=True)
    parts = [part.reshape(BATCH, LENGTH, HEADS, -1).transpose(1, 2) for part in qkv.chunk(3, -1)]
    y = nn.functional.scaled_dot_product_attention(*parts, is_causal=causal)
    y = y.transpose(1, 2).reshape(BATCH, LENGTH, WIDTH)
    direction = torch.randn_like(y)
    (y * direction).sum().backward()
    return {
        "causal": causal,
        "qkv": listed(qkv),
        "direction": listed(direction),
        "y": listed(y),
        "of_qkv": listed(qkv.grad),
    }


print(
    json.dumps(
        {
            "torch": torch.__version__,
            "shape": [BATCH, LENGTH, WIDTH, HEADS, MIDDLE],
            "encoder": [encoder(True, "relu", True), encoder(False, "gelu", False)],
            "attention": [attention(True), attention(False)],
        }
    )
)
