// Losses of a population and their gradients; see population_loss.rs.
//
// Two passes over outputs and targets, one block a member: a megabyte at most, most of it in the second level cache, and
// some 30 FLOP a number. What limits is the latency of one block, a few microseconds, beside a network's milliseconds.
#include "common.cuh"

namespace population_loss {
// The order of `LossKind` and of the numbers of a column in population_loss.rs.
enum Kind { MSE, HUBER, PINBALL, CROSS_ENTROPY, WEIGHTED_CROSS_ENTROPY, DIRECTION };
enum { KIND, HORIZON, WEIGHT, PARAMETER, LEVEL, ZERO, NUMBERS = 8 };

struct Pair {
    float loss, gradient;
};

// Of y ln(1 + e^-x) w + (1 - y) ln(1 + e^x), finite for every logit x.
__device__ __forceinline__ Pair cross_entropy(float x, float y, float w) {
    float small = expf(-fabsf(x));
    float surprise = (x > 0.0f ? 0.0f : -x) + log1pf(small);
    // 1 - logistic(x)
    float rest = (x > 0.0f ? small : 1.0f) / (1.0f + small);
    float counts = 1.0f + (w - 1.0f) * y;
    return {(1.0f - y) * x + counts * surprise, (1.0f - y) - counts * rest};
}

// The loss of one output and its derivative; NaN where one of both is NaN.
__device__ __forceinline__ Pair of_output(const float* column, float output, float target) {
    float error = output - target;
    switch (static_cast<Kind>(column[KIND])) {
        case MSE: return {error * error, 2.0f * error};
        case HUBER: {
            float delta = column[PARAMETER], size = fabsf(error);
            if (size <= delta) return {0.5f * error * error, error};
            return {delta * (size - 0.5f * delta), error > 0.0f ? delta : error < 0.0f ? -delta : error};
        }
        case PINBALL: {
            float level = column[LEVEL];
            if (error >= 0.0f) return {(1.0f - level) * error, 1.0f - level};
            return {-level * error, error < 0.0f ? -level : error};
        }
        case CROSS_ENTROPY: return cross_entropy(output, target, 1.0f);
        case WEIGHTED_CROSS_ENTROPY: return cross_entropy(output, target, column[PARAMETER]);
        case DIRECTION: {
            float zero = column[ZERO];
            // Of the rest, equal numbers give 1/2 and NaN stays.
            float class_of = target > zero ? 1.0f : target < zero ? 0.0f : 0.5f + (target - target);
            return cross_entropy(output, class_of, 1.0f);
        }
    }
    return {NAN, NAN};
}
}  // namespace population_loss

// Adds each member's share, of shares[*pass][p], of its mean loss over its first `active` rows to loss[*step][p], and fills of_outputs
// [P][rows][columns] with the gradient, 0 in other rows, unless it is null. A member whose loss is not finite dies, where
// `alive` is not null, and dead members' gradients are 0. One block a member.
KERNEL(loss_of_outputs, 512)(const float* outputs, const float* targets, const float* table, const int* active,
                             const float* shares, const int* pass, const int* step, double* loss, int* alive, float* of_outputs, int rows,
                             int horizons, int columns) {
    DYNAMIC_SHARED(double, room);
    int member = blockIdx.x, count = min(active[member], rows);
    const float* own_table = table + static_cast<size_t>(member) * columns * population_loss::NUMBERS;
    const float* own_outputs = outputs + static_cast<size_t>(member) * rows * columns;
    const float* own_targets = targets + static_cast<size_t>(member) * rows * horizons;
    float factor = count > 0 ? shares[static_cast<size_t>(*pass) * gridDim.x + member] / count : 0.0f;
    auto of = [&](int i) {
        const float* column = own_table + i % columns * population_loss::NUMBERS;
        float target = own_targets[static_cast<size_t>(i / columns) * horizons + static_cast<int>(column[population_loss::HORIZON])];
        auto pair = population_loss::of_output(column, own_outputs[i], target);
        float weight = column[population_loss::WEIGHT];
        return population_loss::Pair{pair.loss * weight, pair.gradient * weight};
    };
    double sum = 0;
    for (int i = threadIdx.x; i < count * columns; i += blockDim.x) sum += of(i).loss;
    sum = block_sum(sum, room);
    double* place = loss + static_cast<size_t>(*step) * gridDim.x + member;
    double so_far = *place + sum * factor;
    // Infinite or NaN less itself is NaN.
    bool lives = alive == nullptr || (alive[member] != 0 && so_far - so_far == 0.0);
    // Everyone has read what thread 0 is about to change.
    __syncthreads();
    if (threadIdx.x == 0) {
        *place = so_far;
        if (!lives) alive[member] = 0;
    }
    if (of_outputs == nullptr) return;
    float* own = of_outputs + static_cast<size_t>(member) * rows * columns;
    for (int i = threadIdx.x; i < rows * columns; i += blockDim.x) {
        own[i] = lives && i < count * columns ? of(i).gradient * factor : 0.0f;
    }
}
