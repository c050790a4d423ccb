// Multi-head attention of a population's short sequences; see population_attention.rs.
//
// A window's head with T positions of width d costs 4 T^2 d FLOP forward and 10 T^2 d backward; it moves 16 T d + 4 T^2 bytes
// and 32 T d + 4 T^2, for the softmax weights are kept. With d = 16 that is some 10 FLOP a byte, where the device's f32 units
// and its memory keep step. Products are tiles of 4 x 4 sums in registers, which read 8 vectors of 4 numbers from shared
// memory for 64 FMA. Whatever is read by several lanes of a warp lies so that 8 lanes find it in 8 different groups of banks.
#include "common.cuh"

namespace population_attention {
// What a block works at: heads of one window, counted over all members.
struct Place {
    size_t window;
    int first_head, heads;
};

// What both directions are told; the order of `Plan::arguments` in population_attention.rs.
struct Sizes {
    int windows, length, first, heads, head_width;
    // Of a block: heads, rows of queries (a multiple of 4), rows of keys (a multiple of 4) at a time.
    int block_heads, queries, keys;
    // Bits: 1 causal, 2 factors rounded to bfloat16, 4 rows of four numbers aligned in memory.
    int flags;

    __device__ int asking() const { return length - first; }
    __device__ int width() const { return heads * head_width; }
    // Vectors of four in a row of a head, and in a row of scores.
    __device__ int head_vectors() const { return (head_width + 3) / 4; }
    __device__ int score_vectors() const { return (length + 3) / 4; }
    // Numbers from row to row in shared memory: an odd number of vectors.
    __device__ int head_pitch() const { return 4 * (head_vectors() | 1); }
    __device__ int score_pitch() const { return 4 * (score_vectors() | 1); }
    __device__ bool causal() const { return flags & 1; }
    __device__ bool rounds() const { return flags & 2; }
    __device__ bool aligned() const { return flags & 4; }
    __device__ float scale() const { return 1.0f / sqrtf(static_cast<float>(head_width)); }
    __device__ float factor(float value) const { return rounds() ? round_bf16(value) : value; }
    // How many positions the one at `position` sees.
    __device__ int seen(int position) const { return causal() ? position + 1 : length; }
    // Of the softmax weights [P][windows][heads][asking][T].
    __device__ size_t row_of_weights(const Place& place, int head, int query) const {
        return (place.window * heads + place.first_head + head) * asking() + query;
    }
};

__device__ __forceinline__ Place place_of(const Sizes& sizes, int index) {
    int groups = (sizes.heads + sizes.block_heads - 1) / sizes.block_heads, first = index % groups * sizes.block_heads;
    size_t window = static_cast<size_t>(blockIdx.y) * sizes.windows + index / groups;
    return {window, first, min(sizes.block_heads, sizes.heads - first)};
}

// room[heads][padded][head_pitch] = `rows` rows of each head, as factors, which lie `step` apart; 0 in what is padding.
__device__ __forceinline__ void load(const Sizes& sizes, float* room, const float* from, size_t step, int rows, int padded,
                                     int heads) {
    int vectors = sizes.head_vectors(), pitch = sizes.head_pitch(), width = sizes.head_width;
    // Numbers that follow each other in memory: a row's heads.
    for (int i = threadIdx.x; i < padded * heads * vectors; i += blockDim.x) {
        int vector = i % vectors, head = i / vectors % heads, row = i / (vectors * heads);
        float4 value = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (row < rows) {
            const float* own = from + row * step + head * width + 4 * vector;
            int rest = width - 4 * vector;
            if (sizes.aligned()) {
                value = *reinterpret_cast<const float4*>(own);
            } else {
                value.x = own[0];
                if (rest > 1) value.y = own[1];
                if (rest > 2) value.z = own[2];
                if (rest > 3) value.w = own[3];
            }
            if (sizes.rounds()) {
                value = make_float4(round_bf16(value.x), round_bf16(value.y), round_bf16(value.z), round_bf16(value.w));
            }
        }
        *reinterpret_cast<float4*>(room + (head * padded + row) * pitch + 4 * vector) = value;
    }
}

// Four numbers to memory, or those of them that are within a head; added where `adds`.
__device__ __forceinline__ void store(const Sizes& sizes, float* to, int column, const float (&sum)[4], bool adds) {
    if (sizes.aligned()) {
        float4* place = reinterpret_cast<float4*>(to + column);
        float4 value = make_float4(sum[0], sum[1], sum[2], sum[3]);
        if (adds) {
            float4 before = *place;
            value = make_float4(before.x + value.x, before.y + value.y, before.z + value.z, before.w + value.w);
        }
        *place = value;
        return;
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
        if (column + c < sizes.head_width) to[column + c] = adds ? to[column + c] + sum[c] : sum[c];
    }
}

// sum[i][c] += left[i] * right[c]
__device__ __forceinline__ void add_outer(float (&sum)[4][4], const float (&left)[4], float4 right) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        sum[i][0] += left[i] * right.x;
        sum[i][1] += left[i] * right.y;
        sum[i][2] += left[i] * right.z;
        sum[i][3] += left[i] * right.w;
    }
}

__device__ __forceinline__ float4 vector_at(const float* place) { return *reinterpret_cast<const float4*>(place); }

// scores[heads][queries][start ..] = left[heads][queries][d] right[heads][keys][d]', up to `count` columns. A thread takes 4
// rows of each that lie a quarter apart, so that neighbours read neighbouring rows.
__device__ __forceinline__ void scores_of(const Sizes& sizes, float* scores, const float* left, const float* right,
                                          int start, int count, int heads) {
    int rows = sizes.queries / 4, columns = sizes.keys / 4, pitch = sizes.head_pitch();
    for (int item = threadIdx.x; item < heads * rows * columns; item += blockDim.x) {
        int column = item % columns, row = item / columns % rows, head = item / (columns * rows);
        const float* own_left = left + (head * sizes.queries + row) * pitch;
        const float* own_right = right + (head * sizes.keys + column) * pitch;
        float sum[4][4] = {};
#pragma unroll 1
        for (int k = 0; k < sizes.head_width; k += 4) {
            float4 a[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) a[i] = vector_at(own_left + i * rows * pitch + k);
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                float4 b = vector_at(own_right + j * columns * pitch + k);
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    sum[i][j] += a[i].x * b.x;
                    sum[i][j] += a[i].y * b.y;
                    sum[i][j] += a[i].z * b.z;
                    sum[i][j] += a[i].w * b.w;
                }
            }
        }
        float* result = scores + (head * sizes.queries + row) * sizes.score_pitch() + start + column;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                if (column + j * columns < count) result[i * rows * sizes.score_pitch() + j * columns] = sum[i][j];
            }
        }
    }
}

// Which tile of a product [queries][d] of each head is a thread's; there are no more tiles than threads.
struct Tile {
    int head, row, column;
    bool exists;
};

__device__ __forceinline__ Tile tile_of(const Sizes& sizes, int heads) {
    int rows = sizes.queries / 4, columns = sizes.head_vectors(), item = threadIdx.x;
    return {item / (columns * rows), item / columns % rows, item % columns, item < heads * rows * columns};
}

// sum += left[queries][start ..] right[keys][d] of the tile's head over a tile of keys.
__device__ __forceinline__ void add_product(const Sizes& sizes, float (&sum)[4][4], const Tile& tile, const float* left,
                                            const float* right, int start) {
    if (!tile.exists) return;
    int rows = sizes.queries / 4, left_pitch = sizes.score_pitch(), pitch = sizes.head_pitch();
    const float* own_left = left + (tile.head * sizes.queries + tile.row) * left_pitch + start;
    const float* own_right = right + tile.head * sizes.keys * pitch + 4 * tile.column;
    int count = min(sizes.keys, 4 * sizes.score_vectors() - start);
#pragma unroll 1
    for (int key = 0; key < count; key += 4) {
        float4 a[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) a[i] = vector_at(own_left + i * rows * left_pitch + key);
        add_outer(sum, {a[0].x, a[1].x, a[2].x, a[3].x}, vector_at(own_right + key * pitch));
        add_outer(sum, {a[0].y, a[1].y, a[2].y, a[3].y}, vector_at(own_right + (key + 1) * pitch));
        add_outer(sum, {a[0].z, a[1].z, a[2].z, a[3].z}, vector_at(own_right + (key + 2) * pitch));
        add_outer(sum, {a[0].w, a[1].w, a[2].w, a[3].w}, vector_at(own_right + (key + 3) * pitch));
    }
}

// Rows of a tile's product to memory, `step` apart, up to `count` rows.
__device__ __forceinline__ void store_product(const Sizes& sizes, const float (&sum)[4][4], const Tile& tile, float* to,
                                              size_t step, int count) {
    if (!tile.exists) return;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        int row = tile.row + i * sizes.queries / 4;
        if (row < count) store(sizes, to + row * step + tile.head * sizes.head_width, 4 * tile.column, sum[i], false);
    }
}

// to[T][d] of each head = left[count][T]' right[count][d], or added.
__device__ __forceinline__ void store_transposed(const Sizes& sizes, const float* left, const float* right, float* to,
                                                 int count, int heads, bool adds) {
    int rows = sizes.score_vectors(), columns = sizes.head_vectors();
    int left_pitch = sizes.score_pitch(), pitch = sizes.head_pitch();
    for (int item = threadIdx.x; item < heads * rows * columns; item += blockDim.x) {
        int column = item % columns, row = item / columns % rows, head = item / (columns * rows);
        const float* own_left = left + head * sizes.queries * left_pitch + 4 * row;
        const float* own_right = right + head * sizes.queries * pitch + 4 * column;
        float sum[4][4] = {};
#pragma unroll 4
        for (int query = 0; query < count; ++query) {
            float4 a = vector_at(own_left + query * left_pitch);
            add_outer(sum, {a.x, a.y, a.z, a.w}, vector_at(own_right + query * pitch));
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if (4 * row + i >= sizes.length) break;
            size_t start = static_cast<size_t>(4 * row + i) * 3 * sizes.width() + head * sizes.head_width;
            store(sizes, to + start, 4 * column, sum[i], adds);
        }
    }
}

// One row of scores to softmax weights, by a warp: to memory as they are, to shared memory as factors.
__device__ __forceinline__ void softmax_row(const Sizes& sizes, float* row, float* weights, int seen) {
    int lane = threadIdx.x % 32;
    // A maximum passes NaN over; the sum of the exponentials does not.
    float highest = -INFINITY;
    for (int k = lane; k < seen; k += 32) highest = fmaxf(highest, row[k]);
    highest = warp_max(highest);
    float sum = 0.0f, scale = sizes.scale();
    for (int k = lane; k < seen; k += 32) {
        float power = __expf((row[k] - highest) * scale);
        row[k] = power;
        sum += power;
    }
    float factor = 1.0f / warp_sum(sum);
    for (int k = lane; k < 4 * sizes.score_vectors(); k += 32) {
        float weight = k < seen ? row[k] * factor : 0.0f;
        if (k < sizes.length) weights[k] = weight;
        row[k] = sizes.factor(weight);
    }
}

// One row of the gradients of weights to those of scores, w (dw - sum of w dw) scale, by a warp; both to factors.
__device__ __forceinline__ void score_gradient_row(const Sizes& sizes, float* row, float* weights, int seen) {
    int lane = threadIdx.x % 32;
    float mean = 0.0f, scale = sizes.scale();
    for (int k = lane; k < seen; k += 32) mean += weights[k] * row[k];
    mean = warp_sum(mean);
    for (int k = lane; k < 4 * sizes.score_vectors(); k += 32) {
        row[k] = k < seen ? sizes.factor(weights[k] * (row[k] - mean) * scale) : 0.0f;
        weights[k] = sizes.factor(weights[k]);
    }
}
// A block takes some heads of a window and a run of queries.
__device__ __forceinline__ void forward(const Sizes& sizes, float* room, const float* qkv, float* weights, float* output) {
    int length = sizes.length, first = sizes.first, head_width = sizes.head_width;
    int block_heads = sizes.block_heads, queries = sizes.queries, keys = sizes.keys;
    int runs = (sizes.asking() + queries - 1) / queries, start = blockIdx.x % runs * queries;
    Place place = place_of(sizes, blockIdx.x / runs);
    int count = min(queries, sizes.asking() - start), pitch = sizes.head_pitch(), width = sizes.width();
    float* query_room = room;
    float* key_room = query_room + block_heads * queries * pitch;
    float* score_room = key_room + block_heads * keys * pitch;
    const float* own = qkv + place.window * length * 3 * width + place.first_head * head_width;
    size_t step = 3 * width;
    load(sizes, query_room, own + (first + start) * step, step, count, queries, place.heads);
    int all_seen = sizes.seen(first + start + count - 1);
    for (int key = 0; key < all_seen; key += keys) {
        __syncthreads();
        load(sizes, key_room, own + key * step + width, step, min(keys, length - key), keys, place.heads);
        __syncthreads();
        scores_of(sizes, score_room, query_room, key_room, key, min(keys, length - key), place.heads);
    }
    __syncthreads();
    for (int item = threadIdx.x / 32; item < place.heads * count; item += blockDim.x / 32) {
        int head = item / count, query = item % count;
        size_t row = sizes.row_of_weights(place, head, start + query);
        float* scores = score_room + (head * queries + query) * sizes.score_pitch();
        softmax_row(sizes, scores, weights + row * length, sizes.seen(first + start + query));
    }
    Tile tile = tile_of(sizes, place.heads);
    float sum[4][4] = {};
    for (int key = 0; key < all_seen; key += keys) {
        __syncthreads();
        load(sizes, key_room, own + key * step + 2 * width, step, min(keys, length - key), keys, place.heads);
        __syncthreads();
        add_product(sizes, sum, tile, score_room, key_room, key);
    }
    float* to = output + (place.window * sizes.asking() + start) * width + place.first_head * head_width;
    store_product(sizes, sum, tile, to, width, count);
}

// A block takes some heads of a window, run of queries by run; the gradients of keys and values, which are its own, add up in
// memory.
__device__ __forceinline__ void backward(const Sizes& sizes, float* room, const float* qkv, const float* weights,
                                         const float* of_output, float* of_qkv) {
    int length = sizes.length, first = sizes.first, head_width = sizes.head_width;
    int block_heads = sizes.block_heads, queries = sizes.queries, keys = sizes.keys;
    Place place = place_of(sizes, blockIdx.x);
    int pitch = sizes.head_pitch(), score_pitch = sizes.score_pitch(), width = sizes.width();
    float* query_room = room;
    float* gradient_room = query_room + block_heads * queries * pitch;
    float* key_room = gradient_room + block_heads * queries * pitch;
    float* score_room = key_room + block_heads * keys * pitch;
    float* weight_room = score_room + block_heads * queries * score_pitch;
    size_t step = 3 * width, start_of_window = place.window * length * step + place.first_head * head_width;
    const float* own = qkv + start_of_window;
    float* result = of_qkv + start_of_window;
    int columns = place.heads * head_width;
    for (int i = threadIdx.x; i < first * columns; i += blockDim.x) result[i / columns * step + i % columns] = 0.0f;
    for (int start = 0; start < sizes.asking(); start += queries) {
        int count = min(queries, sizes.asking() - start), all_seen = sizes.seen(first + start + count - 1);
        const float* own_gradients = of_output + (place.window * sizes.asking() + start) * width + place.first_head * head_width;
        __syncthreads();
        load(sizes, query_room, own + (first + start) * step, step, count, queries, place.heads);
        load(sizes, gradient_room, own_gradients, width, count, queries, place.heads);
        for (int item = threadIdx.x / 32; item < place.heads * count; item += blockDim.x / 32) {
            int head = item / count, query = item % count;
            size_t row = sizes.row_of_weights(place, head, start + query);
            float* to = weight_room + (head * queries + query) * score_pitch;
            for (int k = threadIdx.x % 32; k < 4 * sizes.score_vectors(); k += 32) {
                to[k] = k < length ? weights[row * length + k] : 0.0f;
            }
        }
        for (int key = 0; key < all_seen; key += keys) {
            __syncthreads();
            load(sizes, key_room, own + key * step + 2 * width, step, min(keys, length - key), keys, place.heads);
            __syncthreads();
            scores_of(sizes, score_room, gradient_room, key_room, key, min(keys, length - key), place.heads);
        }
        __syncthreads();
        for (int item = threadIdx.x / 32; item < place.heads * count; item += blockDim.x / 32) {
            int place_of_row = (item / count * queries + item % count) * score_pitch;
            int seen = sizes.seen(first + start + item % count);
            score_gradient_row(sizes, score_room + place_of_row, weight_room + place_of_row, seen);
        }
        Tile tile = tile_of(sizes, place.heads);
        float sum[4][4] = {};
        for (int key = 0; key < all_seen; key += keys) {
            __syncthreads();
            load(sizes, key_room, own + key * step + width, step, min(keys, length - key), keys, place.heads);
            __syncthreads();
            add_product(sizes, sum, tile, score_room, key_room, key);
        }
        store_product(sizes, sum, tile, result + (first + start) * step, step, count);
        store_transposed(sizes, score_room, query_room, result + width, count, place.heads, start > 0);
        store_transposed(sizes, weight_room, gradient_room, result + 2 * width, count, place.heads, start > 0);
    }
}
}  // namespace population_attention

// Blocks have 128 threads. That kernels would take more makes the compiler use 80 registers instead of 72, which spill.

// qkv [P][windows][T][3 D] -> softmax weights [P][windows][heads][asking][T] and output [P][windows][asking][D].
KERNEL(attention_forward, 192)(const float* qkv, float* weights, float* output, int windows, int length, int first, int heads,
                               int head_width, int block_heads, int queries, int keys, int flags) {
    DYNAMIC_SHARED(float, room);
    population_attention::forward({windows, length, first, heads, head_width, block_heads, queries, keys, flags}, room, qkv,
                                  weights, output);
}

// of_output [P][windows][asking][D] -> of_qkv [P][windows][T][3 D], 0 for queries that did not ask.
KERNEL(attention_backward, 192)(const float* qkv, const float* weights, const float* of_output, float* of_qkv, int windows,
                                int length, int first, int heads, int head_width, int block_heads, int queries, int keys,
                                int flags) {
    DYNAMIC_SHARED(float, room);
    population_attention::backward({windows, length, first, heads, head_width, block_heads, queries, keys, flags}, room, qkv,
                                   weights, of_output, of_qkv);
}
