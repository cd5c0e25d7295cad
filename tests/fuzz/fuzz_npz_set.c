/* layer: dataset */
/* Whole data sets out of .npz files, whose checksums of stored entries are put right first. */
#include "base/bytes.h"
#include "base/mem.h"
#include "medsecurefl/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint32_t crc_of(const uint8_t *p, size_t n) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
    }
    return ~crc;
}

static void mend(uint8_t *p, size_t n) {
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("set", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    uint8_t *copy = malloc(size + 1);
    if (fd < 0 || copy == NULL) abort();
    memcpy(copy, data, size);
    mend(copy, size);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, copy, size, 0) != (ssize_t)size) abort();
    free(copy);
    const msfl_dataset_options options = {.width = 3, .height = 4, .n_threads = 1};
    msfl_dataset *set = NULL;
    if (msfl_dataset_open(path, &options, &set) != MSFL_OK) {
        if (set != NULL) abort();
        return 0;
    }
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    float pixels[3 * 4 * 3];
    for (uint32_t i = 0; i < info->n_images; i++) {
        if (msfl_dataset_label(set, i) >= info->n_classes || msfl_dataset_group(set, i) >= info->n_groups) abort();
        if (msfl_dataset_pixels(set, i, NULL, 0, pixels) != MSFL_OK) abort();
    }
    msfl_split split;
    if (msfl_dataset_split(set, 0.3, 0.2, 1, &split) == MSFL_OK) {
        if (split.train.n + split.validation.n + split.test.n != info->n_images) abort();
        msfl_split_clear(&split);
    }
    msfl_dataset_free(set);
    return 0;
}
