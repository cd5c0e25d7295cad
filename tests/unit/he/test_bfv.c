/* The public-key scheme as a user sees it, and against slow arithmetic. */
#include "base/bytes.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "base/threads.h"
#include "he/bfv.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void ok(msfl_status status) {
    if (status != MSFL_OK) fail_msg("%s: %s", msfl_status_name(status), msfl_error_message());
}

static msfl_bfv_params plan(uint32_t n, uint32_t bits, uint64_t values, uint32_t degree) {
    msfl_bfv_params p;
    msfl_bfv_request r = {.n_addends = n, .value_bits = bits, .n_values = values, .ring_degree = degree};
    ok(msfl_bfv_plan(&r, &p));
    ok(msfl_bfv_check(&p));
    return p;
}

#define HE(name)      msfl_bfv_##name
#define HE_SUMS(name) msfl_bfv_##name
typedef msfl_bfv he_ctx;
enum { VALUES_MOST = 5000, VALUES_WIDE = 5000 };
#include "integers.h"

static void exact_sums(void **state) {
    (void)state;
    static const struct {
        uint32_t n, bits, degree, values;
    } cases[] = {
        {1, 32, 0, 1},        {2, 2, 0, 3},        {2, 16, 1024 * 2, 2048}, {3, 24, 4096, 4097},
        {5, 12, 8192, 70000}, {10, 16, 8192, 999}, {10, 16, 0, 60000},      {4, 32, 16384, 80000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        msfl_bfv_params p = plan(cases[i].n, cases[i].bits, cases[i].values, cases[i].degree);
        uint32_t full = p.ring_degree * p.slots_per_coefficient;
        uint32_t n_values = cases[i].values < full ? cases[i].values : full;
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
                assert_int_equal(msfl_bfv_ct_addends(b.sum), k + 1);
                assert_int_equal(msfl_bfv_ct_values(b.sum), n_values);
                assert_int_equal(msfl_bfv_ct_chunk(b.sum), 5);
                through_bytes(&b, b.sum);
            }
            opens(&b);
            bench_clear(&b);
        }
    }
}

static void a_thousand_at_the_top(void **state) {
    (void)state;
    msfl_bfv_params p = plan(1000, 16, 4000, 0);
    bench b;
    bench_init(&b, &p, 4000);
    for (uint32_t j = 0; j < b.n_values; j++)
        b.values[j] = 0xffff;
    for (uint32_t k = 0; k < 1000; k++)
        add_one(&b, PUBLIC);
    opens(&b);
    encrypt(&b, PUBLIC, b.one);
    assert_int_equal(msfl_bfv_add(b.ctx, b.sum, b.one), MSFL_ERR_LIMIT);
    opens(&b);
    bench_clear(&b);
}

static void every_level_and_degree(void **state) {
    (void)state;
    for (uint32_t security = 128; security <= 256; security += 64) {
        for (uint32_t degree = 1024; degree <= 32768; degree *= 2) {
            msfl_bfv_params p;
            msfl_bfv_request r = {2, 8, 3000, security, degree};
            msfl_status status = msfl_bfv_plan(&r, &p);
            if (degree == 1024 && security > 128) { /* not in the table */
                assert_int_equal(status, MSFL_ERR_PARAMS);
                continue;
            }
            ok(status);
            assert_int_equal(p.security_bits, security);
            bench b;
            uint32_t full = p.ring_degree * p.slots_per_coefficient;
            bench_init(&b, &p, full < 3000 ? full : 3000);
            for (uint32_t j = 0; j < b.n_values; j++)
                b.values[j] = j & 0xff;
            add_one(&b, PUBLIC);
            add_one(&b, SEEDED);
            opens(&b);
            bench_clear(&b);
        }
    }
}

/* --- against slow arithmetic --- */

/** x y mod (p, x^n + 1), the way it is defined. */
static void schoolbook(const uint64_t *x, const int32_t *y, uint64_t p, size_t n, uint64_t *out) {
    memset(out, 0, n * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            uint64_t factor = y[j] < 0 ? p - (uint64_t)-y[j] : (uint64_t)y[j];
            uint64_t product = (uint64_t)((msfl_u128)x[i] * factor % p);
            size_t k = (i + j) % n;
            out[k] = i + j < n ? (out[k] + product) % p : (out[k] + p - product) % p;
        }
    }
}

/** Plane i of packed residues as numbers; values become coefficients by evaluating their definition backwards. */
static void read_plane(const msfl_bfv *ctx, uint32_t i, const uint8_t *planes, size_t n, bool values, uint64_t *out) {
    const msfl_rlwe *r = &ctx->ring;
    const uint8_t *at = planes + msfl_rlwe_planes_bytes(r, i, n);
    uint32_t bits = r->moduli[i].m.bits;
    uint64_t p = r->moduli[i].m.p;
    uint64_t *residues = calloc(n, sizeof *residues);
    for (size_t k = 0; k < n; k++) {
        for (uint32_t j = 0; j < bits; j++) {
            size_t bit = k * bits + j;
            residues[k] |= (uint64_t)(at[bit / 8] >> (bit % 8) & 1) << j;
        }
        assert_true(residues[k] < p);
    }
    if (!values) {
        memcpy(out, residues, n * sizeof *out);
    } else {
        /* coefficient c = 1/n sum_k value_k root_k^-c with root_k = psi^(2 brv(k) + 1) */
        const msfl_barrett *m = &r->moduli[i].m;
        uint64_t psi = msfl_mod_inverse_vartime(r->moduli[i].psi, m);
        uint64_t *power = calloc(2 * n, sizeof *power);
        power[0] = 1;
        for (size_t k = 1; k < 2 * n; k++)
            power[k] = (uint64_t)((msfl_u128)power[k - 1] * psi % p);
        uint64_t n_inverse = msfl_mod_inverse_vartime(n, m);
        for (size_t c = 0; c < n; c++) {
            msfl_u128 sum = 0;
            for (size_t k = 0; k < n; k++) {
                size_t reversed = 0;
                for (size_t bit = 1; bit < n; bit *= 2)
                    reversed = reversed << 1 | ((k & bit) != 0);
                sum += (msfl_u128)residues[k] * power[(2 * reversed + 1) * c % (2 * n)] % p;
            }
            out[c] = (uint64_t)((msfl_u128)(uint64_t)(sum % p) * n_inverse % p);
        }
        free(power);
    }
    free(residues);
}

/* One prime, so that no remainders have to be joined: c0 - c1 s = m + t e, with e within its bound, and the values in m
 * where bfv.md says they are. */
static void opens_by_hand(void **state) {
    (void)state;
    msfl_bfv_params p = plan(3, 6, 2000, 1024);
    assert_int_equal(p.n_primes, 1);
    bench b;
    bench_init(&b, &p, 1000);
    size_t n = p.ring_degree;
    uint64_t q = p.primes[0], t = (uint64_t)1 << p.log_t;
    uint64_t *c0 = calloc(n, 8), *c1 = calloc(n, 8), *product = calloc(n, 8);
    msfl_seeded g;
    msfl_seeded_init(&g, 3, "test", 0, 0, 0);
    for (int k = 0; k < 3; k++) {
        for (uint32_t j = 0; j < b.n_values; j++)
            b.values[j] = (uint32_t)msfl_seeded_below(&g, 64);
        add_one(&b, k == 1 ? SEEDED : PUBLIC);
        read_plane(b.ctx, 0, b.sum->c0, 1000, false, c0);
        read_plane(b.ctx, 0, b.sum->c1, n, true, c1);
        schoolbook(c1, b.secret->base.s, q, n, product);
        double squares = 0;
        for (uint32_t j = 0; j < b.n_values; j++) {
            int64_t phase = (int64_t)((c0[j] + q - product[j]) % q);
            if (phase > (int64_t)(q / 2)) phase -= (int64_t)q;
            int64_t message = phase & (int64_t)(t - 1), noise = (phase - message) / (int64_t)t;
            assert_int_equal(message, b.expected[j]);
            assert_true((uint64_t)llabs(noise) <= msfl_bfv_noise_bound(1024, (uint32_t)k + 1));
            squares += (double)(noise * noise);
        }
        /* And the noise is there: two public ciphertexts have a variance of 10.5 (2 * 10.5 * 1024 + 1) each. */
        double expected = 10.5 * (21.0 * 1024 + 1) * (k == 2 ? 2 : 1);
        assert_true(squares / 1000 > expected * 0.6 && squares / 1000 < expected * 1.6);
    }
    free(c0);
    free(c1);
    free(product);
    bench_clear(&b);
}

static void noise_bound_is_the_documented_one(void **state) {
    (void)state;
    for (uint32_t degree = 1024; degree <= 32768; degree *= 2) {
        for (uint32_t n = 1; n <= 10000; n = n * 3 + 1) {
            double likely = floor(16 * sqrt(10.5 * n * (24.0 * degree + 1))), certain = n * (882.0 * degree + 21);
            assert_true(fabs((double)msfl_bfv_noise_bound(degree, n) - fmin(likely, certain)) <= 1);
        }
    }
}

static void figures(void **state) {
    (void)state;
    msfl_bfv_params p = plan(10, 16, 100000, 8192);
    msfl_bfv_facts f;
    msfl_bfv_describe(&p, 100000, &f);
    assert_true(f.log2_failure < -128 && f.log2_q <= f.log2_q_max && f.noise_bits_max < 20);
    bench b;
    bench_init(&b, &p, p.ring_degree * p.slots_per_coefficient);
    uint64_t full = 0, seeded = 0;
    assert_int_equal(msfl_bfv_chunks(b.ctx, 100000), f.n_chunks);
    for (uint64_t j = 0; j < f.n_chunks; j++) {
        b.n_values = msfl_bfv_chunk_values(b.ctx, 100000, j);
        encrypt(&b, PUBLIC, b.one);
        full += msfl_bfv_ct_bytes(b.ctx, b.one);
        encrypt(&b, SEEDED, b.one);
        seeded += msfl_bfv_ct_bytes(b.ctx, b.one);
    }
    assert_int_equal(msfl_bfv_chunk_values(b.ctx, 100000, f.n_chunks), 0);
    assert_int_equal(full, f.full_bytes);
    assert_int_equal(seeded, f.seeded_bytes);
    assert_int_equal(msfl_bfv_public_bytes(b.ctx), f.public_key_bytes);
    assert_int_equal(msfl_bfv_secret_bytes(b.ctx), f.secret_key_bytes);
    bench_clear(&b);
}

/* --- refusals --- */

static void parameters_are_refused(void **state) {
    (void)state;
    msfl_bfv_params p = plan(10, 16, 100000, 8192), x;
#define REFUSED(change)                                                                                                \
    do {                                                                                                               \
        x = p;                                                                                                         \
        change;                                                                                                        \
        assert_int_equal(msfl_bfv_check(&x), MSFL_ERR_PARAMS);                                                         \
        msfl_bfv *ctx = (msfl_bfv *)&x;                                                                                \
        assert_int_equal(msfl_bfv_new(&x, &ctx), MSFL_ERR_PARAMS);                                                     \
        assert_null(ctx);                                                                                              \
    } while (0)
    REFUSED(x.ring_degree = 4096);
    REFUSED(x.ring_degree = 16384);
    REFUSED(x.ring_degree = 0);
    REFUSED(x.ring_degree = 8191);
    REFUSED(x.security_bits = 192);
    REFUSED(x.security_bits = 100);
    REFUSED(x.n_addends = 0);
    REFUSED(x.n_addends = 10001);
    REFUSED(x.n_addends = 17);
    REFUSED(x.value_bits = 33);
    REFUSED(x.value_bits = 1);
    REFUSED(x.slot_bits++);
    REFUSED(x.slots_per_coefficient = 0);
    REFUSED(x.slots_per_coefficient = UINT32_MAX);
    REFUSED(x.slots_per_coefficient++; x.log_t += x.slot_bits);
    REFUSED(x.log_t--);
    REFUSED(x.n_primes = 0);
    REFUSED(x.n_primes = 17);
    REFUSED(x.n_primes--);
    REFUSED(x.primes[0] = x.primes[1]);
    REFUSED(x.primes[0] += 2 * 8192);
    REFUSED(x.primes[0]++);
    REFUSED(x.primes[15] = 3);
    REFUSED(x.primes[0] |= (uint64_t)1 << 60);
#undef REFUSED
    static const msfl_bfv_request wrong[] = {
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
        assert_int_equal(msfl_bfv_plan(&wrong[i], &x), MSFL_ERR_USAGE);
    msfl_bfv_request big = {1000, 32, 10, 128, 1024};
    assert_int_equal(msfl_bfv_plan(&big, &x), MSFL_ERR_PARAMS);
}

static void mismatches_have_names(void **state) {
    (void)state;
    msfl_bfv_params p = plan(3, 16, 5000, 2048);
    bench b, other;
    bench_init(&b, &p, 100);
    bench_init(&other, &p, 100);
    add_one(&b, PUBLIC);
    add_one(&other, SEEDED);
    assert_memory_equal(msfl_bfv_secret_id(b.secret), msfl_bfv_public_id(b.public), 16);
    assert_memory_equal(msfl_bfv_ct_key_id(b.sum), msfl_bfv_public_id(b.public), 16);
    assert_memory_not_equal(msfl_bfv_secret_id(b.secret), msfl_bfv_secret_id(other.secret), 16);
    /* another key */
    assert_int_equal(msfl_bfv_add(b.ctx, b.sum, other.sum), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_bfv_decrypt(b.ctx, other.secret, b.sum, b.totals), MSFL_ERR_MISMATCH);
    assert_int_equal(b.totals[0], 0);
    /* another key under the same name: what a careless tool could make */
    memcpy(b.sum->key_id, other.secret->base.id, 16);
    assert_int_equal(msfl_bfv_decrypt(b.ctx, other.secret, b.sum, b.totals), MSFL_ERR_CRYPTO);
    memcpy(b.sum->key_id, b.secret->base.id, 16);
    /* another chunk, another length, nothing, itself */
    ok(msfl_bfv_encrypt(b.ctx, b.public, 6, b.values, 100, b.one));
    assert_int_equal(msfl_bfv_add(b.ctx, b.sum, b.one), MSFL_ERR_MISMATCH);
    ok(msfl_bfv_encrypt(b.ctx, b.public, 5, b.values, 99, b.one));
    assert_int_equal(msfl_bfv_add(b.ctx, b.sum, b.one), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_bfv_add(b.ctx, b.sum, b.sum), MSFL_ERR_USAGE);
    assert_int_equal(msfl_bfv_encrypt(b.ctx, b.public, 5, b.values, 0, b.one), MSFL_ERR_USAGE);
    assert_int_equal(msfl_bfv_add(b.ctx, b.sum, b.one), MSFL_ERR_USAGE);
    assert_int_equal(msfl_bfv_decrypt(b.ctx, b.secret, b.one, b.totals), MSFL_ERR_USAGE);
    assert_int_equal(msfl_bfv_ct_bytes(b.ctx, b.one), 0);
    assert_int_equal(msfl_bfv_encrypt_seeded(b.ctx, b.secret, 5, b.values, 1u << 30, b.one), MSFL_ERR_USAGE);
    /* a value too large */
    b.values[77] = 0x10000;
    assert_int_equal(msfl_bfv_encrypt(b.ctx, b.public, 5, b.values, 100, b.one), MSFL_ERR_NUMERIC);
    assert_int_equal(msfl_bfv_encrypt_seeded(b.ctx, b.secret, 5, b.values, 100, b.one), MSFL_ERR_NUMERIC);
    assert_int_equal(msfl_bfv_ct_values(b.one), 0);
    opens(&b);
    bench_clear(&b);
    bench_clear(&other);
}

static void bytes_of_keys(void **state) {
    (void)state;
    msfl_bfv_params p = plan(3, 16, 5000, 2048), found;
    bench b;
    bench_init(&b, &p, 100);
    for (uint32_t j = 0; j < 100; j++)
        b.values[j] = j;
    size_t secret_bytes = msfl_bfv_secret_bytes(b.ctx), public_bytes = msfl_bfv_public_bytes(b.ctx);
    uint8_t *secret = malloc(secret_bytes), *public = malloc(public_bytes), *bad = malloc(public_bytes);
    msfl_bfv_secret_write(b.ctx, b.secret, secret);
    msfl_bfv_public_write(b.ctx, b.public, public);
    ok(msfl_bfv_params_read(secret, secret_bytes, &found));
    assert_memory_equal(&found, &p, sizeof p);
    ok(msfl_bfv_params_read(public, public_bytes, &found));
    assert_memory_equal(&found, &p, sizeof p);
    /* Encrypted with the public key from its bytes, opened with the secret key from its. */
    msfl_bfv_public_free(b.public);
    ok(msfl_bfv_public_read(b.ctx, public, public_bytes, &b.public));
    add_one(&b, PUBLIC);
    msfl_bfv_secret_free(b.secret);
    ok(msfl_bfv_secret_read(b.ctx, secret, secret_bytes, &b.secret));
    opens(&b);
    /* Nothing of the secret key is in the public one. */
    for (size_t i = 0; i + 16 <= public_bytes; i++)
        assert_true(memcmp(public + i, b.secret->base.seed, 16) != 0 &&
                    memcmp(public + i, b.secret->base.seed + 16, 16));
    /* The wrong half, and every cut. */
    msfl_bfv_secret *s;
    msfl_bfv_public *q;
    assert_int_equal(msfl_bfv_secret_read(b.ctx, public, public_bytes, &s), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_bfv_public_read(b.ctx, secret, secret_bytes, &q), MSFL_ERR_MISMATCH);
    for (size_t length = 0; length < secret_bytes; length++) {
        uint8_t *cut = malloc(length + 1);
        memcpy(cut, secret, length);
        assert_int_equal(msfl_bfv_secret_read(b.ctx, cut, length, &s), MSFL_ERR_FORMAT);
        assert_int_equal(msfl_bfv_params_read(cut, length, &found), MSFL_ERR_FORMAT);
        free(cut);
    }
    /* Every bit of the secret key counts. */
    for (size_t bit = 0; bit < 8 * secret_bytes; bit++) {
        memcpy(bad, secret, secret_bytes);
        bad[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        msfl_status status = msfl_bfv_secret_read(b.ctx, bad, secret_bytes, &s);
        assert_true(status == MSFL_ERR_FORMAT || status == MSFL_ERR_UNSUPPORTED || status == MSFL_ERR_MISMATCH ||
                    status == MSFL_ERR_CRYPTO);
        assert_null(s);
    }
    for (size_t at = 0; at < public_bytes; at++) {
        memcpy(bad, public, public_bytes);
        memset(bad + at, 0xff, public_bytes - at < 64 ? public_bytes - at : 64);
        msfl_status status = msfl_bfv_public_read(b.ctx, bad, public_bytes, &q);
        /* The key id and the seed may be anything. */
        if (status == MSFL_OK) msfl_bfv_public_free(q);
        if (at < 24 || at > 64 + 152 + 32) assert_int_not_equal(status, MSFL_OK);
        if (at > 2000) at += 96;
    }
    /* Under other parameters. */
    msfl_bfv_params p2 = plan(4, 16, 5000, 2048);
    msfl_bfv *ctx2;
    ok(msfl_bfv_new(&p2, &ctx2));
    assert_int_equal(msfl_bfv_secret_read(ctx2, secret, secret_bytes, &s), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_bfv_public_read(ctx2, public, public_bytes, &q), MSFL_ERR_MISMATCH);
    msfl_bfv_free(ctx2);
    free(secret);
    free(public);
    free(bad);
    bench_clear(&b);
}

static void bytes_of_ciphertexts(void **state) {
    (void)state;
    msfl_bfv_params p = plan(3, 16, 5000, 2048);
    bench b;
    bench_init(&b, &p, 1500);
    for (form how = PUBLIC; how <= SEEDED; how++) {
        encrypt(&b, how, b.one);
        size_t length = msfl_bfv_ct_bytes(b.ctx, b.one);
        uint8_t *bytes = malloc(length), *bad = malloc(length + 1);
        msfl_bfv_ct_write(b.ctx, b.one, bytes);
        for (size_t cut = 0; cut < length; cut += cut < 200 ? 1 : 77) {
            uint8_t *exact = malloc(cut + 1);
            memcpy(exact, bytes, cut);
            assert_int_equal(msfl_bfv_ct_read(b.ctx, exact, cut, b.sum), MSFL_ERR_FORMAT);
            if (cut >= 24) { /* a header that says so itself */
                msfl_store64(exact + 16, cut);
                assert_int_equal(msfl_bfv_ct_read(b.ctx, exact, cut, b.sum), MSFL_ERR_FORMAT);
            }
            free(exact);
        }
        memcpy(bad, bytes, length);
        assert_int_equal(msfl_bfv_ct_read(b.ctx, bad, length + 1, b.sum), MSFL_ERR_FORMAT);
        /* Any change is refused, or opens as an error or as something else: never a crash, never a silent truth. */
        for (size_t at = 0; at < length; at += at < 90 ? 1 : 61) {
            memcpy(bad, bytes, length);
            bad[at] ^= 0x40;
            msfl_status status = msfl_bfv_ct_read(b.ctx, bad, length, b.sum);
            if (status == MSFL_OK) {
                status = msfl_bfv_decrypt(b.ctx, b.secret, b.sum, b.totals);
                if (status == MSFL_OK && (at < 56 || at >= 64)) {
                    /* Only c0 can change a value and stay within the noise. */
                    assert_true(at >= 80);
                    assert_memory_not_equal(b.totals, b.expected, 1500 * sizeof *b.totals);
                }
            } else {
                assert_int_equal(msfl_bfv_ct_values(b.sum), 0);
            }
        }
        memcpy(bad, bytes, length);
        memset(bad + 80, 0xff, 64);
        assert_int_equal(msfl_bfv_ct_read(b.ctx, bad, length, b.sum), MSFL_ERR_FORMAT);
        memcpy(bad, bytes, length);
        msfl_store32(bad + 8, 2);
        assert_int_equal(msfl_bfv_ct_read(b.ctx, bad, length, b.sum), MSFL_ERR_UNSUPPORTED);
        msfl_store32(bad + 8, 1);
        msfl_store32(bad + 68, 4);
        assert_int_equal(msfl_bfv_ct_read(b.ctx, bad, length, b.sum), MSFL_ERR_FORMAT);
        free(bytes);
        free(bad);
    }
    bench_clear(&b);
}

/** Two encryptions of the same values have nothing in common that would show it. */
static void encryption_is_random(void **state) {
    (void)state;
    msfl_bfv_params p = plan(3, 16, 5000, 2048);
    bench b;
    bench_init(&b, &p, 1500);
    for (form how = PUBLIC; how <= SEEDED; how++) {
        encrypt(&b, how, b.sum);
        encrypt(&b, how, b.one);
        size_t length = msfl_bfv_ct_bytes(b.ctx, b.one), same = 0;
        uint8_t *x = malloc(length), *y = malloc(length);
        msfl_bfv_ct_write(b.ctx, b.sum, x);
        msfl_bfv_ct_write(b.ctx, b.one, y);
        for (size_t i = 80; i < length; i++)
            same += x[i] == y[i];
        assert_true(same < (length - 80) / 256 * 2); /* expected: one in 256 */
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
        cmocka_unit_test(opens_by_hand),
        cmocka_unit_test(noise_bound_is_the_documented_one),
        cmocka_unit_test(figures),
        cmocka_unit_test(parameters_are_refused),
        cmocka_unit_test(mismatches_have_names),
        cmocka_unit_test(bytes_of_keys),
        cmocka_unit_test(bytes_of_ciphertexts),
        cmocka_unit_test(encryption_is_random),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(threads_share_keys),
        cmocka_unit_test(kernels_agree),
    };
    return cmocka_run_group_tests_name("bfv", tests, NULL, NULL);
}
