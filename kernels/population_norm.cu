// Layer normalisation of the rows of a population; see population_norm.rs.
//
// Bytes are what limits: forward moves 8 a number, backward 12 (16 where it adds), at some 10 and 20 FLOP. A row is a warp's,
// and is read from memory once: what later passes over it read, the first level cache still holds.
#include "common.cuh"

namespace population_norm {
constexpr float EPSILON = 1e-5f;

struct Moments {
    float mean, factor;
};

// Mean and 1 / sqrt(variance + epsilon) of a row, the same in all lanes.
__device__ __forceinline__ Moments moments_of(const float* row, int width, int lane) {
    float sum = 0.0f;
    for (int k = lane; k < width; k += 32) sum += row[k];
    float mean = warp_sum(sum) / width;
    sum = 0.0f;
    for (int k = lane; k < width; k += 32) sum += (row[k] - mean) * (row[k] - mean);
    return {mean, 1.0f / sqrtf(warp_sum(sum) / width + EPSILON)};
}
}  // namespace population_norm

// y = (x - mean) / sqrt(variance + epsilon) * scale + shift, row by row; a warp a row.
KERNEL(norm_forward, 256)(const float* x, size_t x_member, size_t x_row, float* y, size_t y_member, size_t y_row,
                          const float* scale, size_t scale_member, const float* shift, size_t shift_member, int rows,
                          int width) {
    size_t member = blockIdx.y;
    int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    x += member * x_member + row * x_row;
    y += member * y_member + row * y_row;
    scale += member * scale_member;
    shift += member * shift_member;
    auto moments = population_norm::moments_of(x, width, lane);
    for (int k = lane; k < width; k += 32) y[k] = (x[k] - moments.mean) * moments.factor * scale[k] + shift[k];
}

// With n the normalised row and g = dy * scale: dx = (g - mean(g) - n mean(g n)) / sqrt(variance + epsilon), added to of_x or
// in its place. A block takes `run` rows, warp by warp; partial[p][block][2][width] gets its sums of dy n and dy.
KERNEL(norm_backward, 256)(const float* x, size_t x_member, size_t x_row, const float* of_y, size_t of_y_member,
                           size_t of_y_row, float* of_x, size_t of_x_member, size_t of_x_row, const float* scale,
                           size_t scale_member, float* partial, int rows, int width, int run, int adds) {
    DYNAMIC_SHARED(float, room);
    size_t member = blockIdx.y;
    int warp = threadIdx.x / 32, warps = blockDim.x / 32, lane = threadIdx.x % 32;
    // A lane's columns are its own in every row, so that its warp's sums need no barrier.
    float* of_scale = room + static_cast<size_t>(warp) * 2 * width;
    float* of_shift = of_scale + width;
    for (int k = lane; k < width; k += 32) of_scale[k] = of_shift[k] = 0.0f;
    scale += member * scale_member;
    int start = blockIdx.x * run, end = min(rows, start + run);
    for (int row = start + warp; row < end; row += warps) {
        const float* own = x + member * x_member + row * x_row;
        const float* of_own = of_y + member * of_y_member + row * of_y_row;
        float* result = of_x + member * of_x_member + row * of_x_row;
        auto moments = population_norm::moments_of(own, width, lane);
        float level = 0.0f, slope = 0.0f;
        for (int k = lane; k < width; k += 32) {
            float gradient = of_own[k] * scale[k];
            level += gradient;
            slope += gradient * ((own[k] - moments.mean) * moments.factor);
        }
        level = warp_sum(level) / width;
        slope = warp_sum(slope) / width;
        for (int k = lane; k < width; k += 32) {
            float of_result = of_own[k], normal = (own[k] - moments.mean) * moments.factor;
            float gradient = (of_result * scale[k] - level - normal * slope) * moments.factor;
            result[k] = adds ? result[k] + gradient : gradient;
            of_scale[k] += of_result * normal;
            of_shift[k] += of_result;
        }
    }
    __syncthreads();
    partial += (member * gridDim.x + blockIdx.x) * 2 * width;
    for (int k = threadIdx.x; k < 2 * width; k += blockDim.x) {
        float sum = 0.0f;
        for (int from = 0; from < warps; ++from) sum += room[static_cast<size_t>(from) * 2 * width + k];
        partial[k] = sum;
    }
}

// of_scale and of_shift += the sum of their parts [blocks][2][width]. A block takes 32 columns: warp w adds up parts w, w + 8,
// .. and then the warps' sums are added up.
KERNEL(norm_sums, 256)(const float* partial, float* of_scale, size_t of_scale_member, float* of_shift,
                       size_t of_shift_member, int blocks, int width) {
    DYNAMIC_SHARED(float, room);
    size_t member = blockIdx.y;
    int column = blockIdx.x * 32 + threadIdx.x % 32, warp = threadIdx.x / 32;
    partial += member * blocks * 2 * width + column;
    float sum = 0.0f;
    if (column < 2 * width) {
#pragma unroll 4
        for (int block = warp; block < blocks; block += 8) sum += partial[static_cast<size_t>(block) * 2 * width];
    }
    room[threadIdx.x] = sum;
    __syncthreads();
    if (warp != 0 || column >= 2 * width) return;
    for (int other = 1; other < 8; ++other) sum += room[32 * other + threadIdx.x];
    if (column < width) of_scale[member * of_scale_member + column] += sum;
    else of_shift[member * of_shift_member + column - width] += sum;
}
