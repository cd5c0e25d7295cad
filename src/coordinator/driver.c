#include "coordinator/driver.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "medsecurefl/transcript.h"
#include "round/message.h"
#include "round/share.h"
#include "round/statement.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static const char owner_coordinator[] = "coordinator", owner_member[] = "coordinator.member";

enum { JOURNAL_OPEN = 1, JOURNAL_FINISHED = 5, JOURNAL_KIND_AT = 8, JOURNAL_HEAD = 44, LOCAL_PASSES = 4 };

struct coord_driver {
    atomic_int holders;
    coord_driver_options o;
    const msfl_roster_info *r;
    msfl_packed *ctx;
    pthread_mutex_t lock;
    msfl_coordinator *machine; /* NULL: to be made anew */
    msfl_member *member;       /* custody "coordinator" alone */
    coord_spool *spool;
    coord_plain *plain;     /* instead of all these: scheme plain */
    uint64_t open_sequence; /* of the journal record that opened the round that is open, or was the last */
    uint64_t open_before;   /* of the one before that; 0: not in the journal */
    uint8_t *record;        /* a transcript that is still to be kept */
    size_t record_length;
    uint64_t record_number;
    uint64_t *changed_ms; /* per client */
    uint64_t phase_ms[MSFL_PHASE_DELIVERING + 1], bytes_in, bytes_out;
    msfl_phase seen;
    uint64_t seen_number;
    atomic_int phase;
    atomic_uint_least64_t changes;
};

static uint64_t wall_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/** What may have changed for those who wait. */
static void look(coord_driver *d) {
    if (d->machine == NULL && d->plain == NULL) return;
    const msfl_phase phase = d->plain != NULL ? coord_plain_phase(d->plain) : msfl_coordinator_phase(d->machine);
    const uint64_t number = d->plain != NULL ? coord_plain_number(d->plain) : msfl_coordinator_number(d->machine, NULL);
    if (phase == d->seen && number == d->seen_number) return;
    if (number != d->seen_number) {
        memset(d->phase_ms, 0, sizeof d->phase_ms);
        d->bytes_in = d->bytes_out = 0;
        memset(d->changed_ms, 0, d->r->n_clients * sizeof *d->changed_ms);
    }
    d->seen = phase;
    d->seen_number = number;
    d->phase_ms[phase] = wall_ms();
    atomic_store(&d->phase, (int)phase);
    (void)atomic_fetch_add(&d->changes, 1);
}

/* --- the transcript of a finished round, then its leftovers --- */

static void settle(coord_driver *d) {
    if (d->record == NULL) return;
    if (d->o.record != NULL && d->o.record(d->o.ctx, d->record, d->record_length) != MSFL_OK) return; /* next tick */
    msfl_free(d->record);
    d->record = NULL;
    coord_spool_drop(d->spool, d->record_number);
    if (d->machine == NULL) return;
    /* The journal keeps the last finished round, also while the next one is open: its record is for hospitals that have
     * not heard it yet, however often this process dies. When this fails the next cut takes these along. */
    const bool later = msfl_coordinator_number(d->machine, NULL) != d->record_number;
    if (store_cut(d->o.store, d->o.task, owner_coordinator, later ? d->open_before : d->open_sequence, 0) != MSFL_OK) {
        return;
    }
}

static msfl_status keep_record(coord_driver *d, const uint8_t *bytes, size_t length, uint64_t number) {
    uint8_t *copy = msfl_alloc(length, 1);
    if (copy == NULL) return MSFL_NO_MEMORY;
    memcpy(copy, bytes, length);
    msfl_free(d->record);
    d->record = copy;
    d->record_length = length;
    d->record_number = number;
    return MSFL_OK;
}

/* --- effects --- */

static msfl_status journal(coord_driver *d, const char *owner, const msfl_effects *effects, const coord_also *also) {
    uint64_t opened = 0;
    msfl_status status = coord_spool_sync(d->spool);
    if (status != MSFL_OK) return status;
    status = store_begin(d->o.store);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < effects->n && status == MSFL_OK; i++) {
        const msfl_effect *e = &effects->items[i];
        uint64_t sequence = 0;
        if (e->kind != MSFL_EFFECT_JOURNAL) continue;
        status = store_append(d->o.store, d->o.task, owner, e->bytes, e->length, &sequence);
        if (owner == owner_coordinator && msfl_load32(e->bytes + JOURNAL_KIND_AT) == JOURNAL_OPEN) opened = sequence;
    }
    if (status == MSFL_OK && also != NULL && also->keep != NULL) status = also->keep(also->ctx, d->o.store);
    if (status != MSFL_OK) {
        store_rollback(d->o.store);
        return status;
    }
    status = store_commit(d->o.store);
    if (status == MSFL_OK && opened != 0) {
        d->open_before = d->open_sequence;
        d->open_sequence = opened;
    }
    return status;
}

static void give_up(coord_driver *d) {
    msfl_coordinator_free(d->machine);
    msfl_member_free(d->member);
    d->machine = NULL;
    d->member = NULL;
}

static void put_frame(coord_driver *d, msfl_buffer *frames, const msfl_effect *e) {
    if (frames == NULL) return;
    msfl_put32(frames, (uint32_t)e->length);
    msfl_put_bytes(frames, e->bytes, e->length);
    d->bytes_out += e->length;
}

/** Carry out what the machine wants, in order; `party` gets what is for it, the others hear it when they ask. */
static msfl_status carry_out(coord_driver *d, const char *owner, msfl_effects *effects, uint32_t party,
                             msfl_buffer *frames, const coord_also *also) {
    bool durable = also != NULL && also->keep != NULL;
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < effects->n; i++)
        durable |= effects->items[i].kind == MSFL_EFFECT_JOURNAL;
    if (durable) status = journal(d, owner, effects, also);
    if (status != MSFL_OK) {
        char message[1024];
        (void)snprintf(message, sizeof message, "%s", msfl_error_message());
        give_up(d);
        msfl_effects_clear(effects);
        msfl_error_set(message);
        return status;
    }
    for (size_t i = 0; i < effects->n; i++) {
        const msfl_effect *e = &effects->items[i];
        if (e->kind == MSFL_EFFECT_SEND && e->to == party) put_frame(d, frames, e);
        if (e->kind == MSFL_EFFECT_RECORD && owner == owner_coordinator) {
            /* Without memory the journal has it still: the next start finds it there. */
            if (keep_record(d, e->bytes, e->length, msfl_coordinator_number(d->machine, NULL)) != MSFL_OK) give_up(d);
        }
    }
    msfl_effects_clear(effects);
    settle(d);
    look(d);
    return frames == NULL ? MSFL_OK : frames->status;
}

/* --- making the machine --- */

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
    if (kind == JOURNAL_OPEN) {
        d->open_before = d->open_sequence;
        d->open_sequence = sequence;
    }
    if (kind == JOURNAL_FINISHED) {
        status =
            keep_record(d, record + JOURNAL_HEAD, length - JOURNAL_HEAD, msfl_coordinator_number(d->machine, NULL));
    }
    return status;
}

static msfl_status shape_spool(coord_driver *d) {
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

static msfl_status revive(coord_driver *d) {
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
        if (status == MSFL_OK) status = store_replay(d->o.store, d->o.task, owner_member, replay_one, &p);
    }
    replaying p = {d, false};
    d->open_sequence = d->open_before = 0;
    if (status == MSFL_OK) status = store_replay(d->o.store, d->o.task, owner_coordinator, replay_one, &p);
    if (status == MSFL_OK) status = shape_spool(d);
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
        give_up(d);
        msfl_error_set(message);
        return msfl_fail_in(status, "the journal of this task");
    }
    settle(d);
    look(d);
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
            look(d);
            *out = d;
        } else {
            coord_driver_free(d);
        }
        return made;
    }
    msfl_status status = d->changed_ms == NULL ? MSFL_NO_MEMORY : msfl_packed_new(&options->params, &d->ctx);
    if (status == MSFL_OK) status = coord_spool_new(options->spool_folder, &d->spool);
    if (status == MSFL_OK) status = revive(d);
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
    give_up(d);
    coord_spool_free(d->spool);
    coord_plain_free(d->plain);
    msfl_packed_free(d->ctx);
    msfl_free(d->record);
    msfl_free(d->changed_ms);
    coord_members_drop(d->o.members);
    (void)pthread_mutex_destroy(&d->lock);
    msfl_free(d);
}

/* --- calls --- */

/** Lock, with a machine at hand. Unlocks when it fails. */
static msfl_status enter(coord_driver *d) {
    pthread_mutex_lock(&d->lock);
    msfl_status status = revive(d);
    if (status != MSFL_OK) pthread_mutex_unlock(&d->lock);
    return status;
}

static msfl_status leave(coord_driver *d, msfl_status status) {
    pthread_mutex_unlock(&d->lock);
    return status;
}

msfl_status coord_driver_receive(coord_driver *d, uint64_t now_ms, uint32_t party, const uint8_t *message,
                                 size_t length, msfl_buffer *frames) {
    msfl_effects effects = {0};
    msfl_status status = enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) return leave(d, msfl_fail(MSFL_ERR_POLICY, "a round of scheme plain has no messages"));
    status = msfl_coordinator_receive(d->machine, now_ms, party, message, length, &effects);
    if (status == MSFL_OK) {
        d->bytes_in += length;
        if (party < d->r->n_clients) d->changed_ms[party] = wall_ms();
        status = carry_out(d, owner_coordinator, &effects, party, frames, NULL);
    }
    msfl_effects_clear(&effects);
    return leave(d, status);
}

msfl_status coord_driver_poll(coord_driver *d, uint32_t party, msfl_buffer *frames) {
    msfl_effects effects = {0};
    msfl_status status = enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) return leave(d, MSFL_OK);
    status = msfl_coordinator_poll(d->machine, party, &effects);
    if (status == MSFL_OK) status = carry_out(d, owner_coordinator, &effects, party, frames, NULL);
    msfl_effects_clear(&effects);
    return leave(d, status);
}

/** The coordinator as the holder of all shares: what it asks itself, and what it answers. */
static msfl_status talk_to_oneself(coord_driver *d, uint64_t now_ms) {
    const uint32_t self = d->r->members[0];
    msfl_status status = MSFL_OK;
    for (int pass = 0; pass < LOCAL_PASSES && status == MSFL_OK && d->machine != NULL; pass++) {
        msfl_effects asked = {0}, said = {0};
        status = msfl_coordinator_poll(d->machine, self, &asked);
        for (size_t i = 0; i < asked.n && status == MSFL_OK; i++) {
            status =
                msfl_member_receive(d->member, MSFL_COORDINATOR, asked.items[i].bytes, asked.items[i].length, &said);
        }
        msfl_effects_clear(&asked);
        msfl_buffer frames = {0};
        if (status == MSFL_OK) status = carry_out(d, owner_member, &said, MSFL_COORDINATOR, &frames, NULL);
        msfl_effects_clear(&said);
        msfl_reader reader = msfl_reader_init(frames.bytes, frames.length);
        const bool quiet = frames.length == 0;
        while (status == MSFL_OK && msfl_reader_left(&reader) > 0) {
            msfl_effects effects = {0};
            const size_t length = msfl_get32(&reader);
            const uint8_t *bytes = msfl_get_bytes(&reader, length);
            status = msfl_coordinator_receive(d->machine, now_ms, self, bytes, length, &effects);
            if (status == MSFL_OK) status = carry_out(d, owner_coordinator, &effects, self, NULL, NULL);
            msfl_effects_clear(&effects);
        }
        msfl_buffer_clear(&frames);
        if (quiet) break;
    }
    return status;
}

msfl_status coord_driver_tick(coord_driver *d, uint64_t now_ms) {
    msfl_effects effects = {0};
    msfl_status status = enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) {
        status = coord_plain_tick(d->plain, now_ms);
        look(d);
        return leave(d, status);
    }
    settle(d);
    status = msfl_coordinator_tick(d->machine, now_ms, &effects);
    if (status == MSFL_OK) status = carry_out(d, owner_coordinator, &effects, MSFL_COORDINATOR, NULL, NULL);
    msfl_effects_clear(&effects);
    if (status == MSFL_OK && d->member != NULL) status = talk_to_oneself(d, now_ms);
    return leave(d, status);
}

msfl_status coord_driver_open(coord_driver *d, uint64_t now_ms, const msfl_round_offer *offer, const coord_also *also) {
    msfl_effects effects = {0};
    msfl_status status = enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) {
        status = coord_plain_open(d->plain, offer->min_cohort, offer->deadline_ms, also->keep, also->ctx);
        look(d);
        return leave(d, status);
    }
    if (d->record != NULL) {
        status = msfl_fail(MSFL_ERR_IO, "the transcript of round %" PRIu64 " could not be kept yet", d->record_number);
    }
    if (status == MSFL_OK) status = msfl_coordinator_open(d->machine, now_ms, offer, &effects);
    if (status == MSFL_OK) {
        status = shape_spool(d);
        if (status != MSFL_OK) give_up(d);
    }
    if (status == MSFL_OK) status = carry_out(d, owner_coordinator, &effects, MSFL_COORDINATOR, NULL, also);
    msfl_effects_clear(&effects);
    return leave(d, status);
}

msfl_status coord_driver_close(coord_driver *d, uint64_t now_ms) {
    msfl_effects effects = {0};
    msfl_status status = enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) {
        status = coord_plain_close(d->plain);
        look(d);
        return leave(d, status);
    }
    status = msfl_coordinator_close(d->machine, now_ms, &effects);
    if (status == MSFL_OK) status = carry_out(d, owner_coordinator, &effects, MSFL_COORDINATOR, NULL, NULL);
    msfl_effects_clear(&effects);
    return leave(d, status);
}

msfl_status coord_driver_abort(coord_driver *d, const char *reason, const coord_also *also) {
    msfl_effects effects = {0};
    char text[201];
    (void)snprintf(text, sizeof text, "%s", reason);
    msfl_status status = enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) {
        status = coord_plain_abort(d->plain, also->keep, also->ctx);
        look(d);
        return leave(d, status);
    }
    status = msfl_coordinator_abort(d->machine, text, &effects);
    if (status == MSFL_OK) status = carry_out(d, owner_coordinator, &effects, MSFL_COORDINATOR, NULL, also);
    msfl_effects_clear(&effects);
    return leave(d, status);
}

msfl_status coord_driver_finish(coord_driver *d, const uint8_t result[MSFL_HASH_BYTES], const coord_also *also) {
    msfl_effects effects = {0};
    msfl_status status = enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) {
        status = coord_plain_finish(d->plain, also->keep, also->ctx);
        look(d);
        return leave(d, status);
    }
    status = msfl_coordinator_finish(d->machine, result, &effects);
    if (status == MSFL_OK) status = carry_out(d, owner_coordinator, &effects, MSFL_COORDINATOR, NULL, also);
    msfl_effects_clear(&effects);
    return leave(d, status);
}

msfl_status coord_driver_total(coord_driver *d, uint64_t j, uint64_t *totals) {
    msfl_status status = enter(d);
    if (status != MSFL_OK) return status;
    return leave(d, msfl_coordinator_total(d->machine, j, totals));
}

msfl_status coord_driver_take(coord_driver *d, uint64_t number, uint32_t client, const char *path) {
    msfl_status status = enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain == NULL) return leave(d, msfl_fail(MSFL_ERR_POLICY, "this job's updates are encrypted"));
    status = coord_plain_take(d->plain, number, client, path);
    if (status == MSFL_OK) {
        d->changed_ms[client] = wall_ms();
        (void)atomic_fetch_add(&d->changes, 1);
    }
    return leave(d, status);
}

char *coord_driver_upload(coord_driver *d, uint32_t client) {
    if (enter(d) != MSFL_OK) return NULL;
    char *path = d->plain != NULL && coord_plain_has(d->plain, client) ? coord_plain_path(d->plain, client) : NULL;
    pthread_mutex_unlock(&d->lock);
    return path;
}

uint64_t coord_driver_chunks(const coord_driver *d, uint64_t n_values) {
    return msfl_packed_chunks(d->ctx, n_values);
}

uint32_t coord_driver_chunk_slots(const coord_driver *d, uint64_t n_values, uint64_t j) {
    return msfl_packed_chunk_slots(d->ctx, n_values, j);
}

/* --- views --- */

static void view_uploads(const coord_driver *d, const msfl_announcement *a, coord_view *v) {
    const uint64_t n_chunks = msfl_packed_chunks(d->ctx, a->info.n_values);
    const size_t each = msfl_packed_chunk_bytes(d->ctx, a->info.n_values, 0);
    const size_t last = msfl_packed_chunk_bytes(d->ctx, a->info.n_values, n_chunks - 1);
    size_t n;
    v->deadline_ms = a->deadline_ms;
    v->min_cohort = a->info.min_cohort;
    v->bytes_total = (n_chunks - 1) * each + last;
    for (uint32_t i = 0; i < d->r->n_clients; i++) {
        const uint64_t chunks = msfl_coordinator_chunks(d->machine, i);
        v->clients[i].bytes = chunks == n_chunks ? v->bytes_total : chunks * each;
        v->clients[i].changed_ms = d->changed_ms[i];
    }
    const uint32_t *in = msfl_coordinator_cohort(d->machine, &n);
    for (size_t i = 0; i < n; i++)
        v->clients[in[i]].in = true;
    v->n_in = (uint32_t)n;
    for (uint32_t i = 0; i < d->r->k; i++) {
        coord_member_view *m = &v->members[i];
        msfl_coordinator_member(d->machine, i, &m->voted, &m->answered);
    }
    const uint32_t *cheats = msfl_coordinator_cheats(d->machine, &n);
    for (size_t i = 0; i < n; i++)
        v->members[msfl_member_place(d->r, cheats[i])].cheated = true;
}

static void view_plain(const coord_driver *d, coord_view *v) {
    v->phase = coord_plain_phase(d->plain);
    v->number = coord_plain_number(d->plain);
    v->deadline_ms = coord_plain_deadline(d->plain);
    v->min_cohort = coord_plain_min(d->plain);
    for (uint32_t i = 0; i < v->n_clients; i++) {
        v->clients[i] = (coord_client_view){.in = coord_plain_has(d->plain, i), .changed_ms = d->changed_ms[i]};
        v->n_in += v->clients[i].in;
    }
}

msfl_status coord_driver_view(coord_driver *d, coord_view *v) {
    memset(v, 0, sizeof *v);
    msfl_status status = enter(d);
    if (status != MSFL_OK) return status;
    v->clients = msfl_alloc(d->r->n_clients, sizeof *v->clients);
    if (v->clients == NULL) return leave(d, MSFL_NO_MEMORY);
    v->n_clients = d->r->n_clients;
    v->k = d->r->k;
    for (uint32_t i = 0; i < d->r->k; i++)
        v->members[i].party = d->r->members[i];
    memcpy(v->phase_ms, d->phase_ms, sizeof v->phase_ms);
    v->changes = atomic_load(&d->changes);
    if (d->plain != NULL) {
        v->k = 0; /* nobody holds keys */
        view_plain(d, v);
        return leave(d, MSFL_OK);
    }
    v->phase = msfl_coordinator_phase(d->machine);
    v->number = msfl_coordinator_number(d->machine, v->chain);
    v->bytes_in = d->bytes_in;
    v->bytes_out = d->bytes_out;
    const msfl_announcement *a = msfl_coordinator_round(d->machine);
    if (a != NULL) view_uploads(d, a, v);
    return leave(d, MSFL_OK);
}

void coord_view_clear(coord_view *v) {
    msfl_free(v->clients);
    memset(v, 0, sizeof *v);
}

msfl_phase coord_driver_glance(const coord_driver *d, uint64_t *changes) {
    *changes = atomic_load(&d->changes);
    return (msfl_phase)atomic_load(&d->phase);
}
