#include "isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace ek {
namespace {

#if defined(__x86_64__)
bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
bool has_avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
}
bool always() { return true; }

constexpr Kernels BASELINE{&baseline::forwards, &baseline::backwards};
constexpr Kernels AVX2{&avx2::forwards, &avx2::backwards};
constexpr Kernels AVX512{&avx512::forwards, &avx512::backwards};
#if defined(EK_AVX512BF16)
constexpr Kernels AVX512BF16{&avx512bf16::forwards, &avx512bf16::backwards};
bool has_avx512bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#endif

const Isa TABLE[] = {  // best first
#if defined(EK_AVX512BF16)
    {"avx512bf16", has_avx512bf16, AVX512, AVX512BF16},
#endif
    {"avx512", has_avx512, AVX512, AVX512},
    {"avx2", has_avx2, AVX2, AVX2},
    {"baseline", always, BASELINE, BASELINE},
};
#elif defined(__aarch64__)
bool always() { return true; }

constexpr Kernels NEON{&neon::forwards, &neon::backwards};
const Isa TABLE[] = {{"neon", always, NEON, NEON}};
#else
bool always() { return true; }

constexpr Kernels BASELINE{&baseline::forwards, &baseline::backwards};
const Isa TABLE[] = {{"baseline", always, BASELINE, BASELINE}};
#endif

const Isa *find(const char *name) {
    for (const Isa &isa : TABLE)
        if (isa.runs_here() && (!name || !std::strcmp(isa.name, name))) return &isa;
    return nullptr;
}

const Isa *at_load_time() {
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
    const char *name = std::getenv("EVENKEEL_ISA");
    return find(name && *name ? name : nullptr);
}

std::atomic<const Isa *> chosen{at_load_time()};

}  // namespace

const Isa *isa() { return chosen.load(std::memory_order_relaxed); }

}  // namespace ek

extern "C" {

const char *ek_isa(void) {
    const ek::Isa *isa = ek::isa();
    return isa ? isa->name : nullptr;
}

int ek_has_isa(const char *name) { return name && ek::find(name) != nullptr; }

int ek_set_isa(const char *name) {
    const ek::Isa *isa = name ? ek::find(name) : ek::at_load_time();
    if (!isa) return EK_BAD_ISA;
    ek::chosen.store(isa, std::memory_order_relaxed);
    return EK_OK;
}

}  // extern "C"
