#include "coordinator/spool.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The system begins to write at this distance, so that little is left for the sync at the end. */
enum { AHEAD_BYTES = 8 << 20, FILES_MAX = 65536 };

typedef struct upload_file {
    int fd;
    bool complete; /* and not synced yet */
    uint64_t ahead;
} upload_file;

struct coord_spool {
    char *folder;
    coord_spool_shape shape;
    upload_file *files; /* n_clients */
    bool feeding;
};

msfl_status coord_spool_new(const char *folder, coord_spool **out) {
    *out = NULL;
    msfl_status status = msfl_folder_make(folder);
    if (status != MSFL_OK) return status;
    coord_spool *s = msfl_alloc(1, sizeof *s);
    char *copy = msfl_strdup(folder);
    if (s == NULL || copy == NULL) {
        msfl_free(s);
        msfl_free(copy);
        return MSFL_NO_MEMORY;
    }
    s->folder = copy;
    *out = s;
    return MSFL_OK;
}

static void close_all(coord_spool *s) {
    for (uint32_t i = 0; s->files != NULL && i < s->shape.n_clients; i++)
        if (s->files[i].fd >= 0) close(s->files[i].fd);
    msfl_free(s->files);
    s->files = NULL;
}

void coord_spool_free(coord_spool *s) {
    if (s == NULL) return;
    close_all(s);
    msfl_free(s->folder);
    msfl_free(s);
}

msfl_status coord_spool_round(coord_spool *s, const coord_spool_shape *shape) {
    upload_file *files = msfl_alloc(shape->n_clients, sizeof *files);
    if (files == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < shape->n_clients; i++)
        files[i].fd = -1;
    close_all(s);
    s->files = files;
    s->shape = *shape;
    return MSFL_OK;
}

/** Where a chunk stands, once it is known to be one of this round with this length. */
static msfl_status place(const coord_spool *s, uint64_t number, uint32_t client, uint64_t chunk, size_t length,
                         uint64_t *offset) {
    const coord_spool_shape *h = &s->shape;
    size_t wanted = h->chunk_bytes;
    if (chunk + 1 == h->n_chunks) wanted = h->last_bytes;
    if (chunk == h->n_chunks) wanted = h->trailer_bytes;
    if (s->files == NULL || number != h->number || client >= h->n_clients || chunk > h->n_chunks || length != wanted) {
        return msfl_fail(MSFL_ERR_USAGE, "spool: round %" PRIu64 " has no chunk %" PRIu64 " of %zu bytes", number,
                         chunk, length);
    }
    *offset = chunk * h->chunk_bytes;
    return MSFL_OK;
}

static char *path_of(const coord_spool *s, uint64_t number, uint32_t client) {
    return msfl_format("%s/%" PRIu64 "-%" PRIu32 ".upload", s->folder, number, client);
}

static msfl_status open_file(coord_spool *s, uint32_t client, bool make) {
    upload_file *f = &s->files[client];
    if (f->fd >= 0) return MSFL_OK;
    char *path = path_of(s, s->shape.number, client);
    if (path == NULL) return MSFL_NO_MEMORY;
    f->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
    msfl_status status = f->fd >= 0 ? MSFL_OK : msfl_fail_errno(errno, "cannot open %s", path);
    msfl_free(path);
    return status;
}

static msfl_status put(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                       size_t length) {
    coord_spool *s = self;
    uint64_t offset = 0;
    msfl_status status = place(s, number, client, chunk, length, &offset);
    if (status == MSFL_OK) status = open_file(s, client, true);
    if (status != MSFL_OK) return status;
    upload_file *f = &s->files[client];
    if (s->feeding) return MSFL_OK;
    while (length > 0) {
        ssize_t n = pwrite(f->fd, bytes, length, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            return msfl_fail_errno(n < 0 ? errno : EIO, "the upload of client %" PRIu32 " cannot be kept", client);
        }
        bytes += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    if (offset >= f->ahead + AHEAD_BYTES) {
        (void)sync_file_range(f->fd, (off_t)f->ahead, (off_t)(offset - f->ahead), SYNC_FILE_RANGE_WRITE);
        f->ahead = offset;
    }
    if (chunk == s->shape.n_chunks) f->complete = true;
    return MSFL_OK;
}

static msfl_status get(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes, size_t length) {
    coord_spool *s = self;
    uint64_t offset = 0;
    msfl_status status = place(s, number, client, chunk, length, &offset);
    if (status == MSFL_OK) status = open_file(s, client, false);
    if (status != MSFL_OK) return status;
    while (length > 0) {
        ssize_t n = pread(s->files[client].fd, bytes, length, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return msfl_fail_errno(errno, "the upload of client %" PRIu32 " cannot be read", client);
        if (n == 0) {
            return msfl_fail(MSFL_ERR_IO, "the upload of client %" PRIu32 " is shorter than it was", client);
        }
        bytes += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return MSFL_OK;
}

msfl_spool coord_spool_callbacks(coord_spool *s) {
    return (msfl_spool){s, put, get};
}

msfl_status coord_spool_sync(coord_spool *s) {
    bool any = false;
    for (uint32_t i = 0; s->files != NULL && i < s->shape.n_clients; i++) {
        upload_file *f = &s->files[i];
        if (!f->complete) continue;
        if (!msfl_file_step() || fdatasync(f->fd) != 0) {
            return msfl_fail_errno(errno, "the upload of client %" PRIu32 " cannot be kept", i);
        }
        f->complete = false;
        any = true;
    }
    int fd = any ? open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd); /* the file's name */
        close(fd);
    }
    return MSFL_OK;
}

uint64_t coord_spool_chunks(coord_spool *s, uint32_t client) {
    struct stat info;
    char *path = s->files == NULL || client >= s->shape.n_clients ? NULL : path_of(s, s->shape.number, client);
    const bool found = path != NULL && stat(path, &info) == 0 && info.st_size > 0;
    msfl_free(path);
    if (!found) return 0;
    const uint64_t whole = (s->shape.n_chunks - 1) * s->shape.chunk_bytes + s->shape.last_bytes;
    const uint64_t size = (uint64_t)info.st_size;
    return size >= whole ? s->shape.n_chunks : size / s->shape.chunk_bytes;
}

void coord_spool_feeding(coord_spool *s, bool on) {
    s->feeding = on;
}

void coord_spool_drop(coord_spool *s, uint64_t number) {
    char **names;
    size_t n;
    if (s->shape.number <= number) close_all(s);
    if (msfl_folder_list(s->folder, FILES_MAX, &names, &n) != MSFL_OK) return;
    for (size_t i = 0; i < n; i++) {
        unsigned long long found;
        unsigned client;
        char kind[16];
        if (sscanf(names[i], "%20llu-%9u.%15s", &found, &client, kind) != 3 || found > number) continue;
        char *path = msfl_path_join(s->folder, names[i]);
        if (path != NULL) (void)unlink(path);
        msfl_free(path);
    }
    msfl_names_free(names, n);
}
