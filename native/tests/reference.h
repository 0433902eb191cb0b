// Batch normalization by its definition, in double, one value at a time.
#pragma once
#include "check.h"
#include "evenkeel.h"

inline double activation(int kind, double t) {
    switch (kind) {
        case EK_RELU: return t <= 0 ? 0 : t;
        case EK_LEAKY_RELU: return t > 0 ? t : 0.01 * t;
        case EK_RELU6: return t <= 0 ? 0 : t >= 6 ? 6 : t;
        case EK_ELU: return t > 0 ? t : std::expm1(t);
        case EK_SILU: return t / (1 + std::exp(-t));
        case EK_HARDSWISH: return t <= -3 ? 0 : t >= 3 ? t : t * (t + 3) / 6;
        case EK_SIGMOID: return 1 / (1 + std::exp(-t));
        case EK_TANH: return std::tanh(t);
        case EK_GELU: return t * std::erfc(-t / std::sqrt(2.0)) / 2;
        default: return t;
    }
}

// By a difference quotient, so that no derivative is written down twice.
inline double derivative(int kind, double t) {
    const double h = 1e-6 * std::max(1.0, std::fabs(t));
    return (activation(kind, t + h) - activation(kind, t - h)) / (2 * h);
}

// Whether t is so near a kink that rounding may decide on its side.
inline bool near_kink(int kind, double t, double width) {
    auto near = [&](double k) { return std::fabs(t - k) < width; };
    if (kind == EK_RELU || kind == EK_LEAKY_RELU || kind == EK_ELU) return near(0);
    if (kind == EK_RELU6) return near(0) || near(6);
    return kind == EK_HARDSWISH && (near(-3) || near(3));
}

struct Reference {
    ek_view view;
    int kind = EK_NONE;
    double eps = 1e-5;
    bool frozen = false;
    Values x, residual, weight, bias, dy;
    Values mean, var, rstd, input, y;           // input: of the activation
    Values dx, dresidual, dweight, dbias, gain;  // gain: |weight * rstd * g|, what dx is made of

    int64_t channel(int64_t i) const { return i / view.inner % view.channels; }
    double count() const { return double(view.outer * view.inner); }

    void moments() {
        mean.assign(size_t(view.channels), 0), var = mean;
        for (size_t i = 0; i < x.size(); ++i) mean[size_t(channel(int64_t(i)))] += x[i] / count();
        Values rest(mean.size(), 0);  // the mean to the last digit of double
        for (size_t i = 0; i < x.size(); ++i) {
            size_t c = size_t(channel(int64_t(i)));
            rest[c] += (x[i] - mean[c]) / count();
        }
        for (size_t c = 0; c < mean.size(); ++c) mean[c] += rest[c];
        for (size_t i = 0; i < x.size(); ++i) {
            size_t c = size_t(channel(int64_t(i)));
            var[c] += (x[i] - mean[c]) * (x[i] - mean[c]) / count();
        }
    }
    void forward() {
        rstd.resize(mean.size());
        for (size_t c = 0; c < rstd.size(); ++c) rstd[c] = 1 / std::sqrt(var[c] + eps);
        input.resize(x.size()), y.resize(x.size());
        for (size_t i = 0; i < x.size(); ++i) {
            size_t c = size_t(channel(int64_t(i)));
            input[i] = (x[i] - mean[c]) * rstd[c] * w(c) + (bias.empty() ? 0 : bias[c]);
            if (!residual.empty()) input[i] += residual[i];
            y[i] = activation(kind, input[i]);
        }
    }
    double w(size_t c) const { return weight.empty() ? 1 : weight[c]; }

    void backward() {
        size_t n = x.size();
        dx.assign(n, 0), dresidual = dx, gain = dx;
        dweight.assign(mean.size(), 0), dbias = dweight;
        for (size_t i = 0; i < n; ++i) {
            size_t c = size_t(channel(int64_t(i)));
            dresidual[i] = dy[i] * derivative(kind, input[i]);
            dbias[c] += dresidual[i];
            dweight[c] += dresidual[i] * (x[i] - mean[c]) * rstd[c];
        }
        for (size_t i = 0; i < n; ++i) {
            size_t c = size_t(channel(int64_t(i)));
            double normalized = (x[i] - mean[c]) * rstd[c];
            double rest = frozen ? 0 : (dbias[c] + normalized * dweight[c]) / count();
            dx[i] = w(c) * rstd[c] * (dresidual[i] - rest);
            gain[i] = w(c) * rstd[c] * dresidual[i];
        }
    }
};
