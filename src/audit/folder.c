#include "audit/folder.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

static msfl_status read_file(void *self, const char *name, size_t bytes_max, uint8_t **bytes, size_t *length) {
    *bytes = NULL;
    *length = 0;
    char *path = msfl_path_join(self, name);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_file_read(path, bytes_max, bytes, length);
    msfl_free(path);
    return status;
}

msfl_status audit_folder_open(const char *path, audit_folder *out) {
    *out = (audit_folder){.read = read_file};
    out->self = msfl_strdup(path);
    if (out->self == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_folder_list(path, AUDIT_FILES_MAX, &out->names, &out->n);
    if (status != MSFL_OK) audit_folder_clear(out);
    return status;
}

void audit_folder_clear(audit_folder *folder) {
    msfl_names_free(folder->names, folder->n);
    msfl_free(folder->self);
    *folder = (audit_folder){0};
}
