/* Paillier as a user sees it: exact sums, keys that are refused, ciphertexts that are refused. */
#include "base/bytes.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "he/paillier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t label[MSFL_HASH_BYTES] = {7, 7, 7};
static msfl_paillier_secret *key_of[2]; /* 2048, 3072 */
static msfl_paillier_encryptor *fast_of[2];

static void ok(msfl_status status) {
    if (status != MSFL_OK) fail_msg("%s: %s", msfl_status_name(status), msfl_error_message());
}

static const msfl_paillier_public *public_of(int k) {
    return msfl_paillier_public_borrow(key_of[k]);
}

static msfl_paillier_shape plan(int k, uint32_t clients, uint32_t bits, uint64_t n_values, uint32_t slots) {
    msfl_paillier_shape shape;
    ok(msfl_paillier_plan(k == 0 ? 2048 : 3072, clients, bits, n_values, slots, &shape));
    return shape;
}

/** Chunk j of `values` in memory of exactly its size. */
static uint8_t *encrypted(const msfl_paillier_encryptor *e, const msfl_paillier_shape *shape, uint64_t j,
                          const uint32_t *values) {
    uint8_t *out = malloc(msfl_paillier_chunk_bytes(shape, j));
    ok(msfl_paillier_encrypt(e, shape, label, j, values, out));
    return out;
}

typedef enum fill { FILL_MAX, FILL_ZERO, FILL_RANDOM } fill;

static void sums_are_exact(int k, const msfl_paillier_encryptor *e, const msfl_paillier_shape *shape, fill how) {
    uint32_t mask = (uint32_t)(((uint64_t)1 << shape->value_bits) - 1);
    msfl_seeded g;
    msfl_seeded_init(&g, 5, "paillier", shape->n_clients, shape->value_bits, how);
    uint32_t *values = msfl_alloc(shape->n_values, sizeof *values);
    uint64_t *expected = msfl_alloc(shape->n_values, sizeof *expected);
    uint64_t *totals = msfl_alloc(shape->n_values, sizeof *totals);
    uint64_t n_chunks = msfl_paillier_chunks(shape), n_seen = 0;
    uint8_t **acc = msfl_alloc(n_chunks, sizeof *acc);
    for (uint32_t i = 0; i < shape->n_clients; i++) {
        uint32_t *at = values;
        for (uint64_t v = 0; v < shape->n_values; v++) {
            values[v] = how == FILL_MAX ? mask : how == FILL_ZERO ? 0 : (uint32_t)msfl_seeded_u64(&g) & mask;
            expected[v] += values[v];
        }
        for (uint64_t j = 0; j < n_chunks; j++, at += msfl_paillier_chunk_values(shape, j - 1)) {
            uint8_t *chunk = encrypted(e, shape, j, at);
            if (i == 0) {
                acc[j] = chunk;
                continue;
            }
            ok(msfl_paillier_add(public_of(k), shape, label, j, acc[j], chunk, msfl_paillier_chunk_bytes(shape, j)));
            free(chunk);
        }
    }
    for (uint64_t j = 0; j < n_chunks; j++) {
        uint32_t n_addends = 0;
        ok(msfl_paillier_decrypt(key_of[k], shape, label, j, acc[j], msfl_paillier_chunk_bytes(shape, j), &n_addends,
                                 totals + n_seen));
        assert_int_equal(n_addends, shape->n_clients);
        n_seen += msfl_paillier_chunk_values(shape, j);
        free(acc[j]);
    }
    assert_int_equal(n_seen, shape->n_values);
    assert_memory_equal(totals, expected, n_seen * sizeof *totals);
    msfl_free(values);
    msfl_free(expected);
    msfl_free(totals);
    msfl_free(acc);
}

static void exact_sums(void **state) {
    (void)state;
    static const struct {
        int key;
        uint32_t clients, bits, slots;
        uint64_t values;
    } cases[] = {{0, 2, 16, 0, 250}, {0, 5, 32, 0, 100}, {0, 10, 2, 0, 700}, {0, 10, 16, 1, 33},
                 {0, 2, 24, 3, 100}, {0, 1, 32, 0, 64},  {0, 1, 2, 0, 2000}, {1, 10, 16, 0, 154},
                 {1, 2, 32, 1, 2},   {1, 5, 24, 0, 300}, {0, 3, 31, 0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        msfl_paillier_shape shape =
            plan(cases[i].key, cases[i].clients, cases[i].bits, cases[i].values, cases[i].slots);
        for (fill how = FILL_MAX; how <= FILL_RANDOM; how++)
            sums_are_exact(cases[i].key, fast_of[cases[i].key], &shape, how);
    }
}

static void exact_sums_with_a_random_base(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        msfl_paillier_encryptor *e;
        ok(msfl_paillier_encryptor_new(public_of(k), MSFL_PAILLIER_RANDOM_BASE, &e));
        msfl_paillier_shape shape = plan(k, 2, 16, 200, 0);
        sums_are_exact(k, e, &shape, FILL_RANDOM);
        msfl_paillier_encryptor_free(e);
    }
}

/* All slots at their sum's maximum, for the largest number of clients: by doubling, not by 10^4 encryptions. */
static void ten_thousand_addends(void **state) {
    (void)state;
    msfl_paillier_shape shape = plan(0, 10000, 16, 130, 0);
    uint32_t values[130];
    uint64_t totals[130];
    for (size_t i = 0; i < 130; i++)
        values[i] = 0xffff;
    size_t length = msfl_paillier_chunk_bytes(&shape, 0);
    uint8_t *power = encrypted(fast_of[0], &shape, 0, values), *acc = NULL;
    for (uint32_t n = 10000; n > 0; n >>= 1) {
        if (n & 1) {
            if (acc == NULL) {
                acc = malloc(length);
                memcpy(acc, power, length);
            } else {
                ok(msfl_paillier_add(public_of(0), &shape, label, 0, acc, power, length));
            }
        }
        if (n > 1) ok(msfl_paillier_add(public_of(0), &shape, label, 0, power, power, length));
    }
    uint32_t n_addends;
    ok(msfl_paillier_decrypt(key_of[0], &shape, label, 0, acc, length, &n_addends, totals));
    assert_int_equal(n_addends, 10000);
    for (size_t i = 0; i < 130; i++)
        assert_int_equal(totals[i], 655350000);
    assert_int_equal(msfl_paillier_add(public_of(0), &shape, label, 0, acc, power, length), MSFL_ERR_LIMIT);
    free(acc);
    free(power);
}

static void plans(void **state) {
    (void)state;
    msfl_paillier_shape s;
    ok(msfl_paillier_plan(2048, 10, 16, 1000000, 0, &s));
    assert_int_equal(s.slot_bits, 20);
    assert_int_equal(s.slots_per_ciphertext, 102);
    assert_int_equal(msfl_paillier_chunks(&s), 307); /* ceil(10^6 / 3264) */
    assert_int_equal(msfl_paillier_chunk_values(&s, 305), 3264);
    assert_int_equal(msfl_paillier_chunk_values(&s, 306), 1000000 - 306 * 3264);
    assert_int_equal(msfl_paillier_chunk_values(&s, 307), 0);
    assert_int_equal(msfl_paillier_chunk_bytes(&s, 0), 112 + 32 * 512);
    assert_int_equal(msfl_paillier_chunk_bytes(&s, 307), 0);
    msfl_paillier_shape none = {0};
    assert_int_equal(msfl_paillier_chunks(&none), 0);
    assert_int_equal(msfl_paillier_chunk_bytes(&none, 0), 0);
    assert_int_equal(msfl_paillier_plan(2048, 10, 16, 10, 103, &s), MSFL_ERR_PARAMS);
    assert_int_equal(msfl_paillier_plan(1024, 10, 16, 10, 0, &s), MSFL_ERR_USAGE);
    assert_int_equal(msfl_paillier_plan(2048, 0, 16, 10, 0, &s), MSFL_ERR_USAGE);
    assert_int_equal(msfl_paillier_plan(2048, 10001, 16, 10, 0, &s), MSFL_ERR_USAGE);
    assert_int_equal(msfl_paillier_plan(2048, 10, 1, 10, 0, &s), MSFL_ERR_USAGE);
    assert_int_equal(msfl_paillier_plan(2048, 10, 33, 10, 0, &s), MSFL_ERR_USAGE);
    assert_int_equal(msfl_paillier_plan(2048, 10, 16, 0, 0, &s), MSFL_ERR_USAGE);
    assert_int_equal(msfl_paillier_plan(2048, 10, 16, (uint64_t)1 << 35, 0, &s), MSFL_ERR_USAGE);
}

static void two_ciphertexts_of_one_message_differ(void **state) {
    (void)state;
    msfl_paillier_shape shape = plan(0, 2, 16, 10, 0);
    static const uint32_t values[10] = {1};
    uint8_t *a = encrypted(fast_of[0], &shape, 0, values), *b = encrypted(fast_of[0], &shape, 0, values);
    size_t length = msfl_paillier_chunk_bytes(&shape, 0), equal = 0;
    for (size_t i = MSFL_PAILLIER_HEADER_BYTES; i < length; i++)
        equal += a[i] == b[i];
    assert_true(equal < 20); /* 2 of 512 are expected */
    free(a);
    free(b);
}

static void keys_survive_writing(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        size_t length = msfl_paillier_secret_bytes(key_of[k]), public_length = msfl_paillier_public_bytes(public_of(k));
        assert_true(length <= MSFL_PAILLIER_SECRET_BYTES_MAX && public_length <= MSFL_PAILLIER_PUBLIC_BYTES_MAX);
        uint8_t *bytes = malloc(length), *public_bytes = malloc(public_length);
        msfl_paillier_secret_write(key_of[k], bytes);
        msfl_paillier_public_write(public_of(k), public_bytes);
        msfl_paillier_secret *secret;
        msfl_paillier_public *public;
        ok(msfl_paillier_secret_read(bytes, length, &secret));
        ok(msfl_paillier_public_read(public_bytes, public_length, &public));
        assert_memory_equal(msfl_paillier_key_id(public), msfl_paillier_key_id(public_of(k)), MSFL_HASH_BYTES);
        assert_int_equal(msfl_paillier_key_bits(public), k == 0 ? 2048 : 3072);
        /* What the one encrypts the other opens. */
        msfl_paillier_encryptor *e;
        ok(msfl_paillier_encryptor_new(public, MSFL_PAILLIER_FIXED_BASE, &e));
        msfl_paillier_shape shape = plan(k, 3, 20, 5, 0);
        static const uint32_t values[5] = {1, 2, 3, 0xfffff, 5};
        uint64_t totals[5];
        uint8_t *chunk = encrypted(e, &shape, 0, values);
        ok(msfl_paillier_decrypt(secret, &shape, label, 0, chunk, msfl_paillier_chunk_bytes(&shape, 0), NULL, totals));
        for (size_t i = 0; i < 5; i++)
            assert_int_equal(totals[i], values[i]);
        free(chunk);
        /* The written public key holds no secret: no 16 bytes of either prime are in it. */
        for (size_t i = 0; i + 16 <= public_length; i++) {
            for (size_t at = 12; at + 16 <= length - MSFL_HASH_BYTES; at += 16)
                assert_true(memcmp(public_bytes + i, bytes + at, 16) != 0);
        }
        /* The one in the place of the other. */
        msfl_paillier_secret_free(secret);
        assert_int_equal(msfl_paillier_secret_read(public_bytes, public_length, &secret), MSFL_ERR_MISMATCH);
        assert_null(secret);
        msfl_paillier_public *none;
        assert_int_equal(msfl_paillier_public_read(bytes, length, &none), MSFL_ERR_MISMATCH);
        assert_null(none);
        msfl_paillier_encryptor_free(e);
        msfl_paillier_public_free(public);
        free(bytes);
        free(public_bytes);
        assert_int_equal(msfl_paillier_encryptor_new(public_of(k), (msfl_paillier_method)3, &e), MSFL_ERR_USAGE);
    }
}

static void damaged_keys_are_refused(void **state) {
    (void)state;
    const size_t length = msfl_paillier_secret_bytes(key_of[0]);
    uint8_t *good = malloc(length), *public_good = malloc(length), *bytes = malloc(length + 1);
    msfl_paillier_secret_write(key_of[0], good);
    msfl_paillier_public_write(public_of(0), public_good);
    msfl_paillier_secret *secret;
    msfl_paillier_public *public;
    for (size_t cut = 0; cut <= length + 1; cut += cut < 60 || cut > 250 ? 1 : 37) {
        if (cut == length) continue;
        uint8_t *exact = calloc(cut + 1, 1);
        memcpy(exact, good, cut < length ? cut : length);
        assert_int_equal(msfl_paillier_secret_read(exact, cut, &secret), MSFL_ERR_FORMAT);
        memcpy(exact, public_good, cut < length ? cut : length);
        assert_int_equal(msfl_paillier_public_read(exact, cut, &public), MSFL_ERR_FORMAT);
        free(exact);
    }
    for (size_t at = 0; at < length; at += at < 16 ? 1 : 29) {
        for (int bit = 0; bit < 8; bit += 3) {
            memcpy(bytes, good, length);
            bytes[at] ^= (uint8_t)(1 << bit);
            msfl_status status = msfl_paillier_secret_read(bytes, length, &secret);
            assert_true(status == (at >= 4 && at < 8 ? MSFL_ERR_UNSUPPORTED : MSFL_ERR_FORMAT));
            assert_null(secret);
            memcpy(bytes, public_good, length);
            bytes[at] ^= (uint8_t)(1 << bit);
            status = msfl_paillier_public_read(bytes, length, &public);
            assert_true(status == (at >= 4 && at < 8 ? MSFL_ERR_UNSUPPORTED : MSFL_ERR_FORMAT));
            assert_null(public);
        }
    }
    /* p in both places; p = 0; all ones. */
    memcpy(bytes, good, length);
    memcpy(bytes + 12 + 128, bytes + 12, 128);
    assert_int_equal(msfl_paillier_secret_read(bytes, length, &secret), MSFL_ERR_FORMAT);
    memset(bytes + 12, 0, 128);
    assert_int_equal(msfl_paillier_secret_read(bytes, length, &secret), MSFL_ERR_FORMAT);
    memset(bytes + 12, 0xff, 256);
    assert_int_equal(msfl_paillier_secret_read(bytes, length, &secret), MSFL_ERR_FORMAT);
    free(good);
    free(public_good);
    free(bytes);
}

static void ciphertexts_must_belong(void **state) {
    (void)state;
    const msfl_paillier_shape shape = plan(0, 3, 16, 8000, 0); /* three chunks */
    assert_int_equal(msfl_paillier_chunks(&shape), 3);
    uint32_t *values = msfl_alloc(8000, sizeof *values);
    uint64_t *totals = msfl_alloc(8000, sizeof *totals);
    uint8_t *a = encrypted(fast_of[0], &shape, 0, values), *b = encrypted(fast_of[0], &shape, 1, values);
    const size_t length = msfl_paillier_chunk_bytes(&shape, 0);
    uint8_t *kept = malloc(length), other_label[MSFL_HASH_BYTES] = {8};
    memcpy(kept, a, length);
    /* another chunk, label, shape, key */
    assert_int_equal(msfl_paillier_add(public_of(0), &shape, label, 0, a, b, length), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_paillier_add(public_of(0), &shape, label, 1, a, b, length), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_paillier_add(public_of(0), &shape, other_label, 0, a, a, length), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_paillier_add(public_of(0), &shape, label, 3, a, b, length), MSFL_ERR_USAGE);
    msfl_paillier_shape other = plan(0, 3, 16, 8001, 0);
    assert_int_equal(msfl_paillier_check(public_of(0), &other, label, 0, a, length, NULL), MSFL_ERR_MISMATCH);
    other = plan(0, 4, 15, 8000, 0);
    assert_int_equal(msfl_paillier_check(public_of(0), &other, label, 0, a, length, NULL), MSFL_ERR_MISMATCH);
    other = plan(1, 3, 16, 8000, 0);
    assert_int_equal(msfl_paillier_check(public_of(0), &other, label, 0, a, length, NULL), MSFL_ERR_MISMATCH);
    other = shape;
    other.slot_bits++;
    assert_int_equal(msfl_paillier_check(public_of(0), &other, label, 0, a, length, NULL), MSFL_ERR_USAGE);
    other = shape;
    other.slots_per_ciphertext = 114;
    assert_int_equal(msfl_paillier_encrypt(fast_of[0], &other, label, 0, values, kept), MSFL_ERR_USAGE);
    other.slots_per_ciphertext = 0;
    assert_int_equal(msfl_paillier_encrypt(fast_of[0], &other, label, 0, values, kept), MSFL_ERR_USAGE);
    msfl_paillier_secret *stranger;
    ok(msfl_paillier_keygen(2048, &stranger));
    const msfl_paillier_public *strange = msfl_paillier_public_borrow(stranger);
    assert_int_equal(msfl_paillier_add(strange, &shape, label, 0, a, a, length), MSFL_ERR_MISMATCH);
    totals[0] = 1;
    assert_int_equal(msfl_paillier_decrypt(stranger, &shape, label, 0, a, length, NULL, totals), MSFL_ERR_MISMATCH);
    assert_int_equal(totals[0], 0);
    /* A header that claims to be made under this key does not help a ciphertext that was not. */
    msfl_paillier_encryptor *e;
    ok(msfl_paillier_encryptor_new(strange, MSFL_PAILLIER_FIXED_BASE, &e));
    uint8_t *c = encrypted(e, &shape, 0, values);
    memcpy(c, a, MSFL_PAILLIER_HEADER_BYTES);
    msfl_status status = msfl_paillier_decrypt(key_of[0], &shape, label, 0, c, length, NULL, totals);
    assert_true(status == MSFL_ERR_CRYPTO || status == MSFL_ERR_FORMAT); /* FORMAT if one is above this n^2 */
    memcpy(kept, a, length);
    status = msfl_paillier_add(public_of(0), &shape, label, 0, a, c, length);
    if (status != MSFL_OK) assert_memory_equal(a, kept, length);
    free(c);
    msfl_paillier_encryptor_free(e);
    msfl_paillier_secret_free(stranger);
    /* too many */
    memcpy(a, kept, length);
    ok(msfl_paillier_add(public_of(0), &shape, label, 0, a, kept, length));
    ok(msfl_paillier_add(public_of(0), &shape, label, 0, a, kept, length));
    memcpy(b, a, length);
    assert_int_equal(msfl_paillier_add(public_of(0), &shape, label, 0, a, kept, length), MSFL_ERR_LIMIT);
    assert_memory_equal(a, b, length);
    free(a);
    free(b);
    free(kept);
    msfl_free(values);
    msfl_free(totals);
}

static void damaged_ciphertexts_are_refused(void **state) {
    (void)state;
    const msfl_paillier_shape shape = plan(0, 3, 16, 300, 0); /* three ciphertexts */
    uint32_t values[300];
    uint64_t totals[300];
    for (size_t i = 0; i < 300; i++)
        values[i] = (uint32_t)(i * 217) & 0xffff;
    const size_t length = msfl_paillier_chunk_bytes(&shape, 0);
    assert_int_equal(length, 112 + 3 * 512);
    uint8_t *good = encrypted(fast_of[0], &shape, 0, values), *acc = malloc(length), *kept = malloc(length);
    memcpy(kept, good, length);
    for (size_t cut = 0; cut <= length + 1; cut += cut < 130 ? 1 : 97) {
        uint8_t *exact = calloc(cut + 1, 1);
        memcpy(exact, good, cut < length ? cut : length);
        if (cut != length)
            assert_int_equal(msfl_paillier_check(public_of(0), &shape, label, 0, exact, cut, NULL), MSFL_ERR_FORMAT);
        free(exact);
    }
    for (size_t bit = 0; bit < 8 * MSFL_PAILLIER_HEADER_BYTES; bit++) {
        memcpy(acc, good, length);
        acc[bit / 8] ^= (uint8_t)(1 << bit % 8);
        uint32_t n_addends;
        msfl_status status = msfl_paillier_check(public_of(0), &shape, label, 0, acc, length, &n_addends);
        size_t at = bit / 8;
        /* A claim of three or two addends instead of one is possible; it is the signature's to refuse it. */
        if (status == MSFL_OK) assert_true(at == 104 && n_addends <= 3);
        if (at < 4) assert_int_equal(status, MSFL_ERR_FORMAT);
        if (at >= 4 && at < 8) assert_int_equal(status, MSFL_ERR_UNSUPPORTED);
        if (at >= 8 && at < 104) assert_int_equal(status, MSFL_ERR_MISMATCH);
        if (at >= 108) assert_int_equal(status, MSFL_ERR_FORMAT);
    }
    /* Not units: 0, n, n^2, all ones, p; at any place. */
    uint8_t bad[5][512] = {{0}};
    msfl_limbs_write(bad[1], public_of(0)->n, 32);
    msfl_limbs_write(bad[2], public_of(0)->n2, 64);
    memset(bad[3], 0xff, 512);
    msfl_limbs_write(bad[4], key_of[0]->p, 16);
    for (size_t i = 0; i < 15; i++) {
        memcpy(acc, good, length);
        memcpy(acc + 112 + 512 * (i % 3), bad[i / 3], 512);
        assert_int_equal(msfl_paillier_check(public_of(0), &shape, label, 0, acc, length, NULL), MSFL_ERR_FORMAT);
        char place[32];
        snprintf(place, sizeof place, "ciphertext %zu ", i % 3);
        assert_non_null(strstr(msfl_error_message(), place));
        assert_int_equal(msfl_paillier_add(public_of(0), &shape, label, 0, good, acc, length), MSFL_ERR_FORMAT);
        assert_memory_equal(good, kept, length);
        memset(totals, 0x55, sizeof totals);
        assert_int_equal(msfl_paillier_decrypt(key_of[0], &shape, label, 0, acc, length, NULL, totals),
                         MSFL_ERR_FORMAT);
        assert_int_equal(totals[0], 0);
        assert_int_equal(totals[299], 0);
    }
    /* A changed unit is still a unit, but opens to noise, which the bounds of the slots show: 17 of each slot's 18 bits
     * and the bits above them would have to agree by chance. */
    for (size_t at = 112; at < length; at += 101) {
        memcpy(acc, good, length);
        acc[at] ^= 0x10;
        msfl_status status = msfl_paillier_decrypt(key_of[0], &shape, label, 0, acc, length, NULL, totals);
        assert_true(status == MSFL_ERR_CRYPTO || status == MSFL_ERR_FORMAT);
        assert_int_equal(totals[150], 0);
    }
    /* A value beyond its bits leaves nothing behind. */
    values[299] = 0x10000;
    memset(acc, 0x55, length);
    assert_int_equal(msfl_paillier_encrypt(fast_of[0], &shape, label, 0, values, acc), MSFL_ERR_NUMERIC);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(acc[i], 0);
    free(good);
    free(acc);
    free(kept);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    const msfl_paillier_shape shape = plan(0, 2, 16, 5, 0);
    static const uint32_t values[5] = {1, 2, 3, 4, 5};
    uint64_t totals[5];
    uint8_t bytes[MSFL_PAILLIER_SECRET_BYTES_MAX], public_bytes[MSFL_PAILLIER_PUBLIC_BYTES_MAX], chunk[112 + 512];
    msfl_paillier_secret_write(key_of[0], bytes);
    msfl_paillier_public_write(public_of(0), public_bytes);
    bool finished = false;
    for (long k = 1; !finished; k++) {
        assert_true(k < 100);
        msfl_paillier_secret *secret = NULL;
        msfl_paillier_public *public = NULL;
        msfl_paillier_encryptor *e = NULL;
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_paillier_secret_read(bytes, msfl_paillier_secret_bytes(key_of[0]), &secret);
        if (status == MSFL_OK) status = msfl_paillier_public_read(public_bytes, 300, &public);
        if (status == MSFL_OK) status = msfl_paillier_encryptor_new(public, MSFL_PAILLIER_FIXED_BASE, &e);
        if (status == MSFL_OK) status = msfl_paillier_encrypt(e, &shape, label, 0, values, chunk);
        if (status == MSFL_OK) status = msfl_paillier_add(public, &shape, label, 0, chunk, chunk, sizeof chunk);
        if (status == MSFL_OK)
            status = msfl_paillier_decrypt(secret, &shape, label, 0, chunk, sizeof chunk, NULL, totals);
        msfl_alloc_fail_at(0);
        finished = status == MSFL_OK;
        if (!finished) assert_int_equal(status, MSFL_ERR_MEMORY);
        msfl_paillier_secret_free(secret);
        msfl_paillier_encryptor_free(e);
        msfl_paillier_public_free(public);
    }
    assert_int_equal(totals[4], 10);
    for (long k = 1; k <= 6; k++) {
        msfl_paillier_secret *secret;
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_paillier_keygen(2048, &secret);
        msfl_alloc_fail_at(0);
        if (status != MSFL_OK) assert_int_equal(status, MSFL_ERR_MEMORY);
        if (status != MSFL_OK) assert_null(secret);
        msfl_paillier_secret_free(secret);
    }
    msfl_paillier_secret *secret;
    assert_int_equal(msfl_paillier_keygen(1024, &secret), MSFL_ERR_USAGE);
    assert_int_equal(msfl_paillier_keygen(4096, &secret), MSFL_ERR_USAGE);
}

/* --- the parts, against schoolbook twins --- */

static void montgomery_is_multiplication(void **state) {
    (void)state;
    msfl_work w;
    ok(msfl_work_init(&w, 1000));
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "mont", 0, 0, 0);
    for (size_t n = 1; n <= 96; n += n < 4 ? 1 : 23) {
        msfl_limb m[96], a[96], b[96], x[96], y[96], one[96];
        for (int round = 0; round < 200; round++) {
            for (size_t i = 0; i < n; i++) {
                m[i] = round % 3 == 0 ? UINT64_MAX : msfl_seeded_u64(&g);
                a[i] = round % 5 == 0 ? UINT64_MAX : msfl_seeded_u64(&g);
                b[i] = round % 7 == 0 ? 0 : msfl_seeded_u64(&g);
            }
            m[0] |= 1;
            m[n - 1] |= (msfl_limb)1 << 63;
            msfl_limbs_mod(a, a, n, m, n, &w);
            msfl_limbs_mod(b, b, n, m, n, &w);
            msfl_montgomery mont = msfl_montgomery_of(m, n);
            assert_int_equal((msfl_limb)(m[0] * mont.inverse), UINT64_MAX);
            /* (a R) b / R = a b, with R from another function */
            msfl_montgomery_one(one, &mont, &w);
            msfl_limbs_mulmod_vartime(x, a, one, m, n);
            msfl_montgomery_mul(x, x, b, &mont, &w);
            msfl_limbs_mulmod_vartime(y, a, b, m, n);
            assert_memory_equal(x, y, n * sizeof *x);
            assert_true(msfl_limbs_compare_vartime(x, m, n) < 0);
        }
    }
    msfl_work_clear(&w);
}

static void small_numbers_are_sieved(void **state) {
    (void)state;
    msfl_small_primes primes;
    ok(msfl_small_primes_new(&primes));
    assert_int_equal(primes.count, 6541); /* pi(2^16) - 1 */
    assert_int_equal(primes.primes[0], 3);
    assert_int_equal(primes.primes[6540], 65521);
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "sieve", 0, 0, 0);
    for (int round = 0; round < 300; round++) {
        msfl_limb a[2] = {msfl_seeded_u64(&g), msfl_seeded_u64(&g)};
        unsigned __int128 v = (unsigned __int128)a[1] << 64 | a[0];
        bool none = true, not_one = true;
        for (size_t i = 0; i < primes.count; i++) {
            none &= v % primes.primes[i] != 0;
            not_one &= v % primes.primes[i] > 1;
        }
        assert_int_equal(msfl_sieve(&primes, a, 2, false), none);
        assert_int_equal(msfl_sieve(&primes, a, 2, true), not_one);
    }
    msfl_free(primes.primes);
}

static void composites_are_found_out(void **state) {
    (void)state;
    msfl_work w;
    ok(msfl_work_init(&w, 1000));
    const size_t h = 16;
    msfl_limb c[32], a[32];
    assert_true(msfl_paillier_is_prime(key_of[0]->p, h, 20, &w));
    assert_true(msfl_paillier_is_prime(key_of[0]->q, h, 20, &w));
    /* The neighbours of a prime that are 3 modulo 4, and 512-bit numbers squared or multiplied. */
    memcpy(c, key_of[0]->p, h * sizeof *c);
    int n_primes = 0;
    for (int i = 0; i < 40; i++) {
        c[0] += 4;
        n_primes += msfl_paillier_is_prime(c, h, 20, &w);
    }
    assert_in_range(n_primes, 0, 6); /* one in 355 odd numbers of this size is prime */
    /* Strong pseudoprimes would need luck: (4 k + 3)(4 l + 1) with large factors. */
    for (int i = 0; i < 20; i++) {
        msfl_random_bytes(a, h * sizeof *a);
        a[h / 2 - 1] |= (msfl_limb)3 << 62;
        a[h - 1] |= (msfl_limb)3 << 62;
        a[0] |= 3;
        a[h / 2] = (a[h / 2] | 3) - 2;
        msfl_limbs_mul(c, a, a + h / 2, h / 2, &w);
        assert_false(msfl_paillier_is_prime(c, h, 20, &w));
    }
    /* Pairs that make no key. */
    assert_true(msfl_paillier_pair(key_of[0]->p, key_of[0]->q, h, &w));
    assert_false(msfl_paillier_pair(key_of[0]->p, key_of[0]->p, h, &w));
    memcpy(c, key_of[0]->p, h * sizeof *c);
    c[5] += 12; /* too near: FIPS 186-4 */
    assert_false(msfl_paillier_pair(key_of[0]->p, c, h, &w));
    assert_false(msfl_paillier_pair(c, key_of[0]->p, h, &w));
    memcpy(c, key_of[0]->q, h * sizeof *c);
    c[0] ^= 2; /* 1 modulo 4 */
    assert_false(msfl_paillier_pair(key_of[0]->p, c, h, &w));
    memcpy(c, key_of[0]->q, h * sizeof *c);
    c[h - 1] ^= (msfl_limb)1 << 62; /* n might have a bit less */
    assert_false(msfl_paillier_pair(key_of[0]->p, c, h, &w));
    /* gcd((p - 1) / 2, (q - 1) / 2) = 3 with p = q = 7 mod 12, whether prime or not. */
    for (int i = 0; i < 2; i++) {
        msfl_limb *x = i == 0 ? a : c;
        msfl_random_bytes(x, h * sizeof *x);
        x[h - 1] |= (msfl_limb)3 << 62;
        do {
            x[0] = (x[0] | 3) + 4;
            uint32_t r = 0; /* x mod 3: 2^64 is 1 modulo 3 */
            for (size_t k = 0; k < h; k++)
                r = (r + (uint32_t)(x[k] % 3)) % 3;
            if (r == 1) break;
        } while (true);
    }
    assert_false(msfl_paillier_pair(a, c, h, &w));
    msfl_work_clear(&w);
}

static int make_keys(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        ok(msfl_paillier_keygen(k == 0 ? 2048 : 3072, &key_of[k]));
        ok(msfl_paillier_encryptor_new(public_of(k), MSFL_PAILLIER_FIXED_BASE, &fast_of[k]));
    }
    return 0;
}

static int free_keys(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        msfl_paillier_encryptor_free(fast_of[k]);
        msfl_paillier_secret_free(key_of[k]);
    }
    return 0;
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans),
        cmocka_unit_test(exact_sums),
        cmocka_unit_test(exact_sums_with_a_random_base),
        cmocka_unit_test(ten_thousand_addends),
        cmocka_unit_test(two_ciphertexts_of_one_message_differ),
        cmocka_unit_test(keys_survive_writing),
        cmocka_unit_test(damaged_keys_are_refused),
        cmocka_unit_test(ciphertexts_must_belong),
        cmocka_unit_test(damaged_ciphertexts_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(montgomery_is_multiplication),
        cmocka_unit_test(small_numbers_are_sieved),
        cmocka_unit_test(composites_are_found_out),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
