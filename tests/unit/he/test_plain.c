/* The plain scheme adds exactly, and is as strict as the others. */
#include "base/seeded.h"
#include "medsecurefl/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t label[MSFL_HASH_BYTES] = {3};

static void ok(msfl_status status) {
    if (status != MSFL_OK) fail_msg("%s: %s", msfl_status_name(status), msfl_error_message());
}

static void exact_sums(void **state) {
    (void)state;
    static const msfl_plain_shape shapes[] = {{2, 16, 20000}, {10, 32, 100}, {3, 2, 16384}, {1, 24, 7}, {7, 31, 32769}};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        const msfl_plain_shape *s = &shapes[k];
        for (int all_max = 0; all_max < 2; all_max++) {
            uint64_t at = 0;
            for (uint64_t j = 0; j < msfl_plain_chunks(s); j++) {
                size_t length = msfl_plain_chunk_bytes(s, j);
                uint32_t n = msfl_plain_chunk_values(s, j), n_addends;
                uint8_t *acc = malloc(length), *chunk = malloc(length);
                uint32_t *values = malloc(n * sizeof *values);
                uint64_t *expected = calloc(n, sizeof *expected), *totals = malloc(n * sizeof *totals);
                for (uint32_t i = 0; i < s->n_clients; i++) {
                    msfl_seeded g;
                    msfl_seeded_init(&g, 1, "plain", i, j, 0);
                    for (uint32_t v = 0; v < n; v++) {
                        values[v] = (all_max ? UINT32_MAX : (uint32_t)msfl_seeded_u64(&g)) >> (32 - s->value_bits);
                        expected[v] += values[v];
                    }
                    ok(msfl_plain_write(s, label, j, values, i == 0 ? acc : chunk));
                    if (i > 0) ok(msfl_plain_add(s, label, j, acc, chunk, length));
                }
                ok(msfl_plain_read(s, label, j, acc, length, &n_addends, totals));
                assert_int_equal(n_addends, s->n_clients);
                assert_memory_equal(totals, expected, n * sizeof *totals);
                if (s->n_clients > 1) {
                    uint8_t *kept = malloc(length);
                    memcpy(kept, acc, length);
                    assert_int_equal(msfl_plain_add(s, label, j, acc, chunk, length), MSFL_ERR_LIMIT);
                    assert_memory_equal(acc, kept, length);
                    free(kept);
                }
                at += n;
                free(acc);
                free(chunk);
                free(values);
                free(expected);
                free(totals);
            }
            assert_int_equal(at, s->n_values);
        }
    }
}

static void what_does_not_belong_is_refused(void **state) {
    (void)state;
    const msfl_plain_shape s = {3, 8, 5};
    uint32_t values[5] = {1, 2, 3, 4, 255};
    uint64_t totals[5];
    const size_t length = msfl_plain_chunk_bytes(&s, 0);
    assert_int_equal(length, 68 + 7); /* 5 x 10 bits */
    uint8_t good[75], acc[75], kept[75];
    ok(msfl_plain_write(&s, label, 0, values, good));
    memcpy(acc, good, sizeof acc);
    memcpy(kept, good, sizeof kept);
    for (size_t cut = 0; cut <= length + 1; cut++) {
        if (cut == length) continue;
        uint8_t *exact = calloc(cut + 1, 1);
        memcpy(exact, good, cut < length ? cut : length);
        assert_int_equal(msfl_plain_read(&s, label, 0, exact, cut, NULL, totals), MSFL_ERR_FORMAT);
        assert_int_equal(totals[4], 0);
        free(exact);
    }
    for (size_t at = 0; at < 68; at++) {
        memcpy(acc, good, sizeof acc);
        acc[at] ^= 0x40;
        msfl_status status = msfl_plain_add(&s, label, 0, good, acc, length);
        assert_int_equal(status, at < 4    ? MSFL_ERR_FORMAT
                                 : at < 8  ? MSFL_ERR_UNSUPPORTED
                                 : at < 64 ? MSFL_ERR_MISMATCH
                                           : MSFL_ERR_FORMAT);
        assert_memory_equal(good, kept, sizeof good);
    }
    memcpy(acc, good, sizeof acc);
    acc[68 + 1] |= 1; /* value 0 becomes 257 */
    assert_int_equal(msfl_plain_read(&s, label, 0, acc, length, NULL, totals), MSFL_ERR_FORMAT);
    memcpy(acc, good, sizeof acc);
    acc[74] |= 0x80; /* padding */
    assert_int_equal(msfl_plain_read(&s, label, 0, acc, length, NULL, totals), MSFL_ERR_FORMAT);
    values[2] = 256;
    assert_int_equal(msfl_plain_write(&s, label, 0, values, acc), MSFL_ERR_NUMERIC);
    assert_int_equal(msfl_plain_write(&s, label, 1, values, acc), MSFL_ERR_USAGE);
    static const msfl_plain_shape bad[] = {{0, 8, 5},  {10001, 8, 5}, {3, 1, 5},
                                           {3, 33, 5}, {3, 8, 0},     {3, 8, UINT64_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(msfl_plain_chunk_bytes(&bad[i], 0), 0);
        assert_int_equal(msfl_plain_write(&bad[i], label, 0, values, acc), MSFL_ERR_USAGE);
        assert_int_equal(msfl_plain_read(&bad[i], label, 0, good, length, NULL, totals), MSFL_ERR_USAGE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_sums),
        cmocka_unit_test(what_does_not_belong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
