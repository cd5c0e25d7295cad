/* layer: round */
/* An opened key bundle, whatever its bytes: refused with the sum unchanged, or N coefficients of at most 41. */
#include "round/bundle.h"

#include "base/bytes.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { N = 1024, BEFORE = 12345 };
    static int32_t sum[N];
    msfl_bundle_binding binding = {.ring_degree = N};
    /* Half of the inputs are bound to what they say they are, so that the coefficients are reached. */
    if (size > 0 && data[0] % 2 == 0 && size >= 81) {
        binding.client = msfl_load32(data + 1 + 12);
        memcpy(binding.round_id, data + 1 + 16, MSFL_HASH_BYTES);
        memcpy(binding.ciphertext_hash, data + 1 + 48, MSFL_HASH_BYTES);
    }
    for (int i = 0; i < N; i++)
        sum[i] = BEFORE;
    size_t length = size > 0 ? size - 1 : 0;
    msfl_status status = msfl_bundle_add(&binding, data + (size > 0), length, sum);
    for (int i = 0; i < N; i++) {
        int32_t s = sum[i] - BEFORE;
        if (status == MSFL_OK ? s < -41 || s > 41 : s != 0) abort();
    }
    return 0;
}
