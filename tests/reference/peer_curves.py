"""Equity curves of one moving-average cross by vectorbt and bt, bar by bar: python peer_curves.py

1,500 made bars (seeded, whole ticks of 0.01, gaps between close and next open), fast 5, slow 20, long while the fast mean is above
the slow one, 10 bps each way, cash 100,000. vectorbt in the four cases fill x size, bt in the one that it knows (same close, all
in). Writes peer_bars.csv and peer_curves.csv. Made with vectorbt 1.2.0, bt 1.4.1, numpy 2.4, pandas 3.
"""
import csv
import os

import bt
import numpy as np
import pandas as pd
import vectorbt as vbt

BARS, FAST, SLOW, FEE, CASH = 1500, 5, 20, 0.001, 100000.0
HERE = os.path.dirname(os.path.abspath(__file__))

random = np.random.Generator(np.random.PCG64(20261120))
wave = 0.004 * np.sin(2 * np.pi * np.arange(BARS) / 90.0)
close = np.rint(10000 * np.exp(np.cumsum(wave * 0.3 + 0.004 * random.standard_normal(BARS)))).astype(np.int64)
open_ = np.concatenate([[10000], close[:-1]]) + np.rint(15 * random.standard_normal(BARS)).astype(np.int64)
high = np.maximum(open_, close) + random.integers(0, 20, BARS)
low = np.minimum(open_, close) - random.integers(0, 20, BARS)
ticks = np.concatenate([[0], np.cumsum(close)])
wanted = np.zeros(BARS, bool)
rows = np.arange(SLOW - 1, BARS)
wanted[rows] = (ticks[rows + 1] - ticks[rows + 1 - FAST]) * SLOW > (ticks[rows + 1] - ticks[rows + 1 - SLOW]) * FAST

index = pd.date_range("2025-01-01", periods=BARS, freq="1D")
prices = pd.Series(close / 100.0, index=index)
opens = pd.Series(open_ / 100.0, index=index)
curves = {}
for fill in ("next_open", "same_close"):
    entries = pd.Series(wanted if fill == "same_close" else np.concatenate([[False], wanted[:-1]]), index=index)
    for size in ("fixed", "all_in"):
        book = vbt.Portfolio.from_signals(
            prices, entries, ~entries, price=prices if fill == "same_close" else opens, fees=FEE, init_cash=CASH,
            size=1.0 if size == "fixed" else np.inf, freq="1D",
        )
        curves[f"vectorbt {fill} {size}"] = book.value().to_numpy()

weights = pd.DataFrame({"A": np.where(wanted, 1.0, 0.0)}, index=index)
strategy = bt.Strategy("s", [bt.algos.RunOnDate(*index[np.concatenate([[False], wanted[1:] != wanted[:-1]])]),
                             bt.algos.WeighTarget(weights), bt.algos.Rebalance()])
test = bt.Backtest(strategy, pd.DataFrame({"A": prices}), initial_capital=CASH, integer_positions=False,
                   commissions=lambda quantity, price: abs(quantity) * price * FEE)
done = bt.run(test)
curves["bt same_close all_in"] = done.backtests["s"].strategy.values.reindex(index).to_numpy()

with open(os.path.join(HERE, "peer_bars.csv"), "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["open", "high", "low", "close"])
    writer.writerows([[f"{value / 100:.2f}" for value in bar] for bar in zip(open_, high, low, close)])
with open(os.path.join(HERE, "peer_curves.csv"), "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(curves)
    writer.writerows([[repr(float(value)) for value in row] for row in zip(*curves.values())])
print({name: (curve[-1], len(curve)) for name, curve in curves.items()}, int((wanted[1:] != wanted[:-1]).sum()))
