#include "import/memo.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/decode.h"
#include "import/memo_table.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STAT = 48 };
/* Twice the largest volume: samples, headers and whatever else a file of one holds. */
static const off_t FILE_BYTES_MAX = 2 * (off_t)MSFL_VOLUME_BYTES_MAX;

struct msfl_memo {
    const uint8_t *key;
    msfl_memo_table *table; /* NULL: nothing is kept */
    pthread_mutex_t mutex;  /* of the table */
};

msfl_status msfl_memo_open(const char *folder, const uint8_t *key, msfl_memo **out) {
    *out = NULL;
    msfl_memo *m = msfl_alloc(1, sizeof *m);
    if (m == NULL) return MSFL_NO_MEMORY;
    pthread_mutex_init(&m->mutex, NULL);
    m->key = key;
    msfl_status status = MSFL_OK;
    if (folder != NULL) {
        char *path = msfl_path_join(folder, "seen.bin");
        status = path == NULL ? MSFL_NO_MEMORY : msfl_memo_table_open(path, key, &m->table);
        msfl_free(path);
    }
    if (status != MSFL_OK) {
        msfl_memo_close(m);
        return status;
    }
    *out = m;
    return MSFL_OK;
}

void msfl_memo_close(msfl_memo *m) {
    if (m == NULL) return;
    msfl_memo_table_close(m->table);
    pthread_mutex_destroy(&m->mutex);
    msfl_free(m);
}

static void stat_of(const struct stat *s, uint8_t out[STAT]) {
    const uint64_t values[STAT / 8] = {(uint64_t)s->st_dev,
                                       (uint64_t)s->st_ino,
                                       (uint64_t)s->st_size,
                                       (uint64_t)s->st_mtim.tv_sec * 1000000000u + (uint64_t)s->st_mtim.tv_nsec,
                                       (uint64_t)s->st_ctim.tv_sec * 1000000000u + (uint64_t)s->st_ctim.tv_nsec,
                                       0};
    for (size_t i = 0; i < STAT / 8; i++)
        msfl_store64(out + 8 * i, values[i]);
}

/* What is kept of it. Keyed: an archive writes a file when a patient was there, and sizes are known to those who have
 * the same files. */
static void look_of(const msfl_memo *m, const struct stat *s, uint8_t out[MSFL_MEMO_LOOK]) {
    uint8_t values[STAT], whole[MSFL_HASH_BYTES];
    stat_of(s, values);
    msfl_hash h;
    msfl_hash_init_keyed(&h, m->key, "msfl.memo.look");
    msfl_hash_add(&h, values, sizeof values);
    msfl_hash_final(&h, whole);
    msfl_hash_clear(&h);
    memcpy(out, whole, MSFL_MEMO_LOOK);
}

static msfl_status look_at(const char *path, msfl_hash *h) {
    struct stat s;
    uint8_t values[STAT];
    if (stat(path, &s) != 0) return msfl_fail_errno(errno, "cannot examine %s", path);
    stat_of(&s, values);
    msfl_hash_add_field(h, path, strlen(path));
    msfl_hash_add(h, values, sizeof values);
    return MSFL_OK;
}

msfl_status msfl_memo_look(const char *path, msfl_hash *h) {
    char *partner = NULL;
    msfl_status status = look_at(path, h);
    if (status == MSFL_OK) status = msfl_image_partner(path, &partner);
    if (status == MSFL_OK && partner != NULL) status = look_at(partner, h);
    msfl_free(partner);
    return status;
}

/* Hash the file, and see that it stayed as it was meanwhile. Keyed, since it is kept: who has an image must not be able
 * to ask a cache whether it is among the hospital's. */
static msfl_status read_content(const msfl_memo *m, const char *path, msfl_memo_entry *e, bool *lasting) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return msfl_fail_errno(errno, "cannot open %s", path);
    enum { BLOCK = 1 << 16 };
    struct stat before, after;
    uint8_t *block = msfl_alloc(BLOCK, 1), look[MSFL_MEMO_LOOK];
    msfl_status status = block == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    msfl_hash h;
    msfl_hash_init_keyed(&h, m->key, "msfl.file.content");
    if (status == MSFL_OK && fstat(fd, &before) != 0) status = msfl_fail_errno(errno, "cannot examine %s", path);
    /* Names come from tables and links lead anywhere: a device never ends. */
    if (status == MSFL_OK && !S_ISREG(before.st_mode)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is not a regular file", path);
    } else if (status == MSFL_OK && before.st_size > FILE_BYTES_MAX) {
        status =
            msfl_fail(MSFL_ERR_LIMIT, "%s has %lld bytes; no image file is as long", path, (long long)before.st_size);
    }
    /* No further than it was long at first: one that keeps growing is as bad as a device, and is not lasting. */
    for (off_t left = status == MSFL_OK ? before.st_size : 0; left > 0 && status == MSFL_OK;) {
        ssize_t n = read(fd, block, left < BLOCK ? (size_t)left : BLOCK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = msfl_fail_errno(errno, "cannot read %s", path);
        if (n <= 0) break;
        msfl_hash_add(&h, block, (size_t)n);
        left -= n;
    }
    if (status == MSFL_OK && fstat(fd, &after) != 0) status = msfl_fail_errno(errno, "cannot examine %s", path);
    if (status == MSFL_OK) {
        msfl_hash_final(&h, e->content);
        look_of(m, &before, e->look);
        look_of(m, &after, look);
        *lasting = memcmp(look, e->look, sizeof look) == 0 && after.st_mtim.tv_sec + 2 < time(NULL);
    }
    msfl_hash_clear(&h);
    msfl_free(block);
    close(fd);
    return status;
}

static msfl_status content_of(msfl_memo *m, const char *path, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_memo_entry e = {0}, known = {0};
    uint8_t name[MSFL_HASH_BYTES], look[MSFL_MEMO_LOOK];
    struct stat s;
    if (stat(path, &s) != 0) return msfl_fail_errno(errno, "cannot examine %s", path);
    look_of(m, &s, look);
    msfl_hash h;
    msfl_hash_init_keyed(&h, m->key, "msfl.memo.path");
    msfl_hash_add(&h, path, strlen(path));
    msfl_hash_final(&h, name);
    msfl_hash_clear(&h);
    memcpy(e.name, name, sizeof e.name);
    memcpy(known.name, name, sizeof known.name);
    pthread_mutex_lock(&m->mutex);
    bool same = m->table != NULL && msfl_memo_table_get(m->table, &known);
    pthread_mutex_unlock(&m->mutex);
    if (same && memcmp(known.look, look, sizeof look) == 0) {
        memcpy(out, known.content, MSFL_HASH_BYTES);
        return MSFL_OK;
    }
    bool lasting = false;
    msfl_status status = read_content(m, path, &e, &lasting);
    if (status != MSFL_OK) return status;
    memcpy(out, e.content, MSFL_HASH_BYTES);
    if (!lasting || m->table == NULL) return MSFL_OK;
    pthread_mutex_lock(&m->mutex);
    msfl_memo_table_put(m->table, &e);
    pthread_mutex_unlock(&m->mutex);
    return MSFL_OK;
}

msfl_status msfl_memo_content(msfl_memo *m, const char *path, uint8_t out[MSFL_HASH_BYTES]) {
    char *partner = NULL;
    uint8_t parts[2 * MSFL_HASH_BYTES];
    msfl_status status = content_of(m, path, parts);
    if (status == MSFL_OK) status = msfl_image_partner(path, &partner);
    if (status == MSFL_OK && partner != NULL) status = content_of(m, partner, parts + MSFL_HASH_BYTES);
    if (status == MSFL_OK && partner != NULL) {
        msfl_hash h;
        msfl_hash_init(&h, "msfl.pair.content");
        msfl_hash_add(&h, parts, sizeof parts);
        msfl_hash_final(&h, parts);
        msfl_hash_clear(&h);
    }
    if (status == MSFL_OK) memcpy(out, parts, MSFL_HASH_BYTES);
    msfl_free(partner);
    return status;
}
