// The part of the CUDA driver's interface that candlewick uses, on the host: with this library in the place of libcuda.so.1
// the program believes that there is a device. `kernels.inc` is written by `emulator.rs`: it includes every kernel file and
// lists every kernel.
//
// CANDLEWICK_EMULATED_DEVICES: how many devices there are (1). CANDLEWICK_EMULATED_BYTES: the memory of each (4 GiB).
// CANDLEWICK_EMULATED_SHARED_BYTES: shared memory of a block (227 KiB). CANDLEWICK_EMULATED_FAILURE: the launch from which on
// nothing works any more (none).
#include "cuda.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>

struct Registered {
    std::function<std::function<void()>(void**)> bind;
    unsigned most_threads;
    size_t allowed_shared = 48 << 10;
    std::string name;
};

template <class... A, size_t... I>
std::tuple<A...> copied(void** values, std::index_sequence<I...>) {
    return {*static_cast<std::remove_const_t<A>*>(values[I])...};
}

// A launch takes pointers to the arguments, which are copied before it returns.
template <class... A>
std::function<std::function<void()>(void**)> binder(void (*kernel)(A...)) {
    return [kernel](void** values) {
        auto arguments = copied<A...>(values, std::index_sequence_for<A...>{});
        return [kernel, arguments] { std::apply(kernel, arguments); };
    };
}

#include "kernels.inc"

namespace {

using Result = int;
enum : Result {
    OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, TOO_MANY = 701, RECORDS = 900
};

std::mutex everything;
size_t in_use[64];
std::map<uint64_t, std::pair<size_t, int>> blocks;
thread_local int current_device = 0;
// While a thread records, the driver loads nothing, takes no memory and does not wait for it.
thread_local int recordings = 0;

struct Graph { std::vector<std::function<void()>> work; };
struct Stream { Graph* capturing = nullptr; };

size_t number_of(const char* name, size_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}
int devices() { return static_cast<int>(number_of("CANDLEWICK_EMULATED_DEVICES", 1)); }
size_t most_shared() { return number_of("CANDLEWICK_EMULATED_SHARED_BYTES", 227 << 10); }
size_t memory() { return number_of("CANDLEWICK_EMULATED_BYTES", size_t(4) << 30); }

Result perform(void* stream, std::function<void()> work) {
    std::lock_guard lock(everything);
    auto* own = static_cast<Stream*>(stream);
    if (own && own->capturing) own->capturing->work.push_back(std::move(work));
    else work();
    return OK;
}

}  // namespace

extern "C" {
#define EXPORT __attribute__((visibility("default")))
EXPORT Result cuInit(unsigned) { return devices() > 0 ? OK : NO_DEVICE; }
EXPORT Result cuDriverGetVersion(int* version) { *version = 13000; return OK; }
EXPORT Result cuDeviceGetCount(int* count) { *count = devices(); return OK; }
EXPORT Result cuDeviceGet(int* device, int number) {
    if (number < 0 || number >= devices()) return INVALID_DEVICE;
    *device = number;
    return OK;
}
EXPORT Result cuDeviceGetName(char* name, int length, int) { std::snprintf(name, length, "emulated device"); return OK; }
EXPORT Result cuDeviceTotalMem_v2(size_t* bytes, int) { *bytes = memory(); return OK; }
EXPORT Result cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
        case 16: *value = 4; break;                             // multiprocessors
        case 75: *value = 9; break;                             // compute capability, major
        case 76: *value = 0; break;                             // minor
        case 97: *value = static_cast<int>(most_shared()); break; // shared memory of a block, opt-in
        case 115: *value = 0; break;                            // memory pools
        default: *value = 0;
    }
    return OK;
}
EXPORT Result cuDevicePrimaryCtxRetain(void** context, int device) {
    *context = reinterpret_cast<void*>(static_cast<intptr_t>(device + 1));
    return OK;
}
EXPORT Result cuDevicePrimaryCtxRelease_v2(int) { return OK; }
EXPORT Result cuCtxSetCurrent(void* context) {
    current_device = context ? static_cast<int>(reinterpret_cast<intptr_t>(context)) - 1 : 0;
    return OK;
}
EXPORT Result cuCtxGetCurrent(void** context) {
    *context = reinterpret_cast<void*>(static_cast<intptr_t>(current_device + 1));
    return OK;
}
EXPORT Result cuCtxSynchronize() { return OK; }
EXPORT Result cuMemGetInfo_v2(size_t* free, size_t* total) {
    std::lock_guard lock(everything);
    *total = memory();
    *free = *total - in_use[current_device];
    return OK;
}
EXPORT Result cuMemAlloc_v2(uint64_t* address, size_t bytes) {
    if (bytes == 0) return INVALID_VALUE;
    if (recordings > 0) return RECORDS;
    std::lock_guard lock(everything);
    if (in_use[current_device] + bytes > memory()) return OUT_OF_MEMORY;
    void* block = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!block) return OUT_OF_MEMORY;
    // What was not written must not look like a number.
    std::memset(block, 0xff, bytes);
    in_use[current_device] += bytes;
    *address = reinterpret_cast<uint64_t>(block);
    blocks[*address] = {bytes, current_device};
    return OK;
}
EXPORT Result cuMemFree_v2(uint64_t address) {
    std::lock_guard lock(everything);
    auto block = blocks.find(address);
    if (block == blocks.end()) return INVALID_VALUE;
    in_use[block->second.second] -= block->second.first;
    blocks.erase(block);
    std::free(reinterpret_cast<void*>(address));
    return OK;
}
EXPORT Result cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, void* stream) {
    return perform(stream, [=] { std::memcpy(reinterpret_cast<void*>(to), from, bytes); });
}
EXPORT Result cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, void* stream) {
    return perform(stream, [=] { std::memcpy(to, reinterpret_cast<void*>(from), bytes); });
}
EXPORT Result cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void* stream) {
    return perform(stream, [=] { std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes); });
}
EXPORT Result cuMemsetD8Async(uint64_t to, unsigned char value, size_t bytes, void* stream) {
    return perform(stream, [=] { std::memset(reinterpret_cast<void*>(to), value, bytes); });
}
EXPORT Result cuStreamCreate(void** stream, unsigned) { *stream = new Stream; return OK; }
EXPORT Result cuStreamDestroy_v2(void* stream) { delete static_cast<Stream*>(stream); return OK; }
EXPORT Result cuStreamSynchronize(void*) { return recordings > 0 ? RECORDS : OK; }
EXPORT Result cuStreamWaitEvent(void*, void*, unsigned) { return OK; }
EXPORT Result cuEventCreate(void** event, unsigned) { *event = new char; return OK; }
EXPORT Result cuEventRecord(void*, void*) { return OK; }
EXPORT Result cuEventSynchronize(void*) { return OK; }
EXPORT Result cuEventQuery(void*) { return OK; }
EXPORT Result cuEventElapsedTime_v2(float* time, void*, void*) { *time = 1; return OK; }
EXPORT Result cuEventDestroy_v2(void* event) { delete static_cast<char*>(event); return OK; }
// Any image will do: the kernels are in this library.
EXPORT Result cuModuleLoadData(void** module, const void*) {
    if (recordings > 0) return RECORDS;
    *module = new char;
    return OK;
}
EXPORT Result cuModuleUnload(void* module) { delete static_cast<char*>(module); return OK; }
EXPORT Result cuModuleGetFunction(void** function, void*, const char* name) {
    if (recordings > 0) return RECORDS;
    for (Registered& kernel : kernels()) {
        if (kernel.name == name) {
            *function = &kernel;
            return OK;
        }
    }
    return NOT_FOUND;
}
EXPORT Result cuFuncSetAttribute(void* function, int attribute, int value) {
    if (attribute == 8) {  // dynamic shared memory
        if (static_cast<size_t>(value) > most_shared()) return INVALID_VALUE;
        std::lock_guard lock(everything);
        auto* kernel = static_cast<Registered*>(function);
        kernel->allowed_shared = std::max<size_t>(kernel->allowed_shared, value);
    }
    return OK;
}
EXPORT Result cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                             unsigned block_y, unsigned block_z, unsigned shared_bytes, void* stream, void** values, void**) {
    auto* kernel = static_cast<Registered*>(function);
    if (grid_x == 0 || grid_y == 0 || grid_z == 0 || grid_x > 0x7fffffffu || grid_y > 65535 || grid_z > 65535) return INVALID_VALUE;
    if (block_x * block_y * block_z > kernel->most_threads) return TOO_MANY;
    if (shared_bytes > kernel->allowed_shared) return INVALID_VALUE;
    static std::atomic<size_t> launches{0};
    if (++launches > number_of("CANDLEWICK_EMULATED_FAILURE", SIZE_MAX)) return ILLEGAL_ADDRESS;
    auto bound = kernel->bind(values);
    return perform(stream, [=] {
        host_cuda::launch(dim3(grid_x, grid_y, grid_z), dim3(block_x, block_y, block_z), shared_bytes, bound);
    });
}
EXPORT Result cuStreamBeginCapture_v2(void* stream, int) {
    static_cast<Stream*>(stream)->capturing = new Graph;
    ++recordings;
    return OK;
}
EXPORT Result cuStreamEndCapture(void* stream, void** graph) {
    auto* own = static_cast<Stream*>(stream);
    *graph = own->capturing;
    --recordings;
    own->capturing = nullptr;
    return OK;
}
EXPORT Result cuStreamIsCapturing(void* stream, int* status) {
    *status = static_cast<Stream*>(stream)->capturing ? 1 : 0;
    return OK;
}
EXPORT Result cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) {
    *executable = new Graph(*static_cast<Graph*>(graph));
    return OK;
}
EXPORT Result cuGraphLaunch(void* executable, void* stream) {
    Graph copy = *static_cast<Graph*>(executable);
    return perform(stream, [copy] { for (const auto& work : copy.work) work(); });
}
EXPORT Result cuGraphUpload(void*, void*) { return OK; }
EXPORT Result cuGraphExecDestroy(void* executable) { delete static_cast<Graph*>(executable); return OK; }
EXPORT Result cuGraphDestroy(void* graph) { delete static_cast<Graph*>(graph); return OK; }
EXPORT Result cuGetErrorName(int error, const char** text) {
    *text = error == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : error == NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR";
    return OK;
}
EXPORT Result cuGetErrorString(int error, const char** text) {
    *text = error == OUT_OF_MEMORY ? "out of memory" : error == NO_DEVICE ? "no CUDA-capable device is detected" : "an error of the emulated device";
    return OK;
}
}
