/* Exact sums of integers under the ckks scheme, as a user sees them. */
#include "base/bytes.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "base/threads.h"
#include "he/ckks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void ok(msfl_status status) {
    if (status != MSFL_OK) fail_msg("%s: %s", msfl_status_name(status), msfl_error_message());
}

static msfl_ckks_params plan(uint32_t n, uint32_t bits, uint64_t values, uint32_t degree) {
    msfl_ckks_params p;
    msfl_ckks_sums_request r = {.n_addends = n, .value_bits = bits, .n_values = values, .ring_degree = degree};
    ok(msfl_ckks_plan_sums(&r, &p));
    ok(msfl_ckks_check(&p));
    return p;
}

#define HE(name)      msfl_ckks_##name
#define HE_SUMS(name) msfl_ckks_sums_##name
typedef msfl_ckks he_ctx;
enum { VALUES_MOST = 2048, VALUES_WIDE = 4096 };
#include "integers.h"

static void exact_sums(void **state) {
    (void)state;
    static const struct {
        uint32_t n, bits, degree, values;
    } cases[] = {
        {1, 32, 0, 1},       {2, 2, 0, 3},        {2, 16, 2048, 2048}, {3, 24, 4096, 4095},
        {5, 12, 8192, 8000}, {10, 16, 8192, 999}, {10, 16, 0, 60000},  {4, 32, 16384, 16384},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        msfl_ckks_params p = plan(cases[i].n, cases[i].bits, cases[i].values, cases[i].degree);
        uint32_t n_values = cases[i].values < p.ring_degree ? cases[i].values : p.ring_degree;
        uint32_t mask = (uint32_t)(((uint64_t)1 << p.value_bits) - 1);
        for (int fill = 0; fill < 4; fill++) {
            bench b;
            bench_init(&b, &p, n_values);
            msfl_seeded g;
            msfl_seeded_init(&g, 11, "test", i, (uint64_t)fill, 0);
            for (uint32_t k = 0; k < p.n_addends; k++) {
                for (uint32_t j = 0; j < n_values; j++)
                    b.values[j] = fill == 0 ? mask : fill == 1 ? 0 : (uint32_t)msfl_seeded_u64(&g) & mask;
                add_one(&b, fill == 0 ? PUBLIC : fill == 1 ? SEEDED : k % 2 ? PUBLIC : SEEDED);
                assert_int_equal(msfl_ckks_ct_addends(b.sum), k + 1);
                assert_int_equal(msfl_ckks_ct_values(b.sum), n_values);
                assert_int_equal(msfl_ckks_ct_chunk(b.sum), 5);
                through_bytes(&b, b.sum);
            }
            opens(&b);
            bench_clear(&b);
        }
    }
}

static void a_thousand_at_the_top(void **state) {
    (void)state;
    msfl_ckks_params p = plan(1000, 16, 4000, 0);
    bench b;
    bench_init(&b, &p, p.ring_degree);
    for (uint32_t j = 0; j < b.n_values; j++)
        b.values[j] = j % 3 == 0 ? 0xffff : 0;
    for (uint32_t k = 0; k < 1000; k++)
        add_one(&b, PUBLIC);
    opens(&b);
    encrypt(&b, PUBLIC, b.one);
    assert_int_equal(msfl_ckks_add(b.ctx, b.sum, b.one), MSFL_ERR_LIMIT);
    opens(&b);
    bench_clear(&b);
}

static void every_level_and_degree(void **state) {
    (void)state;
    for (uint32_t security = 128; security <= 256; security += 64) {
        for (uint32_t degree = 1024; degree <= 32768; degree *= 2) {
            msfl_ckks_params p;
            msfl_ckks_sums_request r = {2, 8, 3000, security, degree};
            msfl_status status = msfl_ckks_plan_sums(&r, &p);
            if (status != MSFL_OK) { /* too small, and the message has the numbers */
                assert_int_equal(status, MSFL_ERR_PARAMS);
                assert_true(degree < (security == 128 ? 2048u : 4096u));
                assert_non_null(strstr(msfl_error_message(), "2024/463"));
                continue;
            }
            assert_int_equal(p.security_bits, security);
            bench b;
            bench_init(&b, &p, p.ring_degree < 3000 ? p.ring_degree : 3000);
            for (uint32_t j = 0; j < b.n_values; j++)
                b.values[j] = j & 0xff;
            add_one(&b, PUBLIC);
            add_one(&b, SEEDED);
            opens(&b);
            bench_clear(&b);
        }
    }
}

/** The noise that is there stays below the bound, and is not absurdly far below it. */
static void noise_is_within_its_bound(void **state) {
    (void)state;
    msfl_ckks_params p = plan(10, 16, 100000, 4096);
    bench b;
    bench_init(&b, &p, p.ring_degree);
    msfl_rlwe_scratch *scratch;
    ok(msfl_rlwe_take(&b.secret->base.pool, &scratch));
    double *x = msfl_alloc(p.ring_degree, sizeof *x);
    for (form how = PUBLIC; how <= SEEDED; how++) {
        for (uint32_t j = 0; j < b.n_values; j++)
            b.values[j] = 1u << 15; /* zero, once centred */
        encrypt(&b, how, b.one);
        ok(msfl_ckks_phase(b.ctx, b.secret, scratch, b.one, 1, 0, x));
        double squares = 0, norm;
        for (uint32_t j = 0; j < p.ring_degree; j++)
            squares += x[j] * x[j];
        double expected = how == SEEDED ? 10.5 : 10.5 * (21.0 * p.ring_degree + 1);
        assert_true(squares / p.ring_degree > expected * 0.6 && squares / p.ring_degree < expected * 1.6);
        norm = msfl_embed_norm(&b.ctx->embed, x);
        assert_true(norm <= msfl_ckks_fresh_noise(p.ring_degree, how == SEEDED));
        assert_true(norm * 64 > msfl_ckks_fresh_noise(p.ring_degree, how == SEEDED));
    }
    msfl_free(x);
    msfl_rlwe_give(&b.secret->base.pool, scratch);
    bench_clear(&b);
}

static void figures(void **state) {
    (void)state;
    msfl_ckks_params p = plan(10, 16, 100000, 8192);
    msfl_ckks_facts f;
    msfl_ckks_describe(&p, 100000, &f);
    assert_true(f.log2_failure < -128 && f.log2_q <= f.log2_q_max && f.fresh_error_max < 0.5);
    bench b;
    bench_init(&b, &p, p.ring_degree);
    uint64_t full = 0, seeded = 0;
    assert_int_equal(msfl_ckks_chunks(b.ctx, 100000), f.n_chunks);
    for (uint64_t j = 0; j < f.n_chunks; j++) {
        b.n_values = msfl_ckks_chunk_values(b.ctx, 100000, j);
        encrypt(&b, PUBLIC, b.one);
        full += msfl_ckks_ct_bytes(b.ctx, b.one);
        encrypt(&b, SEEDED, b.one);
        seeded += msfl_ckks_ct_bytes(b.ctx, b.one);
    }
    assert_int_equal(msfl_ckks_chunk_values(b.ctx, 100000, f.n_chunks), 0);
    assert_int_equal(full, f.full_bytes);
    assert_int_equal(seeded, f.seeded_bytes);
    assert_int_equal(msfl_ckks_public_bytes(b.ctx), f.public_key_bytes);
    assert_int_equal(msfl_ckks_secret_bytes(b.ctx), f.secret_key_bytes);
    bench_clear(&b);
}

/* --- refusals --- */

static void parameters_are_refused(void **state) {
    (void)state;
    msfl_ckks_params p = plan(10, 16, 100000, 4096), x;
#define REFUSED(change)                                                                                                \
    do {                                                                                                               \
        x = p;                                                                                                         \
        change;                                                                                                        \
        assert_int_equal(msfl_ckks_check(&x), MSFL_ERR_PARAMS);                                                        \
        msfl_ckks *ctx = (msfl_ckks *)&x;                                                                              \
        assert_int_equal(msfl_ckks_new(&x, &ctx), MSFL_ERR_PARAMS);                                                    \
        assert_null(ctx);                                                                                              \
    } while (0)
    REFUSED(x.ring_degree = 1024);
    REFUSED(x.ring_degree = 0);
    REFUSED(x.ring_degree = 4095);
    REFUSED(x.security_bits = 100);
    REFUSED(x.n_addends = 0);
    REFUSED(x.n_addends = 10001);
    REFUSED(x.n_addends = 20);
    REFUSED(x.value_bits = 33);
    REFUSED(x.value_bits = 1);
    REFUSED(x.value_bits = 20);
    REFUSED(x.n_primes = 0);
    REFUSED(x.n_primes = 17);
    REFUSED(x.n_base = 0);
    REFUSED(x.n_step = 1);
    REFUSED(x.n_special = 1);
    REFUSED(x.n_special = 2);
    REFUSED(x.flood_bits = 20);
    REFUSED(x.n_releases = 1);
    REFUSED(x.value_max = 1);
    REFUSED(x.scale = x.scale / 2);
    REFUSED(x.scale = x.scale + 0.5);
    REFUSED(x.scale = 0x1p60);
    REFUSED(x.scale = (double)NAN);
    REFUSED(x.scale = (double)INFINITY);
    REFUSED(x.primes[0] += 2 * 4096);
    REFUSED(x.primes[0]++);
    REFUSED(x.primes[15] = 3);
    REFUSED(x.primes[0] |= (uint64_t)1 << 60);
#undef REFUSED
    static const msfl_ckks_sums_request wrong[] = {
        {0, 16, 10, 0, 0},
        {10001, 16, 10, 0, 0},
        {2, 1, 10, 0, 0},
        {2, 33, 10, 0, 0},
        {2, 16, 0, 0, 0},
        {2, 16, 10, 64, 0},
        {2, 16, (1ull << 34) + 1, 0, 0},
        {2, 16, 10, 0, 1000},
        {2, 16, 10, 0, 65536},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(msfl_ckks_plan_sums(&wrong[i], &x), MSFL_ERR_USAGE);
    msfl_ckks_sums_request big = {10, 16, 10, 128, 1024};
    assert_int_equal(msfl_ckks_plan_sums(&big, &x), MSFL_ERR_PARAMS);
    msfl_ckks_sums_request wide = {10000, 32, 10, 128, 0};
    assert_int_equal(msfl_ckks_plan_sums(&wide, &x), MSFL_ERR_PARAMS);
    assert_non_null(strstr(msfl_error_message(), "doubles"));
}

static void mismatches_have_names(void **state) {
    (void)state;
    msfl_ckks_params p = plan(3, 16, 2048, 2048);
    bench b, other;
    bench_init(&b, &p, 100);
    bench_init(&other, &p, 100);
    add_one(&b, PUBLIC);
    add_one(&other, SEEDED);
    assert_memory_equal(msfl_ckks_secret_id(b.secret), msfl_ckks_public_id(b.public), 16);
    assert_memory_equal(msfl_ckks_ct_key_id(b.sum), msfl_ckks_public_id(b.public), 16);
    assert_memory_not_equal(msfl_ckks_secret_id(b.secret), msfl_ckks_secret_id(other.secret), 16);
    assert_int_equal(msfl_ckks_add(b.ctx, b.sum, other.sum), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_ckks_sums_decrypt(b.ctx, other.secret, b.sum, b.totals), MSFL_ERR_MISMATCH);
    assert_int_equal(b.totals[0], 0);
    /* another key under the same name: what a careless tool could make */
    memcpy(b.sum->key_id, other.secret->base.id, 16);
    assert_int_equal(msfl_ckks_sums_decrypt(b.ctx, other.secret, b.sum, b.totals), MSFL_ERR_CRYPTO);
    assert_int_equal(b.totals[0], 0);
    memcpy(b.sum->key_id, b.secret->base.id, 16);
    /* another chunk, another length, nothing, itself */
    ok(msfl_ckks_sums_encrypt(b.ctx, b.public, 6, b.values, 100, b.one));
    assert_int_equal(msfl_ckks_add(b.ctx, b.sum, b.one), MSFL_ERR_MISMATCH);
    ok(msfl_ckks_sums_encrypt(b.ctx, b.public, 5, b.values, 99, b.one));
    assert_int_equal(msfl_ckks_add(b.ctx, b.sum, b.one), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_ckks_add(b.ctx, b.sum, b.sum), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_sums_encrypt(b.ctx, b.public, 5, b.values, 0, b.one), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_add(b.ctx, b.sum, b.one), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_sums_decrypt(b.ctx, b.secret, b.one, b.totals), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_ct_bytes(b.ctx, b.one), 0);
    assert_int_equal(msfl_ckks_sums_encrypt_seeded(b.ctx, b.secret, 5, b.values, 2049, b.one), MSFL_ERR_USAGE);
    /* a value too large */
    b.values[77] = 0x10000;
    assert_int_equal(msfl_ckks_sums_encrypt(b.ctx, b.public, 5, b.values, 100, b.one), MSFL_ERR_NUMERIC);
    assert_int_equal(msfl_ckks_sums_encrypt_seeded(b.ctx, b.secret, 5, b.values, 100, b.one), MSFL_ERR_NUMERIC);
    assert_int_equal(msfl_ckks_ct_values(b.one), 0);
    /* computing with sums */
    msfl_ckks_plain *plain;
    ok(msfl_ckks_plain_new(b.ctx, &plain));
    double number = 1, out[1024];
    assert_int_equal(msfl_ckks_encode(b.ctx, &number, NULL, 1, NULL, plain), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_encrypt(b.ctx, b.public, 0, plain, b.one), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_add_plain(b.ctx, b.sum, plain), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_multiply_plain(b.ctx, b.sum, plain), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_rescale(b.ctx, b.sum), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_drop(b.ctx, b.sum, 1), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_decrypt_exact(b.ctx, b.secret, b.sum, out, NULL), MSFL_ERR_USAGE);
    msfl_ckks_relin *relin;
    assert_int_equal(msfl_ckks_relin_new(b.ctx, b.secret, &relin), MSFL_ERR_USAGE);
    msfl_ckks_plain_free(plain);
    opens(&b);
    bench_clear(&b);
    bench_clear(&other);
}

static void bytes_of_ciphertexts(void **state) {
    (void)state;
    msfl_ckks_params p = plan(3, 16, 2048, 2048);
    bench b;
    bench_init(&b, &p, 1500);
    for (form how = PUBLIC; how <= SEEDED; how++) {
        encrypt(&b, how, b.one);
        size_t length = msfl_ckks_ct_bytes(b.ctx, b.one);
        uint8_t *bytes = malloc(length), *bad = malloc(length + 1);
        msfl_ckks_ct_write(b.ctx, b.one, bytes);
        for (size_t cut = 0; cut < length; cut += cut < 200 ? 1 : 77) {
            uint8_t *exact = malloc(cut + 1);
            memcpy(exact, bytes, cut);
            assert_int_equal(msfl_ckks_ct_read(b.ctx, exact, cut, b.sum), MSFL_ERR_FORMAT);
            if (cut >= 24) { /* a header that says so itself */
                msfl_store64(exact + 16, cut);
                assert_int_equal(msfl_ckks_ct_read(b.ctx, exact, cut, b.sum), MSFL_ERR_FORMAT);
            }
            free(exact);
        }
        memcpy(bad, bytes, length);
        assert_int_equal(msfl_ckks_ct_read(b.ctx, bad, length + 1, b.sum), MSFL_ERR_FORMAT);
        /* Any change is refused or does not open: a changed value of the transform spreads over all slots. */
        for (size_t at = 0; at < length; at += at < 130 ? 1 : 61) {
            memcpy(bad, bytes, length);
            bad[at] ^= 0x40;
            msfl_status status = msfl_ckks_ct_read(b.ctx, bad, length, b.sum);
            if (status != MSFL_OK) {
                assert_int_equal(msfl_ckks_ct_values(b.sum), 0);
                continue;
            }
            if (at >= 56 && at < 64) continue; /* the chunk's number */
            status = msfl_ckks_sums_decrypt(b.ctx, b.secret, b.sum, b.totals);
            assert_int_equal(status, at >= 40 && at < 56 ? MSFL_ERR_MISMATCH : MSFL_ERR_CRYPTO);
        }
        memcpy(bad, bytes, length);
        memset(bad + 64 + MSFL_CKKS_CT_FIXED, 0xff, 64);
        assert_int_equal(msfl_ckks_ct_read(b.ctx, bad, length, b.sum), MSFL_ERR_FORMAT);
        memcpy(bad, bytes, length);
        msfl_store32(bad + 8, 2);
        assert_int_equal(msfl_ckks_ct_read(b.ctx, bad, length, b.sum), MSFL_ERR_UNSUPPORTED);
        msfl_store32(bad + 8, 1);
        msfl_store32(bad + 68, 4);
        assert_int_equal(msfl_ckks_ct_read(b.ctx, bad, length, b.sum), MSFL_ERR_FORMAT);
        free(bytes);
        free(bad);
    }
    bench_clear(&b);
}

/** Adding where ciphertexts lie: the same sum, and what is refused leaves it as it was. */
static void folds_on_the_wire(void **state) {
    (void)state;
    msfl_ckks_params p = plan(3, 24, 4096, 4096);
    bench b;
    bench_init(&b, &p, 4000);
    for (uint32_t j = 0; j < b.n_values; j++)
        b.values[j] = j * 4099;
    add_one(&b, PUBLIC);
    add_one(&b, PUBLIC);
    encrypt(&b, PUBLIC, b.one);
    size_t length = msfl_ckks_ct_bytes(b.ctx, b.one);
    uint8_t *acc = malloc(length), *bytes = malloc(length), *kept = malloc(length);
    msfl_ckks_ct_facts f;
    msfl_ckks_ct_write(b.ctx, b.sum, acc);
    msfl_ckks_ct_write(b.ctx, b.one, bytes);
    memcpy(kept, acc, length);
    ok(msfl_ckks_ct_check(b.ctx, acc, length, &f));
    assert_true(f.n_values == 4000 && f.addends == 2 && f.chunk == 5 && !f.seeded);
    assert_memory_equal(f.key_id, msfl_ckks_secret_id(b.secret), 16);
    /* A residue out of range in each plane, found late. */
    for (size_t k = 0; k < 4; k++) {
        size_t at = length - 8 - k * (length / 5);
        uint8_t saved[8];
        memcpy(saved, bytes + at, 8);
        memset(bytes + at, 0xff, 8);
        msfl_status status = msfl_ckks_ct_fold(b.ctx, acc, bytes, length);
        if (status != MSFL_OK) {
            assert_int_equal(status, MSFL_ERR_FORMAT);
            assert_int_equal(msfl_ckks_ct_check(b.ctx, bytes, length, &f), MSFL_ERR_FORMAT);
            ok(msfl_ckks_ct_peek(b.ctx, bytes, length, &f));
            assert_memory_equal(acc, kept, length);
        }
        memcpy(acc, kept, length);
        memcpy(bytes + at, saved, 8);
    }
    assert_int_equal(msfl_ckks_ct_fold(b.ctx, acc, bytes, length - 1), MSFL_ERR_FORMAT);
    ok(msfl_ckks_ct_fold(b.ctx, acc, bytes, length));
    ok(msfl_ckks_ct_read(b.ctx, acc, length, b.sum));
    for (uint32_t j = 0; j < b.n_values; j++)
        b.expected[j] = 3 * (uint64_t)b.values[j];
    opens(&b);
    assert_int_equal(msfl_ckks_ct_fold(b.ctx, acc, bytes, length), MSFL_ERR_LIMIT);
    ok(msfl_ckks_sums_encrypt(b.ctx, b.public, 6, b.values, 4000, b.one));
    msfl_ckks_ct_write(b.ctx, b.one, bytes);
    assert_int_equal(msfl_ckks_ct_fold(b.ctx, kept, bytes, length), MSFL_ERR_MISMATCH);
    /* Parameters alone. */
    uint8_t raw[MSFL_CKKS_PARAMS_BYTES];
    msfl_ckks_params found;
    msfl_ckks_params_write(&p, raw);
    ok(msfl_ckks_params_parse(raw, sizeof raw, &found));
    assert_memory_equal(&found, &p, sizeof p);
    assert_int_equal(msfl_ckks_params_parse(raw, sizeof raw - 1, &found), MSFL_ERR_FORMAT);
    raw[0] ^= 1;
    assert_int_equal(msfl_ckks_params_parse(raw, sizeof raw, &found), MSFL_ERR_PARAMS);
    free(acc);
    free(bytes);
    free(kept);
    bench_clear(&b);
}

/** Two encryptions of the same values have nothing in common that would show it. */
static void encryption_is_random(void **state) {
    (void)state;
    msfl_ckks_params p = plan(3, 16, 2048, 2048);
    bench b;
    bench_init(&b, &p, 1500);
    for (form how = PUBLIC; how <= SEEDED; how++) {
        encrypt(&b, how, b.sum);
        encrypt(&b, how, b.one);
        size_t length = msfl_ckks_ct_bytes(b.ctx, b.one), same = 0, from = 64 + MSFL_CKKS_CT_FIXED;
        uint8_t *x = malloc(length), *y = malloc(length);
        msfl_ckks_ct_write(b.ctx, b.sum, x);
        msfl_ckks_ct_write(b.ctx, b.one, y);
        for (size_t i = from; i < length; i++)
            same += x[i] == y[i];
        assert_true(same < (length - from) / 256 * 2); /* expected: one in 256 */
        free(x);
        free(y);
    }
    bench_clear(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_sums),
        cmocka_unit_test(a_thousand_at_the_top),
        cmocka_unit_test(every_level_and_degree),
        cmocka_unit_test(noise_is_within_its_bound),
        cmocka_unit_test(figures),
        cmocka_unit_test(parameters_are_refused),
        cmocka_unit_test(mismatches_have_names),
        cmocka_unit_test(bytes_of_ciphertexts),
        cmocka_unit_test(folds_on_the_wire),
        cmocka_unit_test(encryption_is_random),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(threads_share_keys),
        cmocka_unit_test(kernels_agree),
    };
    return cmocka_run_group_tests_name("ckks sums", tests, NULL, NULL);
}
