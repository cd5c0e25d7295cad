/* The messages of a dry run: the machine's own, under a roster of keys that exist for this alone. */
#include "client/dry.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "round/message.h"
#include "round/share.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A roster of the same shape as the real one, with nobody's keys. */
typedef struct stage {
    msfl_identity *parties;
    msfl_identity_secret *own, *coordinator;
    msfl_roster *roster;
} stage;

static msfl_status fresh(msfl_identity *id, msfl_identity_secret **secret) {
    uint8_t seed[32];
    msfl_random_bytes(seed, sizeof seed);
    msfl_status status = msfl_identity_new(seed, id, secret);
    msfl_wipe(seed, sizeof seed);
    return status;
}

static void stage_clear(stage *s) {
    msfl_roster_free(s->roster);
    msfl_identity_free(s->own);
    msfl_identity_free(s->coordinator);
    msfl_free(s->parties);
}

static msfl_status stage_make(const client_dry *d, stage *s) {
    const msfl_roster_info *real = d->seat.info;
    msfl_roster_info info = *real;
    msfl_identity consortium_id;
    msfl_identity_secret *consortium = NULL, *unused = NULL;
    uint8_t *bytes = NULL;
    *s = (stage){0};
    s->parties = msfl_alloc(real->n_parties, sizeof *s->parties);
    msfl_status status = s->parties == NULL ? MSFL_NO_MEMORY : fresh(&consortium_id, &consortium);
    if (status == MSFL_OK) status = fresh(&info.coordinator, &s->coordinator);
    for (uint32_t i = 0; i < real->n_parties && status == MSFL_OK; i++) {
        status = fresh(&s->parties[i], i == d->seat.party ? &s->own : &unused);
        msfl_identity_free(unused);
        unused = NULL;
    }
    info.parties = s->parties;
    if (status == MSFL_OK && real->custody == MSFL_CUSTODY_COORDINATOR) s->parties[real->members[0]] = info.coordinator;
    if (status == MSFL_OK) {
        bytes = msfl_alloc(msfl_roster_bytes(&info), 1);
        status = bytes == NULL ? MSFL_NO_MEMORY : msfl_roster_sign(&info, consortium, bytes);
    }
    if (status == MSFL_OK) {
        status = msfl_roster_read(bytes, msfl_roster_bytes(&info), consortium_id.sign, &s->roster);
    }
    msfl_identity_free(consortium);
    msfl_free(bytes);
    return status;
}

/* --- the files --- */

static json_t *part(const char *what, uint64_t bytes) {
    return json_pack("{ss sI}", "what", what, "bytes", (json_int_t)bytes);
}

/* What stands where in a message. */
static json_t *parts_of(const client_dry *d, const msfl_frame *frame, size_t length) {
    json_t *list = json_array();
    const uint32_t k = d->seat.info->k;
    json_array_append_new(list, part("magic, version, kind, this hospital's number", 16));
    json_array_append_new(list, part("round id", MSFL_HASH_BYTES));
    if (frame->kind == MSFL_MSG_CHUNK) {
        json_array_append_new(list, part("number of the chunk", 8));
        json_array_append_new(
            list, part("ciphertext: quantised values under a key that is used once", length - MSFL_FRAME_BYTES - 8));
        return list;
    }
    const size_t each = msfl_share_bytes(d->announcement.info.params.ring_degree);
    json_array_append_new(list, part("this hospital's number, length of the ciphertext", 12));
    json_array_append_new(list, part("hash of the ciphertext", MSFL_HASH_BYTES));
    json_array_append_new(list, part("hashes of the sealed key shares", (uint64_t)k * MSFL_HASH_BYTES));
    json_array_append_new(list, part("signature", MSFL_SIGN_BYTES));
    for (uint32_t i = 0; i < k; i++)
        json_array_append_new(list, part("share of the one-time key, sealed for one member of the committee", each));
    return list;
}

static msfl_status write_message(client_dry *d, const msfl_effect *e) {
    msfl_frame frame;
    msfl_status status = msfl_frame_read(e->bytes, e->length, &frame);
    if (status != MSFL_OK) return status;
    const size_t n = json_array_size(d->messages);
    char hex[2 * MSFL_HASH_BYTES + 1];
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.client.message.v1");
    msfl_hash_add(&h, e->bytes, e->length);
    msfl_hash_final(&h, hash);
    msfl_hex(hash, sizeof hash, hex);
    const char *kind = frame.kind == MSFL_MSG_CHUNK ? "chunk" : "upload";
    char *name = msfl_format("messages/%06zu-%s.bin", n, kind), *path = NULL;
    if (name != NULL) path = msfl_path_join(d->d->out, name);
    status = path == NULL ? MSFL_NO_MEMORY : msfl_file_write(path, e->bytes, e->length);
    if (status == MSFL_OK) {
        json_array_append_new(d->messages,
                              json_pack("{ss ss sI ss so}", "file", name, "kind", kind, "bytes", (json_int_t)e->length,
                                        "hash", hex, "parts", parts_of(d, &frame, e->length)));
        d->bytes += e->length + 4; /* each goes with its length in front */
    }
    msfl_free(name);
    msfl_free(path);
    return status;
}

static msfl_status write_effects(client_dry *d, msfl_effects *effects) {
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < effects->n && status == MSFL_OK; i++) {
        if (effects->items[i].kind == MSFL_EFFECT_SEND) status = write_message(d, &effects->items[i]);
    }
    msfl_effects_clear(effects);
    return status;
}

/* --- the machine --- */

static msfl_status put(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                       size_t length) {
    (void)self, (void)number, (void)client, (void)chunk, (void)bytes, (void)length;
    return MSFL_OK;
}

static msfl_status get(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes, size_t length) {
    (void)self, (void)number, (void)client, (void)chunk, (void)bytes, (void)length;
    return msfl_fail(MSFL_ERR_MISSING, "a dry run sends nothing again");
}

static msfl_status offer(const client_dry *d, const stage *s, msfl_site *site, msfl_effects *effects) {
    msfl_announcement a = d->announcement;
    uint8_t id[MSFL_HASH_BYTES], body[MSFL_ANNOUNCE_BODY];
    msfl_buffer message = {0};
    memcpy(a.info.authority, msfl_roster_hash(s->roster), sizeof a.info.authority);
    memset(a.previous, 0, sizeof a.previous);
    a.deadline_ms = UINT64_MAX;
    msfl_announcement_id(&a, id);
    msfl_announcement_sign(&a, s->coordinator, body);
    msfl_frame_put(&message, MSFL_MSG_ANNOUNCE, MSFL_COORDINATOR, id);
    msfl_put_bytes(&message, body, sizeof body);
    msfl_status status = message.status;
    if (status == MSFL_OK) status = msfl_site_receive(site, 0, message.bytes, message.length, effects);
    msfl_buffer_clear(&message);
    return status;
}

static msfl_status run(client_dry *d, const stage *s, msfl_site *site, const msfl_packed *ctx,
                       msfl_update_encoder *encoder, uint32_t *slots) {
    msfl_effects effects = {0};
    const msfl_round_info *info = &d->announcement.info;
    msfl_status status = offer(d, s, site, &effects);
    if (status == MSFL_OK) status = msfl_site_start(site, ctx, info->model, info->layout, &effects);
    msfl_effects_clear(&effects);
    uint64_t first = 0;
    for (uint64_t j = 0; j < msfl_packed_chunks(ctx, info->n_values) && status == MSFL_OK; j++) {
        const uint32_t n = msfl_packed_chunk_slots(ctx, info->n_values, j);
        status = msfl_update_quantise(encoder, first, n, slots, NULL);
        if (status == MSFL_OK) status = msfl_site_encrypt(site, j, slots, &effects);
        msfl_wipe(slots, n * sizeof *slots);
        if (status == MSFL_OK) status = write_effects(d, &effects);
        first += n;
    }
    if (status == MSFL_OK) status = msfl_site_finish(site, &effects);
    if (status == MSFL_OK) status = write_effects(d, &effects);
    msfl_effects_clear(&effects);
    return status;
}

msfl_status client_dry_encrypt(client_dry *d) {
    stage s;
    msfl_packed *ctx = NULL;
    msfl_site *site = NULL;
    msfl_update_encoder *encoder = NULL;
    uint32_t *slots = NULL;
    const msfl_round_info *info = &d->announcement.info;
    const msfl_update_input input = {.values = d->result.delta,
                                     .n_samples = d->result.n_samples,
                                     .counters = d->result.counters,
                                     .rounding_seed =
                                         job_rounding_seed(d->spec.seed, d->seat.party, d->plan.round - 1)};
    char *folder = msfl_path_join(d->d->out, "messages");
    d->messages = json_array();
    msfl_status status = stage_make(d, &s);
    if (status == MSFL_OK) status = folder == NULL ? MSFL_NO_MEMORY : msfl_folder_make(folder);
    if (status == MSFL_OK) status = msfl_update_check(d->layout, &input);
    if (status == MSFL_OK) status = msfl_update_encoder_new(d->layout, &input, &encoder);
    if (status == MSFL_OK) status = msfl_packed_new(&info->params, &ctx);
    if (status == MSFL_OK) {
        slots = msfl_alloc(msfl_packed_chunk_slots(ctx, info->n_values, 0), sizeof *slots);
        if (slots == NULL) status = MSFL_NO_MEMORY;
    }
    if (status == MSFL_OK) {
        msfl_site_config config = {.roster = s.roster,
                                   .secret = s.own,
                                   .client = d->seat.party,
                                   .min_cohort = d->hub.policy.min_cohort,
                                   .security_bits = d->hub.policy.security_bits,
                                   .allow_coordinator_custody = d->hub.policy.coordinator,
                                   .spool = {NULL, put, get}};
        memcpy(config.task, info->task, MSFL_HASH_BYTES);
        status = msfl_site_new(&config, &site);
    }
    if (status == MSFL_OK) status = run(d, &s, site, ctx, encoder, slots);
    msfl_site_free(site);
    msfl_update_encoder_free(encoder);
    msfl_packed_free(ctx);
    msfl_free(slots);
    msfl_free(folder);
    stage_clear(&s);
    return status;
}
