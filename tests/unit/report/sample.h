/* Results that look like a real run's, for tests of the page: predictions are drawn, and all figures are computed from
 * them by the code that a real run uses. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "base/mem.h"
#include "base/seeded.h"
#include "medsecurefl/metrics.h"
#include "medsecurefl/report.h"
#include "text/json.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

typedef struct sample_options {
    uint32_t hospitals, rounds, classes; /* classes 2 to 8 */
    bool plain_only, synthetic, stopped, inexact;
} sample_options;

static const char *const sample_classes[] = {"normal", "pneumonia", "effusion", "nodule",
                                             "mass",   "hernia",    "edema",    "fibrosis"};
static const char *const sample_hospitals[] = {"North Hill", "Harbour", "St. Anna"};

/* Figures of merit as the object that results hold. */
typedef struct named_figure {
    const char *name;
    size_t offset;
} named_figure;

static const named_figure sample_named[] = {
    {"auc", offsetof(msfl_metrics, auc)},
    {"accuracy", offsetof(msfl_metrics, accuracy)},
    {"balanced_accuracy", offsetof(msfl_metrics, balanced_accuracy)},
    {"sensitivity", offsetof(msfl_metrics, sensitivity)},
    {"specificity", offsetof(msfl_metrics, specificity)},
    {"f1", offsetof(msfl_metrics, f1)},
};
enum { N_FIGURES = sizeof sample_named / sizeof sample_named[0] };

static const msfl_figure *figure_of(const msfl_metrics *m, int k) {
    return (const msfl_figure *)(const void *)((const char *)m + sample_named[k].offset);
}

static json_t *figures_json(const msfl_metrics *m, const msfl_roc_point *points, uint32_t n_points) {
    json_t *object = json_object(), *intervals = json_object(), *confusion = json_array();
    bool failed = object == NULL || intervals == NULL || confusion == NULL;
    for (int k = 0; k < N_FIGURES; k++) {
        const msfl_figure *f = figure_of(m, k);
        json_t *ends = isnan(f->low) || isnan(f->high) ? json_null() : json_pack("[f, f]", f->low, f->high);
        failed |= json_object_set_new(object, sample_named[k].name, msfl_json_real(f->value)) != 0;
        failed |= json_object_set_new(intervals, sample_named[k].name, ends) != 0;
    }
    failed |= json_object_set_new(object, "loss", msfl_json_real(m->loss)) != 0;
    failed |= json_object_set_new(object, "calibration", msfl_json_real(m->calibration)) != 0;
    failed |= json_object_set_new(object, "n", json_integer(m->n)) != 0;
    for (uint32_t t = 0; t < m->n_classes; t++) {
        json_t *row = json_array();
        for (uint32_t c = 0; c < m->n_classes; c++)
            failed |= json_array_append_new(row, json_integer(m->confusion[t][c])) != 0;
        failed |= json_array_append_new(confusion, row) != 0;
    }
    failed |= json_object_set_new(object, "confusion", confusion) != 0;
    failed |= json_object_set_new(object, "intervals", intervals) != 0;
    if (n_points > 0) {
        json_t *curve = json_array();
        for (uint32_t i = 0; i < n_points; i++) {
            failed |= json_array_append_new(
                          curve, json_pack("[f, f]", points[i].false_positive_rate, points[i].true_positive_rate)) != 0;
        }
        failed |= json_object_set_new(object, "roc", curve) != 0;
    }
    if (!failed) return object;
    json_decref(object);
    return NULL;
}

/* Figures of a model whose scores separate the classes by `skill` standard deviations. */
static json_t *sample_figures(uint64_t seed, uint32_t n, uint32_t classes, double skill, uint32_t replicates,
                              bool with_roc) {
    float *rows = msfl_alloc((size_t)n * classes, sizeof *rows);
    uint32_t *labels = msfl_alloc(n, sizeof *labels), *patients = msfl_alloc(n, sizeof *patients);
    static msfl_metrics m;
    static msfl_roc_point points[200];
    uint32_t n_points = 0;
    json_t *figures = NULL;
    if (rows == NULL || labels == NULL || patients == NULL) goto done;
    msfl_seeded g;
    msfl_seeded_init(&g, seed, "sample", 0, 0, 0);
    for (uint32_t i = 0; i < n; i++) {
        double logits[8], sum = 0.0;
        labels[i] = msfl_seeded_unit(&g) < 0.4 ? 0 : 1 + (uint32_t)msfl_seeded_below(&g, classes - 1);
        patients[i] = i * 2 / 3;
        for (uint32_t c = 0; c < classes; c++) {
            logits[c] = exp(1.3 * (msfl_seeded_normal(&g) + (c == labels[i] ? skill : 0.0)));
            sum += logits[c];
        }
        for (uint32_t c = 0; c < classes; c++)
            rows[(size_t)i * classes + c] = (float)(logits[c] / sum);
    }
    if (msfl_metrics_compute(rows, labels, patients, n, classes, replicates, seed, &m) != MSFL_OK) goto done;
    if (with_roc && msfl_roc_curve(rows, labels, n, classes, 200, points, &n_points) != MSFL_OK) goto done;
    figures = figures_json(&m, points, n_points);
done:
    msfl_free(rows);
    msfl_free(labels);
    msfl_free(patients);
    return figures;
}

static json_t *sample_curve_point(double loss, double auc) {
    return json_pack("{s:f, s:f, s:f, s:f}", "validation_loss", loss, "validation_auc", auc, "train_loss", loss * 0.9,
                     "test_auc", auc - 0.004);
}

static json_t *sample_round(const sample_options *o, uint32_t round, msfl_seeded *g) {
    double t = 1.0 - exp(-0.55 * round), noise = 0.006 * msfl_seeded_normal(g);
    json_t *alone = json_array();
    for (uint32_t h = 0; h < o->hospitals; h++) {
        double weak = 0.03 + 0.05 * (h % 3);
        json_t *point = sample_curve_point(0.62 - (0.4 - weak) * t + 0.012 * round * weak * 10 + 0.01 * noise,
                                           0.7 + (0.26 - weak) * t + 0.5 * noise + 0.003 * msfl_seeded_normal(g));
        json_array_append_new(alone, point);
    }
    json_t *r = json_pack("{s:i, s:o, s:o, s:o, s:b, s:f, s:f, s:i, s:i}", "round", (int)round, "plain",
                          sample_curve_point(0.6 - 0.44 * t - noise, 0.72 + 0.26 * t + 0.3 * noise), "central",
                          sample_curve_point(0.55 - 0.42 * t + noise / 2, 0.75 + 0.237 * t), "alone", alone,
                          "sum_exact", !(o->inexact && round == 2), "max_error", 4.1e-7 + 1e-9 * round, "error_bound",
                          4.77e-7, "clipped", (int)(round == 1 ? 12 : 0), "cohort", (int)o->hospitals);
    if (!o->plain_only) {
        json_object_set_new(r, "encrypted",
                            sample_curve_point(0.6 - 0.44 * t - noise * 1.02, 0.72 + 0.26 * t + 0.3 * noise + 1e-4));
    }
    json_object_set_new(r, "ms",
                        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "train", 14200.0 + 300 * noise, "quantise",
                                  2.4, "encrypt", 11.3, "fold", 1.9, "open", 4.2, "evaluate", 840.0, "wall", 8010.0));
    return r;
}

static json_t *sample_data(const sample_options *o) {
    json_t *classes = json_array(), *hospitals = json_array(), *skipped = json_array();
    for (uint32_t c = 0; c < o->classes; c++)
        json_array_append_new(classes, json_string(sample_classes[c]));
    for (uint32_t h = 0; h < o->hospitals; h++) {
        char name[32];
        snprintf(name, sizeof name, "%s%s", sample_hospitals[h % 3], h < 3 ? "" : " II");
        json_t *counts = json_array();
        int total = 0;
        for (uint32_t c = 0; c < o->classes; c++) {
            int count = (int)(180 + 640 * ((h * 5 + c * 3) % 7)) / (c == 5 ? 40 : 2);
            total += count;
            json_array_append_new(counts, json_integer(count));
        }
        json_array_append_new(hospitals,
                              json_pack("{s:s, s:i, s:i, s:i, s:o}", "name", name, "train", total * 4 / 5, "validation",
                                        total / 5, "patients", total * 2 / 3, "counts", counts));
    }
    if (!o->synthetic) {
        json_array_append_new(skipped, json_pack("{s:s, s:s}", "name", "train/PNEUMONIA/person63_bacteria_306.jpeg",
                                                 "reason", "ends in the middle of the picture"));
        json_array_append_new(skipped, json_pack("{s:s, s:s}", "name", "train/NORMAL/IM-0115-0001.jpeg", "reason",
                                                 "60000 x 60000 pixels; at most 16384 x 16384 are read"));
    }
    int n_skipped = (int)json_array_size(skipped);
    json_t *data =
        json_pack("{s:s, s:s, s:b, s:i, s:o, s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:i, s:i, s:i, s:o, s:i, s:s, s:o}",
                  "source", o->synthetic ? "phantom" : "data/chest-xray", "kind", o->synthetic ? "phantom" : "folder",
                  "synthetic", (int)o->synthetic, "images", 5856, "classes", classes, "width", 64, "height", 64,
                  "channels", 1, "groups", 3464, "group_key", "patient_key in labels.csv", "label_key", "folder name",
                  "split_rule", "by patient (labels.csv)", "train", 3748, "validation", 937, "test", 1171, "skipped",
                  skipped, "n_skipped", n_skipped, "partition", "dirichlet:0.5", "hospitals", hospitals);
    return data;
}

static json_t *sample_result(const sample_options *o) {
    uint32_t done = o->stopped ? o->rounds / 2 : o->rounds;
    json_t *r = json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:b, s:i, s:i}", "version", "0.1.0", "command",
        "medsecurefl simulate --data data/chest-xray --clients 3 --rounds 8 --partition dirichlet:0.5 --scheme packed "
        "--bits 24 --seed 1 --out runs/first",
        "created", "2025-03-14T09:26:53Z", "seed", 1, "threads", 2, "scheme", o->plain_only ? "plain" : "packed",
        "custody", "authority", "complete", (int)!o->stopped, "rounds_done", (int)done, "rounds_planned",
        (int)o->rounds);
    json_object_set_new(r, "trust",
                        json_string("The coordinator sees only ciphertexts and their opened sum. The key authority "
                                    "sees only key shares, never a ciphertext. Neither can read one hospital's update "
                                    "unless the two work together; then they can read every one. The opened sum is "
                                    "seen by the coordinator and by every hospital."));
    json_object_set_new(
        r, "config",
        json_pack("{s:s, s:i, s:f, s:b}", "data", "data/chest-xray", "clients", 3, "lr", 0.05, "augment", 1));
    json_object_set_new(r, "stopped", o->stopped ? json_string("stopped on request") : json_null());
    json_object_set_new(r, "data", sample_data(o));
    json_object_set_new(r, "model",
                        json_pack("{s:s, s:i, s:i, s:[s, s, s, s, s], s:s}", "name", "cnn-small", "values", 23938,
                                  "trainable", 23714, "layers", "conv 3x3x16 -> 64x64x16, 144 values",
                                  "batch norm, 64 values", "max pool 2x2 -> 32x32x16", "global mean -> 64",
                                  "dense 64 -> 2, 130 values", "hash",
                                  "7d8f1c3a5b0e9f24c6a1d7e8b3f05294a6c7d8e9f0a1b2c3d4e5f60718293a4b"));
    json_object_set_new(r, "training",
                        json_pack("{s:s, s:f, s:f, s:f, s:i, s:i, s:b, s:s, s:s}", "optimizer", "sgd", "learning_rate",
                                  0.05, "momentum", 0.9, "weight_decay", 1e-4, "batch", 32, "local_epochs", 1,
                                  "augment", 1, "normalise", "image", "server_rule", "mean"));
    if (!o->plain_only) {
        json_object_set_new(r, "params",
                            json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:i, s:s}",
                                      "ring_degree", 8192, "n_primes", 4, "log2_q", 200, "log2_q_max", 216,
                                      "security_bits", 128, "clients", 3, "value_bits", 24, "slot_bits", 26,
                                      "slots_per_coefficient", 7, "noise_bits_max", 9.4, "log2_failure", -141.0,
                                      "bits_per_value", 28.57, "chunks", 1, "kernel", "avx2"));
        json_object_set_new(r, "encrypted", sample_figures(1, 1171, o->classes, 1.95, 400, true));
    }
    json_object_set_new(r, "plain", sample_figures(1, 1171, o->classes, 1.95, 400, true));
    json_object_set_new(r, "central", sample_figures(1, 1171, o->classes, 2.15, 400, true));
    json_t *alone = json_array(), *per_hospital = json_array();
    double auc = 0.0, accuracy = 0.0;
    for (uint32_t h = 0; h < o->hospitals; h++) {
        const char *name = json_string_value(
            json_object_get(json_array_get(json_object_get(json_object_get(r, "data"), "hospitals"), h), "name"));
        json_t *one = sample_figures(1, 1171, o->classes, 1.2 + 0.25 * (h % 3), 400, false);
        auc += json_number_value(json_object_get(one, "auc")) / o->hospitals;
        accuracy += json_number_value(json_object_get(one, "accuracy")) / o->hospitals;
        json_object_set_new(one, "hospital", json_string(name));
        json_object_set_new(one, "best", json_integer(3));
        json_array_append_new(alone, one);
        json_array_append_new(per_hospital,
                              json_pack("{s:s, s:o}", "hospital", name, "federated_validation",
                                        sample_figures(7 + h, h == 2 ? 14 : 310, o->classes, 1.9, 400, false)));
    }
    json_object_set_new(r, "alone_mean",
                        json_pack("{s:f, s:f, s:n, s:n, s:f, s:o}", "auc", auc, "accuracy", accuracy,
                                  "balanced_accuracy", "sensitivity", "loss", 0.41, "per_hospital", alone));
    json_object_set_new(r, "per_hospital", per_hospital);
    json_t *rounds = json_array();
    msfl_seeded g;
    msfl_seeded_init(&g, 3, "sample.rounds", 0, 0, 0);
    for (uint32_t k = 1; k <= done; k++)
        json_array_append_new(rounds, sample_round(o, k, &g));
    json_object_set_new(r, "rounds", rounds);
    if (!o->plain_only) json_object_set_new(r, "sum_exact", json_boolean(!o->inexact));
    json_object_update_new(r, json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:i, s:i}", "bytes_up_per_client_round",
                                        107812, "bytes_ciphertext_per_client_round", 86984,
                                        "bytes_bundle_per_client_round", 20528, "bytes_header_per_client_round", 300,
                                        "bytes_down_per_client_round", 95752, "bytes_float32", 95752,
                                        "crypto_share_of_round", 0.0024, "peak_rss_bytes", 212340736, "best_round",
                                        (int)(done > 1 ? done - 1 : done)));
    json_object_set_new(r, "warnings",
                        o->stopped ? json_pack("[s]", "hospital Harbour has fewer than 20 images of class hernia")
                                   : json_array());
    return r;
}

/* A blurred disc on a gradient: smooth, like a picture, and different for every `k`. */
static void sample_picture(uint8_t *pixels, uint32_t side, uint32_t channels, uint32_t k) {
    for (uint32_t y = 0; y < side; y++) {
        for (uint32_t x = 0; x < side; x++) {
            double u = (double)x / side - 0.5, v = (double)y / side - 0.45;
            double lungs = exp(-pow((fabs(u) - 0.2) / 0.12, 2) - pow(v / (0.25 + 0.01 * (k % 5)), 2));
            double spot = k % 3 == 0 ? 0 : 90 * exp(-pow((u - 0.18) / 0.06, 2) - pow((v - 0.1) / 0.08, 2));
            double grey = 215 - 60 * fabs(u) - 165 * lungs + spot;
            for (uint32_t c = 0; c < channels; c++)
                pixels[((size_t)y * side + x) * channels + c] = (uint8_t)fmin(fmax(grey - 12.0 * c, 0.0), 255.0);
        }
    }
}

#endif
