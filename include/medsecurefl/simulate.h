/* A whole federation in one process: hospitals that train in parallel, encrypted rounds, honest comparisons.
 * Layer: federation. */
#ifndef MEDSECUREFL_SIMULATE_H
#define MEDSECUREFL_SIMULATE_H

#include "medsecurefl/dataset.h"
#include "medsecurefl/observe.h"
#include "medsecurefl/train.h"

MSFL_BEGIN_DECLS

enum { MSFL_SIMULATE_CLIENTS_MAX = 1000, MSFL_SIMULATE_ROUNDS_MAX = 8000 };

/** Which other trainings run beside the federated one, for comparison. */
enum { MSFL_COMPARE_PLAIN = 1, MSFL_COMPARE_CENTRAL = 2, MSFL_COMPARE_ALONE = 4, MSFL_COMPARE_ALL = 7 };

typedef struct msfl_simulate_options {
    const char *data;   /**< as msfl_dataset_open */
    const char *model;  /**< as msfl_model_new */
    const char *recipe; /**< a recipe: `data` is imported by it into `out` with ".set" behind it; NULL: as it is */
    const char *labels; /**< with `recipe`: as msfl_import_options, like `patient` and `masks` */
    const char *patient;
    const char *masks;      /**< a folder of masks, a column that names them, or an array of a .npz file; NULL: none */
    const char *data_key;   /**< file with the hospital's key, for a sealed set; may be NULL */
    const char *shift;      /**< as msfl_shift_draw: what hospitals' scanners do to training and validation images */
    const char *partition;  /**< as msfl_dataset_partition */
    const char *out;        /**< folder for everything the run writes; must be empty or absent unless `resume` */
    const char *label;      /**< NULL: the data's own */
    const char *scheme;     /**< how updates leave a hospital, by a name of scheme.h; "plain": not protected at all, and
                                 labelled so in every output. Nothing falls back to another */
    const char *custody;    /**< packed: who holds the keys, "committee" (at most 16 hospitals), "authority" or
                                 "coordinator" (insecure against it); NULL: a committee where it can be one */
    const char *delivery;   /**< packed with a committee: who opens the sums, "coordinator" or "clients" (all hospitals,
                                 and not the coordinator); NULL: the coordinator */
    uint32_t n_clients;     /**< 2 to 1000; 2 needs allow_two_sites */
    uint32_t n_rounds;      /**< 1 to 8000 */
    uint32_t value_bits;    /**< 2 to 32 */
    uint32_t security_bits; /**< 128, 192, 256 */
    double clip;            /**< C of the encoding; 0: chosen from public facts, see docs/design/encoding.md */
    uint32_t size;          /**< image side; 0: the model's or the data's own */
    uint32_t channels;      /**< 0: the model's or the data's own */
    msfl_normalise normalise;
    bool augment, flip_horizontal;
    const char *augmentation; /**< what augmentation does, in the words of msfl_augment_parse; NULL: its default */
    bool balance;            /**< classes of images weigh alike in the loss, by each hospital's own counts (rare ones at
                                  most tenfold) */
    double logit_adjustment; /**< tau: every hospital's logits are shifted, in training, by tau times the logarithms of
                                how frequent classes are there (Menon et al. 2021); 0 to 10, 0: not at all */
    const char *aggregate;   /**< what is made of the mean update: "fedavg" (NULL) or "fedadam" (Reddi et al. 2021) */
    double server_learning_rate; /**< of fedadam; it falls as the hospitals' learning rate does */
    uint32_t average_rounds;     /**< the last round's model is the mean of so many last rounds', and is the one that is
                                      kept; 0: none. Not with patience, nor with norms of the hospitals' own */
    bool keep_last;       /**< the model that is kept is the last round's, not that of the best validation loss */
    uint32_t n_views;     /**< final figures: every test image is judged as it is and n_views - 1 times as augmentation
                               changes it, and the probabilities are averaged; 1 to MSFL_VIEWS_MAX, 1: as it is */
    const char *schedule; /**< of the learning rate over the rounds: "constant" (NULL) or "linear" */
    const char *norms;    /**< "shared" (NULL), "local": normalisation layers never leave a hospital (Li et al. 2021,
                             FedBN), or "mean": every hospital keeps its own, and the federated model has their mean */
    bool refuse_bad;      /**< a broken image ends the run instead of being skipped */
    bool allow_two_sites;
    uint32_t phantom_images;                   /**< 0: the default number */
    double test_fraction, validation_fraction; /**< of all images */
    msfl_train_options train;  /**< n_epochs: local epochs per round; batch 0: 32 pictures, or one volume; seed,
                                    first_epoch and augment are set by the run */
    uint32_t patience;         /**< rounds without a better validation loss before a training stops; 0: never */
    uint32_t plateau_patience; /**< rounds without a better validation loss before the learning rate falls; 0: never */
    double plateau_factor;     /**< what it is multiplied with then */
    uint32_t compare;          /**< MSFL_COMPARE_... */
    uint32_t n_bootstrap;
    uint64_t seed;
    uint32_t n_threads;  /**< 0: all cores; results do not depend on it */
    bool resume;         /**< continue the run in `out`. `data` NULL takes every option from there, but for `scheme`,
                              custody, delivery and allow_two_sites, which must be named again: a file does not decide how
                            updates leave */
    const char *command; /**< how the run was called, for the report; may be NULL */
    const msfl_observer *observer;
    const msfl_dataset *opened; /**< `data`, opened by msfl_simulate_open with these options and lent for the call;
                                   NULL: opened by each call */
    const char *central; /**< folder that the central training is kept in, for runs that differ in nothing but hospitals
                              and encryption: the first one trains it, the others take it from there. NULL: in `out` */
} msfl_simulate_options;

/** Three hospitals, phantom images, packed, eight rounds. */
MSFL_API msfl_simulate_options msfl_simulate_options_default(void);

/**
 * Run, or continue, a simulation. Writes into `out`: main_model.h5 (initial weights), agg_model.h5 (the federated model
 * of the best validation loss), agg_model_last.h5 (after the last round), agg_model_calibrated.h5 (the best, with the
 * temperature of the validation images in its last layer; classification alone), metrics.jsonl, result.json,
 * report.html, config.json and state/ (for `resume`).
 *
 * A network that gives a class to every pixel needs masks beside the images, and is judged by Dice and Hausdorff
 * distance.
 *
 * `*result_json` (may be NULL) gets the text of result.json; free with msfl_text_free. docs/formats/result.md
 *
 * @retval MSFL_ERR_POLICY     two hospitals without allow_two_sites, or a cohort below the minimum
 * @retval MSFL_ERR_EXISTS     `out` is not empty, or belongs to another run
 * @retval MSFL_ERR_CANCELLED  the observer asked to stop; finished rounds are kept and `resume` continues from them to
 *                             the same result
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_simulate(const msfl_simulate_options *options, char **result_json);

/** Open the images as msfl_simulate would, at the size that options or model ask for, to be lent to several runs. All
 * of them have the same data, label, model, size, channels, normalise and refuse_bad; and the same seed where `data` is
 *  "phantom". Not with a recipe (ERR_USAGE). Errors as msfl_dataset_open. Free with msfl_dataset_free. */
MSFL_API MSFL_NODISCARD msfl_status msfl_simulate_open(const msfl_simulate_options *options, msfl_dataset **out);

/** All that msfl_simulate would refuse before it trains, but for what lies in `out`; nothing is written. */
MSFL_API MSFL_NODISCARD msfl_status msfl_simulate_check(const msfl_simulate_options *options);

/** Free; NULL is fine. */
MSFL_API void msfl_text_free(char *text);

/** What a model file is held against. `part` is "all", "train", "validation" or "test" (the split of `seed` and these
 *  fractions). */
typedef struct msfl_evaluate_options {
    const char *model, *data, *label, *part;
    uint32_t phantom_images; /**< 0: the default number */
    bool by_position;        /**< class k of the data is class k of the model, whatever their names */
    uint64_t seed;
    double test_fraction, validation_fraction;
    uint32_t n_bootstrap, n_threads;
    bool refuse_bad;
    const char *data_key; /**< file with the hospital's key, for a sealed set; may be NULL */
    const char *recipe;   /**< `data` is imported by it into the folder `set`; NULL: as it is */
    const char *set;      /**< with `recipe`, needed; `labels`, `patient` and `masks` as in msfl_simulate_options */
    const char *labels, *patient, *masks;
    uint32_t n_views;         /**< of every image, as in msfl_simulate_options; 0 and 1: as it is */
    const char *augmentation; /**< how views differ, in the words of msfl_augment_parse; NULL: its default */
    bool any_recipe;          /**< also pictures that were made by another recipe than the model's, or by none */
    const msfl_observer *observer;
} msfl_evaluate_options;
/** All images, the usual fractions of the split, 1,000 bootstrap samples. */
MSFL_API msfl_evaluate_options msfl_evaluate_options_default(void);
/** Metrics of a model file on a data set, as JSON text: flat `auc`, `accuracy`, ..., `n`, and `intervals`; free with
 *  msfl_text_free. On error `*result_json` is NULL. */
MSFL_API MSFL_NODISCARD msfl_status msfl_evaluate(const msfl_evaluate_options *options, char **result_json);

/** Class probabilities for image files, as JSON text: a list of {file, class, probabilities} or {file, error}. A file
 * that cannot be read has its `error`; `*n_failed` counts them. ERR_MISMATCH for a model that names a recipe. */
MSFL_API MSFL_NODISCARD msfl_status msfl_predict_files(const char *model_path, const char *const *paths, size_t n_paths,
                                                       size_t *n_failed, char **result_json);
/** The same by a recipe of pictures, or of volumes, whose slices' probabilities are averaged (`pictures` counts them).
 *  NULL: without. ERR_MISMATCH if the recipe makes other pictures than the model takes, or, unless `any_recipe`, is
 *  another than the one that the model file names; ERR_UNSUPPORTED for recipes of several sequences. */
MSFL_API MSFL_NODISCARD msfl_status msfl_predict_files_by(const char *model_path, const char *recipe_path,
                                                          bool any_recipe, const char *const *paths, size_t n_paths,
                                                          size_t *n_failed, char **result_json);

MSFL_END_DECLS

#endif
