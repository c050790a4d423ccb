"""AdamW, algorithm 2 of Loshchilov and Hutter 2019, in f64 with numpy 2.4.6. Writes adamw.in (a Rust array)."""
from pathlib import Path

import numpy as np

rate, decay, beta_1, beta_2, epsilon, factor = 0.1, 0.05, 0.9, 0.999, 1e-8, 0.5
weight, m, v = np.array([0.5, -1.0, 2.0]), np.zeros(3), np.zeros(3)
rows = []
for step, gradient in enumerate([[0.1, -0.2, 0.0], [0.3, 0.1, -0.5], [-0.2, 0.4, 1e-4]], start=1):
    g = factor * np.array(gradient)
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    m_hat, v_hat = m / (1 - beta_1**step), v / (1 - beta_2**step)
    weight = weight - rate * (m_hat / (np.sqrt(v_hat) + epsilon) + decay * weight)
    rows.append("[" + ", ".join(repr(float(value)) for value in weight) + "]")
Path(__file__).with_suffix(".in").write_text("[" + ", ".join(rows) + "]\n")
