// nvcc: --fmad=false
// Mean and standard deviation of every window of rows, for many series at once, with the bits of the CPU; see
// rolling_moments.rs. Memory limits it: a value is read twice, a suffix of 16 bytes is written and read, mean and deviation are
// written, 64 bytes in all, 13 us for a million values on an H200. Threads of a warp are neighbouring series of one row.
#include "common.cuh"

namespace rolling {

struct Moments {
    double count, mean, squares;

    // The moments of these values and of those that come after them.
    __device__ Moments joined(const Moments& later) const {
        double together = count + later.count, distance = later.mean - mean, share = later.count / together;
        return {together, mean + distance * share, squares + later.squares + distance * distance * count * share};
    }
};

}  // namespace rolling

// suffixes[2][rows][series]: mean and squares of the values from each row to the end of its block of `period` rows. A thread a
// series and block.
KERNEL(moments_suffixes, 128)(const double* values, double* suffixes, int rows, int series, int period) {
    int own = blockIdx.y * blockDim.x + threadIdx.x;
    if (own >= series) return;
    int start = blockIdx.x * period, end = min(rows, start + min(period, rows));
    size_t plane = static_cast<size_t>(rows) * series, place = static_cast<size_t>(end - 1) * series + own;
    rolling::Moments moments{1.0, values[place], 0.0};
    for (int row = end - 1;;) {
        suffixes[place] = moments.mean;
        suffixes[plane + place] = moments.squares;
        if (--row < start) break;
        place -= series;
        moments = rolling::Moments{1.0, values[place], 0.0}.joined(moments);
    }
}

// means and deviations [rows][series] of the last `period` values up to each row, NaN before there are as many. `rest` is what
// is taken from the number of values to divide the squares.
KERNEL(moments_windows, 128)(const double* values, const double* suffixes, double* means, double* deviations, int rows, int series,
                             int period, int rest) {
    int own = blockIdx.y * blockDim.x + threadIdx.x;
    if (own >= series) return;
    int start = blockIdx.x * period, end = min(rows, start + min(period, rows));
    size_t plane = static_cast<size_t>(rows) * series, place = static_cast<size_t>(start) * series + own;
    rolling::Moments prefix{1.0, values[place], 0.0};
    for (int row = start;;) {
        int offset = row - start;
        double nothing = __longlong_as_double(0x7ff8000000000000ll);
        rolling::Moments window{nothing, nothing, nothing};
        if (offset + 1 == period) {
            window = prefix;
        } else if (start > 0) {
            // The rest of the window is the end of the block before.
            size_t from = place - static_cast<size_t>(period - 1) * series;
            rolling::Moments suffix{static_cast<double>(period - offset - 1), suffixes[from], suffixes[plane + from]};
            window = suffix.joined(prefix);
        }
        means[place] = window.mean;
        deviations[place] = sqrt(window.squares / (window.count - rest));
        if (++row == end) break;
        place += series;
        prefix = prefix.joined(rolling::Moments{1.0, values[place], 0.0});
    }
}
