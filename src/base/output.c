#include "base/output.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct msfl_output {
    char *path, *temporary;
    int fd;
    bool replace;
};

static atomic_long fault_at, steps;
static atomic_bool fault_kills;

void msfl_file_fault_at(long k, bool die) {
    atomic_store(&steps, 0);
    atomic_store(&fault_kills, die);
    atomic_store(&fault_at, k);
}

long msfl_file_steps(void) {
    return atomic_load(&steps);
}

/* Whether this step is the one that a test wants to see fail; sets errno. */
static bool told_to_fail(void) {
    long step = atomic_fetch_add(&steps, 1) + 1;
    if (step != atomic_load(&fault_at)) return false;
    if (atomic_load(&fault_kills)) (void)raise(SIGKILL);
    errno = EIO;
    return true;
}

bool msfl_file_step(void) {
    return !told_to_fail();
}

/* Make a rename or a new entry survive a power cut. A file system that cannot do this is not an error. */
static void sync_folder_of(const char *path) {
    char *folder = msfl_strdup(path);
    if (folder == NULL) return;
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        strncpy(folder, ".", 2);
    } else if (slash == folder) {
        slash[1] = 0;
    } else {
        *slash = 0;
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    msfl_free(folder);
}

static int rename_new(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    if (link(from, to) != 0) return -1;
    (void)unlink(from);
    return 0;
}

msfl_status msfl_file_rename(const char *from, const char *to, bool replace) {
    if (told_to_fail() || (replace ? rename(from, to) : rename_new(from, to)) != 0) {
        return msfl_fail_errno(errno, replace ? "cannot replace %s" : "cannot write %s", to);
    }
    sync_folder_of(to);
    return MSFL_OK;
}

static msfl_status refuse_existing(const char *path) {
    if (!msfl_file_exists(path)) return MSFL_OK;
    return msfl_fail(MSFL_ERR_EXISTS, "%s is already there and is not overwritten", path);
}

/* A file that was not there before, under a name that nobody else writes under: what someone put there, a link or a
 * file that they can read, is neither followed nor filled. Process numbers alone do not tell processes apart (two
 * containers that share a folder are both number 1), nor threads; creating with O_EXCL does. -1 with errno; NULL is no
 * memory. */
static char *create_new(const char *path, mode_t mode, int *fd) {
    enum { TRIES = 1000 };
    static atomic_uint counter;
    for (int i = 0; i < TRIES; i++) {
        unsigned number = atomic_fetch_add(&counter, 1) % TRIES;
        char *name = msfl_format("%s" MSFL_PARTIAL "%ld%03u", path, (long)getpid(), number);
        if (name == NULL) return NULL;
        *fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (*fd >= 0 || errno != EEXIST || i + 1 == TRIES) return name;
        msfl_free(name);
    }
    return NULL; /* not reached */
}

msfl_status msfl_output_open(const char *path, int mode, msfl_output **out) {
    *out = NULL;
    msfl_output *o = msfl_alloc(1, sizeof *o);
    if (o == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    o->fd = -1;
    o->replace = (mode & MSFL_OUTPUT_REPLACE) != 0;
    if (!o->replace) status = refuse_existing(path);
    if (status != MSFL_OK) goto done;
    o->path = msfl_strdup(path);
    if (o->path == NULL) {
        status = MSFL_NO_MEMORY;
        goto done;
    }
    if (told_to_fail()) {
        status = msfl_fail_errno(errno, "cannot create a file for %s", path);
        goto done;
    }
    char *temporary = create_new(path, (mode & MSFL_OUTPUT_PRIVATE) != 0 ? 0600 : 0644, &o->fd);
    if (temporary == NULL) {
        status = MSFL_NO_MEMORY;
        goto done;
    }
    if (o->fd < 0) {
        status = msfl_fail_errno(errno, "cannot create %s", temporary);
        msfl_free(temporary);
        goto done;
    }
    o->temporary = temporary;
    /* Whatever the umask takes away or an access list of the folder gives. */
    if ((mode & MSFL_OUTPUT_PRIVATE) != 0 && fchmod(o->fd, 0600) != 0) {
        status = msfl_fail_errno(errno, "cannot protect %s", temporary);
        goto done;
    }
    *out = o;
    o = NULL;
done:
    msfl_output_free(o);
    return status;
}

msfl_status msfl_output_write(msfl_output *output, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    if (length > 0 && told_to_fail()) return msfl_fail_errno(errno, "cannot write %s", output->path);
    while (length > 0) {
        ssize_t n = write(output->fd, p, length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return msfl_fail_errno(errno, "cannot write %s", output->path);
        p += n;
        length -= (size_t)n;
    }
    return MSFL_OK;
}

msfl_status msfl_output_commit(msfl_output *output) {
    msfl_status status = MSFL_OK;
    if (told_to_fail() || (fsync(output->fd) != 0 && errno != EINVAL && errno != EROFS)) {
        status = msfl_fail_errno(errno, "cannot write %s", output->path);
    }
    int closed = close(output->fd);
    output->fd = -1;
    if (closed != 0 && status == MSFL_OK) status = msfl_fail_errno(errno, "cannot write %s", output->path);
    if (status == MSFL_OK) status = msfl_file_rename(output->temporary, output->path, output->replace);
    if (status == MSFL_OK) {
        msfl_free(output->temporary); /* nothing is left to remove */
        output->temporary = NULL;
    }
    return status;
}

void msfl_output_free(msfl_output *output) {
    if (output == NULL) return;
    if (output->fd >= 0) close(output->fd);
    if (output->temporary != NULL) (void)unlink(output->temporary);
    msfl_free(output->temporary);
    msfl_free(output->path);
    msfl_free(output);
}
