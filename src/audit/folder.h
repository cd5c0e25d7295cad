/* A record's folder as names and bytes; in tests and fuzzers it lies in memory. */
#ifndef MSFL_AUDIT_FOLDER_H
#define MSFL_AUDIT_FOLDER_H

#include "audit/paper.h"

typedef struct audit_folder {
    char **names; /**< n, sorted by their bytes */
    size_t n;
    void *self;
    /** The bytes of a file, at most `bytes_max`; msfl_free. */
    msfl_status (*read)(void *self, const char *name, size_t bytes_max, uint8_t **bytes, size_t *length);
} audit_folder;

/** On disk. Clear with audit_folder_clear. */
msfl_status audit_folder_open(const char *path, audit_folder *out) MSFL_NODISCARD;
void audit_folder_clear(audit_folder *folder);

#endif
