#include "federation/result.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "federation/calibration.h"
#include "federation/config.h"
#include "federation/rounds.h"
#include "federation/scoring.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Who has to be trusted, and for what. */
static const char trust_packed[] =
    "Every update left its hospital encrypted under a key made for that round alone. The coordinator only added "
    "ciphertexts. ";
static const char *const trust_custody[] = {
    [MSFL_CUSTODY_COMMITTEE] =
        "A committee of all hospitals held shares of the one-time keys, never a ciphertext. Its members checked every "
        "hospital's signature, signed one cohort per round, and answered with the sum of their shares over that cohort "
        "alone, so that only the sum of the updates could be opened. This holds while fewer than the threshold of "
        "members collude with the coordinator, also if the coordinator lies to the others.",
    [MSFL_CUSTODY_AUTHORITY] =
        "A separate authority received the sealed one-time keys, never a ciphertext, and answered once per "
        "round with the sum of the keys of the certified hospitals, so that only the sum of the updates could be "
        "opened. This holds while coordinator and authority do not collude.",
    [MSFL_CUSTODY_COORDINATOR] =
        "INSECURE against a curious coordinator: it held the one-time keys itself (--custody coordinator) and could "
        "open every single update. Use it for comparison only."};
static const char trust_simulated[] =
    "In this simulation all parties run in one process on one machine: it shows the computation and its cost, not the "
    "separation of the parties.";
static const char trust_plain[] =
    "NOT PROTECTED. Scheme 'plain': every update was visible to the coordinator, and images can be reconstructed from "
    "updates. Use it for comparison only.";

static const char trust_delivered[] =
    " The sums, and the model made of them, were opened by the hospitals alone: the committee's answers were sealed "
    "for "
    "them (--delivery clients), every hospital opened every sum, and all of them opened the same. The coordinator saw "
    "neither; it could have added to a sum something of its own, the same for all, which a hospital finds out that "
    "folds the uploads itself.";

static bool is_packed(const fed_job *job) {
    return strcmp(msfl_scheme_name(job->scheme), "packed") == 0;
}

static msfl_custody packed_custody(const fed_job *job) {
    return msfl_setup_request(job->updates.setup)->custody;
}

static json_t *trust_json(const fed_job *job) {
    if (!job->encrypts) return json_string(trust_plain);
    if (!is_packed(job)) return json_sprintf("%s %s", msfl_scheme_trust(job->scheme), trust_simulated);
    return json_sprintf("%s%s%s %s", trust_packed, trust_custody[packed_custody(job)],
                        job->delivery == MSFL_DELIVERY_CLIENTS ? trust_delivered : "", trust_simulated);
}

/* Who holds what opens the sum. */
static const char *custody_of(const fed_job *job) {
    if (!job->encrypts) return NULL;
    if (is_packed(job)) return msfl_custody_name(packed_custody(job));
    return (msfl_scheme_traits(job->scheme) & MSFL_SCHEME_KEY_PAIR) != 0 ? "key holder" : "hospitals";
}

const fed_track *fed_tracks_main(const fed_job *job, const fed_tracks *tracks) {
    return job->encrypts ? &tracks->encrypted : &tracks->plain;
}

static bool used(const fed_track *t) {
    return t->n_members > 0;
}

/* --- the run as it was set up --- */

static json_t *indices_counts(const fed_job *job, const fed_hospital *h) {
    uint32_t counts[MSFL_CLASSES_MAX] = {0};
    for (uint32_t i = 0; i < h->train.n; i++)
        counts[msfl_dataset_label(job->dataset, h->train.at[i])]++;
    for (uint32_t i = 0; i < h->validation.n; i++)
        counts[msfl_dataset_label(job->dataset, h->validation.at[i])]++;
    json_t *list = json_array();
    for (uint32_t c = 0; c < msfl_dataset_info_borrow(job->dataset)->n_classes; c++) {
        json_array_append_new(list, json_integer(counts[c]));
    }
    return list;
}

static json_t *skipped_json(const fed_job *job) {
    json_t *list = json_array();
    const char *text;
    for (uint32_t i = 0; (text = msfl_dataset_skipped(job->dataset, i)) != NULL; i++) {
        json_array_append_new(list, json_pack("{s:o}", "reason", msfl_json_string(text)));
    }
    return list;
}

static json_t *data_json(const fed_job *job) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job->dataset);
    json_t *classes = json_array(), *hospitals = json_array();
    for (uint32_t c = 0; c < info->n_classes; c++) {
        json_array_append_new(classes, msfl_json_string(msfl_dataset_class_name(job->dataset, c)));
    }
    for (uint32_t k = 0; k < job->n_hospitals; k++) {
        const fed_hospital *h = &job->hospitals[k];
        json_t *one = json_pack("{s:s, s:i, s:i, s:i, s:o}", "name", h->name, "train", (int)h->train.n, "validation",
                                (int)h->validation.n, "patients", (int)h->n_patients, "counts", indices_counts(job, h));
        const msfl_shift *s = &job->shifts[k];
        if (job->options->shift != NULL) {
            json_object_set_new(one, "shift",
                                json_pack("{s:f, s:f, s:f, s:f}", "gamma", (double)s->gamma, "blur", (double)s->blur,
                                          "noise", (double)s->noise, "resolution", (double)s->resolution));
        }
        json_array_append_new(hospitals, one);
    }
    json_t *data =
        json_pack("{s:o, s:s, s:b, s:i, s:o, s:i, s:i, s:i, s:i, s:o, s:o, s:s?}", "source",
                  msfl_json_string(job->imported != NULL ? job->options->data : info->source), "kind", info->kind,
                  "synthetic", info->synthetic, "images", (int)info->n_images, "classes", classes, "width",
                  (int)info->width, "height", (int)info->height, "channels", (int)info->channels, "groups",
                  (int)info->n_groups, "group_key", msfl_json_string(info->group_key), "label_key",
                  msfl_json_string(info->label_key), "split_rule", job->split.how);
    if (info->depth > 1) json_object_set_new(data, "depth", json_integer(info->depth));
    if (info->shown > 0) json_object_set_new(data, "shown", json_integer(info->shown - 1));
    json_object_set_new(data, "train", json_integer(job->split.train.n));
    json_object_set_new(data, "validation", json_integer(job->split.validation.n));
    json_object_set_new(data, "test", json_integer(job->split.test.n));
    json_object_set_new(data, "n_skipped", json_integer(info->n_skipped));
    json_object_set_new(data, "skipped", skipped_json(job));
    json_object_set_new(data, "partition", json_string(job->options->partition));
    json_object_set_new(data, "shift", msfl_json_string(job->options->shift));
    json_object_set_new(data, "recipe", msfl_json_string(info->recipe));
    json_object_set_new(data, "hospitals", hospitals);
    return data;
}

static json_t *model_json(const fed_job *job) {
    const msfl_model_info *info = msfl_model_info_borrow(job->model);
    uint8_t hash[MSFL_HASH_BYTES];
    char hex[2 * MSFL_HASH_BYTES + 1];
    msfl_model_hash(job->model, hash);
    msfl_hex(hash, sizeof hash, hex);
    json_t *layers = json_array();
    for (uint32_t i = 0; i < info->n_layers; i++) {
        json_array_append_new(layers, json_string(msfl_model_layer_text(job->model, i)));
    }
    return json_pack("{s:s, s:I, s:I, s:o, s:s}", "name", info->name, "values", (json_int_t)info->n_values, "trainable",
                     (json_int_t)info->n_trainable, "layers", layers, "hash", hex);
}

static json_t *training_json(const fed_job *job) {
    static const char *const normalisations[] = {"image", "set", "none"};
    const msfl_simulate_options *o = job->options;
    json_t *training = json_pack("{s:s, s:o, s:o, s:o, s:i, s:i, s:b, s:s, s:s}", "optimizer",
                                 o->train.optimizer == MSFL_ADAM ? "adam" : "sgd", "learning_rate",
                                 msfl_json_real(o->train.learning_rate), "momentum", msfl_json_real(o->train.momentum),
                                 "weight_decay", msfl_json_real(o->train.weight_decay), "batch", (int)o->train.batch,
                                 "local_epochs", (int)o->train.n_epochs, "augment", o->augment, "normalise",
                                 normalisations[o->normalise], "server_rule", job->aggregate->name);
    /* Only what differs from plain training. */
    if (o->augmentation != NULL) json_object_set_new(training, "augmentation", msfl_json_string(o->augmentation));
    if (o->balance) json_object_set_new(training, "balance", json_true());
    if (o->logit_adjustment > 0) json_object_set_new(training, "logit_adjustment", msfl_json_real(o->logit_adjustment));
    if (o->train.n_steps > 0) json_object_set_new(training, "local_steps", json_integer(o->train.n_steps));
    if (job->aggregate->n_moments > 0)
        json_object_set_new(training, "server_learning_rate", msfl_json_real(o->server_learning_rate));
    if (o->schedule != NULL) json_object_set_new(training, "schedule", json_string(o->schedule));
    if (o->train.focal > 0) json_object_set_new(training, "focal", msfl_json_real(o->train.focal));
    if (job->is_pixelwise) json_object_set_new(training, "dice", msfl_json_real(o->train.dice));
    if (o->train.proximal > 0) json_object_set_new(training, "proximal", msfl_json_real(o->train.proximal));
    if (job->n_norms > 0) json_object_set_new(training, "norms", json_string(job_norms_words[job->norms]));
    return training;
}

/* What the packed scheme says of its parameters beyond what all schemes do. */
static void put_packed_params(const fed_job *job, json_t *out) {
    const msfl_scheme_request *r = msfl_setup_request(job->updates.setup);
    const msfl_params_request request = {.n_clients = r->n_clients,
                                         .value_bits = r->value_bits,
                                         .n_values = r->n_values,
                                         .security_bits = r->security_bits,
                                         .ring_degree = r->ring_degree,
                                         .n_shares = r->custody == MSFL_CUSTODY_COMMITTEE ? r->n_clients : 1};
    msfl_params p;
    if (msfl_params_plan(&request, &p) != MSFL_OK) return; /* it was planned before: only memory could be missing */
    msfl_params_facts f;
    msfl_params_describe(&p, r->n_values, &f);
    json_object_set_new(out, "ring_degree", json_integer(p.ring_degree));
    json_object_set_new(out, "n_primes", json_integer(p.n_primes));
    json_object_set_new(out, "log2_q", json_real(f.log2_q));
    json_object_set_new(out, "log2_q_max", json_real(f.log2_q_max));
    json_object_set_new(out, "slot_bits", json_integer(p.slot_bits));
    json_object_set_new(out, "slots_per_coefficient", json_integer(p.slots_per_coefficient));
    json_object_set_new(out, "noise_bits_max", json_real(f.noise_bits_max));
}

/* Parameters of the aggregation of updates; null for plain. */
static json_t *params_json(const fed_job *job) {
    if (!job->encrypts) return json_null();
    const msfl_scheme_request *r = msfl_setup_request(job->updates.setup);
    msfl_scheme_facts f;
    msfl_setup_facts(job->updates.setup, &f);
    json_t *out = json_object();
    json_object_set_new(out, "description", json_string(f.parameters));
    json_object_set_new(out, "security_bits", json_integer((json_int_t)f.security_bits));
    json_object_set_new(out, "clients", json_integer(r->n_clients));
    json_object_set_new(out, "value_bits", json_integer(r->value_bits));
    json_object_set_new(out, "log2_failure", msfl_json_real(f.log2_failure));
    json_object_set_new(out, "bits_per_value", json_real(8.0 * (double)f.upload_bytes / (double)r->n_values));
    json_object_set_new(out, "chunks", json_integer((json_int_t)f.n_chunks));
    json_object_set_new(out, "slots", json_integer((json_int_t)r->n_values));
    json_object_set_new(out, "setup_bytes", json_integer((json_int_t)f.setup_bytes));
    json_object_set_new(out, "kernel", json_string(msfl_setup_kernel(job->updates.setup)));
    if (is_packed(job)) put_packed_params(job, out);
    return out;
}

/* --- what came out --- */

static msfl_status best_score(const fed_job *job, const fed_track *track, const float *norms,
                              const msfl_indices *images, uint32_t n_bootstrap, json_t **out) {
    *out = NULL;
    fed_scores scores;
    msfl_status status = fed_score_member(job, track->best, norms, images, &scores);
    if (status != MSFL_OK) return status;
    if (scores.n == 0) {
        *out = json_null();
    } else {
        status = fed_scores_json(&scores, n_bootstrap, job->options->seed, true, out);
    }
    fed_scores_clear(&scores);
    return status;
}

static msfl_status put_score(const fed_job *job, const fed_track *track, const char *key, json_t *result) {
    json_t *score = NULL;
    if (!used(track) || track->n_records == 0) return MSFL_OK;
    msfl_status status = best_score(job, track, NULL, &job->split.test, job->options->n_bootstrap, &score);
    if (status != MSFL_OK) return status;
    json_object_set_new(score, "best_round", json_integer(track->course.best_round));
    json_object_set_new(result, key, score);
    return MSFL_OK;
}

/* Mean of each figure over the hospitals of `list`, whose objects it takes in; with `spread` also how far they lie
 * apart. */
static json_t *over_hospitals(const fed_job *job, json_t *list, bool spread) {
    static const char *const of_images[] = {"auc", "accuracy", "balanced_accuracy", "sensitivity", "specificity",
                                            "f1",  "loss",     "calibration"};
    static const char *const of_masks[] = {"dice", "hausdorff95", "accuracy", "loss"};
    const char *const *names = job->is_pixelwise ? of_masks : of_images;
    const size_t n_names =
        job->is_pixelwise ? sizeof of_masks / sizeof of_masks[0] : sizeof of_images / sizeof of_images[0];
    json_t *mean = json_object(), *apart = json_object();
    for (size_t i = 0; i < n_names; i++) {
        double sum = 0, squares = 0, least = INFINITY, most = -INFINITY;
        uint32_t n = 0;
        for (size_t k = 0; k < json_array_size(list); k++) {
            const json_t *v = json_object_get(json_array_get(list, k), names[i]);
            if (!json_is_number(v)) continue;
            const double x = json_number_value(v);
            sum += x;
            squares += x * x;
            least = fmin(least, x);
            most = fmax(most, x);
            n++;
        }
        json_object_set_new(mean, names[i], msfl_json_real(n > 0 ? sum / n : NAN));
        /* Of the hospitals there are, not of those there might be. */
        const double deviation = n > 0 ? sqrt(fmax(0, squares / n - sum / n * (sum / n))) : NAN;
        json_object_set_new(apart, names[i],
                            json_pack("{s:o, s:o, s:o}", "deviation", msfl_json_real(deviation), "least",
                                      msfl_json_real(n > 0 ? least : NAN), "most", msfl_json_real(n > 0 ? most : NAN)));
    }
    json_object_set_new(mean, "n", json_integer(job->split.test.n));
    json_object_set_new(mean, "per_hospital", list);
    if (spread) {
        json_object_set_new(mean, "spread", apart);
    } else {
        json_decref(apart);
    }
    return mean;
}

/* One entry of such a list. */
static msfl_status add_hospital(const fed_job *job, const fed_track *track, const float *norms, uint32_t k,
                                uint32_t n_bootstrap, json_t *list) {
    json_t *score;
    msfl_status status = best_score(job, track, norms, &job->split.test, n_bootstrap, &score);
    if (status != MSFL_OK) return status;
    json_object_set_new(score, "hospital", json_string(job->hospitals[k].name));
    json_object_set_new(score, "best_round", json_integer(track->course.best_round));
    json_array_append_new(list, score);
    return MSFL_OK;
}

static msfl_status put_alone(const fed_job *job, const fed_tracks *tracks, json_t *result) {
    json_t *list = json_array();
    msfl_status status = MSFL_OK;
    for (uint32_t k = 0; k < job->n_hospitals && status == MSFL_OK; k++) {
        if (!used(&tracks->alone[k]) || tracks->alone[k].n_records == 0) continue;
        status = add_hospital(job, &tracks->alone[k], NULL, k, job->options->n_bootstrap, list);
    }
    if (status != MSFL_OK || json_array_size(list) == 0) {
        json_decref(list);
        return status;
    }
    json_object_set_new(result, "alone_mean", over_hospitals(job, list, false));
    return MSFL_OK;
}

/* Where hospitals keep normalisation layers of their own, each has a model of its own: all of them on the same test
 * images. */
static msfl_status put_personal(const fed_job *job, const fed_track *track, json_t *result) {
    if (job->n_norms == 0 || track->n_records == 0) return MSFL_OK;
    json_t *list = json_array();
    msfl_status status = MSFL_OK;
    for (uint32_t k = 0; k < job->n_hospitals && status == MSFL_OK; k++)
        status = add_hospital(job, track, track->members[k].best_norms, k, job->options->n_bootstrap, list);
    if (status != MSFL_OK) {
        json_decref(list);
        return status;
    }
    json_object_set_new(result, "personal", over_hospitals(job, list, true));
    return MSFL_OK;
}

static msfl_status put_per_hospital(const fed_job *job, const fed_track *main_track, json_t *result) {
    json_t *list = json_array();
    for (uint32_t k = 0; k < job->n_hospitals && main_track->n_records > 0; k++) {
        json_t *score;
        msfl_status status = best_score(job, main_track, main_track->members[k].best_norms,
                                        &job->hospitals[k].validation, job->options->n_bootstrap, &score);
        if (status != MSFL_OK) {
            json_decref(list);
            return status;
        }
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "hospital", job->hospitals[k].name, "federated_validation", score));
    }
    json_object_set_new(result, "per_hospital", list);
    return MSFL_OK;
}

static const fed_record *record_at(const fed_track *track, uint32_t round) {
    return used(track) && round < track->n_records ? &track->records[round] : NULL;
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

static json_t *round_json(const fed_job *job, const fed_tracks *tracks, uint32_t i) {
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

static void put_costs(const fed_job *job, const fed_track *track, json_t *result) {
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

static json_t *warnings_json(const fed_job *job, const fed_tracks *tracks) {
    json_t *list = json_array();
    const fed_track *track = fed_tracks_main(job, tracks);
    if (!job->encrypts) {
        json_array_append_new(list, json_string("Scheme 'plain': updates were not encrypted."));
    }
    if (job->encrypts && is_packed(job) && packed_custody(job) == MSFL_CUSTODY_COORDINATOR) {
        json_array_append_new(list,
                              json_string("--custody coordinator: the coordinator held the keys and could open every "
                                          "single update. Insecure against a curious coordinator."));
    }
    if (job->n_hospitals == 2) {
        json_array_append_new(list,
                              json_string("Two hospitals (--allow-two-sites): from the sum and its own update each can "
                                          "compute the other's."));
    }
    for (uint32_t i = 0; i < track->n_records; i++) {
        if ((uint32_t)track->records[i].cohort == job->n_hospitals) continue;
        char text[128];
        snprintf(text, sizeof text, "Round %u was completed by %u of %u hospitals.", i + 1,
                 (uint32_t)track->records[i].cohort, job->n_hospitals);
        json_array_append_new(list, json_string(text));
    }
    if (job->options->allow_two_sites && job->n_hospitals > 2) {
        json_array_append_new(list,
                              json_string("--allow-two-sites: a round may have been completed by two hospitals, which "
                                          "can then compute each other's update."));
    }
    if (job->flips && msfl_dataset_info_borrow(job->dataset)->laterality == MSFL_LATERALITY_UNSAID) {
        json_array_append_new(list, json_string(fed_flips_warning));
    }
    if (job->norms == JOB_NORMS_LOCAL) {
        json_array_append_new(
            list, json_string(
                      job_norms_gathered(job->model)
                          ? "Normalisation layers never left the hospitals, and this network normalises by statistics "
                            "that training gathers: agg_model.h5 has those that training began with and is of "
                            "no use as it is. Use the models in personal/, or --norms mean."
                          : "Normalisation layers never left the hospitals: agg_model.h5 has those that training "
                            "began with (scale 1, offset 0). The models in personal/ have each hospital's own."));
    }
    if (fed_validating_hospitals(job) < (job->options->allow_two_sites ? 2u : 3u)) {
        json_array_append_new(list,
                              json_string("Too few hospitals hold validation images for an encrypted sum of validation "
                                          "figures: there are none, and the last round counts as the best."));
    }
    if (job->options->normalise == MSFL_NORMALISE_SET) {
        json_array_append_new(list,
                              json_string("--normalise set uses the mean and deviation of all images of all hospitals, "
                                          "test images included: no federation could compute that as it is."));
    }
    if (msfl_secret_unlocked_bytes() > 0) {
        json_array_append_new(
            list, json_string("Keys were kept in memory that the system did not lock and may have paged out: "
                              "raise the limit with 'ulimit -l'."));
    }
    if (msfl_dataset_info_borrow(job->dataset)->group_key == NULL) {
        json_array_append_new(list,
                              json_string("No patient key: images of one patient may be on both sides of a split, and "
                                          "figures may be too good."));
    }
    return list;
}

msfl_status fed_result(const fed_job *job, const fed_tracks *tracks, bool complete, json_t **out) {
    const fed_track *track = fed_tracks_main(job, tracks);
    char created[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    *out = NULL;
    json_t *result = json_pack(
        "{s:s, s:s, s:I, s:i, s:s, s:s?, s:s?, s:o, s:b, s:i, s:i, s:s?, s:i}", "version", MSFL_VERSION, "created",
        created, "seed", (json_int_t)job->options->seed, "threads",
        (int)msfl_pool_threads(fed_workers_pool(job->workers)), "scheme", msfl_scheme_name(job->scheme), "custody",
        custody_of(job), "delivery",
        job->encrypts ? msfl_delivery_name(job->delivery == 0 ? MSFL_DELIVERY_COORDINATOR : job->delivery) : NULL,
        "trust", trust_json(job), "complete", complete, "rounds_done", (int)track->n_records, "rounds_planned",
        (int)job->options->n_rounds, "stopped", track->course.stopped ? track->course.why : NULL, "best_round",
        (int)track->course.best_round);
    msfl_status status;
    if (job->is_pixelwise) json_object_set_new(result, "task", json_string("segmentation"));
    json_object_set_new(result, "command", msfl_json_string(job->options->command));
    json_object_set_new(result, "config", fed_config_json(job->options));
    json_object_set_new(result, "data", data_json(job));
    json_object_set_new(result, "model", model_json(job));
    json_object_set_new(result, "training", training_json(job));
    json_object_set_new(result, "params", params_json(job));
    static const char *const keys[] = {"encrypted", "plain", "central", "alone_mean"};
    for (int i = 0; i < 4; i++)
        json_object_set_new(result, keys[i], json_null());
    status = put_score(job, &tracks->encrypted, "encrypted", result);
    if (status == MSFL_OK) status = put_score(job, &tracks->plain, "plain", result);
    if (status == MSFL_OK) status = put_score(job, &tracks->central, "central", result);
    if (status == MSFL_OK) status = put_alone(job, tracks, result);
    if (status == MSFL_OK) status = put_personal(job, track, result);
    if (status == MSFL_OK) status = put_per_hospital(job, track, result);
    if (status != MSFL_OK) goto done;
    if (!job->is_pixelwise && track->n_records > 0) status = fed_calibration(job, track, result);
    if (status != MSFL_OK) goto done;
    put_costs(job, track, result);
    json_t *rounds = json_array();
    uint32_t n = rounds_of(job, tracks);
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(rounds, round_json(job, tracks, i));
    json_object_set_new(result, "rounds", rounds);
    json_object_set_new(result, "warnings", warnings_json(job, tracks));
    *out = result;
    result = NULL;
done:
    json_decref(result);
    return status;
}

msfl_status fed_metrics_lines(const fed_job *job, const fed_tracks *tracks, char **text) {
    msfl_buffer b = {0};
    *text = NULL;
    msfl_put_text(&b, "%s", "");
    msfl_status status = MSFL_OK;
    uint32_t n = rounds_of(job, tracks);
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++) {
        json_t *round = round_json(job, tracks, i);
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
