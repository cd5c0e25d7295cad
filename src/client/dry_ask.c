/* What a dry run trains: as the coordinator tells it now, or as a file says. */
#include "client/dry.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/run.h"
#include "client/tensors.h"
#include "client/weights.h"
#include "round/message.h"

#include <inttypes.h>
#include <string.h>

/* --- the description --- */

/* The job that was named, or the first that runs. */
static msfl_status choose(client_dry *d) {
    client_job_line *lines;
    size_t n;
    uint64_t seen = 0;
    uint32_t epoch;
    msfl_status status = client_link_jobs(d->link, 0, &seen, &epoch, &lines, &n);
    if (status != MSFL_OK) return status;
    const char *wanted = d->hub.o->job;
    for (size_t i = 0; i < n && d->id[0] == 0; i++) {
        if (wanted != NULL ? strcmp(lines[i].id, wanted) == 0 : lines[i].state == CLIENT_RUNNING) {
            memcpy(d->id, lines[i].id, sizeof d->id);
            memcpy(d->hash, lines[i].hash, sizeof d->hash);
        }
    }
    msfl_free(lines);
    if (d->id[0] != 0) return MSFL_OK;
    return wanted != NULL
               ? msfl_fail(MSFL_ERR_MISSING, "the coordinator has no job %s", wanted)
               : msfl_fail(MSFL_ERR_MISSING, "no job is running: name one with --job, or a description file");
}

static msfl_status read_description(client_dry *d) {
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_status status;
    if (d->link != NULL) {
        status = choose(d);
        if (status == MSFL_OK) status = client_link_job(d->link, d->id, &d->text, &d->length);
        if (status == MSFL_OK) status = job_spec_parse("job description", d->text, d->length, false, &d->spec);
    } else {
        uint8_t *bytes;
        status = msfl_file_read(d->d->job, JOB_TEXT_MAX, &bytes, &d->length);
        if (status != MSFL_OK) return status;
        d->text = (char *)bytes;
        status = job_spec_parse(d->d->job, d->text, d->length, true, &d->spec);
    }
    if (status != MSFL_OK) return status;
    if (d->link == NULL) { /* written by hand perhaps: its one form counts */
        msfl_free(d->text);
        d->text = NULL;
        status = job_spec_text(&d->spec, &d->text);
        if (status != MSFL_OK || d->text == NULL) return status;
        d->length = strlen(d->text);
    }
    job_hash(d->text, d->length, hash);
    if (d->link != NULL && memcmp(hash, d->hash, sizeof hash) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "the description of %s is not the one whose hash was announced", d->id);
    }
    memcpy(d->hash, hash, sizeof hash);
    job_id(&d->spec, hash, d->id);
    return job_shape_new(&d->spec, &d->shape);
}

/* --- the round --- */

/* The announcement that lies in the inbox, its signature checked; none: `announced` stays false. */
static msfl_status hear_round(client_dry *d) {
    msfl_buffer frames;
    uint64_t seen = 0;
    msfl_status status = client_link_inbox(d->link, d->id, &seen, 0, &frames);
    msfl_reader r = msfl_reader_init(frames.bytes, frames.length);
    const uint8_t *message;
    size_t length;
    bool failed;
    while (status == MSFL_OK && !d->announced && client_frame_next(&r, &message, &length, &failed)) {
        msfl_frame frame;
        uint8_t id[MSFL_HASH_BYTES];
        if (msfl_frame_read(message, length, &frame) != MSFL_OK || frame.kind != MSFL_MSG_ANNOUNCE) continue;
        const uint8_t *body = msfl_get_bytes(&frame.body, MSFL_ANNOUNCE_BODY);
        if (body == NULL || msfl_frame_end(&frame, "announcement") != MSFL_OK) continue;
        d->announced = msfl_announcement_verify(body, d->seat.roster, d->seat.task, &d->announcement, id) == MSFL_OK;
    }
    msfl_buffer_clear(&frames);
    return status;
}

static msfl_status fetch_plan(client_dry *d) {
    char *text;
    size_t length;
    msfl_status status = client_link_plan(d->link, d->id, d->announcement.info.number, &text, &length);
    if (status != MSFL_OK) return status;
    status = job_plan_parse(text, length, d->shape, &d->plan);
    msfl_free(text);
    return status;
}

/* As the first round of the job would be. */
static msfl_status invent(client_dry *d) {
    const job_clip_rule rule = job_shape_clip_rule(d->shape);
    job_clip_init(&rule, d->clip);
    d->plan = (job_plan){
        .number = 1, .round = 1, .kind = JOB_UPDATE, .learning_rate = d->spec.rule.learning_rate, .clip = d->clip};
    msfl_announcement *a = &d->announcement;
    a->info.number = 1;
    a->info.n_clients = d->seat.info->n_clients;
    a->info.min_cohort = d->spec.min_cohort;
    a->info.n_values = d->shape->update_slots;
    a->delivery = d->spec.delivery;
    return job_shape_params(d->shape, d->seat.info, &a->info.params);
}

/* --- the weights --- */

static msfl_status read_weights(client_dry *d) {
    const char *path = d->d->weights;
    if (path == NULL && d->link != NULL && d->announced) {
        return client_weights_fetch(d->link, d->id, d->plan.model, d->announcement.info.model, d->d->out, d->shape,
                                    NULL, &d->weights);
    }
    d->weights = msfl_alloc(d->shape->n_values, sizeof *d->weights);
    if (d->weights == NULL) return MSFL_NO_MEMORY;
    if (path == NULL) return job_shape_initial(d->shape, d->weights);
    const char *dot = strrchr(path, '.');
    if (dot != NULL && strcmp(dot, ".npz") == 0) return client_tensors_read(path, CLIENT_NPZ, d->shape, d->weights);
    if (dot != NULL && strcmp(dot, ".h5") == 0) return client_tensors_read(path, CLIENT_H5, d->shape, d->weights);
    msfl_free(d->weights);
    d->weights = NULL;
    return client_weights_read(path, d->shape, &d->weights);
}

msfl_status client_dry_ask(client_dry *d) {
    uint8_t layout[MSFL_HASH_BYTES];
    msfl_status status = MSFL_OK;
    if (d->d->job == NULL) status = client_hub_link(&d->hub, d->hub.observer.cancel, 4, &d->link);
    if (status == MSFL_OK) status = read_description(d);
    if (status == MSFL_OK) status = client_seat_take(&d->hub, d->hash, &d->seat);
    if (status == MSFL_OK && !d->seat.is_hospital) {
        status = msfl_fail(MSFL_ERR_MISSING, "this party is no hospital of the roster");
    }
    if (status == MSFL_OK && d->link != NULL) status = hear_round(d);
    if (status == MSFL_OK) status = d->announced ? fetch_plan(d) : invent(d);
    if (status == MSFL_OK) status = job_plan_layout(&d->plan, d->shape, &d->layout);
    if (status == MSFL_OK) status = read_weights(d);
    if (status != MSFL_OK) return status;
    msfl_update_layout_hash(d->layout, layout);
    if (d->announced && memcmp(layout, d->announcement.info.layout, sizeof layout) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "the plan's kind and clipping bounds are not those that were announced");
    }
    memcpy(d->announcement.info.layout, layout, sizeof layout);
    job_weights_hash(d->shape, d->weights, d->announcement.info.model);
    memcpy(d->announcement.info.task, d->seat.task, MSFL_HASH_BYTES);
    return MSFL_OK;
}
