// From series on the device to a population's batches; see population_gather.rs.
//
// Bytes are what limits: each number of a batch is read once (from series that the second level cache mostly holds) and
// written once. Lanes of a warp handle numbers that follow each other, and each lane has several loads on their way.
#include "common.cuh"

namespace population_gather {
// Numbers of a window that one warp copies.
constexpr int CHUNK = 512;
// Addresses of a member; the order of `SeriesPlaces` in population_gather.rs.
enum { SERIES, STARTS, TARGETS, ORDER, PLACES };
constexpr double EPSILON = 1e-5;

// room[group][feature] becomes the sum over groups, in room[0][feature]; both ends are barriers.
__device__ __forceinline__ void sum_groups(double* room, int groups, int features) {
    __syncthreads();
    for (int count = groups; count > 1;) {
        int half = (count + 1) / 2, i = threadIdx.x;
        if (i < (count - half) * features) room[i] += room[i + half * features];
        __syncthreads();
        count = half;
    }
}
}  // namespace population_gather

// Of step number *step: x [P][rows][size] and y [P][rows][horizons] from each member's windows, 0 in rows beyond the counts
// [steps][P], which become active [P]. offsets [steps][P] say where in its order a member's batch begins. A warp copies a
// chunk of a window.
KERNEL(gather_windows, 128)(const uint64_t* places, const uint32_t* offsets, const int* counts, const int* step, float* x,
                            float* y, int* active, int rows, int size, int horizons) {
    constexpr int CHUNK = population_gather::CHUNK;
    int chunks = (size + CHUNK - 1) / CHUNK, member = blockIdx.y, lane = threadIdx.x % 32;
    int item = blockIdx.x * 4 + threadIdx.x / 32, row = item / chunks, chunk = item % chunks;
    if (row >= rows) return;
    const uint64_t* own = places + static_cast<size_t>(member) * population_gather::PLACES;
    size_t now = static_cast<size_t>(*step) * gridDim.y + member;
    int count = min(counts[now], rows);
    bool counts_too = row < count;
    const float* window = nullptr;
    const float* target = nullptr;
    if (counts_too) {
        auto order = reinterpret_cast<const uint32_t*>(own[population_gather::ORDER]);
        auto starts = reinterpret_cast<const uint64_t*>(own[population_gather::STARTS]);
        uint32_t number = order[static_cast<size_t>(offsets[now]) + row];
        window = reinterpret_cast<const float*>(own[population_gather::SERIES]) + starts[number];
        target = reinterpret_cast<const float*>(own[population_gather::TARGETS]) + static_cast<size_t>(number) * horizons;
    }
    size_t to = static_cast<size_t>(member) * rows + row;
    int start = chunk * CHUNK, end = min(size, start + CHUNK);
    float* result = x + to * size;
    for (int i = start + lane; i < end; i += 8 * 32) {
        float part[8];
#pragma unroll
        for (int k = 0; k < 8; ++k) part[k] = counts_too && i + 32 * k < end ? window[i + 32 * k] : 0.0f;
#pragma unroll
        for (int k = 0; k < 8; ++k) {
            if (i + 32 * k < end) result[i + 32 * k] = part[k];
        }
    }
    if (chunk != 0) return;
    for (int i = lane; i < horizons; i += 32) y[to * horizons + i] = counts_too ? target[i] : 0.0f;
    if (row == 0 && lane == 0) active[member] = count;
}

// x [windows][length][features] minus each feature's last value, in place. A block a window.
KERNEL(subtract_last_values, 256)(float* x, int length, int features) {
    float* own = x + static_cast<size_t>(blockIdx.x) * length * features;
    float* last = own + static_cast<size_t>(length - 1) * features;
    for (int i = threadIdx.x; i < (length - 1) * features; i += blockDim.x) own[i] -= last[i % features];
    __syncthreads();
    for (int i = threadIdx.x; i < features; i += blockDim.x) last[i] -= last[i];
}

// x [windows][length][features] to (x - mean) / deviation over each feature's window, in place, computed in f64; deviation
// [windows] unless it is null. A block takes a window's features from number blockIdx.y * slab on; a thread stays with one
// feature of them.
KERNEL(normalise_instances, 256)(float* x, float* deviation, int length, int features, int slab) {
    DYNAMIC_SHARED(double, room);
    int first = blockIdx.y * slab, own_features = min(slab, features - first);
    int groups = blockDim.x / own_features, feature = threadIdx.x % own_features;
    bool takes_part = static_cast<int>(threadIdx.x) < groups * own_features;
    int begin = takes_part ? threadIdx.x / own_features : length;
    float* own = x + static_cast<size_t>(blockIdx.x) * length * features + first + feature;
    double sum = 0;
    for (int t = begin; t < length; t += groups) sum += own[static_cast<size_t>(t) * features];
    if (takes_part) room[threadIdx.x] = sum;
    population_gather::sum_groups(room, groups, own_features);
    double mean = room[feature] / length;
    __syncthreads();
    sum = 0;
    for (int t = begin; t < length; t += groups) {
        double centred = own[static_cast<size_t>(t) * features] - mean;
        sum += centred * centred;
    }
    if (takes_part) room[threadIdx.x] = sum;
    population_gather::sum_groups(room, groups, own_features);
    double root = sqrt(room[feature] / length + population_gather::EPSILON), factor = 1.0 / root;
    for (int t = begin; t < length; t += groups) {
        float* place = own + static_cast<size_t>(t) * features;
        *place = static_cast<float>((*place - mean) * factor);
    }
    if (deviation != nullptr && threadIdx.x == 0) deviation[blockIdx.x] = static_cast<float>(root);
}

// values [rows][columns] *= factors [rows].
KERNEL(scale_rows, 256)(float* values, const float* factors, uint64_t rows, int columns) {
    uint64_t i = static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < rows * columns) values[i] *= factors[i / columns];
}

// result [windows][features][places] = x [windows][length][features] at the bars [places]. A block takes a window's features
// from number blockIdx.y * slab on; it turns them in shared memory, with `pitch` numbers a feature, unless pitch is 0.
KERNEL(cut_patches, 256)(const float* x, const uint32_t* bars, float* result, int length, int features, int places, int slab,
                         int pitch) {
    DYNAMIC_SHARED(float, room);
    int first = blockIdx.y * slab, own_features = min(slab, features - first);
    const float* own = x + static_cast<size_t>(blockIdx.x) * length * features + first;
    float* to = result + (static_cast<size_t>(blockIdx.x) * features + first) * places;
    if (pitch > 0) {
        for (int i = threadIdx.x; i < length * own_features; i += blockDim.x) {
            int t = i / own_features, feature = i % own_features;
            room[feature * pitch + t] = own[static_cast<size_t>(t) * features + feature];
        }
        __syncthreads();
    }
    for (int i = threadIdx.x; i < own_features * places; i += blockDim.x) {
        int feature = i / places;
        uint32_t bar = bars[i % places];
        to[i] = pitch > 0 ? room[feature * pitch + bar] : own[static_cast<size_t>(bar) * features + feature];
    }
}
