/* Scheme plain: what hospitals upload in the clear, checked and summed block by block. Bytes: docs/formats/http.md. */
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "coordinator/engine_private.h"
#include "job/figures.h"
#include "job/fixed.h"
#include "pki/round.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 65536 /* values in memory at a time */ };
static const uint64_t counter_max = (UINT64_C(1) << 48) / 10000; /* as in an encrypted update */

static uint32_t counters_of(job_kind kind) {
    return kind == JOB_UPDATE ? JOB_UPDATE_COUNTERS : JOB_EVAL_COUNTERS;
}

static uint64_t values_of(const coord_job *job, job_kind kind) {
    return kind == JOB_UPDATE ? job->shape->sent.n_values : 0;
}

static msfl_status read_at(int fd, uint64_t offset, void *out, size_t length) {
    uint8_t *p = out;
    while (length > 0) {
        ssize_t n = pread(fd, p, length, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return msfl_fail_errno(n < 0 ? errno : EIO, "an upload cannot be read");
        p += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return MSFL_OK;
}

/** Counters of an upload, within bounds. */
static msfl_status read_counters(const coord_job *job, job_kind kind, int fd, uint64_t counters[MSFL_COUNTERS_MAX]) {
    uint8_t bytes[4 + 8 * MSFL_COUNTERS_MAX];
    const uint32_t n = counters_of(kind);
    msfl_status status = read_at(fd, 0, bytes, 4 + (size_t)8 * n);
    if (status != MSFL_OK) return status;
    if (msfl_load32(bytes) != n)
        return msfl_fail(MSFL_ERR_FORMAT, "an upload of %u counters, not %u", msfl_load32(bytes), n);
    for (uint32_t k = 0; k < n; k++) {
        counters[k] = msfl_load64(bytes + 4 + (size_t)8 * k);
        if (counters[k] >= counter_max) return msfl_fail(MSFL_ERR_NUMERIC, "counter %u is out of range", k);
    }
    const uint64_t most = kind == JOB_UPDATE ? job->spec.samples_max : 1;
    if (counters[0] < 1 || counters[0] > most) {
        return msfl_fail(MSFL_ERR_NUMERIC, "counter 0 must be 1 to %" PRIu64, most);
    }
    return MSFL_OK;
}

/** Everything that can be wrong with an upload, before it is in any sum. */
static msfl_status check(const coord_job *job, job_kind kind, const char *path) {
    uint64_t counters[MSFL_COUNTERS_MAX];
    struct stat info;
    const uint64_t head = 4 + 8 * (uint64_t)counters_of(kind), n = values_of(job, kind);
    float *block = msfl_alloc(BLOCK, sizeof *block);
    if (block == NULL) return MSFL_NO_MEMORY;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    msfl_status status = MSFL_OK;
    if (fd < 0 || fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "an upload cannot be read");
    } else if ((uint64_t)info.st_size != head + n * sizeof *block) {
        status = msfl_fail(MSFL_ERR_FORMAT, "an upload of %lld bytes, not %" PRIu64, (long long)info.st_size,
                           head + n * sizeof *block);
    }
    if (status == MSFL_OK) status = read_counters(job, kind, fd, counters);
    for (uint64_t at = 0; at < n && status == MSFL_OK; at += BLOCK) {
        const uint64_t m = n - at < BLOCK ? n - at : BLOCK;
        status = read_at(fd, head + at * sizeof *block, block, m * sizeof *block);
        if (status == MSFL_OK) status = job_fixed_check(block, m, at);
    }
    if (fd >= 0) close(fd);
    msfl_free(block);
    return status;
}

msfl_status coord_engine_plain(coord_engine *e, const char *id, const char *name, uint64_t number, const char *path) {
    coord_driver *driver = NULL;
    uint32_t party;
    msfl_status status = coord_engine_party(e, id, name, &party);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&e->lock);
    coord_entry *j = coord_find(e, id);
    const bool named = j->job->open && j->job->number == number, open = named && j->driver != NULL;
    const job_kind kind = j->job->stage;
    if (open) driver = coord_driver_hold(j->driver);
    pthread_mutex_unlock(&e->lock);
    if (named && !open) return coord_not_now(e, j);
    if (!open) return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 " of %s is not open", number, id);
    status = check(j->job, kind, path);
    if (status == MSFL_OK) status = coord_driver_take(driver, number, party, path);
    coord_driver_free(driver);
    coord_notice(e, j);
    return status;
}

msfl_status coord_engine_plain_open(coord_engine *e, const char *id, const char *name, uint64_t number) {
    uint32_t party;
    msfl_status status = coord_engine_party(e, id, name, &party);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&e->lock);
    const coord_entry *j = coord_find(e, id);
    const bool plain = strcmp(j->job->spec.scheme, "plain") == 0, open = j->job->open && j->job->number == number;
    pthread_mutex_unlock(&e->lock);
    if (!plain) return msfl_fail(MSFL_ERR_POLICY, "the updates of %s are encrypted: nothing else is taken", id);
    return open ? MSFL_OK : msfl_fail(MSFL_ERR_MISSING, "round %" PRIu64 " of %s is not open", number, id);
}

void coord_plain_sweep(coord_engine *e, coord_entry *j) {
    const uint32_t n = msfl_roster_borrow(j->members->round)->n_clients;
    for (uint32_t i = 0; i < n && j->job->open; i++) {
        const char *name = pki_round_name(j->members->pki, i);
        char *path = name == NULL ? NULL
                                  : msfl_format("%s/plain/%s/%s.r%" PRIu64 ".whole", e->folder, name, j->job->id,
                                                j->job->number);
        if (path != NULL && msfl_file_exists(path) &&
            coord_engine_plain(e, j->job->id, name, j->job->number, path) != MSFL_OK) {
            coord_log(e, COORD_WARNING, j, "an upload of %s was no good: %s", name, msfl_error_message());
            (void)unlink(path);
        }
        msfl_free(path);
    }
}

/* --- the sum --- */

typedef struct addends {
    int *fds;
    double *omega;
    uint32_t n;
} addends;

static msfl_status open_all(coord_entry *j, const job_plan *plan, uint32_t n_clients, addends *a, uint64_t *counters) {
    uint64_t own[MSFL_COUNTERS_MAX] = {0};
    a->fds = msfl_alloc(n_clients, sizeof *a->fds);
    a->omega = msfl_alloc(n_clients, sizeof *a->omega);
    if (a->fds == NULL || a->omega == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < n_clients; i++) {
        char *path = coord_driver_upload(j->driver, i);
        if (path == NULL) continue;
        const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        msfl_free(path);
        if (fd < 0) return msfl_fail_errno(errno, "an upload cannot be read");
        a->fds[a->n] = fd;
        msfl_status status = read_counters(j->job, plan->kind, fd, own);
        a->omega[a->n++] = (double)own[0] / (double)(plan->kind == JOB_UPDATE ? j->job->spec.samples_max : 1);
        if (status != MSFL_OK) return status;
        for (uint32_t k = 0; k < counters_of(plan->kind); k++)
            counters[k] += own[k];
    }
    return MSFL_OK;
}

msfl_status coord_plain_sum(coord_entry *j, const job_plan *plan, uint32_t n_clients, float *mean, uint64_t *counters,
                            uint8_t result[MSFL_HASH_BYTES]) {
    addends a = {0};
    const uint64_t n = mean == NULL ? 0 : j->job->shape->sent.n_values,
                   head = 4 + 8 * (uint64_t)counters_of(plan->kind);
    int64_t *sums = msfl_alloc(BLOCK, sizeof *sums);
    float *block = msfl_alloc(BLOCK, sizeof *block);
    msfl_status status = sums == NULL || block == NULL ? MSFL_NO_MEMORY : open_all(j, plan, n_clients, &a, counters);
    /* As simulate has it: the sum of counts, then the bound. */
    const double omega_sum = (double)counters[0] / (double)(plan->kind == JOB_UPDATE ? j->job->spec.samples_max : 1);
    for (uint64_t at = 0; at < n && status == MSFL_OK; at += BLOCK) {
        const uint64_t m = n - at < BLOCK ? n - at : BLOCK;
        memset(sums, 0, BLOCK * sizeof *sums);
        for (uint32_t i = 0; i < a.n && status == MSFL_OK; i++) {
            status = read_at(a.fds[i], head + at * sizeof *block, block, m * sizeof *block);
            if (status == MSFL_OK) job_fixed_add(sums, block, m, a.omega[i]);
        }
        for (uint64_t k = 0; k < m && status == MSFL_OK; k++)
            mean[at + k] = (float)job_fixed_mean(sums[k], omega_sum);
    }
    memset(result, 0, MSFL_HASH_BYTES); /* no transcript names it */
    for (uint32_t i = 0; i < a.n; i++)
        close(a.fds[i]);
    msfl_free(a.fds);
    msfl_free(a.omega);
    msfl_free(sums);
    msfl_free(block);
    return status;
}
