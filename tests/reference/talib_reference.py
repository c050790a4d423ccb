"""Expected values of the indicators, for tests/indicators.rs.

    pip install TA-Lib==0.8.2 numpy==2.4.6 pandas==3.1.1
    python talib_reference.py        # writes talib_bars.csv and talib_expected.csv beside itself

Made with Python 3.11.7, TA-Lib 0.8.2 (C library 0.8.1), numpy 2.4.6, pandas 3.1.1.

The series is seeded, 600 bars of one hour, with a stretch that never moves (bars 300 to 339: no range, no volume), so
that zero denominators occur. Prices have four decimals and volumes are multiples of 1/4, so the text is the number.
What TA-Lib has is TA-Lib's, nulls included. The rest, and ratios whose small denominators TA-Lib's running sums would
blur, are computed window by window by numpy in extended precision; an undefined value is null.
An empty field is null.
"""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import talib

HERE = Path(__file__).parent
ROWS = 600
START = 1_704_067_200  # 2024-01-01 00:00 UTC, a Monday


def make_bars():
    random = np.random.default_rng(20240607)
    close = 250.0 * np.exp(np.cumsum(random.normal(0.0, 0.012, ROWS)))
    open_ = close * np.exp(random.normal(0.0, 0.004, ROWS))
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0.0, 0.006, ROWS)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0.0, 0.006, ROWS)))
    volume = np.round(random.lognormal(6.0, 0.8, ROWS) * 4.0) / 4.0
    prices = [np.round(column, 4) for column in (open_, high, low, close)]
    for column in prices:
        column[300:340] = prices[3][299]
    volume[300:340] = 0.0
    time = START + 3600 * np.arange(ROWS)
    return pd.DataFrame(dict(zip(["time", "open", "high", "low", "close", "volume"], [time, *prices, volume])))


def windows(period, function, *columns):
    """function(window, window, ...) of every full window in extended precision, null where it is not finite."""
    wide = [np.asarray(column, dtype=np.longdouble) for column in columns]
    result = np.full(len(wide[0]), np.nan)
    with np.errstate(all="ignore"):
        for end in range(period, len(result) + 1):
            value = function(*[column[end - period : end] for column in wide])
            result[end - 1] = value if np.isfinite(value) else np.nan
    return result


def expected(bars):
    high, low, close, volume = (bars[name].to_numpy() for name in ["high", "low", "close", "volume"])
    columns = {}
    for lag in (1, 3):
        past = bars["close"].astype(np.longdouble).shift(lag)
        columns[f"log_return_{lag}"] = np.log(close / past)
        columns[f"simple_return_{lag}"] = close / past - 1
    columns["momentum_10"] = talib.ROCP(close, 10)
    for period in (20, 2, 150):
        columns[f"sma_{period}"] = talib.SMA(close, period)
        columns[f"ema_{period}"] = talib.EMA(close, period)
    for fast, slow, signal in ((12, 26, 9), (3, 10, 4)):
        names = [f"macd_{fast}_{slow}_{signal}_{name}" for name in ("line", "signal", "histogram")]
        columns.update(zip(names, talib.MACD(close, fast, slow, signal)))
    for period in (14, 2):
        columns[f"rsi_{period}"] = talib.RSI(close, period)
        columns[f"atr_{period}"] = talib.ATR(high, low, close, period)
        columns[f"adx_{period}"] = talib.ADX(high, low, close, period)
        columns[f"plus_di_{period}"] = talib.PLUS_DI(high, low, close, period)
        columns[f"minus_di_{period}"] = talib.MINUS_DI(high, low, close, period)
    columns["atr_1"] = talib.ATR(high, low, close, 1)
    for period, width in ((20, 2.0), (5, 1.5)):
        stem = f"bollinger_{period}_{width:g}"
        names = [f"{stem}_{name}" for name in ("upper", "middle", "lower")]
        columns.update(zip(names, talib.BBANDS(close, period, width, width)))
        columns[f"{stem}_percent_b"] = windows(
            period, lambda c: (c[-1] - c.mean() + width * c.std()) / (2 * width * c.std()) if np.ptp(c) else np.nan, close
        )
        columns[f"{stem}_bandwidth"] = windows(period, lambda c: 2 * width * c.std() / c.mean() if np.ptp(c) else 0.0, close)
    for k, smoothing, d in ((14, 3, 3), (5, 1, 2)):
        names = [f"stochastic_{k}_{smoothing}_{d}_{name}" for name in ("k", "d")]
        columns.update(zip(names, talib.STOCH(high, low, close, k, smoothing, 0, d, 0)))
    returns = np.log(close[1:].astype(np.longdouble) / close[:-1])
    deviation = windows(20, lambda r: r.std(ddof=1) if np.ptp(r) else 0.0, returns)
    columns["rolling_volatility_20"] = np.concatenate([[np.nan], deviation])
    columns["z_score_20"] = windows(20, lambda c: (c[-1] - c.mean()) / c.std() if np.ptp(c) else np.nan, close)
    columns["volume_ratio_20"] = windows(20, lambda v: v[-1] / v.mean(), volume)
    typical = (high.astype(np.longdouble) + low + close) / 3
    columns["vwap_20"] = windows(20, lambda p, v: (p * v).sum() / v.sum(), typical, volume)
    columns["obv"] = talib.OBV(close, volume)
    signed = np.concatenate([[0.0], np.sign(np.diff(close)) * volume[1:]])
    share = windows(20, lambda s, v: s.sum() / v.sum(), signed[1:], volume[1:])
    columns["obv_20_relative"] = np.concatenate([[np.nan], share])
    return columns


def text(value):
    return "" if np.isnan(value) else np.format_float_positional(np.float64(value), precision=15, fractional=False, trim="-")


def main():
    bars = make_bars()
    bars.to_csv(HERE / "talib_bars.csv", index=False)
    columns = expected(bars)
    with open(HERE / "talib_expected.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values()):
            writer.writerow([text(value) for value in row])
    still = np.full(40, 7.5)
    for name, column in {
        "RSI": talib.RSI(still, 14),
        "ADX": talib.ADX(still, still, still, 14),
        "PLUS_DI": talib.PLUS_DI(still, still, still, 14),
        "STOCH k": talib.STOCH(still, still, still, 14, 3, 0, 3, 0)[0],
    }.items():
        print(f"{name} of a price that never moves: {set(column[~np.isnan(column)])}")


if __name__ == "__main__":
    main()
