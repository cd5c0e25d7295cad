#include "federation/track.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "job/norms.h"

#include <math.h>
#include <stdio.h>

enum { FIGURES = sizeof(fed_record) / sizeof(double), MAGIC_BYTES = 8 };

static const char magic[MAGIC_BYTES + 1] = "MSFLTRK2";
/* A network of 2^28 values with Adam state for 1000 hospitals would be more than a disk holds; this bounds a read. */
static const size_t state_bytes_max = (size_t)64 << 30;

fed_record fed_record_empty(void) {
    return (fed_record){
#define NOT_A_NUMBER(name) .name = NAN,
        FED_RECORD_LIST(NOT_A_NUMBER)
#undef NOT_A_NUMBER
    };
}

msfl_status fed_track_init(fed_track *t, const fed_job *job, fed_track_kind kind, uint32_t hospital) {
    static const char *const names[] = {"encrypted", "plain", "central"};
    const msfl_model_info *info = msfl_model_info_borrow(job->model);
    memset(t, 0, sizeof *t);
    t->kind = kind;
    t->hospital = hospital;
    if (kind == FED_ALONE) {
        snprintf(t->name, sizeof t->name, "alone-%u", hospital + 1);
    } else {
        snprintf(t->name, sizeof t->name, "%s", names[kind]);
    }
    t->n_members = kind == FED_ENCRYPTED || kind == FED_PLAIN ? job->n_hospitals : 1;
    t->n_values = info->n_values;
    t->n_tensors = job->sent.n_tensors;
    t->n_rounds = job->options->n_rounds;
    t->rule = fed_course_rule(job->options);
    t->is_pixelwise = job->is_pixelwise;
    job_course_init(&t->course, &t->rule);
    t->members = msfl_alloc(t->n_members, sizeof *t->members);
    t->weights = msfl_alloc(t->n_values, sizeof *t->weights);
    t->best = msfl_alloc(t->n_values, sizeof *t->best);
    t->clip = msfl_alloc(t->n_tensors, sizeof *t->clip);
    t->records = msfl_alloc(t->n_rounds, sizeof *t->records);
    if (t->members == NULL || t->weights == NULL || t->best == NULL || t->clip == NULL || t->records == NULL) {
        fed_track_clear(t);
        return MSFL_ERR_MEMORY;
    }
    /* A single party's training has no server, but its rounds are averaged too. */
    t->n_moments = t->n_values * (kind == FED_ENCRYPTED || kind == FED_PLAIN ? job_carried(job->aggregate, &t->rule)
                                                                             : (t->rule.n_averaged > 0));
    if (t->n_moments > 0 && (t->moments = msfl_alloc(t->n_moments, sizeof *t->moments)) == NULL) {
        fed_track_clear(t);
        return MSFL_ERR_MEMORY;
    }
    t->n_norms = kind == FED_ENCRYPTED || kind == FED_PLAIN ? job->n_norms : 0;
    for (uint32_t i = 0; t->n_norms > 0 && i < t->n_members; i++) {
        fed_member *m = &t->members[i];
        m->norms = msfl_alloc(t->n_norms, sizeof *m->norms);
        m->best_norms = msfl_alloc(t->n_norms, sizeof *m->best_norms);
        if (m->norms == NULL || m->best_norms == NULL) {
            fed_track_clear(t);
            return MSFL_ERR_MEMORY;
        }
        job_norms_take(job->model, job->initial, m->norms);
        memcpy(m->best_norms, m->norms, t->n_norms * sizeof *m->norms);
    }
    memcpy(t->weights, job->initial, t->n_values * sizeof *t->weights);
    memcpy(t->best, job->initial, t->n_values * sizeof *t->best);
    return MSFL_OK;
}

void fed_track_clear(fed_track *t) {
    fed_members_free(t->members, t->n_members);
    msfl_free(t->weights);
    msfl_free(t->best);
    msfl_free(t->moments);
    msfl_free(t->clip);
    msfl_free(t->records);
    memset(t, 0, sizeof *t);
}

void fed_members_free(fed_member *members, uint32_t n) {
    for (uint32_t i = 0; members != NULL && i < n; i++) {
        msfl_bytes_free(members[i].state);
        msfl_free(members[i].norms);
        msfl_free(members[i].best_norms);
    }
    msfl_free(members);
}

job_stride fed_track_stride(const fed_track *t, const msfl_simulate_options *options) {
    return job_stride_of(&t->rule, options->server_learning_rate, t->n_records + 1, t->course.learning_rate);
}

bool fed_track_wants_more(const fed_track *t) {
    return job_course_wants_more(&t->course, &t->rule);
}

void fed_track_record(fed_track *t, const fed_record *record) {
    t->records[t->n_records++] = *record;
    const double judgement = job_judgement(t->is_pixelwise, record->validation_loss, record->validation_auc);
    if (job_course_take(&t->course, &t->rule, judgement)) {
        memcpy(t->best, t->weights, t->n_values * sizeof *t->best);
        for (uint32_t i = 0; t->n_norms > 0 && i < t->n_members; i++)
            memcpy(t->members[i].best_norms, t->members[i].norms, t->n_norms * sizeof(float));
    }
}

/* --- checkpoint: docs/formats/checkpoint.md --- */

static char *state_path(const char *dir, const char *name) {
    return msfl_format("%s/state/%s.state", dir, name);
}

static void put_floats(msfl_buffer *b, const float *values, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        msfl_put32(b, bits);
    }
}

static void get_floats(msfl_reader *r, float *values, uint64_t n) {
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        uint32_t bits = msfl_get32(r);
        memcpy(&values[i], &bits, sizeof bits);
    }
}

static void checksum(const uint8_t *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.track.v1");
    msfl_hash_add_field(&h, bytes, length);
    msfl_hash_final(&h, out);
}

msfl_status fed_track_save(const fed_track *t, const char *dir, const uint8_t config[MSFL_HASH_BYTES]) {
    msfl_buffer b = {0};
    msfl_put_bytes(&b, magic, MAGIC_BYTES);
    msfl_put_bytes(&b, config, MSFL_HASH_BYTES);
    msfl_put32(&b, (uint32_t)t->kind);
    msfl_put32(&b, t->n_members);
    msfl_put64(&b, t->n_values);
    msfl_put32(&b, t->n_tensors);
    msfl_put32(&b, FIGURES);
    msfl_put32(&b, t->n_records);
    job_course_put(&t->course, &b);
    put_floats(&b, t->weights, t->n_values);
    put_floats(&b, t->best, t->n_values);
    put_floats(&b, t->moments, t->n_moments);
    put_floats(&b, t->clip, t->n_tensors);
    for (uint32_t i = 0; i < t->n_records; i++) {
        double figures[FIGURES];
        memcpy(figures, &t->records[i], sizeof figures);
        for (int k = 0; k < FIGURES; k++)
            msfl_put_f64(&b, figures[k]);
    }
    for (uint32_t i = 0; i < t->n_members; i++) {
        msfl_put64(&b, t->members[i].n_epochs);
        msfl_put64(&b, t->members[i].state_bytes);
        msfl_put_bytes(&b, t->members[i].state, t->members[i].state_bytes);
        put_floats(&b, t->members[i].norms, t->n_norms);
        put_floats(&b, t->members[i].best_norms, t->n_norms);
    }
    uint8_t sum[MSFL_HASH_BYTES];
    checksum(b.bytes, b.length, sum);
    msfl_put_bytes(&b, sum, sizeof sum);
    char *path = state_path(dir, t->name);
    msfl_status status = b.status;
    if (status == MSFL_OK && path == NULL) status = MSFL_ERR_MEMORY;
    if (status == MSFL_OK) status = msfl_file_write_private(path, b.bytes, b.length);
    msfl_buffer_clear(&b);
    msfl_free(path);
    return status;
}

/* The numbers that fix the layout must be this track's own, before anything is sized by them. */
static bool same_shape(msfl_reader *r, const fed_track *t) {
    bool same = msfl_get32(r) == (uint32_t)t->kind;
    same &= msfl_get32(r) == t->n_members;
    same &= msfl_get64(r) == t->n_values;
    same &= msfl_get32(r) == t->n_tensors;
    same &= msfl_get32(r) == FIGURES;
    return same && !r->failed;
}

/* A checksum without a key keeps accidents out, not people: figures that are cast to integers later must fit. */
static bool plausible(const fed_track *t) {
    for (uint32_t i = 0; i < t->n_records; i++) {
        const fed_record *r = &t->records[i];
        if (r->round != i + 1.0) return false;
        const double counts[] = {r->cohort,       r->clipped,      r->bytes_plain, r->bytes_ciphertext,
                                 r->bytes_bundle, r->bytes_header, r->bytes_down};
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            if (!isnan(counts[k]) && !(counts[k] >= 0 && counts[k] <= 0x1p53)) return false;
        }
        if (!isnan(r->cohort) && r->cohort > t->n_members) return false;
    }
    return true;
}

static msfl_status parse(fed_track *t, msfl_reader *r) {
    if (!same_shape(r, t)) return MSFL_ERR_MISMATCH;
    t->n_records = msfl_get32(r);
    if (t->n_records > t->n_rounds) return MSFL_ERR_MISMATCH;
    if (!job_course_get(&t->course, &t->rule, r) || t->course.n_done != t->n_records) return MSFL_ERR_FORMAT;
    get_floats(r, t->weights, t->n_values);
    get_floats(r, t->best, t->n_values);
    get_floats(r, t->moments, t->n_moments);
    get_floats(r, t->clip, t->n_tensors);
    for (uint32_t i = 0; i < t->n_records; i++) {
        double figures[FIGURES];
        for (int k = 0; k < FIGURES; k++)
            figures[k] = msfl_get_f64(r);
        memcpy(&t->records[i], figures, sizeof figures);
    }
    for (uint32_t i = 0; i < t->n_members; i++) {
        fed_member *m = &t->members[i];
        m->n_epochs = msfl_get64(r);
        uint64_t n = msfl_get64(r);
        const uint8_t *state = n <= msfl_reader_left(r) ? msfl_get_bytes(r, n) : NULL;
        if (state == NULL) return MSFL_ERR_FORMAT;
        if (n > 0) {
            m->state = msfl_alloc(n, 1);
            if (m->state == NULL) return MSFL_ERR_MEMORY;
            memcpy(m->state, state, n);
            m->state_bytes = n;
        }
        get_floats(r, m->norms, t->n_norms);
        get_floats(r, m->best_norms, t->n_norms);
    }
    return r->failed || msfl_reader_left(r) != 0 || !plausible(t) ? MSFL_ERR_FORMAT : MSFL_OK;
}

msfl_status fed_track_restore(fed_track *t, const char *dir, const uint8_t config[MSFL_HASH_BYTES]) {
    char *path = state_path(dir, t->name);
    if (path == NULL) return MSFL_ERR_MEMORY;
    uint8_t *bytes = NULL;
    size_t length = 0;
    msfl_status status = MSFL_OK;
    if (!msfl_file_exists(path)) goto done;
    status = msfl_file_read(path, state_bytes_max, &bytes, &length);
    if (status != MSFL_OK) goto done;
    uint8_t sum[MSFL_HASH_BYTES];
    if (length < MAGIC_BYTES + 2 * MSFL_HASH_BYTES || memcmp(bytes, magic, MAGIC_BYTES) != 0) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is not a checkpoint of this version", path);
        goto done;
    }
    checksum(bytes, length - MSFL_HASH_BYTES, sum);
    if (memcmp(sum, bytes + length - MSFL_HASH_BYTES, MSFL_HASH_BYTES) != 0) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is damaged: remove it to train this part again", path);
        goto done;
    }
    if (memcmp(bytes + MAGIC_BYTES, config, MSFL_HASH_BYTES) != 0) {
        status = msfl_fail(MSFL_ERR_MISMATCH,
                           "%s belongs to a run with other options, or the images or labels have changed since", path);
        goto done;
    }
    const size_t head = MAGIC_BYTES + MSFL_HASH_BYTES;
    msfl_reader r = msfl_reader_init(bytes + head, length - head - MSFL_HASH_BYTES);
    status = parse(t, &r);
    if (status == MSFL_ERR_FORMAT || status == MSFL_ERR_MISMATCH) {
        status = msfl_fail(status, "%s does not fit this run's model and hospitals", path);
    }
done:
    msfl_free(bytes);
    msfl_free(path);
    return status;
}
