// The random numbers of TensorFlow 1's CPU kernels: Philox 4x32-10 (Salmon et al. 2011) and what
// those kernels make of its words. Whole blocks of four words are the unit: an output depends on its
// place alone, so the same bits come from any number of threads.
#include "random_philox.h"

#include <math.h>
#include <string.h>

#include "isa.h"

namespace {

using ek::philox::Counter;
using ek::philox::Fill;

constexpr int64_t RUN = 256;        // blocks computed at a time: 4 KiB of words, in the first cache
constexpr int64_t RESERVED = 256;   // words that a truncated normal may use for each output

// Words of consecutive blocks, by the best instructions of the build that was chosen.
Fill fastest() {
    const char *isa = ek::isa()->name;
#if defined(__x86_64__)
    if (!strncmp(isa, "avx512", 6)) return ek::philox::fill_avx512;
    if (!strcmp(isa, "avx2")) return ek::philox::fill_avx2;
#endif
    (void)isa;
    return ek::philox::fill_plain;
}

// A float in [1, 2) has its fraction's bits at random; less 1 it is exact.
inline float unit32(uint32_t word) {
    uint32_t bits = (word & 0x7fffff) | 0x3f800000;
    float f;
    memcpy(&f, &bits, 4);
    return f - 1.0f;
}

inline double unit64(uint32_t high, uint32_t low) {
    uint64_t bits = (uint64_t(high & 0xfffff) << 32) | low | (uint64_t(1023) << 52);
    double d;
    memcpy(&d, &bits, 8);
    return d - 1.0;
}

inline uint16_t bf16_of(float f) {  // to nearest, ties to even; f is finite
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline uint16_t f16_of(float f) {  // to nearest, ties to even; |f| < 8, subnormals included
    uint32_t bits;
    memcpy(&bits, &f, 4);
    uint16_t sign = uint16_t((bits >> 16) & 0x8000);
    bits &= 0x7fffffff;
    if (bits < 0x38800000) {  // below 2^-14: adding 2^-1 leaves units of 2^-24 in the last places
        float size;
        memcpy(&size, &bits, 4);
        size += 0.5f;
        memcpy(&bits, &size, 4);
        return uint16_t(sign | (bits - 0x3f000000));
    }
    bits += 0xfff + ((bits >> 13) & 1);
    return uint16_t(sign | ((bits - 0x38000000) >> 13));
}

// Box and Muller's pair, with TensorFlow's roundings: the angle is a double product cut to float.
inline void pair32(uint32_t x0, uint32_t x1, float *pair) {
    float u = unit32(x0);
    if (u < 1.0e-7f) u = 1.0e-7f;
    float angle = float(2.0 * M_PI * double(unit32(x1)));
    float radius = sqrtf(-2.0f * logf(u));
    sincosf(angle, &pair[0], &pair[1]);
    pair[0] *= radius, pair[1] *= radius;
}

inline void pair64(const uint32_t *x, double *pair) {
    double u = unit64(x[0], x[1]);
    if (u < 1.0e-7) u = 1.0e-7;
    double angle = 2 * M_PI * unit64(x[2], x[3]);
    double radius = sqrt(-2.0 * log(u));
    sincos(angle, &pair[0], &pair[1]);
    pair[0] *= radius, pair[1] *= radius;
}

inline void put(float *out, float f) { *out = f; }
inline void put(double *out, double d) { *out = d; }
struct Half {
    uint16_t bits;
};
struct Brain {
    uint16_t bits;
};
inline void put(Half *out, float f) { out->bits = f16_of(f); }
inline void put(Brain *out, float f) { out->bits = bf16_of(f); }

// What is made of the words of whole blocks. `size` outputs come of one block.
struct Uniform {
    static void make(const uint32_t *w, float *out, int64_t n) {
        for (int64_t i = 0; i < n; ++i) out[i] = unit32(w[i]);
    }
    static void make(const uint32_t *w, double *out, int64_t n) {
        for (int64_t i = 0; i < n; ++i) out[i] = unit64(w[2 * i], w[2 * i + 1]);
    }
    static void make(const uint32_t *w, Half *out, int64_t n) {  // ten bits of fraction
        for (int64_t i = 0; i < n; ++i) put(&out[i], float(w[i] & 0x3ff) * 0x1p-10f);
    }
    static void make(const uint32_t *w, Brain *out, int64_t n) {  // seven
        for (int64_t i = 0; i < n; ++i) put(&out[i], float(w[i] & 0x7f) * 0x1p-7f);
    }
};

struct Normal {
    template <class T>
    static void make(const uint32_t *w, T *out, int64_t n) {
        for (int64_t i = 0; i < n; i += 2) {
            float pair[2];
            pair32(w[i], w[i + 1], pair);
            put(&out[i], pair[0]);
            if (i + 1 < n) put(&out[i + 1], pair[1]);
        }
    }
    static void make(const uint32_t *w, double *out, int64_t n) {
        for (int64_t i = 0; i < n; i += 2) {
            double pair[2];
            pair64(w + 2 * i, pair);
            out[i] = pair[0];
            if (i + 1 < n) out[i + 1] = pair[1];
        }
    }
};

struct Integers {
    int64_t low, high;

    void make(const uint32_t *w, int32_t *out, int64_t n) const {
        uint32_t first = uint32_t(low), range = uint32_t(high) - first;
        for (int64_t i = 0; i < n; ++i) out[i] = int32_t(first + w[i] % range);
    }
    void make(const uint32_t *w, int64_t *out, int64_t n) const {
        uint64_t first = uint64_t(low), range = uint64_t(high) - first;
        for (int64_t i = 0; i < n; ++i)
            out[i] = int64_t(first + (w[2 * i] | uint64_t(w[2 * i + 1]) << 32) % range);
    }
};

template <class T>
constexpr int64_t PER_BLOCK = sizeof(T) == 8 ? 2 : 4;

template <class T, class Maker>
void fill(const ek_random_args &a, Maker maker) {
    Fill words = fastest();
    T *out = (T *)a.out;
    int64_t step = RUN * PER_BLOCK<T>, runs = (a.count + step - 1) / step;
    Counter start{a.counter_low, a.counter_high};
#pragma omp parallel for num_threads(a.num_threads) if (a.num_threads > 1 && runs > 8)
    for (int64_t run = 0; run < runs; ++run) {
        uint32_t w[4 * RUN];
        int64_t n = a.count - run * step < step ? a.count - run * step : step;
        words(a.key, start + uint64_t(run * RUN), (n + PER_BLOCK<T> - 1) / PER_BLOCK<T>, w);
        maker.make(w, out + run * step, n);
    }
}

// The next pair of a truncated normal: of two words, or of a block.
inline void next_pair(const uint32_t *w, int half, float *pair) {
    pair32(w[2 * half], w[2 * half + 1], pair);
}
inline void next_pair(const uint32_t *w, int, double *pair) { pair64(w, pair); }

// One group: normals in the order of their words until enough of them are nearer to 0 than 2.
template <class Real, class T>
void truncated_group(uint64_t key, Counter at, T *out, int64_t wanted) {
    constexpr int PAIRS = sizeof(Real) == 8 ? 1 : 2;
    for (int64_t have = 0;; at = at + 1) {
        uint32_t w[4];
        ek::philox::block(key, at, w);
        for (int half = 0; half < PAIRS; ++half) {
            Real pair[2];
            next_pair(w, half, pair);
            for (Real value : pair)
                if (fabs(value) < Real(2)) {
                    put(&out[have++], value);
                    if (have == wanted) return;
                }
        }
    }
}

template <class T, class Real>
void truncated(const ek_random_args &a) {
    constexpr int64_t GROUP = PER_BLOCK<T>, SKIP = GROUP * RESERVED / 4;
    T *out = (T *)a.out;
    int64_t groups = (a.count + GROUP - 1) / GROUP;
    Counter start{a.counter_low, a.counter_high};
#pragma omp parallel for num_threads(a.num_threads) if (a.num_threads > 1 && groups > 2048)
    for (int64_t g = 0; g < groups; ++g) {
        int64_t left = a.count - g * GROUP;
        truncated_group<Real>(a.key, start + uint64_t(g * SKIP), out + g * GROUP,
                              left < GROUP ? left : GROUP);
    }
}

// Fisher and Yates from the front, one word for each swap.
void shuffle(const ek_random_args &a) {
    int64_t *order = (int64_t *)a.out;
    Fill words = fastest();
    uint32_t w[4 * RUN];
    Counter start{a.counter_low, a.counter_high};
    for (int64_t i = 0; i < a.count; ++i) order[i] = i;
    for (int64_t i = 0; i + 1 < a.count; ++i) {
        int64_t place = i % (4 * RUN);
        if (!place) words(a.key, start + uint64_t(i / 4), RUN, w);
        int64_t other = i + w[place] % uint32_t(a.count - i), kept = order[i];
        order[i] = order[other], order[other] = kept;
    }
}

int by_float(const ek_random_args &a) {
    bool normal = a.kind == EK_RANDOM_NORMAL;
    switch (a.dtype) {
        case EK_F32: normal ? fill<float>(a, Normal{}) : fill<float>(a, Uniform{}); break;
        case EK_F64: normal ? fill<double>(a, Normal{}) : fill<double>(a, Uniform{}); break;
        case EK_BF16: normal ? fill<Brain>(a, Normal{}) : fill<Brain>(a, Uniform{}); break;
        case EK_F16: normal ? fill<Half>(a, Normal{}) : fill<Half>(a, Uniform{}); break;
        default: return EK_BAD_DTYPE;
    }
    return EK_OK;
}

int by_truncation(const ek_random_args &a) {
    switch (a.dtype) {
        case EK_F32: truncated<float, float>(a); break;
        case EK_F64: truncated<double, double>(a); break;
        case EK_BF16: truncated<Brain, float>(a); break;
        case EK_F16: truncated<Half, float>(a); break;
        default: return EK_BAD_DTYPE;
    }
    return EK_OK;
}

int by_range(const ek_random_args &a) {
    if (a.low >= a.high) return EK_BAD_SHAPE;
    bool fits = a.low >= INT32_MIN && a.high <= INT32_MAX;
    if (a.dtype == EK_I32 && fits) fill<int32_t>(a, Integers{a.low, a.high});
    else if (a.dtype == EK_I64) fill<int64_t>(a, Integers{a.low, a.high});
    else return a.dtype == EK_I32 ? EK_BAD_SHAPE : EK_BAD_DTYPE;
    return EK_OK;
}

}  // namespace

extern "C" int ek_random(const ek_random_args *a) {
    if (!ek::isa()) return EK_BAD_ISA;
    if (a->count < 0 || a->count > int64_t(1) << 54) return EK_BAD_SHAPE;
    if (a->count == 0) return EK_OK;
    if (!a->out) return EK_MISSING_BUFFER;
    switch (a->kind) {
        case EK_RANDOM_UNIFORM:
        case EK_RANDOM_NORMAL: return by_float(*a);
        case EK_RANDOM_TRUNCATED_NORMAL: return by_truncation(*a);
        case EK_RANDOM_INTEGERS: return by_range(*a);
        case EK_RANDOM_SHUFFLE:
            if (a->dtype != EK_I64) return EK_BAD_DTYPE;
            if (a->count > int64_t(UINT32_MAX)) return EK_BAD_SHAPE;
            return shuffle(*a), EK_OK;
        default: return EK_BAD_DTYPE;
    }
}
