// nvcc: --fmad=false
// Many books of moving-average crosses over the same rows, with the bits of the CPU; see backtest_device.rs.
//
// Rows come in stretches that stay in the second-level cache: means, then words of 32 comparisons, then the books. For
// B books, R rows and W windows on an H200:
// - cross_means writes 8 W R bytes and divides W R times: little, since W is far below B.
// - cross_words subtracts and compares B R times: 2 f64 operations, 16 bytes from the first cache (neighbouring books share their
//   fast mean) or the second (the slow one, where the first is too small), about 15 instructions of a warp for 32 rows: some 7
//   to 17 ms for 58,300 x 200,000.
// - cross_books walks set bits only. A thread a book and some 600 instructions a fill, with loads from the second-level cache
//   behind each other: latency limits it, some 3,000 cycles a fill, some 3 ms for 1,400 fills. Where returns must be computed
//   bar by bar (shorts, parts of the equity), a warp divides for 32 rows at once: about 70 instructions, some 40 ms.
// - watched_cross_books looks for exits 16 rows at a time, each lane for its own book, and works off the bars that touch a level.
// All of this is counted, not measured: no device was at hand.
#include "batch_exits.cuh"

// The return of a row against the row before, added up within each tile, in the order of the rows: a thread a tile.
KERNEL(tile_returns, 32)(const double* close, double* returns, double* squares, int rows) {
    int tile = blockIdx.x * blockDim.x + threadIdx.x;
    if (tile >= (rows + batch::TILE - 1) / batch::TILE) return;
    int start = tile * batch::TILE, end = min(rows, start + batch::TILE);
    double before = close[max(start - 1, 0)], sum = 0.0, sum_of_squares = 0.0;
    for (int row = start; row < end; ++row) {
        double change = close[row] / before - 1.0;
        before = close[row];
        sum += change;
        sum_of_squares += change * change;
        returns[row] = sum;
        squares[row] = sum_of_squares;
    }
}

// Level `level` of the extremes [level][row] from the level below; level 0 is the column itself.
KERNEL(range_extremes, 256)(double* highest, double* lowest, int level, int rows) {
    int row = blockIdx.x * blockDim.x + threadIdx.x, half = 1 << (level - 1);
    if (row + 2 * half > rows) return;
    size_t below = static_cast<size_t>(level - 1) * rows + row, own = below + rows;
    highest[own] = batch::larger(highest[below], highest[below + half]);
    lowest[own] = batch::smaller(lowest[below], lowest[below + half]);
}

// means[window][i]: the mean by which the order filled in row first + i was decided, NaN where there is none. `high` and `low`
// are the running sums of running_sums.rs [values + 1]; `values_before` values are in them up to the one that decides row 0.
KERNEL(cross_means, 256)(const double* high, const double* low, const int* windows, double* means, int values_before, int first,
                         int count, int stride) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    int period = windows[blockIdx.y], end = values_before + first + i, start = end - period;
    double mean = __longlong_as_double(0x7ff8000000000000ll);
    if (period > 0 && start >= 0) {
        double difference = high[end] - high[start];
        double lost = (high[end] - difference) - high[start];
        mean = (difference + (lost + (low[end] - low[start]))) / period;
    }
    means[static_cast<size_t>(blockIdx.y) * stride + i] = mean;
}

// up[word][book]: in which of 32 rows the fast mean is above the slow one by more than a tie; down, unless null, in which it is
// below. A lane a row; the words of 32 books are stored at once. `books` is the number of pairs [book][2], a multiple of 32.
KERNEL(cross_words, 256)(const double* means, const double* ties, const int* pairs, uint32_t* up, uint32_t* down, int first,
                         int count, int stride, int books, int group) {
    // Loads in flight before the first comparison.
    constexpr int AHEAD = 8;
    int lane = threadIdx.x % 32, i = blockIdx.x * blockDim.x + threadIdx.x, word = i / 32;
    if (word * 32 >= count) return;
    bool there = i < count;
    const double* own = means + min(i, count - 1);
    double tie = ties[first + min(i, count - 1)];
    int end = min(books, (static_cast<int>(blockIdx.y) + 1) * group);
    for (int from = blockIdx.y * group; from < end; from += 32) {
        uint32_t own_up = 0, own_down = 0;
        for (int part = 0; part < 32; part += AHEAD) {
            double fast[AHEAD], slow[AHEAD];
#pragma unroll
            for (int k = 0; k < AHEAD; ++k) {
                const int* pair = pairs + 2 * (from + part + k);
                fast[k] = own[static_cast<size_t>(pair[0]) * stride];
                slow[k] = own[static_cast<size_t>(pair[1]) * stride];
            }
#pragma unroll
            for (int k = 0; k < AHEAD; ++k) {
                uint32_t above = __ballot_sync(ALL_LANES, there && fast[k] - slow[k] > tie);
                if (lane == part + k) own_up = above;
                if (down != nullptr) {
                    uint32_t below = __ballot_sync(ALL_LANES, there && slow[k] - fast[k] > tie);
                    if (lane == part + k) own_down = below;
                }
            }
        }
        size_t place = static_cast<size_t>(word) * books + from + lane;
        up[place] = own_up;
        if (down != nullptr) down[place] = own_down;
    }
}

namespace batch {

// The rows of a stretch at which a book's level changes, one after the other.
struct Changes {
    const uint32_t *up_words, *down_words;
    int stride, first, words, word;
    uint32_t up, down, changed;

    __device__ Changes(const uint32_t* up, const uint32_t* down, int stride, int first, int count, int level)
        : up_words(up), down_words(down), stride(stride), first(first), words((count + 31) / 32), word(-1),
          up(level > 0 ? 0x80000000u : 0), down(level < 0 ? 0x80000000u : 0), changed(0) {}

    // The row of the next change, which may lie behind the last row; far behind it where there is none.
    __device__ int row() {
        while (changed == 0) {
            if (word + 1 >= words) return 0x7fffffff;
            word += 1;
            uint32_t now_up = up_words[static_cast<size_t>(word) * stride];
            uint32_t now_down = down_words == nullptr ? 0 : down_words[static_cast<size_t>(word) * stride];
            changed = (now_up ^ (now_up << 1 | up >> 31)) | (now_down ^ (now_down << 1 | down >> 31));
            up = now_up;
            down = now_down;
        }
        return first + 32 * word + __ffs(static_cast<int>(changed)) - 1;
    }

    // The level from the next change on, which then is the last one.
    __device__ int take() {
        int bit = __ffs(static_cast<int>(changed)) - 1;
        changed &= changed - 1;
        return static_cast<int>(up >> bit & 1) - static_cast<int>(down >> bit & 1);
    }
};

}  // namespace batch

// Runs every book through the rows first..first + count, which begin with a tile. Books are columns of `table`
// [batch::COLUMNS][books], `shorts` says which go short; equity [book][samples + 1] takes the equity before the first row and
// at each sample, of which the first `unlisted` are taken before the first row, too.
KERNEL(cross_books, 64)(const double* close, const double* fill_prices, const double* returns, const double* squares,
                        const double* highest, const double* lowest, const uint32_t* samples_before, const uint32_t* sample_rows,
                        const uint32_t* steps, uint64_t end_step, int rows, const uint32_t* up, const uint32_t* down,
                        int word_stride, const int* shorts, double* table, double* equity, int samples, int unlisted, int books,
                        int first, int count, double fee_rate, double slippage_rate, double size, int in_units) {
    batch::Market market{close, returns, squares, highest, lowest, samples_before, sample_rows, steps, end_step, rows};
    batch::Rules rules{{fee_rate, slippage_rate}, size, in_units != 0};
    // A lane without a book helps the others; it stands at the end.
    int number = blockIdx.x * blockDim.x + threadIdx.x, end = first + count;
    bool there = number < books;
    int own = there ? number : books - 1;
    batch::Book book;
    book.load(table, books, own, there ? first : end);
    batch::Changes changes(up + own, down != nullptr && shorts[own] ? down + own : nullptr, word_stride, first, count, book.level);
    double* own_equity = equity + static_cast<size_t>(own) * (samples + 1);
    for (int sample = 0; there && first == 0 && sample <= unlisted; ++sample) own_equity[sample] = book.before;
    while (__ballot_sync(ALL_LANES, book.marked < end)) {
        bool busy = book.marked < end;
        int change = 0, next = 0;
        if (busy) {
            change = changes.row();
            next = min(min(change, end), (book.marked / batch::TILE + 1) * batch::TILE);
        }
        book.hold(market, rules, next, busy && next > book.marked, own_equity + 1);
        // A book whose equity was used up on the way has not come that far, and behind the last row nothing is an order.
        if (busy && book.marked == next && next == change && next < end) {
            book.level = changes.take();
            if (!book.bankrupt) book.trade(book.level, fill_prices[next], rules);
        }
    }
    if (there) book.store(table, books, own);
}

// The same for books to which something may happen without an order: `highs` and `lows` are the extremes [level][row] of highs and
// lows, `exits` [3][books] stop, target and trailing stop, `limits` [2][books] bars and flags.
KERNEL(watched_cross_books, 64)(
    const double* close, const double* fill_prices, const double* returns, const double* squares, const double* highest,
    const double* lowest, const uint32_t* samples_before, const uint32_t* sample_rows, const uint32_t* steps, uint64_t end_step,
    int rows, const uint32_t* up, const uint32_t* down, int word_stride, const int* shorts, double* table, double* equity,
    int samples, int unlisted, int books, int first, int count, double fee_rate, double slippage_rate, double size, int in_units,
    const double* open, const double* highs, const double* lows, const double* funding, const double* borrow,
    const uint32_t* next_paid, const double* exits, const uint32_t* limits, double resting_fee_rate, double resting_slippage_rate) {
    batch::Market market{close, returns, squares, highest, lowest, samples_before, sample_rows, steps, end_step, rows};
    batch::Watch watch{open, highs, lows, funding, borrow, next_paid};
    batch::Rules rules{{fee_rate, slippage_rate}, size, in_units != 0};
    batch::Costs resting{resting_fee_rate, resting_slippage_rate};
    int number = blockIdx.x * blockDim.x + threadIdx.x, end = first + count;
    bool there = number < books;
    int own = there ? number : books - 1;
    batch::WatchedBook book;
    book.load(table, books, own, there ? first : end);
    book.load_watch(table, exits, limits, books, own);
    batch::Changes changes(up + own, down != nullptr && shorts[own] ? down + own : nullptr, word_stride, first, count, book.level);
    double* own_equity = equity + static_cast<size_t>(own) * (samples + 1);
    for (int sample = 0; there && first == 0 && sample <= unlisted; ++sample) own_equity[sample] = book.before;
    // From which row on something may happen.
    int from = book.marked;
    while (__ballot_sync(ALL_LANES, book.marked < end)) {
        bool busy = book.marked < end;
        int tile_end = min(end, (book.marked / batch::TILE + 1) * batch::TILE), next = tile_end, eventful = tile_end;
        if (busy && book.bankrupt) {
            while (changes.row() < tile_end) book.level = changes.take();
        } else if (busy) {
            next = min(changes.row(), tile_end);
            eventful = book.quiet_until(market, watch, from, next);
        }
        book.hold(market, rules, eventful, busy && eventful > book.marked, own_equity + 1);
        if (busy && book.bankrupt) {
            book.position.flatten();
        } else if (busy && eventful < tile_end) {
            bool ordered = eventful == next;
            if (ordered) book.level = changes.take();
            book.work_off(market, watch, rules, resting, eventful, ordered, book.level);
        }
        from = min(eventful + 1, tile_end);
    }
    if (there) {
        book.store(table, books, own);
        book.store_watch(table, books, own);
    }
}

// returns[book][sample]: of equity [book][samples + 1] against the one before, 0 where that is nothing.
KERNEL(sampled_returns, 256)(const double* equity, float* returns, int samples, uint64_t count) {
    size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const double* before = equity + i + i / samples;
    returns[i] = before[0] > 0.0 ? static_cast<float>(before[1] / before[0] - 1.0) : 0.0f;
}
