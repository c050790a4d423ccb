// What all kernels share. The same source is compiled by nvcc for devices and by a C++ compiler for the host, where
// `tests/device/cuda.hpp` stands in for the device, so that a machine without one can run and test it.
//
// Conventions
// - Every kernel is declared by KERNEL(name, most threads a block)(arguments). Blocks have whole warps: a multiple of 32
//   threads. Warp operations are asked for by all 32 lanes.
// - Shared memory is dynamic, by DYNAMIC_SHARED(type, name), once a kernel.
// - Sums have a fixed order that depends on shapes alone, never on the size of a population; there are no atomics on
//   floating-point numbers.
#pragma once
#ifdef __CUDACC__
#include <cstdint>
#define KERNEL(name, threads) extern "C" __global__ void __launch_bounds__(threads) name
#define DYNAMIC_SHARED(type, name)                       \
    extern __shared__ __align__(128) unsigned char dynamic_shared[]; \
    type* name = reinterpret_cast<type*>(dynamic_shared)
#endif

constexpr unsigned ALL_LANES = 0xffffffffu;

// The sum over a warp, the same bits in every lane: lane i adds lanes i ^ 16, i ^ 8, .. in this order.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(ALL_LANES, value, distance);
    return value;
}

template <class T>
__device__ __forceinline__ T warp_max(T value) {
    for (int distance = 16; distance > 0; distance /= 2) {
        T other = __shfl_xor_sync(ALL_LANES, value, distance);
        value = other > value ? other : value;
    }
    return value;
}

// The sum over a block, the same bits in every thread. `room` holds 32 numbers in shared memory; both ends are barriers.
template <class T>
__device__ __forceinline__ T block_sum(T value, T* room) {
    value = warp_sum(value);
    __syncthreads();
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = value;
    __syncthreads();
    T sum = 0;
    for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) sum += room[warp];
    __syncthreads();
    return sum;
}

__device__ __forceinline__ float logistic(float x) { return 1.0f / (1.0f + __expf(-x)); }

// The nearest bfloat16, the even one of two, as its upper 16 bits; NaN stays NaN. The same as `kernels/precision.rs`.
__device__ __forceinline__ uint32_t bf16_bits(float value) {
    uint32_t bits = __float_as_uint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return bits >> 16 | 0x40u;
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

// Two bfloat16 numbers in one word, the first in the lower half.
__device__ __forceinline__ uint32_t pack_bf16(float first, float second) {
#ifdef __CUDACC__
    // One instruction; it makes every NaN the same NaN.
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
#else
    return bf16_bits(first) | bf16_bits(second) << 16;
#endif
}

__device__ __forceinline__ float round_bf16(float value) { return __uint_as_float(bf16_bits(value) << 16); }

#ifdef __CUDACC__
// d[16 x 8] += a[16 x 16] b[16 x 8] over a warp: factors bfloat16, sums f32. With g = lane / 4 and t = lane % 4 a lane holds
//   a[0]: row g, columns 2t and 2t + 1    a[1]: row g + 8    a[2]: row g, columns 2t + 8 and 2t + 9    a[3]: row g + 8
//   b[0]: rows 2t and 2t + 1 of column g  b[1]: rows 2t + 8 and 2t + 9
//   d[0], d[1]: row g, columns 2t and 2t + 1              d[2], d[3]: row g + 8
// (PTX ISA, mma.m16n8k16).
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// Random number number `counter` of the stream `key`: SplitMix64, the same as `src/seed.rs`.
__device__ __forceinline__ uint64_t random_bits(uint64_t key, uint64_t counter) {
    uint64_t bits = key + counter * 0x9E3779B97F4A7C15ull;
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9ull;
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBull;
    return bits ^ (bits >> 31);
}

// One site's dropout in one step, the same as `kernels/dropout.rs`. A threshold of 0 drops nothing.
struct Dropout {
    uint64_t key;
    uint32_t threshold;
    float scale;

    // 0, or `scale` where element number `element` stays.
    __device__ __forceinline__ float factor(uint64_t element) const {
        if (threshold == 0) return 1.0f;
        uint32_t bits = static_cast<uint32_t>(random_bits(key, element / 4) >> (16 * (element % 4))) & 0xffffu;
        return bits >= threshold ? scale : 0.0f;
    }
};

// A site's dropout of a member, from a table [steps][population][sites]; no table drops nothing.
__device__ __forceinline__ Dropout dropout_of(const Dropout* table, const int* step, int sites, int site, int member,
                                              int population) {
    if (table == nullptr) return Dropout{0, 0, 1.0f};
    return table[(static_cast<size_t>(*step) * population + member) * sites + site];
}
