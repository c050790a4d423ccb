// What follows a linear map, the same formulas as `kernels/row_steps.rs`; `population_linear.rs` numbers them so.
#pragma once
#include "common.cuh"

enum ActivationKind { NO_ACTIVATION, RELU, GELU };

// The normal distribution's probability of at most x, and its density at x. The error function is Abramowitz and Stegun's
// 7.1.26, within 2e-7.
struct NormalAt {
    float probability, density;
};

__device__ __forceinline__ NormalAt normal_at(float x) {
    float size = fabsf(x) * 0.70710678f;
    float t = 1.0f / (0.3275911f * size + 1.0f);
    float series = 1.0614054f;
    series = series * t - 1.4531521f;
    series = series * t + 1.4214138f;
    series = series * t - 0.28449675f;
    series = series * t + 0.2548296f;
    float tail = __expf(-size * size);
    float error = 1.0f - series * t * tail;
    return {0.5f + 0.5f * copysignf(error, x), tail * 0.3989423f};
}

// NaN stays NaN: a maximum of x and 0 would make it 0.
__device__ __forceinline__ float activated(int kind, float x) {
    if (kind == RELU) return x <= 0.0f ? 0.0f : x;
    if (kind == GELU) return x * normal_at(x).probability;
    return x;
}

// The gradient of the value x before the activation. Of a value that is NaN it is NaN.
__device__ __forceinline__ float activation_gradient(int kind, float x, float of_activated) {
    if (kind == RELU) return x > 0.0f ? of_activated : (x <= 0.0f ? 0.0f : x);
    if (kind == GELU) {
        NormalAt normal = normal_at(x);
        return of_activated * (x * normal.density + normal.probability);
    }
    return of_activated;
}
