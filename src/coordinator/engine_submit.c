/* Jobs as operators give them: what is checked, what is drawn, and how they are kept; and how they are given up. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "coordinator/engine_private.h"
#include "job/fixed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static msfl_status read_weights(const coord_job *job, const char *path, float *weights) {
    uint8_t *at = (uint8_t *)weights;
    size_t left = job->shape->n_values * sizeof *weights;
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    msfl_status status = MSFL_OK;
    if (fd < 0 || fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "the initial weights cannot be read");
    } else if ((uint64_t)info.st_size != left) {
        status = msfl_fail(MSFL_ERR_FORMAT, "the initial weights are not %" PRIu64 " values of float32",
                           job->shape->n_values);
    }
    while (status == MSFL_OK && left > 0) { /* into their place: they may be large */
        ssize_t n = read(fd, at, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            status = msfl_fail_errno(n < 0 ? errno : EIO, "the initial weights cannot be read");
            break;
        }
        at += n;
        left -= (size_t)n;
    }
    if (fd >= 0) close(fd);
    if (status != MSFL_OK) return status;
    for (uint64_t i = 0; i < job->shape->n_values; i++) {
        if (!isfinite(weights[i])) {
            return msfl_fail(MSFL_ERR_NUMERIC, "value %" PRIu64 " of the initial weights is not finite", i);
        }
    }
    return MSFL_OK;
}

/** The description as it will be hashed: with a nonce, and the hash of weights that were brought. */
static msfl_status settle_text(const char *text, size_t length, const char *folder, const char *initial,
                               coord_job **out, float **weights) {
    static const uint8_t zero[MSFL_HASH_BYTES];
    uint8_t hash[MSFL_HASH_BYTES], random[16];
    coord_job *draft;
    char *canonical = NULL;
    *out = NULL;
    *weights = NULL;
    msfl_status status = coord_job_new(text, length, folder, &draft);
    if (status != MSFL_OK) return status;
    *weights = msfl_alloc(draft->shape->n_values, sizeof **weights);
    if (*weights == NULL) status = MSFL_NO_MEMORY;
    if (status == MSFL_OK) {
        status = initial != NULL ? read_weights(draft, initial, *weights) : job_shape_initial(draft->shape, *weights);
    }
    if (status != MSFL_OK) goto done;
    job_weights_hash(draft->shape, *weights, hash);
    const bool named = memcmp(draft->spec.initial, zero, sizeof zero) != 0;
    if (named && memcmp(draft->spec.initial, hash, sizeof hash) != 0) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "the initial weights are not those that the description names");
        goto done;
    }
    if (initial != NULL) memcpy(draft->spec.initial, hash, sizeof hash);
    if (draft->spec.nonce[0] == 0) {
        msfl_random_bytes(random, sizeof random);
        msfl_hex(random, sizeof random, draft->spec.nonce);
    }
    status = job_spec_text(&draft->spec, &canonical);
    if (status == MSFL_OK) status = coord_job_new(canonical, strlen(canonical), folder, out);
    if (status == MSFL_OK) memcpy((*out)->initial_hash, hash, sizeof hash);
done:
    msfl_free(canonical);
    coord_job_free(draft);
    if (status != MSFL_OK) {
        msfl_free(*weights);
        *weights = NULL;
    }
    return status;
}

/** What the roster says to it. */
static msfl_status check_fits(const coord_job *job, const coord_members *members) {
    if (coord_is_sealed(job)) {
        const msfl_status fits = coord_sealed_fits(job, members->round);
        if (fits != MSFL_OK) return fits;
    }
    if (members->round == NULL) return MSFL_OK; /* it waits for its roster */
    const uint32_t n = msfl_roster_borrow(members->round)->n_clients;
    msfl_params params;
    if (job->spec.min_cohort > n || job->spec.target_cohort > n) {
        return msfl_fail(MSFL_ERR_PARAMS, "the roster has %u hospitals: too few for a cohort of %u", n,
                         job->spec.min_cohort > n ? job->spec.min_cohort : job->spec.target_cohort);
    }
    if (strcmp(job->spec.scheme, "plain") != 0)
        return job_shape_params(job->shape, msfl_roster_borrow(members->round), &params);
    return n <= JOB_FIXED_CLIENTS_MAX
               ? MSFL_OK
               : msfl_fail(MSFL_ERR_PARAMS, "scheme plain adds up to %d hospitals", JOB_FIXED_CLIENTS_MAX);
}

static msfl_status put_list(coord_engine *e, const char *more) {
    msfl_buffer list = {0};
    pthread_mutex_lock(&e->lock);
    for (uint32_t i = 0; i < e->n_entries; i++)
        msfl_put_text(&list, "%s\n", e->entries[i]->job->id);
    pthread_mutex_unlock(&e->lock);
    msfl_put_text(&list, "%s\n", more);
    msfl_status status = list.status;
    if (status == MSFL_OK) status = store_put(e->o.store, COORD_KEY_JOBS, list.bytes, list.length);
    msfl_buffer_clear(&list);
    return status;
}

static msfl_status keep_job(coord_engine *e, coord_job *job, const float *weights) {
    char *path = msfl_path_join(job->folder, "job.json");
    char key[JOB_ID_MAX + 8];
    msfl_buffer state = {0};
    coord_entry *j;
    coord_state_key(job, key);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : coord_job_save(job, 0, weights);
    if (status == MSFL_OK) status = msfl_file_write(path, job->text, job->text_length);
    coord_job_put(job, &state);
    if (status == MSFL_OK) status = state.status;
    if (status == MSFL_OK) status = store_begin(e->o.store);
    if (status == MSFL_OK) {
        status = store_put(e->o.store, key, state.bytes, state.length);
        if (status == MSFL_OK) status = put_list(e, job->id);
        if (status == MSFL_OK) {
            status = store_commit(e->o.store);
        } else {
            store_rollback(e->o.store);
        }
    }
    if (status == MSFL_OK) {
        pthread_mutex_lock(&e->lock);
        status = coord_add_entry(e, job, &j); /* when this fails the next process has it */
        if (status == MSFL_OK) {
            j->saved = state;
            state = (msfl_buffer){0};
            coord_changed(e, j, true);
        }
        pthread_mutex_unlock(&e->lock);
    }
    msfl_buffer_clear(&state);
    msfl_free(path);
    return status;
}

msfl_status coord_engine_submit(coord_engine *e, const char *text, size_t length, const char *initial,
                                char id[JOB_ID_MAX + 1]) {
    static pthread_mutex_t one_by_one = PTHREAD_MUTEX_INITIALIZER; /* the list is written whole */
    float *weights = NULL;
    coord_job *job = NULL;
    coord_members *members = coord_engine_hold_members(e);
    char *folder = msfl_path_join(e->folder, "jobs");
    pthread_mutex_lock(&one_by_one);
    msfl_status status = folder == NULL ? MSFL_NO_MEMORY : settle_text(text, length, folder, initial, &job, &weights);
    if (status == MSFL_OK && job != NULL) status = check_fits(job, members);
    if (status == MSFL_OK && job != NULL) {
        pthread_mutex_lock(&e->lock);
        if (e->n_entries >= COORD_JOBS_MAX) {
            status = msfl_fail(MSFL_ERR_LIMIT, "%d jobs are kept here; begin with a new state folder", COORD_JOBS_MAX);
        } else if (coord_find(e, job->id) != NULL) {
            status = msfl_fail(MSFL_ERR_EXISTS, "job %s is here already", job->id);
        }
        job->order = e->n_entries;
        pthread_mutex_unlock(&e->lock);
    }
    if (status == MSFL_OK && job != NULL) {
        job->submitted_ms = coord_now_ms();
        memcpy(job->newest_hash, job->initial_hash, MSFL_HASH_BYTES);
        memcpy(job->best_hash, job->initial_hash, MSFL_HASH_BYTES);
        status = keep_job(e, job, weights);
    }
    if (status == MSFL_OK && job != NULL) {
        (void)snprintf(id, JOB_ID_MAX + 1, "%s", job->id);
        pthread_mutex_lock(&e->lock);
        const coord_entry *j = coord_find(e, id);
        pthread_mutex_unlock(&e->lock);
        coord_log(e, COORD_INFO, j, "submitted: %u rounds, scheme %s%s", job->spec.rule.n_rounds, job->spec.scheme,
                  strcmp(job->spec.scheme, "plain") == 0 ? ", NOT ENCRYPTED" : "");
        job = NULL;
    }
    pthread_mutex_unlock(&one_by_one);
    coord_job_free(job);
    coord_members_drop(members);
    msfl_free(weights);
    msfl_free(folder);
    return status;
}

msfl_status coord_engine_abort(coord_engine *e, const char *id, const char *reason) {
    char key[JOB_ID_MAX + 16], why[COORD_WHY_MAX + 1];
    size_t n = 0;
    for (; reason[n] != 0 && n < COORD_WHY_MAX; n++)
        why[n] = (unsigned char)reason[n] < 0x20 || reason[n] == 0x7f ? ' ' : reason[n];
    why[n] = 0;
    pthread_mutex_lock(&e->lock);
    coord_entry *j = coord_find(e, id);
    const bool ended = j != NULL && j->job->state > COORD_RUNNING;
    pthread_mutex_unlock(&e->lock);
    if (j == NULL) return coord_no_job(id);
    if (ended) return msfl_fail(MSFL_ERR_POLICY, "job %s has ended already", id);
    (void)snprintf(key, sizeof key, "job/%s/abort", id);
    msfl_status status = store_put(e->o.store, key, why, n);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&e->lock);
    j->abort = true;
    memcpy(j->abort_why, why, n + 1);
    coord_changed(e, NULL, false);
    pthread_mutex_unlock(&e->lock);
    return MSFL_OK;
}
