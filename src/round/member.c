/* A holder of key shares: signs one cohort per round, and answers for what t members signed. */
#include "round/guard.h"
#include "round/journal.h"
#include "round/sealed.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>

typedef uint8_t digest_t[MSFL_HASH_BYTES];

struct msfl_member {
    const msfl_roster *roster;
    const msfl_roster_info *r;
    const msfl_identity_secret *secret;
    uint32_t party, place;
    uint8_t task[MSFL_HASH_BYTES];
    msfl_rules rules;
    /* What the journal holds. The last round in which this member signed or answered: */
    uint64_t number; /* 0: none yet */
    uint8_t round_id[MSFL_HASH_BYTES], cohort[MSFL_HASH_BYTES];
    bool answered;
    uint8_t answer[MSFL_HASH_BYTES]; /* digest of the answer, when answered */
    digest_t *finals;                /* what all rounds that it answered were about */
    size_t n_finals, capacity;
};

/** A cohort that somebody asks about, checked. */
typedef struct proposal {
    msfl_announcement a;
    uint8_t round_id[MSFL_HASH_BYTES], cohort[MSFL_HASH_BYTES], about[MSFL_HASH_BYTES];
    const uint8_t *statements;
    uint32_t n;
} proposal;

msfl_status msfl_member_new(const msfl_member_config *config, msfl_member **out) {
    *out = NULL;
    const msfl_roster_info *r = msfl_roster_borrow(config->roster);
    uint32_t place = msfl_member_place(r, config->party);
    if (place == r->k) {
        return msfl_fail(MSFL_ERR_USAGE, "member: party %" PRIu32 " is not in the committee", config->party);
    }
    uint8_t public_key[32];
    msfl_x25519_public(config->secret->box, public_key);
    if (memcmp(public_key, r->parties[config->party].box, 32) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "member: the secret key is not that of party %" PRIu32, config->party);
    }
    msfl_rules rules;
    msfl_status status = msfl_rules_init(config->min_cohort, config->security_bits, &rules);
    if (status != MSFL_OK) return msfl_fail_in(status, "member %" PRIu32, config->party);
    msfl_member *m = msfl_alloc(1, sizeof *m);
    if (m == NULL) return MSFL_NO_MEMORY;
    m->roster = config->roster;
    m->r = r;
    m->secret = config->secret;
    m->party = config->party;
    m->place = place;
    m->rules = rules;
    memcpy(m->task, config->task, MSFL_HASH_BYTES);
    *out = m;
    return MSFL_OK;
}

void msfl_member_free(msfl_member *m) {
    if (m == NULL) return;
    msfl_free(m->finals);
    msfl_free(m);
}

/* --- state --- */

static bool is_final(const msfl_member *m, const uint8_t about[MSFL_HASH_BYTES]) {
    for (size_t i = 0; i < m->n_finals; i++) {
        if (memcmp(m->finals[i], about, MSFL_HASH_BYTES) == 0) return true;
    }
    return false;
}

/** The one place where the durable state changes: a record that was just written, or one that is replayed. */
static msfl_status apply(msfl_member *m, const uint8_t *record, size_t length) {
    msfl_journal_kind kind;
    msfl_reader body;
    msfl_status status = msfl_journal_read(record, length, m->task, &kind, &body);
    if (status != MSFL_OK) return status;
    uint64_t number = msfl_get64(&body);
    const uint8_t *round_id = msfl_get_bytes(&body, MSFL_HASH_BYTES), *cohort = msfl_get_bytes(&body, MSFL_HASH_BYTES);
    const uint8_t *about = NULL, *answer = NULL;
    if (kind == MSFL_JOURNAL_ANSWERED) {
        about = msfl_get_bytes(&body, MSFL_HASH_BYTES);
        answer = msfl_get_bytes(&body, MSFL_HASH_BYTES);
    } else if (kind != MSFL_JOURNAL_VOTED) {
        return msfl_journal_bad(kind);
    }
    if (body.failed || msfl_reader_left(&body) != 0) return msfl_journal_bad(kind);
    if (kind == MSFL_JOURNAL_ANSWERED) {
        void *finals = m->finals;
        status = msfl_grow(&finals, &m->capacity, m->n_finals + 1, sizeof *m->finals);
        if (status != MSFL_OK) return status;
        m->finals = finals;
        memcpy(m->finals[m->n_finals++], about, MSFL_HASH_BYTES);
        memcpy(m->answer, answer, MSFL_HASH_BYTES);
    }
    m->answered = kind == MSFL_JOURNAL_ANSWERED;
    m->number = number;
    memcpy(m->round_id, round_id, MSFL_HASH_BYTES);
    memcpy(m->cohort, cohort, MSFL_HASH_BYTES);
    return MSFL_OK;
}

msfl_status msfl_member_replay(msfl_member *m, const uint8_t *record, size_t length) {
    msfl_journal_kind kind;
    msfl_reader body;
    msfl_status status = msfl_journal_read(record, length, m->task, &kind, &body);
    if (status == MSFL_OK) {
        uint64_t number = msfl_get64(&body);
        const uint8_t *what = msfl_get_bytes(&body, 2 * MSFL_HASH_BYTES);
        bool same = what != NULL && number == m->number && memcmp(what, m->round_id, MSFL_HASH_BYTES) == 0 &&
                    memcmp(what + MSFL_HASH_BYTES, m->cohort, MSFL_HASH_BYTES) == 0;
        bool follows = number > m->number || (same && !m->answered && kind == MSFL_JOURNAL_ANSWERED);
        status = follows ? apply(m, record, length) : msfl_journal_bad(kind);
    }
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "member %" PRIu32, m->party);
}

/** Queue a record (none if it is empty), apply it, queue a message: all or nothing. Takes both buffers. */
static msfl_status commit(msfl_member *m, msfl_buffer *record, msfl_buffer *message, msfl_effects *effects) {
    const size_t mark = effects->n;
    msfl_status status = record->status != MSFL_OK ? record->status : message->status;
    if (status == MSFL_OK) status = msfl_effects_reserve(effects, 2);
    if (status == MSFL_OK && record->length > 0) {
        status = msfl_effects_add(effects, MSFL_EFFECT_JOURNAL, m->party, record);
        if (status == MSFL_OK) status = apply(m, effects->items[mark].bytes, effects->items[mark].length);
    }
    if (status == MSFL_OK) status = msfl_effects_add(effects, MSFL_EFFECT_SEND, MSFL_COORDINATOR, message);
    if (status != MSFL_OK) msfl_effects_cut(effects, mark);
    msfl_buffer_clear(record);
    msfl_buffer_clear(message);
    return status;
}

/* --- what is asked --- */

/** What a round opens updates of: the same twice would be two sums of the same updates. */
static void about_what(const msfl_announcement *a, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.about.v1");
    msfl_hash_add(&h, a->info.model, MSFL_HASH_BYTES);
    msfl_hash_add(&h, a->info.layout, MSFL_HASH_BYTES);
    msfl_hash_add(&h, a->info.authority, MSFL_HASH_BYTES);
    msfl_hash_final(&h, out);
}

static msfl_status check_order(const msfl_member *m, const proposal *p) {
    if (!MSFL_GUARD(NUMBER_RISES, p->a.info.number >= m->number)) {
        return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 " is over: round %" PRIu64 " was signed since",
                         p->a.info.number, m->number);
    }
    const bool current = p->a.info.number == m->number;
    if (!(current && m->answered) && !MSFL_GUARD(ROUND_FINAL, !is_final(m, p->about))) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "round %" PRIu64 " is about a model whose sum was released before; a second sum of the same "
                         "updates could be opened against the first",
                         p->a.info.number);
    }
    return MSFL_OK;
}

/** Whether this is the cohort that was signed or answered last. */
static bool same_as_last(const msfl_member *m, const proposal *p) {
    return p->a.info.number == m->number && memcmp(p->round_id, m->round_id, MSFL_HASH_BYTES) == 0 &&
           memcmp(p->cohort, m->cohort, MSFL_HASH_BYTES) == 0;
}

static msfl_status other_cohort(const proposal *p) {
    return msfl_fail(MSFL_ERR_POLICY,
                     "round %" PRIu64 ": another cohort was signed; a second one could be opened against the first",
                     p->a.info.number);
}

static msfl_status read_proposal(const msfl_member *m, msfl_reader *body, proposal *p) {
    const uint8_t *announce = msfl_get_bytes(body, MSFL_ANNOUNCE_BODY);
    p->n = msfl_get32(body);
    if (announce == NULL || body->failed || p->n > m->r->n_clients) {
        return msfl_fail(MSFL_ERR_FORMAT, "proposal: cut off, or more clients than the roster has");
    }
    p->statements = msfl_get_bytes(body, p->n * msfl_statement_bytes(m->r->k));
    if (p->statements == NULL) return msfl_fail(MSFL_ERR_FORMAT, "proposal: cut off");
    msfl_status status = msfl_announcement_verify(announce, m->roster, m->task, &p->a, p->round_id);
    if (status != MSFL_OK) return status;
    if (p->a.info.params.security_bits < m->rules.security_bits) {
        return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 " has %" PRIu32 " bits of security, %" PRIu32 " are wanted",
                         p->a.info.number, p->a.info.params.security_bits, m->rules.security_bits);
    }
    if (p->a.delivery == MSFL_DELIVERY_CLIENTS && m->r->custody == MSFL_CUSTODY_COORDINATOR) {
        return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 " cannot be kept from a coordinator that holds its keys",
                         p->a.info.number);
    }
    about_what(&p->a, p->about);
    return msfl_cohort_check(&p->a, p->round_id, m->roster, m->rules.min_cohort, p->statements, p->n, p->cohort);
}

static msfl_status vote(msfl_member *m, const proposal *p, msfl_effects *effects) {
    uint8_t signature[MSFL_SIGN_BYTES];
    msfl_status status = check_order(m, p);
    if (status != MSFL_OK) return status;
    const bool repeated = same_as_last(m, p);
    if (p->a.info.number == m->number && !MSFL_GUARD(VOTE_ONCE, repeated)) return other_cohort(p);
    msfl_buffer record = {0}, message = {0};
    if (!repeated) {
        msfl_journal_put(&record, MSFL_JOURNAL_VOTED, m->task);
        msfl_put64(&record, p->a.info.number);
        msfl_put_bytes(&record, p->round_id, MSFL_HASH_BYTES);
        msfl_put_bytes(&record, p->cohort, MSFL_HASH_BYTES);
    }
    msfl_vote_sign(p->round_id, p->cohort, m->secret, signature);
    msfl_frame_put(&message, MSFL_MSG_VOTE, m->party, p->round_id);
    msfl_put_bytes(&message, p->cohort, MSFL_HASH_BYTES);
    msfl_put_bytes(&message, signature, sizeof signature);
    return commit(m, &record, &message, effects);
}

static msfl_status check_votes(const msfl_member *m, const proposal *p, msfl_reader *body) {
    bool seen[MSFL_COMMITTEE_MAX] = {false};
    uint32_t n = msfl_get32(body), valid = 0;
    if (body->failed || n > MSFL_COMMITTEE_MAX) {
        return msfl_fail(MSFL_ERR_FORMAT, "release: %" PRIu32 " signatures", n);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t party = msfl_get32(body), place = msfl_member_place(m->r, party);
        const uint8_t *signature = msfl_get_bytes(body, MSFL_SIGN_BYTES);
        if (signature == NULL) return msfl_fail(MSFL_ERR_FORMAT, "release: cut off");
        if (place == m->r->k || !MSFL_GUARD(RELEASE_DISTINCT, !seen[place])) {
            return msfl_fail(MSFL_ERR_POLICY, "release: party %" PRIu32 " is no member, or signs twice", party);
        }
        seen[place] = true;
        if (!MSFL_GUARD(RELEASE_VOTES_SIGNED,
                        msfl_vote_verify(p->round_id, p->cohort, &m->r->parties[party], signature))) {
            return msfl_fail(MSFL_ERR_CRYPTO, "release: member %" PRIu32 " did not sign this cohort", party);
        }
        valid++;
    }
    if (!MSFL_GUARD(RELEASE_THRESHOLD, valid >= m->r->t)) {
        return msfl_fail(MSFL_ERR_POLICY, "release: %" PRIu32 " members signed, %" PRIu32 " must", valid, m->r->t);
    }
    return MSFL_OK;
}

/** The sum of this member's shares over the cohort: `sum` (N, secret memory). */
static msfl_status add_shares(const msfl_member *m, const proposal *p, msfl_reader *body, uint8_t *scratch,
                              uint32_t *sum) {
    const size_t each = msfl_share_bytes(p->a.info.params.ring_degree);
    memset(sum, 0, p->a.info.params.ring_degree * sizeof *sum);
    for (uint32_t i = 0; i < p->n; i++) {
        msfl_statement s;
        uint8_t hash[MSFL_HASH_BYTES];
        const uint8_t *bundle = msfl_get_bytes(body, each);
        if (bundle == NULL) return msfl_fail(MSFL_ERR_FORMAT, "release: cut off");
        msfl_statement_read(p->statements + i * msfl_statement_bytes(m->r->k), m->r->k, &s);
        msfl_bundle_hash(bundle, each, hash);
        if (!MSFL_GUARD(RELEASE_BUNDLE_HASH, memcmp(hash, s.bundle_hash[m->place], MSFL_HASH_BYTES) == 0)) {
            return msfl_fail(MSFL_ERR_CRYPTO, "release: the bundle is not the one that client %" PRIu32 " signed",
                             s.client);
        }
        msfl_share_binding binding = {p->round_id, s.ciphertext_hash, s.client, p->a.info.params.ring_degree};
        msfl_status status = msfl_share_add(&binding, m->r, m->place, m->secret, bundle, scratch, sum);
        if (status != MSFL_OK) {
            return msfl_fail_in(status, "release: client %" PRIu32 " signed a bundle that does not open", s.client);
        }
    }
    return msfl_reader_left(body) == 0 ? MSFL_OK : msfl_fail(MSFL_ERR_FORMAT, "release: too long");
}

static msfl_status make_answer(const msfl_member *m, const proposal *p, const uint32_t *sum, msfl_buffer *message,
                               uint8_t digest[MSFL_HASH_BYTES]) {
    const bool to_clients = p->a.delivery == MSFL_DELIVERY_CLIENTS;
    const uint32_t degree = p->a.info.params.ring_degree;
    const size_t length = to_clients ? msfl_sealed_bytes(degree, m->r->n_clients) : msfl_answer_bytes(degree);
    uint8_t *body = msfl_alloc(length, 1);
    if (body == NULL) return MSFL_NO_MEMORY;
    const msfl_answer_binding binding = {p->round_id, p->cohort, m->party, degree};
    msfl_status status = to_clients ? msfl_sealed_make(&binding, m->secret, m->r, sum, body)
                                    : msfl_answer_seal(&binding, m->secret, &m->r->coordinator, sum, body);
    if (status == MSFL_OK) {
        if (to_clients) {
            msfl_sealed_digest(&binding, body, digest);
        } else {
            msfl_answer_digest(&binding, body, digest);
        }
        msfl_frame_put(message, MSFL_MSG_ANSWER, m->party, p->round_id);
        msfl_put_bytes(message, body, length);
        status = message->status;
    }
    msfl_free(body);
    return status;
}

static msfl_status release(msfl_member *m, const proposal *p, msfl_reader *body, msfl_effects *effects) {
    const uint32_t degree = p->a.info.params.ring_degree;
    const bool current = p->a.info.number == m->number;
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_buffer record = {0}, message = {0};
    uint32_t *sum = NULL;
    if (current && !MSFL_GUARD(RELEASE_SAME_COHORT, same_as_last(m, p))) return other_cohort(p);
    msfl_status status = check_order(m, p);
    if (status == MSFL_OK) status = check_votes(m, p, body);
    if (status != MSFL_OK) return status;
    const bool repeated = m->answered && same_as_last(m, p);
    if (!repeated && m->n_finals >= MSFL_MEMBER_ROUNDS_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%d rounds answered for one task; go on under a new task",
                         MSFL_MEMBER_ROUNDS_MAX);
    }
    const size_t sum_bytes = degree * sizeof *sum;
    sum = msfl_secret_alloc((sum_bytes + msfl_share_scratch_bytes(degree) + 63) / 64 * 64);
    if (sum == NULL) return MSFL_ERR_MEMORY;
    status = add_shares(m, p, body, (uint8_t *)sum + sum_bytes, sum);
    if (status == MSFL_OK) status = make_answer(m, p, sum, &message, digest);
    if (status != MSFL_OK) goto done;
    if (repeated) {
        /* The cohort names every bundle by its hash, so this cannot differ, unless a machine is broken. */
        if (memcmp(digest, m->answer, sizeof digest) != 0) {
            status = msfl_fail(MSFL_ERR_CRYPTO,
                               "round %" PRIu64 ": the answer would differ from the one that was given", m->number);
            goto done;
        }
    } else {
        msfl_journal_put(&record, MSFL_JOURNAL_ANSWERED, m->task);
        msfl_put64(&record, p->a.info.number);
        msfl_put_bytes(&record, p->round_id, MSFL_HASH_BYTES);
        msfl_put_bytes(&record, p->cohort, MSFL_HASH_BYTES);
        msfl_put_bytes(&record, p->about, MSFL_HASH_BYTES);
        msfl_put_bytes(&record, digest, sizeof digest);
    }
    status = commit(m, &record, &message, effects);
done:
    msfl_buffer_clear(&message);
    msfl_secret_free(sum);
    return status;
}

static msfl_status receive(msfl_member *m, uint32_t from, const uint8_t *message, size_t length,
                           msfl_effects *effects) {
    msfl_frame frame;
    proposal p = {0};
    msfl_status status = msfl_frame_read(message, length, &frame);
    if (status != MSFL_OK) return status;
    if (from != MSFL_COORDINATOR || frame.sender != MSFL_COORDINATOR) {
        return msfl_fail(MSFL_ERR_MISMATCH, "message: from party %" PRIu32 ", not from the coordinator", frame.sender);
    }
    if (frame.kind != MSFL_MSG_PROPOSE && frame.kind != MSFL_MSG_RELEASE) return MSFL_OK; /* for the site beside it */
    status = read_proposal(m, &frame.body, &p);
    if (status != MSFL_OK) return status;
    if (memcmp(p.round_id, frame.round_id, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "message: its head names another round");
    }
    if (frame.kind == MSFL_MSG_RELEASE) return release(m, &p, &frame.body, effects);
    status = msfl_frame_end(&frame, "proposal");
    return status == MSFL_OK ? vote(m, &p, effects) : status;
}

msfl_status msfl_member_receive(msfl_member *m, uint32_t from, const uint8_t *message, size_t length,
                                msfl_effects *effects) {
    msfl_status status = receive(m, from, message, length, effects);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "member %" PRIu32, m->party);
}
