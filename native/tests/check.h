// A check, a guarded buffer, and numbers as they lie in memory. Nothing here knows the library.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

inline int failures = 0;

#define CHECK(condition, ...)                                            \
    do {                                                                 \
        if (!(condition)) {                                              \
            if (++failures <= 20) {                                      \
                std::printf("%s:%d: %s\n  ", __FILE__, __LINE__, #condition); \
                std::printf(__VA_ARGS__);                                \
                std::printf("\n");                                       \
            }                                                            \
        }                                                                \
    } while (0)

inline int report() {
    std::printf("%d failures\n", failures);
    return failures ? 1 : 0;
}

enum Dtype { F32, F64, BF16, F16 };
const char *const DTYPE_NAMES[] = {"f32", "f64", "bf16", "f16"};
inline int size_of(int dtype) { return dtype == F64 ? 8 : dtype == F32 ? 4 : 2; }

// 16-bit formats from their definition: `digits` of fraction, exponents from `lowest` up.
inline double decode(uint16_t bits, int digits, int lowest) {
    int exponent_bits = 15 - digits, top = (1 << exponent_bits) - 1;
    int exponent = (bits >> digits) & top, fraction = bits & ((1 << digits) - 1);
    double size = exponent == top ? (fraction ? NAN : INFINITY)
                  : exponent      ? std::ldexp((1 << digits) + fraction, exponent - 1 + lowest - digits)
                                  : std::ldexp(fraction, lowest - digits);
    return bits & 0x8000 ? -size : size;
}

inline uint16_t encode(double value, int digits, int lowest) {
    uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    int top = ((1 << (15 - digits)) - 1) << digits;
    if (std::isnan(value)) return uint16_t(top | 1 << (digits - 1));
    double size = std::fabs(value);
    if (size == 0) return sign;
    int exponent = std::isinf(size) ? 1000 : std::max(std::ilogb(size), lowest);
    if (exponent > 200) return uint16_t(sign | top);
    // Round to even in units of the last digit; a carry walks into the exponent by itself.
    double units = std::nearbyint(std::ldexp(size, digits - exponent));
    int code = int(units) + ((exponent - lowest) << digits);
    return uint16_t(sign | (code > top ? top : code));
}

inline double get(const void *p, int dtype, int64_t i) {
    if (dtype == F32) return ((const float *)p)[i];
    if (dtype == F64) return ((const double *)p)[i];
    uint16_t bits;
    std::memcpy(&bits, (const char *)p + 2 * i, 2);
    return dtype == BF16 ? decode(bits, 7, -126) : decode(bits, 10, -14);
}

inline void put(void *p, int dtype, int64_t i, double value) {
    if (dtype == F32) {
        ((float *)p)[i] = float(value);
    } else if (dtype == F64) {
        ((double *)p)[i] = value;
    } else {
        uint16_t bits = dtype == BF16 ? encode(value, 7, -126) : encode(value, 10, -14);
        std::memcpy((char *)p + 2 * i, &bits, 2);
    }
}

using Values = std::vector<double>;

// A buffer between canaries, aligned to its elements and to nothing more: each one differently.
class Buffer {
  public:
    Buffer() = default;
    Buffer(int64_t size, int dtype) : size_(size), dtype_(dtype) {
        static thread_local unsigned turn = 0;
        bytes_.assign(size_t(size * size_of(dtype)) + 2 * GUARD, CANARY);
        size_t skew = (turn++ * 5 + 1) % 16 * size_t(size_of(dtype));
        offset_ = GUARD / 2 + skew + (64 - (uintptr_t)bytes_.data() % 64) % 64;
    }
    Buffer(const Values &values, int dtype) : Buffer(int64_t(values.size()), dtype) {
        for (size_t i = 0; i < values.size(); ++i) put(data(), dtype, int64_t(i), values[i]);
    }
    void *data() { return bytes_.empty() ? nullptr : bytes_.data() + offset_; }
    int64_t bytes() const { return size_ * size_of(dtype_); }
    Values values() {
        Values v(static_cast<size_t>(size_));
        for (int64_t i = 0; i < size_; ++i) v[size_t(i)] = get(data(), dtype_, i);
        return v;
    }
    bool intact() const {
        for (size_t i = 0; i < bytes_.size(); ++i)
            if ((i < offset_ || i >= offset_ + size_t(bytes())) && bytes_[i] != CANARY) return false;
        return true;
    }
    bool same_bits(Buffer &other) {
        return bytes() == other.bytes() && !std::memcmp(data(), other.data(), size_t(bytes()));
    }

  private:
    static constexpr unsigned char CANARY = 0xa5;
    static constexpr size_t GUARD = 512;
    std::vector<unsigned char> bytes_;
    size_t offset_ = 0;
    int64_t size_ = 0;
    int dtype_ = F32;
};

// Largest difference over `scale`; infinite where one side is NaN and the other is not.
inline double error(const Values &got, const Values &want, double scale) {
    double most = 0;
    for (size_t i = 0; i < want.size(); ++i) {
        if (std::isnan(want[i]) && std::isnan(got[i])) continue;
        if (got[i] == want[i]) continue;
        double e = std::fabs(got[i] - want[i]);
        if (!(e <= most)) most = std::isnan(e) ? INFINITY : e;
    }
    return most == 0 ? 0 : most / scale;
}

inline double largest(const Values &v) {
    double most = 0;
    for (double x : v) most = std::max(most, std::fabs(x));
    return most;
}

inline double error(const Values &got, const Values &want) {
    return error(got, want, largest(want));
}
