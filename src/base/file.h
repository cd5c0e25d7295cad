/* Files: bounded reads, all-or-nothing writes, folders. */
#ifndef MSFL_BASE_FILE_H
#define MSFL_BASE_FILE_H

#include "medsecurefl/status.h"

#include <stdio.h>

/** The whole file, if it is a regular one of at most `bytes_max`; a closing zero is appended and not counted.
 *  Free `*bytes` with msfl_free. */
msfl_status msfl_file_read(const char *path, size_t bytes_max, uint8_t **bytes, size_t *length) MSFL_NODISCARD;

/** Open a regular file for reading. Anything else is ERR_FORMAT, at once: a FIFO would keep whoever opens it waiting,
 * and a device never ends. `*out` is fclose'd by the caller, and NULL on failure. */
msfl_status msfl_file_open(const char *path, FILE **out) MSFL_NODISCARD;

/** Replace `path` by these bytes, or leave it as it was: temporary file in the same folder, fsync, rename. */
msfl_status msfl_file_write(const char *path, const void *bytes, size_t length) MSFL_NODISCARD;

/** The same for what only the owner may read (mode 0600). */
msfl_status msfl_file_write_private(const char *path, const void *bytes, size_t length) MSFL_NODISCARD;

/** Hold `path`, which must exist, against other processes: ERR_EXISTS if one holds it. Released by msfl_file_unlock and
 *  when the process ends, however it does. */
msfl_status msfl_file_lock(const char *path, int *lock) MSFL_NODISCARD;
void msfl_file_unlock(int lock);

bool msfl_file_exists(const char *path);
bool msfl_is_folder(const char *path);

/** `folder/name` in memory of its own; NULL when out of memory. */
char *msfl_path_join(const char *folder, const char *name);

/** The absolute path of something that exists, links resolved; NULL when it cannot be found out. */
char *msfl_path_absolute(const char *path);

/** Make `path` and its parents. Fine if it is there already. */
msfl_status msfl_folder_make(const char *path) MSFL_NODISCARD;

/** Whether msfl_folder_make(path) would do, and files in it, as far as can be seen beforehand: what is there of the
 * path is a folder in which this process may write. Nothing is made. ERR_EXISTS: a file is in the way. */
msfl_status msfl_folder_foresee(const char *path) MSFL_NODISCARD;

/** Whether the folder has an entry other than . and .. and what interrupted msfl_file_write calls left. */
msfl_status msfl_folder_is_empty(const char *path, bool *empty) MSFL_NODISCARD;

/** Remove what interrupted msfl_file_write calls left in a folder, where the name has `within` in it ("": everywhere).
 * A missing folder is fine. */
msfl_status msfl_folder_clean(const char *path, const char *within) MSFL_NODISCARD;

/** Hands each name in a folder to `fn`, without . and .., in whatever order they lie there, until it fails. ERR_LIMIT
 *  above `n_max` entries. */
typedef msfl_status (*msfl_entry_fn)(void *ctx, const char *name);
msfl_status msfl_folder_each(const char *path, size_t n_max, msfl_entry_fn fn, void *ctx) MSFL_NODISCARD;

/** Names in a folder, without . and .., sorted by byte value; free each and the array with msfl_names_free.
 *  ERR_LIMIT above `n_max` entries. */
msfl_status msfl_folder_list(const char *path, size_t n_max, char ***names, size_t *n) MSFL_NODISCARD;
void msfl_names_free(char **names, size_t n);

#endif
