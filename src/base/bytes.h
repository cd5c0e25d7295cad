/* Bytes on the wire and on disk: little-endian, written and read within bounds. */
#ifndef MSFL_BASE_BYTES_H
#define MSFL_BASE_BYTES_H

#include "medsecurefl/status.h"

#include <string.h>

static inline uint16_t msfl_load16(const uint8_t *p) {
    return (uint16_t)(p[0] | (uint16_t)p[1] << 8);
}
static inline uint32_t msfl_load32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t msfl_load64(const uint8_t *p) {
    return (uint64_t)msfl_load32(p) | (uint64_t)msfl_load32(p + 4) << 32;
}
static inline void msfl_store16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void msfl_store32(uint8_t *p, uint32_t v) {
    msfl_store16(p, (uint16_t)v);
    msfl_store16(p + 2, (uint16_t)(v >> 16));
}
static inline void msfl_store64(uint8_t *p, uint64_t v) {
    msfl_store32(p, (uint32_t)v);
    msfl_store32(p + 4, (uint32_t)(v >> 32));
}

/**
 * A bounded reader. Every get checks the bound; after the first overrun `failed` stays set and gets return zeros,
 * so a parser may read a whole header and look once.
 */
typedef struct msfl_reader {
    const uint8_t *at, *end;
    bool failed;
} msfl_reader;

static inline msfl_reader msfl_reader_init(const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    return (msfl_reader){p, p + length, false};
}
static inline size_t msfl_reader_left(const msfl_reader *r) {
    return (size_t)(r->end - r->at);
}
/** The next `length` bytes in place, or NULL. */
static inline const uint8_t *msfl_get_bytes(msfl_reader *r, size_t length) {
    if (r->failed || msfl_reader_left(r) < length) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += length;
    return p;
}
static inline uint8_t msfl_get8(msfl_reader *r) {
    const uint8_t *p = msfl_get_bytes(r, 1);
    return p == NULL ? 0 : *p;
}
static inline uint32_t msfl_get32(msfl_reader *r) {
    const uint8_t *p = msfl_get_bytes(r, 4);
    return p == NULL ? 0 : msfl_load32(p);
}
static inline uint64_t msfl_get64(msfl_reader *r) {
    const uint8_t *p = msfl_get_bytes(r, 8);
    return p == NULL ? 0 : msfl_load64(p);
}
static inline double msfl_get_f64(msfl_reader *r) {
    uint64_t bits = msfl_get64(r);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/** A growing byte string. Zero-initialise; msfl_buffer_clear when done. Puts report the first failure in `status`. */
typedef struct msfl_buffer {
    uint8_t *bytes;
    size_t length, capacity;
    msfl_status status;
} msfl_buffer;

void msfl_put_bytes(msfl_buffer *b, const void *bytes, size_t length);
void msfl_put8(msfl_buffer *b, uint8_t v);
void msfl_put32(msfl_buffer *b, uint32_t v);
void msfl_put64(msfl_buffer *b, uint64_t v);
void msfl_put_f64(msfl_buffer *b, double v);
/** Text formatted as by printf, without a closing zero. */
void msfl_put_text(msfl_buffer *b, const char *fmt, ...) MSFL_PRINTF(2, 3);
void msfl_buffer_clear(msfl_buffer *b);

#endif
