// The activations that end a forward pass, and their derivatives.
#pragma once
#include "../include/evenkeel.h"
#include "storage.h"

namespace ek::EK_ISA {

// exp, tanh and erf of float vectors: minimax polynomials fitted in 40 digits (absolute error 2e-9
// before rounding), so results are good to 2 units in the last place. NaN passes through.

template <int N>
inline VecF polynomial(VecF x, const float (&c)[N]) {
    VecF sum = all(c[N - 1]);
    for (int k = N - 2; k >= 0; --k) sum = fma(sum, x, all(c[k]));
    return sum;
}

inline VecF absolute(VecF x) { return (VecF)((BitsF)x & 0x7fffffff); }
inline VecF with_sign_of(VecF size, VecF x) {
    return (VecF)((BitsF)size | ((BitsF)x & (int32_t)0x80000000));
}

inline VecF exp(VecF x) {
    static const float C[] = {1.0f,           1.0f,           0.5f, 0.16666404902935028f,
                              0.04166606068611145f, 0.00837596133351326f, 0.0013957389164716005f};
    x = x > 89.0f ? all(89.0f) : x;
    x = x < -104.0f ? all(-104.0f) : x;
    const float round = 0x1.8p23f;  // adding it leaves the nearest integer in the low bits
    VecF shifted = x * 1.44269504088896f + round;
    VecF n = shifted - round;
    VecF r = fma(n, all(-0x1.62e4p-1f), x);
    r = fma(n, all(-0x1.7f7d1cp-20f), r);
    BitsF power = (BitsF)shifted - 0x4b400000, half = power >> 1;  // two steps reach subnormals
    VecF low = (VecF)((half + 127) << 23), high = (VecF)((power - half + 127) << 23);
    return polynomial(r, C) * low * high;
}

inline VecF tanh(VecF x) {
    static const float C[] = {1.0f,
                              -0.3333328366279602f,
                              0.13331729173660278f,
                              -0.05377184599637985f,
                              0.020763585343956947f,
                              -0.005863215774297714f};
    VecF size = absolute(x);
    VecF large = with_sign_of(1.0f - 2.0f / (exp(size + size) + 1.0f), x);
    return size < 0.6f ? x * polynomial(x * x, C) : large;
}

inline VecF expm1(VecF x) {
    VecF t = tanh(0.5f * x);
    return absolute(x) < 1.0f ? 2.0f * t / (1.0f - t) : exp(x) - 1.0f;
}

inline VecF erf(VecF x) {
    static const float NEAR[] = {1.1283791065216064f,    -0.3761262595653534f,
                                 0.11283600330352783f,   -0.026854444295167923f,
                                 0.005189535208046436f,  -0.0008020841050893068f,
                                 7.889119297033176e-05f};
    static const float FAR[] = {-0.00020435992337297648f, 1.129661202430725f,
                                0.6330395936965942f,      0.10863900184631348f,
                                -0.025373555719852448f,   0.004282382782548666f,
                                -0.0004637880774680525f,  2.531481732148677e-05f,
                                -2.513272647775011e-07f};  // -log(erfc) on [1, 4]
    VecF size = absolute(x), most = size > 4.0f ? all(4.0f) : size;
    VecF far = with_sign_of(1.0f - exp(-polynomial(most, FAR)), x);
    return size < 1.0f ? x * polynomial(x * x, NEAR) : far;
}

// In double, one lane at a time by the C library: double is for checking, not for speed.
#define EK_LANEWISE(name)                                                    \
    inline VecD name(VecD x) {                                               \
        for (int i = 0; i < LANES<double>; ++i) x[i] = __builtin_##name(x[i]); \
        return x;                                                            \
    }
EK_LANEWISE(exp)
EK_LANEWISE(tanh)
EK_LANEWISE(expm1)
EK_LANEWISE(erf)
#undef EK_LANEWISE

template <class A>
inline Vec<A> relu(Vec<A> t) {
    return larger(Vec<A>{}, t);  // NaN and -0 stay
}
template <class A>
inline Vec<A> leaky(Vec<A> t) {
    return t > A(0) ? t : t * A(0.01);
}
template <class A>
inline Vec<A> sigmoid(Vec<A> t) {
    return A(1) / (A(1) + exp(-t));
}
template <class A>
inline Vec<A> relu6(Vec<A> t) {
    t = relu<A>(t);
    return t > A(6) ? all(A(6)) : t;
}
template <class A>
inline Vec<A> gelu_phi(Vec<A> t) {  // the normal distribution's probability below t
    return A(0.5) * (A(1) + erf(t * A(0.70710678118654752)));
}

// The switches below are written out where `kind` is a constant (they shrink to one case there) and
// called everywhere else, which spares the compiler four fifths of its work on these kernels.

template <class A>
inline Vec<A> activate(int kind, Vec<A> t) {
    switch (kind) {
        case EK_RELU: return relu<A>(t);
        case EK_LEAKY_RELU: return leaky<A>(t);
        case EK_RELU6: return relu6<A>(t);
        case EK_ELU: return t > A(0) ? t : expm1(t);
        case EK_SILU: return t * sigmoid<A>(t);
        case EK_HARDSWISH: return t * relu6<A>(t + A(3)) * A(1.0 / 6);
        case EK_SIGMOID: return sigmoid<A>(t);
        case EK_TANH: return tanh(t);
        case EK_GELU: return t * gelu_phi<A>(t);
        default: return t;
    }
}

// dy times the derivative, from y. Where it is 0, so is the product, whatever dy is; comparisons
// are torch's, which decide what NaN does.
template <class A>
inline Vec<A> slope_from_output(int kind, Vec<A> dy, Vec<A> y, A tiny) {
    switch (kind) {
        case EK_RELU: return y <= tiny ? Vec<A>{} : dy;
        case EK_LEAKY_RELU: return y > A(0) ? dy : dy * A(0.01);
        case EK_RELU6: return (y <= tiny) | (y >= A(6)) ? Vec<A>{} : dy;
        case EK_ELU: return y > A(0) ? dy : dy * (y + A(1));
        case EK_SIGMOID: return dy * (y * (A(1) - y));
        case EK_TANH: return dy * (A(1) - y * y);
        default: return dy;
    }
}

// dy times the derivative, from what the activation was given.
template <class A>
inline Vec<A> slope_from_input(int kind, Vec<A> dy, Vec<A> t, A tiny) {
    switch (kind) {
        case EK_SILU: {
            Vec<A> s = sigmoid<A>(t);
            return dy * (s * (A(1) + t * (A(1) - s)));
        }
        case EK_HARDSWISH: {
            Vec<A> inside = dy * (t * A(1.0 / 3) + A(0.5));
            return t <= A(-3) ? Vec<A>{} : t < A(3) ? inside : dy;
        }
        case EK_GELU: {
            Vec<A> density = exp(t * t * A(-0.5)) * A(0.39894228040143268);
            return dy * fma(t, density, gelu_phi<A>(t));
        }
        case EK_RELU:
        case EK_LEAKY_RELU:
        case EK_RELU6: return slope_from_output<A>(kind, dy, t, tiny);
        default: return slope_from_output<A>(kind, dy, activate<A>(kind, t), tiny);
    }
}

template <class A>
EK_APART Vec<A> call_activate(int kind, Vec<A> t) {
    return activate<A>(kind, t);
}
template <class A>
EK_APART Vec<A> call_slope_from_output(int kind, Vec<A> dy, Vec<A> y, A tiny) {
    return slope_from_output<A>(kind, dy, y, tiny);
}
template <class A>
EK_APART Vec<A> call_slope_from_input(int kind, Vec<A> dy, Vec<A> t, A tiny) {
    return slope_from_input<A>(kind, dy, t, tiny);
}

}  // namespace ek::EK_ISA
