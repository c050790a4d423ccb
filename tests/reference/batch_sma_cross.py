"""Figures of four books of a grid, by vectorbt 1.2.0 and by a plain loop: python batch_sma_cross.py REF_50K.parquet

Long while the fast mean is above the slow one, all in, filled at the next open, 10 bps each way, cash 100,000, one-minute
bars. Means are compared as sums of whole ticks of 0.01, so that no rounding decides. Written to batch_sma_cross.json where
both agree. Measured with vectorbt 1.2.0, numba 0.68, numpy 2.4, pyarrow, on the seeded bars of ref_50k.parquet.
"""
import json
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import vectorbt as vbt

FEE, CASH, PERIODS = 0.001, 100000.0, 525600.0
PAIRS = [(10, 150), (20, 250), (50, 450), (100, 1050)]


def plain(opens, closes, wanted):
    cash, units, before, high, deepest, orders, returns = CASH, 0.0, CASH, CASH, 0.0, 0, []
    for bar in range(len(closes)):
        if bar > 0 and wanted[bar - 1] and units == 0.0:
            units = cash / (opens[bar] * (1 + FEE))
            cash = 0.0
            orders += 1
        elif bar > 0 and not wanted[bar - 1] and units > 0.0:
            cash = units * opens[bar] * (1 - FEE)
            units = 0.0
            orders += 1
        worth = cash + units * closes[bar]
        returns.append(worth / before - 1)
        before = worth
        high = max(high, worth)
        deepest = min(deepest, worth / high - 1)
    returns = np.array(returns)
    ratio = returns.mean() / returns.std(ddof=1) * np.sqrt(PERIODS)
    return [before / CASH - 1, ratio, deepest, orders]


table = pq.read_table(sys.argv[1])
opens, closes = (table[name].to_numpy() for name in ("open", "close"))
ticks = np.concatenate([[0], np.cumsum(np.rint(closes * 100).astype(np.int64))])
figures = {}
for fast, slow in PAIRS:
    wanted = np.zeros(len(closes), bool)
    rows = np.arange(slow - 1, len(closes))
    mean = lambda window: (ticks[rows + 1] - ticks[rows + 1 - window]) * (fast * slow // window)
    wanted[rows] = mean(fast) > mean(slow)
    found = plain(opens, closes, wanted)
    index = pd.date_range("2025-01-01", periods=len(closes), freq="1min", tz="UTC")
    entries = pd.Series(np.concatenate([[False], wanted[:-1]]), index=index)
    book = vbt.Portfolio.from_signals(
        pd.Series(closes, index=index), entries, ~entries, price=pd.Series(opens, index=index),
        fees=FEE, init_cash=CASH, freq="1min", size=np.inf,
    )
    peer = [book.total_return(), book.sharpe_ratio(), book.max_drawdown(), int(book.orders.count())]
    assert np.allclose(found, peer, rtol=1e-9, atol=0), (found, peer)
    figures[f"{fast},{slow}"] = dict(zip(["total_return", "sharpe", "max_drawdown", "fills"], map(float, found)))
with open(__file__.replace(".py", ".json"), "w") as file:
    json.dump(figures, file, indent=1)
    file.write("\n")
