/* Encryption, folding and opening as a user sees them. */
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "base/threads.h"
#include "he/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t round_seed[MSFL_HASH_BYTES] = {1, 2, 3};

static void ok(msfl_status status) {
    if (status != MSFL_OK) fail_msg("%s: %s", msfl_status_name(status), msfl_error_message());
}

static msfl_params plan(uint32_t n, uint32_t bits, uint64_t values, uint32_t degree) {
    msfl_params p;
    msfl_params_request r = {.n_clients = n, .value_bits = bits, .n_values = values, .ring_degree = degree};
    ok(msfl_params_plan(&r, &p));
    ok(msfl_params_check(&p));
    return p;
}

/** A context, a sum and the plain sum beside it. */
typedef struct bench {
    msfl_packed *ctx;
    msfl_packed_sum *sum;
    uint64_t n_values, chunks;
    uint32_t *slots;
    uint64_t *expected, *totals;
    int32_t *key_sum;
    uint8_t *bytes; /* one whole update */
    size_t length;
} bench;

static void bench_init(bench *b, const msfl_params *p, uint64_t n_values) {
    memset(b, 0, sizeof *b);
    ok(msfl_packed_new(p, &b->ctx));
    ok(msfl_packed_sum_new(b->ctx, round_seed, n_values, &b->sum));
    b->n_values = n_values;
    b->chunks = msfl_packed_chunks(b->ctx, n_values);
    b->slots = msfl_alloc(n_values, sizeof *b->slots);
    b->expected = msfl_alloc(n_values, sizeof *b->expected);
    b->totals = msfl_alloc(n_values, sizeof *b->totals);
    b->key_sum = msfl_alloc(p->ring_degree, sizeof *b->key_sum);
    for (uint64_t j = 0; j < b->chunks; j++)
        b->length += msfl_packed_chunk_bytes(b->ctx, n_values, j);
    b->bytes = msfl_alloc(b->length, 1);
}

static void bench_clear(bench *b) {
    msfl_free(b->slots);
    msfl_free(b->expected);
    msfl_free(b->totals);
    msfl_free(b->key_sum);
    msfl_free(b->bytes);
    msfl_packed_sum_free(b->sum);
    msfl_packed_free(b->ctx);
}

static void encrypt_all(bench *b, msfl_packed_key *key) {
    uint64_t slot = 0;
    uint8_t *at = b->bytes;
    for (uint64_t j = 0; j < b->chunks; j++) {
        ok(msfl_packed_encrypt(b->ctx, key, j, b->slots + slot, at));
        slot += msfl_packed_chunk_slots(b->ctx, b->n_values, j);
        at += msfl_packed_chunk_bytes(b->ctx, b->n_values, j);
    }
    assert_int_equal(slot, b->n_values);
    assert_int_equal(at - b->bytes, b->length);
}

static msfl_status fold_all(bench *b, msfl_packed_sum *sum) {
    uint8_t *at = b->bytes;
    for (uint64_t j = 0; j < b->chunks; j++) {
        size_t length = msfl_packed_chunk_bytes(b->ctx, b->n_values, j);
        ok(msfl_packed_check(b->ctx, b->n_values, j, at, length));
        msfl_status status = msfl_packed_fold(b->ctx, sum, j, at, length);
        if (status != MSFL_OK) return status;
        at += length;
    }
    return MSFL_OK;
}

/** One more client with the values in b->slots. */
static void add_client(bench *b) {
    msfl_packed_key *key;
    ok(msfl_packed_key_new(b->ctx, round_seed, b->n_values, &key));
    const int32_t *s = msfl_packed_key_borrow(key);
    for (uint32_t k = 0; k < msfl_packed_params(b->ctx)->ring_degree; k++)
        b->key_sum[k] += s[k];
    for (uint64_t k = 0; k < b->n_values; k++)
        b->expected[k] += b->slots[k];
    encrypt_all(b, key);
    ok(fold_all(b, b->sum));
    msfl_packed_key_free(key);
}

static msfl_status open_all(bench *b, uint32_t n) {
    uint64_t slot = 0;
    for (uint64_t j = 0; j < b->chunks; j++) {
        msfl_status status = msfl_packed_open(b->ctx, b->sum, j, n, b->key_sum, b->totals + slot);
        if (status != MSFL_OK) return status;
        slot += msfl_packed_chunk_slots(b->ctx, b->n_values, j);
    }
    return MSFL_OK;
}

typedef enum fill { FILL_MAX, FILL_ZERO, FILL_RANDOM } fill;

static void sums_are_exact(const msfl_params *p, uint32_t n, uint64_t n_values, fill how) {
    bench b;
    bench_init(&b, p, n_values);
    uint32_t mask = (uint32_t)(((uint64_t)1 << p->value_bits) - 1);
    msfl_seeded g;
    msfl_seeded_init(&g, 7, "test", n, n_values, p->value_bits);
    for (uint32_t i = 0; i < n; i++) {
        for (uint64_t k = 0; k < n_values; k++)
            b.slots[k] = how == FILL_MAX ? mask : how == FILL_ZERO ? 0 : (uint32_t)msfl_seeded_u64(&g) & mask;
        add_client(&b);
        assert_int_equal(msfl_packed_sum_addends(b.sum), i + 1);
    }
    ok(open_all(&b, n));
    assert_memory_equal(b.totals, b.expected, n_values * sizeof *b.totals);
    bench_clear(&b);
}

static void exact_sums(void **state) {
    (void)state;
    static const struct {
        uint32_t n, bits, degree;
        uint64_t values;
    } cases[] = {
        {1, 32, 0, 3000},       {2, 16, 0, 5000},        {2, 24, 1024 * 8, 1}, {3, 24, 0, 5000},
        {4, 32, 16384, 300001}, {5, 12, 2048, 4097},     {7, 2, 0, 1 << 17},   {10, 8, 0, 70000},
        {10, 16, 8192, 100003}, {10, 20, 32768, 700000}, {20, 24, 4096, 9999}, {10, 16, 0, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        msfl_params p = plan(cases[i].n, cases[i].bits, cases[i].values, cases[i].degree);
        for (fill how = FILL_MAX; how <= FILL_RANDOM; how++)
            sums_are_exact(&p, cases[i].n, cases[i].values, how);
    }
}

static void a_thousand_clients_at_the_top(void **state) {
    (void)state;
    static const uint32_t bits[] = {8, 16, 32};
    for (size_t i = 0; i < (getenv("MSFL_SANITIZED") != NULL ? 1 : 3); i++) {
        msfl_params p = plan(1000, bits[i], 2500, 0);
        sums_are_exact(&p, 1000, 2500, FILL_MAX);
    }
}

static void every_security_level(void **state) {
    (void)state;
    for (uint32_t security = 128; security <= 256; security += 64) {
        for (uint32_t degree = 0; degree <= 32768; degree = degree == 0 ? 2048 : degree * 2) {
            msfl_params p;
            msfl_params_request r = {3, 12, 6000, security, degree};
            msfl_status status = msfl_params_plan(&r, &p);
            if (degree == 2048 && security > 128) continue; /* 38 and 30 bits may not do */
            ok(status);
            assert_int_equal(p.security_bits, security);
            sums_are_exact(&p, 3, 6000, FILL_RANDOM);
        }
    }
}

static void a_wrong_key_opens_nothing(void **state) {
    (void)state;
    msfl_params p = plan(3, 16, 5000, 0);
    bench b;
    bench_init(&b, &p, 5000);
    for (uint64_t k = 0; k < b.n_values; k++)
        b.slots[k] = (uint32_t)k;
    add_client(&b);
    int32_t *first = msfl_alloc(p.ring_degree, sizeof *first);
    memcpy(first, b.key_sum, p.ring_degree * sizeof *first);
    add_client(&b);
    ok(open_all(&b, 2));
    static const struct {
        uint32_t at;
        int32_t by;
    } changes[] = {{0, 1}, {1, -1}, {4095, 1}, {100, 83}, {7, 1 << 30}, {9, INT32_MIN}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        int32_t kept = b.key_sum[changes[i].at];
        b.key_sum[changes[i].at] = changes[i].by == INT32_MIN ? INT32_MIN : kept + changes[i].by;
        memset(b.totals, 0xff, b.n_values * sizeof *b.totals);
        assert_int_equal(msfl_packed_open(b.ctx, b.sum, 0, 2, b.key_sum, b.totals), MSFL_ERR_CRYPTO);
        for (uint32_t k = 0; k < msfl_packed_chunk_slots(b.ctx, b.n_values, 0); k++)
            assert_int_equal(b.totals[k], 0);
        b.key_sum[changes[i].at] = kept;
    }
    /* One client's key alone; the right key, but for another number of addends; the right key, in another round. */
    assert_int_equal(msfl_packed_open(b.ctx, b.sum, 0, 2, first, b.totals), MSFL_ERR_CRYPTO);
    assert_int_equal(msfl_packed_open(b.ctx, b.sum, 0, 1, b.key_sum, b.totals), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_packed_open(b.ctx, b.sum, 0, 3, b.key_sum, b.totals), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_packed_open(b.ctx, b.sum, b.chunks, 2, b.key_sum, b.totals), MSFL_ERR_USAGE);
    msfl_packed_sum *elsewhere;
    uint8_t other_seed[MSFL_HASH_BYTES] = {9};
    ok(msfl_packed_sum_new(b.ctx, other_seed, b.n_values, &elsewhere));
    ok(fold_all(&b, elsewhere));
    assert_int_equal(msfl_packed_open(b.ctx, elsewhere, 0, 1, b.key_sum, b.totals), MSFL_ERR_CRYPTO);
    msfl_packed_sum_free(elsewhere);
    ok(open_all(&b, 2));
    assert_memory_equal(b.totals, b.expected, b.n_values * sizeof *b.totals);
    msfl_free(first);
    bench_clear(&b);
}

static void a_chunk_is_encrypted_once(void **state) {
    (void)state;
    msfl_params p = plan(3, 16, 60000, 4096);
    bench b;
    bench_init(&b, &p, 60000);
    assert_true(b.chunks >= 3);
    msfl_packed_key *key;
    ok(msfl_packed_key_new(b.ctx, round_seed, b.n_values, &key));
    /* A refused value leaves nothing behind and may be put right. */
    b.slots[17] = 1 << 16;
    memset(b.bytes, 0x55, b.length);
    assert_int_equal(msfl_packed_encrypt(b.ctx, key, 0, b.slots, b.bytes), MSFL_ERR_NUMERIC);
    assert_true(b.bytes[0] == 0x55 && b.bytes[b.length - 1] == 0x55);
    b.slots[17] = 0;
    encrypt_all(&b, key);
    for (uint64_t j = 0; j < b.chunks; j++) {
        memset(b.bytes, 0x55, 100);
        assert_int_equal(msfl_packed_encrypt(b.ctx, key, j, b.slots, b.bytes), MSFL_ERR_POLICY);
        assert_int_equal(b.bytes[0], 0x55);
    }
    assert_int_equal(msfl_packed_encrypt(b.ctx, key, b.chunks, b.slots, b.bytes), MSFL_ERR_USAGE);
    msfl_packed_key_free(key);
    bench_clear(&b);
}

static void damaged_chunks_leave_no_trace(void **state) {
    (void)state;
    msfl_params p = plan(5, 24, 5000, 0);
    bench b;
    bench_init(&b, &p, 5000);
    for (uint64_t k = 0; k < b.n_values; k++)
        b.slots[k] = (uint32_t)(k * 3001) & 0xffffff;
    add_client(&b);
    size_t length = msfl_packed_chunk_bytes(b.ctx, b.n_values, 0);
    uint8_t *bytes = malloc(length + 1);
    memcpy(bytes, b.bytes, length);
    assert_int_equal(msfl_packed_fold(b.ctx, b.sum, 0, bytes, length - 1), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_packed_fold(b.ctx, b.sum, 0, bytes, length + 1), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_packed_fold(b.ctx, b.sum, 0, bytes, 0), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_packed_check(b.ctx, b.n_values, 0, bytes, length - 1), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_packed_fold(b.ctx, b.sum, b.chunks, bytes, length), MSFL_ERR_USAGE);
    assert_int_equal(msfl_packed_check(b.ctx, b.n_values, UINT64_MAX, bytes, length), MSFL_ERR_USAGE);
    /* All ones at any place is above every prime; eight residues of any width are 50 bytes at most. */
    for (size_t at = 0; at + 100 <= length; at += 97) {
        memcpy(bytes, b.bytes, length);
        memset(bytes + at, 0xff, 100);
        assert_int_equal(msfl_packed_check(b.ctx, b.n_values, 0, bytes, length), MSFL_ERR_FORMAT);
        assert_int_equal(msfl_packed_fold(b.ctx, b.sum, 0, bytes, length), MSFL_ERR_FORMAT);
    }
    memset(bytes, 0xff, length);
    assert_int_equal(msfl_packed_fold(b.ctx, b.sum, 0, bytes, length), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_packed_sum_addends(b.sum), 1);
    ok(open_all(&b, 1));
    assert_memory_equal(b.totals, b.expected, b.n_values * sizeof *b.totals);
    for (int i = 0; i < 4; i++)
        add_client(&b);
    assert_int_equal(fold_all(&b, b.sum), MSFL_ERR_LIMIT);
    ok(open_all(&b, 5));
    assert_memory_equal(b.totals, b.expected, b.n_values * sizeof *b.totals);
    free(bytes);
    bench_clear(&b);
}

static void chunks_must_agree(void **state) {
    (void)state;
    msfl_params p = plan(3, 16, 60000, 4096);
    bench b;
    bench_init(&b, &p, 60000);
    assert_int_equal(msfl_packed_sum_addends(b.sum), 0);
    assert_int_equal(msfl_packed_open(b.ctx, b.sum, 0, 0, b.key_sum, b.totals), MSFL_ERR_MISMATCH);
    add_client(&b);
    ok(msfl_packed_fold(b.ctx, b.sum, 0, b.bytes, msfl_packed_chunk_bytes(b.ctx, b.n_values, 0)));
    assert_int_equal(msfl_packed_sum_addends(b.sum), 0);
    assert_int_equal(msfl_packed_open(b.ctx, b.sum, 0, 2, b.key_sum, b.totals), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_packed_open(b.ctx, b.sum, 1, 1, b.key_sum, b.totals), MSFL_ERR_MISMATCH);
    bench_clear(&b);
}

/** A sum that was folded elsewhere opens like the one it is a copy of; damaged, oversized or mixed, it is not taken. */
static void a_sum_travels_chunk_by_chunk(void **state) {
    (void)state;
    msfl_params p = plan(3, 16, 60000, 4096);
    bench b;
    bench_init(&b, &p, 60000);
    for (uint64_t k = 0; k < b.n_values; k++)
        b.slots[k] = (uint32_t)(k % 65536);
    add_client(&b);
    add_client(&b);
    msfl_packed_sum *copy;
    ok(msfl_packed_sum_new(b.ctx, round_seed, b.n_values, &copy));
    uint8_t *chunk = msfl_alloc(msfl_packed_chunk_bytes(b.ctx, b.n_values, 0), 1);
    for (int again = 0; again < 2; again++) { /* a second time changes nothing */
        for (uint64_t j = b.chunks; j-- > 0;) {
            const size_t length = msfl_packed_chunk_bytes(b.ctx, b.n_values, j);
            ok(msfl_packed_sum_get(b.ctx, b.sum, j, chunk));
            ok(msfl_packed_check(b.ctx, b.n_values, j, chunk, length));
            assert_int_equal(msfl_packed_sum_set(b.ctx, copy, j, 2, chunk, length - 1), MSFL_ERR_FORMAT);
            assert_int_equal(msfl_packed_sum_set(b.ctx, copy, j, 4, chunk, length), MSFL_ERR_LIMIT);
            assert_int_equal(msfl_packed_sum_set(b.ctx, copy, j, 0, chunk, length), MSFL_ERR_LIMIT);
            assert_int_equal(msfl_packed_sum_addends(copy), again == 0 ? 0 : 2);
            ok(msfl_packed_sum_set(b.ctx, copy, j, 2, chunk, length));
            assert_int_equal(msfl_packed_sum_set(b.ctx, copy, j, 1, chunk, length), MSFL_ERR_MISMATCH);
            memset(chunk, 0xff, length);
            assert_int_equal(msfl_packed_sum_set(b.ctx, copy, j, 2, chunk, length), MSFL_ERR_FORMAT);
        }
    }
    assert_int_equal(msfl_packed_sum_get(b.ctx, b.sum, b.chunks, chunk), MSFL_ERR_USAGE);
    assert_int_equal(msfl_packed_sum_set(b.ctx, copy, b.chunks, 2, chunk, 1), MSFL_ERR_USAGE);
    assert_int_equal(msfl_packed_sum_addends(copy), 2);
    uint64_t slot = 0;
    for (uint64_t j = 0; j < b.chunks; j++) {
        ok(msfl_packed_open(b.ctx, copy, j, 2, b.key_sum, b.totals + slot));
        slot += msfl_packed_chunk_slots(b.ctx, b.n_values, j);
    }
    assert_memory_equal(b.totals, b.expected, b.n_values * sizeof *b.totals);
    msfl_free(chunk);
    msfl_packed_sum_free(copy);
    bench_clear(&b);
}

/* Different j from several threads at once, in encryption, folding and opening; one j from all at once goes through for
 * one of them. */
typedef struct crowd {
    bench *b;
    msfl_packed_key *key;
    atomic_uint encrypted;
} crowd;

static msfl_status crowd_encrypt(void *ctx, size_t i) {
    crowd *c = ctx;
    uint64_t j = i % c->b->chunks;
    size_t full = msfl_packed_chunk_bytes(c->b->ctx, c->b->n_values, 0);
    uint8_t *out = malloc(full);
    uint32_t slots = msfl_packed_chunk_slots(c->b->ctx, c->b->n_values, 0);
    msfl_status status = msfl_packed_encrypt(c->b->ctx, c->key, j, c->b->slots + j * slots, out);
    if (status == MSFL_OK) {
        memcpy(c->b->bytes + j * full, out, msfl_packed_chunk_bytes(c->b->ctx, c->b->n_values, j));
        atomic_fetch_add(&c->encrypted, 1);
    }
    free(out);
    return status == MSFL_ERR_POLICY ? MSFL_OK : status;
}

static msfl_status crowd_fold(void *ctx, size_t j) {
    bench *b = ((crowd *)ctx)->b;
    size_t full = msfl_packed_chunk_bytes(b->ctx, b->n_values, 0);
    return msfl_packed_fold(b->ctx, b->sum, j, b->bytes + j * full, msfl_packed_chunk_bytes(b->ctx, b->n_values, j));
}

static msfl_status crowd_open(void *ctx, size_t j) {
    bench *b = ((crowd *)ctx)->b;
    uint32_t slots = msfl_packed_chunk_slots(b->ctx, b->n_values, 0);
    return msfl_packed_open(b->ctx, b->sum, j, 1, b->key_sum, b->totals + j * slots);
}

static void threads_share_a_key_and_a_sum(void **state) {
    (void)state;
    msfl_params p = plan(3, 16, 100000, 2048);
    bench b;
    bench_init(&b, &p, 100000);
    for (uint64_t k = 0; k < b.n_values; k++)
        b.slots[k] = (uint32_t)k & 0xffff;
    msfl_pool *pool;
    ok(msfl_pool_new(4, &pool));
    crowd c = {.b = &b};
    ok(msfl_packed_key_new(b.ctx, round_seed, b.n_values, &c.key));
    memcpy(b.key_sum, msfl_packed_key_borrow(c.key), p.ring_degree * sizeof *b.key_sum);
    ok(msfl_pool_run(pool, b.chunks * 4, crowd_encrypt, &c));
    assert_int_equal(atomic_load(&c.encrypted), b.chunks);
    ok(msfl_pool_run(pool, b.chunks, crowd_fold, &c));
    ok(msfl_pool_run(pool, b.chunks, crowd_open, &c));
    for (uint64_t k = 0; k < b.n_values; k++)
        assert_int_equal(b.totals[k], b.slots[k]);
    msfl_packed_key_free(c.key);
    msfl_pool_free(pool);
    bench_clear(&b);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    msfl_params p = plan(3, 16, 5000, 0);
    bool finished = false;
    for (long k = 1; !finished; k++) {
        assert_true(k < 200);
        msfl_packed *ctx = NULL;
        msfl_packed_key *key = NULL;
        msfl_packed_sum *sum = NULL;
        uint32_t *slots = calloc(5000, sizeof *slots);
        uint64_t *totals = calloc(5000, sizeof *totals);
        uint8_t *bytes = NULL;
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_packed_new(&p, &ctx);
        if (status == MSFL_OK) status = msfl_packed_key_new(ctx, round_seed, 5000, &key);
        if (status == MSFL_OK) status = msfl_packed_sum_new(ctx, round_seed, 5000, &sum);
        for (uint64_t j = 0; status == MSFL_OK && j < msfl_packed_chunks(ctx, 5000); j++) {
            size_t length = msfl_packed_chunk_bytes(ctx, 5000, j);
            free(bytes);
            bytes = malloc(length);
            status = msfl_packed_encrypt(ctx, key, j, slots, bytes);
            if (status == MSFL_OK) status = msfl_packed_fold(ctx, sum, j, bytes, length);
        }
        if (status == MSFL_OK) status = msfl_packed_open(ctx, sum, 0, 1, msfl_packed_key_borrow(key), totals);
        msfl_alloc_fail_at(0);
        finished = status == MSFL_OK;
        if (!finished) {
            assert_int_equal(status, MSFL_ERR_MEMORY);
            if (ctx == NULL) assert_true(key == NULL && sum == NULL);
        }
        msfl_packed_key_free(key);
        msfl_packed_sum_free(sum);
        msfl_packed_free(ctx);
        free(slots);
        free(totals);
        free(bytes);
    }
}

static void the_kernel_can_be_forced(void **state) {
    (void)state;
    msfl_params p = plan(3, 16, 5000, 0);
    const char *kept = getenv("MSFL_KERNEL");
    char *copy = kept == NULL ? NULL : strdup(kept);
    msfl_packed *ctx;
    assert_int_equal(setenv("MSFL_KERNEL", "generic", 1), 0);
    ok(msfl_packed_new(&p, &ctx));
    assert_string_equal(msfl_packed_kernel(ctx), "generic");
    msfl_packed_free(ctx);
    assert_int_equal(setenv("MSFL_KERNEL", "abacus", 1), 0);
    assert_int_equal(msfl_packed_new(&p, &ctx), MSFL_ERR_USAGE);
    assert_null(ctx);
    if (copy == NULL) {
        unsetenv("MSFL_KERNEL");
    } else {
        setenv("MSFL_KERNEL", copy, 1);
    }
    free(copy);
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_sums),
        cmocka_unit_test(a_thousand_clients_at_the_top),
        cmocka_unit_test(every_security_level),
        cmocka_unit_test(a_wrong_key_opens_nothing),
        cmocka_unit_test(a_chunk_is_encrypted_once),
        cmocka_unit_test(damaged_chunks_leave_no_trace),
        cmocka_unit_test(chunks_must_agree),
        cmocka_unit_test(a_sum_travels_chunk_by_chunk),
        cmocka_unit_test(threads_share_a_key_and_a_sum),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(the_kernel_can_be_forced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
