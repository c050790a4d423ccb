// Matrix products with a population axis; see population_linear.rs.
//
// Roofline on an H200 (4.8 TB/s, 67 TFLOP/s f32). A layer of 64 inputs and 64 outputs moves 512 bytes for 8,192 FLOP of a
// row: 16 FLOP a byte, where f32 arithmetic and memory take the same time; wider layers are bound by arithmetic, narrower
// ones by memory. So a factor passes through shared memory once a tile, the next step's loads are in flight during the
// products of this one, and a thread keeps 8 x 4 sums in registers: 3 shared loads of 16 bytes for 32 multiply-adds. A
// tile of 128 x 128 asks the second cache for one byte per 32 FLOP, one of 64 x 64 for one per 16; that, not the tensor
// cores, bounds bf16 (about 150 and 80 TFLOP/s), since factors come as f32.
//
// A result is one chain of additions along k, so the shape of a tile changes no bit of it.
#include "activations.cuh"

namespace linear {

// Rows of a factor's tile in shared memory. A word is one number, or two neighbours along k in bf16.
constexpr int WORD_ROWS = 16;

// A warp holds 32 x 32 results.
template <int DOWN, int ACROSS>
struct Tile {
    static constexpr int ROWS = 32 * DOWN, COLUMNS = 32 * ACROSS, WARPS_ACROSS = ACROSS, THREADS = 32 * DOWN * ACROSS;
};

template <bool BF16>
struct Format {
    using Word = float;
    using Words = float4;
    static constexpr int NUMBERS = 1;
};
template <>
struct Format<true> {
    using Word = uint32_t;
    using Words = uint4;
    static constexpr int NUMBERS = 2;
};

// Where a word stands in a buffer. Four neighbouring rows begin 8 banks apart, and every next four rows have their columns
// turned by 8, so that these are all free of conflicts: 4 rows x 8 columns (fragments of mma, and a factor that lies along
// k, word by word), 8 columns of every fourth row (the same factor in vectors), and one row.
template <int WIDTH>
__device__ __forceinline__ int place_of(int row, int column) {
    return row * (WIDTH + 8) + (column ^ (row / 4 % 4 * 8));
}

// A member's factor from its tile's first row (or column) on. `extent` of those rows exist, `end` numbers along k.
struct Factor {
    const float* place;
    size_t row;
    int extent, end;
    bool vectors;
};

// Whether rows can be read and written 16 bytes at once.
__device__ __forceinline__ bool in_vectors(const float* place, size_t row) {
    return reinterpret_cast<uintptr_t>(place) % 16 == 0 && row % 4 == 0;
}

// Numbers 0, step, 2 step and 3 step behind a place; zero where they are not below `count`. A step of 1 promises alignment.
__device__ __forceinline__ void load_four(const float* place, int step, int count, float* values) {
    if (step == 1 && count >= 4) {
        float4 four = *reinterpret_cast<const float4*>(place);
        values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) values[i] = i * step < count ? place[i * step] : 0.0f;
}

// What one thread carries of a factor's tile from global to shared memory: items of four words. A factor lies along k (an
// item is four words of one column) or across it (an item is one word of four columns). Where it cannot be read in vectors,
// the words of an item are spread, so that neighbouring threads read neighbouring numbers.
template <bool BF16, bool ALONG_K, int WIDTH, int THREADS>
struct Stage {
    using Word = typename Format<BF16>::Word;
    static constexpr int NUMBERS = Format<BF16>::NUMBERS;
    static constexpr int ITEMS = WORD_ROWS * WIDTH / 4 / THREADS;
    // Items side by side in a row of the matrix.
    static constexpr int SIDE = ALONG_K ? WORD_ROWS / 4 : WIDTH / 4;
    static_assert(ITEMS * THREADS * 4 == WORD_ROWS * WIDTH && THREADS % SIDE == 0, "whole items, one place in all rows");

    float values[ITEMS][4 * NUMBERS];

    // `k` is a multiple of the numbers that a tile has along k.
    __device__ __forceinline__ void load(const Factor& factor, int k) {
#pragma unroll
        for (int item = 0; item < ITEMS; ++item) {
            int index = threadIdx.x + item * THREADS, line = index / SIDE, side = index % SIDE;
            if (ALONG_K) {
                const float* place = factor.place + line * factor.row + k;
                int count = line < factor.extent ? factor.end - k : 0;
                if (NUMBERS == 2) {
                    load_pairs(place + 2 * side, factor.vectors, count - 2 * side, values[item]);
                } else {
                    int first = factor.vectors ? 4 * side : side;
                    load_four(place + first, factor.vectors ? 1 : SIDE, count - first, values[item]);
                }
            } else {
                int first = factor.vectors ? 4 * side : side, row = k + NUMBERS * line;
#pragma unroll
                for (int number = 0; number < NUMBERS; ++number, ++row) {
                    const float* place = factor.place + row * factor.row + first;
                    int count = row < factor.end ? factor.extent - first : 0;
                    load_four(place, factor.vectors ? 1 : SIDE, count, values[item] + 4 * number);
                }
            }
        }
    }

    // Pairs 0, 4, 8 and 12 behind a place, so that the four threads of a line read whole sectors of 32 bytes.
    static __device__ __forceinline__ void load_pairs(const float* place, bool vectors, int count, float* values) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if (vectors && 8 * i + 1 < count) {
                float2 pair = *reinterpret_cast<const float2*>(place + 8 * i);
                values[i] = pair.x, values[4 + i] = pair.y;
            } else {
                values[i] = 8 * i < count ? place[8 * i] : 0.0f;
                values[4 + i] = 8 * i + 1 < count ? place[8 * i + 1] : 0.0f;
            }
        }
    }

    static __device__ __forceinline__ Word word(const float* item, int i) {
        if constexpr (BF16) return pack_bf16(item[i], item[4 + i]);
        else return item[i];
    }

    __device__ __forceinline__ void store(Word* buffer, bool vectors) const {
#pragma unroll
        for (int item = 0; item < ITEMS; ++item) {
            int index = threadIdx.x + item * THREADS, line = index / SIDE, side = index % SIDE;
            Word words[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) words[i] = word(values[item], i);
            if (!ALONG_K && vectors) {
                auto* place = reinterpret_cast<typename Format<BF16>::Words*>(buffer + place_of<WIDTH>(line, 4 * side));
                *place = {words[0], words[1], words[2], words[3]};
                continue;
            }
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                int part = ALONG_K && NUMBERS == 1 && vectors ? 4 * side + i : side + SIDE * i;
                buffer[ALONG_K ? place_of<WIDTH>(part, line) : place_of<WIDTH>(line, part)] = words[i];
            }
        }
    }

    // Adds this step's rows to the sums of the thread's four columns.
    __device__ __forceinline__ void add_columns(float (&sums)[4]) const {
#pragma unroll
        for (int item = 0; item < ITEMS; ++item) {
#pragma unroll
            for (int i = 0; i < 4 * NUMBERS; ++i) sums[i % 4] += values[item][i];
        }
    }
};

// The 32 results of a thread, in runs of neighbours within a row: f32 in 8 runs of 4, bf16, as mma lays them, in 16 of 2.
template <class Tile, bool BF16>
struct Results {
    static constexpr int RUN = BF16 ? 2 : 4, RUNS = 32 / RUN;
    float sums[8][4];

    static __device__ __forceinline__ int row_of(int run) {
        int lane = threadIdx.x % 32, first = threadIdx.x / 32 / Tile::WARPS_ACROSS * 32;
        if (BF16) return first + run / 8 * 16 + run % 2 * 8 + lane / 4;
        return first + run / 4 * 16 + lane / 8 * 4 + run % 4;
    }

    static __device__ __forceinline__ int column_of(int run) {
        int lane = threadIdx.x % 32, first = threadIdx.x / 32 % Tile::WARPS_ACROSS * 32;
        if (BF16) return first + run / 2 % 4 * 8 + lane % 4 * 2;
        return first + lane % 8 * 4;
    }

    __device__ __forceinline__ float& at(int run, int i) { return sums[run * RUN / 4][run * RUN % 4 + i]; }

    __device__ __forceinline__ void start(const float* bias, int columns) {
#pragma unroll
        for (int run = 0; run < RUNS; ++run) {
#pragma unroll
            for (int i = 0; i < RUN; ++i) {
                at(run, i) = bias != nullptr && column_of(run) + i < columns ? bias[column_of(run) + i] : 0.0f;
            }
        }
    }

    __device__ __forceinline__ void add(const float* left, const float* right) {
        int row = row_of(0), column = column_of(0);
// More at once would keep up to 80 registers more, and so fewer blocks of a multiprocessor.
#pragma unroll 4
        for (int k = 0; k < WORD_ROWS; ++k) {
            float4 upper = *reinterpret_cast<const float4*>(left + place_of<Tile::ROWS>(k, row));
            float4 lower = *reinterpret_cast<const float4*>(left + place_of<Tile::ROWS>(k, row + 16));
            float4 across = *reinterpret_cast<const float4*>(right + place_of<Tile::COLUMNS>(k, column));
            float down[8] = {upper.x, upper.y, upper.z, upper.w, lower.x, lower.y, lower.z, lower.w};
#pragma unroll
            for (int i = 0; i < 8; ++i) {
                sums[i][0] = fmaf(down[i], across.x, sums[i][0]);
                sums[i][1] = fmaf(down[i], across.y, sums[i][1]);
                sums[i][2] = fmaf(down[i], across.z, sums[i][2]);
                sums[i][3] = fmaf(down[i], across.w, sums[i][3]);
            }
        }
    }

    __device__ __forceinline__ void add(const uint32_t* left, const uint32_t* right) {
        int lane = threadIdx.x % 32, group = lane / 4, place = lane % 4, warp = threadIdx.x / 32;
        int row = warp / Tile::WARPS_ACROSS * 32 + group, column = warp % Tile::WARPS_ACROSS * 32 + group;
#pragma unroll
        for (int k = 0; k < WORD_ROWS; k += 8) {
            uint32_t across[4][2];
#pragma unroll
            for (int i = 0; i < 8; ++i) {
                across[i / 2][i % 2] = right[place_of<Tile::COLUMNS>(k + i % 2 * 4 + place, column + i / 2 * 8)];
            }
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                uint32_t down[4];
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    down[i] = left[place_of<Tile::ROWS>(k + i / 2 * 4 + place, row + half * 16 + i % 2 * 8)];
                }
#pragma unroll
                for (int i = 0; i < 4; ++i) mma_bf16(sums[4 * half + i], down, across[i]);
            }
        }
    }
};

// Writes a run of which `count` numbers are inside the matrix, or adds it to what is there.
template <int RUN>
__device__ __forceinline__ void write_run(float* place, const float* run, int count, bool vectors, bool added) {
    if (vectors && count >= RUN) {
        if constexpr (RUN == 4) {
            float4* to = reinterpret_cast<float4*>(place);
            float4 old = added ? *to : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            *to = make_float4(old.x + run[0], old.y + run[1], old.z + run[2], old.w + run[3]);
        } else {
            float2* to = reinterpret_cast<float2*>(place);
            float2 old = added ? *to : make_float2(0.0f, 0.0f);
            *to = make_float2(old.x + run[0], old.y + run[1]);
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < RUN; ++i) {
        if (i < count) place[i] = added ? place[i] + run[i] : run[i];
    }
}

// A matrix of every member, as `Rows` of population.rs.
struct Rows {
    float* place;
    size_t member, row;

    __device__ __forceinline__ float* of(int index) const { return place + index * member; }
};

// result [rows, columns] = left [rows, inner] right [inner, columns] of every member, over a chunk of `inner` a block.
//   bias       forward: what results begin with. Of weights: where the sums of right's columns are added. Or nowhere.
//   kept       where results are written before the activation
//   scratch    [P][chunks][rows + 1][columns]: what chunks write where there are several; the last row sums the columns
// Blocks: columns of tiles innermost, then rows of tiles, chunks, members.
struct Product {
    Rows left, right, bias, result, kept;
    float* scratch;
    int rows, columns, inner, chunk, activation, added;
};

template <class Tile, bool BF16, bool LEFT_ALONG_K, bool RIGHT_ALONG_K>
__device__ __forceinline__ void multiply(const Product& product, float* room) {
    using Word = typename Format<BF16>::Word;
    constexpr bool OF_WEIGHT = !LEFT_ALONG_K;
    constexpr int STEP = WORD_ROWS * Format<BF16>::NUMBERS;
    constexpr int LEFT_WORDS = WORD_ROWS * (Tile::ROWS + 8);
    constexpr int WORDS = LEFT_WORDS + WORD_ROWS * (Tile::COLUMNS + 8);
    int tiles_across = (product.columns - 1) / Tile::COLUMNS + 1, tiles_down = (product.rows - 1) / Tile::ROWS + 1;
    int chunks = (product.inner - 1) / product.chunk + 1;
    int index = blockIdx.x / tiles_across, column = blockIdx.x % tiles_across * Tile::COLUMNS;
    int row = index % tiles_down * Tile::ROWS, chunk = index / tiles_down % chunks, member = index / tiles_down / chunks;
    int k = chunk * product.chunk, end = min(product.inner - k, product.chunk) + k;

    size_t left_row = product.left.row, right_row = product.right.row;
    const float* place = product.left.of(member) + (LEFT_ALONG_K ? row * left_row : row);
    Factor left{place, left_row, product.rows - row, end, in_vectors(place, left_row)};
    place = product.right.of(member) + (RIGHT_ALONG_K ? column * right_row : column);
    Factor right{place, right_row, product.columns - column, end, in_vectors(place, right_row)};

    Results<Tile, BF16> results;
    Stage<BF16, LEFT_ALONG_K, Tile::ROWS, Tile::THREADS> next_left;
    Stage<BF16, RIGHT_ALONG_K, Tile::COLUMNS, Tile::THREADS> next_right;
    float columns[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    float* bias = product.bias.place == nullptr ? nullptr : product.bias.of(member) + column;
    bool sums_columns = OF_WEIGHT && row == 0 && bias != nullptr;
    results.start(OF_WEIGHT ? nullptr : bias, right.extent);

    // Two buffers: while one is multiplied the other is filled, so that a step has one barrier.
    Word* buffer = reinterpret_cast<Word*>(room);
    Word* other = buffer + WORDS;
    next_left.load(left, k);
    next_right.load(right, k);
    for (;;) {
        next_left.store(buffer, left.vectors);
        next_right.store(buffer + LEFT_WORDS, right.vectors);
        if (sums_columns) next_right.add_columns(columns);
        __syncthreads();
        k += STEP;
        bool more = k < end;
        if (more) {
            next_left.load(left, k);
            next_right.load(right, k);
        }
        results.add(buffer, buffer + LEFT_WORDS);
        if (!more) break;
        Word* filled = buffer;
        buffer = other;
        other = filled;
    }

    float* result = product.result.of(member);
    size_t result_row = product.result.row;
    bool added = product.added != 0;
    if (OF_WEIGHT && chunks > 1) {
        result = product.scratch + (static_cast<size_t>(member) * chunks + chunk) * (product.rows + 1) * product.columns;
        result_row = product.columns;
        added = false;
    }
    bool vectors = in_vectors(result, result_row);
    float* kept = product.activation == NO_ACTIVATION ? nullptr : product.kept.of(member);
    bool kept_vectors = in_vectors(kept, product.kept.row);
    constexpr int RUN = Results<Tile, BF16>::RUN;
#pragma unroll
    for (int run = 0; run < Results<Tile, BF16>::RUNS; ++run) {
        int at_row = row + results.row_of(run), at_column = column + results.column_of(run);
        if (at_row >= product.rows) continue;
        int count = product.columns - at_column;
        float values[RUN];
#pragma unroll
        for (int i = 0; i < RUN; ++i) values[i] = results.at(run, i);
        if (kept != nullptr) {
            write_run<RUN>(kept + at_row * product.kept.row + at_column, values, count, kept_vectors, false);
#pragma unroll
            for (int i = 0; i < RUN; ++i) values[i] = activated(product.activation, values[i]);
        }
        write_run<RUN>(result + at_row * result_row + at_column, values, count, vectors, added);
    }

    if (!sums_columns) return;
    // Threads that carried the same columns each saw some of the rows.
    using Right = Stage<BF16, RIGHT_ALONG_K, Tile::COLUMNS, Tile::THREADS>;
    __syncthreads();
    int line = threadIdx.x / Right::SIDE, side = threadIdx.x % Right::SIDE;
#pragma unroll
    for (int i = 0; i < 4; ++i) room[line * Tile::COLUMNS + (right.vectors ? 4 * side + i : side + Right::SIDE * i)] = columns[i];
    __syncthreads();
    int own = threadIdx.x;
    if (own >= Tile::COLUMNS || own >= right.extent) return;
    float sum = 0.0f;
    for (int i = 0; i < Tile::THREADS / Right::SIDE; ++i) sum += room[i * Tile::COLUMNS + own];
    if (chunks > 1) result[product.rows * result_row + column + own] = sum;
    else bias[own] += sum;
}

using Tall = Tile<4, 1>;
using Even = Tile<2, 2>;
using Large = Tile<4, 4>;

}  // namespace linear

#define PRODUCT_ROWS(name) float *name, size_t name##_member, size_t name##_row
#define PRODUCT_ARGUMENTS                                                                                               \
    PRODUCT_ROWS(left), PRODUCT_ROWS(right), PRODUCT_ROWS(bias), PRODUCT_ROWS(result), PRODUCT_ROWS(kept),              \
        float *scratch, int rows, int columns, int inner, int chunk, int activation, int added
#define GIVEN_ROWS(name) {name, name##_member, name##_row}
#define MULTIPLY(...)                                                                                                   \
    DYNAMIC_SHARED(float, room);                                                                                        \
    linear::multiply<linear::__VA_ARGS__>({GIVEN_ROWS(left), GIVEN_ROWS(right), GIVEN_ROWS(bias), GIVEN_ROWS(result),   \
                                           GIVEN_ROWS(kept), scratch, rows, columns, inner, chunk, activation, added},  \
                                          room)

// Both factors of a forward pass: x along k, weight across.
KERNEL(linear_forward_f32_tall, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Tall, false, true, false); }
KERNEL(linear_forward_f32_even, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Even, false, true, false); }
KERNEL(linear_forward_f32_large, 512)(PRODUCT_ARGUMENTS) { MULTIPLY(Large, false, true, false); }
KERNEL(linear_forward_bf16_tall, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Tall, true, true, false); }
KERNEL(linear_forward_bf16_even, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Even, true, true, false); }
KERNEL(linear_forward_bf16_large, 512)(PRODUCT_ARGUMENTS) { MULTIPLY(Large, true, true, false); }

// Of inputs: of_y along k, the transposed weight along k.
KERNEL(linear_of_input_f32_tall, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Tall, false, true, true); }
KERNEL(linear_of_input_f32_even, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Even, false, true, true); }
KERNEL(linear_of_input_f32_large, 512)(PRODUCT_ARGUMENTS) { MULTIPLY(Large, false, true, true); }
KERNEL(linear_of_input_bf16_tall, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Tall, true, true, true); }
KERNEL(linear_of_input_bf16_even, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Even, true, true, true); }
KERNEL(linear_of_input_bf16_large, 512)(PRODUCT_ARGUMENTS) { MULTIPLY(Large, true, true, true); }

// Of weights: the transposed x and of_y across.
KERNEL(linear_of_weight_f32_tall, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Tall, false, false, false); }
KERNEL(linear_of_weight_f32_even, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Even, false, false, false); }
KERNEL(linear_of_weight_f32_large, 512)(PRODUCT_ARGUMENTS) { MULTIPLY(Large, false, false, false); }
KERNEL(linear_of_weight_bf16_tall, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Tall, true, false, false); }
KERNEL(linear_of_weight_bf16_even, 128)(PRODUCT_ARGUMENTS) { MULTIPLY(Even, true, false, false); }
KERNEL(linear_of_weight_bf16_large, 512)(PRODUCT_ARGUMENTS) { MULTIPLY(Large, true, false, false); }

// result [rows, columns] += the sum of scratch [P][chunks][rows + 1][columns] over chunks, in order; its last row goes to
// bias, if there is one. A thread has one number; reading the scratch once bounds the time.
KERNEL(linear_sum_chunks, 256)(PRODUCT_ROWS(result), PRODUCT_ROWS(bias), const float* scratch, int rows, int columns,
                               int chunks) {
    int count = (rows + 1) * columns, blocks = (count - 1) / static_cast<int>(blockDim.x) + 1;
    int member = blockIdx.x / blocks, element = blockIdx.x % blocks * blockDim.x + threadIdx.x;
    if (element >= count) return;
    int row = element / columns, column = element % columns;
    if (row == rows && bias == nullptr) return;
    const float* own = scratch + static_cast<size_t>(member) * chunks * count + element;
    float sum = 0.0f;
#pragma unroll 8
    for (int chunk = 0; chunk < chunks; ++chunk) sum += own[static_cast<size_t>(chunk) * count];
    if (row == rows) bias[member * bias_member + column] += sum;
    else result[member * result_member + row * result_row + column] += sum;
}
