#include "client/spool.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A file: u64 length of a full chunk, then the chunks at their places. */
enum { HEAD_BYTES = 8, NAMES_MAX = 100000 };

struct client_spool {
    char *folder;
    int fd;
    uint64_t number, full; /* of the open file; number 0: none */
};

msfl_status client_spool_new(const char *folder, client_spool **out) {
    *out = NULL;
    client_spool *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->fd = -1;
    s->folder = msfl_strdup(folder);
    if (s->folder == NULL) {
        client_spool_free(s);
        return MSFL_NO_MEMORY;
    }
    *out = s;
    return MSFL_OK;
}

static void shut(client_spool *s) {
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
    s->number = s->full = 0;
}

void client_spool_free(client_spool *s) {
    if (s == NULL) return;
    shut(s);
    msfl_free(s->folder);
    msfl_free(s);
}

static msfl_status write_at(int fd, const uint8_t *bytes, size_t length, uint64_t at) {
    while (length > 0) {
        ssize_t n = pwrite(fd, bytes, length, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return msfl_fail_errno(n < 0 ? errno : ENOSPC, "the ciphertext cannot be kept until it is sent");
        bytes += n;
        at += (uint64_t)n;
        length -= (size_t)n;
    }
    return MSFL_OK;
}

static msfl_status read_at(int fd, uint8_t *bytes, size_t length, uint64_t at) {
    while (length > 0) {
        ssize_t n = pread(fd, bytes, length, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return msfl_fail_errno(errno, "the kept ciphertext cannot be read");
        if (n == 0) return msfl_fail(MSFL_ERR_MISSING, "the kept ciphertext is cut off");
        bytes += n;
        at += (uint64_t)n;
        length -= (size_t)n;
    }
    return MSFL_OK;
}

static msfl_status open_round(client_spool *s, uint64_t number, bool fresh) {
    if (s->number == number && !fresh) return MSFL_OK;
    shut(s);
    char *path = msfl_format("%s/upload-%020" PRIu64, s->folder, number);
    if (path == NULL) return MSFL_NO_MEMORY;
    s->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (fresh ? O_CREAT | O_TRUNC : 0), 0600);
    msfl_status status = s->fd < 0 ? msfl_fail_errno(errno, "%s cannot be opened", path) : MSFL_OK;
    msfl_free(path);
    uint8_t head[HEAD_BYTES];
    if (status == MSFL_OK && !fresh) {
        status = read_at(s->fd, head, sizeof head, 0);
        s->full = msfl_load64(head);
    }
    if (status == MSFL_OK) {
        s->number = number;
    } else {
        shut(s);
    }
    return status;
}

static msfl_status put(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                       size_t length) {
    client_spool *s = self;
    (void)client;
    msfl_status status = open_round(s, number, chunk == 0);
    if (status == MSFL_OK && chunk == 0) {
        uint8_t head[HEAD_BYTES];
        msfl_store64(head, length);
        status = write_at(s->fd, head, sizeof head, 0);
        s->full = length;
    }
    return status == MSFL_OK ? write_at(s->fd, bytes, length, HEAD_BYTES + chunk * s->full) : status;
}

static msfl_status get(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes, size_t length) {
    client_spool *s = self;
    (void)client;
    msfl_status status = open_round(s, number, false);
    return status == MSFL_OK ? read_at(s->fd, bytes, length, HEAD_BYTES + chunk * s->full) : status;
}

msfl_spool client_spool_of(client_spool *s) {
    return (msfl_spool){s, put, get};
}

msfl_status client_spool_sync(client_spool *s) {
    if (s->fd < 0) return MSFL_OK;
    if (fsync(s->fd) != 0) return msfl_fail_errno(errno, "the ciphertext cannot be kept until it is sent");
    int folder = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool fine = folder >= 0 && fsync(folder) == 0;
    const int error = errno;
    if (folder >= 0) close(folder);
    return fine ? MSFL_OK : msfl_fail_errno(error, "%s cannot be synced", s->folder);
}

msfl_status client_spool_drop(client_spool *s, uint64_t number) {
    char **names;
    size_t n;
    msfl_status status = msfl_folder_list(s->folder, NAMES_MAX, &names, &n);
    if (status != MSFL_OK) return status;
    if (s->number != 0 && s->number <= number) shut(s);
    for (size_t i = 0; i < n; i++) {
        uint64_t which;
        if (sscanf(names[i], "upload-%20" SCNu64, &which) != 1 || which > number) continue;
        char *path = msfl_path_join(s->folder, names[i]);
        if (path != NULL) (void)unlink(path);
        msfl_free(path);
    }
    msfl_names_free(names, n);
    return MSFL_OK;
}
