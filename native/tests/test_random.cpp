// Philox's known answers, carries of the counter, threads, refusals, and that nothing is written
// outside of the buffer. What TensorFlow drew is compared in tests/tf1/random.
#include "check.h"

#include "../include/evenkeel.h"

static ek_random_args call(int kind, int dtype, int64_t count, void *out) {
    ek_random_args a{};
    a.kind = kind, a.dtype = dtype, a.count = count, a.out = out, a.num_threads = 1;
    return a;
}

// One block by the paper's definition, in 64-bit integers (Salmon et al. 2011).
static void block(uint64_t key, uint64_t low, uint64_t high, uint32_t *c) {
    c[0] = uint32_t(low), c[1] = uint32_t(low >> 32), c[2] = uint32_t(high), c[3] = uint32_t(high >> 32);
    for (int r = 0; r < 10; ++r) {
        uint64_t a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
        uint32_t k0 = uint32_t(key) + uint32_t(r) * 0x9E3779B9u;
        uint32_t k1 = uint32_t(key >> 32) + uint32_t(r) * 0xBB67AE85u;
        uint32_t next[4] = {uint32_t(b >> 32) ^ c[1] ^ k0, uint32_t(b), uint32_t(a >> 32) ^ c[3] ^ k1,
                            uint32_t(a)};
        std::memcpy(c, next, sizeof next);
    }
}

// Integers over 2^32 - 1 values are the words themselves, but for the largest word.
static void test_known_answers() {
    const uint64_t ALL = ~0ull;
    const struct {
        uint64_t key, low, high;
        uint32_t words[4];
    } known[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {ALL, ALL, ALL, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (auto &k : known) {
        int32_t out[4];
        ek_random_args a = call(EK_RANDOM_INTEGERS, EK_I32, 4, out);
        a.key = k.key, a.counter_low = k.low, a.counter_high = k.high;
        a.low = INT32_MIN, a.high = INT32_MAX;
        CHECK(ek_random(&a) == EK_OK, "status");
        for (int i = 0; i < 4; ++i)
            CHECK(uint32_t(out[i]) == k.words[i] + 0x80000000u, "word %d: %x", i, unsigned(out[i]));
    }
}

static void test_carries_on_every_instruction_set() {
    const uint64_t ALL = ~0ull;
    const int COUNT = 4 * 600 + 3;
    std::vector<float> out(COUNT);
    for (const char *isa : {"avx512bf16", "avx512", "avx2", "neon", "baseline"}) {
        if (!ek_has_isa(isa)) continue;
        ek_set_isa(isa);
        for (uint64_t low : {uint64_t(0), (uint64_t(1) << 32) - 300, ALL - 299})
            for (uint64_t high : {uint64_t(7), ALL}) {
                ek_random_args a = call(EK_RANDOM_UNIFORM, EK_F32, COUNT, out.data());
                a.key = 99, a.counter_low = low, a.counter_high = high;
                CHECK(ek_random(&a) == EK_OK, "status");
                for (int i = 0; i < COUNT; ++i) {
                    uint32_t w[4];
                    uint64_t at = low + uint64_t(i / 4);
                    block(99, at, high + (at < low), w);
                    float want = float(w[i % 4] & 0x7fffff) / float(1 << 23);
                    CHECK(out[size_t(i)] == want, "%s: output %d", isa, i);
                }
            }
    }
    ek_set_isa(nullptr);
}

static void test_threads_and_guards() {
    const struct {
        int kind, dtype, storage;
    } rows[] = {
        {EK_RANDOM_UNIFORM, EK_F32, F32},          {EK_RANDOM_UNIFORM, EK_F64, F64},
        {EK_RANDOM_UNIFORM, EK_BF16, BF16},        {EK_RANDOM_UNIFORM, EK_F16, F16},
        {EK_RANDOM_NORMAL, EK_F32, F32},           {EK_RANDOM_NORMAL, EK_F64, F64},
        {EK_RANDOM_NORMAL, EK_BF16, BF16},         {EK_RANDOM_NORMAL, EK_F16, F16},
        {EK_RANDOM_TRUNCATED_NORMAL, EK_F32, F32}, {EK_RANDOM_TRUNCATED_NORMAL, EK_F64, F64},
        {EK_RANDOM_TRUNCATED_NORMAL, EK_F16, F16}, {EK_RANDOM_INTEGERS, EK_I32, F32},
        {EK_RANDOM_INTEGERS, EK_I64, F64},         {EK_RANDOM_SHUFFLE, EK_I64, F64},
    };
    for (auto &row : rows)
        for (int64_t count : {1, 2, 3, 5, 1023, 1025, 20011}) {
            Buffer one(count, row.storage), three(count, row.storage), early(count, row.storage);
            for (auto [buffer, threads] : {std::pair<Buffer *, int>{&one, 1}, {&three, 3}}) {
                ek_random_args a = call(row.kind, row.dtype, count, buffer->data());
                a.key = 5, a.counter_high = 6, a.low = -9, a.high = 1000, a.num_threads = threads;
                CHECK(ek_random(&a) == EK_OK, "kind %d dtype %d", row.kind, row.dtype);
            }
            CHECK(one.same_bits(three) && one.intact() && three.intact(),
                  "kind %d dtype %d count %lld", row.kind, row.dtype, (long long)count);
        }
}

// Sixteen bits are the float numbers rounded to the nearest, ties to even.
static void test_sixteen_bits() {
    const int64_t COUNT = 100003;
    Buffer wide(COUNT, F32);
    ek_random_args a = call(EK_RANDOM_NORMAL, EK_F32, COUNT, wide.data());
    ek_random(&a);
    for (int dtype : {BF16, F16}) {
        Buffer got(COUNT, dtype), want(wide.values(), dtype);
        a.dtype = dtype == BF16 ? EK_BF16 : EK_F16, a.out = got.data();
        ek_random(&a);
        CHECK(got.same_bits(want), "%s", DTYPE_NAMES[dtype]);
    }
}

static void test_refusals() {
    double out[4] = {1, 2, 3, 4};
    auto status = [&](auto change) {
        ek_random_args a = call(EK_RANDOM_INTEGERS, EK_I64, 4, out);
        a.low = 0, a.high = 5;
        change(a);
        return ek_random(&a);
    };
    CHECK(status([](auto &a) { a.count = 0, a.out = nullptr; }) == EK_OK, "empty");
    CHECK(status([](auto &a) { a.count = -1; }) == EK_BAD_SHAPE, "negative");
    CHECK(status([](auto &a) { a.count = INT64_MAX; }) == EK_BAD_SHAPE, "too large");
    CHECK(status([](auto &a) { a.out = nullptr; }) == EK_MISSING_BUFFER, "no buffer");
    CHECK(status([](auto &a) { a.high = 0; }) == EK_BAD_SHAPE, "empty range");
    CHECK(status([](auto &a) { a.dtype = EK_I32, a.high = 1ll << 31; }) == EK_BAD_SHAPE, "wide range");
    CHECK(status([](auto &a) { a.dtype = EK_F32; }) == EK_BAD_DTYPE, "float integers");
    CHECK(status([](auto &a) { a.kind = EK_RANDOM_NORMAL; }) == EK_BAD_DTYPE, "integer normals");
    CHECK(status([](auto &a) { a.kind = EK_RANDOM_TRUNCATED_NORMAL; }) == EK_BAD_DTYPE, "likewise");
    CHECK(status([](auto &a) { a.kind = EK_RANDOM_SHUFFLE, a.dtype = EK_I32; }) == EK_BAD_DTYPE, "order");
    CHECK(status([](auto &a) { a.kind = 9; }) == EK_BAD_DTYPE, "kind");
    CHECK(out[0] == 1 && out[3] == 4, "something was written");
}

int main() {
    test_known_answers();
    test_carries_on_every_instruction_set();
    test_threads_and_guards();
    test_sixteen_bits();
    test_refusals();
    return report();
}
