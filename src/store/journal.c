#include "store/journal.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/sodium.h"
#include "store/sqlite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { VERSION = 1, SUM_BYTES = 16 };

static const char schema[] =
    "CREATE TABLE journal(sequence INTEGER PRIMARY KEY AUTOINCREMENT, task BLOB NOT NULL, owner TEXT NOT NULL,"
    " record BLOB NOT NULL, sum BLOB NOT NULL);"
    "CREATE INDEX journal_order ON journal(task, owner, sequence);"
    "CREATE TABLE state(name TEXT PRIMARY KEY, value BLOB NOT NULL, sum BLOB NOT NULL);";

enum { APPEND, REPLAY, CUT, PUT, GET, QUERIES };
static const char *const texts[QUERIES] = {
    [APPEND] = "INSERT INTO journal(task, owner, record, sum) VALUES(?1, ?2, ?3, ?4)",
    [REPLAY] = "SELECT sequence, record, sum FROM journal WHERE task = ?1 AND owner = ?2 ORDER BY sequence",
    [CUT] = "DELETE FROM journal WHERE task = ?1 AND owner = ?2 AND sequence < ?3 AND sequence <> ?4",
    [PUT] = "REPLACE INTO state(name, value, sum) VALUES(?1, ?2, ?3)",
    [GET] = "SELECT value, sum FROM state WHERE name = ?1"};

struct store {
    store_db *db;
    store_query *queries[QUERIES];
    char *path;
    pthread_mutex_t lock; /* recursive: held from begin to commit */
    bool has_lock;
    bool together; /* within begin and commit */
};

static void checksum(const char *owner, const uint8_t *task, const void *bytes, size_t length, uint8_t out[SUM_BYTES]) {
    uint8_t full[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.store.v1");
    msfl_hash_add_field(&h, owner, strlen(owner));
    if (task != NULL) msfl_hash_add(&h, task, MSFL_HASH_BYTES);
    msfl_hash_add_field(&h, bytes, length);
    msfl_hash_final(&h, full);
    memcpy(out, full, SUM_BYTES);
}

static msfl_status damaged(const store *s) {
    return msfl_fail(MSFL_ERR_FORMAT, "%s: a record is not as it was written: restore the file from a copy", s->path);
}

static msfl_status init_lock(store *s) {
    pthread_mutexattr_t a;
    if (pthread_mutexattr_init(&a) != 0) return msfl_fail(MSFL_ERR_SYSTEM, "no lock to be had");
    (void)pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
    s->has_lock = pthread_mutex_init(&s->lock, &a) == 0;
    (void)pthread_mutexattr_destroy(&a);
    return s->has_lock ? MSFL_OK : msfl_fail(MSFL_ERR_SYSTEM, "no lock to be had");
}

msfl_status store_open(const char *path, store **out) {
    *out = NULL;
    store *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = init_lock(s);
    if (status == MSFL_OK) {
        s->path = msfl_strdup(path);
        if (s->path == NULL) status = MSFL_NO_MEMORY;
    }
    if (status == MSFL_OK) status = store_db_open(path, schema, VERSION, &s->db);
    for (int i = 0; i < QUERIES && status == MSFL_OK; i++)
        status = store_query_new(s->db, texts[i], &s->queries[i]);
    if (status != MSFL_OK) {
        store_close(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

void store_close(store *s) {
    if (s == NULL) return;
    for (int i = 0; i < QUERIES; i++)
        store_query_free(s->queries[i]);
    store_db_close(s->db);
    if (s->has_lock) (void)pthread_mutex_destroy(&s->lock);
    msfl_free(s->path);
    msfl_free(s);
}

static msfl_status check_name(const char *name, size_t most, size_t length) {
    size_t n = strlen(name);
    if (n == 0 || n > most) return msfl_fail(MSFL_ERR_USAGE, "a name of %zu bytes: 1 to %zu are allowed", n, most);
    if (length > STORE_RECORD_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "a record of %zu bytes: at most %d are kept", length, STORE_RECORD_BYTES_MAX);
    }
    return MSFL_OK;
}

/* One step that lasts; within begin and commit nothing does. */
static msfl_status step(store *s, store_query *q) {
    if (!s->together && !msfl_file_step()) {
        store_query_reset(q);
        return msfl_fail(MSFL_ERR_IO, "%s cannot be written", s->path);
    }
    return store_query_run(q);
}

/* --- journals --- */

msfl_status store_append(store *s, const uint8_t task[MSFL_HASH_BYTES], const char *owner, const uint8_t *record,
                         size_t length, uint64_t *sequence) {
    uint8_t sum[SUM_BYTES];
    msfl_status status = check_name(owner, STORE_OWNER_MAX, length);
    if (status != MSFL_OK) return status;
    checksum(owner, task, record, length, sum);
    pthread_mutex_lock(&s->lock);
    store_query *q = s->queries[APPEND];
    store_bind_bytes(q, 1, task, MSFL_HASH_BYTES);
    store_bind_text(q, 2, owner);
    store_bind_bytes(q, 3, record, length);
    store_bind_bytes(q, 4, sum, sizeof sum);
    status = step(s, q);
    if (status == MSFL_OK && sequence != NULL) *sequence = (uint64_t)store_db_row(s->db);
    pthread_mutex_unlock(&s->lock);
    return status;
}

/** Whether the row's value is what its checksum was made of; points into the row. */
static msfl_status take(const store *s, store_query *q, int column, const char *owner, const uint8_t *task,
                        const uint8_t **bytes, size_t *length) {
    uint8_t expected[SUM_BYTES];
    size_t n;
    *bytes = store_column_bytes(q, column, length);
    const void *sum = store_column_bytes(q, column + 1, &n);
    if (*bytes == NULL || sum == NULL) return msfl_fail(MSFL_ERR_MEMORY, "%s: out of memory", s->path);
    checksum(owner, task, *bytes, *length, expected);
    return n == SUM_BYTES && memcmp(sum, expected, SUM_BYTES) == 0 ? MSFL_OK : damaged(s);
}

msfl_status store_replay(store *s, const uint8_t task[MSFL_HASH_BYTES], const char *owner, store_each each, void *ctx) {
    pthread_mutex_lock(&s->lock);
    store_query *q = s->queries[REPLAY];
    store_bind_bytes(q, 1, task, MSFL_HASH_BYTES);
    store_bind_text(q, 2, owner);
    msfl_status status;
    for (;;) {
        bool row;
        const uint8_t *record;
        size_t length;
        status = store_query_step(q, &row);
        if (status != MSFL_OK || !row) break;
        status = take(s, q, 1, owner, task, &record, &length);
        if (status == MSFL_OK) status = each(ctx, (uint64_t)store_column_number(q, 0), record, length);
        if (status != MSFL_OK) break;
    }
    store_query_reset(q);
    pthread_mutex_unlock(&s->lock);
    return status;
}

msfl_status store_cut(store *s, const uint8_t task[MSFL_HASH_BYTES], const char *owner, uint64_t sequence,
                      uint64_t keep) {
    pthread_mutex_lock(&s->lock);
    store_query *q = s->queries[CUT];
    store_bind_bytes(q, 1, task, MSFL_HASH_BYTES);
    store_bind_text(q, 2, owner);
    store_bind_number(q, 3, (int64_t)sequence);
    store_bind_number(q, 4, (int64_t)keep);
    msfl_status status = step(s, q);
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* --- values --- */

msfl_status store_put(store *s, const char *name, const void *bytes, size_t length) {
    uint8_t sum[SUM_BYTES];
    msfl_status status = check_name(name, STORE_NAME_MAX, length);
    if (status != MSFL_OK) return status;
    checksum(name, NULL, bytes, length, sum);
    pthread_mutex_lock(&s->lock);
    store_query *q = s->queries[PUT];
    store_bind_text(q, 1, name);
    store_bind_bytes(q, 2, bytes, length);
    store_bind_bytes(q, 3, sum, sizeof sum);
    status = step(s, q);
    pthread_mutex_unlock(&s->lock);
    return status;
}

msfl_status store_get(store *s, const char *name, uint8_t **bytes, size_t *length) {
    *bytes = NULL;
    *length = 0;
    pthread_mutex_lock(&s->lock);
    store_query *q = s->queries[GET];
    store_bind_text(q, 1, name);
    bool row;
    const uint8_t *value;
    size_t n;
    msfl_status status = store_query_step(q, &row);
    if (status == MSFL_OK && row) status = take(s, q, 0, name, NULL, &value, &n);
    if (status == MSFL_OK && row) {
        *bytes = (uint8_t *)msfl_strndup((const char *)value, n);
        if (*bytes == NULL) {
            status = MSFL_NO_MEMORY;
        } else {
            *length = n;
        }
    }
    store_query_reset(q);
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* --- several steps as one --- */

msfl_status store_begin(store *s) {
    pthread_mutex_lock(&s->lock);
    msfl_status status = s->together ? msfl_fail(MSFL_ERR_USAGE, "%s: steps within steps", s->path)
                                     : store_db_run(s->db, "BEGIN IMMEDIATE");
    if (status != MSFL_OK) {
        pthread_mutex_unlock(&s->lock);
        return status;
    }
    s->together = true;
    return MSFL_OK;
}

/* SQLite ends a transaction by itself after some failures; then there is nothing left to undo. */
static void undo(store *s) {
    msfl_status ignored = store_db_run(s->db, "ROLLBACK");
    (void)ignored;
    s->together = false;
    pthread_mutex_unlock(&s->lock);
}

msfl_status store_commit(store *s) {
    msfl_status status =
        msfl_file_step() ? store_db_run(s->db, "COMMIT") : msfl_fail(MSFL_ERR_IO, "%s cannot be written", s->path);
    if (status != MSFL_OK) {
        char message[1024];
        (void)snprintf(message, sizeof message, "%s", msfl_error_message());
        undo(s);
        msfl_error_set(message);
        return status;
    }
    s->together = false;
    pthread_mutex_unlock(&s->lock);
    return MSFL_OK;
}

void store_rollback(store *s) {
    undo(s);
}
