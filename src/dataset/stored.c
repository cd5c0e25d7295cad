#include "dataset/stored.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = MSFL_STORED_CHUNK_BYTES, EXTRA = MSFL_AEAD_NONCE_BYTES + MSFL_AEAD_TAG_BYTES, LABEL_BYTES = 32 };

struct msfl_stored {
    msfl_output *output;
    const uint8_t *key;
    char label[LABEL_BYTES];
    msfl_hash hash;
    uint8_t *chunk, *sealed;
    size_t have;
    uint64_t number;
};

/* What a chunk is bound to. */
static size_t bind(const char *label, uint64_t number, bool last, uint8_t out[LABEL_BYTES + 16]) {
    size_t n = strlen(label) + 1;
    memcpy(out, label, n);
    msfl_store64(out + n, number);
    out[n + 8] = last;
    return n + 9;
}

msfl_status msfl_stored_new(const char *path, const uint8_t *key, const char *label, msfl_stored **out) {
    *out = NULL;
    msfl_stored *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->key = key;
    snprintf(s->label, sizeof s->label, "%s", label);
    s->chunk = msfl_alloc(CHUNK, 1);
    s->sealed = key == NULL ? NULL : msfl_alloc(CHUNK + EXTRA, 1);
    msfl_status status =
        s->chunk == NULL || (key != NULL && s->sealed == NULL)
            ? MSFL_NO_MEMORY
            : msfl_output_open(path, MSFL_OUTPUT_REPLACE | (key != NULL ? MSFL_OUTPUT_PRIVATE : 0), &s->output);
    msfl_hash_init(&s->hash, "msfl.stored.v1");
    if (status != MSFL_OK) {
        msfl_stored_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

static msfl_status flush(msfl_stored *s, bool last) {
    const uint8_t *bytes = s->chunk;
    size_t n = s->have;
    if (s->key != NULL) {
        uint8_t data[LABEL_BYTES + 16];
        msfl_random_bytes(s->sealed, MSFL_AEAD_NONCE_BYTES);
        msfl_aead_seal(s->key, s->sealed, data, bind(s->label, s->number, last, data), s->chunk, n,
                       s->sealed + MSFL_AEAD_NONCE_BYTES);
        bytes = s->sealed;
        n += EXTRA;
    }
    s->number++;
    s->have = 0;
    msfl_hash_add(&s->hash, bytes, n);
    return msfl_output_write(s->output, bytes, n);
}

msfl_status msfl_stored_write(msfl_stored *s, const void *bytes, size_t length) {
    const uint8_t *at = bytes;
    while (length > 0) {
        /* Not before there is more: the last chunk is sealed as the last. */
        if (s->have == CHUNK) {
            msfl_status status = flush(s, false);
            if (status != MSFL_OK) return status;
        }
        size_t n = CHUNK - s->have < length ? CHUNK - s->have : length;
        memcpy(s->chunk + s->have, at, n);
        s->have += n;
        at += n;
        length -= n;
    }
    return MSFL_OK;
}

msfl_status msfl_stored_commit(msfl_stored *s, uint8_t hash[MSFL_HASH_BYTES]) {
    msfl_status status = flush(s, true);
    if (status == MSFL_OK) status = msfl_output_commit(s->output);
    if (status == MSFL_OK) msfl_hash_final(&s->hash, hash);
    return status;
}

void msfl_stored_free(msfl_stored *s) {
    if (s == NULL) return;
    msfl_output_free(s->output);
    if (s->chunk != NULL && s->key != NULL) msfl_wipe(s->chunk, CHUNK);
    msfl_free(s->chunk);
    msfl_free(s->sealed);
    msfl_free(s);
}

static msfl_status not_whole(const char *path) {
    return msfl_fail(MSFL_ERR_FORMAT, "%s is not as it was imported: run data import again", path);
}

static msfl_status open_exact(const char *path, uint64_t length, int *fd) {
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) return msfl_fail_errno(errno, "cannot open %s", path);
    struct stat info;
    msfl_status status = MSFL_OK;
    if (fstat(*fd, &info) != 0) {
        status = msfl_fail_errno(errno, "cannot examine %s", path);
    } else if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size != length) {
        status = not_whole(path);
    }
    if (status != MSFL_OK) close(*fd);
    return status;
}

static msfl_status read_exact(int fd, const char *path, uint8_t *out, size_t length) {
    while (length > 0) {
        ssize_t n = read(fd, out, length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return msfl_fail_errno(errno, "cannot read %s", path);
        if (n == 0) return not_whole(path);
        out += n;
        length -= (size_t)n;
    }
    return MSFL_OK;
}

msfl_status msfl_stored_read(const char *path, const uint8_t *key, const char *label,
                             const uint8_t hash[MSFL_HASH_BYTES], void *out, size_t length) {
    uint64_t n_chunks = length == 0 ? 1 : (length + CHUNK - 1) / CHUNK;
    uint8_t *sealed = NULL, *spare = NULL, found[MSFL_HASH_BYTES], *at = out;
    int fd = -1;
    msfl_hash h;
    msfl_status status = open_exact(path, length + (key != NULL ? n_chunks * EXTRA : 0), &fd);
    if (status != MSFL_OK) return status;
    sealed = key == NULL ? NULL : msfl_alloc(CHUNK + EXTRA, 1);
    spare = out != NULL ? NULL : msfl_alloc(CHUNK, 1);
    if ((key != NULL && sealed == NULL) || (out == NULL && spare == NULL)) {
        status = MSFL_NO_MEMORY;
        goto done;
    }
    if (out == NULL) at = spare;
    msfl_hash_init(&h, "msfl.stored.v1");
    for (uint64_t i = 0; i < n_chunks && status == MSFL_OK; i++) {
        size_t n = i + 1 < n_chunks ? CHUNK : length - (size_t)i * CHUNK;
        uint8_t *to = key != NULL ? sealed : at;
        size_t stored = n + (key != NULL ? EXTRA : 0);
        status = read_exact(fd, path, to, stored);
        if (status != MSFL_OK) break;
        msfl_hash_add(&h, to, stored);
        if (key != NULL) {
            uint8_t data[LABEL_BYTES + 16];
            size_t bound = bind(label, i, i + 1 == n_chunks, data);
            status = msfl_aead_open(key, sealed, data, bound, sealed + MSFL_AEAD_NONCE_BYTES,
                                    stored - MSFL_AEAD_NONCE_BYTES, at);
            if (status != MSFL_OK)
                status = msfl_fail(MSFL_ERR_CRYPTO, "%s was sealed under another key, or changed", path);
        }
        if (out != NULL) at += n;
    }
    if (status == MSFL_OK) {
        msfl_hash_final(&h, found);
        if (memcmp(found, hash, sizeof found) != 0) status = not_whole(path);
    }
done:
    if (spare != NULL && key != NULL) msfl_wipe(spare, CHUNK);
    msfl_free(sealed);
    msfl_free(spare);
    close(fd);
    if (status != MSFL_OK && out != NULL) memset(out, 0, length);
    return status;
}

msfl_status msfl_stored_map(const char *path, const uint8_t hash[MSFL_HASH_BYTES], size_t length, void **out) {
    int fd;
    msfl_status status = open_exact(path, length, &fd);
    if (status != MSFL_OK) return status;
    void *memory = length == 0 ? MAP_FAILED : mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        status = length == 0 ? not_whole(path) : msfl_fail_errno(errno, "cannot map %s", path);
        close(fd);
        return status;
    }
    close(fd);
    uint8_t found[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.stored.v1");
    msfl_hash_add(&h, memory, length);
    msfl_hash_final(&h, found);
    if (memcmp(found, hash, sizeof found) != 0) {
        munmap(memory, length);
        return not_whole(path);
    }
    *out = memory;
    return MSFL_OK;
}
