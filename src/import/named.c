#include "import/named.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <string.h>

msfl_status msfl_named_add(msfl_items *items, uint32_t *number, const char *folder, const char *name) {
    char *path = msfl_path_join(folder, name);
    if (path == NULL) return MSFL_NO_MEMORY;
    *number = (uint32_t)items->paths.n;
    msfl_status status = msfl_paths_add(&items->paths, path);
    msfl_free(path);
    return status;
}

/* Whether a path leads out of the folder that it is meant to lie in, were it not for links: what links lead to is up to
 * whoever may make them there. */
static bool leads_out(const char *path) {
    if (path[0] == '/') return true;
    for (const char *part = path; *part != 0;) {
        size_t n = strcspn(part, "/");
        if (n == 2 && memcmp(part, "..", 2) == 0) return true;
        part += n + strspn(part + n, "/");
    }
    return false;
}

msfl_status msfl_named_by_cell(msfl_items *items, uint32_t *number, const char *data, const msfl_labels *labels,
                               uint32_t row, uint32_t column) {
    const char *cell = msfl_csv_cell(labels->table, row, column);
    *number = MSFL_NO_PATH;
    if (msfl_labels_is_blank(cell)) return MSFL_OK;
    char *turned = NULL; /* tables that were made under Windows part folders by backslashes */
    if (strchr(cell, '\\') != NULL) {
        turned = msfl_strdup(cell);
        if (turned == NULL) return MSFL_NO_MEMORY;
        for (char *at = strchr(turned, '\\'); at != NULL; at = strchr(at, '\\'))
            *at = '/';
    }
    if (leads_out(turned != NULL ? turned : cell)) {
        msfl_free(turned);
        return msfl_fail(
            MSFL_ERR_DATA,
            "%s, line %u, column '%.100s': the path leads out of the folders of the data and the table: name "
            "files below them, without .. and without a leading /",
            labels->path, msfl_csv_line(labels->table, row), msfl_csv_heading(labels->table, column));
    }
    char *own = msfl_strdup(labels->path);
    if (own == NULL) {
        msfl_free(turned);
        return MSFL_NO_MEMORY;
    }
    char *slash = strrchr(own, '/');
    if (slash != NULL) *slash = 0;
    const char *const folders[] = {data, slash != NULL ? own : "."};
    msfl_status status = MSFL_OK;
    for (int i = 0; i < (turned != NULL ? 4 : 2) && *number == MSFL_NO_PATH && status == MSFL_OK; i++) {
        const char *name = i < 2 ? cell : turned;
        char *path = msfl_path_join(folders[i % 2], name);
        if (path == NULL) {
            status = MSFL_NO_MEMORY;
        } else if (msfl_file_exists(path)) {
            status = msfl_named_add(items, number, folders[i % 2], name);
        }
        msfl_free(path);
    }
    msfl_free(own);
    msfl_free(turned);
    return status;
}

msfl_status msfl_named_beside(msfl_items *items, uint32_t *number, const char *masks, const char *path) {
    const char *name = strrchr(path, '/');
    const char *const names[] = {path, name != NULL ? name + 1 : path};
    *number = MSFL_NO_PATH;
    for (int i = 0; i < 2 && *number == MSFL_NO_PATH; i++) {
        char *whole = msfl_path_join(masks, names[i]);
        if (whole == NULL) return MSFL_NO_MEMORY;
        msfl_status status = msfl_file_exists(whole) ? msfl_named_add(items, number, masks, names[i]) : MSFL_OK;
        msfl_free(whole);
        if (status != MSFL_OK) return status;
    }
    return MSFL_OK;
}
