#include "client/bounds.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const optimizers[] = {"sgd", "adam", NULL};
static const char *const aggregates[] = {"fedavg", "fedadam", NULL};
enum { SGD = 1, ADAM = 2, ALL = 3 };

client_bounds client_bounds_default(void) {
    return (client_bounds){.images_min = 8,
                           .patients_min = 3,
                           .figures_min = 3,
                           .steps_min = 3,
                           .draws_max = 1,
                           .bits_min = 8,
                           .multiple_of = 1,
                           .samples_max_min = 1,
                           .sgd_rate_max = 1,
                           .adam_rate_max = 0.05,
                           .focal_max = 5,
                           .logit_adjustment_max = 1,
                           .proximal_max = 1,
                           .clipped_max = 0.01,
                           .optimizers = ALL,
                           .aggregates = ALL};
}

/* --- the file --- */

msfl_status client_words_read(const char *name, const msfl_yaml *map, const char *key, const char *const *known,
                              uint32_t *bits) {
    const msfl_yaml *list = msfl_yaml_get(map, key);
    if (list == NULL) return MSFL_OK;
    if (list->kind != MSFL_YAML_SEQUENCE) return msfl_yaml_fail(name, list, "%s is a list", key);
    *bits = 0;
    for (const msfl_yaml *at = list->first; at != NULL; at = at->next) {
        uint32_t k = 0;
        while (known[k] != NULL && (at->kind != MSFL_YAML_SCALAR || strcmp(at->text, known[k]) != 0))
            k++;
        if (known[k] == NULL) {
            return msfl_yaml_fail(name, at, "'%s' is not known for %s: %s, %s%s%s",
                                  at->kind == MSFL_YAML_SCALAR ? at->text : "...", key, known[0], known[1],
                                  known[2] != NULL ? ", " : "", known[2] != NULL ? known[2] : "");
        }
        *bits |= 1u << k;
    }
    return MSFL_OK;
}

msfl_status client_bounds_read(const char *name, const msfl_yaml *map, client_bounds *out) {
    const struct {
        const char *key;
        uint32_t min, max, *out;
    } whole[] = {
        {"images_min", 1, UINT32_MAX, &out->images_min},
        {"patients_min", 1, UINT32_MAX, &out->patients_min},
        {"figures_min", 1, UINT32_MAX, &out->figures_min},
        {"steps_min", 1, UINT32_MAX, &out->steps_min},
        {"multiple_of", 1, 1u << 20, &out->multiple_of},
        {"draws_max", 0, UINT32_MAX, &out->draws_max},
        {"bits_min", 2, 32, &out->bits_min},
        {"samples_max_min", 1, UINT32_MAX, &out->samples_max_min},
    };
    const struct {
        const char *key;
        double max, *out;
    } real[] = {
        {"sgd_rate_max", 1e9, &out->sgd_rate_max},  {"adam_rate_max", 100, &out->adam_rate_max},
        {"focal_max", 10, &out->focal_max},         {"logit_adjustment_max", 10, &out->logit_adjustment_max},
        {"proximal_max", 1000, &out->proximal_max}, {"clipped_max", 1, &out->clipped_max},
    };
    msfl_status status = MSFL_OK;
    for (size_t i = 0; status == MSFL_OK && i < sizeof whole / sizeof whole[0]; i++) {
        const msfl_yaml *node = msfl_yaml_get(map, whole[i].key);
        if (node != NULL) {
            status = msfl_yaml_u32(name, node, whole[i].key, whole[i].min, whole[i].max, whole[i].out);
        }
    }
    for (size_t i = 0; status == MSFL_OK && i < sizeof real / sizeof real[0]; i++) {
        const msfl_yaml *node = msfl_yaml_get(map, real[i].key);
        if (node != NULL) status = msfl_yaml_f64(name, node, real[i].key, 0, real[i].max, real[i].out);
    }
    if (status == MSFL_OK) status = client_words_read(name, map, "optimizers", optimizers, &out->optimizers);
    if (status == MSFL_OK) status = client_words_read(name, map, "aggregates", aggregates, &out->aggregates);
    return status;
}

char *client_bounds_text(const client_bounds *b) {
    return msfl_format("updates of %" PRIu32 " images of %" PRIu32 " patients or more, figures of %" PRIu32
                       " or more; optimisers%s%s up to rates of %g and %g, Adam with %" PRIu32
                       " steps or more; aggregates%s%s; %" PRIu32
                       " bits a value or more, %g of them clipped; focal, logit adjustment, proximal up to %g, %g, %g",
                       b->images_min, b->patients_min, b->figures_min, (b->optimizers & SGD) != 0 ? " sgd" : "",
                       (b->optimizers & ADAM) != 0 ? " adam" : "", b->sgd_rate_max, b->adam_rate_max, b->steps_min,
                       (b->aggregates & 1) != 0 ? " fedavg" : "", (b->aggregates & 2) != 0 ? " fedadam" : "",
                       b->bits_min, b->clipped_max, b->focal_max, b->logit_adjustment_max, b->proximal_max);
}

/* --- what an update is made of --- */

/* Batches of a round on n images; n may be beyond all that a hospital has, where only the description counts. */
static uint64_t steps_of(const job_spec *spec, uint64_t n) {
    const uint64_t whole = n / spec->train.batch + (n % spec->train.batch != 0);
    if (spec->train.n_steps > 0) return spec->train.n_steps < whole ? spec->train.n_steps : whole;
    return whole > UINT64_MAX / spec->train.n_epochs ? UINT64_MAX : whole * spec->train.n_epochs;
}

/* Batches after which one has faded to 1/e or less; infinite without a pull. */
static double memory_of(const job_spec *spec) {
    const double rate = (double)spec->train.learning_rate, keep = 1 - (double)spec->train.momentum;
    const double decay = (double)spec->train.weight_decay, proximal = (double)spec->train.proximal;
    if (spec->train.optimizer == MSFL_SGD) {
        const double pull = rate / keep * (decay + proximal);
        return pull > 0 ? 1 / pull : INFINITY;
    }
    const double decayed = rate * decay > 0 ? 1 / (rate * decay) : INFINITY;
    return proximal > 0 ? fmin(decayed, 1 / keep) : decayed;
}

uint64_t client_bounds_images(const job_spec *spec, uint64_t n) {
    const uint64_t batch = spec->train.batch;
    uint64_t images = n;
    if (spec->train.n_steps > 0 && spec->train.n_steps * batch < n) images = spec->train.n_steps * batch;
    /* The last batch always counts in full. */
    const double kept = fmax(1, memory_of(spec)) * (double)batch;
    return kept < (double)images ? (uint64_t)kept : images;
}

static msfl_status check_images(const client_bounds *b, const job_spec *spec, uint64_t n) {
    const uint64_t images = client_bounds_images(spec, n);
    if (images >= b->images_min) return MSFL_OK;
    return CLIENT_REFUSE("images_min", "an update of the job tells of %" PRIu64 " images%s, %" PRIu32 " are the least",
                         images, images == n ? "" : " (by local_steps, batch, weight_decay and proximal)",
                         b->images_min);
}

/* The first step of Adam moves every value by the learning rate, up or down: from a weighted sum of such updates each
 * hospital's signs can be read, since no two sums of weights are the same. From the third on nothing is won by trying
 * (bench/signs.py). */
msfl_status client_bounds_steps(const client_bounds *b, const job_spec *spec, uint64_t n) {
    const uint64_t steps = steps_of(spec, n);
    if (spec->train.optimizer != MSFL_ADAM || steps >= b->steps_min) return MSFL_OK;
    return CLIENT_REFUSE("steps_min",
                         "an update of the job takes %" PRIu64 " steps of Adam, %" PRIu32
                         " are the least (a smaller batch or more local_epochs make more)",
                         steps, b->steps_min);
}

msfl_status client_bounds_update(const client_bounds *b, const job_spec *spec, uint64_t n_images, uint64_t n_patients) {
    msfl_status status = check_images(b, spec, n_images);
    if (status != MSFL_OK) return status;
    if (n_patients < b->patients_min) {
        return CLIENT_REFUSE("patients_min", "the images are of %" PRIu64 " patients, %" PRIu32 " are the least",
                             n_patients, b->patients_min);
    }
    /* Which images a batch takes follows from the job's seed. While a model hardly moves, each update that takes a part
     * of them is an equation about single images. */
    if (client_bounds_images(spec, n_images) < n_images && spec->rule.n_rounds > (uint64_t)b->draws_max * n_images) {
        return CLIENT_REFUSE("draws_max",
                             "%" PRIu32 " updates would take a part of the images each, %" PRIu64
                             " are the most (local_epochs takes all of them)",
                             spec->rule.n_rounds, (uint64_t)b->draws_max * n_images);
    }
    return MSFL_OK;
}

msfl_status client_bounds_figures(const client_bounds *b, const char *what, uint64_t n_images) {
    if (n_images >= b->figures_min) return MSFL_OK;
    return CLIENT_REFUSE("figures_min", "figures would be made of %" PRIu64 " %s images, %" PRIu32 " are the least",
                         n_images, what, b->figures_min);
}

msfl_status client_bounds_clipped(const client_bounds *b, uint64_t n_clipped, uint64_t n_values) {
    if ((double)n_clipped <= b->clipped_max * (double)n_values) return MSFL_OK;
    return CLIENT_REFUSE("clipped_max",
                         "%g of the update's values lie beyond the clipping bounds, %g is the most: their signs could "
                         "be read from the sum",
                         (double)n_clipped / (double)n_values, b->clipped_max);
}

/* --- what the description says --- */

/* Fields of descriptions are floats: 0.1 in one is a little more than 0.1. */
static bool above(double value, double most) {
    return value > most * (1 + 1e-6);
}

static msfl_status check_optimizer(const client_bounds *b, const job_spec *spec) {
    const bool sgd = spec->train.optimizer == MSFL_SGD;
    if ((b->optimizers & (sgd ? SGD : ADAM)) == 0) {
        return CLIENT_REFUSE("optimizers", "the job trains with %s, which is not among those allowed",
                             optimizers[sgd ? 0 : 1]);
    }
    const double rate = (double)spec->train.learning_rate;
    /* What all steps in one direction add up to. A network that the first batch throws out of where it learns keeps
     * nothing of the others. */
    const double together = rate / (1 - (double)spec->train.momentum);
    if (sgd && above(together, b->sgd_rate_max)) {
        return CLIENT_REFUSE("sgd_rate_max", "learning_rate / (1 - momentum) is %g in the job, %g is the most",
                             together, b->sgd_rate_max);
    }
    if (!sgd && above(rate, b->adam_rate_max)) {
        return CLIENT_REFUSE("adam_rate_max", "the job's learning_rate is %g, %g is the most", rate, b->adam_rate_max);
    }
    return MSFL_OK;
}

static msfl_status check_loss(const client_bounds *b, const job_spec *spec) {
    if (above((double)spec->train.focal, b->focal_max)) {
        return CLIENT_REFUSE("focal_max", "the job's focal is %g, %g is the most", (double)spec->train.focal,
                             b->focal_max);
    }
    if (above(spec->logit_adjustment, b->logit_adjustment_max)) {
        return CLIENT_REFUSE("logit_adjustment_max", "the job's logit_adjustment is %g, %g is the most",
                             spec->logit_adjustment, b->logit_adjustment_max);
    }
    if (above((double)spec->train.proximal, b->proximal_max)) {
        return CLIENT_REFUSE("proximal_max", "the job's proximal is %g, %g is the most", (double)spec->train.proximal,
                             b->proximal_max);
    }
    return MSFL_OK;
}

msfl_status client_bounds_job(const client_bounds *b, const job_spec *spec) {
    if (spec->samples_max < b->samples_max_min) {
        return CLIENT_REFUSE("samples_max_min",
                             "the job bounds a hospital's images by %" PRIu64 ", %" PRIu32 " is the least",
                             spec->samples_max, b->samples_max_min);
    }
    if (spec->value_bits < b->bits_min) {
        return CLIENT_REFUSE("bits_min", "the job has %" PRIu32 " bits a value, %" PRIu32 " are the least",
                             spec->value_bits, b->bits_min);
    }
    uint32_t k = 0;
    while (aggregates[k] != NULL && strcmp(spec->aggregate, aggregates[k]) != 0)
        k++;
    if (aggregates[k] == NULL || (b->aggregates & 1u << k) == 0) {
        return CLIENT_REFUSE("aggregates",
                             "the job makes of sums what %s makes of them, which is not among those "
                             "allowed",
                             spec->aggregate);
    }
    msfl_status status = check_optimizer(b, spec);
    if (status == MSFL_OK) status = check_loss(b, spec);
    if (status == MSFL_OK) status = check_images(b, spec, UINT64_MAX);
    return status == MSFL_OK ? client_bounds_steps(b, spec, UINT64_MAX) : status;
}
