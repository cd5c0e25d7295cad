/* layer: coordinator */
/* A body of frames, cut into pieces as the input says: what comes out does not depend on the pieces. */
#include "base/sodium.h"
#include "coordinator/frames.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct seen {
    msfl_hash hash;
    uint64_t n;
} seen;

static msfl_status each(void *ctx, const uint8_t *message, size_t length) {
    seen *s = ctx;
    msfl_hash_add_field(&s->hash, message, length);
    s->n++;
    return MSFL_OK;
}

static msfl_status walk(const uint8_t *data, size_t size, size_t piece, uint8_t out[32]) {
    coord_frames f = {0};
    seen s = {0};
    msfl_hash_init(&s.hash, "fuzz");
    msfl_status status = MSFL_OK;
    for (size_t at = 0; at < size && status == MSFL_OK; at += piece) {
        status = coord_frames_take(&f, data + at, size - at < piece ? size - at : piece, each, &s);
    }
    if (status == MSFL_OK) status = coord_frames_end(&f);
    msfl_hash_final(&s.hash, out);
    coord_frames_clear(&f);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t whole[32], pieces[32];
    if (size < 1 || msfl_crypto_init() != MSFL_OK) return 0;
    const size_t piece = data[0] % 37 + 1;
    msfl_status a = walk(data + 1, size - 1, size, whole), b = walk(data + 1, size - 1, piece, pieces);
    if (a != b || memcmp(whole, pieces, sizeof whole) != 0) abort();
    return 0;
}
