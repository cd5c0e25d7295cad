#include "client/run.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "round/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void client_say(client_run *run, msfl_event_kind kind, const char *fmt, ...) {
    char text[600];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    msfl_observe_text(&run->hub->observer, kind, run->id, "%s", text);
}

const uint8_t *client_message_task(const uint8_t *message, size_t length) {
    enum { RECORD_HEAD = 12 }; /* of a transcript: magic, version, outcome */
    msfl_frame frame;
    if (msfl_frame_read(message, length, &frame) != MSFL_OK) return NULL;
    if (frame.kind == MSFL_MSG_RECORD) {
        (void)msfl_get_bytes(&frame.body, RECORD_HEAD);
    } else if (frame.kind != MSFL_MSG_ANNOUNCE && frame.kind != MSFL_MSG_PROPOSE && frame.kind != MSFL_MSG_RELEASE &&
               frame.kind != MSFL_MSG_DELIVER) {
        return NULL;
    }
    return msfl_get_bytes(&frame.body, MSFL_HASH_BYTES);
}

bool client_is_passing(msfl_status status) {
    return status == MSFL_ERR_IO || status == MSFL_ERR_CANCELLED || status == MSFL_ERR_MEMORY;
}

bool client_is_told(uint8_t told[MSFL_HASH_BYTES], const uint8_t *message, size_t length) {
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.client.told.v1");
    msfl_hash_add(&h, message, length);
    msfl_hash_final(&h, hash);
    if (memcmp(hash, told, sizeof hash) == 0) return true;
    memcpy(told, hash, sizeof hash);
    return false;
}

msfl_status client_run_wait(client_run *run, uint32_t *n) {
    if (*n == 0) client_say(run, MSFL_EVENT_WARNING, "%s", msfl_error_message());
    const uint32_t shift = *n < 5 ? *n : 5;
    uint32_t random;
    msfl_random_bytes(&random, sizeof random);
    ++*n;
    return client_pause(&run->over, 500 + random % (1000u << shift));
}

/* --- the description --- */

/* What was announced by its hash, or nothing: the list of jobs is the coordinator's word, the hash is what rounds are
 * bound to. */
static msfl_status fetch(client_run *run, client_link *link) {
    uint8_t hash[MSFL_HASH_BYTES];
    char id[JOB_ID_MAX + 1];
    msfl_status status = client_link_job(link, run->id, &run->text, &run->length);
    if (status != MSFL_OK) return status;
    job_hash(run->text, run->length, hash);
    if (memcmp(hash, run->hash, sizeof hash) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "the description of %s is not the one whose hash was announced", run->id);
    }
    status = job_spec_parse("job description", run->text, run->length, false, &run->spec);
    if (status != MSFL_OK) return status;
    char *canonical;
    status = job_spec_text(&run->spec, &canonical);
    if (status != MSFL_OK) return status;
    const bool same = strlen(canonical) == run->length && memcmp(canonical, run->text, run->length) == 0;
    msfl_free(canonical);
    job_id(&run->spec, hash, id);
    if (!same || strcmp(id, run->id) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "the description of %s is not in its one form, or of another name", run->id);
    }
    return job_shape_new(&run->spec, &run->shape);
}

static msfl_status prepare(client_run *run) {
    client_link *link = NULL;
    msfl_status status = client_hub_link(run->hub, &run->stop, 6, &link);
    if (status == MSFL_OK) status = fetch(run, link);
    client_link_free(link);
    if (status == MSFL_OK) status = msfl_folder_make(run->folder);
    run->ready = status == MSFL_OK;
    if (status != MSFL_OK) {
        job_shape_free(run->shape);
        job_spec_clear(&run->spec);
        msfl_free(run->text);
        run->shape = NULL;
        run->text = NULL;
    }
    return status;
}

/* --- the threads --- */

static void *duty_thread(void *ctx) {
    client_duty(ctx);
    return NULL;
}

static void tell_end(client_run *run) {
    const bool refused = run->status == MSFL_ERR_POLICY;
    char told[CLIENT_TOLD_MAX];
    client_policy_told(msfl_error_message(), told, sizeof told);
    client_say(run, MSFL_EVENT_WARNING, "%s: %s", refused ? "refused" : "failed", msfl_error_message());
    /* Other messages may name files of this hospital. */
    client_reporter_say(run->hub->reporter, run->id, 0, refused ? "refused" : "failed", 0,
                        refused ? told : msfl_status_text(run->status));
}

static void *run_thread(void *ctx) {
    client_run *run = ctx;
    uint32_t failures = 0;
    pthread_t duty;
    bool has_duty = false;
    do {
        run->status = prepare(run);
        /* The network may come back; what is wrong with a description does not pass. */
        if (run->status != MSFL_ERR_IO && run->status != MSFL_ERR_MISSING) break;
    } while (client_run_wait(run, &failures) == MSFL_OK);
    if (run->ready) {
        has_duty = pthread_create(&duty, NULL, duty_thread, run) == 0;
        if (run->hub->has_site) run->status = client_part(run);
    }
    if (run->status != MSFL_OK && run->status != MSFL_ERR_CANCELLED) {
        tell_end(run);
        atomic_store(&run->failed, true);
    }
    if (has_duty) pthread_join(duty, NULL);
    atomic_store(&run->ended, true);
    return NULL;
}

msfl_status client_run_new(client_hub *hub, const char *id, const uint8_t hash[MSFL_HASH_BYTES], client_run **out) {
    *out = NULL;
    client_run *run = msfl_alloc(1, sizeof *run);
    if (run == NULL) return MSFL_NO_MEMORY;
    run->hub = hub;
    snprintf(run->id, sizeof run->id, "%s", id);
    memcpy(run->hash, hash, MSFL_HASH_BYTES);
    run->folder = msfl_format("%s/jobs/%s", hub->folder, run->id);
    if (run->folder == NULL) {
        msfl_free(run);
        return MSFL_NO_MEMORY;
    }
    if (pthread_create(&run->thread, NULL, run_thread, run) != 0) {
        msfl_free(run->folder);
        msfl_free(run);
        return msfl_fail(MSFL_ERR_SYSTEM, "a thread for %s cannot be started", id);
    }
    *out = run;
    return MSFL_OK;
}

void client_run_stop(client_run *run) {
    msfl_set_flag(&run->over);
    msfl_set_flag(&run->stop);
}

void client_run_free(client_run *run) {
    if (run == NULL) return;
    client_run_stop(run);
    pthread_join(run->thread, NULL);
    job_shape_free(run->shape);
    job_spec_clear(&run->spec);
    msfl_free(run->text);
    msfl_free(run->folder);
    msfl_free(run);
}
