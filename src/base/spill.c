#include "base/spill.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/sodium.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { TAIL = 1 << 16, KEY = 32, BLOCK = 64, PIECE = 1024 };

struct msfl_spill {
    char *folder;
    size_t row_bytes, n;
    uint8_t *key; /* secret */
    int fd;       /* -1: nothing was written yet */
    uint64_t written;
    uint8_t *tail; /* what stands behind `written`: whole rows */
    size_t in_tail;
};

msfl_status msfl_spill_new(const char *folder, size_t row_bytes, msfl_spill **out) {
    *out = NULL;
    if (row_bytes == 0 || row_bytes > TAIL) {
        return msfl_fail(MSFL_ERR_LIMIT, "rows of %zu bytes; of 1 to %d are set aside", row_bytes, TAIL);
    }
    msfl_spill *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->fd = -1;
    s->row_bytes = row_bytes;
    s->folder = msfl_strdup(folder);
    s->key = msfl_secret_alloc(KEY);
    s->tail = msfl_alloc(TAIL, 1);
    if (s->folder == NULL || s->key == NULL || s->tail == NULL) {
        msfl_spill_free(s);
        return MSFL_NO_MEMORY;
    }
    msfl_random_bytes(s->key, KEY);
    *out = s;
    return MSFL_OK;
}

void msfl_spill_free(msfl_spill *s) {
    if (s == NULL) return;
    if (s->fd >= 0) close(s->fd);
    if (s->tail != NULL) msfl_wipe(s->tail, TAIL);
    msfl_free(s->folder);
    msfl_free(s->tail);
    msfl_secret_free(s->key);
    msfl_free(s);
}

size_t msfl_spill_rows(const msfl_spill *s) {
    return s->n;
}

/* Every place of the file is written once, so no piece of the stream serves twice. */
static void whiten(const msfl_spill *s, uint8_t *bytes, size_t length, uint64_t at) {
    uint8_t stream[PIECE];
    while (length > 0) {
        size_t skipped = (size_t)(at % BLOCK), n = PIECE - skipped < length ? PIECE - skipped : length;
        msfl_chacha20_stream(s->key, 0, at / BLOCK, stream, skipped + n);
        for (size_t i = 0; i < n; i++)
            bytes[i] ^= stream[skipped + i];
        bytes += n;
        at += n;
        length -= n;
    }
    msfl_wipe(stream, sizeof stream);
}

static msfl_status make_file(msfl_spill *s) {
    if (msfl_file_step()) s->fd = open(s->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd >= 0) return MSFL_OK;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) {
        return msfl_fail_errno(errno, "cannot set anything aside in %s", s->folder);
    }
    /* File systems without nameless files: a name for a moment, of the kind that is swept up after a crash. */
    char *path = msfl_format("%s/spill" MSFL_PARTIAL "%ld%" PRIuPTR, s->folder, (long)getpid(), (uintptr_t)s);
    if (path == NULL) return MSFL_NO_MEMORY;
    s->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    msfl_status status = MSFL_OK;
    if (s->fd < 0 || unlink(path) != 0) {
        status = msfl_fail_errno(errno, "cannot set anything aside in %s", s->folder);
    }
    msfl_free(path);
    return status;
}

static msfl_status flush(msfl_spill *s) {
    msfl_status status = s->fd < 0 ? make_file(s) : MSFL_OK;
    if (status != MSFL_OK) return status;
    whiten(s, s->tail, s->in_tail, s->written);
    for (size_t at = 0; at < s->in_tail && status == MSFL_OK;) {
        ssize_t n = -1;
        if (msfl_file_step()) n = pwrite(s->fd, s->tail + at, s->in_tail - at, (off_t)(s->written + at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = msfl_fail_errno(errno, "cannot set anything aside in %s", s->folder);
        if (n > 0) at += (size_t)n;
    }
    if (status != MSFL_OK) {
        whiten(s, s->tail, s->in_tail, s->written); /* as it was */
        return status;
    }
    s->written += s->in_tail;
    s->in_tail = 0;
    return MSFL_OK;
}

msfl_status msfl_spill_add(msfl_spill *s, const void *row) {
    msfl_status status = TAIL - s->in_tail < s->row_bytes ? flush(s) : MSFL_OK;
    if (status != MSFL_OK) return status;
    memcpy(s->tail + s->in_tail, row, s->row_bytes);
    s->in_tail += s->row_bytes;
    s->n++;
    return MSFL_OK;
}

static msfl_status read_file(const msfl_spill *s, uint8_t *out, size_t length, uint64_t at) {
    for (size_t have = 0; have < length;) {
        ssize_t n = pread(s->fd, out + have, length - have, (off_t)(at + have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return msfl_fail_errno(errno, "cannot read what was set aside in %s", s->folder);
        if (n == 0) return msfl_fail(MSFL_ERR_IO, "what was set aside in %s ends early", s->folder);
        have += (size_t)n;
    }
    whiten(s, out, length, at);
    return MSFL_OK;
}

msfl_status msfl_spill_read(const msfl_spill *s, void *out, size_t first, size_t n) {
    if (first > s->n || n > s->n - first) return msfl_fail(MSFL_ERR_LIMIT, "%zu rows are set aside", s->n);
    const uint64_t begin = (uint64_t)first * s->row_bytes, end = begin + (uint64_t)n * s->row_bytes;
    const uint64_t middle = begin > s->written ? begin : end < s->written ? end : s->written;
    if (middle > begin) {
        msfl_status status = read_file(s, out, (size_t)(middle - begin), begin);
        if (status != MSFL_OK) return status;
    }
    if (end > middle) {
        memcpy((uint8_t *)out + (middle - begin), s->tail + (middle - s->written), (size_t)(end - middle));
    }
    return MSFL_OK;
}
