/* A federated job: everything that all parties must agree on before its first round, as one JSON text with a hash.
 * docs/formats/http.md, docs/formats/job.md. */
#ifndef MSFL_JOB_SPEC_H
#define MSFL_JOB_SPEC_H

#include "base/sodium.h"
#include "job/aggregate.h"
#include "job/course.h"
#include "job/sent.h"
#include "medsecurefl/dataset.h"
#include "medsecurefl/machine.h"
#include "medsecurefl/train.h"
#include "text/yaml.h"

enum { JOB_NAME_MAX = 40, JOB_ID_MAX = JOB_NAME_MAX + 9, JOB_CLASSES_MAX = 64, JOB_RANK_MAX = 8 };
/** Bytes of a description: what text/yaml.h reads. */
enum { JOB_TEXT_MAX = MSFL_YAML_BYTES_MAX };

/** One tensor of a network that only the hospitals' own trainers know. */
typedef struct job_tensor {
    char name[80];
    uint32_t rank;
    uint64_t shape[JOB_RANK_MAX], count; /**< count: product of the shape */
    bool statistic;                      /**< not trained by gradient */
} job_tensor;

typedef struct job_spec {
    char name[JOB_NAME_MAX + 1]; /**< as pki_name_check */
    char *model_yaml;            /**< canonical description of a network of ours; NULL: `tensors` */
    job_tensor *tensors;         /**< n_tensors */
    uint32_t n_tensors;
    char **classes; /**< n_classes names; none: any */
    uint32_t n_classes;
    char scheme[16]; /**< "packed" or "plain" */
    msfl_delivery delivery;
    uint32_t value_bits, security_bits;
    uint32_t min_cohort;         /**< 3 or more; 2 by name */
    uint32_t target_cohort;      /**< uploads that are enough; 0: all hospitals */
    uint32_t deadline_s;         /**< of a round */
    uint32_t attempts_max;       /**< how often one round is tried before the job fails */
    uint64_t samples_max;        /**< public bound on one hospital's training images; must be named */
    double clip;                 /**< 0: from public facts */
    job_rule rule;               /**< rounds, patience, ... */
    char aggregate[24];          /**< "fedavg": job/aggregate.h */
    double server_learning_rate; /**< of the first round, for rules that have one */
    msfl_train_options train;    /**< for the built-in trainer; seed, first_epoch, class_weights unused */
    bool flip_horizontal;
    char augmentation[200];  /**< in the words of msfl_augment_parse; empty: the default */
    bool balance;            /**< classes weigh alike in the loss, by each hospital's own counts: job_balance */
    double logit_adjustment; /**< tau of job_logit_offsets, by each hospital's own counts; 0: none */
    job_norms norms;         /**< whether hospitals keep their own normalisation layers: job/norms.h */
    char normalise[16];      /**< "image", "set", "none" */
    double test_fraction, validation_fraction;
    bool evaluate, test; /**< rounds of figures after every round; once at the end */
    uint64_t seed;
    char recipe_name[64];            /**< what that recipe is called, for people; empty: nothing */
    uint8_t recipe[MSFL_HASH_BYTES]; /**< hash of the recipe that every hospital's images were imported by; zero: any */
    uint8_t initial[MSFL_HASH_BYTES]; /**< hash of the initial weights (job_weights_hash); zero: by `seed` */
    char nonce[33]; /**< 32 hexadecimal digits, set when it is submitted: two jobs never are one task */
} job_spec;

/** Where the rule of aggregation stands in a round of this learning rate: the server's falls as the hospitals' does. */
job_stride job_spec_stride(const job_spec *spec, uint32_t round, double learning_rate);
/** All defaults of `simulate`. */
job_spec job_spec_default(void);
void job_spec_clear(job_spec *spec);

/**
 * Read a description: YAML or JSON by hand (`model` may be a name or a path, missing fields have defaults) or the
 * canonical JSON. ERR_FORMAT, ERR_USAGE name the field; unknown fields are refused. Clear `out` in any case.
 * `trusted`: paths in `model` may be opened; else `model` must be a description.
 */
msfl_status job_spec_parse(const char *name, const char *text, size_t length, bool trusted,
                           job_spec *out) MSFL_NODISCARD;
/** Canonical JSON; msfl_free. */
msfl_status job_spec_text(const job_spec *spec, char **text) MSFL_NODISCARD;

/** H("msfl.job.v1", F(text)). */
void job_hash(const char *text, size_t length, uint8_t out[MSFL_HASH_BYTES]);
/** H("msfl.job.task.v1", job hash, roster hash). */
void job_task(const uint8_t job[MSFL_HASH_BYTES], const uint8_t roster[MSFL_HASH_BYTES], uint8_t out[MSFL_HASH_BYTES]);
/** NAME-xxxxxxxx: the first 8 digits of the hash. */
void job_id(const job_spec *spec, const uint8_t job[MSFL_HASH_BYTES], char out[JOB_ID_MAX + 1]);

/** What files of the job's models say of it. `recipe` is where the hash is written out. Borrows from both. */
msfl_model_facts job_spec_facts(const job_spec *spec, char recipe[2 * MSFL_HASH_BYTES + 1]);
/** What augmentation does in the job, in the words of `augmentation` and by `flip_horizontal`. ERR_USAGE. */
msfl_status job_spec_augment(const job_spec *spec, msfl_augment *out) MSFL_NODISCARD;

/** What follows from a description: shapes, layouts, parameters. Immutable; free with job_shape_free. */
typedef struct job_shape {
    const job_spec *spec; /**< borrowed */
    msfl_model *model;    /**< NULL for a job of `tensors` */
    uint32_t n_tensors;   /**< of the weights */
    uint64_t *counts;     /**< values of each tensor */
    bool *weight;         /**< trained by gradient, each; else a statistic */
    uint64_t n_values;    /**< of the weights */
    job_sent sent;        /**< what an update has of them; bounds of a plan are for its tensors */
    uint64_t update_slots, evaluation_slots;
    uint32_t
        n_structures; /**< of a network that gives a class to every pixel: its classes but the background; else 0 */
} job_shape;
msfl_status job_shape_new(const job_spec *spec, job_shape **out) MSFL_NODISCARD;
void job_shape_free(job_shape *shape);
/** Parameters of all encrypted rounds of the job under a roster: its hospitals, and its k shares that travel with every
 *  update. ERR_PARAMS. */
msfl_status job_shape_params(const job_shape *shape, const msfl_roster_info *roster, msfl_params *out) MSFL_NODISCARD;
/** Initial weights by the seed, n_values. ERR_MISSING for a job that brings its own. */
msfl_status job_shape_initial(const job_shape *shape, float *weights) MSFL_NODISCARD;
/** How clipping bounds of the job's updates are chosen. Borrows from `shape`. */
job_clip_rule job_shape_clip_rule(const job_shape *shape);
/** Layout of an update with these bounds, or, `clip` NULL, of evaluation figures. Free with msfl_update_layout_free. */
msfl_status job_shape_layout(const job_shape *shape, const float *clip, msfl_update_layout **out) MSFL_NODISCARD;
/** Model hash of an announcement: tensors and weights. */
void job_weights_hash(const job_shape *shape, const float *weights, uint8_t out[MSFL_HASH_BYTES]);
/** The same in steps: all weights are to follow, in order, through msfl_hash_add. */
void job_weights_hash_begin(const job_shape *shape, msfl_hash *h);

#endif
