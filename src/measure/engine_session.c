/* Any scheme through its sessions: for those that take whole uploads only. */
#include "base/mem.h"
#include "measure/engine.h"
#include "measure/machine.h"

#include <stdio.h>

typedef struct session_engine {
    measure_engine base;
    msfl_setup *setup;
    msfl_keys *keys;
    msfl_session_info info;
    msfl_session *session;
    msfl_sender *sender;
    uint8_t *trailer;
    size_t trailer_bytes;
} session_engine;

static session_engine *of(measure_engine *e) {
    return (session_engine *)e;
}

static msfl_status client_begin(measure_engine *e, uint32_t client) {
    return msfl_sender_new(of(e)->session, client, &of(e)->sender);
}

static msfl_status encrypt(measure_engine *e, uint64_t j, const uint32_t *slots, uint8_t *out) {
    return msfl_sender_encrypt(of(e)->sender, j, slots, out);
}

static msfl_status client_end(measure_engine *e) {
    session_engine *s = of(e);
    if (s->sender == NULL) return MSFL_OK;
    msfl_status status = msfl_sender_finish(s->sender, s->trailer);
    msfl_sender_free(s->sender);
    s->sender = NULL;
    return status;
}

static msfl_status sum_begin(measure_engine *e) {
    session_engine *s = of(e);
    msfl_session_free(s->session);
    s->session = NULL;
    s->info.number++;
    return msfl_session_new(s->setup, s->keys, &s->info, &s->session);
}

static msfl_status upload(measure_engine *e, uint32_t client, const uint8_t *bytes, uint64_t length) {
    return msfl_session_upload(of(e)->session, client, bytes, length, of(e)->trailer, of(e)->trailer_bytes);
}

static msfl_status close(measure_engine *e, uint32_t n_clients) {
    (void)n_clients;
    return msfl_session_close(of(e)->session);
}

static msfl_status open(measure_engine *e, uint64_t j, uint64_t *totals) {
    return msfl_session_open(of(e)->session, j, totals);
}

static void engine_free(measure_engine *e) {
    session_engine *s = of(e);
    msfl_sender_free(s->sender);
    msfl_session_free(s->session);
    msfl_keys_free(s->keys);
    msfl_setup_free(s->setup);
    msfl_free(s->trailer);
    measure_engine_clear(e);
    msfl_free(s);
}

static uint32_t chunk_slots(const measure_engine *e, uint64_t j) {
    return msfl_setup_chunk_values(((const session_engine *)e)->setup, j);
}

static size_t chunk_bytes(const measure_engine *e, uint64_t j) {
    return msfl_setup_chunk_bytes(((const session_engine *)e)->setup, j);
}

msfl_status measure_session_engine(const measure_engine_request *request, msfl_bench_he_row *row,
                                   measure_engine **out) {
    static const measure_engine_ops ops = {.client_begin = client_begin,
                                           .encrypt = encrypt,
                                           .client_end = client_end,
                                           .sum_begin = sum_begin,
                                           .upload = upload,
                                           .close = close,
                                           .open = open,
                                           .free = engine_free};
    session_engine *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_ERR_MEMORY;
    s->base.ops = &ops;
    s->base.in_order = s->base.needs_all = true;
    msfl_scheme_facts facts;
    uint64_t before = measure_memory_now();
    msfl_status status = msfl_setup_new(request->scheme, &request->sum, &s->setup);
    if (status != MSFL_OK) goto done;
    s->base.coordinator_bytes = measure_memory_now() - before;
    msfl_setup_facts(s->setup, &facts);
    snprintf(row->parameters, sizeof row->parameters, "%.*s", (int)sizeof row->parameters - 1, facts.parameters);
    row->security_bits = facts.security_bits;
    s->trailer_bytes = facts.trailer_bytes;
    s->trailer = msfl_alloc(s->trailer_bytes, 1);
    status = s->trailer == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    if (status == MSFL_OK) {
        status = measure_engine_lay_out(&s->base, msfl_setup_chunks(s->setup), chunk_slots, chunk_bytes);
    }
    if (status == MSFL_OK) status = msfl_keys_new(s->setup, &s->keys);
done:
    if (status != MSFL_OK) {
        engine_free(&s->base);
        return status;
    }
    *out = &s->base;
    return MSFL_OK;
}
