// A device on the host, for tests: a kernel's own source runs here thread by thread.
//
// Each thread of a block is a fiber; blocks run one after another. A fiber runs until it waits at a barrier or for its
// warp. Shared memory is filled with NaN before each block. What a device would refuse or hang on is told and ends the
// process: a barrier that some threads never reach, a warp operation of a part of a warp, too much shared memory.
// With -DHOST_THREADS every thread is a thread of the system instead, so that ThreadSanitizer sees missing barriers.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>
#ifdef HOST_THREADS
#include <condition_variable>
#include <mutex>
#include <thread>
#else
#include <sys/mman.h>
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __constant__ static const
#define __align__(bytes)
#define KERNEL(name, threads) \
    constexpr unsigned most_threads_##name = threads; \
    extern "C" void name
using std::max;
using std::min;
#define DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(host_cuda::shared)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace host_cuda {

[[noreturn]] inline void fault(const char* what) {
    std::fprintf(stderr, "emulated device: %s\n", what);
    std::abort();
}

inline dim3 grid_size, block_size, block_index;
inline unsigned char* shared = nullptr;
// A value that a lane shows to its warp; two places, so that one barrier a use is enough.
struct Slot { unsigned char bytes[64]; };

#ifdef HOST_THREADS
// A barrier of all that are still there: whoever has left is not waited for.
class Gate {
    std::mutex mutex;
    std::condition_variable opened;
    unsigned live = 0, waiting = 0, generation = 0;

    void open() {
        waiting = 0;
        ++generation;
        opened.notify_all();
    }

public:
    void begin(unsigned count) {
        std::lock_guard lock(mutex);
        live = count;
    }
    void wait() {
        std::unique_lock lock(mutex);
        if (++waiting == live) return open();
        unsigned before = generation;
        opened.wait(lock, [&] { return generation != before; });
    }
    void leave() {
        std::lock_guard lock(mutex);
        if (--live > 0 && waiting == live) open();
    }
};

struct Warp { Gate gate; Slot slots[2][32]; };
inline Gate block_gate;
inline Warp warps[32];
inline thread_local unsigned thread_number, parity;
inline thread_local dim3 thread_index;

inline void wait_for_block() { block_gate.wait(); }
inline void wait_for_warp() { warps[thread_number / 32].gate.wait(); }
inline Slot* slots() { return warps[thread_number / 32].slots[parity]; }

// Threads that live as long as the process: so many of them, from the first on, run a block.
class Crew {
    std::mutex mutex;
    std::condition_variable called, done;
    unsigned hired = 0, wanted = 0, busy = 0, call = 0;
    const std::function<void()>* kernel = nullptr;

    void live(unsigned number) {
        unsigned heard = 0;
        for (;;) {
            {
                std::unique_lock lock(mutex);
                called.wait(lock, [&] { return call != heard && number < wanted; });
                heard = call;
            }
            thread_number = number;
            parity = 0;
            thread_index = dim3(number % block_size.x, number / block_size.x % block_size.y, number / (block_size.x * block_size.y));
            (*kernel)();
            block_gate.leave();
            warps[number / 32].gate.leave();
            std::lock_guard lock(mutex);
            if (--busy == 0) done.notify_all();
        }
    }

public:
    void run(unsigned count, const std::function<void()>& work) {
        block_gate.begin(count);
        for (unsigned warp = 0; warp < count / 32; ++warp) warps[warp].gate.begin(32);
        std::unique_lock lock(mutex);
        for (; hired < count; ++hired) std::thread([this, number = hired] { live(number); }).detach();
        kernel = &work;
        wanted = busy = count;
        ++call;
        called.notify_all();
        done.wait(lock, [&] { return busy == 0; });
    }
};

inline void run_block(unsigned count, const std::function<void()>& kernel) {
    // Never destroyed: its threads do not end.
    static Crew* crew = new Crew;
    crew->run(count, kernel);
}
#else
#if !defined(__x86_64__)
#error "the fibers of the emulated device are written for x86-64; define HOST_THREADS elsewhere"
#endif
enum State { READY, AT_BLOCK, AT_WARP, DONE };
struct Fiber { void* stack_pointer; State state; unsigned number, parity; dim3 index; unsigned char* stack; };
constexpr size_t STACK = 256 << 10;
inline std::vector<Fiber> fibers;
inline std::vector<std::vector<Slot>> warp_slots;
inline Fiber* current = nullptr;
inline void* scheduler_stack = nullptr;
inline const std::function<void()>* running = nullptr;

asm(R"(
.text
.local host_cuda_switch
.type host_cuda_switch,@function
host_cuda_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
extern "C" void host_cuda_switch(void** save, void* load);

inline void yield_as(State state) {
    current->state = state;
    host_cuda_switch(&current->stack_pointer, scheduler_stack);
}
inline void wait_for_block() { yield_as(AT_BLOCK); }
inline void wait_for_warp() { yield_as(AT_WARP); }
inline Slot* slots() { return &warp_slots[current->number / 32][32 * current->parity]; }

[[noreturn]] inline void enter() {
    (*running)();
    yield_as(DONE);
    fault("a fiber went on after its end");
}

inline void prepare(Fiber& fiber) {
    // As if `host_cuda_switch` had been called from a function that returns to `enter`; the stack is then 8 off 16.
    void** top = reinterpret_cast<void**>(fiber.stack + STACK) - 2;
    top[0] = reinterpret_cast<void*>(&enter);
    top[1] = nullptr;
    for (int saved = 1; saved <= 6; ++saved) top[-saved] = nullptr;
    fiber.stack_pointer = top - 6;
    fiber.state = READY;
    fiber.parity = 0;
}

inline void resume(Fiber& fiber) {
    current = &fiber;
    host_cuda_switch(&scheduler_stack, fiber.stack_pointer);
}

// Runs one warp until its lanes wait for the block or are done.
inline void run_warp(unsigned first) {
    for (;;) {
        unsigned waiting = 0, live = 0;
        for (unsigned lane = first; lane < first + 32; ++lane) {
            if (fibers[lane].state == READY) resume(fibers[lane]);
            live += fibers[lane].state != DONE;
            waiting += fibers[lane].state == AT_WARP;
        }
        if (waiting == 0) return;
        if (waiting != live) fault("a part of a warp waits for the others, which wait elsewhere");
        if (waiting != 32) fault("a warp operation was asked for by a part of a warp");
        for (unsigned lane = first; lane < first + 32; ++lane) fibers[lane].state = READY;
    }
}

inline void run_block(unsigned count, const std::function<void()>& kernel) {
    while (fibers.size() < count) {
        void* stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stack == MAP_FAILED) fault("no memory for a stack");
        Fiber fiber{};
        fiber.stack = static_cast<unsigned char*>(stack);
        fibers.push_back(fiber);
    }
    warp_slots.assign(count / 32, std::vector<Slot>(64));
    running = &kernel;
    for (unsigned number = 0; number < count; ++number) {
        fibers[number].number = number;
        fibers[number].index = dim3(number % block_size.x, number / block_size.x % block_size.y, number / (block_size.x * block_size.y));
        prepare(fibers[number]);
    }
    // Warps take turns in an order that changes from block to block, so that a kernel that needs one order fails.
    unsigned warps = count / 32, turn = block_index.x + block_index.y;
    for (;;) {
        for (unsigned warp = 0; warp < warps; ++warp) run_warp(32 * ((turn % 2 ? warps - 1 - warp : warp)));
        unsigned waiting = 0, live = 0;
        for (unsigned number = 0; number < count; ++number) {
            live += fibers[number].state != DONE;
            waiting += fibers[number].state == AT_BLOCK;
        }
        if (live == 0) return;
        if (waiting != live) fault("some threads wait at a barrier that others have not reached");
        for (unsigned number = 0; number < count; ++number) {
            if (fibers[number].state == AT_BLOCK) fibers[number].state = READY;
        }
    }
}
#endif

inline unsigned lane() {
#ifdef HOST_THREADS
    return thread_number % 32;
#else
    return current->number % 32;
#endif
}

inline void turn_parity() {
#ifdef HOST_THREADS
    parity ^= 1;
#else
    current->parity ^= 1;
#endif
}

// Shows a value to the warp and gives what `read` finds among all lanes' values.
template <class T, class Read>
auto exchange(unsigned mask, const T& value, Read read) {
    static_assert(sizeof(T) <= sizeof(Slot));
    if (mask != 0xffffffffu) fault("a warp operation was asked for with a part of a warp");
    Slot* mine = slots();
    std::memcpy(mine[lane()].bytes, &value, sizeof value);
    wait_for_warp();
    auto result = read([mine](unsigned from) { T other; std::memcpy(&other, mine[from % 32].bytes, sizeof other); return other; });
    turn_parity();
    return result;
}

inline void launch(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& kernel) {
    unsigned count = block.x * block.y * block.z;
    if (count == 0 || count % 32 != 0 || count > 1024) fault("a block needs 32 to 1024 threads in whole warps");
    grid_size = grid;
    block_size = block;
    // Of exactly this size, so that AddressSanitizer sees what lies beyond; 128 bytes aligned.
    size_t room = (shared_bytes + 127) / 128 * 128;
    shared = static_cast<unsigned char*>(std::aligned_alloc(128, room ? room : 128));
    for (unsigned z = 0; z < grid.z; ++z) for (unsigned y = 0; y < grid.y; ++y) for (unsigned x = 0; x < grid.x; ++x) {
        block_index = dim3(x, y, z);
        std::memset(shared, 0xff, room);
        run_block(count, kernel);
    }
    std::free(shared);
    shared = nullptr;
}

}  // namespace host_cuda

#ifdef HOST_THREADS
#define threadIdx (host_cuda::thread_index)
#else
#define threadIdx (host_cuda::current->index)
#endif
#define blockIdx (host_cuda::block_index)
#define blockDim (host_cuda::block_size)
#define gridDim (host_cuda::grid_size)

inline void __syncthreads() { host_cuda::wait_for_block(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { host_cuda::exchange(mask, 0, [](auto) { return 0; }); }
template <class T> T __shfl_xor_sync(unsigned mask, T value, int flip) {
    unsigned from = host_cuda::lane() ^ static_cast<unsigned>(flip);
    return host_cuda::exchange(mask, value, [from](auto of) { return of(from); });
}
template <class T> T __shfl_sync(unsigned mask, T value, int from) {
    return host_cuda::exchange(mask, value, [from](auto of) { return of(static_cast<unsigned>(from)); });
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned distance) {
    unsigned lane = host_cuda::lane(), from = lane < distance ? lane : lane - distance;
    return host_cuda::exchange(mask, value, [from](auto of) { return of(from); });
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned distance) {
    unsigned lane = host_cuda::lane(), from = lane + distance > 31 ? lane : lane + distance;
    return host_cuda::exchange(mask, value, [from](auto of) { return of(from); });
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
    return host_cuda::exchange(mask, predicate != 0, [](auto of) {
        unsigned bits = 0;
        for (unsigned lane = 0; lane < 32; ++lane) bits |= static_cast<unsigned>(of(lane)) << lane;
        return bits;
    });
}

inline float __uint_as_float(uint32_t bits) { float value; std::memcpy(&value, &bits, 4); return value; }
inline uint32_t __float_as_uint(float value) { uint32_t bits; std::memcpy(&bits, &value, 4); return bits; }
inline double __longlong_as_double(long long bits) { double value; std::memcpy(&value, &bits, 8); return value; }
inline long long __double_as_longlong(double value) { long long bits; std::memcpy(&bits, &value, 8); return bits; }
inline float __expf(float x) { return std::exp(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __ffsll(long long bits) { return __builtin_ffsll(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz(static_cast<unsigned>(bits)) : 32; }
template <class T> T __ldg(const T* place) { return *place; }

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct alignas(16) uint4 { uint32_t x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// The layout of mma.m16n8k16, as `kernels/common.cuh` writes it down; sums in the order of k.
inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    struct Factors { uint32_t a[4], b[2]; };
    Factors mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
    struct Sums { float d[4]; };
    unsigned group = host_cuda::lane() / 4, place = host_cuda::lane() % 4;
    Sums sums = host_cuda::exchange(0xffffffffu, mine, [&](auto of) {
        Sums result{{d[0], d[1], d[2], d[3]}};
        auto half = [](uint32_t word, unsigned upper) { return __uint_as_float((upper ? word >> 16 : word & 0xffffu) << 16); };
        for (unsigned k = 0; k < 16; ++k) {
            unsigned pair = k / 8, holder = k % 8 / 2, upper = k % 2;
            Factors row = of(4 * group + holder);
            for (unsigned column = 0; column < 2; ++column) {
                float right = half(of(4 * (2 * place + column) + holder).b[pair], upper);
                result.d[column] += half(row.a[2 * pair], upper) * right;
                result.d[2 + column] += half(row.a[2 * pair + 1], upper) * right;
            }
        }
        return result;
    });
    for (int i = 0; i < 4; ++i) d[i] = sums.d[i];
}
