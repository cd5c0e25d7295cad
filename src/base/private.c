#include "base/private.h"

#include "base/error.h"
#include "base/sodium.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static msfl_status check(const char *path, const char *what, const struct stat *info, size_t bytes_max) {
    if (!S_ISREG(info->st_mode)) return msfl_fail(MSFL_ERR_FORMAT, "%s %s is not a regular file", what, path);
    if ((info->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "%s %s can be used by others (mode %03o): chmod 600 it, and consider who has read it", what,
                         path, (unsigned)(info->st_mode & 0777));
    }
    if (info->st_uid != geteuid() && info->st_uid != 0) {
        return msfl_fail(MSFL_ERR_POLICY, "%s %s belongs to user %u, not to you", what, path, (unsigned)info->st_uid);
    }
    if ((uint64_t)info->st_size > bytes_max) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s %s has %lld bytes; at most %zu are accepted", what, path,
                         (long long)info->st_size, bytes_max);
    }
    return MSFL_OK;
}

msfl_status msfl_private_read(const char *path, const char *what, size_t bytes_max, uint8_t **bytes, size_t *length) {
    *bytes = NULL;
    *length = 0;
    uint8_t *memory = NULL;
    /* O_NONBLOCK: a FIFO must not hang the open; it is refused below. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return msfl_fail_errno(errno, "cannot open %s %s", what, path);
    msfl_status status = MSFL_OK;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "cannot examine %s", path);
        goto done;
    }
    status = check(path, what, &info, bytes_max);
    if (status != MSFL_OK) goto done;
    size_t size = (size_t)info.st_size, have = 0;
    memory = msfl_secret_alloc(size + 1);
    if (memory == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
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
    msfl_secret_free(memory);
    close(fd);
    return status;
}
