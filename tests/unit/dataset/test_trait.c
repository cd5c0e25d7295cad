/* A trait's figures against the slow way: each image named by all others of its value. */
#include "base/mem.h"
#include "medsecurefl/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_MAX = 60, CLASSES = 4 };

/* Images that the others of their value name right: more of these are of its class than of any other. */
static size_t correct_slowly(const uint64_t *keys, const uint32_t *labels, size_t n) {
    size_t correct = 0;
    for (size_t i = 0; i < n; i++) {
        size_t count[CLASSES] = {0};
        for (size_t k = 0; k < n; k++)
            count[labels[k]] += k != i && keys[k] == keys[i];
        bool most = true;
        for (uint32_t c = 0; c < CLASSES; c++)
            most &= c == labels[i] || count[labels[i]] > count[c];
        correct += most;
    }
    return correct;
}

static void as_named_by_the_others(void **state) {
    (void)state;
    uint32_t seed = 7;
    for (size_t n = 1; n < N_MAX; n++) {
        for (uint32_t kinds = 1; kinds < 9; kinds++) {
            uint64_t keys[N_MAX];
            uint32_t labels[N_MAX], of_class[CLASSES] = {0}, most = 0, values = 0;
            for (size_t i = 0; i < n; i++) {
                seed = seed * 1664525 + 1013904223;
                keys[i] = (uint64_t)(seed >> 20) % kinds << 33;
                labels[i] = (seed >> 8) % 3 == 0 ? (seed >> 12) % CLASSES : (uint32_t)(keys[i] >> 33) % CLASSES;
                most = ++of_class[labels[i]] > most ? of_class[labels[i]] : most;
            }
            for (uint32_t v = 0; v < kinds; v++) {
                bool seen = false;
                for (size_t i = 0; i < n; i++)
                    seen |= keys[i] == (uint64_t)v << 33;
                values += seen;
            }
            msfl_trait t;
            assert_int_equal(msfl_trait_judge(keys, labels, n, CLASSES, &t), MSFL_OK);
            assert_int_equal(t.n_values, values);
            assert_true(t.accuracy == (double)correct_slowly(keys, labels, n) / (double)n);
            assert_true(t.guessing == (double)most / (double)n);
            assert_int_equal(t.telling, values > 1 && t.accuracy - t.guessing > 0.3 * (1 - t.guessing));
        }
    }
}

static void memory_may_run_out(void **state) {
    (void)state;
    const uint64_t keys[] = {1, 1, 2, 2};
    const uint32_t labels[] = {0, 0, 1, 1};
    for (long k = 1;; k++) {
        msfl_trait t = {.n_values = 77};
        uint64_t before = msfl_alloc_bytes();
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_trait_judge(keys, labels, 4, 2, &t);
        msfl_alloc_fail_at(0);
        assert_true(msfl_alloc_bytes() == before);
        if (status == MSFL_OK) {
            assert_int_equal(k, 3);
            assert_true(t.telling && t.accuracy == 1);
            return;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
        assert_int_equal(t.n_values, 77);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_named_by_the_others), cmocka_unit_test(memory_may_run_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
