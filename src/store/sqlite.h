/* Shim for SQLite: one file, statements, bound values. Failures are statuses with the file's name in the message. */
#ifndef MSFL_STORE_SQLITE_H
#define MSFL_STORE_SQLITE_H

#include "medsecurefl/status.h"

typedef struct store_db store_db;
typedef struct store_query store_query; /**< belongs to one thread at a time, like its file */

/**
 * Open or make a file that this process alone uses: write-ahead log, every commit on disk when it returns, mode 0600.
 * @retval MSFL_ERR_EXISTS  another process has it open
 * @retval MSFL_ERR_FORMAT  damaged, or not a file of ours
 * @retval MSFL_ERR_UNSUPPORTED  written by a later version
 * `schema`: what a new file begins with. Close every query before the file.
 */
msfl_status store_db_open(const char *path, const char *schema, int version, store_db **out) MSFL_NODISCARD;
void store_db_close(store_db *db);
/** Statements without values. ERR_IO: the disk is full, or fails; what a failed transaction did is undone. */
msfl_status store_db_run(store_db *db, const char *sql) MSFL_NODISCARD;
/** Row id of the last insert. */
int64_t store_db_row(store_db *db);

msfl_status store_query_new(store_db *db, const char *sql, store_query **out) MSFL_NODISCARD;
void store_query_free(store_query *query);
/** Values by their place, from 1; bytes and text are borrowed until the query is reset. A failure is told by the step.
 */
void store_bind_bytes(store_query *query, int place, const void *bytes, size_t length);
void store_bind_text(store_query *query, int place, const char *text);
void store_bind_number(store_query *query, int place, int64_t number);
/** The next row, or `*row` false at the end. */
msfl_status store_query_step(store_query *query, bool *row) MSFL_NODISCARD;
/** For a query without rows: step to its end, then reset. */
msfl_status store_query_run(store_query *query) MSFL_NODISCARD;
/** Ready to be bound and stepped again. */
void store_query_reset(store_query *query);
/** Of the present row, by column from 0; valid until the next step. ERR_MEMORY is told by `*length` 0 and NULL. */
const void *store_column_bytes(store_query *query, int column, size_t *length);
int64_t store_column_number(store_query *query, int column);

#endif
