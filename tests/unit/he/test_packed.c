#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "he/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t round_seed[MSFL_HASH_BYTES] = {1, 2, 3};

static msfl_params plan(uint32_t n, uint32_t bits, uint64_t values, uint32_t degree) {
    msfl_params p;
    msfl_params_request r = {.n_clients = n, .value_bits = bits, .n_values = values, .ring_degree = degree};
    assert_int_equal(msfl_params_plan(&r, &p), MSFL_OK);
    assert_int_equal(msfl_params_check(&p), MSFL_OK);
    return p;
}

typedef enum fill { FILL_MAX, FILL_ZERO, FILL_RANDOM } fill;

/** Encrypt `n` updates chunk by chunk, fold, open, and compare with plain sums. */
static void sums_are_exact(const msfl_params *p, uint32_t n, uint64_t n_values, fill how) {
    msfl_packed *ctx;
    assert_int_equal(msfl_packed_new(p, &ctx), MSFL_OK);
    msfl_packed_sum *sum;
    assert_int_equal(msfl_packed_sum_new(ctx, round_seed, n_values, &sum), MSFL_OK);
    uint32_t *slots = msfl_alloc(n_values, sizeof *slots);
    uint64_t *expected = msfl_alloc(n_values, sizeof *expected), *totals = msfl_alloc(n_values, sizeof *totals);
    int32_t *key_sum = msfl_alloc(p->ring_degree, sizeof *key_sum);
    uint64_t chunks = msfl_packed_chunks(ctx, n_values);
    uint8_t *bytes = msfl_alloc(msfl_packed_chunk_bytes(ctx, n_values, 0), 1);
    uint32_t mask = (uint32_t)(((uint64_t)1 << p->value_bits) - 1);
    msfl_seeded g;
    msfl_seeded_init(&g, 7, "test", n, n_values, p->value_bits);
    for (uint32_t i = 0; i < n; i++) {
        msfl_packed_key *key;
        assert_int_equal(msfl_packed_key_new(ctx, round_seed, n_values, &key), MSFL_OK);
        const int32_t *s = msfl_packed_key_borrow(key);
        for (uint32_t k = 0; k < p->ring_degree; k++)
            key_sum[k] += s[k];
        for (uint64_t k = 0; k < n_values; k++) {
            slots[k] = how == FILL_MAX ? mask : how == FILL_ZERO ? 0 : (uint32_t)msfl_seeded_u64(&g) & mask;
            expected[k] += slots[k];
        }
        uint64_t at = 0;
        for (uint64_t j = 0; j < chunks; j++) {
            size_t length = msfl_packed_chunk_bytes(ctx, n_values, j);
            assert_int_equal(msfl_packed_encrypt(ctx, key, j, slots + at, bytes), MSFL_OK);
            assert_int_equal(msfl_packed_check(ctx, n_values, j, bytes, length), MSFL_OK);
            assert_int_equal(msfl_packed_fold(ctx, sum, j, bytes, length), MSFL_OK);
            at += msfl_packed_chunk_slots(ctx, n_values, j);
        }
        assert_int_equal(at, n_values);
        msfl_packed_key_free(key);
        assert_int_equal(msfl_packed_sum_addends(sum), i + 1);
    }
    uint64_t at = 0;
    for (uint64_t j = 0; j < chunks; j++) {
        if (msfl_packed_open(ctx, sum, j, n, key_sum, totals + at) != MSFL_OK) fail_msg("%s", msfl_error_message());
        at += msfl_packed_chunk_slots(ctx, n_values, j);
    }
    assert_memory_equal(totals, expected, n_values * sizeof *totals);
    /* A key sum that is off by one client's worth, or in one coefficient, opens nothing. */
    key_sum[0] += 1;
    assert_int_equal(msfl_packed_open(ctx, sum, 0, n, key_sum, totals), MSFL_ERR_CRYPTO);
    for (uint32_t k = 0; k < msfl_packed_chunk_slots(ctx, n_values, 0); k++)
        assert_int_equal(totals[k], 0);
    msfl_free(bytes);
    msfl_free(slots);
    msfl_free(expected);
    msfl_free(totals);
    msfl_free(key_sum);
    msfl_packed_sum_free(sum);
    msfl_packed_free(ctx);
}

static void exact_sums(void **state) {
    (void)state;
    static const struct {
        uint32_t n, bits, degree;
        uint64_t values;
    } cases[] = {{2, 16, 0, 5000},        {3, 24, 0, 5000},         {10, 16, 8192, 100003}, {10, 8, 0, 70000},
                 {1, 32, 0, 3000},        {20, 24, 1024 * 4, 9999}, {7, 2, 0, 1 << 17},     {5, 12, 2048, 4097},
                 {10, 20, 32768, 700000}, {4, 32, 16384, 300001}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        msfl_params p = plan(cases[i].n, cases[i].bits, cases[i].values, cases[i].degree);
               p.slots_per_coefficient, p.slot_bits, p.log_t);
               sums_are_exact(&p, cases[i].n, cases[i].values, FILL_MAX);
               sums_are_exact(&p, cases[i].n, cases[i].values, FILL_RANDOM);
    }
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
