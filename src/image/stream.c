/* Shim for zlib's inflate. */
#include "image/stream.h"

#include "base/error.h"
#include "base/mem.h"
#include "image/fault.h"

#include <string.h>
#include <zlib.h>

enum { BLOCK_BYTES = 64 << 10, REST_BYTES_MAX = 16 << 20 };

struct msfl_stream {
    const char *name;
    FILE *file;
    uint64_t file_bytes;
    bool gzip;
    bool member_open; /* inside a member of a gzip file, which may have several */
    z_stream z;
    size_t at, have; /* in block */
    uint8_t block[BLOCK_BYTES];
};

static msfl_status fill(msfl_stream *s) {
    s->at = 0;
    s->have = fread(s->block, 1, BLOCK_BYTES, s->file);
    if (s->have == 0 && ferror(s->file) != 0) return msfl_fault_fail(MSFL_FAULT_UNREADABLE, "cannot read %s", s->name);
    return MSFL_OK;
}

static void *on_alloc(void *ctx, unsigned n, unsigned size) {
    (void)ctx;
    return msfl_alloc(n, size);
}

static void on_free(void *ctx, void *memory) {
    (void)ctx;
    msfl_free(memory);
}

msfl_status msfl_stream_new(const char *name, FILE *file, msfl_stream **out) {
    *out = NULL;
    msfl_stream *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->name = name;
    s->file = file;
    msfl_status status = MSFL_OK;
    /* By seeking, not by fstat: tests read from memory. */
    if (fseek(file, 0, SEEK_END) == 0) {
        long end = ftell(file);
        if (end > 0) s->file_bytes = (uint64_t)end;
    }
    if (fseek(file, 0, SEEK_SET) != 0) status = msfl_fault_fail(MSFL_FAULT_UNREADABLE, "cannot read %s", name);
    if (status == MSFL_OK) status = fill(s);
    if (status == MSFL_OK && s->have >= 2 && s->block[0] == 0x1f && s->block[1] == 0x8b) {
        s->z = (z_stream){.zalloc = on_alloc, .zfree = on_free};
        s->gzip = true;
        s->member_open = true;
        if (inflateInit2(&s->z, 15 + 16) != Z_OK) {
            s->gzip = false;
            status = MSFL_NO_MEMORY;
        }
    }
    if (status != MSFL_OK) {
        msfl_stream_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

void msfl_stream_free(msfl_stream *s) {
    if (s == NULL) return;
    if (s->gzip) (void)inflateEnd(&s->z);
    msfl_free(s);
}

uint64_t msfl_stream_bytes_max(const msfl_stream *s) {
    return s->gzip ? s->file_bytes * MSFL_DEFLATE_RATIO_MAX : s->file_bytes;
}

static msfl_status some_plain(msfl_stream *s, uint8_t *out, size_t length, size_t *n) {
    while (*n < length) {
        if (s->at == s->have) {
            msfl_status status = fill(s);
            if (status != MSFL_OK || s->have == 0) return status;
        }
        size_t m = s->have - s->at < length - *n ? s->have - s->at : length - *n;
        memcpy(out + *n, s->block + s->at, m);
        s->at += m;
        *n += m;
    }
    return MSFL_OK;
}

/* One call of inflate; `ended` when no further member follows. */
static msfl_status inflate_step(msfl_stream *s, uint8_t *out, size_t length, size_t *n, bool *ended) {
    if (s->at == s->have) {
        msfl_status status = fill(s);
        if (status != MSFL_OK) return status;
        if (s->have == 0) {
            *ended = true;
            if (!s->member_open) return MSFL_OK;
            return msfl_fault_fail(MSFL_FAULT_TRUNCATED, "%s: the gzip file ends too soon", s->name);
        }
    }
    if (!s->member_open) {
        if (s->block[s->at] != 0x1f) { /* padding behind the last member */
            *ended = true;
            return MSFL_OK;
        }
        if (inflateReset(&s->z) != Z_OK) return msfl_fault_fail(MSFL_FAULT_DAMAGED, "%s: not a gzip file", s->name);
        s->member_open = true;
    }
    size_t want = length - *n < (size_t)1 << 30 ? length - *n : (size_t)1 << 30;
    s->z.next_in = s->block + s->at;
    s->z.avail_in = (unsigned)(s->have - s->at);
    s->z.next_out = out + *n;
    s->z.avail_out = (unsigned)want;
    int code = inflate(&s->z, Z_NO_FLUSH);
    s->at = s->have - s->z.avail_in;
    *n += want - s->z.avail_out;
    if (code == Z_STREAM_END) s->member_open = false;
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR) return MSFL_OK;
    if (code == Z_MEM_ERROR) return MSFL_NO_MEMORY;
    return msfl_fault_fail(MSFL_FAULT_DAMAGED, "%s: the gzip file is damaged (%s)", s->name,
                           s->z.msg != NULL ? s->z.msg : "zlib refuses it");
}

msfl_status msfl_stream_some(msfl_stream *s, void *out, size_t length, size_t *n) {
    *n = 0;
    if (!s->gzip) return some_plain(s, out, length, n);
    bool ended = false;
    msfl_status status = MSFL_OK;
    while (status == MSFL_OK && *n < length && !ended)
        status = inflate_step(s, out, length, n, &ended);
    return status;
}

msfl_status msfl_stream_read(msfl_stream *s, void *out, size_t length) {
    size_t n;
    msfl_status status = msfl_stream_some(s, out, length, &n);
    if (status == MSFL_OK && n < length) {
        status = msfl_fault_fail(MSFL_FAULT_TRUNCATED, "%s: the file ends too soon", s->name);
    }
    return status;
}

msfl_status msfl_stream_skip(msfl_stream *s, uint64_t length) {
    uint8_t sink[4096];
    msfl_status status = MSFL_OK;
    while (status == MSFL_OK && length > 0) {
        size_t n = length < sizeof sink ? (size_t)length : sizeof sink;
        status = msfl_stream_read(s, sink, n);
        length -= n;
    }
    return status;
}

msfl_status msfl_stream_finish(msfl_stream *s) {
    uint8_t sink[4096];
    size_t n = sizeof sink;
    msfl_status status = MSFL_OK;
    for (size_t total = 0; s->gzip && status == MSFL_OK && n == sizeof sink && total < REST_BYTES_MAX; total += n)
        status = msfl_stream_some(s, sink, sizeof sink, &n);
    return status;
}
