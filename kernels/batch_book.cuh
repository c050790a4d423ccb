// One of many books on a device: the twin of batch_book.rs and backtest_step.rs, operation by operation, so that every number
// has the same bits. Nothing may be fused: a file that includes this begins with `// nvcc: --fmad=false`.
#pragma once
#include "common.cuh"

namespace batch {

// Rows between two cuts of the sums of returns, as in batch_book.rs; ranges of rows never cross a cut.
constexpr int TILE = 1024;
// Rows that are passed over at once on the way to a new high, and the level of the extremes that has as many.
constexpr int PIECE = 16, PIECE_LEVEL = 4;
constexpr double SMALLEST_TRADE = 1e-9, RESIDUE = 1e-13;
// A book between two launches: columns of a table [COLUMNS][books], all f64; the order of `columns` in backtest_device.rs.
enum {
    CASH, QUANTITY, BEFORE, HIGH, TROUGH, DEEPEST, PROFIT, FEES, SLIPPAGE, LAST_CHANGE, SUM, SQUARES, FILLS, TRADES, WINNING,
    HELD_STEPS, BANKRUPT, LEVEL, DIRECTION, ENTRY_PRICE, EXTREME, ENTRY_ROW, COLUMNS
};

// The one that a comparison picks, the second where one is NaN: `larger` and `smaller` of range_extremes.rs.
__device__ __forceinline__ double larger(double left, double right) { return left > right ? left : right; }
__device__ __forceinline__ double smaller(double left, double right) { return left < right ? left : right; }

struct Costs {
    double fee_rate, slippage_rate;

    __device__ double fill_price(double change, double reference) const {
        return change > 0.0 ? reference * (1.0 + slippage_rate) : reference * (1.0 - slippage_rate);
    }
    __device__ double gross_up(double change) const {
        return change > 0.0 ? (1.0 + slippage_rate) * (1.0 + fee_rate) : 2.0 - (1.0 - slippage_rate) * (1.0 - fee_rate);
    }
};

struct Rules {
    Costs costs;
    // Units of the asset at a target of 1, or a share of the equity.
    double size;
    bool in_units;
};

// A change of quantity towards zero and one away from it.
struct Order { double reduction, increase; };

__device__ __forceinline__ Order order_for_value(double held, double value, double reference, const Costs& costs) {
    double current = held * reference;
    if (held * value <= 0.0) return {-held, value / (reference * costs.gross_up(value))};
    if (fabs(value) < fabs(current)) return {(value - current) / reference, 0.0};
    return {0.0, (value - current) / (reference * costs.gross_up(value))};
}

__device__ __forceinline__ Order order_for_quantity(double held, double wanted) {
    if (held * wanted <= 0.0) return {-held, wanted};
    if (fabs(wanted) < fabs(held)) return {wanted - held, 0.0};
    return {0.0, wanted - held};
}

__device__ __forceinline__ double fitting_share(double room, double wanted) {
    return wanted <= room ? 1.0 : fmax(room, 0.0) / wanted;
}

// What every book reads of the rows; see backtest_device.rs.
struct Market {
    const double* close;
    // [row]: sums of the returns of the close from the tile's first row to this one, and of their squares.
    const double *returns, *squares;
    // [level][row]: extremes of the closes of the 2^level rows from this one on.
    const double *highest, *lowest;
    // [row]: samples taken before it; [sample]: the row of each; [row]: its step, null where there are no gaps.
    const uint32_t *samples_before, *sample_rows, *steps;
    uint64_t end_step;
    int rows;

    // Highest and lowest close of the rows start..end, of which there is at least one, all in one tile.
    __device__ void extremes(int start, int end, double& high, double& low) const {
        int level = 31 - __clz(end - start);
        size_t first = static_cast<size_t>(level) * rows + start, second = static_cast<size_t>(level) * rows + end - (1 << level);
        high = larger(highest[first], highest[second]);
        low = smaller(lowest[first], lowest[second]);
    }
    __device__ double steps_between(int start, int end) const {
        if (steps == nullptr) return end - start;
        uint64_t after = end < rows ? steps[end] : end_step;
        return static_cast<double>(after - steps[start]);
    }
};

// Sums of the returns of `cash + quantity x close` from the second of the rows start..end on, and of their squares, for every
// lane that asks. The warp takes one such lane after the other: each lane divides for a row of its own, and return number i is
// added to sum i mod 8 in the order of the rows, as on the CPU.
__device__ __forceinline__ void sums_of_returns(const double* close, bool asks, int start, int end, double cash, double quantity,
                                                double& sum, double& squares) {
    int lane = threadIdx.x % 32;
    for (unsigned asking = __ballot_sync(ALL_LANES, asks); asking != 0; asking &= asking - 1) {
        int owner = __ffs(static_cast<int>(asking)) - 1;
        int first = __shfl_sync(ALL_LANES, start, owner), last = __shfl_sync(ALL_LANES, end, owner) - 1;
        double its_cash = __shfl_sync(ALL_LANES, cash, owner), its_quantity = __shfl_sync(ALL_LANES, quantity, owner);
        double own_sum = 0.0, own_squares = 0.0;
        for (int base = first; base < last; base += 32) {
            int row = base + lane;
            // A row behind the last adds nothing: no sum is ever -0, so adding 0 leaves its bits.
            double change = 0.0;
            if (row < last) change = (its_cash + its_quantity * close[row + 1]) / (its_cash + its_quantity * close[row]) - 1.0;
            for (int part = 0; part < 32; part += 8) {
                double value = __shfl_sync(ALL_LANES, change, part + lane % 8);
                own_sum += value;
                own_squares += value * value;
            }
        }
        double total = 0.0, total_squares = 0.0;
        for (int from = 0; from < 8; ++from) {
            total += __shfl_sync(ALL_LANES, own_sum, from);
            total_squares += __shfl_sync(ALL_LANES, own_squares, from);
        }
        if (lane == owner) {
            sum = total;
            squares = total_squares;
        }
    }
}

struct Book {
    double cash, quantity, before, high, trough, deepest, profit, fees, slippage, last_change, sum, squares, held_steps;
    int fills, trades, winning, level, marked;
    bool bankrupt;

    __device__ void load(const double* table, int books, int book, int row) {
        auto at = [=](int column) { return table[static_cast<size_t>(column) * books + book]; };
        cash = at(CASH), quantity = at(QUANTITY), before = at(BEFORE), high = at(HIGH), trough = at(TROUGH), deepest = at(DEEPEST);
        profit = at(PROFIT), fees = at(FEES), slippage = at(SLIPPAGE), last_change = at(LAST_CHANGE), sum = at(SUM);
        squares = at(SQUARES), held_steps = at(HELD_STEPS), fills = static_cast<int>(at(FILLS)), trades = static_cast<int>(at(TRADES));
        winning = static_cast<int>(at(WINNING)), level = static_cast<int>(at(LEVEL)), bankrupt = at(BANKRUPT) != 0.0, marked = row;
    }
    __device__ void store(double* table, int books, int book) const {
        auto put = [=](int column, double value) { table[static_cast<size_t>(column) * books + book] = value; };
        put(CASH, cash), put(QUANTITY, quantity), put(BEFORE, before), put(HIGH, high), put(TROUGH, trough), put(DEEPEST, deepest);
        put(PROFIT, profit), put(FEES, fees), put(SLIPPAGE, slippage), put(LAST_CHANGE, last_change), put(SUM, sum);
        put(SQUARES, squares), put(HELD_STEPS, held_steps), put(FILLS, fills), put(TRADES, trades), put(WINNING, winning);
        put(LEVEL, level), put(BANKRUPT, bankrupt);
    }

    __device__ double worth(double close) const { return cash + quantity * close; }

    // Trades to `target` at `reference`; whether there was anything to trade.
    __device__ bool trade(double target, double reference, const Rules& rules) {
        double equity = fmax(worth(reference), 0.0);
        Order order;
        if (target == 0.0) {
            order = order_for_quantity(quantity, 0.0);
        } else if (rules.in_units) {
            order = order_for_quantity(quantity, target * rules.size);
        } else {
            double slot = quantity == 0.0 ? fmin(fmax(cash, 0.0), equity) : equity;
            order = order_for_value(quantity, target * rules.size * slot, reference, rules.costs);
        }
        double change = fitting(order, reference, equity, rules.costs);
        if (change == 0.0) return false;
        fill(change, reference, rules.costs);
        return true;
    }

    __device__ double fitting(const Order& order, double reference, double equity, const Costs& costs) const {
        double kept = fabs(quantity * reference) - fabs(order.reduction) * reference;
        double share = fitting_share(equity - kept, fabs(order.increase) * reference);
        bool sells = order.reduction < 0.0 || order.increase < 0.0;
        if (!sells) {
            double price = reference * costs.gross_up(1.0);
            share = fmin(share, fitting_share(cash - order.reduction * price, order.increase * price));
        }
        double smallest = SMALLEST_TRADE * equity;
        bool closes = order.reduction == -quantity;
        auto counts = [=](double change, bool always) { return always || fabs(change) * reference > smallest ? change : 0.0; };
        return counts(order.reduction, closes) + counts(order.increase * share, closes && share > SMALLEST_TRADE);
    }

    __device__ void fill(double change, double reference, const Costs& costs) {
        double held = quantity, price = costs.fill_price(change, reference), fee = costs.fee_rate * fabs(change) * price;
        cash = cash - change * price - fee;
        quantity += change;
        fills += 1;
        last_change = change;
        fees += fee;
        slippage += fabs(change) * fabs(price - reference);
        if (held * quantity < 0.0) {
            profit -= -held * price + fee * (fabs(held) / fabs(change));
            close_trip();
            profit -= quantity * price + fee * (fabs(quantity) / fabs(change));
        } else {
            profit -= change * price + fee;
            if (quantity == 0.0) close_trip();
        }
    }

    __device__ void close_trip() {
        trades += 1;
        winning += profit > 0.0;
        profit = 0.0;
    }

    // Takes in the rows up to `end`, all in one tile, in which neither cash nor quantity changes. Where the equity is used up
    // on the way, the book is closed at that close, and the rows from it on are left to the next call. Asked for by all lanes
    // of a warp; those that are not `active` only help the others.
    __device__ void hold(const Market& market, const Rules& rules, int end, bool active, double* samples) {
        int start = marked;
        double first = 0.0, top = 0.0, bottom = 0.0;
        bool ruined = false;
        if (active) {
            range(market, start, end, first, top, bottom);
            if (bottom <= 0.0 && !bankrupt) {
                ruined = true;
                end = used_up(market, start, end);
                active = end > start;
                if (active) range(market, start, end, first, top, bottom);
            }
        }
        if (active) earn(first);
        bool invested = quantity > 0.0 && fabs(cash) <= RESIDUE * first;
        double more = 0.0, more_squares = 0.0;
        sums_of_returns(market.close, active && quantity != 0.0 && !invested, start, end, cash, quantity, more, more_squares);
        if (active) {
            if (quantity != 0.0) {
                if (invested) {
                    more = market.returns[end - 1] - market.returns[start];
                    more_squares = market.squares[end - 1] - market.squares[start];
                }
                sum += more;
                squares += more_squares;
                held_steps += market.steps_between(start, end);
            }
            if (top > high) climb(market, start, end);
            else trough = smaller(bottom, trough);
            for (uint32_t sample = market.samples_before[start]; sample < market.samples_before[end]; ++sample) {
                samples[sample] = worth(market.close[market.sample_rows[sample]]);
            }
            before = worth(market.close[end - 1]);
            marked = end;
        }
        if (ruined) {
            bankrupt = true;
            if (quantity != 0.0) fill(-quantity, market.close[end], rules.costs);
        }
    }

    // The equity at the close of row `start`, and the highest and lowest one of the rows start..end.
    __device__ void range(const Market& market, int start, int end, double& first, double& top, double& bottom) const {
        first = worth(market.close[start]);
        top = bottom = first;
        if (quantity != 0.0) {
            double highest, lowest;
            market.extremes(start, end, highest, lowest);
            top = worth(quantity < 0.0 ? lowest : highest);
            bottom = worth(quantity < 0.0 ? highest : lowest);
        }
    }

    // The first of the rows at whose close nothing is left.
    __device__ int used_up(const Market& market, int start, int end) const {
        for (int row = start; row < end; ++row) {
            if (worth(market.close[row]) <= 0.0) return row;
        }
        return end - 1;
    }

    __device__ void earn(double worth) {
        double change = before > 0.0 ? worth / before - 1.0 : 0.0;
        sum += change;
        squares += change * change;
    }

    // Follows the equity to new highs. Which rows are passed over at once changes no bit of the deepest drawdown.
    __device__ void climb(const Market& market, int start, int end) {
        const double* highest = market.highest + static_cast<size_t>(PIECE_LEVEL) * market.rows;
        const double* lowest = market.lowest + static_cast<size_t>(PIECE_LEVEL) * market.rows;
        for (int row = start; row < end;) {
            int piece = min(end, row + PIECE);
            if (piece == row + PIECE) {
                double one = worth(highest[row]), other = worth(lowest[row]);
                if (larger(one, other) <= high) {
                    trough = smaller(smaller(one, other), trough);
                    row = piece;
                    continue;
                }
            }
            for (; row < piece; ++row) {
                double now = worth(market.close[row]);
                if (now >= high) {
                    settle();
                    high = trough = now;
                } else {
                    trough = smaller(now, trough);
                }
            }
        }
    }

    // Compares the low under the high that ends with the deepest one.
    __device__ void settle() {
        if (high - trough >= high * (-deepest - 1e-15)) deepest = smaller(trough / high - 1.0, deepest);
    }
};

}  // namespace batch
