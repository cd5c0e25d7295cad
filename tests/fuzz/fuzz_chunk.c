/* layer: he */
/* A chunk of ciphertext, whatever its bytes: check and fold agree, a refused chunk leaves the sum empty, and opening
 * with a key that does not belong gives an error or totals within their bound. */
#include "medsecurefl/packed.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static msfl_packed *scheme(void) {
    static msfl_packed *ctx;
    if (ctx == NULL) {
        const msfl_params_request request = {.n_clients = 4, .value_bits = 8, .n_values = 100, .ring_degree = 2048};
        msfl_params params;
        if (msfl_params_plan(&request, &params) != MSFL_OK || msfl_packed_new(&params, &ctx) != MSFL_OK) abort();
    }
    return ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { VALUES_MAX = 100, VALUE_MAX = 255 };
    static int32_t key_sum[2048]; /* zeros */
    if (size < 2) return 0;
    const msfl_packed *ctx = scheme();
    const uint64_t n_values = 1 + data[0] % VALUES_MAX;
    uint8_t seed[MSFL_HASH_BYTES] = {data[1]};
    data += 2;
    size -= 2;
    msfl_packed_sum *sum = NULL;
    if (msfl_packed_sum_new(ctx, seed, n_values, &sum) != MSFL_OK) abort();
    msfl_status checked = msfl_packed_check(ctx, n_values, 0, data, size);
    msfl_status folded = msfl_packed_fold(ctx, sum, 0, data, size);
    if (checked != folded) abort();
    if (msfl_packed_sum_addends(sum) != (folded == MSFL_OK)) abort();
    if (folded == MSFL_OK) {
        uint64_t totals[VALUES_MAX];
        msfl_status opened = msfl_packed_open(ctx, sum, 0, 1, key_sum, totals);
        if (opened != MSFL_OK && opened != MSFL_ERR_CRYPTO) abort();
        for (uint64_t i = 0; i < n_values; i++) {
            if (opened == MSFL_OK ? totals[i] > VALUE_MAX : totals[i] != 0) abort();
        }
    }
    msfl_packed_sum_free(sum);
    return 0;
}
