#include "measure/engine.h"

#include "base/mem.h"
#include "measure/seeded.h"

#include <string.h>

msfl_status measure_engine_lay_out(measure_engine *e, uint64_t n_chunks,
                                   uint32_t (*chunk_slots)(const measure_engine *, uint64_t),
                                   size_t (*chunk_bytes)(const measure_engine *, uint64_t)) {
    e->slot_at = msfl_alloc(n_chunks + 1, sizeof *e->slot_at);
    e->byte_at = msfl_alloc(n_chunks + 1, sizeof *e->byte_at);
    if (e->slot_at == NULL || e->byte_at == NULL) return MSFL_ERR_MEMORY;
    e->n_chunks = n_chunks;
    for (uint64_t j = 0; j < n_chunks; j++) {
        uint32_t slots = chunk_slots(e, j);
        size_t bytes = chunk_bytes(e, j);
        e->slot_at[j + 1] = e->slot_at[j] + slots;
        e->byte_at[j + 1] = e->byte_at[j] + bytes;
        if (slots > e->chunk_slots_max) e->chunk_slots_max = slots;
        if (bytes > e->chunk_bytes_max) e->chunk_bytes_max = bytes;
    }
    return MSFL_OK;
}

void measure_engine_clear(measure_engine *e) {
    msfl_free(e->slot_at);
    msfl_free(e->byte_at);
}

msfl_status measure_engine_new(const measure_engine_request *request, msfl_bench_he_row *row, measure_engine **out) {
    const char *name = msfl_scheme_name(request->scheme);
    if (request->seeded) return measure_seeded_engine(request, out);
    if (strcmp(name, "packed") == 0) return measure_packed_engine(request, row, out);
    if (strcmp(name, "plain") == 0) return measure_plain_engine(request, row, out);
    if ((msfl_scheme_traits(request->scheme) & MSFL_SCHEME_KEY_PAIR) != 0) {
        return measure_pair_engine(request, row, out);
    }
    return measure_session_engine(request, row, out);
}

void measure_engine_free(measure_engine *e) {
    if (e != NULL) e->ops->free(e);
}
