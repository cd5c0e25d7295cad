#include "base/file.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

msfl_status msfl_file_read(const char *path, size_t bytes_max, uint8_t **bytes, size_t *length) {
    *bytes = NULL;
    *length = 0;
    msfl_status status = MSFL_OK;
    uint8_t *memory = NULL;
    /* O_NONBLOCK: a FIFO must not hang the open; it is refused below. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return msfl_fail_errno(errno, "cannot open %s", path);
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "cannot examine %s", path);
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is not a regular file", path);
        goto done;
    }
    if ((uint64_t)info.st_size > bytes_max) {
        status = msfl_fail(MSFL_ERR_LIMIT, "%s has %lld bytes; at most %zu are accepted", path, (long long)info.st_size,
                           bytes_max);
        goto done;
    }
    size_t size = (size_t)info.st_size;
    memory = msfl_alloc(size + 1, 1);
    if (memory == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    size_t have = 0;
    while (have < size) {
        ssize_t n = read(fd, memory + have, size - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            status = msfl_fail_errno(errno, "cannot read %s", path);
            goto done;
        }
        if (n == 0) break;
        have += (size_t)n;
    }
    memory[have] = 0;
    *bytes = memory;
    *length = have;
    memory = NULL;
done:
    msfl_free(memory);
    close(fd);
    return status;
}

msfl_status msfl_file_open(const char *path, FILE **out) {
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return msfl_fail_errno(errno, "cannot open %s", path);
    struct stat info;
    msfl_status status = MSFL_OK;
    if (fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "cannot examine %s", path);
    } else if (!S_ISREG(info.st_mode)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is not a regular file", path);
    } else if ((*out = fdopen(fd, "rb")) == NULL) {
        status = msfl_fail_errno(errno, "cannot open %s", path);
    }
    if (status != MSFL_OK) close(fd);
    return status;
}

static msfl_status write_with_mode(const char *path, const void *bytes, size_t length, int mode) {
    msfl_output *output;
    msfl_status status = msfl_output_open(path, MSFL_OUTPUT_REPLACE | mode, &output);
    if (status == MSFL_OK) status = msfl_output_write(output, bytes, length);
    if (status == MSFL_OK) status = msfl_output_commit(output);
    msfl_output_free(output);
    return status;
}

msfl_status msfl_file_write(const char *path, const void *bytes, size_t length) {
    return write_with_mode(path, bytes, length, 0);
}

msfl_status msfl_file_write_private(const char *path, const void *bytes, size_t length) {
    return write_with_mode(path, bytes, length, MSFL_OUTPUT_PRIVATE);
}

msfl_status msfl_file_lock(const char *path, int *lock) {
    *lock = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return msfl_fail_errno(errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        close(fd);
        if (error == EWOULDBLOCK) return msfl_fail(MSFL_ERR_EXISTS, "another process is working on %s", path);
        return msfl_fail_errno(error, "cannot lock %s", path);
    }
    *lock = fd;
    return MSFL_OK;
}

void msfl_file_unlock(int lock) {
    if (lock >= 0) close(lock);
}

bool msfl_file_exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

bool msfl_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *msfl_path_join(const char *folder, const char *name) {
    size_t n = strlen(folder);
    return msfl_format("%s%s%s", folder, n > 0 && folder[n - 1] == '/' ? "" : "/", name);
}

char *msfl_path_absolute(const char *path) {
    char *resolved = realpath(path, NULL);
    if (resolved == NULL) {
        msfl_fail_errno(errno, "cannot find %s", path);
        return NULL;
    }
    char *copy = msfl_strdup(resolved);
    free(resolved);
    return copy;
}

msfl_status msfl_folder_make(const char *path) {
    char *work = msfl_strdup(path);
    if (work == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = MSFL_OK;
    for (char *p = work + 1; status == MSFL_OK; p++) {
        if (*p != '/' && *p != 0) continue;
        char was = *p;
        *p = 0;
        if (mkdir(work, 0755) != 0 && !(errno == EEXIST && msfl_is_folder(work))) {
            status = msfl_fail_errno(errno, "cannot make the folder %s", work);
        }
        *p = was;
        if (was == 0) break;
    }
    msfl_free(work);
    return status;
}

msfl_status msfl_folder_foresee(const char *path) {
    char *there = msfl_strdup(path);
    if (there == NULL) return MSFL_ERR_MEMORY;
    while (there[0] != 0 && access(there, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        char *slash = strrchr(there, '/');
        if (slash == NULL) there[0] = 0;
        if (slash != NULL) slash[slash == there ? 1 : 0] = 0;
        if (slash == there) break;
    }
    const char *folder = there[0] == 0 ? "." : there;
    msfl_status status = MSFL_OK;
    if (access(folder, F_OK) != 0) {
        status = msfl_fail_errno(errno, "cannot make the folder %s", path);
    } else if (!msfl_is_folder(folder)) {
        status = msfl_fail(MSFL_ERR_EXISTS, "cannot make the folder %s: %s is a file", path, folder);
    } else if (access(folder, W_OK | X_OK) != 0) {
        status = msfl_fail_errno(errno, "cannot write in the folder %s", folder);
    }
    msfl_free(there);
    return status;
}

/* A name as write_with_mode makes them: ends in the mark and a process number. */
static bool is_partial(const char *name) {
    const char *mark = strstr(name, MSFL_PARTIAL);
    if (mark == NULL || mark == name) return false;
    const char *digits = mark + strlen(MSFL_PARTIAL);
    return *digits != 0 && strspn(digits, "0123456789") == strlen(digits);
}

msfl_status msfl_folder_is_empty(const char *path, bool *empty) {
    *empty = true;
    DIR *dir = opendir(path);
    if (dir == NULL) return msfl_fail_errno(errno, "cannot open the folder %s", path);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && !is_partial(entry->d_name)) {
            *empty = false;
            break;
        }
    }
    closedir(dir);
    return MSFL_OK;
}

msfl_status msfl_folder_clean(const char *path, const char *within) {
    if (!msfl_file_exists(path)) return MSFL_OK;
    DIR *dir = opendir(path);
    if (dir == NULL) return msfl_fail_errno(errno, "cannot open the folder %s", path);
    msfl_status status = MSFL_OK;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!is_partial(entry->d_name) || strstr(entry->d_name, within) == NULL) continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0) != 0) {
            status = msfl_fail_errno(errno, "cannot remove %s/%s", path, entry->d_name);
        }
    }
    closedir(dir);
    return status;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

msfl_status msfl_folder_each(const char *path, size_t n_max, msfl_entry_fn fn, void *ctx) {
    DIR *dir = opendir(path);
    if (dir == NULL) return msfl_fail_errno(errno, "cannot open the folder %s", path);
    msfl_status status = MSFL_OK;
    for (size_t count = 0; status == MSFL_OK;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            if (errno != 0) status = msfl_fail_errno(errno, "cannot read the folder %s", path);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (count++ == n_max) {
            status = msfl_fail(MSFL_ERR_LIMIT, "the folder %s has more than %zu entries", path, n_max);
        } else {
            status = fn(ctx, entry->d_name);
        }
    }
    closedir(dir);
    return status;
}

typedef struct collection {
    char **list;
    size_t n, capacity;
} collection;

static msfl_status add_name(void *ctx, const char *name) {
    collection *to = ctx;
    void *array = to->list;
    msfl_status status = msfl_grow(&array, &to->capacity, to->n + 1, sizeof *to->list);
    to->list = array;
    if (status != MSFL_OK) return status;
    to->list[to->n] = msfl_strdup(name);
    if (to->list[to->n] == NULL) return MSFL_NO_MEMORY;
    to->n++;
    return MSFL_OK;
}

msfl_status msfl_folder_list(const char *path, size_t n_max, char ***list, size_t *n) {
    *list = NULL;
    *n = 0;
    collection all = {0};
    msfl_status status = msfl_folder_each(path, n_max, add_name, &all);
    if (status != MSFL_OK) {
        msfl_names_free(all.list, all.n);
        return status;
    }
    if (all.n > 0) qsort(all.list, all.n, sizeof *all.list, by_bytes);
    *list = all.list;
    *n = all.n;
    return MSFL_OK;
}

void msfl_names_free(char **names, size_t n) {
    for (size_t i = 0; i < n; i++)
        msfl_free(names[i]);
    msfl_free(names);
}
