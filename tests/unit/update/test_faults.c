/* What happens when libcrypto fails: this program brings an AES of its own in place of the ring's, one that does. */
#include "base/error.h"
#include "base/mem.h"
#include "medsecurefl/update.h"
#include "ring/aes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct msfl_aes {
    int unused;
};

static struct msfl_aes only;
static int calls, fails_at; /* the call that fails, from 1 on; 0: none */

static msfl_status called(void) {
    return ++calls == fails_at ? msfl_fail(MSFL_ERR_SYSTEM, "no AES today") : MSFL_OK;
}

msfl_status msfl_aes_new(const msfl_kernel *kernel, msfl_aes **out) {
    (void)kernel;
    msfl_status status = called();
    *out = status == MSFL_OK ? &only : NULL;
    return status;
}

void msfl_aes_free(msfl_aes *aes) {
    (void)aes;
}

msfl_status msfl_aes_start(msfl_aes *aes, const uint8_t *key, size_t key_bytes, const uint8_t iv[MSFL_AES_BLOCK]) {
    (void)aes;
    (void)key;
    (void)iv;
    assert_int_equal(key_bytes, 16);
    return called();
}

msfl_status msfl_aes_read(msfl_aes *aes, uint8_t *out, size_t length) {
    (void)aes;
    memset(out, 0x55, length);
    return called();
}

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
        calls = 0;
        fails_at = k; /* the first time none fails */
        msfl_status status = msfl_update_encoder_new(layout, &input, &encoder);
        if (status == MSFL_OK) {
            memset(slots, 0xcd, n_slots * sizeof *slots);
            status = msfl_update_quantise(encoder, 0, n_slots, slots, &stats);
        } else {
            assert_null(encoder);
        }
        done = k > 0 && status == MSFL_OK;
        if (k == 0) memcpy(whole, slots, n_slots * sizeof *slots);
        if (k > 0 && !done) {
            assert_int_equal(status, MSFL_ERR_SYSTEM);
            assert_non_null(strstr(msfl_error_message(), "no AES today"));
            assert_int_equal(stats.n_clipped, 0);
        }
        if (encoder != NULL && !done && k > 0) {
            for (size_t i = 0; i < n_slots; i++)
                assert_int_equal(slots[i], 0);
            /* And it was this call that failed, not the encoder: the next one gives the right integers. */
            assert_int_equal(msfl_update_quantise(encoder, 0, n_slots, slots, &stats), MSFL_OK);
            assert_memory_equal(slots, whole, n_slots * sizeof *slots);
        }
        if (done) assert_true(k == calls + 1 && k > 5); /* a new, a start and several reads were made to fail */
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
