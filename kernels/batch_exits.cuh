// A book with stops, targets, time limits and payments for holding on a device: the twin of batch_exits.rs and exit_rules.rs,
// operation by operation.
#pragma once
#include "batch_book.cuh"

namespace batch {

// Flags of a book's exits.
enum { WORST_FIRST = 1, FILLS_AT_OPEN = 2 };

struct Position {
    double direction, entry_price, extreme;
    uint32_t entry_row;

    __device__ void flatten() { direction = 0.0, entry_price = 0.0, extreme = 0.0, entry_row = 0; }

    __device__ void after_fill(double held, double change, double price, double reference, uint32_t row) {
        double quantity = held + change;
        if (quantity == 0.0) {
            flatten();
        } else if (held * quantity <= 0.0) {
            direction = quantity > 0.0 ? 1.0 : -1.0, entry_price = price, extreme = reference, entry_row = row;
        } else if (held * change > 0.0) {
            entry_price = (entry_price * held + price * change) / quantity;
        }
    }
    __device__ void survive(double high, double low) { extreme = direction > 0.0 ? fmax(extreme, high) : fmin(extreme, low); }
};

// A position that is to be closed now, if `there`, by a resting order or at the market.
struct Exit {
    bool there, rests;
    double reference;
};

struct Exits {
    double stop_loss, take_profit, trailing_stop;
    uint32_t max_bars;
    bool worst_first, fills_at_open;

    // The tighter of stop and trailing stop, NaN where there is neither.
    __device__ double stop_level(const Position& position) const {
        double fixed = position.entry_price * (1.0 - position.direction * stop_loss);
        double trailing = position.extreme * (1.0 - position.direction * trailing_stop);
        bool tighter = position.direction > 0.0 ? trailing > fixed : trailing < fixed;
        return tighter || fixed != fixed ? trailing : fixed;
    }
    __device__ double target_level(const Position& position) const {
        return position.entry_price * (1.0 + position.direction * take_profit);
    }
    __device__ bool timed_out(const Position& position, uint32_t row) const {
        return max_bars > 0 && row - position.entry_row >= max_bars;
    }
    __device__ Exit at_open(const Position& position, uint32_t row, double open, bool traded) const {
        if (fills_at_open && timed_out(position, row)) return {true, false, open};
        if (traded) return {false, false, open};
        double stop = stop_level(position), target = target_level(position);
        bool long_side = position.direction > 0.0;
        if (long_side ? open <= stop : open >= stop) return {true, false, open};
        return {long_side ? open >= target : open <= target, true, open};
    }
    __device__ Exit within_bar(const Position& position, double open, double high, double low) const {
        double stop = stop_level(position), target = target_level(position);
        bool long_side = position.direction > 0.0;
        bool stopped = long_side ? low <= stop : high >= stop, reached = long_side ? high > target : low < target;
        if (stopped && (worst_first || !reached)) return {true, false, long_side ? fmin(stop, open) : fmax(stop, open)};
        return {reached, true, long_side ? fmax(target, open) : fmin(target, open)};
    }
    __device__ Exit at_close(const Position& position, uint32_t row, double close) const {
        return {!fills_at_open && timed_out(position, row), false, close};
    }
};

// What books with exits read of the rows beside `Market`.
struct Watch {
    const double* open;
    // [level][row]: the highest high and the lowest low of the 2^level rows from this one on; those of level 0 are the bar's own.
    const double *highs, *lows;
    // [row]: what is paid at the close, null where it is never paid, and the first row from this one on with a payment.
    const double *funding, *borrow;
    const uint32_t* next_paid;
};

struct WatchedBook : Book {
    Position position;
    Exits exits;

    __device__ void load_watch(const double* table, const double* levels, const uint32_t* limits, int books, int book) {
        auto at = [=](const double* columns, int column) { return columns[static_cast<size_t>(column) * books + book]; };
        position = {at(table, DIRECTION), at(table, ENTRY_PRICE), at(table, EXTREME), static_cast<uint32_t>(at(table, ENTRY_ROW))};
        uint32_t flags = limits[static_cast<size_t>(books) + book];
        exits = {at(levels, 0), at(levels, 1), at(levels, 2), limits[book], (flags & WORST_FIRST) != 0, (flags & FILLS_AT_OPEN) != 0};
    }
    __device__ void store_watch(double* table, int books, int book) const {
        auto put = [=](int column, double value) { table[static_cast<size_t>(column) * books + book] = value; };
        put(DIRECTION, position.direction), put(ENTRY_PRICE, position.entry_price), put(EXTREME, position.extreme);
        put(ENTRY_ROW, position.entry_row);
    }

    // One bar in full, but for its mark: the order if there is one, exits, payments.
    __device__ void work_off(const Market& market, const Watch& watch, const Rules& rules, const Costs& resting, int row,
                             bool ordered, double target) {
        double open = watch.open[row], high = watch.highs[row], low = watch.lows[row], close = market.close[row];
        bool traded = ordered && exits.fills_at_open && order(target, open, row, rules);
        if (quantity != 0.0) leave(exits.at_open(position, row, open, traded), rules.costs, resting);
        if (quantity != 0.0) leave(exits.within_bar(position, open, high, low), rules.costs, resting);
        if (quantity != 0.0) {
            position.survive(high, low);
            pay(watch, row, close);
            leave(exits.at_close(position, row, close), rules.costs, resting);
        }
        if (ordered && !exits.fills_at_open) order(target, close, row, rules);
    }

    __device__ bool order(double target, double reference, int row, const Rules& rules) {
        double held = quantity;
        if (!trade(target, reference, rules)) return false;
        position.after_fill(held, last_change, rules.costs.fill_price(last_change, reference), reference, row);
        return true;
    }

    __device__ void leave(const Exit& exit, const Costs& market, const Costs& resting) {
        if (exit.there) fill(-quantity, exit.reference, exit.rests ? resting : market);
    }

    __device__ void pay(const Watch& watch, int row, double close) {
        double held = quantity * close;
        if (watch.funding != nullptr) cash -= held * watch.funding[row];
        if (watch.borrow != nullptr && quantity < 0.0) cash -= fabs(held) * watch.borrow[row];
    }

    // The first of the rows start..end at which an exit or a payment may happen, or their end. The position takes in the highs
    // and lows of the rows before it.
    __device__ int quiet_until(const Market& market, const Watch& watch, int start, int end) {
        if (quantity == 0.0 || start >= end) return end;
        if (exits.max_bars > 0) {
            uint64_t due = static_cast<uint64_t>(position.entry_row) + exits.max_bars;
            if (due < static_cast<uint64_t>(end)) end = max(static_cast<int>(due), start);
        }
        if (quantity < 0.0 && watch.borrow != nullptr) return start;
        if (watch.funding != nullptr) end = min(end, static_cast<int>(watch.next_paid[start]));
        double target = exits.target_level(position), stop = exits.stop_level(position);
        bool trails = exits.trailing_stop == exits.trailing_stop;
        if (!trails && stop != stop && target != target) return end;
        const double* highs = watch.highs + static_cast<size_t>(PIECE_LEVEL) * market.rows;
        const double* lows = watch.lows + static_cast<size_t>(PIECE_LEVEL) * market.rows;
        for (int row = start; row < end;) {
            int piece = min(end, row + PIECE);
            if (piece == row + PIECE) {
                // Even a stop behind the best price of these rows stays out of reach of their worst.
                Position after = position;
                after.survive(highs[row], lows[row]);
                if (!touched(trails ? exits.stop_level(after) : stop, target, highs[row], lows[row])) {
                    if (trails) position = after;
                    row = piece;
                    continue;
                }
            }
            for (; row < piece; ++row) {
                double high = watch.highs[row], low = watch.lows[row];
                if (touched(trails ? exits.stop_level(position) : stop, target, high, low)) return row;
                if (trails) position.survive(high, low);
            }
        }
        return end;
    }

    // Whether a bar comes to one of the levels, be it only a touch.
    __device__ bool touched(double stop, double target, double high, double low) const {
        return position.direction > 0.0 ? low <= stop || high >= target : high >= stop || low <= target;
    }
};

}  // namespace batch
