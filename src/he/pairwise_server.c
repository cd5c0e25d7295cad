/* The coordinator's side of pairwise masking. */
#include "base/error.h"
#include "base/mem.h"
#include "base/taint.h"
#include "he/pairwise.h"
#include "ring/bits.h"

#include <inttypes.h>

enum { DIGITS = MSFL_PAIRWISE_SEED_DIGITS, SHARE = MSFL_PAIRWISE_SEED_SHARE, NOBODY = UINT32_MAX };

typedef enum stage { ROSTER, STARTED, CLOSED, UNMASKED } stage;

/** A mask that is in the sum, and the sign that takes it off. */
typedef struct mask {
    uint8_t key[32];
    bool add;
} mask;

struct msfl_pairwise_server {
    msfl_pairwise_info info;
    stage stage;
    uint8_t id[MSFL_HASH_BYTES], session[MSFL_HASH_BYTES];
    msfl_pairwise_peer peers[MSFL_PAIRWISE_CLIENTS_MAX];
    bool partners[MSFL_PAIRWISE_CLIENTS_MAX], uploaded[MSFL_PAIRWISE_CLIENTS_MAX], answered[MSFL_PAIRWISE_CLIENTS_MAX];
    uint32_t n_uploaded;
    uint8_t *sum;    /* w-bit sums, all chunks in a row, no header */
    uint8_t *shares; /* secret: of answer i, the share of client j at (i n + j) SHARE */
    mask *masks;     /* secret */
    size_t n_masks;
};

msfl_status msfl_pairwise_server_new(const msfl_pairwise_info *info, const uint8_t *const *adverts,
                                     msfl_pairwise_server **out) {
    *out = NULL;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = msfl_pairwise_check(info);
    if (status != MSFL_OK) return status;
    msfl_pairwise_server *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_ERR_MEMORY;
    s->info = *info;
    msfl_pairwise_id(info, s->id);
    status = msfl_pairwise_roster(info, adverts, s->peers, s->session);
    if (status != MSFL_OK) goto done;
    status = MSFL_ERR_MEMORY;
    s->sum = msfl_alloc(msfl_pairwise_upload_bytes(info) - MSFL_PAIRWISE_UPLOAD_HEADER, 1);
    if (s->sum == NULL) goto done;
    s->shares = msfl_secret_alloc(((size_t)info->n_clients * info->n_clients * SHARE + 63) / 64 * 64);
    if (s->shares == NULL) goto done;
    *out = s;
    return MSFL_OK;
done:
    msfl_pairwise_server_free(s);
    return status;
}

void msfl_pairwise_server_free(msfl_pairwise_server *s) {
    if (s == NULL) return;
    msfl_free(s->sum);
    msfl_secret_free(s->shares);
    msfl_secret_free(s->masks);
    msfl_free(s);
}

static msfl_status too_few(const msfl_pairwise_server *s, const char *what, uint32_t have) {
    return msfl_fail(MSFL_ERR_POLICY, "pairwise: %" PRIu32 " %s, %" PRIu32 " are needed", have, what,
                     msfl_pairwise_least(&s->info));
}

msfl_status msfl_pairwise_server_start(msfl_pairwise_server *s, const bool *partners) {
    if (s->stage != ROSTER) return msfl_fail(MSFL_ERR_POLICY, "pairwise: the partners were fixed before");
    uint32_t n_partners = 0;
    for (uint32_t i = 0; i < s->info.n_clients; i++) {
        if (partners[i] && !s->peers[i].present) {
            return msfl_fail(MSFL_ERR_POLICY, "pairwise: client %" PRIu32 " is no partner, it sent no advert", i);
        }
        n_partners += partners[i];
    }
    if (n_partners < msfl_pairwise_least(&s->info)) return too_few(s, "partners", n_partners);
    memcpy(s->partners, partners, s->info.n_clients * sizeof *partners);
    s->stage = STARTED;
    return MSFL_OK;
}

/** sum <- sum + values, modulo 2^w in every place; false, and nothing added, if `dry` finds padding that is not zero.
 */
static bool fold(const msfl_pairwise_server *s, const uint8_t *bytes, bool dry) {
    const uint32_t width = msfl_pairwise_slot_bits(&s->info);
    uint8_t *sum = s->sum;
    uint64_t a[MSFL_GROUP], b[MSFL_GROUP];
    for (uint64_t at = 0; at < s->info.n_values; at += MSFL_GROUP, bytes += width, sum += width) {
        uint64_t left = s->info.n_values - at;
        size_t count = left < MSFL_GROUP ? (size_t)left : MSFL_GROUP;
        if (dry && count == MSFL_GROUP) continue; /* eight values leave no padding */
        if (!msfl_bits_get(bytes, width, count, a)) return false;
        if (dry) continue;
        (void)msfl_bits_get(sum, width, count, b);
        for (size_t i = 0; i < count; i++)
            b[i] = (a[i] + b[i]) & msfl_bits_mask(width);
        msfl_bits_put(sum, width, count, b);
    }
    return true;
}

msfl_status msfl_pairwise_server_upload(msfl_pairwise_server *s, uint32_t client, const uint8_t *bytes,
                                        uint64_t length) {
    uint8_t expected[MSFL_PAIRWISE_UPLOAD_HEADER];
    if (s->stage != STARTED || client >= s->info.n_clients || !s->partners[client] || s->uploaded[client]) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: no upload of client %" PRIu32 " is due%s", client,
                         client < s->info.n_clients && s->uploaded[client] ? ", it is there" : "");
    }
    msfl_pairwise_upload_header(client, s->session, s->partners, s->info.n_clients, expected);
    msfl_status status = msfl_pairwise_header_check("the upload", client, expected, bytes,
                                                    length < SIZE_MAX ? (size_t)length : SIZE_MAX);
    if (status != MSFL_OK) return status;
    if (length != msfl_pairwise_upload_bytes(&s->info)) {
        return msfl_fail(MSFL_ERR_FORMAT,
                         "pairwise: the upload of client %" PRIu32 " has %" PRIu64 " bytes, not %" PRIu64, client,
                         length, msfl_pairwise_upload_bytes(&s->info));
    }
    if (memcmp(bytes + 44, expected + 44, sizeof expected - 44) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "pairwise: client %" PRIu32 " masked for other partners", client);
    }
    bytes += MSFL_PAIRWISE_UPLOAD_HEADER;
    if (!fold(s, bytes, true)) {
        return msfl_fail(MSFL_ERR_FORMAT, "pairwise: the upload of client %" PRIu32 " has padding that is not zero",
                         client);
    }
    (void)fold(s, bytes, false);
    s->uploaded[client] = true;
    s->n_uploaded++;
    return MSFL_OK;
}

msfl_status msfl_pairwise_server_close(msfl_pairwise_server *s, bool *uploaded) {
    if (s->stage != STARTED) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: %s",
                         s->stage == ROSTER ? "the partners are not fixed yet" : "closed before");
    }
    if (s->n_uploaded < msfl_pairwise_least(&s->info)) return too_few(s, "uploads", s->n_uploaded);
    memcpy(uploaded, s->uploaded, s->info.n_clients * sizeof *uploaded);
    s->stage = CLOSED;
    return MSFL_OK;
}

static msfl_pairwise_kind kind_of(const msfl_pairwise_server *s, uint32_t j) {
    return !s->partners[j] ? RELEASE_NONE : s->uploaded[j] ? RELEASE_SELF : RELEASE_PAIR;
}

msfl_status msfl_pairwise_server_answer(msfl_pairwise_server *s, uint32_t client, const uint8_t *bytes, size_t length) {
    const uint32_t n = s->info.n_clients;
    uint8_t expected[MSFL_PAIRWISE_ANSWER_HEADER];
    uint32_t unpacked[DIGITS];
    if (s->stage != CLOSED || client >= n || !s->uploaded[client] || s->answered[client]) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: no answer of client %" PRIu32 " is due%s", client,
                         client < n && s->answered[client] ? ", it is there" : "");
    }
    msfl_pairwise_answer_header(client, s->session, expected);
    msfl_status status = msfl_pairwise_header_check("the answer", client, expected, bytes, length);
    if (status != MSFL_OK) return status;
    if (length != msfl_pairwise_answer_bytes(&s->info)) {
        return msfl_fail(MSFL_ERR_FORMAT, "pairwise: the answer of client %" PRIu32 " has %zu bytes, not %zu", client,
                         length, msfl_pairwise_answer_bytes(&s->info));
    }
    const uint8_t *kinds = bytes + MSFL_PAIRWISE_ANSWER_HEADER, *shares = kinds + n;
    for (uint32_t j = 0; j < n; j++) {
        if (kinds[j] != kind_of(s, j)) {
            return msfl_fail(MSFL_ERR_POLICY,
                             "pairwise: client %" PRIu32 " releases another seed of client %" PRIu32
                             " than it was asked for",
                             client, j);
        }
        status = msfl_shamir_unpack(shares + (size_t)j * SHARE, DIGITS, unpacked);
        if (status != MSFL_OK) break;
    }
    msfl_wipe(unpacked, sizeof unpacked);
    if (status != MSFL_OK) return msfl_fail_in(status, "pairwise: the answer of client %" PRIu32, client);
    memcpy(s->shares + (size_t)client * n * SHARE, shares, (size_t)n * SHARE);
    s->answered[client] = true;
    return MSFL_OK;
}

msfl_status msfl_pairwise_server_exclude(msfl_pairwise_server *s, uint32_t client) {
    if (s->stage != CLOSED || client >= s->info.n_clients || !s->answered[client]) {
        return msfl_fail(MSFL_ERR_MISSING, "pairwise: there is no answer of client %" PRIu32 " to leave out", client);
    }
    s->answered[client] = false;
    return MSFL_OK;
}

/** Working memory of rebuilding, secret. */
typedef struct rebuild {
    uint32_t members[MSFL_PAIRWISE_CLIENTS_MAX]; /* those who answered */
    uint32_t n_members;
    uint32_t chosen[MSFL_PAIRWISE_CLIENTS_MAX];
    const uint32_t *planes[MSFL_PAIRWISE_CLIENTS_MAX];
    uint32_t shares[MSFL_PAIRWISE_CLIENTS_MAX][DIGITS];
    int32_t digits[DIGITS];
    uint8_t seed[MSFL_PAIRWISE_SEED_BYTES], shared[MSFL_X25519_BYTES];
} rebuild;

/** The released seed of client j from the first t answers, `skip`'s left out; whether it is what j published. */
static bool try_seed(const msfl_pairwise_server *s, rebuild *r, uint32_t j, uint32_t skip) {
    const uint32_t n = s->info.n_clients, t = s->info.threshold;
    uint32_t n_chosen = 0;
    for (uint32_t i = 0; i < r->n_members && n_chosen < t; i++) {
        uint32_t m = r->members[i];
        if (m == skip) continue;
        r->chosen[n_chosen] = m;
        r->planes[n_chosen] = r->shares[n_chosen];
        if (msfl_shamir_unpack(s->shares + ((size_t)m * n + j) * SHARE, DIGITS, r->shares[n_chosen]) != MSFL_OK)
            return false;
        n_chosen++;
    }
    if (n_chosen < t || msfl_shamir_join(t, r->chosen, t, r->planes, DIGITS, r->digits) != MSFL_OK) return false;
    uint32_t beyond = 0;
    for (int i = 0; i < DIGITS; i++) {
        beyond |= (uint32_t)r->digits[i] >> 16;
        msfl_store16(r->seed + 2 * i, (uint16_t)r->digits[i]);
    }
    MSFL_DECLASSIFY(&beyond, sizeof beyond); /* the refusal */
    if (beyond != 0) return false;
    uint8_t published[32];
    if (kind_of(s, j) == RELEASE_SELF) {
        msfl_pairwise_commit(s->id, j, r->seed, published);
        return msfl_equal(published, s->peers[j].commitment, sizeof published);
    }
    msfl_x25519_public(r->seed, published);
    return msfl_equal(published, s->peers[j].mask_key, sizeof published);
}

/** The released seed of client j into r->seed. */
static msfl_status rebuild_seed(const msfl_pairwise_server *s, rebuild *r, uint32_t j) {
    if (try_seed(s, r, j, NOBODY)) return MSFL_OK;
    for (uint32_t i = 0; i < s->info.threshold && r->n_members > s->info.threshold; i++) {
        if (!try_seed(s, r, j, r->members[i])) continue;
        return msfl_fail(MSFL_ERR_CRYPTO,
                         "pairwise: client %" PRIu32 " gave a wrong share of client %" PRIu32 "'s seed: leave it out",
                         r->members[i], j);
    }
    return msfl_fail(MSFL_ERR_CRYPTO,
                     "pairwise: the shares of client %" PRIu32
                     "'s seed do not give what it published, and no single one "
                     "of %" PRIu32 " answers is to blame",
                     j, r->n_members);
}

/** The masks that are left in the sum: of every upload its own, and those it shares with partners who did not upload.
 */
static msfl_status collect(msfl_pairwise_server *s, rebuild *r) {
    const uint32_t n = s->info.n_clients;
    size_t count = 0;
    for (uint32_t j = 0; j < n; j++) {
        if (!s->partners[j]) continue;
        msfl_status status = rebuild_seed(s, r, j);
        if (status != MSFL_OK) return status;
        if (s->uploaded[j]) {
            mask *own = &s->masks[count++];
            own->add = false;
            msfl_pairwise_self_key(s->session, j, r->seed, own->key);
            continue;
        }
        for (uint32_t u = 0; u < n; u++) {
            if (!s->uploaded[u]) continue;
            status = msfl_x25519(r->seed, s->peers[u].mask_key, r->shared);
            if (status != MSFL_OK) return msfl_fail_in(status, "pairwise: client %" PRIu32, u);
            mask *left = &s->masks[count++];
            left->add = u > j; /* u added it for j > u and subtracted it for j < u */
            msfl_pairwise_pair_key(s->session, u, j, r->shared, left->key);
        }
    }
    s->n_masks = count;
    return MSFL_OK;
}

msfl_status msfl_pairwise_server_unmask(msfl_pairwise_server *s) {
    if (s->stage != CLOSED) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: %s", s->stage == UNMASKED ? "unmasked before" : "not closed yet");
    }
    rebuild *r = msfl_secret_alloc((sizeof *r + 63) / 64 * 64);
    if (r == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = MSFL_OK;
    size_t n_partners = 0;
    r->n_members = 0;
    for (uint32_t i = 0; i < s->info.n_clients; i++) {
        if (s->answered[i]) r->members[r->n_members++] = i;
        n_partners += s->partners[i];
    }
    if (r->n_members < s->info.threshold) {
        status = msfl_fail(MSFL_ERR_MISSING, "pairwise: %" PRIu32 " answers, %" PRIu32 " are needed", r->n_members,
                           s->info.threshold);
        goto done;
    }
    const size_t n_masks = s->n_uploaded + (n_partners - s->n_uploaded) * s->n_uploaded;
    s->masks = msfl_secret_alloc((n_masks * sizeof *s->masks + 63) / 64 * 64);
    if (s->masks == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    status = collect(s, r);
    if (status == MSFL_OK) {
        s->stage = UNMASKED;
    } else {
        msfl_secret_free(s->masks);
        s->masks = NULL;
    }
done:
    msfl_secret_free(r);
    return status;
}

msfl_status msfl_pairwise_server_open(const msfl_pairwise_server *s, uint64_t j, uint64_t *totals) {
    const uint32_t n = msfl_pairwise_chunk_values(&s->info, j), width = msfl_pairwise_slot_bits(&s->info);
    msfl_status status = MSFL_OK;
    msfl_pairwise_scratch *scratch = NULL;
    if (n == 0) {
        return msfl_fail(MSFL_ERR_USAGE, "pairwise: chunk %" PRIu64 " of %" PRIu64, j, msfl_pairwise_chunks(&s->info));
    }
    if (s->stage != UNMASKED) {
        status = msfl_fail(MSFL_ERR_POLICY, "pairwise: the masks are still on");
        goto done;
    }
    scratch = msfl_secret_alloc(sizeof *scratch);
    if (scratch == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    (void)msfl_pairwise_unpack(s->sum + j * (MSFL_PAIRWISE_CHUNK / 8) * width, width, n, scratch->values);
    for (size_t k = 0; k < s->n_masks; k++)
        msfl_pairwise_expand(scratch, s->masks[k].key, s->masks[k].add, width, j, n);
    const uint64_t most = (uint64_t)s->n_uploaded * (((uint64_t)1 << s->info.value_bits) - 1);
    uint64_t beyond = 0;
    for (uint32_t i = 0; i < n; i++) {
        totals[i] = scratch->values[i] & msfl_bits_mask(width);
        beyond |= (most - totals[i]) >> 63;
    }
    MSFL_DECLASSIFY(&beyond, sizeof beyond); /* the refusal */
    if (beyond != 0) {
        status = msfl_fail(MSFL_ERR_CRYPTO,
                           "pairwise: chunk %" PRIu64 " does not open to a sum of %" PRIu32
                           " vectors: an upload was changed or made otherwise",
                           j, s->n_uploaded);
    }
done:
    if (status != MSFL_OK) memset(totals, 0, n * sizeof *totals);
    msfl_secret_free(scratch);
    return status;
}
