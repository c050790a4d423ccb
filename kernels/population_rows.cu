// Passes over the rows of a population's matrices between its products; see population_rows.rs.
//
// Roofline: 8 to 12 bytes move for a few operations of an element, so memory alone bounds these. A thread has four
// neighbouring elements: one load of 16 bytes a matrix where its rows allow that, and one random number.
#include "activations.cuh"

namespace row_steps {

// Four neighbours of a member's elements [rows, width], counted through all rows; `count` of them exist.
struct Quad {
    unsigned number;
    int row, column, count;

    // Calls work(i, row, column) for each.
    template <class Work>
    __device__ __forceinline__ void each(int width, Work work) const {
        int at_row = row, at_column = column;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if (i < count) work(i, at_row, at_column);
            if (++at_column == width) ++at_row, at_column = 0;
        }
    }
};

// A member's matrix.
struct Matrix {
    float* place;
    size_t row;
    int width;
    bool vectors;

    __device__ __forceinline__ Matrix(float* base, size_t member_step, size_t row_step, int member, int columns)
        : place(base + member * member_step), row(row_step), width(columns),
          vectors(columns % 4 == 0 && row_step % 4 == 0 && reinterpret_cast<uintptr_t>(place) % 16 == 0) {}

    __device__ __forceinline__ void read(const Quad& quad, float (&values)[4]) const {
        if (vectors) {
            float4 four = *reinterpret_cast<const float4*>(place + quad.row * row + quad.column);
            values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
            return;
        }
        quad.each(width, [&](int i, int at_row, int column) { values[i] = place[at_row * row + column]; });
    }

    __device__ __forceinline__ void write(const Quad& quad, const float (&values)[4]) const {
        if (vectors) {
            *reinterpret_cast<float4*>(place + quad.row * row + quad.column) =
                make_float4(values[0], values[1], values[2], values[3]);
            return;
        }
        quad.each(width, [&](int i, int at_row, int column) { place[at_row * row + column] = values[i]; });
    }
};

// Which member and which quad are this thread's: blocks of one member follow each other. False where there is none.
__device__ __forceinline__ bool own_quad(int height, int width, int& member, Quad& quad) {
    int elements = height * width, quads = (elements - 1) / 4 + 1;
    int blocks = (quads - 1) / static_cast<int>(blockDim.x) + 1;
    member = blockIdx.x / blocks;
    int number = blockIdx.x % blocks * blockDim.x + threadIdx.x;
    if (number >= quads) return false;
    int element = 4 * number;
    quad = {static_cast<unsigned>(number), element / width, element % width, min(4, elements - element)};
    return true;
}

}  // namespace row_steps

#define STEP_ROWS(name) float *name, size_t name##_member, size_t name##_row
#define STEP_MATRIX(name) row_steps::Matrix(name, name##_member, name##_row, member, width)

// result [height, width] = base + factor * values, or factor * values where there is no base. The factors are those of a
// site's dropout, a value's number is row * width + column. Results may lie where values or the base lie.
KERNEL(rows_sum, 256)(STEP_ROWS(values), STEP_ROWS(base), STEP_ROWS(result), const Dropout* table,
                      const int* step, int sites, int site, int population, int height, int width) {
    int member;
    row_steps::Quad quad;
    if (!row_steps::own_quad(height, width, member, quad)) return;
    Dropout dropout = dropout_of(table, step, sites, site, member, population);
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f}, value[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    STEP_MATRIX(values).read(quad, value);
    if (dropout.threshold != 0) {
        // As `dropout.factor`, which would ask for this number four times.
        uint64_t bits = random_bits(dropout.key, quad.number);
#pragma unroll
        for (int i = 0; i < 4; ++i) value[i] *= (bits >> (16 * i) & 0xffffu) >= dropout.threshold ? dropout.scale : 0.0f;
    }
    // Not a sum with 0, which would take the sign of a zero.
    if (base != nullptr) {
        STEP_MATRIX(base).read(quad, sum);
#pragma unroll
        for (int i = 0; i < 4; ++i) value[i] += sum[i];
    }
    STEP_MATRIX(result).write(quad, value);
}

// of_before [height, width] = the gradient of what came before an activation, from `kept`, which came before it, and the
// gradient behind it.
KERNEL(rows_activation_gradient, 256)(STEP_ROWS(kept), STEP_ROWS(of_activated), STEP_ROWS(of_before),
                                      int activation, int height, int width) {
    int member;
    row_steps::Quad quad;
    if (!row_steps::own_quad(height, width, member, quad)) return;
    float before[4] = {0.0f, 0.0f, 0.0f, 0.0f}, gradient[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    STEP_MATRIX(kept).read(quad, before);
    STEP_MATRIX(of_activated).read(quad, gradient);
#pragma unroll
    for (int i = 0; i < 4; ++i) gradient[i] = activation_gradient(activation, before[i], gradient[i]);
    STEP_MATRIX(of_before).write(quad, gradient);
}

// y [height, width] = x + positions [times, width], a row r with row r % times.
KERNEL(rows_add_positions, 256)(STEP_ROWS(x), STEP_ROWS(positions), STEP_ROWS(y), int times, int height,
                                int width) {
    int member;
    row_steps::Quad quad;
    if (!row_steps::own_quad(height, width, member, quad)) return;
    float value[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    STEP_MATRIX(x).read(quad, value);
    const float* own = positions + member * positions_member;
    quad.each(width, [&](int i, int row, int column) { value[i] += own[row % times * positions_row + column]; });
    STEP_MATRIX(y).write(quad, value);
}

// of_positions [times, width] += the sum of of_y's rows t, t + times, .., of which there are `repeats`, in this order.
KERNEL(rows_positions_gradient, 256)(STEP_ROWS(of_y), STEP_ROWS(of_positions), int times, int repeats, int width) {
    int count = times * width, blocks = (count - 1) / static_cast<int>(blockDim.x) + 1;
    int member = blockIdx.x / blocks, element = blockIdx.x % blocks * blockDim.x + threadIdx.x;
    if (element >= count) return;
    int time = element / width, column = element % width;
    const float* own = of_y + member * of_y_member + time * of_y_row + column;
    float sum = 0.0f;
#pragma unroll 8
    for (int repeat = 0; repeat < repeats; ++repeat) sum += own[static_cast<size_t>(repeat) * times * of_y_row];
    of_positions[member * of_positions_member + time * of_positions_row + column] += sum;
}
