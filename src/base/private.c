#include "base/private.h"

#include "base/error.h"
#include "base/sodium.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static msfl_status check(const char *path, const char *what, const struct stat *info, size_t bytes_max, bool strict) {
    if (!S_ISREG(info->st_mode)) return msfl_fail(MSFL_ERR_FORMAT, "%s %s is not a regular file", what, path);
    if (strict && (info->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "%s %s can be used by others (mode %03o): chmod 600 it, and consider who has read it", what,
                         path, (unsigned)(info->st_mode & 0777));
    }
    if (strict && info->st_uid != geteuid() && info->st_uid != 0) {
        return msfl_fail(MSFL_ERR_POLICY, "%s %s belongs to user %u, not to you", what, path, (unsigned)info->st_uid);
    }
    if ((uint64_t)info->st_size > bytes_max) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s %s has %lld bytes; at most %zu are accepted", what, path,
                         (long long)info->st_size, bytes_max);
    }
    return MSFL_OK;
}

/** At most `bytes_max` bytes up to the end of the file or pipe, in secret memory. */
static msfl_status read_all(int fd, const char *path, const char *what, size_t bytes_max, uint8_t **bytes,
                            size_t *length) {
    uint8_t *memory = msfl_secret_alloc(bytes_max + 1);
    if (memory == NULL) return MSFL_ERR_MEMORY;
    size_t have = 0;
    msfl_status status = MSFL_OK;
    for (;;) {
        ssize_t n = read(fd, memory + have, bytes_max + 1 - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = msfl_fail_errno(errno, "cannot read %s", path);
        if (n <= 0) break;
        have += (size_t)n;
        if (have <= bytes_max) continue;
        status = msfl_fail(MSFL_ERR_LIMIT, "%s %s has more than %zu bytes", what, path, bytes_max);
        break;
    }
    if (status != MSFL_OK) {
        msfl_secret_free(memory);
        return status;
    }
    memory[have] = 0;
    *bytes = memory;
    *length = have;
    return MSFL_OK;
}

static msfl_status read_checked(const char *path, const char *what, size_t bytes_max, uint8_t **bytes, size_t *length,
                                uint32_t *others) {
    *bytes = NULL;
    *length = 0;
    /* O_NONBLOCK: a FIFO must not hang the open. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return msfl_fail_errno(errno, "cannot open %s %s", what, path);
    struct stat info;
    msfl_status status = MSFL_OK;
    if (fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "cannot examine %s", path);
    } else if (others != NULL && S_ISFIFO(info.st_mode)) {
        if (fcntl(fd, F_SETFL, 0) != 0) status = msfl_fail_errno(errno, "cannot wait for %s", path);
    } else {
        if (others != NULL) *others = info.st_mode & (S_IRWXG | S_IRWXO);
        status = check(path, what, &info, bytes_max, others == NULL);
    }
    if (status == MSFL_OK) status = read_all(fd, path, what, bytes_max, bytes, length);
    close(fd);
    return status;
}

msfl_status msfl_private_read(const char *path, const char *what, size_t bytes_max, uint8_t **bytes, size_t *length) {
    return read_checked(path, what, bytes_max, bytes, length, NULL);
}

msfl_status msfl_personal_read(const char *path, const char *what, size_t bytes_max, uint8_t **bytes, size_t *length,
                               uint32_t *others) {
    *others = 0;
    return read_checked(path, what, bytes_max, bytes, length, others);
}
