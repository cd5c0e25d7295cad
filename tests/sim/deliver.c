/* Rounds whose sum is delivered to the hospitals: what their processes and the coordinator's do beside the machines. */
#include "sim.h"

void deliver_new_model(sim *s) {
    /* The coordinator's own doing: anybody can have it. */
    memset(s->model, 'm', 32);
    msfl_store64(s->model, s->n_models);
    s->model_used = false;
    *(blob *)sim_add(&s->models, &s->n_models, &s->models_capacity, sizeof(blob)) = sim_copy(s->model, 32);
}

bool deliver_has_model(sim *s, node *n, const uint8_t model[32]) {
    for (size_t i = 0; i < s->n_models; i++) {
        if (memcmp(s->models[i].bytes, model, 32) == 0) memcpy(n->model, model, 32);
    }
    return memcmp(n->model, model, 32) == 0;
}

static void clear_archived(archived *a) {
    msfl_free(a->record.bytes);
    for (int i = 0; i < SIM_CLIENTS_MAX; i++)
        msfl_free(a->deliveries[i].bytes);
    for (int i = 0; i < SIM_CHUNKS_MAX; i++)
        msfl_free(a->folded[i].bytes);
    *a = (archived){0};
}

void deliver_free(sim *s) {
    for (size_t i = 0; i < s->n_archive; i++)
        clear_archived(&s->archive[i]);
    clear_archived(&s->pending);
    for (size_t i = 0; i < s->n_folds; i++) {
        for (int j = 0; j < SIM_CHUNKS_MAX; j++)
            msfl_free(s->folds[i].chunks[j].bytes);
    }
    for (size_t i = 0; i < s->n_models; i++)
        msfl_free(s->models[i].bytes);
    msfl_free(s->delivery.bytes);
    msfl_free(s->archive);
    msfl_free(s->folds);
    msfl_free(s->models);
    msfl_free(s->reports);
}

/* --- the coordinator's process --- */

/** Before a round is finished: what those need that have not reported. */
static bool keep(sim *s, node *n) {
    msfl_coordinator *c = n->machine;
    archived a = {.number = msfl_coordinator_round(c)->info.number, .delivered = true};
    uint8_t *chunk = msfl_alloc(msfl_packed_chunk_bytes(sim_ctx, s->n_values, 0), 1);
    bool good = true;
    for (uint64_t j = 0; j < s->n_chunks && good; j++) {
        good = msfl_coordinator_folded(c, j, chunk) == MSFL_OK;
        if (good) a.folded[j] = sim_copy(chunk, msfl_packed_chunk_bytes(sim_ctx, s->n_values, j));
    }
    for (uint32_t i = 0; i < s->n && good; i++) {
        msfl_effects effects = {0};
        msfl_report report;
        if (msfl_coordinator_report(c, i, &report)) continue;
        good = msfl_coordinator_poll(c, i, &effects) == MSFL_OK;
        for (size_t k = 0; k < effects.n; k++) {
            const msfl_effect *e = &effects.items[k];
            if (e->kind == MSFL_EFFECT_SEND && msfl_load32(e->bytes + 8) == MSFL_MSG_DELIVER)
                a.deliveries[i] = sim_copy(e->bytes, e->length);
        }
        msfl_effects_clear(&effects);
    }
    msfl_free(chunk);
    if (!good) {
        clear_archived(&a);
        return false;
    }
    clear_archived(&s->pending);
    s->pending = a;
    return true;
}

void deliver_record(sim *s, const uint8_t *bytes, size_t length) {
    msfl_transcript t;
    if (msfl_transcript_verify(bytes, length, s->roster, NULL, &t) != MSFL_OK) {
        sim_fail(s, "a transcript does not verify: %s", msfl_error_message());
        return;
    }
    const uint64_t number = t.announcement.info.number;
    if (s->healed && s->healed_number == 0 && t.outcome == MSFL_OUTCOME_OPENED) s->healed_number = number;
    archived *a = sim_add(&s->archive, &s->n_archive, &s->archive_capacity, sizeof *a);
    if (t.outcome == MSFL_OUTCOME_OPENED && t.announcement.delivery == MSFL_DELIVERY_CLIENTS) {
        if (s->pending.number != number) sim_fail(s, "a round is finished of which nothing was kept");
        *a = s->pending;
        s->pending = (archived){0};
        msfl_model_after(t.announcement.info.model, t.result, s->model);
    } else {
        *a = (archived){.number = number};
    }
    a->record = sim_copy(bytes, length);
}

void deliver_coordinator(sim *s, node *n, msfl_effects *effects) {
    msfl_coordinator *c = n->machine;
    uint8_t result[32];
    uint32_t n_agree;
    uint64_t total;
    if (msfl_coordinator_total(c, 0, &total) == MSFL_OK) sim_fail(s, "the coordinator opens a sum that it may not see");
    const bool agreed = msfl_coordinator_agreed(c, result, &n_agree);
    if (agreed && sim_chance(s, 0.3)) {
        if (!keep(s, n)) return;
        if (msfl_coordinator_finish(c, result, effects) == MSFL_OK) {
            s->opened++;
            s->opened_healed += s->healed;
        }
    } else if (!s->healed && sim_chance(s, 0.02)) {
        s->model_used = true;
        if (msfl_coordinator_abort(c, "given up", effects) == MSFL_OK) s->aborted++;
    } else {
        const msfl_status status = msfl_coordinator_tick(c, s->now, effects);
        if (status != MSFL_OK && status != MSFL_ERR_IO && effects->n > 0) sim_fail(s, "a failed tick left effects");
    }
}

/* --- a hospital's process --- */

static const archived *find(const sim *s, uint64_t number) {
    for (size_t i = 0; i < s->n_archive; i++) {
        if (s->archive[i].number == number) return &s->archive[i];
    }
    return NULL;
}

/** Chunk j of the folded sum, from wherever it can be had now; damaged on the way now and then. */
static bool fetch_folded(sim *s, node *n, uint64_t j, uint8_t *chunk, size_t length) {
    const struct msfl_site *site = n->machine;
    const uint64_t number = site->a.info.number;
    if (s->lying) {
        for (size_t i = 0; i < s->n_folds; i++) {
            const lied_fold *f = &s->folds[i];
            if (memcmp(f->folded, site->folded, 32) != 0 || f->chunks[j].bytes == NULL) continue;
            memcpy(chunk, f->chunks[j].bytes, length);
            return true;
        }
        return false;
    }
    msfl_coordinator *c = s->nodes[0].machine;
    const archived *a = find(s, number);
    if (a != NULL) {
        if (a->folded[j].bytes == NULL) return false;
        memcpy(chunk, a->folded[j].bytes, length);
    } else if (!s->nodes[0].up || msfl_coordinator_phase(c) != MSFL_PHASE_DELIVERING ||
               msfl_coordinator_round(c)->info.number != number || msfl_coordinator_folded(c, j, chunk) != MSFL_OK) {
        return false;
    }
    if (!s->healed && sim_chance(s, s->corrupt)) chunk[sim_below(s, length)] ^= (uint8_t)(1u << sim_below(s, 8));
    return true;
}

static bool fetch_upload(sim *s, uint64_t number, uint32_t client, uint64_t j, uint8_t *chunk, size_t length) {
    const node *c = &s->nodes[0];
    if (s->lying) {
        for (size_t i = 0; i < s->n_uploads; i++) {
            const seen_upload *u = &s->uploads[i];
            if (u->client != client || check_round(s, u->id)->a.info.number != number || u->chunks[j].length != length)
                continue;
            memcpy(chunk, u->chunks[j].bytes, length);
            return true;
        }
        return false;
    }
    for (size_t i = 0; i < c->n_spool && c->up; i++) {
        const spooled *e = &c->spool[i];
        if (e->number != number || e->client != client || e->chunk != j || e->b.length != length) continue;
        memcpy(chunk, e->b.bytes, length);
        return true;
    }
    return false;
}

/** Fetch and take what the site needs for opening; gives up at the first that fails, until the next time. */
static void take_sum(sim *s, node *n) {
    msfl_site *site = n->machine;
    const uint64_t number = msfl_site_round(site)->info.number;
    uint8_t *chunk = msfl_alloc(msfl_packed_chunk_bytes(sim_ctx, s->n_values, 0), 1);
    msfl_status status = MSFL_OK;
    size_t n_cohort;
    const uint32_t *cohort = msfl_site_cohort(site, &n_cohort);
    if (n->folds && sim_chance(s, 0.9)) {
        uint64_t j = 0;
        for (size_t i = site->fold == MSFL_FOLD_OWN ? site->at_client : 0; i < n_cohort && status == MSFL_OK; i++) {
            for (j = 0; j < s->n_chunks && status == MSFL_OK; j++) {
                const size_t length = msfl_packed_chunk_bytes(sim_ctx, s->n_values, j);
                if (!fetch_upload(s, number, cohort[i], j, chunk, length)) goto folded;
                if (!s->healed && sim_chance(s, s->corrupt * 0.2)) chunk[0] ^= 1;
                status = msfl_site_fold_upload(site, sim_ctx, cohort[i], j, chunk, length);
                if (status == MSFL_ERR_MISMATCH && !s->lying) sim_fail(s, "an honest coordinator folded wrongly");
            }
        }
        goto done;
    }
folded:
    for (uint64_t j = 0; j < s->n_chunks && status == MSFL_OK; j++) {
        const size_t length = msfl_packed_chunk_bytes(sim_ctx, s->n_values, j);
        if (!fetch_folded(s, n, j, chunk, length)) break;
        status = msfl_site_folded(site, sim_ctx, j, chunk, length);
    }
done:
    msfl_free(chunk);
    if (msfl_site_phase_of(site) == MSFL_SITE_OPENED) check_opened(s, n);
}

void deliver_site(sim *s, node *n, msfl_effects *effects) {
    msfl_site *site = n->machine;
    if (msfl_site_phase_of(site) == MSFL_SITE_DELIVERED) {
        take_sum(s, n);
        return;
    }
    /* The model that it has, and the sum: what it makes of them. */
    const msfl_announcement *a = msfl_site_round(site);
    (void)!deliver_has_model(s, n, a->info.model);
    if (sim_verbose) {
        printf("%6llu  site %u makes a model of round %llu: has %02x%02x, announced %02x%02x\n",
               (unsigned long long)s->now, n->party, (unsigned long long)a->info.number, n->model[0], n->model[1],
               a->info.model[0], a->info.model[1]);
    }
    uint8_t made[32];
    msfl_hash h;
    msfl_hash_init(&h, "sim.made");
    msfl_hash_add(&h, n->model, 32);
    msfl_hash_add_u64(&h, n->broken ? 1 + n->party : 0);
    msfl_hash_final(&h, made);
    if (msfl_site_report(site, made, effects) != MSFL_OK) {
        /* A chunk that does not open. Under a liar that may be. */
        if (!s->lying) sim_fail(s, "a site cannot report: %s", msfl_error_message());
    }
}

void deliver_catch_up(sim *s, node *n) {
    const archived *a = find(s, n->history_number + 1);
    if (a == NULL) return;
    if (a->delivered && n->reported_number < a->number) {
        /* Again also while it has one: what was kept last may hold more answers. */
        if (a->deliveries[n->party].bytes == NULL) {
            sim_fail(s, "site %u has reported a sum and does not know it", n->party);
            return;
        }
        (void)!sim_give(n, MSFL_COORDINATOR, a->deliveries[n->party].bytes, a->deliveries[n->party].length);
        return;
    }
    msfl_buffer b = {0};
    static const uint8_t zero[32];
    msfl_frame_put(&b, MSFL_MSG_RECORD, MSFL_COORDINATOR, zero);
    msfl_put_bytes(&b, a->record.bytes, a->record.length);
    (void)!sim_give(n, MSFL_COORDINATOR, b.bytes, b.length);
    msfl_buffer_clear(&b);
}

bool deliver_all_follow(const sim *s) {
    for (uint32_t i = 0; i < s->n; i++) {
        const node *n = &s->nodes[1 + i];
        if (!n->dead && !n->broken && n->history_number < s->healed_number) return false;
    }
    return true;
}
