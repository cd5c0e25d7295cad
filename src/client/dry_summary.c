/* What a dry run found, for people and for programs. */
#include "client/dry.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "round/share.h"

#include <inttypes.h>
#include <math.h>

/* Of an answer: hash of the cohort, ephemeral key, number of slices, a slice's hash, signature; then the slice. */
enum { ANSWER_HEAD = 32 + 32 + 4 + 32 + 64, VOTE_BYTES = 32 + 64 };

static uint64_t answer_bytes(const client_dry *d) {
    return MSFL_FRAME_BYTES + ANSWER_HEAD + msfl_share_bytes(d->announcement.info.params.ring_degree) - 32;
}

static json_t *duty_json(const client_dry *d) {
    if (!d->seat.is_member) return json_null();
    return json_pack("{si sI sI}", "members", (int)d->seat.info->k, "vote_bytes",
                     (json_int_t)MSFL_FRAME_BYTES + VOTE_BYTES, "answer_bytes", (json_int_t)answer_bytes(d));
}

static json_t *requests_json(const client_dry *d) {
    static const char *const gets[] = {"GET /v1/roster",
                                       "GET /v1/jobs",
                                       "GET /v1/jobs/{job}",
                                       "GET /v1/jobs/{job}/inbox",
                                       "GET /v1/jobs/{job}/rounds/{number}",
                                       "GET /v1/jobs/{job}/models/{index}"};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof gets / sizeof gets[0]; i++)
        json_array_append_new(list, json_pack("{ss si}", "request", gets[i], "body_bytes", 0));
    json_array_append_new(
        list, json_pack("{ss sI}", "request", "POST /v1/jobs/{job}/outbox", "body_bytes", (json_int_t)d->bytes));
    json_array_append_new(list, json_pack("{ss si ss}", "request", "POST /v1/jobs/{job}/report", "body_bytes_max", 512,
                                          "body",
                                          "round, a word such as 'training', a share of progress, and where this "
                                          "hospital's policy refused: its rule"));
    return list;
}

static json_t *summary_json(client_dry *d) {
    char hex[2 * MSFL_HASH_BYTES + 1];
    msfl_hex(d->hash, sizeof d->hash, hex);
    json_t *o = json_pack("{ss si ss ss ss ss si sI sI sI}", "format", "medsecurefl-dry-run", "version", 1, "job",
                          d->id, "hash", hex, "kind", job_kind_name(d->plan.kind), "round_from",
                          d->announced ? "the coordinator's announcement" : "the description: a first round", "round",
                          (int)d->plan.round, "values", (json_int_t)d->shape->sent.n_values, "slots",
                          (json_int_t)d->announcement.info.n_values, "bytes", (json_int_t)d->bytes);
    if (o == NULL) return NULL;
    const msfl_params *p = &d->announcement.info.params;
    json_object_set_new(o, "parameters",
                        json_pack("{si si si si}", "ring_degree", (int)p->ring_degree, "primes", (int)p->n_primes,
                                  "security_bits", (int)p->security_bits, "value_bits", (int)p->value_bits));
    json_object_set_new(o, "custody", json_string(msfl_custody_name(d->seat.info->custody)));
    json_object_set_new(o, "trust", json_string(msfl_custody_trust(d->seat.info->custody)));
    json_object_set_new(o, "messages", json_incref(d->messages));
    json_object_set_new(o, "committee", duty_json(d));
    json_object_set_new(o, "requests", requests_json(d));
    return o;
}

static void put_messages(const client_dry *d, msfl_buffer *b) {
    enum { SHOWN = 3 };
    const size_t n = json_array_size(d->messages);
    for (size_t i = 0; i < n; i++) {
        if (n > 2 * SHOWN && i == SHOWN) {
            msfl_put_text(b, "  ... %zu more of the same kind (summary.json has all)\n", n - SHOWN - 1);
            i = n - 1;
        }
        const json_t *m = json_array_get(d->messages, i);
        msfl_put_text(b, "  %-28s %10" PRId64 " bytes   %.16s...\n", json_string_value(json_object_get(m, "file")),
                      (int64_t)json_integer_value(json_object_get(m, "bytes")),
                      json_string_value(json_object_get(m, "hash")));
        const json_t *parts = json_object_get(m, "parts");
        for (size_t k = 0; (i == 0 || i + 1 == n) && k < json_array_size(parts); k++) {
            const json_t *part = json_array_get(parts, k);
            msfl_put_text(b, "      %10" PRId64 "  %s\n", (int64_t)json_integer_value(json_object_get(part, "bytes")),
                          json_string_value(json_object_get(part, "what")));
        }
    }
}

static void put_summary(const client_dry *d, msfl_buffer *b) {
    const msfl_params *p = &d->announcement.info.params;
    char *policy = client_policy_text(&d->hub.policy);
    msfl_put_text(b, "Dry run of job %s, %s of round %" PRIu32 ": nothing was sent.\n\n", d->id,
                  job_kind_name(d->plan.kind), d->plan.round);
    msfl_put_text(b, "policy      %s\n", policy != NULL ? policy : "");
    msfl_put_text(b, "keys        %s\n", msfl_custody_trust(d->seat.info->custody));
    msfl_put_text(b,
                  "encryption  ring degree %" PRIu32 ", %" PRIu32 " primes, %" PRIu32 " bits of security; %" PRIu32
                  " bits for each of %" PRIu64 " values\n",
                  p->ring_degree, p->n_primes, p->security_bits, p->value_bits, d->announcement.info.n_values);
    msfl_put_text(
        b, "trained     here, on this hospital's images; no image, label, sample count or weight is in a message in "
           "the clear\n\n");
    msfl_put_text(b,
                  "What would leave as one POST to the outbox, %" PRIu64
                  " bytes, each message with 4 bytes of length in front:\n\n",
                  d->bytes);
    put_messages(d, b);
    msfl_put_text(
        b, "\nThe files were made with keys that exist no more. A real upload has the same messages and lengths; its "
           "round id, ciphertext,\nsignature and shares differ every time. Compare: what a proxy records of a real "
           "round has these lengths.\n");
    if (d->seat.is_member) {
        msfl_put_text(
            b,
            "\nAs a member of the committee also: a signature under the cohort (%d bytes), and one sum of key shares "
            "over it (%" PRIu64 " bytes).\n",
            MSFL_FRAME_BYTES + VOTE_BYTES, answer_bytes(d));
    }
    msfl_put_text(
        b, "\nBesides: requests without a body (GET), and reports of a state (\"training\", 40 %%) of at most 512 "
           "bytes.\n");
    msfl_free(policy);
}

msfl_status client_dry_summarise(client_dry *d, char **json) {
    msfl_buffer text = {0};
    char *text_path = msfl_path_join(d->d->out, "summary.txt"), *json_path = msfl_path_join(d->d->out, "summary.json");
    json_t *o = summary_json(d);
    put_summary(d, &text);
    msfl_status status = o == NULL || text_path == NULL || json_path == NULL ? MSFL_NO_MEMORY : text.status;
    if (status == MSFL_OK) status = msfl_file_write(text_path, text.bytes, text.length);
    if (status == MSFL_OK) status = msfl_json_write(json_path, o);
    if (status == MSFL_OK) status = msfl_json_text(o, false, json);
    json_decref(o);
    msfl_buffer_clear(&text);
    msfl_free(text_path);
    msfl_free(json_path);
    return status;
}
