/* One sum: every call goes to the scheme's own session. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "scheme/table.h"

#include <string.h>

struct msfl_session {
    const msfl_setup *setup;
    void *inner;
};

struct msfl_sender {
    const msfl_setup *setup;
    void *inner;
    uint64_t next; /* chunk that is due */
    bool finished;
};

void msfl_session_label(const msfl_setup *setup, const msfl_keys *keys, const msfl_session_info *info,
                        uint8_t out[MSFL_HASH_BYTES]) {
    const msfl_scheme_request *r = &setup->request;
    uint8_t id[MSFL_KEY_ID_BYTES];
    msfl_keys_id(keys, id);
    msfl_hash h;
    msfl_hash_init(&h, "msfl.session.v1");
    msfl_hash_add_field(&h, setup->scheme->name, strlen(setup->scheme->name));
    msfl_hash_add_u64(&h, r->n_clients);
    msfl_hash_add_u64(&h, r->min_cohort);
    msfl_hash_add_u64(&h, r->value_bits);
    msfl_hash_add_u64(&h, r->n_values);
    msfl_hash_add_u64(&h, r->security_bits);
    msfl_hash_add_u64(&h, r->ring_degree);
    msfl_hash_add(&h, id, sizeof id);
    msfl_hash_add(&h, info->task, sizeof info->task);
    msfl_hash_add_u64(&h, info->number);
    msfl_hash_add(&h, info->model, sizeof info->model);
    msfl_hash_add(&h, info->layout, sizeof info->layout);
    msfl_hash_final(&h, out);
}

uint64_t msfl_tagged_chunk(const uint8_t label[MSFL_HASH_BYTES], uint64_t j) {
    uint64_t tag = 0;
    for (int i = 0; i < 5; i++)
        tag = tag << 8 | label[i];
    return tag << MSFL_TAGGED_CHUNK_BITS | j;
}

msfl_status msfl_tagged_check(const uint8_t label[MSFL_HASH_BYTES], uint64_t j, uint64_t number) {
    uint64_t expected = msfl_tagged_chunk(label, j);
    if (number == expected) return MSFL_OK;
    if (number >> MSFL_TAGGED_CHUNK_BITS != expected >> MSFL_TAGGED_CHUNK_BITS) {
        return msfl_fail(MSFL_ERR_MISMATCH, "chunk %llu: made for another round or another vector",
                         (unsigned long long)j);
    }
    return msfl_fail(MSFL_ERR_MISMATCH, "chunk %llu of this vector where chunk %llu is due",
                     (unsigned long long)(number & ((1u << MSFL_TAGGED_CHUNK_BITS) - 1)), (unsigned long long)j);
}

msfl_status msfl_session_new(const msfl_setup *setup, msfl_keys *keys, const msfl_session_info *info,
                             msfl_session **out) {
    *out = NULL;
    if (keys->setup != setup) {
        return msfl_fail(MSFL_ERR_MISMATCH, "a session's keys must have been made for its setup");
    }
    msfl_session *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->setup = setup;
    msfl_status status = setup->scheme->session->session_new(setup, keys, info, &s->inner);
    if (status != MSFL_OK) {
        msfl_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

void msfl_session_free(msfl_session *session) {
    if (session == NULL) return;
    session->setup->scheme->session->session_free(session->inner);
    msfl_free(session);
}

msfl_status msfl_sender_new(msfl_session *session, uint32_t client, msfl_sender **out) {
    *out = NULL;
    if (client >= session->setup->request.n_clients) {
        return msfl_fail(MSFL_ERR_USAGE, "client %u of a roster of %u", client, session->setup->request.n_clients);
    }
    msfl_sender *sender = msfl_alloc(1, sizeof *sender);
    if (sender == NULL) return MSFL_NO_MEMORY;
    sender->setup = session->setup;
    msfl_status status = session->setup->scheme->session->sender_new(session->inner, client, &sender->inner);
    if (status != MSFL_OK) {
        msfl_free(sender);
        return status;
    }
    *out = sender;
    return MSFL_OK;
}

void msfl_sender_free(msfl_sender *sender) {
    if (sender == NULL) return;
    sender->setup->scheme->session->sender_free(sender->inner);
    msfl_free(sender);
}

msfl_status msfl_sender_encrypt(msfl_sender *sender, uint64_t j, const uint32_t *values, uint8_t *out) {
    if (sender->finished || j >= sender->setup->n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE, "chunk %llu of %llu%s", (unsigned long long)j,
                         (unsigned long long)sender->setup->n_chunks,
                         sender->finished ? ", after the end of this upload" : "");
    }
    if (j != sender->next) {
        return msfl_fail(j < sender->next ? MSFL_ERR_POLICY : MSFL_ERR_USAGE,
                         "chunk %llu where chunk %llu is due: an upload is made in order, each chunk once",
                         (unsigned long long)j, (unsigned long long)sender->next);
    }
    msfl_status status = sender->setup->scheme->session->encrypt(sender->inner, j, values, out);
    if (status == MSFL_OK) sender->next++;
    return status;
}

msfl_status msfl_sender_finish(msfl_sender *sender, uint8_t *trailer) {
    if (sender->finished || sender->next != sender->setup->n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE, "an upload of %llu chunks ends after %llu%s",
                         (unsigned long long)sender->setup->n_chunks, (unsigned long long)sender->next,
                         sender->finished ? ", once" : "");
    }
    sender->finished = true;
    return sender->setup->scheme->session->finish(sender->inner, trailer);
}

msfl_status msfl_session_upload(msfl_session *session, uint32_t client, const uint8_t *bytes, uint64_t length,
                                const uint8_t *trailer, size_t trailer_length) {
    const msfl_scheme_facts *facts = &session->setup->facts;
    if (client >= session->setup->request.n_clients) {
        return msfl_fail(MSFL_ERR_POLICY, "client %u: not in the roster of %u", client,
                         session->setup->request.n_clients);
    }
    if (length != facts->upload_bytes || trailer_length != facts->trailer_bytes) {
        return msfl_fail(MSFL_ERR_FORMAT,
                         "client %u: an upload of %llu bytes and a trailer of %zu; they have %llu and %llu", client,
                         (unsigned long long)length, trailer_length, (unsigned long long)facts->upload_bytes,
                         (unsigned long long)facts->trailer_bytes);
    }
    return session->setup->scheme->session->upload(session->inner, client, bytes, length, trailer, trailer_length);
}

msfl_status msfl_session_close(msfl_session *session) {
    return session->setup->scheme->session->close(session->inner);
}

uint32_t msfl_session_cohort(const msfl_session *session) {
    return session->setup->scheme->session->cohort(session->inner);
}

msfl_status msfl_session_open(const msfl_session *session, uint64_t j, uint64_t *totals) {
    memset(totals, 0, msfl_setup_chunk_values(session->setup, j) * sizeof *totals);
    if (j >= session->setup->n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE, "chunk %llu of a vector that has %llu", (unsigned long long)j,
                         (unsigned long long)session->setup->n_chunks);
    }
    return session->setup->scheme->session->open(session->inner, j, totals);
}
