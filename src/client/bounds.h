/* What a hospital's update may be asked to be made of, whoever wrote the job: a part of policy.yaml. The attacks that
 * each bound is there for are in docs/security.md. docs/formats/policy.md. */
#ifndef MSFL_CLIENT_BOUNDS_H
#define MSFL_CLIENT_BOUNDS_H

#include "job/spec.h"
#include "text/yaml.h"

/** A rule of the hospital that says no: "policy KEY: the job's value, the bound". The coordinator is told up to the
 *  colon: client_policy_told. */
#define CLIENT_REFUSE(rule, ...) msfl_fail(MSFL_ERR_POLICY, "policy " rule ": " __VA_ARGS__)

typedef struct client_bounds {
    uint32_t images_min;      /**< images that an update still tells of: client_bounds_images */
    uint32_t patients_min;    /**< patients whom these are of; images without a patient are one each */
    uint32_t figures_min;     /**< images that figures are made of */
    uint32_t steps_min;       /**< steps of Adam in an update */
    uint32_t draws_max;       /**< updates of a job that take a part of the images each, for every image */
    uint32_t bits_min;        /**< of a value */
    uint32_t multiple_of;     /**< of the images that take part, in all parts together; the others stay at home */
    uint32_t samples_max_min; /**< the least `samples_max` of a job: above what this hospital has */
    double sgd_rate_max;      /**< learning_rate / (1 - momentum) */
    double adam_rate_max;     /**< learning_rate */
    double focal_max, logit_adjustment_max, proximal_max;
    double clipped_max;              /**< share of an update's values that lie beyond their bounds */
    uint32_t optimizers, aggregates; /**< bits, by the order of the words that the file takes */
} client_bounds;

/** Keys of policy.yaml that are read here, each followed by a comma. */
#define CLIENT_BOUNDS_KEYS                                                                                             \
    "images_min", "patients_min", "figures_min", "steps_min", "draws_max", "bits_min", "multiple_of",                  \
        "samples_max_min", "sgd_rate_max", "adam_rate_max", "focal_max", "logit_adjustment_max", "proximal_max",       \
        "clipped_max", "optimizers", "aggregates",

client_bounds client_bounds_default(void);
/** Fields that are not in `map` keep what `out` has. ERR_FORMAT names line and key. */
msfl_status client_bounds_read(const char *name, const msfl_yaml *map, client_bounds *out) MSFL_NODISCARD;
/** A list of words, each of which is a bit, the first the lowest; NULL ends `known`. `*bits` stays without `key`. */
msfl_status client_words_read(const char *name, const msfl_yaml *map, const char *key, const char *const *known,
                              uint32_t *bits) MSFL_NODISCARD;
/** For people, as a part of one line; msfl_free. NULL when out of memory. */
char *client_bounds_text(const client_bounds *bounds);

/**
 * How many of `n` images an update at most tells of, by the description: what `local_steps` batches take of them, and
 * no more than the training still remembers. Weight decay and a proximal term pull back towards where a round began (or
 * towards zero), so that early batches fade: with SGD by 1 - rate x pull a step. With Adam the size of steps does not
 * follow that of gradients, and the memory of its mean is taken. Lower bounds, but for constants near 1.
 */
uint64_t client_bounds_images(const job_spec *spec, uint64_t n);

/** Of what the description says, whatever this hospital has. ERR_POLICY names the key, the job's value, the bound. */
msfl_status client_bounds_job(const client_bounds *bounds, const job_spec *spec) MSFL_NODISCARD;
/** Before an update on `n_images` images of `n_patients` patients. ERR_POLICY. */
msfl_status client_bounds_update(const client_bounds *bounds, const job_spec *spec, uint64_t n_images,
                                 uint64_t n_patients) MSFL_NODISCARD;
/** Before the built-in trainer's update on `n_images` images: whether these make enough steps. ERR_POLICY. */
msfl_status client_bounds_steps(const client_bounds *bounds, const job_spec *spec, uint64_t n_images) MSFL_NODISCARD;
/** Before figures of `n_images` images, which are validation or test images as `what` says. ERR_POLICY. */
msfl_status client_bounds_figures(const client_bounds *bounds, const char *what, uint64_t n_images) MSFL_NODISCARD;
/** Before an update of which `n_clipped` of `n_values` values lie beyond their bounds is encrypted. ERR_POLICY. */
msfl_status client_bounds_clipped(const client_bounds *bounds, uint64_t n_clipped, uint64_t n_values) MSFL_NODISCARD;

#endif
