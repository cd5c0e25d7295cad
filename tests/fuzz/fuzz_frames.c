/* layer: coordinator
 *
 * An outbox body in pieces of any length: the same messages whatever the pieces, never one that is too long, and never
 * more in memory than the message that is on its way. The first byte is the seed of the pieces. */
#include "coordinator/frames.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct heard {
    uint64_t n, bytes, mix;
} heard;

static msfl_status each(void *ctx, const uint8_t *message, size_t length) {
    heard *h = ctx;
    if (length == 0 || length > COORD_MESSAGE_BYTES_MAX) abort();
    h->n++;
    h->bytes += length;
    for (size_t i = 0; i < length; i++)
        h->mix = h->mix * 31 + message[i] + 1;
    return MSFL_OK;
}

static msfl_status read_all(const uint8_t *data, size_t size, uint32_t seed, heard *h) {
    coord_frames f = {0};
    msfl_status status = MSFL_OK;
    *h = (heard){0};
    for (size_t at = 0; at < size && status == MSFL_OK;) {
        seed = seed * 1103515245u + 12345u;
        size_t n = seed == 0 ? size - at : 1 + (seed >> 16) % 40;
        if (n > size - at) n = size - at;
        status = coord_frames_take(&f, data + at, n, each, h);
        at += n;
        if (f.message.length > size) abort();
    }
    if (status == MSFL_OK) status = coord_frames_end(&f);
    coord_frames_clear(&f);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    heard a, b;
    if (size == 0) return 0;
    const msfl_status whole = read_all(data + 1, size - 1, 7, &a), pieces = read_all(data + 1, size - 1, data[0], &b);
    if (whole != pieces || a.n != b.n || a.bytes != b.bytes || a.mix != b.mix || a.bytes + 4 * a.n > size) abort();
    return 0;
}
