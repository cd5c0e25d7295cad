/* What happens when libcrypto fails, at any of the calls of it. */
#include "base/error.h"
#include "base/mem.h"
#include "medsecurefl/update.h"
#include "ring/aes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void every_call_may_fail(void **state) {
    (void)state;
    enum { N = 20000 };
    const msfl_update_range ranges[] = {{100, 1.0f}, {N - 100, 2.0f}};
    msfl_update_layout *layout = NULL;
    assert_int_equal(msfl_update_layout_new(16, 1, 10, ranges, 2, &layout), MSFL_OK);
    const size_t n_slots = (size_t)msfl_update_slots(layout);
    float *values = msfl_alloc(N, sizeof *values);
    uint32_t *slots = msfl_alloc(n_slots, sizeof *slots), *whole = msfl_alloc(n_slots, sizeof *whole);
    assert_non_null(values);
    assert_non_null(slots);
    assert_non_null(whole);
    for (size_t i = 0; i < N; i++)
        values[i] = (float)i;
    const msfl_update_input input = {values, 10, NULL, 1};
    bool done = false;
    for (int k = 0; !done; k++) {
        msfl_update_encoder *encoder = NULL;
        msfl_update_stats stats = {0};
        msfl_aes_fail_at(k); /* the first time none fails */
        msfl_status status = msfl_update_encoder_new(layout, &input, &encoder);
        if (status == MSFL_OK) {
            memset(slots, 0xcd, n_slots * sizeof *slots);
            status = msfl_update_quantise(encoder, 0, n_slots, slots, &stats);
        } else {
            assert_null(encoder);
        }
        msfl_aes_fail_at(0);
        done = k > 0 && status == MSFL_OK;
        if (k == 0) memcpy(whole, slots, n_slots * sizeof *slots);
        if (k > 0 && !done) {
            assert_int_equal(status, MSFL_ERR_SYSTEM);
            assert_non_null(strstr(msfl_error_message(), "AES"));
            assert_int_equal(stats.n_clipped, 0);
        }
        if (encoder != NULL && !done && k > 0) {
            for (size_t i = 0; i < n_slots; i++)
                assert_int_equal(slots[i], 0);
            /* And it was this call that failed, not the encoder: the next one gives the right integers. */
            assert_int_equal(msfl_update_quantise(encoder, 0, n_slots, slots, &stats), MSFL_OK);
            assert_memory_equal(slots, whole, n_slots * sizeof *slots);
        }
        if (done) assert_true(k > 5); /* a new, a start and several reads were made to fail */
        msfl_update_encoder_free(encoder);
    }
    msfl_free(whole);
    msfl_free(slots);
    msfl_free(values);
    msfl_update_layout_free(layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
