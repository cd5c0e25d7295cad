#include "net/upload.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void net_upload_hash_init(msfl_hash *h) {
    msfl_hash_init(h, "msfl.net.upload.v1");
}

void net_upload_free(net_upload *u) {
    if (u == NULL) return;
    if (u->fd >= 0) close(u->fd);
    (void)pthread_mutex_destroy(&u->lock);
    msfl_free(u->part);
    msfl_free(u->whole);
    msfl_free(u);
}

msfl_status net_upload_new(const char *folder, const char *peer, const char *key, net_upload **out) {
    *out = NULL;
    net_upload *u = msfl_alloc(1, sizeof *u);
    if (u == NULL) return MSFL_NO_MEMORY;
    u->fd = -1;
    (void)pthread_mutex_init(&u->lock, NULL);
    memcpy(u->peer, peer, strlen(peer) + 1);
    memcpy(u->key, key, strlen(key) + 1);
    u->part = msfl_format("%s/%s/%s.part", folder, peer, key);
    u->whole = msfl_format("%s/%s/%s.whole", folder, peer, key);
    if (u->part == NULL || u->whole == NULL) {
        net_upload_free(u);
        return MSFL_NO_MEMORY;
    }
    net_upload_hash_init(&u->hash);
    *out = u;
    return MSFL_OK;
}

/* Hash what is on disk already: after a restart. A file that is being read does not change. */
static msfl_status rehash(net_upload *u) {
    enum { STEP = 65536 };
    uint8_t *bytes = msfl_alloc(STEP, 1);
    if (bytes == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    net_upload_hash_init(&u->hash);
    u->offset = 0;
    for (;;) {
        ssize_t n = pread(u->fd, bytes, STEP, (off_t)u->offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = msfl_fail_errno(errno, "cannot read %s", u->part);
        if (n <= 0) break;
        msfl_hash_add(&u->hash, bytes, (size_t)n);
        u->offset += (uint64_t)n;
    }
    msfl_free(bytes);
    return status;
}

msfl_status net_upload_open(net_upload *u, const char *root, bool create, uint32_t unfinished_max) {
    if (u->fd >= 0) return MSFL_OK;
    if (create && !msfl_file_exists(u->part)) {
        char *folder = msfl_path_join(root, u->peer), **names = NULL;
        size_t n = 0, unfinished = 0;
        msfl_status status = folder == NULL ? MSFL_NO_MEMORY : msfl_folder_make(folder);
        if (status == MSFL_OK) status = msfl_folder_list(folder, 100000, &names, &n);
        for (size_t i = 0; i < n; i++)
            unfinished += strlen(names[i]) > 5 && strcmp(names[i] + strlen(names[i]) - 5, ".part") == 0;
        msfl_names_free(names, n);
        msfl_free(folder);
        if (status == MSFL_OK && unfinished >= unfinished_max) {
            status = msfl_fail(MSFL_ERR_LIMIT, "this party has %zu unfinished uploads; discard one", unfinished);
        }
        if (status != MSFL_OK) return status;
    }
    int fd = open(u->part, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
    if (fd < 0 && errno == ENOENT && !create) return MSFL_OK;
    if (fd < 0) return msfl_fail_errno(errno, "cannot open %s", u->part);
    u->fd = fd;
    msfl_status status = rehash(u);
    if (status != MSFL_OK) {
        close(u->fd);
        u->fd = -1;
    }
    return status;
}

bool net_upload_is_complete(const net_upload *u, uint64_t *length) {
    struct stat info;
    bool is = stat(u->whole, &info) == 0 && S_ISREG(info.st_mode);
    *length = is ? (uint64_t)info.st_size : 0;
    return is;
}

msfl_status net_upload_append(net_upload *u, const uint8_t *bytes, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t n = pwrite(u->fd, bytes + done, length - done, (off_t)(u->offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            msfl_status status = msfl_fail_errno(errno, "cannot write %s", u->part);
            if (ftruncate(u->fd, (off_t)u->offset) != 0) u->writer++; /* and the next one looks at the file anew */
            return status;
        }
        done += (size_t)n;
    }
    msfl_hash_add(&u->hash, bytes, length);
    u->offset += length;
    return MSFL_OK;
}

msfl_status net_upload_restart(net_upload *u) {
    if (ftruncate(u->fd, 0) != 0) return msfl_fail_errno(errno, "cannot empty %s", u->part);
    u->offset = 0;
    net_upload_hash_init(&u->hash);
    return MSFL_OK;
}

void net_upload_forget(net_upload *u) {
    if (u->fd >= 0) close(u->fd);
    u->fd = -1;
    u->offset = 0;
    net_upload_hash_init(&u->hash);
}
