#include "coordinator/plain.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/sodium.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { FILES_MAX = 65536 };

typedef struct state {
    uint64_t number, deadline_ms;
    uint32_t min_cohort;
    msfl_phase phase; /* IDLE, COLLECTING, OPENED */
} state;

struct coord_plain {
    store *store;
    char *folder, key[80];
    uint32_t n_clients;
    state s;
    bool *in;
};

/* --- what is kept --- */

static void encode(const coord_plain *p, const state *s, const bool *in, msfl_buffer *b) {
    msfl_put64(b, s->number);
    msfl_put64(b, s->deadline_ms);
    msfl_put32(b, s->min_cohort);
    msfl_put32(b, (uint32_t)s->phase);
    msfl_put32(b, p->n_clients);
    for (uint32_t i = 0; i < p->n_clients; i++)
        msfl_put8(b, in[i]);
}

static msfl_status load(coord_plain *p) {
    uint8_t *bytes;
    size_t length;
    msfl_status status = store_get(p->store, p->key, &bytes, &length);
    if (status != MSFL_OK || bytes == NULL) return status;
    msfl_reader r = msfl_reader_init(bytes, length);
    p->s.number = msfl_get64(&r);
    p->s.deadline_ms = msfl_get64(&r);
    p->s.min_cohort = msfl_get32(&r);
    p->s.phase = (msfl_phase)msfl_get32(&r);
    bool good = msfl_get32(&r) == p->n_clients;
    good = good &&
           (p->s.phase == MSFL_PHASE_IDLE || p->s.phase == MSFL_PHASE_COLLECTING || p->s.phase == MSFL_PHASE_OPENED);
    for (uint32_t i = 0; i < p->n_clients; i++)
        p->in[i] = msfl_get8(&r) != 0;
    good = good && !r.failed && msfl_reader_left(&r) == 0;
    msfl_free(bytes);
    return good ? MSFL_OK : msfl_fail(MSFL_ERR_FORMAT, "the state of a plain round cannot be read");
}

/** Become `next` with `in`, on disk first. */
static msfl_status become(coord_plain *p, const state *next, const bool *in, coord_plain_also also, void *ctx) {
    msfl_buffer b = {0};
    encode(p, next, in, &b);
    msfl_status status = b.status;
    if (status == MSFL_OK) status = store_begin(p->store);
    if (status == MSFL_OK) {
        status = store_put(p->store, p->key, b.bytes, b.length);
        if (status == MSFL_OK && also != NULL) status = also(ctx, p->store);
        if (status == MSFL_OK) {
            status = store_commit(p->store);
        } else {
            store_rollback(p->store);
        }
    }
    msfl_buffer_clear(&b);
    if (status != MSFL_OK) return status;
    p->s = *next;
    if (in != p->in) memcpy(p->in, in, p->n_clients * sizeof *in);
    return MSFL_OK;
}

msfl_status coord_plain_new(store *s, const char *folder, const uint8_t task[MSFL_HASH_BYTES], uint32_t n_clients,
                            coord_plain **out) {
    char digits[2 * MSFL_HASH_BYTES + 1];
    *out = NULL;
    msfl_status status = msfl_folder_make(folder);
    if (status != MSFL_OK) return status;
    coord_plain *p = msfl_alloc(1, sizeof *p);
    if (p == NULL) return MSFL_NO_MEMORY;
    p->store = s;
    p->n_clients = n_clients;
    p->folder = msfl_strdup(folder);
    p->in = msfl_alloc(n_clients, sizeof *p->in);
    msfl_hex(task, MSFL_HASH_BYTES, digits);
    (void)snprintf(p->key, sizeof p->key, "plain/%s", digits);
    status = p->folder == NULL || p->in == NULL ? MSFL_NO_MEMORY : load(p);
    if (status != MSFL_OK) {
        coord_plain_free(p);
        return status;
    }
    *out = p;
    return MSFL_OK;
}

void coord_plain_free(coord_plain *p) {
    if (p == NULL) return;
    msfl_free(p->folder);
    msfl_free(p->in);
    msfl_free(p);
}

/* --- the round --- */

static msfl_status expect(const coord_plain *p, msfl_phase phase, const char *what) {
    if (p->s.phase == phase) return MSFL_OK;
    return msfl_fail(MSFL_ERR_POLICY, "%s: not now (round %" PRIu64 ")", what, p->s.number);
}

static uint32_t count(const coord_plain *p) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_clients; i++)
        n += p->in[i];
    return n;
}

msfl_status coord_plain_open(coord_plain *p, uint32_t min_cohort, uint64_t deadline_ms, coord_plain_also also,
                             void *ctx) {
    msfl_status status = expect(p, MSFL_PHASE_IDLE, "open a round");
    bool *none = status == MSFL_OK ? msfl_alloc(p->n_clients, sizeof *none) : NULL;
    if (status == MSFL_OK && none == NULL) status = MSFL_NO_MEMORY;
    const state next = {p->s.number + 1, deadline_ms, min_cohort, MSFL_PHASE_COLLECTING};
    if (status == MSFL_OK) status = become(p, &next, none, also, ctx);
    msfl_free(none);
    return status;
}

char *coord_plain_path(const coord_plain *p, uint32_t client) {
    return msfl_format("%s/%" PRIu64 "-%" PRIu32 ".plain", p->folder, p->s.number, client);
}

msfl_status coord_plain_take(coord_plain *p, uint64_t number, uint32_t client, const char *path) {
    msfl_status status = expect(p, MSFL_PHASE_COLLECTING, "upload");
    if (status == MSFL_OK && (number != p->s.number || client >= p->n_clients)) {
        status = msfl_fail(MSFL_ERR_POLICY, "upload: for another round than %" PRIu64, p->s.number);
    }
    if (status == MSFL_OK && p->in[client]) status = msfl_fail(MSFL_ERR_EXISTS, "upload: this party's is here already");
    if (status != MSFL_OK) return status;
    char *to = coord_plain_path(p, client);
    status = to == NULL ? MSFL_NO_MEMORY : msfl_file_rename(path, to, true);
    msfl_free(to);
    if (status != MSFL_OK) return status;
    p->in[client] = true;
    status = become(p, &p->s, p->in, NULL, NULL);
    if (status != MSFL_OK) p->in[client] = false;
    return status;
}

msfl_status coord_plain_close(coord_plain *p) {
    msfl_status status = expect(p, MSFL_PHASE_COLLECTING, "close the uploads");
    if (status == MSFL_OK && count(p) < p->s.min_cohort) {
        status =
            msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 " has %" PRIu32 " uploads, at least %" PRIu32 " are needed",
                      p->s.number, count(p), p->s.min_cohort);
    }
    state next = p->s;
    next.phase = MSFL_PHASE_OPENED;
    return status == MSFL_OK ? become(p, &next, p->in, NULL, NULL) : status;
}

/** Files of rounds that are over; what cannot be removed is left for the next time. */
static void tidy(const coord_plain *p) {
    char **names;
    size_t n;
    if (msfl_folder_list(p->folder, FILES_MAX, &names, &n) != MSFL_OK) return;
    for (size_t i = 0; i < n; i++) {
        unsigned long long number;
        unsigned client;
        char kind[8];
        if (sscanf(names[i], "%20llu-%9u.%7s", &number, &client, kind) != 3 || number > p->s.number) continue;
        char *path = msfl_path_join(p->folder, names[i]);
        if (path != NULL) (void)unlink(path);
        msfl_free(path);
    }
    msfl_names_free(names, n);
}

static msfl_status end(coord_plain *p, coord_plain_also also, void *ctx) {
    state next = p->s;
    next.phase = MSFL_PHASE_IDLE;
    msfl_status status = become(p, &next, p->in, also, ctx);
    if (status == MSFL_OK) tidy(p);
    return status;
}

msfl_status coord_plain_abort(coord_plain *p, coord_plain_also also, void *ctx) {
    msfl_status status = expect(p, MSFL_PHASE_COLLECTING, "give the round up");
    return status == MSFL_OK ? end(p, also, ctx) : status;
}

msfl_status coord_plain_finish(coord_plain *p, coord_plain_also also, void *ctx) {
    msfl_status status = expect(p, MSFL_PHASE_OPENED, "finish the round");
    return status == MSFL_OK ? end(p, also, ctx) : status;
}

msfl_status coord_plain_tick(coord_plain *p, uint64_t now_ms) {
    if (p->s.phase != MSFL_PHASE_COLLECTING) return MSFL_OK;
    if (count(p) == p->n_clients) return coord_plain_close(p);
    if (now_ms < p->s.deadline_ms) return MSFL_OK;
    return count(p) >= p->s.min_cohort ? coord_plain_close(p) : coord_plain_abort(p, NULL, NULL);
}

msfl_phase coord_plain_phase(const coord_plain *p) {
    return p->s.phase;
}

uint64_t coord_plain_number(const coord_plain *p) {
    return p->s.number;
}

uint64_t coord_plain_deadline(const coord_plain *p) {
    return p->s.deadline_ms;
}

uint32_t coord_plain_min(const coord_plain *p) {
    return p->s.min_cohort;
}

bool coord_plain_has(const coord_plain *p, uint32_t client) {
    return client < p->n_clients && p->s.phase != MSFL_PHASE_IDLE && p->in[client];
}
