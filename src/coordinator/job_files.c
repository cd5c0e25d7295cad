/* Weights on disk: float32, little-endian, one file per index. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "coordinator/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are mapped as they lie on disk"
#endif

char *coord_job_model_path(const coord_job *j, uint32_t index) {
    return msfl_format("%s/models/%06u.f32", j->folder, index);
}

msfl_status coord_job_save(const coord_job *j, uint32_t index, const float *weights) {
    char *folder = msfl_path_join(j->folder, "models"), *path = coord_job_model_path(j, index);
    msfl_output *output = NULL;
    msfl_status status = folder == NULL || path == NULL ? MSFL_NO_MEMORY : msfl_folder_make(folder);
    if (status == MSFL_OK) status = msfl_output_open(path, MSFL_OUTPUT_REPLACE | MSFL_OUTPUT_PRIVATE, &output);
    if (status == MSFL_OK) status = msfl_output_write(output, weights, j->shape->n_values * sizeof *weights);
    if (status == MSFL_OK) status = msfl_output_commit(output);
    msfl_output_free(output);
    msfl_free(folder);
    msfl_free(path);
    return status;
}

msfl_status coord_job_map(const coord_job *j, uint32_t index, const float **weights) {
    const size_t length = j->shape->n_values * sizeof **weights;
    char *path = coord_job_model_path(j, index);
    struct stat info;
    *weights = NULL;
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "weights cannot be read: %s", path);
    } else if ((uint64_t)info.st_size != length) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s has another length than the job's weights", path);
    } else {
        void *at = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
        if (at == MAP_FAILED) {
            status = msfl_fail_errno(errno, "weights cannot be mapped: %s", path);
        } else {
            *weights = at;
        }
    }
    if (fd >= 0) close(fd);
    msfl_free(path);
    return status;
}

/* --- weights that are being made --- */

static char *draft_path(const coord_job *j) {
    return msfl_format("%s/models/draft", j->folder);
}

msfl_status coord_job_draft(const coord_job *j, float **weights) {
    const size_t length = j->shape->n_values * sizeof **weights;
    char *folder = msfl_path_join(j->folder, "models"), *path = draft_path(j);
    int fd = -1, error;
    void *at = MAP_FAILED;
    *weights = NULL;
    msfl_status status = folder == NULL || path == NULL ? MSFL_NO_MEMORY : msfl_folder_make(folder);
    if (status != MSFL_OK) goto done;
    (void)unlink(path); /* of a process that ended in the middle */
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        status = msfl_fail_errno(errno, "weights cannot be written: %s", path);
        goto done;
    }
    /* All of it now: a disk that fills up later would end the process at the page that has no room. */
    error = posix_fallocate(fd, 0, (off_t)length);
    if (error == 0) at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (error != 0 || at == MAP_FAILED) {
        status = msfl_fail_errno(error != 0 ? error : errno, "there is no room for the next weights: %s", path);
        (void)unlink(path);
        goto done;
    }
    *weights = at;
done:
    if (fd >= 0) close(fd);
    msfl_free(folder);
    msfl_free(path);
    return status;
}

msfl_status coord_job_draft_keep(const coord_job *j, uint32_t index, float *weights) {
    char *folder = msfl_path_join(j->folder, "models"), *from = draft_path(j), *to = coord_job_model_path(j, index);
    msfl_status status = folder == NULL || from == NULL || to == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK && msync(weights, j->shape->n_values * sizeof *weights, MS_SYNC) != 0) {
        status = msfl_fail_errno(errno, "weights cannot be written: %s", from);
    }
    const int fd = status == MSFL_OK ? open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (status == MSFL_OK && (fd < 0 || fsync(fd) != 0 || rename(from, to) != 0)) {
        status = msfl_fail_errno(errno, "weights cannot be written: %s", to);
    }
    if (fd >= 0) close(fd);
    const int at = status == MSFL_OK ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (status == MSFL_OK && (at < 0 || (fsync(at) != 0 && errno != EINVAL && errno != EROFS))) {
        status = msfl_fail_errno(errno, "weights cannot be written: %s", folder);
    }
    if (at >= 0) close(at);
    msfl_free(folder);
    msfl_free(from);
    msfl_free(to);
    return status;
}

void coord_job_draft_free(const coord_job *j, float *weights) {
    char *path = weights == NULL ? NULL : draft_path(j);
    if (weights != NULL) (void)munmap(weights, j->shape->n_values * sizeof *weights);
    if (path != NULL) (void)unlink(path); /* what was kept is called otherwise by now */
    msfl_free(path);
}

void coord_job_passed(const float *weights, uint64_t first, uint64_t n) {
    (void)madvise((void *)(weights + first), n * sizeof *weights,
                  MADV_DONTNEED); /* a page of a file: read again if need be */
}

void coord_job_unmap(const coord_job *j, const float *weights) {
    if (weights != NULL) (void)munmap((void *)weights, j->shape->n_values * sizeof *weights);
}

/* --- what a rule of aggregation carries --- */

static char *moments_path(const coord_job *j, uint32_t index) {
    return msfl_format("%s/models/%06u.moments", j->folder, index);
}

msfl_status coord_job_moments(const coord_job *j, const job_aggregate *rule, uint32_t index, float **moments) {
    const uint32_t n = job_carried(rule, &j->spec.rule);
    *moments = NULL;
    if (index == 0) return job_moments_load(moments, NULL, rule, n, j->newest_hash, j->shape->n_values);
    char *path = moments_path(j, index);
    msfl_status status =
        path == NULL ? MSFL_NO_MEMORY : job_moments_load(moments, path, rule, n, j->newest_hash, j->shape->n_values);
    msfl_free(path);
    return status;
}

msfl_status coord_job_moments_save(const coord_job *j, const job_aggregate *rule, uint32_t index,
                                   const uint8_t hash[MSFL_HASH_BYTES], const float *moments) {
    char *path = moments_path(j, index);
    const uint32_t n = job_carried(rule, &j->spec.rule);
    msfl_status status =
        path == NULL ? MSFL_NO_MEMORY : job_moments_save(path, rule, n, hash, moments, j->shape->n_values);
    msfl_free(path);
    return status;
}

void coord_job_tidy(const coord_job *j) {
    for (uint32_t i = 1; i + 1 < j->newest; i++) {
        char *moments = moments_path(j, i);
        if (moments != NULL) (void)unlink(moments);
        msfl_free(moments);
        if (i == j->course.best_round) continue;
        char *path = coord_job_model_path(j, i);
        if (path != NULL) (void)unlink(path);
        msfl_free(path);
    }
}
