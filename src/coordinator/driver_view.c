/* What can be told about the round. */
#include "base/error.h"
#include "base/mem.h"
#include "coordinator/driver_private.h"
#include "round/statement.h"

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
        msfl_report report;
        v->clients[i].reported = msfl_coordinator_report(d->machine, i, &report);
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
    msfl_status status = coord_driver_enter(d);
    if (status != MSFL_OK) return status;
    v->clients = msfl_alloc(d->r->n_clients, sizeof *v->clients);
    if (v->clients == NULL) return coord_driver_leave(d, MSFL_NO_MEMORY);
    v->n_clients = d->r->n_clients;
    v->k = d->r->k;
    for (uint32_t i = 0; i < d->r->k; i++)
        v->members[i].party = d->r->members[i];
    memcpy(v->phase_ms, d->phase_ms, sizeof v->phase_ms);
    v->changes = atomic_load(&d->changes);
    if (d->plain != NULL) {
        v->k = 0; /* nobody holds keys */
        view_plain(d, v);
        return coord_driver_leave(d, MSFL_OK);
    }
    v->phase = msfl_coordinator_phase(d->machine);
    v->number = msfl_coordinator_number(d->machine, v->chain);
    v->bytes_in = d->bytes_in;
    v->bytes_out = d->bytes_out;
    const msfl_announcement *a = msfl_coordinator_round(d->machine);
    if (a != NULL) view_uploads(d, a, v);
    return coord_driver_leave(d, MSFL_OK);
}

void coord_view_clear(coord_view *v) {
    msfl_free(v->clients);
    memset(v, 0, sizeof *v);
}

msfl_phase coord_driver_glance(const coord_driver *d, uint64_t *changes) {
    *changes = atomic_load(&d->changes);
    return (msfl_phase)atomic_load(&d->phase);
}
