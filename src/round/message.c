#include "round/message.h"
#include "round/guard.h"
#include "round/info.h"

#include "base/error.h"

#include <inttypes.h>

#define MAGIC 0x4d52534du /* "MSRM" */
enum { VERSION = 1 };

void msfl_frame_put(msfl_buffer *out, msfl_message_kind kind, uint32_t sender,
                    const uint8_t round_id[MSFL_HASH_BYTES]) {
    msfl_put32(out, MAGIC);
    msfl_put32(out, VERSION);
    msfl_put32(out, (uint32_t)kind);
    msfl_put32(out, sender);
    msfl_put_bytes(out, round_id, MSFL_HASH_BYTES);
}

msfl_status msfl_frame_read(const uint8_t *message, size_t length, msfl_frame *out) {
    if (length > MSFL_MESSAGE_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "message: %zu bytes, more than any has", length);
    }
    msfl_reader r = msfl_reader_init(message, length);
    uint32_t magic = msfl_get32(&r), version = msfl_get32(&r), kind = msfl_get32(&r);
    out->sender = msfl_get32(&r);
    out->round_id = msfl_get_bytes(&r, MSFL_HASH_BYTES);
    if (r.failed || magic != MAGIC) return msfl_fail(MSFL_ERR_FORMAT, "message: not one of this protocol");
    if (version != VERSION) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "message: version %" PRIu32 "; this program speaks %d", version,
                         VERSION);
    }
    if (kind < 1 || kind > MSFL_MSG_LAST) {
        return msfl_fail(MSFL_ERR_FORMAT, "message: kind %" PRIu32 " is unknown", kind);
    }
    out->kind = (msfl_message_kind)kind;
    out->body = r;
    return MSFL_OK;
}

msfl_status msfl_frame_end(const msfl_frame *frame, const char *what) {
    if (!frame->body.failed && msfl_reader_left(&frame->body) == 0) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "%s: %s", what,
                     frame->body.failed ? "cut off" : "bytes that do not belong there at its end");
}

static uint8_t *put32(uint8_t *at, uint32_t v) {
    msfl_store32(at, v);
    return at + 4;
}

static uint8_t *put64(uint8_t *at, uint64_t v) {
    msfl_store64(at, v);
    return at + 8;
}

static uint8_t *put_hash(uint8_t *at, const uint8_t *hash) {
    memcpy(at, hash, MSFL_HASH_BYTES);
    return at + MSFL_HASH_BYTES;
}

void msfl_announcement_write(const msfl_announcement *a, uint8_t out[MSFL_ANNOUNCEMENT_BYTES]) {
    const msfl_params *p = &a->info.params;
    uint8_t *at = put_hash(out, a->info.task);
    at = put64(at, a->info.number);
    at = put_hash(at, a->info.model);
    at = put_hash(at, a->info.layout);
    at = put_hash(at, a->info.authority);
    at = put32(at, a->info.n_clients);
    at = put32(at, a->info.min_cohort);
    at = put64(at, a->info.n_values);
    at = put32(at, p->ring_degree);
    at = put32(at, p->n_primes);
    for (size_t i = 0; i < MSFL_PRIMES_MAX; i++)
        at = put64(at, p->primes[i]);
    at = put32(at, p->security_bits);
    at = put32(at, p->n_clients);
    at = put32(at, p->value_bits);
    at = put32(at, p->slot_bits);
    at = put32(at, p->slots_per_coefficient);
    at = put32(at, p->log_t);
    at = put64(at, a->deadline_ms);
    at = put_hash(at, a->previous);
    put32(at, (uint32_t)a->delivery);
}

msfl_status msfl_announcement_read(const uint8_t bytes[MSFL_ANNOUNCEMENT_BYTES], msfl_announcement *out) {
    msfl_reader r = msfl_reader_init(bytes, MSFL_ANNOUNCEMENT_BYTES);
    msfl_announcement a = {0};
    msfl_params *p = &a.info.params;
    memcpy(a.info.task, msfl_get_bytes(&r, MSFL_HASH_BYTES), MSFL_HASH_BYTES);
    a.info.number = msfl_get64(&r);
    memcpy(a.info.model, msfl_get_bytes(&r, MSFL_HASH_BYTES), MSFL_HASH_BYTES);
    memcpy(a.info.layout, msfl_get_bytes(&r, MSFL_HASH_BYTES), MSFL_HASH_BYTES);
    memcpy(a.info.authority, msfl_get_bytes(&r, MSFL_HASH_BYTES), MSFL_HASH_BYTES);
    a.info.n_clients = msfl_get32(&r);
    a.info.min_cohort = msfl_get32(&r);
    a.info.n_values = msfl_get64(&r);
    p->ring_degree = msfl_get32(&r);
    p->n_primes = msfl_get32(&r);
    for (size_t i = 0; i < MSFL_PRIMES_MAX; i++)
        p->primes[i] = msfl_get64(&r);
    p->security_bits = msfl_get32(&r);
    p->n_clients = msfl_get32(&r);
    p->value_bits = msfl_get32(&r);
    p->slot_bits = msfl_get32(&r);
    p->slots_per_coefficient = msfl_get32(&r);
    p->log_t = msfl_get32(&r);
    a.deadline_ms = msfl_get64(&r);
    memcpy(a.previous, msfl_get_bytes(&r, MSFL_HASH_BYTES), MSFL_HASH_BYTES);
    a.delivery = (msfl_delivery)msfl_get32(&r);
    if (a.delivery != MSFL_DELIVERY_COORDINATOR && a.delivery != MSFL_DELIVERY_CLIENTS) {
        return msfl_fail(MSFL_ERR_FORMAT, "announcement: delivery %d is unknown", (int)a.delivery);
    }
    msfl_status status = msfl_round_info_check(&a.info);
    if (status != MSFL_OK) return msfl_fail_in(status, "announcement");
    *out = a;
    return MSFL_OK;
}

static void id_of(const uint8_t bytes[MSFL_ANNOUNCEMENT_BYTES], uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.v2");
    msfl_hash_add(&h, bytes, MSFL_ANNOUNCEMENT_BYTES);
    msfl_hash_final(&h, out);
}

void msfl_announcement_id(const msfl_announcement *announcement, uint8_t out[MSFL_HASH_BYTES]) {
    uint8_t bytes[MSFL_ANNOUNCEMENT_BYTES];
    msfl_announcement_write(announcement, bytes);
    id_of(bytes, out);
}

static void digest_of(const uint8_t id[MSFL_HASH_BYTES], uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.announce.v1");
    msfl_hash_add(&h, id, MSFL_HASH_BYTES);
    msfl_hash_final(&h, out);
}

void msfl_announcement_sign(const msfl_announcement *a, const msfl_identity_secret *coordinator, uint8_t *out) {
    uint8_t id[MSFL_HASH_BYTES], digest[MSFL_HASH_BYTES];
    msfl_announcement_write(a, out);
    id_of(out, id);
    digest_of(id, digest);
    msfl_sign(coordinator->sign, digest, sizeof digest, out + MSFL_ANNOUNCEMENT_BYTES);
}

msfl_status msfl_announcement_verify(const uint8_t bytes[MSFL_ANNOUNCE_BODY], const msfl_roster *roster,
                                     const uint8_t task[MSFL_HASH_BYTES], msfl_announcement *out,
                                     uint8_t id[MSFL_HASH_BYTES]) {
    const msfl_roster_info *r = msfl_roster_borrow(roster);
    uint8_t digest[MSFL_HASH_BYTES];
    id_of(bytes, id);
    digest_of(id, digest);
    if (!MSFL_GUARD(ANNOUNCEMENT_SIGNED,
                    msfl_sign_verify(r->coordinator.sign, digest, sizeof digest, bytes + MSFL_ANNOUNCEMENT_BYTES))) {
        return msfl_fail(MSFL_ERR_CRYPTO, "announcement: not signed by the coordinator of the roster");
    }
    msfl_announcement a;
    msfl_status status = msfl_announcement_read(bytes, &a);
    if (status != MSFL_OK) return status;
    if (!MSFL_GUARD(ROSTER_BOUND, msfl_equal(a.info.authority, msfl_roster_hash(roster), MSFL_HASH_BYTES))) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "announcement: round %" PRIu64 " is for another roster; is the roster of epoch %" PRIu64
                         " the current one?",
                         a.info.number, r->epoch);
    }
    if (task != NULL && !msfl_equal(a.info.task, task, MSFL_HASH_BYTES)) {
        return msfl_fail(MSFL_ERR_MISMATCH, "announcement: round %" PRIu64 " is one of another task", a.info.number);
    }
    if (a.info.number < 1 || a.info.n_clients != r->n_clients) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "announcement: round %" PRIu64 " of %" PRIu32 " clients; the roster has %" PRIu32,
                         a.info.number, a.info.n_clients, r->n_clients);
    }
    *out = a;
    return MSFL_OK;
}

msfl_status msfl_rules_init(uint32_t min_cohort, uint32_t security_bits, msfl_rules *out) {
    *out = (msfl_rules){min_cohort == 0 ? 3 : min_cohort, security_bits == 0 ? 128 : security_bits};
    if (out->min_cohort >= 2) return MSFL_OK;
    return msfl_fail(MSFL_ERR_POLICY, "a minimum cohort of 1 would open a single hospital's update; use 3 or more");
}

msfl_status msfl_transfer_key(const char *label, const uint8_t own_secret[32], const uint8_t other[32],
                              const uint8_t ephemeral[32], const uint8_t receiver[32], const uint8_t *context,
                              size_t length, uint8_t key[MSFL_AEAD_KEY_BYTES]) {
    uint8_t shared[MSFL_X25519_BYTES];
    memset(key, 0, MSFL_AEAD_KEY_BYTES);
    msfl_status status = msfl_x25519(own_secret, other, shared);
    if (status != MSFL_OK) return status;
    msfl_hash h;
    msfl_hash_init(&h, label);
    msfl_hash_add(&h, shared, sizeof shared);
    msfl_hash_add(&h, ephemeral, 32);
    msfl_hash_add(&h, receiver, 32);
    msfl_hash_add_field(&h, context, length);
    msfl_hash_final(&h, key);
    msfl_wipe(shared, sizeof shared);
    msfl_wipe(&h, sizeof h);
    return MSFL_OK;
}
