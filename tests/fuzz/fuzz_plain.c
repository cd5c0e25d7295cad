/* layer: he */
/* A plain chunk, whatever its bytes: what is read lies within its bounds, what is refused leaves the sum as it was. */
#include "medsecurefl/plain.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t label[MSFL_HASH_BYTES];
    static const uint32_t values[5] = {255, 0, 1, 2, 3};
    const msfl_plain_shape shape = {3, 8, 5};
    uint8_t sum[75], kept[75];
    uint64_t totals[5];
    if (msfl_plain_chunk_bytes(&shape, 0) != sizeof sum || msfl_plain_write(&shape, label, 0, values, sum) != MSFL_OK)
        abort();
    memcpy(kept, sum, sizeof sum);
    msfl_status got = msfl_plain_read(&shape, label, 0, data, size, NULL, totals);
    for (size_t v = 0; v < 5; v++) {
        if (totals[v] > (got == MSFL_OK ? 3 * 255 : 0)) abort();
    }
    if (size != sizeof sum) return 0;
    msfl_status added = msfl_plain_add(&shape, label, 0, sum, data, size);
    if (added != MSFL_OK && memcmp(sum, kept, sizeof sum) != 0) abort();
    if (got != MSFL_OK && added != got) abort();
    return 0;
}
