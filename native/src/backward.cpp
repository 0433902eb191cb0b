// ek_backward for one instruction set.
#include "activation.h"
#include "normalization.h"

namespace ek::EK_ISA {
namespace {

// How the gradient g that reaches the normalization follows from dy. Where the activation is
// compiled in, it is told by what was normalized (computed again) or by the output y.
enum { G_NONE, G_RELU, G_RELU_BY_OUTPUT, G_LEAKY, G_LEAKY_BY_OUTPUT, G_OTHER };

// u = g, v = x - center. WRITES: leaves g as dresidual, to be read in place of dy and y later.
template <class T, int GRADIENT, bool WRITES = false>
struct Gradient {
    using A = Compute<T>;
    static constexpr int COEFS = 3;
    const T *dy, *x, *y, *residual;
    T *dresidual;
    int activation;
    bool stream;  // dresidual

    template <class Coef, class L>
    inline void terms(int64_t at, int64_t i, const Coef &coef, L lanes, Vec<A> &g,
                      Vec<A> &centered) const {
        g = loaded<A>(load(dy + at, lanes));
        centered = load(x + at, lanes) - coef.get(CENTER, i);
        auto input = [&] { return fma(centered, coef.get(SCALE, i), coef.get(SHIFT, i)); };
        auto output = [&] { return load(y + at, lanes); };
        if constexpr (GRADIENT == G_RELU)
            g = slope_from_input<A>(EK_RELU, g, input(), tiny<T>);
        else if constexpr (GRADIENT == G_RELU_BY_OUTPUT)
            g = slope_from_output<A>(EK_RELU, g, output(), 0);
        else if constexpr (GRADIENT == G_LEAKY)
            g = slope_from_input<A>(EK_LEAKY_RELU, g, input(), tiny<T>);
        else if constexpr (GRADIENT == G_LEAKY_BY_OUTPUT)
            g = slope_from_output<A>(EK_LEAKY_RELU, g, output(), 0);
        else if constexpr (GRADIENT == G_OTHER)
            g = y ? call_slope_from_output<A>(activation, g, output(), 0)
                  : call_slope_from_input<A>(activation, g, other_input(input(), at, lanes), tiny<T>);
        if constexpr (WRITES) write(at, g, lanes);
    }
    inline void write(int64_t at, Vec<A> g, Full) const {
        if (stream)
            store(dresidual + at, g, Stream{});
        else
            store(dresidual + at, g, Full{});
    }
    inline void write(int64_t at, Vec<A> g, Part lanes) const { store(dresidual + at, g, lanes); }
    template <class L>
    inline Vec<A> other_input(Vec<A> t, int64_t at, L lanes) const {
        return residual ? t + load(residual + at, lanes) : t;
    }
};

// dx = scale * g + slope * (x - center) + level, or scale * g by frozen statistics; dresidual = g.
// PLAIN: dx alone, by the batch's statistics (three branches less at every vector).
template <class T, class Terms, bool PLAIN>
struct Backward {
    using A = Compute<T>;
    static constexpr int COEFS = 5;
    Terms gradient;
    T *dx, *dresidual;
    bool frozen, stream, near;

    int64_t to_alignment(int64_t at) const {
        return elements_to_alignment((dx ? dx : dresidual) + at);
    }
    template <class Coef, class L>
    inline void step(int64_t at, int64_t i, const Coef &coef, L lanes) const {
        Vec<A> g, centered;
        gradient.terms(at, i, coef, lanes, g, centered);
        if (!PLAIN && dresidual) store(dresidual + at, g, lanes);
        if (!PLAIN && !dx) return;
        Vec<A> rest = fma(coef.get(SLOPE, i), centered, coef.get(LEVEL, i));
        Vec<A> scale = coef.get(SCALE, i);
        store(dx + at, !PLAIN && frozen ? scale * g : fma(scale, g, rest), lanes);
    }
};

// What is done to channels. (A class of its own: the job below is compiled for every gradient.)
template <class A>
struct BackwardChannels {
    const ek_backward_args &a;
    const Grid &grid;
    Partials partials;
    Coefs<A> coefs, spread;  // to apply, to reduce by

    bool sums_wanted() const { return a.dweight || a.dbias || (a.dx && !a.frozen); }

    EK_APART void prepare(Batch batch) const {
        Statistics<A> s;
        s.read(batch, grid.channels, a.mean, a.rstd, a.low);
        s.weigh(batch, a.weight, a.bias, (Dtype)a.call.param_dtype);
        set_normalization(coefs, grid, batch, s);
        if (sums_wanted() && spread.base != coefs.base) set_normalization(spread, grid, batch, s);
    }

    EK_APART void finish(Batch batch) const {
        alignas(64) double sum[BATCH], dot[BATCH];
        Statistics<A> s;
        s.read(batch, grid.channels, a.mean, a.rstd, a.low);
        add_pieces(batch, sum, dot);
        for (int64_t k = 0; k < batch.size; ++k)  // of g and the normalized x
            dot[k] = (dot[k] - (s.exact_mean[k] - s.center[k]) * sum[k]) * s.exact_rstd[k];
        auto parameters = (Dtype)a.call.param_dtype;
        if (a.dweight) put_batch(a.dweight, parameters, batch, dot);
        if (a.dbias) put_batch(a.dbias, parameters, batch, sum);
        set_rest(batch, s, sum, dot);
    }

    void add_pieces(Batch batch, double *__restrict sum, double *__restrict dot) const {
        for (int64_t k = 0; k < batch.size; ++k) sum[k] = dot[k] = 0;
        for (int64_t p = 0; p < grid.pieces; ++p) {
            Sums part = partials.sums(p, batch.first);
            const double *__restrict u = part.u, *__restrict uv = part.uv;
            for (int64_t k = 0; k < batch.size; ++k) sum[k] += u[k], dot[k] += uv[k];
        }
    }

    // SLOPE and LEVEL.
    void set_rest(Batch batch, const Statistics<A> &s, const double *__restrict sum,
                  const double *__restrict dot) const {
        alignas(64) double w[BATCH];
        alignas(64) A slope[BATCH], level[BATCH];
        get_batch(a.weight, (Dtype)a.call.param_dtype, batch, 1, w);
        for (int64_t k = 0; k < batch.size; ++k) {
            double scale = (A)(w[k] * s.exact_rstd[k]) / (double)grid.count();
            double exact = -scale * s.exact_rstd[k] * dot[k];
            slope[k] = (A)exact;
            level[k] = (A)(-scale * sum[k] - exact * (s.exact_mean[k] - s.center[k]));
        }
        set_batch(coefs, grid, SLOPE, batch, slope);
        set_batch(coefs, grid, LEVEL, batch, level);
    }
};

template <class T, class Terms, class Map>
struct BackwardJob : BackwardChannels<Compute<T>> {  // a job; see tiles.h
    using A = Compute<T>;
    using Channels = BackwardChannels<A>;
    using Channels::a, Channels::grid, Channels::partials, Channels::coefs, Channels::spread;
    const Terms &terms;
    const Map &map;

    static constexpr bool PREPARES = true;
    void reduce(int64_t g, int64_t p) const {
        int64_t first = g * grid.group;
        Coefs<A> own{&spread.at(0, first), spread.stride, spread.spread};
        reduce_tile(terms, grid, own, g, p, grid.piece, partials.sums(p, grid.first_channel(g)));
        if (terms.stream) stream_fence();
    }

    void apply(int64_t g, int64_t p) const {
        if (a.dx || a.dresidual) apply_tile<T>(map, grid, coefs, g, p);
    }
};

// Whether every whole vector that a reduction of rows visits is aligned in p.
template <class T>
bool aligned(const Grid &grid, const T *p) {
    bool whole = grid.columns % LANES<Compute<T>> == 0 && grid.group % LANES<Compute<T>> == 0;
    return grid.rows && whole && past_alignment(p) == 0;
}

template <class T, class Terms, class Map>
void backward_with(const ek_backward_args &a, const Grid &grid, void *workspace, const Terms &terms,
                   const Map &map) {
    Workspace work(workspace);
    using A = Compute<T>;
    BackwardJob<T, Terms, Map> job{
        {a, grid, work.partials(grid), work.coefs<A>(grid), work.spread<A>(grid)}, terms, map};
    if (job.sums_wanted()) return run(grid, a.call.num_threads, job);
    each_batch(0, grid.channels, [&](Batch batch) { job.prepare(batch); });
    if (a.dx || a.dresidual) apply_all<T>(map, grid, job.coefs, a.call.num_threads);
}

template <class T, int GRADIENT, bool PLAIN = false>
void backward_by(const ek_backward_args &a, const Grid &grid, void *workspace) {
    using Terms = Gradient<T, GRADIENT>;
    auto dx = (T *)a.dx, dresidual = (T *)a.dresidual;
    bool alike = !dx || !dresidual || past_alignment(dx) == past_alignment(dresidual);
    bool stream = alike && a.dx != a.dy && a.dresidual != a.dy;
    stream = stream && worth_streaming(grid, dx ? dx : dresidual);
    Terms terms{(const T *)a.dy, (const T *)a.x, (const T *)a.y, (const T *)a.residual,
                nullptr, a.call.activation, false};
    Backward<T, Terms, PLAIN> map{terms, dx, dresidual, a.frozen != 0, stream, grid.size() <= NEAR};
    backward_with<T>(a, grid, workspace, terms, map);
}

// From so many values on, dresidual is stored past the cache although dx is told by it soon: what it
// would push out, x above all, is wanted sooner (20 % of a backward pass; rows of 6 to 12 MB).
constexpr int64_t CROWDING = 1 << 20;

// dresidual is written with the sums, dx is told by it: one reading of a tensor less, and one
// evaluation of the activation's derivative.
template <class T, int GRADIENT>
void backward_in_turn(const ek_backward_args &a, const Grid &grid, void *workspace) {
    using Later = Gradient<T, G_NONE>;
    auto dx = (T *)a.dx, dresidual = (T *)a.dresidual;
    auto x = (const T *)a.x;
    bool stream = a.dresidual != a.dy && grid.size() > CROWDING && aligned(grid, dresidual);
    Gradient<T, GRADIENT, true> terms{(const T *)a.dy, x, (const T *)a.y, (const T *)a.residual,
                                      dresidual, a.call.activation, stream};
    Later later{dresidual, x, nullptr, nullptr, nullptr, EK_NONE, false};
    stream = a.dx != a.dy && worth_streaming(grid, dx);
    Backward<T, Later, true> map{later, dx, nullptr, false, stream, grid.size() <= NEAR};
    backward_with<T>(a, grid, workspace, terms, map);
}

template <class T>
void backward(const ek_backward_args &a, const Grid &grid, void *workspace) {
    bool relu = a.call.activation == EK_RELU, leaky = a.call.activation == EK_LEAKY_RELU;
    bool plain = a.dx && !a.dresidual && !a.frozen;
    bool in_turn = a.dx && a.dresidual && !a.frozen;
    if (in_turn && relu && a.y) return backward_in_turn<T, G_RELU_BY_OUTPUT>(a, grid, workspace);
    // (Other derivatives only where dresidual is not rounded: dx is told by it.)
    if constexpr (sizeof(T) == sizeof(Compute<T>)) {
        if (in_turn && leaky && a.y)
            return backward_in_turn<T, G_LEAKY_BY_OUTPUT>(a, grid, workspace);
        if (in_turn && a.call.activation != EK_NONE)
            return backward_in_turn<T, G_OTHER>(a, grid, workspace);
    }
    if (a.call.activation == EK_NONE && plain)
        backward_by<T, G_NONE, true>(a, grid, workspace);
    else if (a.call.activation == EK_NONE)
        backward_by<T, G_NONE>(a, grid, workspace);
    else if (relu && a.y)
        backward_by<T, G_RELU_BY_OUTPUT>(a, grid, workspace);
    else if (relu && !a.residual && plain)
        backward_by<T, G_RELU, true>(a, grid, workspace);
    else if (relu && !a.residual)
        backward_by<T, G_RELU>(a, grid, workspace);
    else if (leaky && a.y)
        backward_by<T, G_LEAKY_BY_OUTPUT>(a, grid, workspace);
    else if (leaky && !a.residual)
        backward_by<T, G_LEAKY>(a, grid, workspace);
    else
        backward_by<T, G_OTHER>(a, grid, workspace);
}

}  // namespace

#if defined(EK_ONLY_BF16)
const Backwards backwards = {{nullptr, nullptr, backward<bf16>, nullptr}};
#else
const Backwards backwards = {{backward<float>, backward<double>, backward<bf16>, backward<f16>}};
#endif

}  // namespace ek::EK_ISA
