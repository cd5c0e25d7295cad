/* PKWARE APPNOTE 6.3.9, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (its end). */
#include "coordinator/bundle.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/sodium.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    LOCAL = 0x04034b50,
    CENTRAL = 0x02014b50,
    END = 0x06054b50,
    VERSION_NEEDED = 10,
    DATE_1980 = 0x21, /* the first day that the format knows: what a file is does not depend on when it was fetched */
    NAME_MAX_BYTES = 200
};
static const size_t file_bytes_max = 64 << 20, all_bytes_max = (size_t)2 << 30;

typedef struct bundle {
    int fd;
    uint64_t length;
    msfl_buffer directory;
    uint32_t n;
    msfl_hash hash;
} bundle;

/* Polynomial 0xedb88320, as in ISO 3309. */
static uint32_t crc32_of(const uint8_t *bytes, size_t length) {
    uint32_t table[256], crc = 0xffffffff;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = (c & 1) != 0 ? 0xedb88320 ^ (c >> 1) : c >> 1;
        table[i] = c;
    }
    for (size_t i = 0; i < length; i++)
        crc = table[(crc ^ bytes[i]) & 0xff] ^ (crc >> 8);
    return ~crc;
}

static msfl_status put(bundle *b, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    if (length > all_bytes_max - b->length) return msfl_fail(MSFL_ERR_LIMIT, "the files are too much for one download");
    while (length > 0) {
        ssize_t n = write(b->fd, p, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return msfl_fail_errno(n < 0 ? errno : EIO, "a download cannot be put together");
        p += n;
        length -= (size_t)n;
        b->length += (uint64_t)n;
    }
    return MSFL_OK;
}

static void put16(msfl_buffer *b, uint32_t v) {
    msfl_put8(b, (uint8_t)v);
    msfl_put8(b, (uint8_t)(v >> 8));
}

/** What local header and directory have in common. */
static void put_entry(msfl_buffer *b, uint32_t crc, size_t length, size_t name_length) {
    put16(b, VERSION_NEEDED);
    put16(b, 0); /* flags */
    put16(b, 0); /* stored */
    put16(b, 0); /* time */
    put16(b, DATE_1980);
    msfl_put32(b, crc);
    msfl_put32(b, (uint32_t)length);
    msfl_put32(b, (uint32_t)length);
    put16(b, (uint32_t)name_length);
    put16(b, 0); /* extra */
}

static msfl_status add(bundle *b, const char *folder, const char *name) {
    uint8_t *bytes = NULL;
    size_t length = 0;
    msfl_buffer head = {0};
    char *path = msfl_path_join(folder, name);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    if (msfl_is_folder(path)) goto done;
    status = msfl_file_read(path, file_bytes_max, &bytes, &length);
    if (status != MSFL_OK) goto done;
    const uint32_t crc = crc32_of(bytes, length), at = (uint32_t)b->length;
    msfl_put32(&head, LOCAL);
    put_entry(&head, crc, length, strlen(name));
    msfl_put_bytes(&head, name, strlen(name));
    status = head.status == MSFL_OK ? put(b, head.bytes, head.length) : head.status;
    if (status == MSFL_OK) status = put(b, bytes, length);
    msfl_put32(&b->directory, CENTRAL);
    put16(&b->directory, VERSION_NEEDED);
    put_entry(&b->directory, crc, length, strlen(name));
    put16(&b->directory, 0);      /* comment */
    put16(&b->directory, 0);      /* disk */
    put16(&b->directory, 0);      /* internal attributes */
    msfl_put32(&b->directory, 0); /* external attributes */
    msfl_put32(&b->directory, at);
    msfl_put_bytes(&b->directory, name, strlen(name));
    msfl_hash_add_field(&b->hash, name, strlen(name));
    msfl_hash_add_field(&b->hash, bytes, length);
    b->n++;
done:
    msfl_buffer_clear(&head);
    msfl_free(bytes);
    msfl_free(path);
    return status;
}

static msfl_status finish(bundle *b) {
    const uint64_t at = b->length;
    msfl_buffer end = {0};
    msfl_status status = b->directory.status;
    if (status == MSFL_OK) status = put(b, b->directory.bytes, b->directory.length);
    msfl_put32(&end, END);
    put16(&end, 0);
    put16(&end, 0);
    put16(&end, b->n);
    put16(&end, b->n);
    msfl_put32(&end, (uint32_t)b->directory.length);
    msfl_put32(&end, (uint32_t)at);
    put16(&end, 0);
    if (status == MSFL_OK) status = end.status;
    if (status == MSFL_OK) status = put(b, end.bytes, end.length);
    msfl_buffer_clear(&end);
    return status;
}

static bool is_left_over(const char *name) {
    return name[0] == '.' || strstr(name, MSFL_PARTIAL) != NULL || strlen(name) > NAME_MAX_BYTES;
}

msfl_status coord_bundle(const char *folder, int *fd, uint64_t *length, char *etag) {
    bundle b = {.fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
    char **names = NULL;
    size_t n = 0;
    uint8_t hash[MSFL_HASH_BYTES];
    *fd = -1;
    if (b.fd < 0) return msfl_fail_errno(errno, "a download cannot be put together in %s", folder);
    msfl_hash_init(&b.hash, "msfl.bundle.v1");
    msfl_status status = msfl_folder_list(folder, COORD_BUNDLE_FILES_MAX, &names, &n);
    for (size_t i = 0; i < n && status == MSFL_OK; i++)
        if (!is_left_over(names[i])) status = add(&b, folder, names[i]);
    if (status == MSFL_OK) status = finish(&b);
    msfl_names_free(names, n);
    msfl_buffer_clear(&b.directory);
    if (status != MSFL_OK) {
        close(b.fd);
        return status;
    }
    msfl_hash_final(&b.hash, hash);
    msfl_hex(hash, 16, etag);
    *fd = b.fd;
    *length = b.length;
    return MSFL_OK;
}
