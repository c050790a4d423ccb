// The recurrence of an LSTM layer over whole sequences for a population; see population_lstm.rs.
//
// Which products and sums are one operation is written out (fmaf), and none is left to the compiler: the kernels of all
// tiles must round alike, since the size of the population chooses among them.
//
// What limits, by arithmetic (H200, H = 100, 32 windows, one step of one block on its multiprocessor): the product with the
// recurrent weight has 1.28 M multiplications, 10,000 cycles of the f32 units; in bf16 the tensor cores need about 1,000,
// reading fragments from shared memory 1,400 (every weight once a step, h once for each 8 units). Gates, c and h, read and
// written once, are 141 KB forward and 128 KB backward: 7,000 cycles of a multiprocessor's share of 4.8 TB/s where all work.
// So f32 waits for its arithmetic and bf16 for memory: nothing is moved twice, and what the next step reads is asked for a
// step ahead. A model alone waits for its own steps, one after another: at most two barriers of a block each, none of the grid.
#include "common.cuh"

namespace population_lstm {

#ifdef __CUDACC__
__device__ __forceinline__ void prefetch(const float* place) { asm volatile("prefetch.global.L2 [%0];" ::"l"(place)); }
#else
inline void prefetch(const float*) {}
#endif

// Words that are read at once.
struct alignas(16) Four { uint32_t words[4]; };
struct alignas(8) Two { uint32_t words[2]; };
struct alignas(16) FourFloats { float values[4]; };
struct alignas(8) TwoFloats { float values[2]; };

__device__ __forceinline__ int parts_of(int count, int size) { return (count + size - 1) / size; }

// tanh(x) = 2 sigmoid(2 x) - 1, as the CPU computes it.
__device__ __forceinline__ float tangent(float x) { return fmaf(2.0f, logistic(2.0f * x), -1.0f); }

// A step of a unit in a window, forward.
struct Activated { float gates[4], cell, state; };

__device__ __forceinline__ Activated activate(const float (&z)[4], float cell_before) {
    Activated now;
    now.gates[0] = logistic(z[0]);
    now.gates[1] = logistic(z[1]);
    now.gates[2] = tangent(z[2]);
    now.gates[3] = logistic(z[3]);
    now.cell = fmaf(now.gates[1], cell_before, now.gates[0] * now.gates[2]);
    now.state = now.gates[3] * tangent(now.cell);
    return now;
}

// What the gradient of such a step is made of; `above` is the output's gradient.
struct Kept { float gates[4], cell, cell_before, above; };

// Gradients of the four sums; `of_c` becomes that of the cell state before.
__device__ __forceinline__ void go_back(const Kept& kept, float of_h, float& of_c, float (&of_gates)[4]) {
    float i = kept.gates[0], f = kept.gates[1], g = kept.gates[2], o = kept.gates[3], c = tangent(kept.cell);
    float of_cell = fmaf(of_h * o, fmaf(-c, c, 1.0f), of_c);
    of_gates[0] = of_cell * g * fmaf(-i, i, i);
    of_gates[1] = of_cell * kept.cell_before * fmaf(-f, f, f);
    of_gates[2] = of_cell * i * fmaf(-g, g, 1.0f);
    of_gates[3] = of_h * c * fmaf(-o, o, o);
    of_c = of_cell * f;
}

// A member's layer.
struct Layer {
    float* gates;            // [B, T, 4H]
    const float* recurrent;  // [H, 4H], `row` numbers from row to row
    size_t row;
    float* cells;   // [B, T, H]
    float* before;  // [B, T, H]
    float* output;  // [B, T, H] or [B, H], or the gradient of it
    int windows, steps, hidden;
    bool last_only, keep;
    Dropout dropout;

    __device__ __forceinline__ size_t place(int window, int t) const { return static_cast<size_t>(window) * steps + t; }
    __device__ __forceinline__ bool gives(int t) const { return !last_only || t + 1 == steps; }
    __device__ __forceinline__ size_t output_place(int window, int t, int unit) const {
        return (last_only ? static_cast<size_t>(window) : place(window, t)) * hidden + unit;
    }
    // Elements are numbered as on the CPU, where 32 windows lie side by side.
    __device__ __forceinline__ float output_factor(int window, int t, int unit) const {
        if (dropout.threshold == 0) return 1.0f;
        size_t row = last_only ? static_cast<size_t>(window / 32) : place(window / 32, t);
        return dropout.factor((row * hidden + unit) * 32 + window % 32);
    }
    // The weight from the state of unit `from` to a gate of unit `to`, 0 where one of them is not there.
    __device__ __forceinline__ float weight(int from, int gate, int to) const {
        return from < hidden && to < hidden ? recurrent[from * row + gate * hidden + to] : 0.0f;
    }
    // The same to column `column` of all 4H.
    __device__ __forceinline__ float weight(int from, int column) const {
        return from < hidden && column < 4 * hidden ? recurrent[from * row + column] : 0.0f;
    }
    __device__ __forceinline__ void finish(int window, int t, int unit, const Activated& now) const {
        size_t here = place(window, t);
        if (keep) {
            float* to = gates + here * 4 * hidden + unit;
#pragma unroll
            for (int gate = 0; gate < 4; ++gate) to[gate * hidden] = now.gates[gate];
            cells[here * hidden + unit] = now.cell;
            if (t == 0) before[here * hidden + unit] = 0.0f;
            if (t + 1 < steps) before[(here + 1) * hidden + unit] = now.state;
        }
        if (gives(t)) output[output_place(window, t, unit)] = now.state * output_factor(window, t, unit);
    }
    __device__ __forceinline__ Kept kept(int window, int t, int unit) const {
        Kept kept;
        size_t here = place(window, t);
        const float* from = gates + here * 4 * hidden + unit;
#pragma unroll
        for (int gate = 0; gate < 4; ++gate) kept.gates[gate] = from[gate * hidden];
        kept.cell = cells[here * hidden + unit];
        kept.cell_before = t > 0 ? cells[(here - 1) * hidden + unit] : 0.0f;
        kept.above = gives(t) ? output[output_place(window, t, unit)] * output_factor(window, t, unit) : 0.0f;
        return kept;
    }
    // Asks for a step's row of some windows, so that it waits in the cache when it is read.
    __device__ __forceinline__ void ask_for(const float* rows, int first, int count, int t, int width) const {
        int parts = parts_of(width, 32) + 1;
        for (int i = threadIdx.x; i < count * parts; i += blockDim.x) {
            prefetch(rows + place(first + i / parts, t) * width + min(i % parts * 32, width - 1));
        }
    }
};

__device__ __forceinline__ Layer layer_of(float* gates, const float* recurrent, size_t member, size_t row, float* cells,
                                          float* before, float* output, int windows, int steps, int hidden, int last_only,
                                          int keep, const Dropout* table, const int* step, int sites, int site) {
    int number = blockIdx.y;
    size_t rows = static_cast<size_t>(number) * windows * steps, given = last_only ? static_cast<size_t>(number) * windows : rows;
    return Layer{gates + rows * 4 * hidden,
                 recurrent + number * member,
                 row,
                 cells + rows * hidden,
                 before + rows * hidden,
                 output + given * hidden,
                 windows,
                 steps,
                 hidden,
                 last_only != 0,
                 keep != 0,
                 dropout_of(table, step, sites, site, number, gridDim.y)};
}

// The persistent kernels: a block carries a tile of windows through all steps. The first `resident` tiles of the product's
// contraction have their weights in shared memory, in the order in which they are read; the others are read from the weights
// themselves. Lane 4 g + t of a warp has unit g of the warp's 8 and windows 2 t and 2 t + 1 of each 8, whose sums of all four
// gates it holds, as mma_bf16 gives them.

__device__ __forceinline__ int window_of(int lane, int value) { return 8 * (value / 2) + 2 * (lane % 4) + value % 2; }

// Where a number (k, window) lies among the factors of mma_bf16, counted in bfloat16.
template <int TILES>
__device__ __forceinline__ int fragment_place(int k, int window) {
    return ((k / 16 * TILES + window / 8) * 32 + window % 8 * 4 + k % 8 / 2) * 4 + k % 16 / 8 * 2 + k % 2;
}

template <int TILES>
__device__ __forceinline__ void put_rounded(uint32_t* factors, int k, int window, float value) {
    reinterpret_cast<uint16_t*>(factors)[fragment_place<TILES>(k, window)] = static_cast<uint16_t>(bf16_bits(value));
}

// A product knows: DEPTH, a tile of its contraction; WEIGHTS and FACTORS, words of a tile's weights (of a group of units) and
// factors; `fill`, by one warp, of a tile's weights; `put` of a factor.
template <int TILES>
struct PlainForward {
    static constexpr int WINDOWS = 8 * TILES, DEPTH = 1, WEIGHTS = 32;
    static constexpr int FACTORS = WINDOWS + 8;  // 8 more, so that units lie in different banks.

    static __device__ __forceinline__ void fill(uint32_t* weights, const Layer& layer, int k, int group, int lane) {
        weights[lane] = __float_as_uint(layer.weight(k, lane % 4, 8 * group + lane / 4));
    }
    static __device__ __forceinline__ void put(uint32_t* factors, int k, int window, float value) {
        factors[k * FACTORS + window] = __float_as_uint(value);
    }
    static __device__ __forceinline__ void multiply(float (&sums)[2 * TILES][4], const FourFloats& weight,
                                                    const uint32_t* factors, int k, int lane) {
        const float* row = reinterpret_cast<const float*>(factors) + k * FACTORS + 2 * (lane % 4);
#pragma unroll
        for (int tile = 0; tile < TILES; ++tile) {
            TwoFloats h = *reinterpret_cast<const TwoFloats*>(row + 8 * tile);
#pragma unroll
            for (int gate = 0; gate < 4; ++gate) {
                sums[2 * tile][gate] = fmaf(weight.values[gate], h.values[0], sums[2 * tile][gate]);
                sums[2 * tile + 1][gate] = fmaf(weight.values[gate], h.values[1], sums[2 * tile + 1][gate]);
            }
        }
    }
    static __device__ __forceinline__ void add(float (&sums)[2 * TILES][4], const uint32_t* weights, const uint32_t* factors,
                                               const Layer& layer, int group, int groups, int resident, int lane) {
        const uint32_t* own = weights + group * WEIGHTS + lane / 4 * 4;
#pragma unroll 2
        for (int k = 0; k < resident; ++k) {
            multiply(sums, *reinterpret_cast<const FourFloats*>(own + k * groups * WEIGHTS), factors, k, lane);
        }
        // A unit that is not there takes the weights of one that is: nobody reads its sums.
        const float* from = layer.recurrent + resident * layer.row + min(8 * group + lane / 4, layer.hidden - 1);
#pragma unroll 2
        for (int k = resident; k < layer.hidden; ++k, from += layer.row) {
            FourFloats weight;
#pragma unroll
            for (int gate = 0; gate < 4; ++gate) weight.values[gate] = from[gate * layer.hidden];
            multiply(sums, weight, factors, k, lane);
        }
    }
};

template <int TILES>
struct RoundedForward {
    static constexpr int WINDOWS = 8 * TILES, DEPTH = 16, WEIGHTS = 256, FACTORS = 64 * TILES;

    // Rows of the left factor: 8 units with gates i and f, and the same with g and o.
    static __device__ __forceinline__ Four fragment(const Layer& layer, int tile, int pair, int group, int lane) {
        Four fragment;
#pragma unroll
        for (int word = 0; word < 4; ++word) {
            int k = 16 * tile + 2 * (lane % 4) + word / 2 * 8, gate = 2 * pair + word % 2, unit = 8 * group + lane / 4;
            // As pack_bf16, in the form for which the registers suffice.
            fragment.words[word] = bf16_bits(layer.weight(k, gate, unit)) | bf16_bits(layer.weight(k + 1, gate, unit)) << 16;
        }
        return fragment;
    }
    static __device__ __forceinline__ void fill(uint32_t* weights, const Layer& layer, int tile, int group, int lane) {
        for (int pair = 0; pair < 2; ++pair) {
            reinterpret_cast<Four*>(weights)[32 * pair + lane] = fragment(layer, tile, pair, group, lane);
        }
    }
    static __device__ __forceinline__ void put(uint32_t* factors, int k, int window, float value) {
        put_rounded<TILES>(factors, k, window, value);
    }
    static __device__ __forceinline__ void multiply(float (&parts)[2][TILES][4], const Four& first, const Four& second,
                                                    const uint32_t* factors, int tile, int lane) {
        const Two* right = reinterpret_cast<const Two*>(factors) + tile * TILES * 32 + lane;
#pragma unroll
        for (int n = 0; n < TILES; ++n) {
            Two h = right[32 * n];
            mma_bf16(parts[0][n], first.words, h.words);
            mma_bf16(parts[1][n], second.words, h.words);
        }
    }
    static __device__ __forceinline__ void add(float (&sums)[2 * TILES][4], const uint32_t* weights, const uint32_t* factors,
                                               const Layer& layer, int group, int groups, int resident, int lane) {
        // As mma_bf16 holds them.
        float parts[2][TILES][4];
#pragma unroll
        for (int value = 0; value < 2 * TILES; ++value) {
#pragma unroll
            for (int gate = 0; gate < 4; ++gate) parts[gate / 2][value / 2][gate % 2 * 2 + value % 2] = sums[value][gate];
        }
        const Four* own = reinterpret_cast<const Four*>(weights + group * WEIGHTS) + lane;
#pragma unroll 2
        for (int tile = 0; tile < resident; ++tile) {
            const Four* left = own + tile * groups * (WEIGHTS / 4);
            multiply(parts, left[0], left[32], factors, tile, lane);
        }
        for (int tile = resident; tile < parts_of(layer.hidden, DEPTH); ++tile) {
            Four first = fragment(layer, tile, 0, group, lane), second = fragment(layer, tile, 1, group, lane);
            multiply(parts, first, second, factors, tile, lane);
        }
#pragma unroll
        for (int value = 0; value < 2 * TILES; ++value) {
#pragma unroll
            for (int gate = 0; gate < 4; ++gate) sums[value][gate] = parts[gate / 2][value / 2][gate % 2 * 2 + value % 2];
        }
    }
};

template <class Product>
__device__ __forceinline__ void forward(const Layer& layer, int resident) {
    DYNAMIC_SHARED(uint32_t, room);
    constexpr int WINDOWS = Product::WINDOWS, VALUES = WINDOWS / 4;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    int hidden = layer.hidden, groups = parts_of(hidden, 8), first = blockIdx.x * WINDOWS;
    int size = parts_of(hidden, Product::DEPTH) * Product::FACTORS;
    // Weights, h before and after a step (which change places), c in the order of the threads that use it.
    uint32_t* factors = room + resident * groups * Product::WEIGHTS;
    float* cells = reinterpret_cast<float*>(factors + 2 * size);
    for (int part = warp; part < resident * groups; part += warps) {
        Product::fill(room + part * Product::WEIGHTS, layer, part / groups, part % groups, lane);
    }
    for (int i = threadIdx.x; i < 2 * size + groups * 8 * WINDOWS; i += blockDim.x) factors[i] = 0;
    __syncthreads();
    for (int t = 0; t < layer.steps; ++t) {
        const uint32_t* before = factors + t % 2 * size;
        uint32_t* after = factors + (t + 1) % 2 * size;
        if (t + 1 < layer.steps) layer.ask_for(layer.gates, first, min(WINDOWS, layer.windows - first), t + 1, 4 * hidden);
        for (int group = warp; group < groups; group += warps) {
            int unit = 8 * group + lane / 4;
            float sums[VALUES][4];
            const float* inputs = layer.gates + layer.place(first + window_of(lane, 0), t) * 4 * hidden + unit;
            size_t stride = static_cast<size_t>(layer.steps) * 4 * hidden;
#pragma unroll
            for (int value = 0; value < VALUES; ++value) {
                bool there = unit < hidden && first + window_of(lane, value) < layer.windows;
#pragma unroll
                for (int gate = 0; gate < 4; ++gate) sums[value][gate] = there ? inputs[gate * hidden] : 0.0f;
                inputs += (value % 2 == 0 ? 1 : 7) * stride;
            }
            if (t > 0) Product::add(sums, room, before, layer, group, groups, resident, lane);
#pragma unroll
            for (int value = 0; value < VALUES; ++value) {
                int window = window_of(lane, value);
                float& cell = cells[(group * VALUES + value) * 32 + lane];
                Activated now = activate(sums[value], cell);
                cell = now.cell;
                if (unit < hidden) {
                    Product::put(after, unit, window, now.state);
                    if (first + window < layer.windows) layer.finish(first + window, t, unit, now);
                }
            }
        }
        __syncthreads();
    }
}

// Backward the product gives the gradient of h(t) from the 4H gradients of step t + 1: 16 units a warp. It goes through
// shared memory, since the gates want another order: lanes along the units, so that whole lines are read and written.
constexpr int BATCH = 4;  // Units whose numbers a lane asks for at once.

template <int TILES>
struct PlainBackward {
    static constexpr int WINDOWS = 8 * TILES, DEPTH = 4, WEIGHTS = 64;
    static constexpr int ROW = WINDOWS + 4, FACTORS = DEPTH * ROW;  // 4 more, so that columns lie in different banks.

    static __device__ __forceinline__ void fill(uint32_t* weights, const Layer& layer, int tile, int group, int lane) {
        for (int unit = lane / 4; unit < 16; unit += 8) {
            weights[lane % 4 * 16 + unit] = __float_as_uint(layer.weight(16 * group + unit, 4 * tile + lane % 4));
        }
    }
    static __device__ __forceinline__ void put(uint32_t* factors, int column, int window, float value) {
        factors[column * ROW + window] = __float_as_uint(value);
    }
    static __device__ __forceinline__ void multiply(float (&sums)[TILES][4], const FourFloats& weight, const uint32_t* factors,
                                                    int column, int lane) {
        struct alignas(4 * TILES) Windows { float values[TILES]; };
        const float* row = reinterpret_cast<const float*>(factors) + column * ROW + lane % 8 * TILES;
        Windows of_gates = *reinterpret_cast<const Windows*>(row);
#pragma unroll
        for (int window = 0; window < TILES; ++window) {
#pragma unroll
            for (int unit = 0; unit < 4; ++unit) {
                sums[window][unit] = fmaf(weight.values[unit], of_gates.values[window], sums[window][unit]);
            }
        }
    }
    // A lane has 4 units and TILES windows.
    static __device__ __forceinline__ void run(float* of_h, int width, const uint32_t* weights, const uint32_t* factors,
                                               const Layer& layer, int group, int groups, int resident, int lane) {
        float sums[TILES][4] = {};
        int unit = 16 * group + lane / 8 * 4;
        const uint32_t* own = weights + group * WEIGHTS + lane / 8 * 4;
        for (int tile = 0; tile < resident; ++tile) {
#pragma unroll
            for (int part = 0; part < 4; ++part) {
                const uint32_t* from = own + tile * groups * WEIGHTS + part * 16;
                multiply(sums, *reinterpret_cast<const FourFloats*>(from), factors, 4 * tile + part, lane);
            }
        }
#pragma unroll 4
        for (int column = 4 * resident; column < 4 * layer.hidden; ++column) {
            FourFloats weight;
#pragma unroll
            for (int i = 0; i < 4; ++i) weight.values[i] = layer.weight(unit + i, column);
            multiply(sums, weight, factors, column, lane);
        }
#pragma unroll
        for (int window = 0; window < TILES; ++window) {
#pragma unroll
            for (int i = 0; i < 4; ++i) of_h[(lane % 8 * TILES + window) * width + unit + i] = sums[window][i];
        }
    }
};

template <int TILES>
struct RoundedBackward {
    static constexpr int WINDOWS = 8 * TILES, DEPTH = 16, WEIGHTS = 128, FACTORS = 64 * TILES;

    static __device__ __forceinline__ Four fragment(const Layer& layer, int tile, int group, int lane) {
        Four fragment;
#pragma unroll
        for (int word = 0; word < 4; ++word) {
            int column = 16 * tile + 2 * (lane % 4) + word / 2 * 8, unit = 16 * group + lane / 4 + word % 2 * 8;
            fragment.words[word] = pack_bf16(layer.weight(unit, column), layer.weight(unit, column + 1));
        }
        return fragment;
    }
    static __device__ __forceinline__ void fill(uint32_t* weights, const Layer& layer, int tile, int group, int lane) {
        reinterpret_cast<Four*>(weights)[lane] = fragment(layer, tile, group, lane);
    }
    static __device__ __forceinline__ void put(uint32_t* factors, int column, int window, float value) {
        put_rounded<TILES>(factors, column, window, value);
    }
    static __device__ __forceinline__ void multiply(float (&sums)[TILES][4], const Four& left, const uint32_t* factors, int tile,
                                                    int lane) {
        const Two* right = reinterpret_cast<const Two*>(factors) + tile * TILES * 32 + lane;
#pragma unroll
        for (int n = 0; n < TILES; ++n) {
            Two of_gates = right[32 * n];
            mma_bf16(sums[n], left.words, of_gates.words);
        }
    }
    static __device__ __forceinline__ void run(float* of_h, int width, const uint32_t* weights, const uint32_t* factors,
                                               const Layer& layer, int group, int groups, int resident, int lane) {
        float sums[TILES][4] = {};
        const Four* own = reinterpret_cast<const Four*>(weights + group * WEIGHTS) + lane;
#pragma unroll 2
        for (int tile = 0; tile < resident; ++tile) multiply(sums, own[tile * groups * (WEIGHTS / 4)], factors, tile, lane);
        for (int tile = resident; tile < parts_of(4 * layer.hidden, DEPTH); ++tile) {
            multiply(sums, fragment(layer, tile, group, lane), factors, tile, lane);
        }
#pragma unroll
        for (int value = 0; value < 2 * TILES; ++value) {
            float* to = of_h + window_of(lane, value) * width + 16 * group + lane / 4;
            to[0] = sums[value / 2][value % 2];
            to[8] = sums[value / 2][2 + value % 2];
        }
    }
};

template <class Product>
__device__ __forceinline__ void backward(const Layer& layer, int resident) {
    DYNAMIC_SHARED(uint32_t, room);
    constexpr int WINDOWS = Product::WINDOWS;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    int hidden = layer.hidden, groups = parts_of(hidden, 16), first = blockIdx.x * WINDOWS;
    int there = min(WINDOWS, layer.windows - first);
    int size = parts_of(4 * hidden, Product::DEPTH) * Product::FACTORS, width = 16 * groups + 4;
    // Weights, gradients of the gates of the step before as factors, gradients of h and of c.
    uint32_t* factors = room + resident * groups * Product::WEIGHTS;
    float* of_h = reinterpret_cast<float*>(factors + size);
    float* of_c = of_h + WINDOWS * width;
    for (int part = warp; part < resident * groups; part += warps) {
        Product::fill(room + part * Product::WEIGHTS, layer, part / groups, part % groups, lane);
    }
    for (int i = threadIdx.x; i < size + 2 * WINDOWS * width; i += blockDim.x) factors[i] = 0;
    __syncthreads();
    for (int t = layer.steps - 1; t >= 0; --t) {
        if (t > 0) {
            layer.ask_for(layer.gates, first, there, t - 1, 4 * hidden);
            if (t > 1) layer.ask_for(layer.cells, first, there, t - 2, hidden);
            if (!layer.last_only) layer.ask_for(layer.output, first, there, t - 1, hidden);
        }
        if (t + 1 < layer.steps) {
            for (int group = warp; group < groups; group += warps) {
                Product::run(of_h, width, room, factors, layer, group, groups, resident, lane);
            }
        }
        __syncthreads();
        for (int window = warp; window < there; window += warps) {
            for (int start = lane; start < hidden; start += 32 * BATCH) {
                Kept kept[BATCH] = {};
#pragma unroll
                for (int i = 0; i < BATCH; ++i) {
                    if (start + 32 * i < hidden) kept[i] = layer.kept(first + window, t, start + 32 * i);
                }
#pragma unroll
                for (int i = 0; i < BATCH; ++i) {
                    int unit = start + 32 * i;
                    if (unit >= hidden) break;
                    float of_gates[4];
                    go_back(kept[i], of_h[window * width + unit] + kept[i].above, of_c[window * width + unit], of_gates);
                    float* to = layer.gates + layer.place(first + window, t) * 4 * hidden + unit;
#pragma unroll
                    for (int gate = 0; gate < 4; ++gate) {
                        to[gate * hidden] = of_gates[gate];
                        Product::put(factors, gate * hidden + unit, window, of_gates[gate]);
                    }
                }
            }
        }
        __syncthreads();
    }
}

// The stepwise kernels: a launch a step, 32 units (lanes) and 8 windows a block. Its 8 warps share the contraction, 32 of it
// in turn, and their sums are added in order. Nothing stays on the multiprocessor between steps: h and c go through memory.
constexpr int STEP_WARPS = 8, STEP_WINDOWS = 8;

template <bool ROUNDED>
__device__ __forceinline__ float factor_of(float value) { return ROUNDED ? round_bf16(value) : value; }

template <bool ROUNDED>
__device__ __forceinline__ void forward_step(const Layer& layer, int t) {
    DYNAMIC_SHARED(float, room);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, hidden = layer.hidden, blocks = parts_of(hidden, 32);
    int unit = blockIdx.x % blocks * 32 + lane, first = blockIdx.x / blocks * STEP_WINDOWS;
    float* states = room + warp * 32 * STEP_WINDOWS;         // [32 of the contraction, windows]
    float* partial = room + STEP_WARPS * 32 * STEP_WINDOWS;  // [warps, gates, windows, 32 units]
    float sums[4][STEP_WINDOWS] = {};
    for (int start = 32 * warp; t > 0 && start < hidden; start += 32 * STEP_WARPS) {
        for (int window = 0; window < STEP_WINDOWS; ++window) {
            int k = start + lane;
            float h = 0.0f;
            if (k < hidden && first + window < layer.windows) {
                // Without keeping, h of the step before lies where its first gate was.
                h = layer.keep ? layer.before[layer.place(first + window, t) * hidden + k]
                               : layer.gates[layer.place(first + window, t - 1) * 4 * hidden + k];
            }
            states[lane * STEP_WINDOWS + window] = factor_of<ROUNDED>(h);
        }
        __syncwarp();
        int count = min(32, hidden - start);
#pragma unroll 4
        for (int k = 0; k < count; ++k) {
#pragma unroll
            for (int gate = 0; gate < 4; ++gate) {
                float weight = factor_of<ROUNDED>(layer.weight(start + k, gate, unit));
#pragma unroll
                for (int window = 0; window < STEP_WINDOWS; ++window) {
                    sums[gate][window] = fmaf(weight, states[k * STEP_WINDOWS + window], sums[gate][window]);
                }
            }
        }
        __syncwarp();
    }
#pragma unroll
    for (int gate = 0; gate < 4; ++gate) {
#pragma unroll
        for (int window = 0; window < STEP_WINDOWS; ++window) {
            partial[((warp * 4 + gate) * STEP_WINDOWS + window) * 32 + lane] = sums[gate][window];
        }
    }
    __syncthreads();
    int window = first + warp;
    if (unit >= hidden || window >= layer.windows) return;
    float* own = layer.gates + layer.place(window, t) * 4 * hidden + unit;
    float z[4] = {};
    for (int gate = 0; gate < 4; ++gate) {
        for (int other = 0; other < STEP_WARPS; ++other) {
            z[gate] += partial[((other * 4 + gate) * STEP_WINDOWS + warp) * 32 + lane];
        }
        z[gate] += own[gate * hidden];
    }
    float cell = 0.0f;
    if (t > 0) {
        size_t earlier = layer.place(window, t - 1);
        cell = layer.keep ? layer.cells[earlier * hidden + unit] : layer.gates[(earlier * 4 + 1) * hidden + unit];
    }
    Activated now = activate(z, cell);
    if (!layer.keep) {
        own[0] = now.state;
        own[hidden] = now.cell;
    }
    layer.finish(window, t, unit, now);
}

template <bool ROUNDED>
__device__ __forceinline__ void backward_step(const Layer& layer, int t) {
    DYNAMIC_SHARED(float, room);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, hidden = layer.hidden, blocks = parts_of(hidden, 32);
    int from = blockIdx.x % blocks * 32, unit = from + lane, first = blockIdx.x / blocks * STEP_WINDOWS;
    float* weights = room + warp * 32 * (33 + STEP_WINDOWS);        // [32 columns, 32 units and one more for the banks]
    float* of_gates = weights + 32 * 33;                            // [32 columns, windows]
    float* partial = room + STEP_WARPS * 32 * (33 + STEP_WINDOWS);  // [warps, windows, 32 units]
    float sums[STEP_WINDOWS] = {};
    for (int start = 32 * warp; t + 1 < layer.steps && start < 4 * hidden; start += 32 * STEP_WARPS) {
        int column = start + lane;
#pragma unroll 8
        for (int i = 0; i < 32; ++i) weights[lane * 33 + i] = factor_of<ROUNDED>(layer.weight(from + i, column));
        for (int window = 0; window < STEP_WINDOWS; ++window) {
            bool there = column < 4 * hidden && first + window < layer.windows;
            float value = there ? layer.gates[layer.place(first + window, t + 1) * 4 * hidden + column] : 0.0f;
            of_gates[lane * STEP_WINDOWS + window] = factor_of<ROUNDED>(value);
        }
        __syncwarp();
#pragma unroll 8
        for (int k = 0; k < 32; ++k) {
#pragma unroll
            for (int window = 0; window < STEP_WINDOWS; ++window) {
                sums[window] = fmaf(weights[k * 33 + lane], of_gates[k * STEP_WINDOWS + window], sums[window]);
            }
        }
        __syncwarp();
    }
#pragma unroll
    for (int window = 0; window < STEP_WINDOWS; ++window) partial[(warp * STEP_WINDOWS + window) * 32 + lane] = sums[window];
    __syncthreads();
    int window = first + warp;
    if (unit >= hidden || window >= layer.windows) return;
    float of_h = 0.0f;
    for (int other = 0; other < STEP_WARPS; ++other) of_h += partial[(other * STEP_WINDOWS + warp) * 32 + lane];
    Kept kept = layer.kept(window, t, unit);
    // The gradient of c goes to the step before in the place of c, which that step does not read.
    size_t here = layer.place(window, t);
    float of_c = t + 1 < layer.steps ? layer.cells[(here + 1) * hidden + unit] : 0.0f;
    float of_own[4];
    go_back(kept, of_h + kept.above, of_c, of_own);
    layer.cells[here * hidden + unit] = of_c;
    for (int gate = 0; gate < 4; ++gate) layer.gates[(here * 4 + gate) * hidden + unit] = of_own[gate];
}

}  // namespace population_lstm

// The order of `PopulationLstm::arguments`; behind them `resident`, or `t` where a step is a launch.
#define LAYER_PARAMETERS                                                                                              \
    float *gates, const float *recurrent, size_t member, size_t row, float *cells, float *before, float *output,     \
        int windows, int steps, int hidden, int last_only, int keep, const Dropout *table, const int *step, int sites, int site
#define LAYER                                                                                                           \
    population_lstm::layer_of(gates, recurrent, member, row, cells, before, output, windows, steps, hidden, last_only, \
                              keep, table, step, sites, site)

KERNEL(lstm_forward_f32_8, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::forward<population_lstm::PlainForward<1>>(LAYER, resident);
}
KERNEL(lstm_forward_f32_16, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::forward<population_lstm::PlainForward<2>>(LAYER, resident);
}
KERNEL(lstm_forward_f32_32, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::forward<population_lstm::PlainForward<4>>(LAYER, resident);
}
KERNEL(lstm_forward_bf16_8, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::forward<population_lstm::RoundedForward<1>>(LAYER, resident);
}
KERNEL(lstm_forward_bf16_16, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::forward<population_lstm::RoundedForward<2>>(LAYER, resident);
}
KERNEL(lstm_forward_bf16_32, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::forward<population_lstm::RoundedForward<4>>(LAYER, resident);
}
KERNEL(lstm_backward_f32_8, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::backward<population_lstm::PlainBackward<1>>(LAYER, resident);
}
KERNEL(lstm_backward_f32_16, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::backward<population_lstm::PlainBackward<2>>(LAYER, resident);
}
KERNEL(lstm_backward_f32_32, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::backward<population_lstm::PlainBackward<4>>(LAYER, resident);
}
KERNEL(lstm_backward_bf16_8, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::backward<population_lstm::RoundedBackward<1>>(LAYER, resident);
}
KERNEL(lstm_backward_bf16_16, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::backward<population_lstm::RoundedBackward<2>>(LAYER, resident);
}
KERNEL(lstm_backward_bf16_32, 512)(LAYER_PARAMETERS, int resident) {
    population_lstm::backward<population_lstm::RoundedBackward<4>>(LAYER, resident);
}
KERNEL(lstm_forward_step_f32, 256)(LAYER_PARAMETERS, int t) { population_lstm::forward_step<false>(LAYER, t); }
KERNEL(lstm_forward_step_bf16, 256)(LAYER_PARAMETERS, int t) { population_lstm::forward_step<true>(LAYER, t); }
KERNEL(lstm_backward_step_f32, 256)(LAYER_PARAMETERS, int t) { population_lstm::backward_step<false>(LAYER, t); }
KERNEL(lstm_backward_step_bf16, 256)(LAYER_PARAMETERS, int t) { population_lstm::backward_step<true>(LAYER, t); }
