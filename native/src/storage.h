// What lies in memory: float, double, bf16, f16; the latter two are computed in float.
#pragma once
#include "vec.h"

namespace ek::EK_ISA {

struct bf16 {
    uint16_t bits;
};
struct f16 {
    uint16_t bits;
};

template <class T>
struct ComputeOf {
    using type = float;
};
template <>
struct ComputeOf<double> {
    using type = double;
};
template <class T>
using Compute = typename ComputeOf<T>::type;

// The largest t that T rounds to 0: y > 0 exactly when t > tiny, where y is t rounded to T.
template <class T>
constexpr Compute<T> tiny = 0;
template <>
constexpr float tiny<bf16> = 0x1p-134f;
template <>
constexpr float tiny<f16> = 0x1p-25f;

typedef uint16_t Narrow __attribute__((vector_size(EK_VECTOR_BYTES / 2)));
typedef uint32_t Wide __attribute__((vector_size(EK_VECTOR_BYTES)));

// Written out where GCC would take the vectors apart. `half` is below 2^16.
#if defined(__AVX512F__)
inline Wide whole(Narrow v) { return (Wide)_mm512_cvtepu16_epi32((__m256i)v); }
inline Narrow lower(Wide half) { return (Narrow)_mm512_cvtepi32_epi16((__m512i)half); }
#elif defined(__AVX2__)
inline Wide whole(Narrow v) { return (Wide)_mm256_cvtepu16_epi32((__m128i)v); }
inline Narrow lower(Wide half) {
    auto v = (__m256i)half;
    return (Narrow)_mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}
#else
inline Wide whole(Narrow v) { return __builtin_convertvector(v, Wide); }
inline Narrow lower(Wide half) { return __builtin_convertvector(half, Narrow); }
#endif

inline VecF widen(Narrow v, bf16) { return (VecF)(whole(v) << 16); }

inline Narrow narrow(VecF v, bf16) {
#if defined(__AVX512BF16__)
    // The hardware's conversion takes subnormals for 0, so those go the long way; there are hardly any.
    if (__builtin_expect(!_mm512_fpclass_ps_mask(v, 0x20), 1)) return (Narrow)_mm512_cvtneps_pbh(v);
#endif
    Wide bits = (Wide)v;
    Wide even = bits + (((bits >> 16) & 1) + 0x7fff);
    Wide rounded = v == v ? even : bits | 0x400000;
    return lower(rounded >> 16);
}

#if defined(__AVX512F__)
inline VecF widen(Narrow v, f16) { return _mm512_cvtph_ps((__m256i)v); }
inline Narrow narrow(VecF v, f16) {
    return (Narrow)_mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#elif defined(__F16C__)
inline VecF widen(Narrow v, f16) { return _mm256_cvtph_ps((__m128i)v); }
inline Narrow narrow(VecF v, f16) {
    return (Narrow)_mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#elif defined(__aarch64__)
inline VecF widen(Narrow v, f16) { return (VecF)vcvt_f32_f16((float16x4_t)v); }
inline Narrow narrow(VecF v, f16) { return (Narrow)vcvt_f16_f32((float32x4_t)v); }
#else
inline VecF widen(Narrow v, f16) {
    Wide bits = __builtin_convertvector(v, Wide);
    Wide sign = (bits & 0x8000) << 16;
    // The exponent's bias differs by 112; 2^112 also makes subnormals normal.
    VecF size = (VecF)((bits & 0x7fff) << 13) * 0x1p112f;
    Wide special = (Wide)(size >= 65536.0f) & 0x7f800000;
    return (VecF)((Wide)size | special | sign);
}
inline Narrow narrow(VecF v, f16) {
    Wide bits = (Wide)v, sign = bits & 0x80000000, size = bits ^ sign;
    // Adding 0.5 leaves a multiple of 2^-24, the step of f16's subnormals, in the low bits.
    Wide below = (Wide)((VecF)size + 0.5f) - 0x3f000000;
    Wide normal = (size + 0xfff + ((size >> 13) & 1) - (112u << 23)) >> 13;
    Wide quiet = ((size >> 13) & 0x3ff) | 0x7e00;
    Wide infinite = Wide{} + 0x7c00;
    Wide half = (VecF)size < 0x1p-14f ? below : normal;
    half = (VecF)size >= 65520.0f ? infinite : half;
    half = v == v ? half : quiet;
    return __builtin_convertvector((Wide)(half | (sign >> 16)), Narrow);
}
#endif

// Loads and stores of bf16 and f16, as those of float and double in vec.h.

template <class T>
inline VecF load_narrow(const T *p, Full) {
    Narrow v;
    memcpy(&v, p, sizeof v);
    return widen(v, T{});
}

template <class T>
inline void store_narrow(T *p, VecF v, Full) {
    Narrow bits = narrow(v, T{});
    memcpy(p, &bits, sizeof bits);
}

template <class T>
inline VecF load_narrow(const T *p, Part part) {
#if defined(__AVX512F__)
    return widen((Narrow)_mm256_maskz_loadu_epi16((__mmask16)((1u << part.n) - 1), p), T{});
#else
    Narrow v{};
    for (int i = 0; i < part.n; ++i) v[i] = p[i].bits;
    return widen(v, T{});
#endif
}

template <class T>
inline void store_narrow(T *p, VecF v, Part part) {
    Narrow bits = narrow(v, T{});
#if defined(__AVX512F__)
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << part.n) - 1), (__m256i)bits);
#else
    for (int i = 0; i < part.n; ++i) p[i].bits = bits[i];
#endif
}

template <class T>
inline void store_narrow(T *p, VecF v, Stream) {
#if defined(__AVX512F__)
    _mm256_stream_si256((__m256i *)p, (__m256i)narrow(v, T{}));
#elif defined(__AVX2__)
    _mm_stream_si128((__m128i *)p, (__m128i)narrow(v, T{}));
#else
    store_narrow(p, v, Full{});  // half a vector: no such store
#endif
}

template <class L>
inline VecF load(const bf16 *p, L lanes) {
    return load_narrow(p, lanes);
}
template <class L>
inline VecF load(const f16 *p, L lanes) {
    return load_narrow(p, lanes);
}
template <class L>
inline void store(bf16 *p, VecF v, L lanes) {
    store_narrow(p, v, lanes);
}
template <class L>
inline void store(f16 *p, VecF v, L lanes) {
    store_narrow(p, v, lanes);
}

// One number at a time: parameters and statistics.
enum class Dtype : int32_t { f32, f64, bf16, f16 };

template <class T>
constexpr Dtype STATISTICS = Dtype::f32;  // of a tensor of T
template <>
constexpr Dtype STATISTICS<double> = Dtype::f64;

inline double get(const void *p, Dtype dtype, int64_t i) {
    switch (dtype) {
        case Dtype::f32: return ((const float *)p)[i];
        case Dtype::f64: return ((const double *)p)[i];
        case Dtype::bf16: return load((const bf16 *)p + i, Part{1})[0];
        default: return load((const f16 *)p + i, Part{1})[0];
    }
}

// Channels that are worked on at once, so that the compiler makes vectors of what is done to them.
constexpr int64_t BATCH = 64;
struct Batch {
    int64_t first, size;
};

template <class Fn>
inline void each_batch(int64_t begin, int64_t end, Fn fn) {
    for (; begin < end; begin += BATCH)
        fn(Batch{begin, end - begin < BATCH ? end - begin : BATCH});
}

// The batch's values of p, or `otherwise` where there is no p.
EK_APART inline void get_batch(const void *p, Dtype dtype, Batch batch, double otherwise,
                      double *__restrict values) {
    int64_t n = batch.size;
    if (!p)
        for (int64_t k = 0; k < n; ++k) values[k] = otherwise;
    else if (dtype == Dtype::f32)
        for (int64_t k = 0; k < n; ++k) values[k] = ((const float *)p)[batch.first + k];
    else
        for (int64_t k = 0; k < n; ++k) values[k] = get(p, dtype, batch.first + k);
}

inline void put(void *p, Dtype dtype, int64_t i, double value) {
    switch (dtype) {
        case Dtype::f32: ((float *)p)[i] = (float)value; break;
        case Dtype::f64: ((double *)p)[i] = value; break;
        case Dtype::bf16: store((bf16 *)p + i, VecF{(float)value}, Part{1}); break;
        default: store((f16 *)p + i, VecF{(float)value}, Part{1});
    }
}

EK_APART inline void put_batch(void *p, Dtype dtype, Batch batch, const double *__restrict values) {
    int64_t n = batch.size;
    if (dtype == Dtype::f32)
        for (int64_t k = 0; k < n; ++k) ((float *)p)[batch.first + k] = (float)values[k];
    else
        for (int64_t k = 0; k < n; ++k) put(p, dtype, batch.first + k, values[k]);
}

}  // namespace ek::EK_ISA
