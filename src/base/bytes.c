#include "base/bytes.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

/* Room for `length` more bytes and a spare one, or NULL with the status kept. */
static uint8_t *reserve(msfl_buffer *b, size_t length) {
    if (b->status != MSFL_OK) return NULL;
    size_t needed;
    if (__builtin_add_overflow(b->length, length, &needed) || needed == SIZE_MAX) {
        b->status = msfl_fail(MSFL_ERR_LIMIT, "a byte string would be longer than the address space");
        return NULL;
    }
    void *array = b->bytes;
    b->status = msfl_grow(&array, &b->capacity, needed + 1, 1);
    if (b->status != MSFL_OK) return NULL;
    b->bytes = array;
    uint8_t *at = b->bytes + b->length;
    b->length = needed;
    return at;
}

void msfl_put_bytes(msfl_buffer *b, const void *bytes, size_t length) {
    uint8_t *at = reserve(b, length);
    if (at != NULL && length > 0) memcpy(at, bytes, length);
}

void msfl_put8(msfl_buffer *b, uint8_t v) {
    msfl_put_bytes(b, &v, 1);
}

void msfl_put32(msfl_buffer *b, uint32_t v) {
    uint8_t raw[4];
    msfl_store32(raw, v);
    msfl_put_bytes(b, raw, sizeof raw);
}

void msfl_put64(msfl_buffer *b, uint64_t v) {
    uint8_t raw[8];
    msfl_store64(raw, v);
    msfl_put_bytes(b, raw, sizeof raw);
}

void msfl_put_f64(msfl_buffer *b, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    msfl_put64(b, bits);
}

void msfl_put_text(msfl_buffer *b, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    size_t before = b->length;
    uint8_t *at = length < 0 ? NULL : reserve(b, (size_t)length + 1);
    if (at != NULL) {
        vsnprintf((char *)at, (size_t)length + 1, fmt, again);
        b->length = before + (size_t)length;
    }
    va_end(again);
}

void msfl_buffer_clear(msfl_buffer *b) {
    msfl_free(b->bytes);
    *b = (msfl_buffer){0};
}
