//! One bar step of a book: how an order becomes a quantity, a fill and cash. The ledger (every fill recorded) and a
//! batch of many books run this same arithmetic, so that they cannot disagree.
//!
//! All numbers are f64 in quote currency or units of the asset. Nothing here fuses a multiplication with an addition or
//! allocates, so that a device twin can reach the same bits.

/// What trading costs, lowered from a configuration to two plain rates.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CostParameters {
    /// Fee over traded notional, each way: 0.001 is 10 basis points.
    pub fee_rate: f64,
    /// Distance of the fill price from the reference price over the reference price: slippage plus half the spread.
    /// Below 1.
    pub slippage_rate: f64,
}

/// A fill before it is booked.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Execution {
    /// `reference x (1 + slippage)` for a buy, `reference x (1 - slippage)` for a sale.
    pub price: f64,
    /// `fee rate x |quantity| x price`.
    pub fee: f64,
}

/// A change of quantity in two parts of one sign: what brings the position nearer to zero, and what takes it further
/// away. Only the second part may be limited by cash and leverage.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Order {
    /// Signed change towards zero.
    pub reduction: f64,
    /// Signed change away from zero.
    pub increase: f64,
}

impl Order {
    /// Whether the order sells.
    pub fn sells(&self) -> bool {
        self.reduction < 0.0 || self.increase < 0.0
    }
}

impl CostParameters {
    /// The price at which a change of this sign is filled.
    pub fn fill_price(&self, change: f64, reference: f64) -> f64 {
        if change > 0.0 {
            reference * (1.0 + self.slippage_rate)
        } else {
            reference * (1.0 - self.slippage_rate)
        }
    }

    /// What a unit of notional at the reference price takes from the book's equity when it is traded, plus 1. For a buy
    /// it is the cash spent: `(1 + slippage) x (1 + fee)`.
    pub fn gross_up(&self, change: f64) -> f64 {
        if change > 0.0 {
            (1.0 + self.slippage_rate) * (1.0 + self.fee_rate)
        } else {
            2.0 - (1.0 - self.slippage_rate) * (1.0 - self.fee_rate)
        }
    }
}

/// The order after which the position is worth `value` (signed, at the reference price, costs of an increase included:
/// from flat, a purchase spends exactly `value`). An all-in purchase is hence `cash / (price x (1 + fee))`.
pub fn order_for_value(held: f64, value: f64, reference: f64, costs: &CostParameters) -> Order {
    let current = held * reference;
    if held * value <= 0.0 {
        return Order { reduction: -held, increase: value / (reference * costs.gross_up(value)) };
    }
    if value.abs() < current.abs() {
        return Order { reduction: (value - current) / reference, increase: 0.0 };
    }
    Order { reduction: 0.0, increase: (value - current) / (reference * costs.gross_up(value)) }
}

/// The order after which the position is `wanted` units.
pub fn order_for_quantity(held: f64, wanted: f64) -> Order {
    if held * wanted <= 0.0 {
        return Order { reduction: -held, increase: wanted };
    }
    if wanted.abs() < held.abs() {
        return Order { reduction: wanted - held, increase: 0.0 };
    }
    Order { reduction: 0.0, increase: wanted - held }
}

/// The share of `wanted` that fits into `room`: 1 where all of it does, never negative.
pub fn fitting_share(room: f64, wanted: f64) -> f64 {
    if wanted <= room { 1.0 } else { room.max(0.0) / wanted }
}

/// Books a change of quantity: cash falls by what is bought and by the fee, or rises by what is sold less the fee.
pub fn execute(
    cash: &mut f64,
    held: &mut f64,
    change: f64,
    reference: f64,
    costs: &CostParameters,
) -> Execution {
    let price = costs.fill_price(change, reference);
    let fee = costs.fee_rate * change.abs() * price;
    *cash = *cash - change * price - fee;
    *held += change;
    Execution { price, fee }
}
