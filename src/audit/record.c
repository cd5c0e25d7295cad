#include "audit/record.h"

#include "base/error.h"
#include "base/mem.h"

enum { VOTE_BYTES = 4 + MSFL_SIGN_BYTES, RESULT_AND_LENGTH = MSFL_HASH_BYTES + 4 };

const uint8_t *audit_statement_of(const msfl_transcript *t, const audit_roster *roster, uint32_t client) {
    const size_t each = msfl_statement_bytes(roster->info->k);
    for (uint32_t i = 0; i < t->n_cohort; i++)
        if (msfl_load32(t->statements + i * each) == client) return t->statements + i * each;
    return NULL;
}

void audit_round_announce(const msfl_announcement *a, const audit_roster *roster, audit_round *out) {
    msfl_audit_round *v = &out->view;
    v->epoch = roster->epoch;
    v->number = a->info.number;
    v->members = roster->info->k;
    v->threshold = roster->info->t;
    v->min_cohort = a->info.min_cohort;
    v->delivery = a->delivery;
    v->n_values = a->info.n_values;
    v->deadline_ms = a->deadline_ms;
    v->reason = "";
    msfl_announcement_id(a, v->round_id);
    memcpy(v->model, a->info.model, MSFL_HASH_BYTES);
    memcpy(v->layout, a->info.layout, MSFL_HASH_BYTES);
}

/* Hospitals that report the result of the record, then those that report another. */
static void fill_reports(const msfl_transcript *t, const audit_roster *roster, const char **names,
                         msfl_audit_round *v) {
    msfl_report report;
    for (int agree = 1; agree >= 0; agree--) {
        uint32_t n = 0;
        for (uint32_t i = 0; msfl_transcript_report(t, i, &report); i++)
            if ((memcmp(report.result, t->result, MSFL_HASH_BYTES) == 0) == agree) {
                names[n++] = audit_roster_name(roster, report.client);
            }
        *(agree ? &v->reporters : &v->dissenters) = names;
        *(agree ? &v->n_reporters : &v->n_dissenters) = n;
        names += n;
    }
}

msfl_status audit_round_fill(const msfl_transcript *t, const audit_roster *roster, audit_round *out) {
    msfl_audit_round *v = &out->view;
    audit_round_announce(&t->announcement, roster, out);
    out->names = msfl_alloc((size_t)t->n_cohort + t->n_votes + t->n_answers + t->n_reports + 1, sizeof *out->names);
    if (out->names == NULL) return MSFL_NO_MEMORY;
    v->has_record = true;
    v->outcome = t->outcome;
    v->n_cohort = t->n_cohort;
    v->n_signers = t->n_votes;
    v->n_answerers = t->n_answers;
    memcpy(v->record, t->hash, MSFL_HASH_BYTES);
    memcpy(v->result, t->result, MSFL_HASH_BYTES);
    memcpy(out->reason, t->reason, t->reason_length); /* at most 200: verified */
    v->reason = out->reason;
    const char **names = out->names;
    const uint8_t *at = t->statements;
    v->cohort = names;
    for (uint32_t i = 0; i < t->n_cohort; i++, at += msfl_statement_bytes(roster->info->k))
        *names++ = audit_roster_name(roster, msfl_load32(at));
    v->signers = names;
    at += 4;
    for (uint32_t i = 0; i < t->n_votes; i++, at += VOTE_BYTES)
        *names++ = audit_roster_name(roster, msfl_load32(at));
    v->answerers = names;
    at += 4;
    /* What is kept of an answer depends on the delivery; the answers fill all the room up to what follows evenly: the
     * number of reports, or the result. */
    const uint8_t *end = t->reports != NULL ? t->reports - 4 : (const uint8_t *)t->reason - RESULT_AND_LENGTH;
    const size_t room = (size_t)(end - at);
    for (uint32_t i = 0; i < t->n_answers; i++)
        *names++ = audit_roster_name(roster, msfl_load32(at + i * (room / t->n_answers)));
    fill_reports(t, roster, names, v);
    return MSFL_OK;
}

void audit_round_clear(audit_round *round) {
    msfl_free(round->names);
    *round = (audit_round){0};
}
