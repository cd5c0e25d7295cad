/* A hospital's part in a job: the round's machine and what it has done, from the first seat to the last record. */
#include "client/part.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "client/data.h"
#include "client/sealed.h"
#include "client/tally.h"
#include "round/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- effects --- */

static msfl_status journal(client_part_state *p, const msfl_effect *e) {
    store *s = p->run->hub->store;
    msfl_journal_kind kind;
    msfl_reader body;
    msfl_status status = msfl_journal_read(e->bytes, e->length, p->seat.task, &kind, &body);
    if (status != MSFL_OK) return status;
    if (kind == MSFL_JOURNAL_SEALED) status = client_spool_sync(p->spool);
    if (status != MSFL_OK) return status;
    uint64_t sequence;
    if (kind != MSFL_JOURNAL_JOINED) {
        status = store_append(s, p->seat.task, "site", e->bytes, e->length, &sequence);
        if (status == MSFL_OK && kind == MSFL_JOURNAL_HISTORY) p->history = sequence;
        return status;
    }
    /* How often this hospital took part, and what the round was about, is kept with the record that uses a round's
     * number up; what is before it is over, but for the last history. */
    const msfl_announcement *a = msfl_site_round(p->site);
    if (a == NULL) return msfl_fail(MSFL_ERR_MISMATCH, "a round was joined that nobody announced");
    const client_subject about = {p->run->hash, a->info.model, a->info.layout};
    status = store_begin(s);
    if (status != MSFL_OK) return status;
    status = store_append(s, p->seat.task, "site", e->bytes, e->length, &sequence);
    if (status == MSFL_OK) status = store_cut(s, p->seat.task, "site", sequence, p->history);
    if (status == MSFL_OK) status = client_tally_add(s, p->run->id);
    if (status == MSFL_OK) status = client_course_add(s, &about, p->plan.kind, p->plan.round);
    if (status == MSFL_OK) return store_commit(s);
    store_rollback(s);
    return status;
}

msfl_status client_part_carry_out(client_part_state *p, const msfl_effects *effects, msfl_buffer *frames) {
    for (size_t i = 0; i < effects->n; i++) {
        const msfl_effect *e = &effects->items[i];
        msfl_status status = MSFL_OK;
        if (e->kind == MSFL_EFFECT_JOURNAL) status = journal(p, e);
        if (e->kind == MSFL_EFFECT_SEND && frames != NULL) client_frame_put(frames, e->bytes, e->length);
        if (e->kind == MSFL_EFFECT_DROP) status = client_spool_drop(p->spool, e->number);
        if (status != MSFL_OK) {
            p->broken = true;
            return status;
        }
    }
    if (frames != NULL && frames->status != MSFL_OK) p->broken = true;
    return frames != NULL ? frames->status : MSFL_OK;
}

/* --- machines --- */

static msfl_status replay(void *ctx, uint64_t sequence, const uint8_t *record, size_t length) {
    client_part_state *p = ctx;
    msfl_journal_kind kind;
    msfl_reader body;
    msfl_status status = msfl_journal_read(record, length, p->seat.task, &kind, &body);
    if (status == MSFL_OK && kind == MSFL_JOURNAL_HISTORY) p->history = sequence;
    return status == MSFL_OK ? msfl_site_replay(p->site, record, length) : status;
}

static void stand_up(client_part_state *p) {
    msfl_site_free(p->site);
    client_spool_free(p->spool);
    client_learner_free(p->learner);
    p->site = NULL;
    p->spool = NULL;
    p->learner = NULL;
    p->broken = false;
    p->history = 0;
    client_seat_clear(&p->seat);
}

/* The record's folder, and in it the roster of this seat. */
static msfl_status open_audit(client_part_state *p) {
    client_hub *hub = p->run->hub;
    char *folder = msfl_format("%s/audit/%s", hub->folder, p->run->id), *text = NULL;
    size_t length;
    if (folder == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    if (p->audit == NULL) {
        status = msfl_audit_writer_open(folder, (const uint8_t *)p->run->text, p->run->length, &p->audit);
    }
    pthread_mutex_lock(&hub->lock);
    const uint32_t epoch = hub->kit->roster->epoch;
    if (status == MSFL_OK) {
        status = pki_folder_read(hub->o->kit, PKI_FILE_ROSTER, PKI_ROSTER_BYTES_MAX, &text, &length);
    }
    pthread_mutex_unlock(&hub->lock);
    /* A still newer roster comes with a seat of its own. */
    if (status == MSFL_OK && epoch == p->seat.epoch) status = msfl_audit_add_roster(p->audit, epoch, text, length);
    msfl_free(text);
    msfl_free(folder);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "audit");
}

static msfl_status make_spool(client_part_state *p) {
    char hex[17];
    msfl_hex(p->seat.task, 8, hex);
    char *folder = msfl_format("%s/task-%s", p->run->folder, hex);
    if (folder == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_folder_make(folder);
    if (status == MSFL_OK) status = client_spool_new(folder, &p->spool);
    msfl_free(folder);
    return status;
}

msfl_status client_part_permits(const client_part_state *p) {
    const client_hub *hub = p->run->hub;
    const client_trainer_kind trainer = hub->site.trainer.n_command > 0 ? CLIENT_COMMAND : CLIENT_BUILTIN;
    msfl_status status = client_policy_job(&hub->policy, p->run->shape, p->seat.info, trainer);
    return status == MSFL_OK ? client_data_permits(&hub->site, &p->run->spec) : status;
}

msfl_status client_part_learner(client_part_state *p) {
    const client_hub *hub = p->run->hub;
    const client_learner_options options = {.site = &hub->site,
                                            .bounds = &hub->policy.bounds,
                                            .shape = p->run->shape,
                                            .job = p->run->id,
                                            .client = p->seat.party,
                                            .folder = p->run->folder,
                                            .observer = &p->observer};
    return client_learner_new(&options, &p->learner);
}

msfl_status client_part_sit_down(client_part_state *p) {
    client_hub *hub = p->run->hub;
    uint8_t before[MSFL_HASH_BYTES];
    memcpy(before, p->seat.task, sizeof before);
    stand_up(p);
    msfl_status status = client_seat_take(hub, p->run->hash, &p->seat);
    if (status != MSFL_OK) return status;
    if (memcmp(before, p->seat.task, sizeof before) != 0) p->skipped = 0; /* numbers begin anew */
    if (!p->seat.is_hospital) return msfl_fail(MSFL_ERR_MISSING, "this party is no hospital of the newest roster");
    status = client_part_permits(p);
    if (status == MSFL_OK) status = open_audit(p);
    if (status == MSFL_OK) status = make_spool(p);
    if (status != MSFL_OK) return status;
    msfl_site_config config = {.roster = p->seat.roster,
                               .secret = hub->secret,
                               .client = p->seat.party,
                               .min_cohort = hub->policy.min_cohort,
                               .security_bits = hub->policy.security_bits,
                               .allow_coordinator_custody = hub->policy.coordinator,
                               .spool = client_spool_of(p->spool),
                               .delivery = p->run->spec.delivery};
    memcpy(config.task, p->seat.task, MSFL_HASH_BYTES);
    status = msfl_site_new(&config, &p->site);
    if (status == MSFL_OK) status = store_replay(hub->store, p->seat.task, "site", replay, p);
    if (status == MSFL_OK) status = client_part_learner(p);
    if (status == MSFL_OK && p->sealed != NULL) status = client_sealed_sit(p);
    if (status != MSFL_OK) stand_up(p);
    return status;
}

/* --- the loop --- */

/* An upload that was sealed before a restart. */
static msfl_status resume(client_part_state *p) {
    msfl_packed *ctx;
    msfl_status status = msfl_packed_new(&msfl_site_round(p->site)->info.params, &ctx);
    if (status != MSFL_OK) return status;
    status = client_upload(p, ctx, NULL, NULL);
    msfl_packed_free(ctx);
    return status;
}

static msfl_status step(client_part_state *p) {
    client_run *run = p->run;
    msfl_status status = MSFL_OK;
    if (p->link == NULL) status = client_hub_link(run->hub, &run->over, 6, &p->link);
    if (status == MSFL_OK && (p->site == NULL || p->broken)) status = client_part_sit_down(p);
    if (status == MSFL_OK && p->sealed != NULL && !p->sealed->caught_up) status = client_sealed_begin(p);
    if (status == MSFL_OK) status = client_part_listen(p, p->seen == 0 ? 0 : CLIENT_WAIT_S);
    if (status != MSFL_OK || p->site == NULL) return status;
    const msfl_announcement *a = msfl_site_round(p->site);
    const msfl_site_phase phase = msfl_site_phase_of(p->site);
    if (phase == MSFL_SITE_OFFERED && a->info.number != p->skipped) return client_round_take(p);
    if (phase == MSFL_SITE_UPLOADING) return resume(p);
    if (p->sealed != NULL && (phase == MSFL_SITE_DELIVERED || phase == MSFL_SITE_OPENED)) return client_sealed_open(p);
    if (phase == MSFL_SITE_IDLE && p->doing != NULL && strcmp(p->doing, "waiting") != 0) {
        p->doing = "waiting";
        client_reporter_say(run->hub->reporter, run->id, 0, "waiting", 0, "");
    }
    return MSFL_OK;
}

static void forward(void *ctx, const msfl_event *event) {
    enum { REPORT_MS = 2000 };
    client_part_state *p = ctx;
    msfl_event with_round = *event;
    with_round.round = p->plan.round;
    with_round.n_rounds = p->run->spec.rule.n_rounds;
    msfl_observe(&p->run->hub->observer, &with_round);
    const uint64_t now = client_now_ms();
    if (event->kind != MSFL_EVENT_PROGRESS || event->total == 0 || p->doing == NULL) return;
    if (now < p->reported_ms + REPORT_MS && now >= p->reported_ms) return;
    p->reported_ms = now;
    client_reporter_say(p->run->hub->reporter, p->run->id, p->plan.round, p->doing,
                        (double)event->done / (double)event->total, "");
}

/* Whether a failure ends this hospital's part for good. */
static bool is_final(const client_part_state *p, msfl_status status) {
    return p->site == NULL && (status == MSFL_ERR_POLICY || status == MSFL_ERR_UNSUPPORTED ||
                               status == MSFL_ERR_USAGE || status == MSFL_ERR_FORMAT);
}

/* The record of the last round comes with the end of the job. */
static void last_record(client_part_state *p) {
    client_link_free(p->link);
    p->link = NULL;
    if (p->site == NULL || p->broken) return;
    if (client_hub_link(p->run->hub, &p->run->stop, p->sealed == NULL ? 1 : 6, &p->link) != MSFL_OK) return;
    if (p->sealed == NULL) {
        (void)!client_part_ask(p);
    } else if (client_sealed_catch_up(p) == MSFL_OK) {
        client_sealed_end(p);
    } else {
        client_say(p->run, MSFL_EVENT_WARNING, "the end of the job: %s", msfl_error_message());
    }
}

msfl_status client_part(client_run *run) {
    client_part_state p = {.run = run, .wanted = CLIENT_NOT_WANTED, .doing = "waiting"};
    p.observer = (msfl_observer){.observe = forward, .ctx = &p, .cancel = &run->over};
    uint32_t failures = 0;
    const bool plain = strcmp(run->spec.scheme, "plain") == 0;
    msfl_status status = run->spec.delivery == MSFL_DELIVERY_CLIENTS && !plain ? client_sealed_new(&p) : MSFL_OK;
    if (status == MSFL_OK) status = plain ? client_plain(&p) : client_part_sit_down(&p);
    if (status == MSFL_OK && !plain) {
        client_say(run, MSFL_EVENT_PHASE, "taking part as hospital %" PRIu32 " of %" PRIu32, p.seat.party + 1,
                   p.seat.info->n_clients);
        client_reporter_say(run->hub->reporter, run->id, 0, "waiting", 0, "");
    }
    while (!plain && !msfl_is_set(&run->over) && !is_final(&p, status)) {
        if (status == MSFL_OK) status = step(&p);
        if (status == MSFL_OK) {
            failures = 0;
            continue;
        }
        if (status == MSFL_ERR_CANCELLED || is_final(&p, status)) break;
        if (client_run_wait(run, &failures) != MSFL_OK) break;
        client_link_free(p.link);
        p.link = NULL;
        p.seen = 0;
        status = MSFL_OK;
    }
    if (msfl_is_set(&run->over)) {
        if (!msfl_is_set(&run->stop)) last_record(&p);
        status = MSFL_OK;
    }
    char *message = status == MSFL_OK ? NULL : msfl_strdup(msfl_error_message());
    stand_up(&p);
    client_sealed_free(p.sealed);
    msfl_audit_writer_free(p.audit);
    msfl_buffer_clear(&p.announce);
    client_link_free(p.link);
    client_result_clear(&p.result);
    job_plan_clear(&p.plan);
    if (message != NULL) msfl_error_set(message);
    msfl_free(message);
    return status;
}
