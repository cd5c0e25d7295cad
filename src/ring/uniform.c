#include "ring/uniform.h"

#include <string.h>

msfl_status msfl_expand(const msfl_modulus *m, msfl_aes *aes, msfl_stream *stream, const msfl_cell *y, msfl_cell *x) {
    size_t width = (m->m.bits + 7) / 8, n = m->degree, done = 0;
    while (done < n) {
        /* Whole blocks of the stream, and cells that stay aligned as long as none is rejected. */
        size_t candidates = MSFL_STREAM_BYTES / width / 16 * 16;
        if (candidates > n - done) candidates = n - done;
        msfl_status status = msfl_aes_read(aes, stream->bytes, candidates * width);
        if (status != MSFL_OK) return status;
        size_t kept = m->kernel->uniform(m, x + done, stream->bytes, candidates);
        if (y != NULL) m->kernel->multiply(m, x + done, y + done, kept);
        done += kept;
    }
    return MSFL_OK;
}

msfl_status msfl_expand_noise(const msfl_kernel *kernel, msfl_aes *aes, msfl_stream *stream, uint32_t bits, size_t n,
                              int8_t *out) {
    size_t block_bytes = (size_t)(bits + 7) / 8 * MSFL_NOISE_BLOCK;
    size_t blocks_at_once = MSFL_STREAM_BYTES / block_bytes;
    size_t blocks = (n + MSFL_NOISE_BLOCK - 1) / MSFL_NOISE_BLOCK;
    for (size_t done = 0; done < blocks; done += blocks_at_once) {
        size_t now = blocks - done < blocks_at_once ? blocks - done : blocks_at_once;
        msfl_status status = msfl_aes_read(aes, stream->bytes, now * block_bytes);
        if (status != MSFL_OK) return status;
        kernel->binomial(out + done * MSFL_NOISE_BLOCK, stream->bytes, bits, now * MSFL_NOISE_BLOCK);
    }
    return MSFL_OK;
}
