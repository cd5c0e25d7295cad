#include "import/memo_table.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A page with the magic, then a power of two of buckets, one page each. An entry lies in the bucket that the first
 * bytes of its name choose; when one is full, and the table with it, that is written anew with twice as many. */
enum {
    SLOT = MSFL_MEMO_NAME + MSFL_MEMO_LOOK + MSFL_HASH_BYTES + MSFL_MEMO_CHECK,
    BUCKET = 4096,
    SLOTS = BUCKET / SLOT,
    BUCKETS_FIRST = 4,
    BUCKETS_MAX = 1 << 18 /* 13 million entries, in 1 GiB */
};
static const char magic[8] = "MSFLMEM3";

struct msfl_memo_table {
    char *path;
    const uint8_t *key;
    int fd; /* -1: nothing is kept */
    uint64_t n_buckets;
};

static bool read_at(int fd, uint8_t *out, size_t length, uint64_t at) {
    for (size_t have = 0; have < length;) {
        ssize_t n = pread(fd, out + have, length - have, (off_t)(at + have));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        have += (size_t)n;
    }
    return true;
}

static bool write_at(int fd, const uint8_t *bytes, size_t length, uint64_t at) {
    for (size_t have = 0; have < length;) {
        ssize_t n = pwrite(fd, bytes + have, length - have, (off_t)(at + have));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        have += (size_t)n;
    }
    return true;
}

static uint64_t place_of(uint64_t bucket) {
    return (bucket + 1) * BUCKET;
}

static uint64_t bucket_of(const uint8_t *name, uint64_t n_buckets) {
    return msfl_load64(name) & (n_buckets - 1);
}

static void check_of(const uint8_t *key, const uint8_t *slot, uint8_t out[MSFL_MEMO_CHECK]) {
    uint8_t whole[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init_keyed(&h, key, "msfl.memo.entry");
    msfl_hash_add(&h, slot, SLOT - MSFL_MEMO_CHECK);
    msfl_hash_final(&h, whole);
    msfl_hash_clear(&h);
    memcpy(out, whole, MSFL_MEMO_CHECK);
}

static bool is_good(const uint8_t *key, const uint8_t *slot) {
    uint8_t check[MSFL_MEMO_CHECK];
    check_of(key, slot, check);
    return msfl_equal(check, slot + SLOT - MSFL_MEMO_CHECK, sizeof check);
}

static bool is_empty(const uint8_t *slot) {
    static const uint8_t nothing[SLOT];
    return memcmp(slot, nothing, SLOT) == 0;
}

/* --- the file --- */

/* Whether an open file is a table; then its number of buckets. */
static bool look_at(int fd, uint64_t *n_buckets) {
    struct stat s;
    uint8_t first[sizeof magic];
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size % BUCKET != 0 || !read_at(fd, first, sizeof first, 0)) {
        return false;
    }
    const uint64_t n = (uint64_t)s.st_size / BUCKET - 1; /* not 0 bytes: the magic was read */
    *n_buckets = n;
    return memcmp(first, magic, sizeof magic) == 0 && n > 0 && n <= BUCKETS_MAX && (n & (n - 1)) == 0;
}

/* The file under the table's name, such as it is. */
static void take_file(msfl_memo_table *t) {
    uint64_t n_buckets = 0;
    int fd = open(t->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && !look_at(fd, &n_buckets)) {
        close(fd);
        fd = -1;
    }
    if (t->fd >= 0) close(t->fd);
    t->fd = fd;
    t->n_buckets = n_buckets;
}

/* What of a bucket's slots stays, in the bucket of a table twice as large. */
static void halve(const msfl_memo_table *t, const uint8_t *bucket, uint64_t to, uint8_t *out) {
    size_t n = 0;
    memset(out, 0, BUCKET);
    for (size_t i = 0; i < SLOTS; i++) {
        const uint8_t *slot = bucket + i * SLOT;
        if (is_empty(slot) || !is_good(t->key, slot) || bucket_of(slot, 2 * t->n_buckets) != to) continue;
        memcpy(out + n++ * SLOT, slot, SLOT);
    }
}

/* A table of `n_buckets` in the old one's place: empty, or (twice as many) with what is in the old one. */
static msfl_status write_anew(msfl_memo_table *t, uint64_t n_buckets, bool empty) {
    msfl_output *output = NULL;
    uint8_t *bucket = msfl_alloc(2, BUCKET), *out = bucket == NULL ? NULL : bucket + BUCKET;
    if (bucket == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_output_open(t->path, MSFL_OUTPUT_REPLACE | MSFL_OUTPUT_PRIVATE, &output);
    memcpy(out, magic, sizeof magic);
    if (status == MSFL_OK) status = msfl_output_write(output, out, BUCKET);
    memset(out, 0, BUCKET);
    for (uint64_t i = 0; i < n_buckets && status == MSFL_OK; i++) {
        if (!empty && read_at(t->fd, bucket, BUCKET, place_of(i & (t->n_buckets - 1)))) halve(t, bucket, i, out);
        status = msfl_output_write(output, out, BUCKET);
    }
    if (status == MSFL_OK) status = msfl_output_commit(output);
    msfl_output_free(output);
    msfl_free(bucket);
    if (status == MSFL_OK) take_file(t);
    return status;
}

msfl_status msfl_memo_table_open(const char *path, const uint8_t *key, msfl_memo_table **out) {
    *out = NULL;
    msfl_memo_table *t = msfl_alloc(1, sizeof *t);
    if (t == NULL) return MSFL_NO_MEMORY;
    t->fd = -1;
    t->key = key;
    t->path = msfl_strdup(path);
    msfl_status status = t->path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) take_file(t);
    if (status == MSFL_OK && t->fd < 0) {
        status = write_anew(t, BUCKETS_FIRST, true);
        if (status != MSFL_ERR_MEMORY) status = MSFL_OK; /* without it nothing is remembered */
    }
    if (status != MSFL_OK) {
        msfl_memo_table_close(t);
        return status;
    }
    *out = t;
    return MSFL_OK;
}

void msfl_memo_table_close(msfl_memo_table *t) {
    if (t == NULL) return;
    if (t->fd >= 0) close(t->fd);
    msfl_free(t->path);
    msfl_free(t);
}

/* --- entries --- */

bool msfl_memo_table_get(const msfl_memo_table *t, msfl_memo_entry *entry) {
    uint8_t bucket[BUCKET];
    if (t->fd < 0 || !read_at(t->fd, bucket, BUCKET, place_of(bucket_of(entry->name, t->n_buckets)))) return false;
    for (size_t i = 0; i < SLOTS; i++) {
        const uint8_t *slot = bucket + i * SLOT;
        if (memcmp(slot, entry->name, MSFL_MEMO_NAME) != 0 || !is_good(t->key, slot)) continue;
        memcpy(entry->look, slot + MSFL_MEMO_NAME, MSFL_MEMO_LOOK);
        memcpy(entry->content, slot + MSFL_MEMO_NAME + MSFL_MEMO_LOOK, MSFL_HASH_BYTES);
        return true;
    }
    return false;
}

/* The slot that an entry goes into: its own, an empty one, or one that was damaged. SLOTS: the bucket is full. */
static size_t slot_for(const msfl_memo_table *t, const uint8_t *bucket, const uint8_t *name) {
    size_t empty = SLOTS;
    for (size_t i = 0; i < SLOTS; i++) {
        const uint8_t *slot = bucket + i * SLOT;
        if (memcmp(slot, name, MSFL_MEMO_NAME) == 0) return i;
        if (empty == SLOTS && is_empty(slot)) empty = i;
    }
    for (size_t i = 0; i < SLOTS && empty == SLOTS; i++)
        if (!is_good(t->key, bucket + i * SLOT)) empty = i;
    return empty;
}

/* Whether a full bucket says that the table is full: names are hashes, so that the next one is hardly empty then. */
static bool is_filling(const msfl_memo_table *t, uint64_t full) {
    uint8_t bucket[BUCKET];
    size_t n = 0;
    if (!read_at(t->fd, bucket, BUCKET, place_of((full + 1) & (t->n_buckets - 1)))) return false;
    for (size_t i = 0; i < SLOTS; i++)
        n += !is_empty(bucket + i * SLOT);
    return n >= SLOTS / 4;
}

void msfl_memo_table_put(msfl_memo_table *t, const msfl_memo_entry *entry) {
    uint8_t bucket[BUCKET], slot[SLOT];
    while (t->fd >= 0) {
        const uint64_t number = bucket_of(entry->name, t->n_buckets), place = place_of(number);
        if (!read_at(t->fd, bucket, BUCKET, place)) return;
        size_t i = slot_for(t, bucket, entry->name);
        if (i == SLOTS && t->n_buckets < BUCKETS_MAX && is_filling(t, number)) {
            if (write_anew(t, 2 * t->n_buckets, false) != MSFL_OK) return;
            continue;
        }
        if (i == SLOTS) i = entry->name[8] % SLOTS; /* an old one is forgotten */
        memcpy(slot, entry->name, MSFL_MEMO_NAME);
        memcpy(slot + MSFL_MEMO_NAME, entry->look, MSFL_MEMO_LOOK);
        memcpy(slot + MSFL_MEMO_NAME + MSFL_MEMO_LOOK, entry->content, MSFL_HASH_BYTES);
        check_of(t->key, slot, slot + SLOT - MSFL_MEMO_CHECK);
        (void)write_at(t->fd, slot, SLOT, place + i * SLOT);
        return;
    }
}
