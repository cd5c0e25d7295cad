/* Entries of fixed size in a file, found by their names: what a memo keeps. docs/formats/set.md. */
#ifndef MSFL_IMPORT_MEMO_TABLE_H
#define MSFL_IMPORT_MEMO_TABLE_H

#include "base/sodium.h"

enum { MSFL_MEMO_NAME = 16, MSFL_MEMO_LOOK = 16, MSFL_MEMO_CHECK = 16 };

typedef struct msfl_memo_entry {
    uint8_t name[MSFL_MEMO_NAME]; /**< of a path: hashes, so that they spread evenly */
    uint8_t look[MSFL_MEMO_LOOK];
    uint8_t content[MSFL_HASH_BYTES];
} msfl_memo_entry;

typedef struct msfl_memo_table msfl_memo_table;

/** `key`: 32 secret bytes, borrowed, that vouch for every entry. A file that is no such table is replaced by an empty
 *  one; where none can be made, nothing is found and nothing kept. */
msfl_status msfl_memo_table_open(const char *path, const uint8_t *key, msfl_memo_table **out) MSFL_NODISCARD;
void msfl_memo_table_close(msfl_memo_table *table);

/** Whether an entry of this name is there; then the rest of it in `*entry`. */
bool msfl_memo_table_get(const msfl_memo_table *table, msfl_memo_entry *entry);
/** In place of the one of the same name, if there is one; forgotten if the file cannot take it. */
void msfl_memo_table_put(msfl_memo_table *table, const msfl_memo_entry *entry);

#endif
