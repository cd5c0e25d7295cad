/* medsecurefl audit: what a job's record says, and whether it can be believed. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "cmd.h"
#include "columns.h"
#include "files.h"
#include "medsecurefl/audit.h"
#include "text/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HEX_BYTES = 2 * MSFL_HASH_BYTES + 1, NAMES_SHOWN = 12 };

/* --- words --- */

static void put_clean(const char *text) {
    msfl_buffer clean = {0};
    cli_put_columns(&clean, text, SIZE_MAX, cli_locale_is_utf8());
    if (clean.status == MSFL_OK) fwrite(clean.bytes, 1, clean.length, stdout);
    msfl_buffer_clear(&clean);
}

static void put_names(const char *what, const char *const *names, uint32_t n, bool all) {
    const uint32_t shown = all || n <= NAMES_SHOWN ? n : NAMES_SHOWN;
    printf("        %-12s", what);
    for (uint32_t i = 0; i < shown; i++)
        printf("%s%s", i == 0 ? "" : ", ", names[i]);
    if (shown < n) printf(" and %u more", n - shown);
    printf("%s\n", n == 0 ? "nobody" : "");
}

static void put_hash(const char *what, const uint8_t *hash) {
    char hex[HEX_BYTES];
    msfl_hex(hash, MSFL_HASH_BYTES, hex);
    printf("        %-12s%s\n", what, hex);
}

static const char *own_words(const msfl_audit_round *r) {
    switch (r->own) {
    case MSFL_AUDIT_OWN_UNKNOWN:
        return "";
    case MSFL_AUDIT_OWN_ABSENT:
        return "not in the sum, and sent nothing";
    case MSFL_AUDIT_OWN_LATE:
        return "not in the sum: its upload was never acknowledged";
    case MSFL_AUDIT_OWN_LISTED:
        return "in the sum, by its own signature; what it sent is not kept here to compare with";
    case MSFL_AUDIT_OWN_CONFIRMED:
        return r->acknowledged ? "in the sum: what it sent is what was opened, and was acknowledged"
                               : "in the sum: what it sent is what was opened; no receipt is kept";
    case MSFL_AUDIT_OWN_UNOPENED:
        return "nothing of it was opened: the round was given up";
    case MSFL_AUDIT_OWN_OPEN:
        return r->acknowledged ? "sent an upload, acknowledged; the record of the round is not here"
                               : "sent an upload; the record of the round is not here";
    }
    return "";
}

static void put_round(const msfl_audit_facts *f, const msfl_audit_round *r, bool in_full) {
    static const uint8_t none[MSFL_HASH_BYTES];
    printf("%06u  round %" PRIu64 " under the roster of epoch %u: ", r->index, r->number, r->epoch);
    if (!r->has_record) {
        printf("no record\n");
    } else if (r->outcome == MSFL_OUTCOME_OPENED) {
        printf("opened, the sum of %u updates%s\n", r->n_cohort,
               r->delivery == MSFL_DELIVERY_CLIENTS ? ", by the hospitals alone" : "");
    } else {
        printf("aborted: ");
        put_clean(r->reason);
        printf("\n");
    }
    if (r->has_record && (r->outcome == MSFL_OUTCOME_OPENED || r->n_cohort > 0)) {
        put_names("cohort", r->cohort, r->n_cohort, in_full);
        put_names("signed", r->signers, r->n_signers, in_full);
        put_names("answered", r->answerers, r->n_answerers, in_full);
        if (r->n_reporters > 0) put_names("opened by", r->reporters, r->n_reporters, in_full);
        if (r->n_dissenters > 0) put_names("NOT SO BY", r->dissenters, r->n_dissenters, true);
        if (in_full) {
            printf("        %-12s%u of %u signatures and answers; at least %u updates\n", "needed", r->threshold,
                   r->members, r->min_cohort);
        }
    }
    if (r->has_record && r->outcome == MSFL_OUTCOME_OPENED) put_hash("result", r->result);
    if (in_full) {
        printf("        %-12s%" PRIu64 "\n", "values", r->n_values);
        put_hash("model", r->model);
        put_hash("layout", r->layout);
        put_hash("round id", r->round_id);
        if (r->has_record) put_hash("record", r->record);
    }
    if (f->own[0] != 0 && r->own != MSFL_AUDIT_OWN_UNKNOWN) {
        printf("        %-12s%s\n", "own part", own_words(r));
        const uint8_t *hash = memcmp(r->sent, none, sizeof none) != 0 ? r->sent : r->opened;
        if (memcmp(hash, none, sizeof none) != 0) put_hash("ciphertext", hash);
    }
}

static void put_facts(const msfl_audit_facts *f) {
    char hex[HEX_BYTES], grouped[3 * MSFL_PROVISION_FINGERPRINT_BYTES];
    msfl_hex(f->job, sizeof f->job, hex);
    printf("job         %s\n", hex);
    if (f->n_rosters > 0) {
        cli_grouped_hex(f->fingerprint, sizeof f->fingerprint, grouped);
        printf("federation  %s, fingerprint %s\n", f->federation, grouped);
        msfl_hex(f->consortium, sizeof f->consortium, hex);
        printf("consortium  %s\n            %s\n", hex,
               f->is_pinned ? "as it was given: rosters are its"
                            : "AS THE FOLDER ITSELF NAMES IT: compare it, or give --consortium or --kit");
        printf("rosters     %u, of epochs %u to %u\n            %s\n", f->n_rosters, f->epoch_first, f->epoch_last,
               msfl_custody_trust(f->custody));
    }
    printf("rounds      %u opened, %u aborted", f->n_opened, f->n_aborted);
    const uint32_t open = f->n_rounds - f->n_opened - f->n_aborted;
    if (open > 0) printf(", %u without a record", open);
    if (f->n_missing > 0) printf("; RECORDS OF %" PRIu64 " ROUNDS ARE NOT HERE", f->n_missing);
    printf("\n");
    if (f->own[0] != 0) printf("looked at   for %s\n", f->own);
}

static void put_end(const msfl_audit_facts *f) {
    char hex[HEX_BYTES];
    msfl_hex(f->head, sizeof f->head, hex);
    printf("\nverified    every signature, the chain, and that all belong to this job\nnewest      %s\n", hex);
    msfl_hex(f->all, sizeof f->all, hex);
    printf("all         %s\n            compare both with another party: records that were taken away from the end "
           "are seen by nothing else\n",
           hex);
}

/* --- JSON --- */

static json_t *hash_json(const uint8_t *hash) {
    char hex[HEX_BYTES];
    msfl_hex(hash, MSFL_HASH_BYTES, hex);
    return json_string(hex);
}

static json_t *names_json(const char *const *names, uint32_t n) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        (void)json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *round_json(const msfl_audit_round *r) {
    static const uint8_t none[MSFL_HASH_BYTES];
    json_t *o = json_pack("{si si sI ss}", "index", (int)r->index, "epoch", (int)r->epoch, "number",
                          (json_int_t)r->number, "outcome",
                          !r->has_record                      ? "none"
                          : r->outcome == MSFL_OUTCOME_OPENED ? "opened"
                                                              : "aborted");
    (void)json_object_set_new(o, "reason", msfl_json_string(r->reason));
    (void)json_object_set_new(o, "cohort", names_json(r->cohort, r->n_cohort));
    (void)json_object_set_new(o, "signed", names_json(r->signers, r->n_signers));
    (void)json_object_set_new(o, "answered", names_json(r->answerers, r->n_answerers));
    (void)json_object_set_new(o, "reported", names_json(r->reporters, r->n_reporters));
    (void)json_object_set_new(o, "contradicted", names_json(r->dissenters, r->n_dissenters));
    (void)json_object_set_new(o, "members", json_integer(r->members));
    (void)json_object_set_new(o, "threshold", json_integer(r->threshold));
    (void)json_object_set_new(o, "min_cohort", json_integer(r->min_cohort));
    (void)json_object_set_new(o, "delivery",
                              json_string(r->delivery == MSFL_DELIVERY_CLIENTS ? "clients" : "coordinator"));
    (void)json_object_set_new(o, "values", json_integer((json_int_t)r->n_values));
    (void)json_object_set_new(o, "round_id", hash_json(r->round_id));
    (void)json_object_set_new(o, "record", hash_json(r->record));
    (void)json_object_set_new(o, "model", hash_json(r->model));
    (void)json_object_set_new(o, "layout", hash_json(r->layout));
    (void)json_object_set_new(o, "result", hash_json(r->result));
    (void)json_object_set_new(o, "own", json_string(msfl_audit_own_name(r->own)));
    (void)json_object_set_new(o, "acknowledged", json_boolean(r->acknowledged));
    (void)json_object_set_new(o, "sent", memcmp(r->sent, none, sizeof none) == 0 ? json_null() : hash_json(r->sent));
    (void)json_object_set_new(o, "in_sum",
                              memcmp(r->opened, none, sizeof none) == 0 ? json_null() : hash_json(r->opened));
    return o;
}

static msfl_status print_json(const msfl_audit *audit) {
    const msfl_audit_facts *f = msfl_audit_borrow(audit);
    char fingerprint[2 * MSFL_PROVISION_FINGERPRINT_BYTES + 1], *text;
    msfl_hex(f->fingerprint, sizeof f->fingerprint, fingerprint);
    json_t *o = json_pack("{sb ss ss sb si si si}", "verified", 1, "federation", f->federation, "fingerprint",
                          fingerprint, "pinned", (int)f->is_pinned, "rosters", (int)f->n_rosters, "opened",
                          (int)f->n_opened, "aborted", (int)f->n_aborted);
    json_t *rounds = json_array();
    for (uint32_t i = 0; i < f->n_rounds; i++)
        (void)json_array_append_new(rounds, round_json(msfl_audit_round_at(audit, i)));
    (void)json_object_set_new(o, "missing", json_integer((json_int_t)f->n_missing));
    (void)json_object_set_new(o, "consortium", hash_json(f->consortium));
    (void)json_object_set_new(o, "custody", f->custody == 0 ? json_null() : json_string(msfl_custody_name(f->custody)));
    (void)json_object_set_new(o, "trust", f->custody == 0 ? json_null() : json_string(msfl_custody_trust(f->custody)));
    (void)json_object_set_new(o, "job", hash_json(f->job));
    (void)json_object_set_new(o, "own", f->own[0] == 0 ? json_null() : json_string(f->own));
    (void)json_object_set_new(o, "newest", hash_json(f->head));
    (void)json_object_set_new(o, "all", hash_json(f->all));
    (void)json_object_set_new(o, "rounds", rounds);
    if (o == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_json_text(o, false, &text);
    json_decref(o);
    if (status != MSFL_OK) return status;
    printf("%s\n", text);
    msfl_free(text);
    return MSFL_OK;
}

/* --- the command --- */

static msfl_status key_of(const char *text, uint8_t out[32]) {
    uint8_t half[MSFL_KEY_ID_BYTES];
    char digits[2 * MSFL_KEY_ID_BYTES + 1];
    bool good = strlen(text) == 64;
    for (int i = 0; good && i < 2; i++) {
        memcpy(digits, text + 32 * i, 32);
        digits[32] = 0;
        good = cli_key_id_parse(digits, half) == MSFL_OK;
        if (good) memcpy(out + 16 * i, half, 16);
    }
    return good ? MSFL_OK
                : msfl_fail(MSFL_ERR_USAGE,
                            "--consortium takes 64 hexadecimal digits, as config.yaml of a kit has them");
}

msfl_status cmd_audit(int argc, char **argv) {
    const char *words[2], *consortium = NULL, *kit = NULL, *own = NULL;
    bool json = false, gaps = false;
    size_t n;
    uint8_t key[32];
    const cli_option options[] = {
        {"consortium", CLI_TEXT, &consortium, 0, 0, NULL},
        {"kit", CLI_TEXT, &kit, 0, 0, NULL},
        {"hospital", CLI_TEXT, &own, 0, 0, NULL},
        {"allow-gaps", CLI_FLAG, &gaps, 0, 0, NULL},
        {"json", CLI_FLAG, &json, 0, 0, NULL},
        {0},
    };
    msfl_status status = cli_parse(argc, argv, options, words, 2, &n);
    if (status != MSFL_OK) return status;
    const bool show = n == 2 && strcmp(words[0], "show") == 0;
    if (n != 2 || (!show && strcmp(words[0], "verify") != 0)) {
        return msfl_fail(MSFL_ERR_USAGE, "audit takes verify or show, and the folder of a job's record; see --help");
    }
    msfl_audit_options o = {.kit = kit, .own = own, .allow_gaps = gaps};
    if (consortium != NULL) {
        status = key_of(consortium, key);
        o.consortium = key;
    }
    msfl_audit *audit = NULL;
    if (status == MSFL_OK) status = msfl_audit_verify(words[1], &o, &audit);
    if (status != MSFL_OK) return status;
    if (json) {
        status = print_json(audit);
    } else {
        const msfl_audit_facts *f = msfl_audit_borrow(audit);
        put_facts(f);
        for (uint32_t i = 0; i < f->n_rounds; i++) {
            printf("\n");
            put_round(f, msfl_audit_round_at(audit, i), show);
        }
        put_end(f);
    }
    msfl_audit_free(audit);
    return status;
}
