//! What one fill costs beyond two plain rates: charges a fill, slippage and impact that grow with the quantity, a swap
//! against a constant-product pool; and the quantity that a sum of money buys under them.
//!
//! For a trade of `q` units at the reference price `P` (all rates are shares of `P`):
//!
//! | part | amount |
//! |---|---|
//! | spread | `spread_rate x q P` |
//! | slippage | `(slippage_rate - spread_rate + linear q + quadratic q^2) x q P` |
//! | impact | `(square_root sqrt(q) + pool) x q P`, pool being `q / (x - q)` for a purchase, `q / (x + q)` for a sale |
//! | fee | `fee_rate x q price + fixed_fee + pool fee` |
//! | gas | `gas` |
//!
//! `price = P (1 + all rates)` for a purchase and `P (1 - all rates)`, at least 0, for a sale. `x` is the reserve of the
//! asset in a pool with `x y = k` and `y = P x`: a purchase of `q` pays `k / (x - q) - y = P q x / (x - q)`, a sale brings
//! `y - k / (x + q) = P q x / (x + q)`. The pool's fee rate `f` is taken from what goes in, as Uniswap v2 does; its part
//! is the difference to the same swap without it: `(1 / (1 - f) - 1)` of what a purchase pays, and for a sale
//! `P q x / (x + q) - P q (1 - f) x / (x + q (1 - f))`.
//!
//! Where nothing grows with the quantity the arithmetic is that of [`super::backtest_step`], to the bit. All numbers are
//! f64 in quote currency or units of the asset; nothing is fused, so that a device twin can reach the same bits.

use super::backtest_step::{self, CostParameters, Order};

/// Halvings of a bracket: from the whole quantity to its last bit, with room for roots that are a small part of it.
const HALVINGS: usize = 160;

/// The most that a swap moves its own price, and that a pool's fee takes, over the reference price. A pool is never asked
/// for more than all but a millionth of its reserve; who must buy more than that, because a short has to be covered, pays
/// this for every unit and is ruined by a finite sum.
const LARGEST_POOL_RATE: f64 = 1e6;

/// What one fill of one symbol costs at one moment.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FillCosts {
    /// Fee over notional, and slippage with half the spread over the reference price.
    pub rates: CostParameters,
    /// The part of `rates.slippage_rate` that is half the spread.
    pub spread_rate: f64,
    /// Fee of a fill, in quote currency.
    pub fixed_fee: f64,
    /// Gas of a fill, in quote currency.
    pub gas: f64,
    /// Slippage rate of a unit of quantity.
    pub linear_slippage: f64,
    /// Slippage rate of a squared unit of quantity.
    pub quadratic_slippage: f64,
    /// Impact rate of the square root of a unit of quantity.
    pub square_root_impact: f64,
    /// Units of the asset in the pool; infinite where there is no pool.
    pub pool_reserve: f64,
    /// Fee of the pool over what goes in.
    pub pool_fee_rate: f64,
}

/// What a fill was charged, in quote currency. Spread, slippage and impact add up to the distance of its price from the
/// reference price times its quantity.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Charge {
    /// Price of a unit; spread, slippage and impact are in it, fee and gas are not.
    pub price: f64,
    /// Fee.
    pub fee: f64,
    /// Gas.
    pub gas: f64,
    /// Half the spread.
    pub spread: f64,
    /// Slippage.
    pub slippage: f64,
    /// Impact.
    pub impact: f64,
}

impl Default for FillCosts {
    /// Nothing.
    fn default() -> Self {
        FillCosts::of(CostParameters::default())
    }
}

impl FillCosts {
    /// Two plain rates and nothing else.
    pub fn of(rates: CostParameters) -> FillCosts {
        FillCosts {
            rates,
            spread_rate: 0.0,
            fixed_fee: 0.0,
            gas: 0.0,
            linear_slippage: 0.0,
            quadratic_slippage: 0.0,
            square_root_impact: 0.0,
            pool_reserve: f64::INFINITY,
            pool_fee_rate: 0.0,
        }
    }

    /// The same for a resting limit order: no slippage, no spread, no impact of taking, the maker's fee. What a
    /// transaction costs by itself and a pool's curve, which knows no resting orders, stay.
    pub fn resting(&self, maker_rate: f64) -> FillCosts {
        FillCosts {
            rates: CostParameters { fee_rate: maker_rate, slippage_rate: 0.0 },
            spread_rate: 0.0,
            linear_slippage: 0.0,
            quadratic_slippage: 0.0,
            square_root_impact: 0.0,
            ..*self
        }
    }

    /// Whether price and fee rate are the same for every quantity, as [`CostParameters`] says.
    pub fn in_proportion(&self) -> bool {
        self.linear_slippage == 0.0
            && self.quadratic_slippage == 0.0
            && self.square_root_impact == 0.0
            && self.pool_reserve == f64::INFINITY
            && self.pool_fee_rate == 0.0
            && self.rates.slippage_rate < 1.0
            && self.rates.fee_rate < 1.0
    }

    /// Whether [`FillCosts::rates`] say all there is to pay.
    pub fn is_linear(&self) -> bool {
        self.in_proportion() && self.fixed_fee + self.gas == 0.0
    }

    /// What a fill of this change (not 0) is charged.
    pub fn charge(&self, change: f64, reference: f64) -> Charge {
        let quantity = change.abs();
        if self.in_proportion() {
            let price = self.rates.fill_price(change, reference);
            let fee = self.rates.fee_rate * quantity * price + self.fixed_fee;
            let worth = quantity * reference;
            let (spread, slippage) = (self.spread_rate, self.rates.slippage_rate - self.spread_rate);
            let (spread, slippage) = (spread * worth, slippage * worth);
            return Charge { price, fee, gas: self.gas, spread, slippage, impact: 0.0 };
        }
        let slippage_rate = self.rates.slippage_rate - self.spread_rate
            + self.linear_slippage * quantity
            + self.quadratic_slippage * quantity * quantity;
        let impact_rate = self.square_root_impact * quantity.sqrt() + self.pool_rate(change);
        let rate = self.spread_rate + slippage_rate + impact_rate;
        let price = if change > 0.0 { reference * (1.0 + rate) } else { reference * (1.0 - rate).max(0.0) };
        // What a sale cannot lose, because nothing is left of its price, no part of its cost has taken.
        let part = |of: f64| quantity * reference * if change < 0.0 && rate > 1.0 { of / rate } else { of };
        let notional_fee = self.rates.fee_rate * quantity * price;
        Charge {
            price,
            fee: notional_fee + self.fixed_fee + self.pool_fee(change, reference),
            gas: self.gas,
            spread: part(self.spread_rate),
            slippage: part(slippage_rate),
            impact: part(impact_rate),
        }
    }

    /// How far a swap moves its own price, over the reference price; at most [`LARGEST_POOL_RATE`].
    fn pool_rate(&self, change: f64) -> f64 {
        if self.pool_reserve == f64::INFINITY {
            return 0.0;
        }
        if change < 0.0 {
            return -change / (self.pool_reserve - change);
        }
        if change >= self.pool_reserve {
            return LARGEST_POOL_RATE;
        }
        (change / (self.pool_reserve - change)).min(LARGEST_POOL_RATE)
    }

    fn pool_fee(&self, change: f64, reference: f64) -> f64 {
        if self.pool_fee_rate == 0.0 {
            return 0.0;
        }
        let rate = self.pool_fee_rate.min(1.0);
        let kept = 1.0 - rate;
        let worth = change.abs() * reference;
        if change > 0.0 {
            return worth * (1.0 + self.pool_rate(change)) * (rate / kept).min(LARGEST_POOL_RATE);
        }
        // P q x / (x + q) - P q (1 - f) x / (x + q (1 - f)), without the difference of two large numbers.
        worth * rate * (1.0 - self.pool_rate(change)) * (1.0 - self.pool_rate(change * kept))
    }

    /// What a trade from flat takes from the free equity, in quote currency: for a purchase of `quantity` the cash spent,
    /// for a sale the notional and all that it is charged.
    pub fn outlay(&self, quantity: f64, sells: bool, reference: f64) -> f64 {
        if quantity == 0.0 {
            return 0.0;
        }
        let charge = self.charge(if sells { -quantity } else { quantity }, reference);
        let worth = if sells { 2.0 * reference - charge.price } else { charge.price };
        quantity * worth + charge.fee + charge.gas
    }

    /// The largest quantity beyond `base` units of the same fill for which this outlay is enough.
    fn quantity_for(&self, outlay: f64, base: f64, sells: bool, reference: f64) -> f64 {
        let sign = if sells { -1.0 } else { 1.0 };
        if self.in_proportion() {
            let once = if base == 0.0 { self.fixed_fee + self.gas } else { 0.0 };
            return (outlay - once).max(0.0) / (reference * self.rates.gross_up(sign));
        }
        let spent = self.outlay(base, sells, reference);
        // What trades at the reference price, and that is never less than what trades at a worse one.
        let free = outlay / reference;
        free * largest_share(|share| self.outlay(base + share * free, sells, reference) - spent <= outlay)
    }
}

/// The largest share of 1 that `fits`, which holds from 0 up to some share and not beyond. The bracket is halved, so that
/// every machine takes the same steps; what is returned fits, or is 0.
pub fn largest_share(fits: impl Fn(f64) -> bool) -> f64 {
    if fits(1.0) {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if middle == low || middle == high {
            break;
        }
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// [`backtest_step::order_for_value`] under costs of every kind: from flat, a purchase spends at most `value`, and all of
/// it but for rounding.
pub fn order_for_value(held: f64, value: f64, reference: f64, costs: &FillCosts) -> Order {
    if costs.is_linear() {
        return backtest_step::order_for_value(held, value, reference, &costs.rates);
    }
    let current = held * reference;
    let sells = value < 0.0;
    let signed = |quantity: f64| if sells { -quantity } else { quantity };
    if held * value <= 0.0 {
        let increase = costs.quantity_for(value.abs(), held.abs(), sells, reference);
        return Order { reduction: -held, increase: signed(increase) };
    }
    if value.abs() < current.abs() {
        return Order { reduction: (value - current) / reference, increase: 0.0 };
    }
    Order {
        reduction: 0.0,
        increase: signed(costs.quantity_for((value - current).abs(), 0.0, sells, reference)),
    }
}

/// [`backtest_step::execute`] under costs of every kind.
pub fn execute(cash: &mut f64, held: &mut f64, change: f64, reference: f64, costs: &FillCosts) -> Charge {
    let charge = costs.charge(change, reference);
    *cash = *cash - change * charge.price - charge.fee - charge.gas;
    *held += change;
    charge
}
