#include "client/audit.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 32 << 20 };

msfl_status client_audit_keep(const char *state, const char *job, const char *name, const void *bytes, size_t length) {
    char *folder = msfl_format("%s/audit/%s", state, job), *path = msfl_format("%s/audit/%s/%s", state, job, name);
    uint8_t *there = NULL;
    size_t there_length = 0;
    msfl_status status = folder == NULL || path == NULL ? MSFL_NO_MEMORY : msfl_folder_make(folder);
    if (status != MSFL_OK) goto done;
    if (msfl_file_exists(path)) {
        status = msfl_file_read(path, FILE_BYTES_MAX, &there, &there_length);
        if (status == MSFL_OK && (there_length != length || memcmp(there, bytes, length) != 0)) {
            status = msfl_fail(MSFL_ERR_EXISTS, "%s: something else was kept under this name before", path);
        }
    } else {
        status = msfl_file_write(path, bytes, length);
    }
done:
    msfl_free(there);
    msfl_free(folder);
    msfl_free(path);
    return status;
}

msfl_status client_audit_round(const char *state, const char *job, uint64_t number, const char *suffix,
                               const void *bytes, size_t length) {
    char name[64];
    snprintf(name, sizeof name, "%06" PRIu64 ".%s", number, suffix);
    return client_audit_keep(state, job, name, bytes, length);
}
