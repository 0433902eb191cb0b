// The C functions: check once, cut the tensor, run the kernel of the chosen instruction set.
#include "../include/evenkeel.h"

#include "isa.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

constexpr int64_t STACK_DOUBLES = 4096;  // workspaces up to this size need no buffer of the caller's

int itemsize(int32_t dtype) { return dtype == EK_F64 ? 8 : dtype == EK_F32 ? 4 : 2; }

int check_view(ek_view v, int32_t dtype) {
    if (dtype < EK_F32 || dtype > EK_F16) return EK_BAD_DTYPE;
    if (v.outer < 1 || v.channels < 1 || v.inner < 1) return EK_BAD_SHAPE;
    int64_t size;
    if (__builtin_mul_overflow(v.outer, v.channels, &size) ||
        __builtin_mul_overflow(size, v.inner, &size) || size > (int64_t(1) << 62) / itemsize(dtype))
        return EK_BAD_SHAPE;
    return EK_OK;
}

int check_call(const ek_call &call) {
    if (int status = check_view(call.view, call.dtype)) return status;
    int32_t statistics = call.dtype == EK_F64 ? EK_F64 : EK_F32;
    if (call.param_dtype != call.dtype && call.param_dtype != statistics) return EK_BAD_DTYPE;
    if (call.activation < EK_NONE || call.activation > EK_GELU) return EK_BAD_ACTIVATION;
    return EK_OK;
}

template <class Args>
int run(const Args &args, ek::Kernel<Args> kernel) {
    const ek_view &v = args.call.view;
    ek::Grid grid = ek::cut(v.outer, v.channels, v.inner);
    int64_t doubles = ek::workspace_doubles(grid);
    if (doubles <= STACK_DOUBLES) {
        alignas(64) double stack[STACK_DOUBLES];
        kernel(args, grid, stack);
        return EK_OK;
    }
    if (!args.call.workspace || args.call.workspace_bytes < doubles * int64_t(sizeof(double)))
        return EK_SMALL_WORKSPACE;
    kernel(args, grid, args.call.workspace);
    return EK_OK;
}

// Whether the activation's derivative is a function of its output.
bool told_by_output(int32_t activation) {
    return activation != EK_SILU && activation != EK_HARDSWISH && activation != EK_GELU;
}

template <class... Pointers>
bool missing(Pointers... pointers) {
    return (... || (pointers == nullptr));
}

}  // namespace

extern "C" {

int ek_moments(const ek_moments_args *a) {
    const ek::Isa *isa = ek::isa();
    if (!isa) return EK_BAD_ISA;
    ek_call call = a->call;
    call.activation = EK_NONE, call.param_dtype = call.dtype;
    if (int status = check_call(call)) return status;
    if (missing(a->x, a->mean, a->var)) return EK_MISSING_BUFFER;
    return run(*a, isa->of(call.dtype).forwards->moments[call.dtype]);
}

int ek_train(const ek_train_args *a) {
    const ek::Isa *isa = ek::isa();
    if (!isa) return EK_BAD_ISA;
    if (int status = check_call(a->call)) return status;
    if (missing(a->x, a->y, a->mean, a->rstd)) return EK_MISSING_BUFFER;
    if (!a->running_mean != !a->running_var || (a->batches && !a->running_mean) ||
        ((a->finite || a->running_mean) && !a->var))
        return EK_MISSING_BUFFER;
    return run(*a, isa->of(a->call.dtype).forwards->train[a->call.dtype]);
}

int ek_normalize(const ek_normalize_args *a) {
    const ek::Isa *isa = ek::isa();
    if (!isa) return EK_BAD_ISA;
    if (int status = check_call(a->call)) return status;
    if (missing(a->x, a->y, a->mean, a->var)) return EK_MISSING_BUFFER;
    return run(*a, isa->of(a->call.dtype).forwards->normalize[a->call.dtype]);
}

int ek_backward(const ek_backward_args *a) {
    const ek::Isa *isa = ek::isa();
    if (!isa) return EK_BAD_ISA;
    if (int status = check_call(a->call)) return status;
    if (missing(a->dy, a->x, a->mean, a->rstd)) return EK_MISSING_BUFFER;
    if (a->y && !told_by_output(a->call.activation)) return EK_BAD_ACTIVATION;
    return run(*a, isa->of(a->call.dtype).backwards->backward[a->call.dtype]);
}

int64_t ek_workspace_bytes(ek_view view, int32_t dtype) {
    if (int status = check_view(view, dtype)) return -status;
    int64_t doubles = ek::workspace_doubles(ek::cut(view.outer, view.channels, view.inner));
    return doubles > STACK_DOUBLES ? doubles * int64_t(sizeof(double)) : 0;
}

void ek_fresh(void *p, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    // Only the large pages that lie in the buffer whole: what is beside them is not the caller's.
    constexpr uintptr_t PAGE = 2 << 20;
    if (!p || bytes < int64_t(PAGE)) return;
    uintptr_t begin = ((uintptr_t)p + PAGE - 1) / PAGE * PAGE;
    uintptr_t end = ((uintptr_t)p + (uintptr_t)bytes) / PAGE * PAGE;
    if (begin < end) (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)p, (void)bytes;
#endif
}

const char *ek_status_text(int status) {
    switch (status) {
        case EK_OK: return "done";
        case EK_BAD_SHAPE: return "a size below 1, or too large a tensor";
        case EK_BAD_DTYPE: return "an unknown dtype, or parameters of a dtype that does not fit";
        case EK_BAD_ACTIVATION: return "an unknown activation, or one whose derivative y cannot tell";
        case EK_MISSING_BUFFER: return "a buffer that is not optional is missing";
        case EK_SMALL_WORKSPACE: return "the workspace is missing or too small";
        case EK_BAD_ISA: return "an instruction set that is unknown or that this machine lacks";
        default: return "no such status";
    }
}

int ek_abi_version(void) { return EK_ABI_VERSION; }

}  // extern "C"
