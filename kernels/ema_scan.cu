// nvcc: --fmad=false
// Exponential means of many series at once, with the bits of the CPU; see ema_scan.rs. A thread a series, neighbouring series in
// a warp. Three dependent operations a row, some 30 cycles, limit it while there are fewer than some 100,000 series; the loads of
// the next rows are under way meanwhile.
#include "common.cuh"

// means[rows][series]: the mean of the first `period` values, from then on moved to each value by `weight` of the distance; NaN
// before.
KERNEL(exponential_means, 64)(const double* values, double* means, int rows, int series, int period, double weight) {
    // Rows that are loaded before the first of them is needed.
    constexpr int AHEAD = 8;
    int own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own >= series) return;
    double state = -0.0;
    for (int start = 0; start < rows; start += AHEAD) {
        double next[AHEAD];
#pragma unroll
        for (int i = 0; i < AHEAD; ++i) next[i] = values[static_cast<size_t>(min(start + i, rows - 1)) * series + own];
#pragma unroll
        for (int i = 0; i < AHEAD; ++i) {
            int row = start + i;
            if (row >= rows) break;
            double mean = __longlong_as_double(0x7ff8000000000000ll);
            if (row < period) {
                state += next[i];
                if (row + 1 == period) mean = state = state / period;
            } else {
                mean = state = state + weight * (next[i] - state);
            }
            means[static_cast<size_t>(row) * series + own] = mean;
        }
    }
}
