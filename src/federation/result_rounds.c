/* What every round found and cost. */
#include "federation/result_parts.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"

#include <math.h>

static const fed_record *record_at(const fed_track *track, uint32_t round) {
    return fed_track_used(track) && round < track->n_records ? &track->records[round] : NULL;
}

static json_t *curves(const fed_job *job, const fed_record *r) {
    if (r == NULL) return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "train_loss", msfl_json_real(r->train_loss),
                     "train_accuracy", msfl_json_real(r->train_accuracy), "validation_loss",
                     msfl_json_real(r->validation_loss), "validation_accuracy", msfl_json_real(r->validation_accuracy),
                     job->is_pixelwise ? "validation_dice" : "validation_auc", msfl_json_real(r->validation_auc),
                     job->is_pixelwise ? "test_dice" : "test_auc", msfl_json_real(r->test_auc), "learning_rate",
                     msfl_json_real(r->learning_rate));
}

/* All that one hospital sends in a round: float32 values for plain, else ciphertext and sealed keys. */
static double bytes_up(const fed_record *r) {
    if (!isnan(r->bytes_plain)) return r->bytes_plain + r->bytes_header;
    return r->bytes_ciphertext + r->bytes_bundle + r->bytes_header;
}

static double ms_crypto(const fed_record *r) {
    return r->ms_quantise + r->ms_encrypt + r->ms_fold + r->ms_open;
}

static json_t *one_round(const fed_job *job, const fed_tracks *tracks, uint32_t i) {
    const fed_record *r = record_at(fed_tracks_main(job, tracks), i);
    json_t *round = json_pack(
        "{s:i, s:o, s:o, s:o}", "round", (int)i + 1, "encrypted", curves(job, record_at(&tracks->encrypted, i)),
        "plain", curves(job, record_at(&tracks->plain, i)), "central", curves(job, record_at(&tracks->central, i)));
    json_t *alone = json_array();
    for (uint32_t k = 0; k < job->n_hospitals; k++)
        json_array_append_new(alone, curves(job, record_at(&tracks->alone[k], i)));
    json_object_set_new(round, "alone", alone);
    if (r == NULL) return round;
    json_object_set_new(round, "sum_exact", isnan(r->sum_exact) ? json_null() : json_boolean(r->sum_exact != 0));
    json_object_set_new(round, "max_error", msfl_json_real(r->max_error));
    json_object_set_new(round, "error_bound", msfl_json_real(r->error_bound));
    const struct {
        const char *name;
        double value;
    } counts[] = {{"clipped", r->clipped},
                  {"cohort", r->cohort},
                  {"bytes_up_per_client", bytes_up(r)},
                  {"bytes_ciphertext_per_client", r->bytes_ciphertext},
                  {"bytes_bundle_per_client", r->bytes_bundle},
                  {"bytes_header_per_client", r->bytes_header},
                  {"bytes_down_per_client", r->bytes_down}};
    for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
        json_object_set_new(round, counts[k].name,
                            isnan(counts[k].value) ? json_null() : json_integer((json_int_t)counts[k].value));
    }
    json_object_set_new(round, "ms",
                        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "train", msfl_json_real(r->ms_train),
                                  "quantise", msfl_json_real(r->ms_quantise), "encrypt", msfl_json_real(r->ms_encrypt),
                                  "fold", msfl_json_real(r->ms_fold), "open", msfl_json_real(r->ms_open), "evaluate",
                                  msfl_json_real(r->ms_evaluate), "wall", msfl_json_real(r->ms_wall)));
    return round;
}

static uint32_t rounds_of(const fed_job *job, const fed_tracks *tracks) {
    uint32_t n = tracks->encrypted.n_records;
    if (tracks->plain.n_records > n) n = tracks->plain.n_records;
    if (tracks->central.n_records > n) n = tracks->central.n_records;
    for (uint32_t k = 0; k < job->n_hospitals; k++) {
        if (tracks->alone[k].n_records > n) n = tracks->alone[k].n_records;
    }
    return n;
}

json_t *fed_result_rounds(const fed_job *job, const fed_tracks *tracks) {
    json_t *rounds = json_array();
    uint32_t n = rounds_of(job, tracks);
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(rounds, one_round(job, tracks, i));
    return rounds;
}

msfl_status fed_metrics_lines(const fed_job *job, const fed_tracks *tracks, char **text) {
    msfl_buffer b = {0};
    *text = NULL;
    msfl_put_text(&b, "%s", "");
    msfl_status status = MSFL_OK;
    uint32_t n = rounds_of(job, tracks);
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++) {
        json_t *round = one_round(job, tracks, i);
        char *line = NULL;
        status = msfl_json_text(round, true, &line);
        json_decref(round);
        if (status == MSFL_OK) msfl_put_text(&b, "%s\n", line);
        msfl_free(line);
    }
    if (status == MSFL_OK) status = b.status;
    if (status == MSFL_OK) *text = msfl_strndup((const char *)b.bytes, b.length);
    msfl_buffer_clear(&b);
    return status == MSFL_OK && *text == NULL ? MSFL_ERR_MEMORY : status;
}

void fed_result_costs(const fed_job *job, const fed_track *track, json_t *result) {
    double crypto = 0, wall = 0, threads = msfl_pool_threads(fed_workers_pool(job->workers));
    bool exact = true;
    for (uint32_t i = 0; i < track->n_records; i++) {
        crypto += ms_crypto(&track->records[i]);
        wall += track->records[i].ms_wall;
        exact = exact && track->records[i].sum_exact == 1;
    }
    const bool encrypts = job->encrypts;
    json_object_set_new(result, "sum_exact", encrypts && track->n_records > 0 ? json_boolean(exact) : json_null());
    if (track->n_records > 0) {
        const fed_record *r = &track->records[track->n_records - 1];
        json_object_set_new(result, "bytes_up_per_client_round", json_integer((json_int_t)bytes_up(r)));
        json_object_set_new(result, "bytes_ciphertext_per_client_round",
                            encrypts ? json_integer((json_int_t)r->bytes_ciphertext) : json_null());
        json_object_set_new(result, "bytes_bundle_per_client_round",
                            encrypts ? json_integer((json_int_t)r->bytes_bundle) : json_null());
        json_object_set_new(result, "bytes_header_per_client_round", json_integer((json_int_t)r->bytes_header));
        json_object_set_new(result, "bytes_down_per_client_round", json_integer((json_int_t)r->bytes_down));
    }
    json_object_set_new(result, "bytes_float32",
                        json_integer((json_int_t)job->sent.n_values * (json_int_t)sizeof(float)));
    json_object_set_new(result, "crypto_share_of_round",
                        encrypts && wall > 0 ? msfl_json_real(crypto / (wall * threads)) : json_null());
    json_object_set_new(result, "peak_rss_bytes", json_integer((json_int_t)msfl_peak_rss_bytes()));
}
