// Vectors, written once: GCC's vector types give + - * /, comparisons and selection on every
// hardware; only fused multiply-add, partial loads and stores, and stores past the cache are told
// apart here. EK_ISA names the namespace, so that one program holds every build of the kernels.
//
// No standard templates here or in what includes this: the linker keeps one copy of each, which
// might be the one built for hardware that the machine lacks.
#pragma once
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define EK_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define EK_VECTOR_BYTES 32
#else
#define EK_VECTOR_BYTES 16
#endif

#if defined(__AVX512F__) || defined(__aarch64__)
#define EK_REGISTERS 32
#else
#define EK_REGISTERS 16
#endif

// Functions that are called, not written out where they are used: they would be compiled many times.
#define EK_APART __attribute__((noinline))

namespace ek::EK_ISA {

template <class A>
struct VectorOf;
template <>
struct VectorOf<float> {
    typedef float type __attribute__((vector_size(EK_VECTOR_BYTES)));
    typedef float loose __attribute__((vector_size(EK_VECTOR_BYTES), aligned(4), may_alias));
    typedef int32_t bits __attribute__((vector_size(EK_VECTOR_BYTES)));
};
template <>
struct VectorOf<double> {
    typedef double type __attribute__((vector_size(EK_VECTOR_BYTES)));
    typedef double loose __attribute__((vector_size(EK_VECTOR_BYTES), aligned(8), may_alias));
    typedef int64_t bits __attribute__((vector_size(EK_VECTOR_BYTES)));
};
template <class A>
using Vec = typename VectorOf<A>::type;
using VecF = Vec<float>;
using VecD = Vec<double>;
using BitsF = VectorOf<float>::bits;

template <class A>
constexpr int LANES = EK_VECTOR_BYTES / sizeof(A);

template <class A>
inline Vec<A> all(A a) {
    return a - Vec<A>{};
}

// How many lanes a load or store touches: all; all, stored past the cache; the first n, n < LANES.
struct Full {};
struct Stream : Full {};
struct Part {
    int n;
};

inline VecF fma(VecF a, VecF b, VecF c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
    return (VecF)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

// a > b ? a : b, so b where either is NaN. (GCC writes two instructions for the selection.)
inline VecF larger(VecF a, VecF b) {
#if defined(__AVX512F__)
    return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#else
    return a > b ? a : b;
#endif
}

inline VecD larger(VecD a, VecD b) { return a > b ? a : b; }

inline VecD fma(VecD a, VecD b, VecD c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_pd(a, b, c);
#elif defined(__FMA__)
    return _mm256_fmadd_pd(a, b, c);
#elif defined(__aarch64__)
    return (VecD)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}

// Loads and stores of a vector's own type. Lanes that a partial load does not touch are 0.

template <class A>
inline Vec<A> load(const A *p, Full) {
    return *(const typename VectorOf<A>::loose *)p;
}

template <class A>
inline void store(A *p, Vec<A> v, Full) {
    *(typename VectorOf<A>::loose *)p = v;
}

#if defined(__AVX512F__)

inline VecF load(const float *p, Part part) {
    return _mm512_maskz_loadu_ps((__mmask16)((1u << part.n) - 1), p);
}
inline VecD load(const double *p, Part part) {
    return _mm512_maskz_loadu_pd((__mmask8)((1u << part.n) - 1), p);
}
inline void store(float *p, VecF v, Part part) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << part.n) - 1), v);
}
inline void store(double *p, VecD v, Part part) {
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << part.n) - 1), v);
}

#else

template <class A>
inline Vec<A> load(const A *p, Part part) {
    Vec<A> v{};
    for (int i = 0; i < part.n; ++i) v[i] = p[i];
    return v;
}
template <class A>
inline void store(A *p, Vec<A> v, Part part) {
    for (int i = 0; i < part.n; ++i) p[i] = v[i];
}

#endif

#if defined(__AVX512F__)
inline void store(float *p, VecF v, Stream) { _mm512_stream_ps(p, v); }
inline void store(double *p, VecD v, Stream) { _mm512_stream_pd(p, v); }
#elif defined(__AVX2__)
inline void store(float *p, VecF v, Stream) { _mm256_stream_ps(p, v); }
inline void store(double *p, VecD v, Stream) { _mm256_stream_pd(p, v); }
#elif defined(__x86_64__)
inline void store(float *p, VecF v, Stream) { _mm_stream_ps(p, v); }
inline void store(double *p, VecD v, Stream) { _mm_stream_pd(p, v); }
#else
template <class A>
inline void store(A *p, Vec<A> v, Stream) {
    store(p, v, Full{});
}
#endif

// Streamed stores become visible to other threads in order only after this.
inline void stream_fence() {
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

template <class A>
inline Vec<A> keep(Vec<A> v, Full) {
    return v;
}

// The first n lanes of v, 0 elsewhere (also where v is NaN).
template <class A>
inline Vec<A> keep(Vec<A> v, Part part) {
    typename VectorOf<A>::bits lane{};
    for (int i = 0; i < LANES<A>; ++i) lane[i] = i;
    return lane < part.n ? v : Vec<A>{};
}

// v, loaded before anything is known about it. Without this GCC makes a selection of a loaded vector
// one masked load, which waits for its mask: for memory out of cache that doubles the time.
template <class A>
inline Vec<A> loaded(Vec<A> v) {
#if defined(__AVX512F__)
    asm("" : "+v"(v));
#endif
    return v;
}

// sums[i] += v[i] in double.
inline void add_to(double *sums, VecD v) { store(sums, load(sums, Full{}) + v, Full{}); }

inline void add_to(double *sums, VecF v) {
    typedef float half __attribute__((vector_size(EK_VECTOR_BYTES / 2)));
    half part[2];
    memcpy(part, &v, sizeof v);
    add_to(sums, __builtin_convertvector(part[0], VecD));
    add_to(sums + LANES<double>, __builtin_convertvector(part[1], VecD));
}

// The sum of any n numbers.
inline double sum_of(const double *p, int64_t n) {
    VecD sum{};
    int64_t i = 0;
    for (; i + LANES<double> <= n; i += LANES<double>) sum += load(p + i, Full{});
    if (i < n) sum += load(p + i, Part{(int)(n - i)});
    double all = 0;
    for (int k = 0; k < LANES<double>; ++k) all += sum[k];
    return all;
}

// The sum of n numbers, n a power of two, by halves.
inline double total(const double *sums, int n) {
    return n == 1 ? sums[0] : total(sums, n / 2) + total(sums + n / 2, n / 2);
}

}  // namespace ek::EK_ISA
