/* From a journal to a machine: at the start, and whenever the one in memory was given up. */
#include "base/error.h"
#include "base/mem.h"
#include "coordinator/driver_private.h"
#include "round/message.h"
#include "round/share.h"

#include <stdio.h>

enum { JOURNAL_KIND_AT = 8 };

typedef struct replaying {
    coord_driver *d;
    bool member;
} replaying;

static msfl_status replay_one(void *ctx, uint64_t sequence, const uint8_t *record, size_t length) {
    replaying *p = ctx;
    coord_driver *d = p->d;
    if (p->member) return msfl_member_replay(d->member, record, length);
    msfl_status status = msfl_coordinator_replay(d->machine, record, length);
    if (status != MSFL_OK) return status;
    const uint32_t kind = msfl_load32(record + JOURNAL_KIND_AT);
    if (kind == MSFL_JOURNAL_OPEN) {
        d->open_before = d->open_sequence;
        d->open_sequence = sequence;
    }
    if (kind == MSFL_JOURNAL_FINISHED) {
        status = coord_driver_keep(d, record + MSFL_JOURNAL_HEAD, length - MSFL_JOURNAL_HEAD,
                                   msfl_coordinator_number(d->machine, NULL));
    }
    return status;
}

msfl_status coord_driver_shape(coord_driver *d) {
    const msfl_announcement *a = msfl_coordinator_round(d->machine);
    if (a == NULL) return MSFL_OK;
    const uint64_t n_values = a->info.n_values, n_chunks = msfl_packed_chunks(d->ctx, n_values);
    const coord_spool_shape shape = {.number = a->info.number,
                                     .n_chunks = n_chunks,
                                     .chunk_bytes = msfl_packed_chunk_bytes(d->ctx, n_values, 0),
                                     .last_bytes = msfl_packed_chunk_bytes(d->ctx, n_values, n_chunks - 1),
                                     .trailer_bytes = d->r->k * msfl_share_bytes(a->info.params.ring_degree),
                                     .n_clients = d->r->n_clients};
    return coord_spool_round(d->spool, &shape);
}

/** A partial upload goes on where its file ends: the machine is shown again what it had taken. */
static msfl_status feed(coord_driver *d, uint32_t client) {
    const msfl_announcement *a = msfl_coordinator_round(d->machine);
    const uint64_t n = coord_spool_chunks(d->spool, client);
    uint8_t id[MSFL_HASH_BYTES];
    msfl_status status = MSFL_OK;
    msfl_buffer message = {0};
    uint8_t *chunk = msfl_alloc(msfl_packed_chunk_bytes(d->ctx, a->info.n_values, 0), 1);
    if (chunk == NULL) return MSFL_NO_MEMORY;
    msfl_announcement_id(a, id);
    const msfl_spool spool = coord_spool_callbacks(d->spool);
    for (uint64_t j = 0; j < n && status == MSFL_OK; j++) {
        const size_t length = msfl_packed_chunk_bytes(d->ctx, a->info.n_values, j);
        msfl_effects effects = {0};
        message.length = 0;
        status = spool.get(spool.self, a->info.number, client, j, chunk, length);
        msfl_frame_put(&message, MSFL_MSG_CHUNK, client, id);
        msfl_put64(&message, j);
        msfl_put_bytes(&message, chunk, length);
        if (status == MSFL_OK) status = message.status;
        if (status == MSFL_OK) {
            status = msfl_coordinator_receive(d->machine, 0, client, message.bytes, message.length, &effects);
        }
        msfl_effects_clear(&effects);
    }
    msfl_buffer_clear(&message);
    msfl_free(chunk);
    /* A chunk that was torn by a power cut is asked for again, and so is all that follows it. */
    return status == MSFL_ERR_MEMORY ? status : MSFL_OK;
}

msfl_status coord_driver_revive(coord_driver *d) {
    if (d->machine != NULL || d->plain != NULL) return MSFL_OK;
    msfl_coordinator_config config = {
        .roster = d->o.members->round, .secret = d->o.secret, .ctx = d->ctx, .spool = coord_spool_callbacks(d->spool)};
    memcpy(config.task, d->o.task, MSFL_HASH_BYTES);
    msfl_status status = msfl_coordinator_new(&config, &d->machine);
    if (status == MSFL_OK && d->r->custody == MSFL_CUSTODY_COORDINATOR) {
        msfl_member_config own = {
            .roster = d->o.members->round, .secret = d->o.secret, .party = d->r->members[0], .min_cohort = 2};
        memcpy(own.task, d->o.task, MSFL_HASH_BYTES);
        status = msfl_member_new(&own, &d->member);
        replaying p = {d, true};
        if (status == MSFL_OK) status = store_replay(d->o.store, d->o.task, coord_owner_member, replay_one, &p);
    }
    replaying p = {d, false};
    d->open_sequence = d->open_before = 0;
    if (status == MSFL_OK) status = store_replay(d->o.store, d->o.task, coord_owner_coordinator, replay_one, &p);
    if (status == MSFL_OK) status = coord_driver_shape(d);
    if (status == MSFL_OK && msfl_coordinator_phase(d->machine) == MSFL_PHASE_COLLECTING) {
        coord_spool_feeding(d->spool, true);
        for (uint32_t i = 0; i < d->r->n_clients && status == MSFL_OK; i++) {
            if (msfl_coordinator_chunks(d->machine, i) == 0) status = feed(d, i);
        }
        coord_spool_feeding(d->spool, false);
    }
    if (status != MSFL_OK) {
        char message[1024];
        (void)snprintf(message, sizeof message, "%s", msfl_error_message());
        coord_driver_give_up(d);
        msfl_error_set(message);
        return msfl_fail_in(status, "the journal of this task");
    }
    coord_driver_settle(d);
    coord_driver_look(d);
    return MSFL_OK;
}

msfl_status coord_driver_new(const coord_driver_options *options, coord_driver **out) {
    *out = NULL;
    coord_driver *d = msfl_alloc(1, sizeof *d);
    if (d == NULL) return MSFL_NO_MEMORY;
    if (pthread_mutex_init(&d->lock, NULL) != 0) {
        msfl_free(d);
        return msfl_fail(MSFL_ERR_SYSTEM, "no lock to be had");
    }
    atomic_init(&d->holders, 1);
    d->o = *options;
    (void)coord_members_hold(options->members);
    d->r = msfl_roster_borrow(options->members->round);
    d->changed_ms = msfl_alloc(d->r->n_clients, sizeof *d->changed_ms);
    if (options->plain) {
        msfl_status made = d->changed_ms == NULL ? MSFL_NO_MEMORY
                                                 : coord_plain_new(options->store, options->spool_folder, options->task,
                                                                   d->r->n_clients, &d->plain);
        if (made == MSFL_OK) {
            coord_driver_look(d);
            *out = d;
        } else {
            coord_driver_free(d);
        }
        return made;
    }
    msfl_status status = d->changed_ms == NULL ? MSFL_NO_MEMORY : msfl_packed_new(&options->params, &d->ctx);
    if (status == MSFL_OK) status = coord_spool_new(options->spool_folder, &d->spool);
    if (status == MSFL_OK) status = coord_driver_revive(d);
    if (status != MSFL_OK) {
        coord_driver_free(d);
        return status;
    }
    *out = d;
    return MSFL_OK;
}

coord_driver *coord_driver_hold(coord_driver *d) {
    (void)atomic_fetch_add(&d->holders, 1);
    return d;
}

void coord_driver_free(coord_driver *d) {
    if (d == NULL || atomic_fetch_sub(&d->holders, 1) > 1) return;
    coord_driver_give_up(d);
    coord_spool_free(d->spool);
    coord_plain_free(d->plain);
    msfl_packed_free(d->ctx);
    msfl_free(d->record);
    msfl_free(d->changed_ms);
    coord_members_drop(d->o.members);
    (void)pthread_mutex_destroy(&d->lock);
    msfl_free(d);
}
