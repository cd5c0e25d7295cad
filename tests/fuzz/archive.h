/* Archives whose checksums of stored entries are put right, so that what is inside them is reached; as files. */
#ifndef FUZZ_ARCHIVE_H
#define FUZZ_ARCHIVE_H

#include "../unit/image/crc.h"
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static inline void mend(uint8_t *p, size_t n) {
    for (size_t at = 0; at + 46 <= n; at++) {
        if (msfl_load32(p + at) != 0x02014b50 || msfl_load16(p + at + 10) != 0) continue;
        size_t bytes = msfl_load32(p + at + 24), local = msfl_load32(p + at + 42);
        if (local + 30 > n || msfl_load32(p + local) != 0x04034b50) continue;
        size_t begin = local + 30 + msfl_load16(p + local + 26) + msfl_load16(p + local + 28);
        if (begin > n || bytes > n - begin) continue;
        uint32_t crc = crc_of(p + begin, bytes);
        msfl_store32(p + at + 16, crc);
        msfl_store32(p + local + 14, crc);
    }
}

/** A file in memory that holds these bytes, mended: its path, the same at every call. */
static inline const char *mended_file(const uint8_t *data, size_t size) {
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("mended", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    uint8_t *copy = malloc(size + 1);
    if (fd < 0 || copy == NULL) abort();
    memcpy(copy, data, size);
    mend(copy, size);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, copy, size, 0) != (ssize_t)size) abort();
    free(copy);
    return path;
}

#endif
