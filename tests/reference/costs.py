"""Every cost of a fill by its closed form, in decimal arithmetic of 60 digits: writes costs.json beside this file.

Standard library only. Made with Python 3.11 or later; the version that wrote the file stands in it.
Formulas are written down here from their sources, not from the engine:
- constant product: Uniswap v2 getAmountOut / getAmountIn, amountInWithFee = amountIn (1 - f);
- square-root law: Torre (1997), volatility x sqrt(size / volume);
- running mean and linear quantile: numpy's definitions (method "linear").
A fill is priced by what is known at a row; a null in a column is the value before it.
"""

import json
import os
import platform
from decimal import Decimal as D, getcontext

getcontext().prec = 60

NULL = None
CLOSE = [D(x) for x in ("100", "102", "101", "105", "103", "104", "107", "106")]
VOLUME = [D(x) for x in ("500", "0", "800", "1200", "0", "900", "650", "700")]
EXTRA = {
    "gas_gwei": ["30", NULL, "45", "50", "20", "35", "400", "41"],
    "token": ["2000", "2010", "1990", "2005", "2002", "1999", "2011", "2020"],
    "spread_bps": ["2", "3", NULL, "4", "5", "6", "7", "8"],
    "reserve": ["1000", "1100", "1050", "990", "1010", "1020", "1005", "1001"],
    "liquidity": ["10000", "11000", NULL, "10500", "9900", "10100", "10200", "10050"],
    "locked": ["200000", "210000", "205000", NULL, "199000", "202000", "204000", "201000"],
    "funding_rate": ["0.0001", NULL, "-0.0002", "0", "0.0003", "0.0001", "-0.0001", "0.0002"],
}
BPS = D("0.0001")


def known(name):
    values = []
    for text in EXTRA[name]:
        values.append(values[-1] if text is NULL else D(text))
    return values


def available(row):
    while VOLUME[row] == 0:
        row -= 1
    return VOLUME[row]


def mean(values):
    return sum(values) / len(values)


def deviation(values):
    centre = mean(values)
    return (sum((v - centre) ** 2 for v in values) / (len(values) - 1)).sqrt()


def quantile(values, share):
    values = sorted(values)
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def impact_rate(row, quantity, coefficient, lookback):
    closes = CLOSE[max(0, row - lookback) : row + 1]
    returns = [(b / a).ln() for a, b in zip(closes, closes[1:])]
    volume = mean(VOLUME[max(0, row - lookback + 1) : row + 1])
    return coefficient * deviation(returns) * (quantity / volume).sqrt()


class Fill:
    """A fill of `change` units at `reference`: each part of its cost is added by itself."""

    def __init__(self, row, change, reference):
        self.row, self.change, self.reference = row, D(change), D(reference)
        self.quantity = abs(self.change)
        self.notional = self.quantity * self.reference
        self.fee_rate = self.fixed = self.gas = D(0)
        self.spread = self.slippage = self.impact = D(0)
        self.pool_fee = D(0)

    def pool(self, reserve, fee):
        x, y, q = reserve, reserve * self.reference, self.quantity
        if self.change > 0:
            # getAmountIn: the input that, less its fee, keeps the product.
            free = x * y / (x - q) - y
            paid = free / (1 - fee)
            self.impact += free - self.notional
            self.pool_fee += paid - free
        else:
            free = y - x * y / (x + q)
            got = q * (1 - fee) * y / (x + q * (1 - fee))
            self.impact += self.notional - free
            self.pool_fee += free - got

    def result(self):
        worse = self.spread + self.slippage + self.impact
        sign = 1 if self.change > 0 else -1
        price = (self.notional + sign * worse) / self.quantity
        fee = self.fee_rate * self.quantity * price + self.fixed + self.pool_fee
        return {
            "price": price, "fee": fee, "gas": self.gas,
            "spread": self.spread, "slippage": self.slippage, "impact": self.impact,
        }

    def outlay(self):
        r = self.result()
        return self.notional + r["spread"] + r["slippage"] + r["impact"] + r["fee"] + r["gas"]


def tier(f, traded):
    f.fee_rate += (25 if traded < 100_000 else 20 if traded < 1_000_000 else 10) * BPS


# Name, costs as they are configured, how they charge a fill.
CASES = [
    ("proportional", [{"proportional": {"fee_bps": 7.5}}], lambda f: setattr(f, "fee_rate", D("7.5") * BPS)),
    ("fixed", [{"fixed": {"fee": 1.25}}], lambda f: setattr(f, "fixed", D("1.25"))),
    ("tiered", [{"tiered": {"tiers": [{"from_volume": 0, "fee_bps": 25}, {"from_volume": 100000, "fee_bps": 20}]}}],
     lambda f: tier(f, 0)),
    ("maker_taker", [{"maker_taker": {"maker_bps": 1, "taker_bps": 4}}], lambda f: setattr(f, "fee_rate", 4 * BPS)),
    ("slippage", [{"slippage": {"bps": 3}}], lambda f: setattr(f, "slippage", 3 * BPS * f.notional)),
    ("spread", [{"spread": {"bps": 5}}], lambda f: setattr(f, "spread", D("2.5") * BPS * f.notional)),
    ("spread column", [{"spread": {"column": "spread_bps"}}],
     lambda f: setattr(f, "spread", known("spread_bps")[f.row] / 2 * BPS * f.notional)),
    ("linear_slippage", [{"linear_slippage": {"coefficient": 0.25}}],
     lambda f: setattr(f, "slippage", D("0.25") * f.quantity / available(f.row) * f.notional)),
    ("quadratic_slippage", [{"quadratic_slippage": {"coefficient": 0.5}}],
     lambda f: setattr(f, "slippage", D("0.5") * (f.quantity / available(f.row)) ** 2 * f.notional)),
    ("square_root_impact", [{"square_root_impact": {"coefficient": 1.5, "lookback_bars": 4}}],
     lambda f: setattr(f, "impact", impact_rate(f.row, f.quantity, D("1.5"), 4) * f.notional)),
    ("gas cost", [{"gas": {"cost": {"constant": 2.5}}}], lambda f: setattr(f, "gas", D("2.5"))),
    ("gas column", [{"gas": {"units": 150000, "price": {"column": "gas_gwei"}, "token_price": {"column": "token"}}}],
     lambda f: setattr(f, "gas", 150000 * known("gas_gwei")[f.row] * D("1e-9") * known("token")[f.row])),
    ("gas mean",
     [{"gas": {"units": 90000, "price": {"running_mean": {"column": "gas_gwei", "bars": 3}},
               "token_price": {"constant": 2000}}}],
     lambda f: setattr(f, "gas", 90000 * mean(known("gas_gwei")[max(0, f.row - 2) : f.row + 1]) * D("1e-9") * 2000)),
    ("gas percentile",
     [{"gas": {"units": 90000, "price": {"percentile": {"column": "gas_gwei", "share": 0.9, "bars": 5}},
               "token_price": {"constant": 2000}}}],
     lambda f: setattr(
         f, "gas",
         90000 * quantile(known("gas_gwei")[max(0, f.row - 4) : f.row + 1], D("0.9")) * D("1e-9") * 2000)),
    ("pool reserve", [{"constant_product_pool": {"depth": {"reserve_column": "reserve"}, "fee_bps": 30}}],
     lambda f: f.pool(known("reserve")[f.row], 30 * BPS)),
    ("pool liquidity", [{"constant_product_pool": {"depth": {"liquidity_column": "liquidity"}, "fee_bps": 5}}],
     lambda f: f.pool(known("liquidity")[f.row] / CLOSE[f.row].sqrt(), 5 * BPS)),
    ("pool locked", [{"constant_product_pool": {"depth": {"value_locked_column": "locked"}, "fee_bps": 100}}],
     lambda f: f.pool(known("locked")[f.row] / 2 / CLOSE[f.row], 100 * BPS)),
]


def together(f):
    f.fee_rate = D("7.5") * BPS
    f.fixed = D("0.5")
    f.slippage = 3 * BPS * f.notional + D("0.25") * f.quantity / available(f.row) * f.notional
    f.spread = D("2.5") * BPS * f.notional
    f.impact = impact_rate(f.row, f.quantity, D("1"), 5) * f.notional
    f.gas = D("1.5")
    f.pool(D(900), 30 * BPS)


CASES.append((
    "together",
    [{"proportional": {"fee_bps": 7.5}}, {"fixed": {"fee": 0.5}}, {"slippage": {"bps": 3}},
     {"linear_slippage": {"coefficient": 0.25}}, {"spread": {"bps": 5}}, {"gas": {"cost": {"constant": 1.5}}},
     {"square_root_impact": {"coefficient": 1, "lookback_bars": 5}},
     {"constant_product_pool": {"depth": {"reserve": 900}, "fee_bps": 30}}],
    together,
))

FILLS = [(3, "12.5", "105.5"), (4, "-40", "102.75"), (7, "150", "107.25"), (5, "-0.01", "104")]
BUDGETS = [(3, "1000", "105.5", 1), (6, "20000", "107.25", 1), (4, "5000", "103.5", -1)]


def solve(charge, row, budget, reference, sign):
    low, high = D(0), D(budget) / D(reference)
    for _ in range(190):
        middle = (low + high) / 2
        fill = Fill(row, sign * middle, reference)
        charge(fill)
        if fill.outlay() <= D(budget):
            low = middle
        else:
            high = middle
    return low


def text(value):
    return f"{value:.40g}"


def main():
    cases = []
    for name, costs, charge in CASES:
        fills, sizes = [], []
        for row, change, reference in FILLS:
            fill = Fill(row, change, reference)
            charge(fill)
            expected = {key: text(value) for key, value in fill.result().items()}
            fills.append({"row": row, "change": change, "reference": reference, **expected})
        for row, budget, reference, sign in BUDGETS:
            quantity = solve(charge, row, budget, reference, sign)
            sizes.append({"row": row, "budget": budget, "reference": reference, "sign": sign, "quantity": text(quantity)})
        cases.append({"name": name, "costs": costs, "fills": fills, "sizes": sizes})
    document = {
        "made_by": f"tests/reference/costs.py, Python {platform.python_version()}, decimal with 60 digits",
        "close": [str(v) for v in CLOSE], "volume": [str(v) for v in VOLUME], "extra": EXTRA, "cases": cases,
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "costs.json")
    with open(path, "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


main()
