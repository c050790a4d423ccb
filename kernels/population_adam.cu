// One step of AdamW for all members of a population at once; see population_adam.rs.
#include "common.cuh"

namespace population_adam {
// Weights of a block.
constexpr int CHUNK = 2048;
// Numbers of a member's step; the order of `MemberStep` in population_adam.rs.
enum { CLIP, BETA_1, REST_1, BETA_2, REST_2, KEPT, RATE, ROOT_FACTOR, EPSILON, ACTIVE, NUMBERS = 12 };
}  // namespace population_adam

// partial[p][chunk] = sum of the squares of a chunk of member p's gradients [P][count], in f64.
KERNEL(gradient_squares, 256)(const float* gradients, double* partial, int count) {
    using namespace population_adam;
    DYNAMIC_SHARED(double, room);
    int start = blockIdx.x * CHUNK, end = min(count, start + CHUNK);
    const float* own = gradients + static_cast<size_t>(blockIdx.y) * count;
    double sum = 0;
    for (int i = start + threadIdx.x; i < end; i += blockDim.x) sum += static_cast<double>(own[i]) * own[i];
    sum = block_sum(sum, room);
    if (threadIdx.x == 0) partial[static_cast<size_t>(blockIdx.y) * gridDim.x + blockIdx.x] = sum;
}

// Moves weights [P][count] and moments [P][2][count] along the gradients. `numbers` [steps][P][NUMBERS] holds each member's
// settings of every step, `step` says which one it is; `alive` [P] is 0 for members that stand still.
KERNEL(adam_step, 256)(float* weights, float* moments, const float* gradients, const double* partial, const float* numbers,
                       const int* step, const int* alive, int count) {
    using namespace population_adam;
    int member = blockIdx.y;
    const float* own = numbers + (static_cast<size_t>(*step) * gridDim.y + member) * NUMBERS;
    if (own[ACTIVE] == 0.0f || alive[member] == 0) return;
    float factor = 1.0f;
    if (own[CLIP] > 0.0f) {
        double sum = 0;
        for (unsigned chunk = 0; chunk < gridDim.x; ++chunk) sum += partial[static_cast<size_t>(member) * gridDim.x + chunk];
        double norm = sqrt(sum);
        if (norm > own[CLIP]) factor = static_cast<float>(own[CLIP] / norm);
    }
    float beta_1 = own[BETA_1], rest_1 = own[REST_1], beta_2 = own[BETA_2], rest_2 = own[REST_2];
    float kept = own[KEPT], rate = own[RATE], root_factor = own[ROOT_FACTOR], epsilon = own[EPSILON];
    size_t base = static_cast<size_t>(member) * count;
    int start = blockIdx.x * CHUNK, end = min(count, start + CHUNK);
    for (int i = start + threadIdx.x; i < end; i += blockDim.x) {
        float gradient = gradients[base + i] * factor;
        float first = beta_1 * moments[2 * base + i] + rest_1 * gradient;
        float second = beta_2 * moments[2 * base + count + i] + rest_2 * gradient * gradient;
        moments[2 * base + i] = first;
        moments[2 * base + count + i] = second;
        weights[base + i] = weights[base + i] * kept - rate * first / (sqrtf(second) * root_factor + epsilon);
    }
}

KERNEL(count_up, 32)(int* counter) {
    if (threadIdx.x == 0) *counter += 1;
}
