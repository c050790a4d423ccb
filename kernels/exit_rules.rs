//! The intrabar rule: when and at which price a stop, a target, a trailing stop or a time limit closes a position. This
//! file is its public statement; the ledger and the batch of many books run these same functions.
//!
//! A bar says where the price opened, closed, and how far it went, but not in which order. Every backtester has to
//! guess; ours says how. Prices in quote currency; rows count the bars of one symbol. For a long position:
//!
//! | level | where | filled as |
//! |---|---|---|
//! | stop | `entry x (1 - stop_loss)` | market order: slippage, half the spread, taker fee |
//! | trailing stop | `extreme x (1 - trailing_stop)` | market order |
//! | target | `entry x (1 + take_profit)` | resting limit order: no slippage, no spread, maker fee |
//!
//! `entry` is the average price that was paid, slippage included. `extreme` is the highest price since the entry that
//! the bars before this one show; it begins at the reference price of the entry. Of stop and trailing stop the tighter
//! one counts. For a short position everything is mirrored: `1 + stop_loss`, `1 - take_profit`, lowest price, signs.
//!
//! Within one bar things happen in this order, and at most one of them closes the position:
//!
//! 1. **Order.** With `next_open` the order that was decided at the last close is filled at the open.
//! 2. **Time**, at the open (`next_open`): a position whose entry was `max_bars` or more rows ago is closed at the open.
//! 3. **Gap**, at the open: a position that was held over from the bar before, and that no order traded at this open, is
//!    closed at the open if the open is at its stop or beyond, or at its target or beyond. Nobody gets the stop's price
//!    when the market opens below it; whoever has a limit order gets the better open.
//! 4. **Within the bar.** The stop is hit if `low <= stop`: a touch is enough. The target is hit if `high > target`: a
//!    resting order is surely filled only when the market trades through it. Each is filled at its level. If both were
//!    hit, nobody knows which came first: `worst_first` takes the stop, otherwise the target. A position that was opened
//!    at this open takes part: what happens after the open happens to it.
//! 5. **Time**, at the close (`same_close`): as 2, at the close.
//! 6. The extreme takes in the bar's high. Only now: whether the high came before or after the low nobody knows, so a
//!    bar never raises the trailing stop that it is itself judged by.
//! 7. **Order.** With `same_close` the order that is decided at this close is filled at it. Nothing of this bar can
//!    happen to what it opens.
//!
//! No exit gets a price that the bar did not trade after the entry: a stop that stands above the open (a stop tighter
//! than the slippage just paid, on the bar of the entry) is filled at the open.
//!
//! All numbers are f64; nothing is fused, so that a device twin can reach the same bits.

/// The levels as ratios of prices: 0.05 is 5 per cent.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExitParameters {
    /// Distance of the stop from the entry, above 0 and below 1; NaN for none.
    pub stop_loss: f64,
    /// Distance of the target from the entry, above 0; NaN for none.
    pub take_profit: f64,
    /// Distance of the trailing stop from the extreme, above 0 and below 1; NaN for none.
    pub trailing_stop: f64,
    /// Rows after which a position is closed; 0 for no limit.
    pub max_bars: u32,
    /// Whether the stop is taken where a bar touched stop and target both.
    pub worst_first: bool,
    /// Whether orders, and with them the time limit, are filled at opens (`next_open`) or at closes (`same_close`).
    pub fills_at_open: bool,
}

impl ExitParameters {
    /// No exit at all.
    pub const NONE: ExitParameters = ExitParameters {
        stop_loss: f64::NAN,
        take_profit: f64::NAN,
        trailing_stop: f64::NAN,
        max_bars: 0,
        worst_first: true,
        fills_at_open: true,
    };

    /// Whether there is any exit. Without one no bar needs to be looked at.
    pub fn any(&self) -> bool {
        let levels = [self.stop_loss, self.take_profit, self.trailing_stop];
        self.max_bars > 0 || levels.iter().any(|level| !level.is_nan())
    }
}

/// What the rule must remember of a position between bars.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpenPosition {
    /// 1 for long, -1 for short, 0 for flat; the other fields mean nothing while flat.
    pub direction: f64,
    /// Average price paid, slippage and spread included.
    pub entry_price: f64,
    /// Best price for the position since its entry: highest for long, lowest for short.
    pub extreme: f64,
    /// Row of the fill that opened it. A fill that resizes it does not make it younger.
    pub entry_row: u32,
}

/// What closes a position.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// The stop.
    Stop,
    /// The target.
    Target,
    /// The trailing stop, where it is tighter than the stop.
    Trailing,
    /// The time limit.
    Time,
}

impl ExitReason {
    /// Whether the exit is a resting limit order, which pays neither slippage nor spread, and the maker's fee.
    pub fn rests(self) -> bool {
        self == ExitReason::Target
    }
}

/// A position that is to be closed now.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// Why.
    pub reason: ExitReason,
    /// Price before slippage and spread.
    pub reference: f64,
}

impl OpenPosition {
    /// No position.
    pub const FLAT: OpenPosition =
        OpenPosition { direction: 0.0, entry_price: 0.0, extreme: 0.0, entry_row: 0 };

    /// The position after a fill of `change` units (signed) that takes it from `held` units to `held + change`.
    ///
    /// From flat, or through zero to the other side, it begins anew: entry at `price`, extreme at `reference` (the price
    /// before slippage and spread). An increase moves the entry to the average of what was paid, weighted by units; a
    /// reduction changes nothing.
    #[inline]
    pub fn after_fill(self, held: f64, change: f64, price: f64, reference: f64, row: u32) -> OpenPosition {
        let quantity = held + change;
        if quantity == 0.0 {
            return OpenPosition::FLAT;
        }
        if held * quantity <= 0.0 {
            let direction = if quantity > 0.0 { 1.0 } else { -1.0 };
            return OpenPosition { direction, entry_price: price, extreme: reference, entry_row: row };
        }
        if held * change > 0.0 {
            let entry_price = (self.entry_price * held + price * change) / quantity;
            return OpenPosition { entry_price, ..self };
        }
        self
    }

    /// Takes in the high or low of a bar that the position survived: point 6 of the rule.
    #[inline]
    pub fn survived(self, high: f64, low: f64) -> OpenPosition {
        let extreme = if self.direction > 0.0 { self.extreme.max(high) } else { self.extreme.min(low) };
        OpenPosition { extreme, ..self }
    }
}

impl ExitParameters {
    /// The tighter of stop and trailing stop, and which of the two it is; NaN where there is neither.
    #[inline]
    pub fn stop_level(&self, position: &OpenPosition) -> (f64, ExitReason) {
        let direction = position.direction;
        let fixed = position.entry_price * (1.0 - direction * self.stop_loss);
        let trailing = position.extreme * (1.0 - direction * self.trailing_stop);
        // A comparison with the null is false.
        let tighter = if direction > 0.0 { trailing > fixed } else { trailing < fixed };
        if tighter || fixed.is_nan() { (trailing, ExitReason::Trailing) } else { (fixed, ExitReason::Stop) }
    }

    /// The target; NaN where there is none.
    #[inline]
    pub fn target_level(&self, position: &OpenPosition) -> f64 {
        position.entry_price * (1.0 + position.direction * self.take_profit)
    }

    /// Points 2 and 3 of the rule. `row` is the bar's row; `traded` says whether an order was filled at this open.
    #[inline]
    pub fn at_open(&self, position: &OpenPosition, row: u32, open: f64, traded: bool) -> Option<Exit> {
        if self.fills_at_open && self.timed_out(position, row) {
            return Some(Exit { reason: ExitReason::Time, reference: open });
        }
        if traded {
            return None;
        }
        let (stop, reason) = self.stop_level(position);
        let target = self.target_level(position);
        let (stopped, reached) = if position.direction > 0.0 {
            (open <= stop, open >= target)
        } else {
            (open >= stop, open <= target)
        };
        if stopped {
            return Some(Exit { reason, reference: open });
        }
        reached.then_some(Exit { reason: ExitReason::Target, reference: open })
    }

    /// Point 4 of the rule, for a position that is open after the bar's open.
    #[inline]
    pub fn within_bar(&self, position: &OpenPosition, open: f64, high: f64, low: f64) -> Option<Exit> {
        let (stop, reason) = self.stop_level(position);
        let target = self.target_level(position);
        let long = position.direction > 0.0;
        let (stopped, reached) =
            if long { (low <= stop, high > target) } else { (high >= stop, low < target) };
        if stopped && (self.worst_first || !reached) {
            let reference = if long { stop.min(open) } else { stop.max(open) };
            return Some(Exit { reason, reference });
        }
        let reference = if long { target.max(open) } else { target.min(open) };
        reached.then_some(Exit { reason: ExitReason::Target, reference })
    }

    /// Point 5 of the rule.
    #[inline]
    pub fn at_close(&self, position: &OpenPosition, row: u32, close: f64) -> Option<Exit> {
        let due = !self.fills_at_open && self.timed_out(position, row);
        due.then_some(Exit { reason: ExitReason::Time, reference: close })
    }

    #[inline]
    fn timed_out(&self, position: &OpenPosition, row: u32) -> bool {
        self.max_bars > 0 && row - position.entry_row >= self.max_bars
    }
}
