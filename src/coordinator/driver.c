#include "base/error.h"
#include "base/mem.h"
#include "coordinator/driver_private.h"

#include <inttypes.h>
#include <stdio.h>

const char coord_owner_coordinator[] = "coordinator", coord_owner_member[] = "coordinator.member";

enum { JOURNAL_KIND_AT = 8, LOCAL_PASSES = 4 };

/** What may have changed for those who wait. */
void coord_driver_look(coord_driver *d) {
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
    d->phase_ms[phase] = coord_now_ms();
    atomic_store(&d->phase, (int)phase);
    (void)atomic_fetch_add(&d->changes, 1);
}

/* --- the transcript of a finished round, then its leftovers --- */

void coord_driver_settle(coord_driver *d) {
    if (d->record == NULL) return;
    if (d->o.record != NULL && d->o.record(d->o.ctx, d->record, d->record_length) != MSFL_OK) return; /* next tick */
    msfl_free(d->record);
    d->record = NULL;
    coord_spool_drop(d->spool, d->record_number);
    if (d->machine == NULL) return;
    /* The journal keeps the last finished round, also while the next one is open: its record is for hospitals that have
     * not heard it yet, however often this process dies. When this fails the next cut takes these along. */
    const bool later = msfl_coordinator_number(d->machine, NULL) != d->record_number;
    if (store_cut(d->o.store, d->o.task, coord_owner_coordinator, later ? d->open_before : d->open_sequence, 0) !=
        MSFL_OK) {
        return;
    }
}

msfl_status coord_driver_keep(coord_driver *d, const uint8_t *bytes, size_t length, uint64_t number) {
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
        if (owner == coord_owner_coordinator && msfl_load32(e->bytes + JOURNAL_KIND_AT) == MSFL_JOURNAL_OPEN)
            opened = sequence;
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

void coord_driver_give_up(coord_driver *d) {
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
        coord_driver_give_up(d);
        msfl_effects_clear(effects);
        msfl_error_set(message);
        return status;
    }
    for (size_t i = 0; i < effects->n; i++) {
        const msfl_effect *e = &effects->items[i];
        if (e->kind == MSFL_EFFECT_SEND && e->to == party) put_frame(d, frames, e);
        if (e->kind == MSFL_EFFECT_RECORD && owner == coord_owner_coordinator) {
            /* Without memory the journal has it still: the next start finds it there. */
            if (coord_driver_keep(d, e->bytes, e->length, msfl_coordinator_number(d->machine, NULL)) != MSFL_OK)
                coord_driver_give_up(d);
        }
    }
    msfl_effects_clear(effects);
    coord_driver_settle(d);
    coord_driver_look(d);
    return frames == NULL ? MSFL_OK : frames->status;
}

/* --- calls --- */

/** Lock, with a machine at hand. Unlocks when it fails. */
msfl_status coord_driver_enter(coord_driver *d) {
    pthread_mutex_lock(&d->lock);
    msfl_status status = coord_driver_revive(d);
    if (status != MSFL_OK) pthread_mutex_unlock(&d->lock);
    return status;
}

msfl_status coord_driver_leave(coord_driver *d, msfl_status status) {
    pthread_mutex_unlock(&d->lock);
    return status;
}

/** The last upload is in: the round goes on at once, and not with the next tick. What fails here is tried again there.
 */
static void close_if_all_in(coord_driver *d, uint64_t now_ms) {
    size_t n;
    if (d->machine == NULL || msfl_coordinator_phase(d->machine) != MSFL_PHASE_COLLECTING) return;
    (void)msfl_coordinator_cohort(d->machine, &n);
    if (n < d->r->n_clients) return;
    msfl_effects effects = {0};
    if (msfl_coordinator_tick(d->machine, now_ms, &effects) == MSFL_OK) {
        (void)!carry_out(d, coord_owner_coordinator, &effects, MSFL_COORDINATOR, NULL, NULL);
    }
    msfl_effects_clear(&effects);
}

msfl_status coord_driver_receive(coord_driver *d, uint64_t now_ms, uint32_t party, const uint8_t *message,
                                 size_t length, msfl_buffer *frames) {
    msfl_effects effects = {0};
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL)
        return coord_driver_leave(d, msfl_fail(MSFL_ERR_POLICY, "a round of scheme plain has no messages"));
    status = msfl_coordinator_receive(d->machine, now_ms, party, message, length, &effects);
    if (status == MSFL_OK) {
        d->bytes_in += length;
        if (party < d->r->n_clients) d->changed_ms[party] = coord_now_ms();
        status = carry_out(d, coord_owner_coordinator, &effects, party, frames, NULL);
        if (status == MSFL_OK) close_if_all_in(d, now_ms);
    }
    msfl_effects_clear(&effects);
    return coord_driver_leave(d, status);
}

msfl_status coord_driver_poll(coord_driver *d, uint32_t party, msfl_buffer *frames) {
    msfl_effects effects = {0};
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) return coord_driver_leave(d, MSFL_OK);
    status = msfl_coordinator_poll(d->machine, party, &effects);
    if (status == MSFL_OK) status = carry_out(d, coord_owner_coordinator, &effects, party, frames, NULL);
    msfl_effects_clear(&effects);
    return coord_driver_leave(d, status);
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
        if (status == MSFL_OK) status = carry_out(d, coord_owner_member, &said, MSFL_COORDINATOR, &frames, NULL);
        msfl_effects_clear(&said);
        msfl_reader reader = msfl_reader_init(frames.bytes, frames.length);
        const bool quiet = frames.length == 0;
        while (status == MSFL_OK && msfl_reader_left(&reader) > 0) {
            msfl_effects effects = {0};
            const size_t length = msfl_get32(&reader);
            const uint8_t *bytes = msfl_get_bytes(&reader, length);
            status = msfl_coordinator_receive(d->machine, now_ms, self, bytes, length, &effects);
            if (status == MSFL_OK) status = carry_out(d, coord_owner_coordinator, &effects, self, NULL, NULL);
            msfl_effects_clear(&effects);
        }
        msfl_buffer_clear(&frames);
        if (quiet) break;
    }
    return status;
}

msfl_status coord_driver_tick(coord_driver *d, uint64_t now_ms) {
    msfl_effects effects = {0};
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) {
        status = coord_plain_tick(d->plain, now_ms);
        coord_driver_look(d);
        return coord_driver_leave(d, status);
    }
    coord_driver_settle(d);
    status = msfl_coordinator_tick(d->machine, now_ms, &effects);
    if (status == MSFL_OK) status = carry_out(d, coord_owner_coordinator, &effects, MSFL_COORDINATOR, NULL, NULL);
    msfl_effects_clear(&effects);
    if (status == MSFL_OK && d->member != NULL) status = talk_to_oneself(d, now_ms);
    return coord_driver_leave(d, status);
}

msfl_status coord_driver_open(coord_driver *d, uint64_t now_ms, const msfl_round_offer *offer, const coord_also *also) {
    msfl_effects effects = {0};
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) {
        status = coord_plain_open(d->plain, offer->min_cohort, offer->deadline_ms, also->keep, also->ctx);
        coord_driver_look(d);
        return coord_driver_leave(d, status);
    }
    if (d->record != NULL) {
        status = msfl_fail(MSFL_ERR_IO, "the transcript of round %" PRIu64 " could not be kept yet", d->record_number);
    }
    if (status == MSFL_OK) status = msfl_coordinator_open(d->machine, now_ms, offer, &effects);
    if (status == MSFL_OK) {
        status = coord_driver_shape(d);
        if (status != MSFL_OK) coord_driver_give_up(d);
    }
    if (status == MSFL_OK) status = carry_out(d, coord_owner_coordinator, &effects, MSFL_COORDINATOR, NULL, also);
    msfl_effects_clear(&effects);
    return coord_driver_leave(d, status);
}

msfl_status coord_driver_close(coord_driver *d, uint64_t now_ms) {
    msfl_effects effects = {0};
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) {
        status = coord_plain_close(d->plain);
        coord_driver_look(d);
        return coord_driver_leave(d, status);
    }
    status = msfl_coordinator_close(d->machine, now_ms, &effects);
    if (status == MSFL_OK) status = carry_out(d, coord_owner_coordinator, &effects, MSFL_COORDINATOR, NULL, NULL);
    msfl_effects_clear(&effects);
    return coord_driver_leave(d, status);
}

msfl_status coord_driver_abort(coord_driver *d, const char *reason, const coord_also *also) {
    msfl_effects effects = {0};
    char text[201];
    (void)snprintf(text, sizeof text, "%s", reason);
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) {
        status = coord_plain_abort(d->plain, also->keep, also->ctx);
        coord_driver_look(d);
        return coord_driver_leave(d, status);
    }
    status = msfl_coordinator_abort(d->machine, text, &effects);
    if (status == MSFL_OK) status = carry_out(d, coord_owner_coordinator, &effects, MSFL_COORDINATOR, NULL, also);
    msfl_effects_clear(&effects);
    return coord_driver_leave(d, status);
}

msfl_status coord_driver_finish(coord_driver *d, const uint8_t result[MSFL_HASH_BYTES], const coord_also *also) {
    msfl_effects effects = {0};
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain != NULL) {
        status = coord_plain_finish(d->plain, also->keep, also->ctx);
        coord_driver_look(d);
        return coord_driver_leave(d, status);
    }
    status = msfl_coordinator_finish(d->machine, result, &effects);
    if (status == MSFL_OK) status = carry_out(d, coord_owner_coordinator, &effects, MSFL_COORDINATOR, NULL, also);
    msfl_effects_clear(&effects);
    return coord_driver_leave(d, status);
}

msfl_status coord_driver_total(coord_driver *d, uint64_t j, uint64_t *totals) {
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    return coord_driver_leave(d, msfl_coordinator_total(d->machine, j, totals));
}

msfl_status coord_driver_folded(coord_driver *d, uint64_t j, msfl_buffer *out) {
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    const msfl_announcement *a = d->plain != NULL ? NULL : msfl_coordinator_round(d->machine);
    if (a == NULL) return coord_driver_leave(d, msfl_fail(MSFL_ERR_POLICY, "no sum is being delivered"));
    const size_t length = msfl_packed_chunk_bytes(d->ctx, a->info.n_values, j);
    uint8_t *chunk = msfl_alloc(length, 1);
    status = chunk == NULL ? MSFL_NO_MEMORY : msfl_coordinator_folded(d->machine, j, chunk);
    out->length = 0;
    if (status == MSFL_OK) {
        msfl_put_bytes(out, chunk, length);
        status = out->status;
    }
    msfl_free(chunk);
    return coord_driver_leave(d, status);
}

msfl_status coord_driver_delivery(coord_driver *d, coord_delivery *out) {
    *out = (coord_delivery){0};
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    const msfl_announcement *a = d->plain != NULL ? NULL : msfl_coordinator_round(d->machine);
    if (a == NULL) return coord_driver_leave(d, msfl_fail(MSFL_ERR_POLICY, "no sum is being delivered"));
    memcpy(out->model, a->info.model, MSFL_HASH_BYTES);
    out->agreed = msfl_coordinator_agreed(d->machine, out->result, &out->n_agree);
    for (uint32_t i = 0; i < d->r->n_clients; i++) {
        msfl_report report;
        if (!msfl_coordinator_report(d->machine, i, &report)) continue;
        out->n_reports++;
        if (i < 64 && memcmp(report.result, out->result, MSFL_HASH_BYTES) != 0) out->others |= (uint64_t)1 << i;
    }
    return coord_driver_leave(d, MSFL_OK);
}

msfl_status coord_driver_take(coord_driver *d, uint64_t number, uint32_t client, const char *path) {
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    if (d->plain == NULL) return coord_driver_leave(d, msfl_fail(MSFL_ERR_POLICY, "this job's updates are encrypted"));
    status = coord_plain_take(d->plain, number, client, path);
    if (status == MSFL_OK) {
        d->changed_ms[client] = coord_now_ms();
        (void)atomic_fetch_add(&d->changes, 1);
    }
    return coord_driver_leave(d, status);
}

char *coord_driver_upload(coord_driver *d, uint32_t client) {
    if (coord_driver_enter(d) != MSFL_OK) return NULL;
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
