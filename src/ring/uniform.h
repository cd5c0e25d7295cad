/* Public polynomials and secret noise out of AES streams. */
#ifndef MSFL_RING_UNIFORM_H
#define MSFL_RING_UNIFORM_H

#include "ring/aes.h"
#include "ring/kernel.h"

enum { MSFL_STREAM_BYTES = 8192, MSFL_STREAM_SLACK = 64 };

/** Working memory of the functions below; secret if the stream is. */
typedef struct msfl_stream {
    _Alignas(64) uint8_t bytes[MSFL_STREAM_BYTES + MSFL_STREAM_SLACK];
} msfl_stream;

/** x <- a y for the N values of a uniform polynomial a, drawn by rejection from the stream `aes`, and a prepared y. If
 * y is NULL, x <- a. */
msfl_status msfl_expand(const msfl_modulus *m, msfl_aes *aes, msfl_stream *stream, const msfl_cell *y,
                        msfl_cell *x) MSFL_NODISCARD;

/** At least n samples of popcount(`bits` bits) - bits / 2 from the stream; `out` holds n rounded up to
 *  MSFL_NOISE_BLOCK. */
msfl_status msfl_expand_noise(const msfl_kernel *kernel, msfl_aes *aes, msfl_stream *stream, uint32_t bits, size_t n,
                              int8_t *out) MSFL_NODISCARD;

#endif
