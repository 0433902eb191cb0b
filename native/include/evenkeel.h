/* evenkeel: batch normalization on the CPU at memory speed. This header is the manual.
 *
 * Tensors. A tensor is row-major memory seen as {outer, channels, inner}: the element of block o,
 * channel c and place i lies at (o * channels + c) * inner + i. So
 *     NCHW    is {N, C, H*W}          (also NCDHW, NCL)
 *     NHWC    is {N*H*W, C, 1}        (channels_last)
 *     [N, C]  is {N, C, 1}
 * All tensors of one call share one view and one dtype; they need the alignment of their elements,
 * no more (64 bytes is fastest).
 *
 * Types. Statistics (mean, var, rstd, low) are float, or double when the tensors are double.
 * Parameters (weight, bias, their gradients, running statistics) are of `param_dtype`: the
 * statistics' type or the tensors' own.
 *
 * Words. count = outer * inner values a channel; var is the biased variance, always;
 * rstd = 1 / sqrt(var + eps); momentum is the weight of the NEW batch, as in torch.
 * low is what rounding to the statistics' type left over: of the mean in its first `channels`
 * numbers, of rstd in its next (mean + low is the mean to double precision). With it a batch whose
 * |mean| is 10^4 std is normalized as exactly as one with mean 0. Keep it beside mean and rstd for
 * the backward call; NULL stands for zeros.
 *
 * Buffers belong to the caller, and so does the workspace: ek_workspace_bytes() tells its size (0 for
 * small tensors; then it may be NULL). No call allocates, keeps a pointer, prints or throws.
 * A pointer described as optional may be NULL. Outputs may be the very same buffer as an input of
 * the same shape (y on x or residual, dx or dresidual on dy); buffers must not overlap otherwise.
 *
 * Threads. num_threads <= 1 runs on the calling thread and starts none; small tensors always do.
 * The results are the same bits for every number of threads. Calls may run at the same time from
 * several threads. In a child forked after OpenMP threads were at work, pass 1.
 *
 * Numbers. NaN and infinities travel as in torch: relu(NaN) is NaN; the gradient of relu passes
 * where not (y <= 0). Subnormals are kept. Error bounds: README.md.
 */
#ifndef EVENKEEL_H
#define EVENKEEL_H

#include <stdint.h>

#if defined(_WIN32)
#define EK_API __declspec(dllexport)
#else
#define EK_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define EK_ABI_VERSION 3

/* Status of a call. On anything but EK_OK nothing was written. */
enum {
    EK_OK = 0,
    EK_BAD_SHAPE = 1,       /* a size below 1, or more than 2^62 bytes */
    EK_BAD_DTYPE = 2,       /* unknown dtype, or param_dtype neither the tensors' nor the statistics' */
    EK_BAD_ACTIVATION = 3,  /* unknown, or its derivative cannot be had from y (see ek_backward) */
    EK_MISSING_BUFFER = 4,  /* a pointer that is not optional is NULL */
    EK_SMALL_WORKSPACE = 5, /* workspace NULL or smaller than ek_workspace_bytes() */
    EK_BAD_ISA = 6,         /* the instruction set asked for is unknown, or this machine lacks it */
};

enum { EK_F32 = 0, EK_F64 = 1, EK_BF16 = 2, EK_F16 = 3 };
enum { EK_I32 = 16, EK_I64 = 17 }; /* ek_random only */

/* y = activation(normalized + residual). relu, leaky_relu and none run at the speed of memory. */
enum {
    EK_NONE = 0,
    EK_RELU = 1,
    EK_LEAKY_RELU = 2, /* slope 0.01 */
    EK_RELU6 = 3,
    EK_ELU = 4, /* alpha 1 */
    EK_SILU = 5,
    EK_HARDSWISH = 6,
    EK_SIGMOID = 7,
    EK_TANH = 8,
    EK_GELU = 9, /* erf form */
};

typedef struct {
    int64_t outer, channels, inner;
} ek_view;

/* What every operation is told. */
typedef struct {
    ek_view view;
    int32_t dtype;       /* of x, y, residual, dy, dx, dresidual */
    int32_t param_dtype; /* of weight, bias, dweight, dbias and running statistics */
    int32_t activation;
    int32_t num_threads;
    void *workspace;
    int64_t workspace_bytes;
} ek_call;

/* Moments: mean and biased variance of every channel. */
typedef struct {
    ek_call call; /* activation is not read */
    const void *x;
    void *mean;
    void *var;
} ek_moments_args;

/* Training forward: statistics of the batch, y = activation((x - mean) * rstd * weight + bias +
 * residual), and running statistics moved in place by momentum, once y is written:
 *     running_mean = (1 - momentum) * running_mean + momentum * mean
 *     running_var  = (1 - momentum) * running_var  + momentum * var
 *                    (times count / (count - 1) where running_unbiased is set)
 * unless any channel's mean or var is not finite: then none of them moves, and *finite is 0. *batches
 * grows by one where they move. */
typedef struct {
    ek_call call;
    double eps;
    const void *x;
    const void *residual; /* optional */
    const void *weight;   /* optional: ones */
    const void *bias;     /* optional: zeros */
    void *y;
    void *mean;
    void *var; /* optional where nothing is running */
    void *rstd;
    void *low; /* 2 * channels; optional: without it y is computed from rounded statistics */
    void *running_mean, *running_var; /* both, or neither */
    double momentum;
    int32_t running_unbiased;
    int32_t *finite; /* optional; needs var: 1 where every mean and var is finite, else 0 */
    int64_t *batches; /* optional, beside running statistics */
} ek_train_args;

/* Inference forward by given statistics, in place where y == x. */
typedef struct {
    ek_call call;
    double eps;
    const void *x;
    const void *residual; /* optional */
    const void *weight;   /* optional: ones */
    const void *bias;     /* optional: zeros */
    const void *mean;     /* of param_dtype: running statistics are parameters */
    const void *var;      /* of param_dtype */
    void *y;
    void *saved_mean; /* optional: mean and rstd in the statistics' type, as ek_backward wants them */
    void *rstd;       /* optional */
} ek_normalize_args;

/* Backward of ek_train (frozen = 0) or of ek_normalize (frozen = 1, the statistics are constants).
 * The activation's derivative needs, beside x:
 *     forward without residual   nothing (what was normalized is computed again, bit for bit)
 *     forward with residual      y for relu, leaky_relu, relu6, elu, sigmoid, tanh;
 *                                residual for any (the better choice for elu, sigmoid and tanh
 *                                in 16 bits, where a derivative read from y inherits its rounding)
 * An output that is NULL is not computed. */
typedef struct {
    ek_call call;
    int32_t frozen;
    const void *dy;
    const void *x;
    const void *y;        /* optional, see above */
    const void *residual; /* optional, see above */
    const void *weight;   /* optional, as in the forward call */
    const void *bias;     /* optional, as in the forward call */
    const void *mean;
    const void *rstd;
    const void *low; /* as the forward call told it; NULL for ek_normalize */
    void *dx;        /* optional */
    void *dresidual; /* optional; equals dy where there is no activation, so NULL serves there */
    void *dweight;   /* optional */
    void *dbias;     /* optional */
} ek_backward_args;

/* The random numbers of TensorFlow 1's CPU kernels, bit for bit: Philox 4x32-10 from `key` and a
 * counter of 128 bits. Normals are Box and Muller's by the C library's logf and sincosf (log and
 * sincos for doubles), so they are TensorFlow's bits where both run on one glibc. */
enum {
    EK_RANDOM_UNIFORM = 0,          /* in [0, 1); EK_F32, EK_F64, EK_BF16 or EK_F16 */
    EK_RANDOM_NORMAL = 1,           /* the same dtypes */
    EK_RANDOM_TRUNCATED_NORMAL = 2, /* the same dtypes; within (-2, 2) before rounding to 16 bits */
    EK_RANDOM_INTEGERS = 3,         /* in [low, high); EK_I32 or EK_I64 */
    EK_RANDOM_SHUFFLE = 4,          /* an order of 0 .. count - 1; EK_I64; one thread */
};

typedef struct {
    uint64_t key, counter_low, counter_high;
    int64_t low, high; /* EK_RANDOM_INTEGERS only; EK_BAD_SHAPE unless low < high, in the dtype */
    int64_t count;     /* 0 is allowed */
    int32_t kind;      /* EK_BAD_DTYPE when unknown, or not for this dtype */
    int32_t dtype;
    int32_t num_threads;
    void *out;
} ek_random_args;

EK_API int ek_random(const ek_random_args *args);

EK_API int ek_moments(const ek_moments_args *args);
EK_API int ek_train(const ek_train_args *args);
EK_API int ek_normalize(const ek_normalize_args *args);
EK_API int ek_backward(const ek_backward_args *args);

/* Bytes of workspace that any operation needs for tensors of this view and dtype: a function of its
 * arguments alone, so it may be remembered. Negative: a status with its sign turned. */
EK_API int64_t ek_workspace_bytes(ek_view view, int32_t dtype);

/* Tells the system that this buffer is about to be written whole for the first time: it gives large
 * pages where it has them (Linux, madvise), which makes first writes twice as fast. Else nothing
 * happens, and no failure is reported; the bytes stay as they are. Worth a call from 4 MiB on. */
EK_API void ek_fresh(void *p, int64_t bytes);

/* Instruction sets, best first: "avx512bf16" (bf16 converted by one instruction, where the compiler knows
 * it), "avx512", "avx2", "baseline" on x86-64; "neon" on aarch64.
 * The best that the machine has is taken at load time, or the one named by EVENKEEL_ISA; when the
 * machine lacks that one, ek_isa() is NULL and every operation returns EK_BAD_ISA: a forced choice
 * never falls back. ek_set_isa is for tests; NULL chooses as at load time. */
EK_API const char *ek_isa(void);
EK_API int ek_set_isa(const char *name);
EK_API int ek_has_isa(const char *name); /* 1 when built in and the machine can run it */

EK_API const char *ek_status_text(int status);
EK_API int ek_abi_version(void);

#ifdef __cplusplus
}
#endif
#endif
