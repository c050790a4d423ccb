"""Reference for the metrics: four made series through empyrical-reloaded, quantstats and ffn.

python tests/reference/metric_figures.py > tests/reference/metric_figures.json
(empyrical-reloaded 0.7.1, quantstats 0.0.86, ffn 1.4.1, numpy 2.4.6, pandas 3.1.1, scipy 1.17.1)

A figure is written only under the libraries that can compute it without a warning about its input.
"""
import json
import warnings

import empyrical
import ffn
import numpy as np
import pandas as pd
import quantstats.stats as quantstats

warnings.simplefilter("ignore")
PERIODS = 252


def numbers(count, seed):
    """Uniform numbers in -0.5..0.5 of a linear congruential generator (ANSI C)."""
    state, values = seed, []
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        values.append(state / 2**31 - 0.5)
    return np.array(values)


def series():
    market = 0.02 * numbers(400, 1) + 0.0004
    own = 0.5 * market + 0.015 * numbers(400, 2) + 0.0002
    zeros = own.copy()
    zeros[numbers(400, 3) < 0.2] = 0.0
    losing = own.copy()
    losing[200:260] = -np.abs(losing[200:260])
    return {
        "long": (own, market),
        "short": (own[:12], market[:12]),
        "zeros": (zeros, market),
        "losing run": (losing, market),
    }


def figures(own, market):
    index = pd.bdate_range("2020-01-01", periods=len(own))
    own, market = pd.Series(own, index), pd.Series(market, index)
    prices = pd.concat([pd.Series([1.0], [index[0] - pd.Timedelta(days=1)]), (1 + own).cumprod()])
    e, q = empyrical, quantstats
    alpha, beta = e.alpha_beta(own, market, annualization=PERIODS)
    of = {
        "empyrical": {
            "total_return": e.cum_returns_final(own),
            "cagr": e.annual_return(own, annualization=PERIODS),
            "volatility": e.annual_volatility(own, annualization=PERIODS),
            "sharpe": e.sharpe_ratio(own, annualization=PERIODS),
            "sortino": e.sortino_ratio(own, annualization=PERIODS),
            "max_drawdown": e.max_drawdown(own),
            "calmar": e.calmar_ratio(own, annualization=PERIODS),
            "omega": e.omega_ratio(own),
            "var_95": e.value_at_risk(own, 0.05),
            "cvar_95": e.conditional_value_at_risk(own, 0.05),
            "tail_ratio": e.tail_ratio(own),
            "stability": e.stability_of_timeseries(own),
            "alpha": alpha,
            "beta": beta,
            "up_capture": e.up_capture(own, market),
            "down_capture": e.down_capture(own, market),
            "information_ratio_a_period": e.excess_sharpe(own, market),
            "rolling_beta_last": e.beta(own[-10:], market[-10:]),
            "rolling_sharpe_last": e.sharpe_ratio(own[-10:], annualization=PERIODS),
            "rolling_volatility_last": e.annual_volatility(own[-10:], annualization=PERIODS),
        },
        "quantstats": {
            "total_return": q.comp(own),
            "volatility": q.volatility(own, periods=PERIODS),
            "sharpe": q.sharpe(own, periods=PERIODS),
            "sortino": q.sortino(own, periods=PERIODS),
            "max_drawdown": q.max_drawdown(own),
            "omega": q.omega(own, periods=PERIODS),
            "gain_to_pain": q.gain_to_pain_ratio(own),
            "gaussian_var_95": q.value_at_risk(own),
            "skew": q.skew(own),
            "kurtosis": q.kurtosis(own),
            "tail_ratio": q.tail_ratio(own),
            "payoff": q.payoff_ratio(own),
            "kelly": q.kelly_criterion(own),
            "information_ratio_a_period": q.information_ratio(own, market),
            "beta": q.greeks(own, market, PERIODS)["beta"],
            "r_squared": q.r_squared(own, market),
            "rolling_sharpe_last": q.rolling_sharpe(own, rolling_period=10, periods_per_year=PERIODS).iloc[-1],
            "rolling_volatility_last": q.rolling_volatility(own, rolling_period=10, periods_per_year=PERIODS).iloc[-1],
        },
        "ffn": {
            "total_return": ffn.calc_total_return(prices),
            "max_drawdown": ffn.calc_max_drawdown(prices),
            "sharpe": ffn.calc_sharpe(own, nperiods=PERIODS),
            "sortino": ffn.calc_sortino_ratio(own, nperiods=PERIODS),
            "information_ratio_a_period": ffn.calc_information_ratio(own, market),
        },
    }
    details = ffn.drawdown_details(ffn.to_drawdown_series(prices))
    worst = details.sort_values("drawdown").head(5) if details is not None else []
    # Days to rows of the returns; ffn's start is the first day below the high, its end the day back at it.
    rows = {day: row for row, day in enumerate(index)}
    of["ffn"]["worst_drawdowns"] = [
        [float(it["drawdown"]), rows[it["Start"]], rows[it["End"]]] for _, it in worst.iterrows()
    ]
    return of


def plain(value):
    return value if isinstance(value, list) else (float(value) if np.isfinite(value) else None)


document = {
    "versions": {"empyrical-reloaded": "0.7.1", "quantstats": "0.0.86", "ffn": ffn.__version__, "numpy": np.__version__},
    "periods_per_year": PERIODS,
    "series": {
        name: {
            "returns": list(map(float, own)),
            "benchmark": list(map(float, market)),
            "figures": {
                library: {figure: plain(value) for figure, value in found.items()}
                for library, found in figures(own, market).items()
            },
        }
        for name, (own, market) in series().items()
    },
}
print(json.dumps(document, indent=1))
