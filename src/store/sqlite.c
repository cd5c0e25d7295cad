#include "store/sqlite.h"

#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

enum {
    APPLICATION = 0x4d53464c,  /* "MSFL" in the header of the file */
    BUSY_MS = 2000,            /* a process that ends may need a moment to let go of its lock */
    VALUE_BYTES_MAX = 64 << 20 /* of one value or statement; callers have lower bounds */
};

struct store_db {
    sqlite3 *handle;
    char *path;
};

struct store_query {
    store_db *db;
    sqlite3_stmt *statement;
    int bound; /* first failure of a bind */
};

/* SQLite's allocations fail in tests like our own do. */
static sqlite3_mem_methods system_memory;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int started = SQLITE_ERROR;

static void *allocate(int n) {
    return msfl_alloc_must_fail() ? NULL : system_memory.xMalloc(n);
}

static void *reallocate(void *p, int n) {
    return msfl_alloc_must_fail() ? NULL : system_memory.xRealloc(p, n);
}

static void start(void) {
    int code = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_memory);
    sqlite3_mem_methods ours = system_memory;
    ours.xMalloc = allocate;
    ours.xRealloc = reallocate;
    if (code == SQLITE_OK) code = sqlite3_config(SQLITE_CONFIG_MALLOC, &ours);
    if (code == SQLITE_OK) code = sqlite3_initialize();
    started = code;
}

static msfl_status failed(const store_db *db, int code) {
    const char *path = db->path;
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return MSFL_OK;
    case SQLITE_NOMEM:
        return msfl_fail(MSFL_ERR_MEMORY, "%s: out of memory", path);
    case SQLITE_FULL:
        return msfl_fail(MSFL_ERR_IO, "%s: the disk is full; nothing of this step was kept: make room and start again",
                         path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return msfl_fail(MSFL_ERR_FORMAT, "%s is damaged, or not a file of this program: restore it from a copy", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return msfl_fail(MSFL_ERR_EXISTS, "%s is in use by another process; only one may work on it", path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return msfl_fail(MSFL_ERR_IO, "%s cannot be opened for writing", path);
    case SQLITE_TOOBIG:
        return msfl_fail(MSFL_ERR_LIMIT, "%s: a value of more than %d bytes", path, VALUE_BYTES_MAX);
    default:
        return msfl_fail(MSFL_ERR_IO, "%s: %s", path, sqlite3_errstr(code));
    }
}

msfl_status store_db_run(store_db *db, const char *sql) {
    return failed(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

static msfl_status pragma(store_db *db, const char *sql, int64_t *value, bool *fine) {
    store_query *query = NULL;
    bool row = false;
    msfl_status status = store_query_new(db, sql, &query);
    if (status == MSFL_OK) status = store_query_step(query, &row);
    if (status == MSFL_OK) {
        size_t length = 0;
        if (value != NULL) *value = row ? store_column_number(query, 0) : 0;
        const char *text = row && fine != NULL ? store_column_bytes(query, 0, &length) : NULL;
        if (fine != NULL) *fine = text != NULL && length == 2 && text[0] == 'o' && text[1] == 'k';
    }
    store_query_free(query);
    return status;
}

static msfl_status prepare(store_db *db, const char *schema, int version) {
    int64_t application = 0, found = 0, tables = 0;
    bool whole = false;
    char text[96];
    /* Exclusive: the second process is refused, and no shared memory file is needed. */
    msfl_status status = store_db_run(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                                          "PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;"
                                          "BEGIN EXCLUSIVE; COMMIT;");
    if (status == MSFL_OK) status = pragma(db, "PRAGMA integrity_check(1)", NULL, &whole);
    if (status == MSFL_OK && !whole) return failed(db, SQLITE_CORRUPT);
    if (status == MSFL_OK) status = pragma(db, "PRAGMA application_id", &application, NULL);
    if (status == MSFL_OK) status = pragma(db, "PRAGMA user_version", &found, NULL);
    if (status == MSFL_OK) status = pragma(db, "SELECT count(*) FROM sqlite_schema", &tables, NULL);
    if (status != MSFL_OK) return status;
    if (tables == 0 && found == 0) {
        (void)snprintf(text, sizeof text, "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT;", APPLICATION,
                       version);
        status = store_db_run(db, "BEGIN IMMEDIATE");
        if (status == MSFL_OK) status = store_db_run(db, schema);
        return status == MSFL_OK ? store_db_run(db, text) : status;
    }
    if (application != APPLICATION) return failed(db, SQLITE_NOTADB);
    if (found > version) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s was written by a later version of this program", db->path);
    }
    return MSFL_OK;
}

msfl_status store_db_open(const char *path, const char *schema, int version, store_db **out) {
    *out = NULL;
    (void)pthread_once(&once, start);
    if (started != SQLITE_OK) return msfl_fail(MSFL_ERR_SYSTEM, "SQLite does not start");
    store_db *db = msfl_alloc(1, sizeof *db);
    if (db == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_NO_MEMORY;
    db->path = msfl_strdup(path);
    if (db->path == NULL) goto done;
    /* Made here for its mode, which the files beside it inherit. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        status = msfl_fail_errno(errno, "cannot open %s", path);
        goto done;
    }
    close(fd);
    status = failed(db, sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL));
    if (status != MSFL_OK) goto done;
    (void)sqlite3_busy_timeout(db->handle, BUSY_MS);
    (void)sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    status = prepare(db, schema, version);
    if (status != MSFL_OK) goto done;
    *out = db;
    db = NULL;
done:
    store_db_close(db);
    return status;
}

void store_db_close(store_db *db) {
    if (db == NULL) return;
    (void)sqlite3_close(db->handle);
    msfl_free(db->path);
    msfl_free(db);
}

int64_t store_db_row(store_db *db) {
    return sqlite3_last_insert_rowid(db->handle);
}

msfl_status store_query_new(store_db *db, const char *sql, store_query **out) {
    *out = NULL;
    store_query *query = msfl_alloc(1, sizeof *query);
    if (query == NULL) return MSFL_NO_MEMORY;
    query->db = db;
    msfl_status status =
        failed(db, sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &query->statement, NULL));
    if (status != MSFL_OK) {
        msfl_free(query);
        return status;
    }
    *out = query;
    return MSFL_OK;
}

void store_query_free(store_query *query) {
    if (query == NULL) return;
    (void)sqlite3_finalize(query->statement);
    msfl_free(query);
}

static void note(store_query *query, int code) {
    if (query->bound == SQLITE_OK) query->bound = code;
}

void store_bind_bytes(store_query *query, int place, const void *bytes, size_t length) {
    static const char nothing[1];
    note(query, sqlite3_bind_blob64(query->statement, place, length == 0 ? nothing : bytes, length, SQLITE_STATIC));
}

void store_bind_text(store_query *query, int place, const char *text) {
    note(query, sqlite3_bind_text(query->statement, place, text, -1, SQLITE_STATIC));
}

void store_bind_number(store_query *query, int place, int64_t number) {
    note(query, sqlite3_bind_int64(query->statement, place, number));
}

msfl_status store_query_step(store_query *query, bool *row) {
    *row = false;
    if (query->bound != SQLITE_OK) return failed(query->db, query->bound);
    int code = sqlite3_step(query->statement);
    *row = code == SQLITE_ROW;
    return failed(query->db, code);
}

msfl_status store_query_run(store_query *query) {
    bool row;
    msfl_status status = store_query_step(query, &row);
    store_query_reset(query);
    return status;
}

void store_query_reset(store_query *query) {
    (void)sqlite3_reset(query->statement);
    (void)sqlite3_clear_bindings(query->statement);
    query->bound = SQLITE_OK;
}

const void *store_column_bytes(store_query *query, int column, size_t *length) {
    static const char nothing[1];
    const void *bytes = sqlite3_column_blob(query->statement, column);
    int n = sqlite3_column_bytes(query->statement, column);
    *length = n < 0 ? 0 : (size_t)n;
    /* An empty value is NULL as well. */
    if (bytes == NULL && sqlite3_errcode(query->db->handle) != SQLITE_NOMEM) return nothing;
    return bytes;
}

int64_t store_column_number(store_query *query, int column) {
    return sqlite3_column_int64(query->statement, column);
}
