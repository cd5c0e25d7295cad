/* Folders of test pictures in a temporary place. */
#ifndef TEST_TREE_H
#define TEST_TREE_H

#include "../image/pictures.h"

#include "base/mem.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

static char tree_root[64];

static inline int remove_one(const char *path, const struct stat *info, int type, struct FTW *where) {
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static inline void tree_begin(void) {
    /* In memory where there is such a place: imports wait for the disk at every file, and some tests make hundreds. */
    snprintf(tree_root, sizeof tree_root, "%s/msfl-tree-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(tree_root) == NULL) abort();
}

static inline void tree_end(void) {
    nftw(tree_root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/** The same as setup and teardown of a test; the teardown also ends what msfl_alloc_fail_at began. */
static inline int tree_setup(void **state) {
    (void)state;
    tree_begin();
    return 0;
}

static inline int tree_teardown(void **state) {
    (void)state;
    msfl_alloc_fail_at(0);
    tree_end();
    return 0;
}

/** Path below the root; stands until the fourth call after. Makes the folders in front of the name. */
static inline const char *at(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline const char *at(const char *fmt, ...) {
    static char paths[4][512];
    static int next;
    char *path = paths[next++ & 3];
    int n = snprintf(path, 256, "%s/", tree_root);
    va_list args;
    va_start(args, fmt);
    vsnprintf(path + n, 256, fmt, args);
    va_end(args);
    for (char *p = path + n; *p != 0; p++) {
        if (*p != '/') continue;
        *p = 0;
        mkdir(path, 0755);
        *p = '/';
    }
    return path;
}

static inline void put_text(const char *path, const char *text) {
    put_file(path, text, strlen(text));
}

/** A grey 8-bit PNG whose samples are all `value`. */
static inline void put_png(const char *path, uint32_t width, uint32_t height, uint8_t value) {
    uint8_t *samples = malloc((size_t)width * height);
    memset(samples, value, (size_t)width * height);
    bytes b = write_grey_png(width, height, samples);
    put_file(path, b.at, b.n);
    free(b.at);
    free(samples);
}

/** A grey 16-bit PNG whose samples are all `value`. */
static inline void put_png16(const char *path, uint32_t width, uint32_t height, uint16_t value) {
    uint8_t *samples = malloc((size_t)2 * width * height);
    for (size_t i = 0; i < (size_t)width * height; i++) {
        samples[2 * i] = (uint8_t)(value >> 8);
        samples[2 * i + 1] = (uint8_t)value;
    }
    bytes b = write_png(width, height, PNG_COLOR_TYPE_GRAY, 16, 0, NULL, 0, NULL, 0, samples);
    put_file(path, b.at, b.n);
    free(b.at);
    free(samples);
}

static inline void put_jpeg(const char *path, uint32_t width, uint32_t height, int channels) {
    uint8_t *samples = smooth_samples(width, height, (uint32_t)channels);
    bytes b = write_jpeg(width, height, channels, 90, false, samples);
    put_file(path, b.at, b.n);
    free(b.at);
    free(samples);
}

/** The first `n` bytes of a PNG; `n` 0: half of it. */
static inline void put_cut_png(const char *path, size_t n) {
    uint8_t *samples = noisy_samples(20, 20, 1, 1);
    bytes b = write_grey_png(20, 20, samples);
    put_file(path, b.at, n == 0 ? b.n / 2 : n);
    free(b.at);
    free(samples);
}

#endif
