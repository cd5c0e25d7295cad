/* One simulation with everything resolved: data, hospitals, model, workers. Immutable once set up. */
#ifndef MSFL_FEDERATION_JOB_H
#define MSFL_FEDERATION_JOB_H

#include "base/threads.h"
#include "federation/sum.h"
#include "federation/workers.h"
#include "job/aggregate.h"
#include "job/course.h"
#include "medsecurefl/metrics.h"
#include "medsecurefl/simulate.h"

#include <pthread.h>

/** One hospital's images: disjoint lists of indices into the data set, patients whole. */
typedef struct fed_hospital {
    char name[32];
    msfl_indices train, validation;
    uint32_t n_patients;
} fed_hospital;

typedef struct fed_job {
    const msfl_simulate_options *options;
    msfl_observer observer; /**< serialises calls to the user's observer */
    pthread_mutex_t observer_mutex;
    const msfl_dataset *dataset;
    msfl_dataset *own_dataset; /**< the same, unless it was lent */
    char *imported;            /**< folder that a recipe made of the data; NULL: none */
    msfl_shift *shifts;        /**< one for each hospital */
    uint16_t *owners;          /**< of each image, 1 + its hospital; 0: none, as test images */
    msfl_split split;
    fed_hospital *hospitals;
    uint32_t n_hospitals;
    uint64_t n_samples_max; /**< public bound on one hospital's training images: a power of two */
    msfl_model *model;
    const job_aggregate *aggregate;
    job_norms norms; /**< whether hospitals keep normalisation layers of their own */
    job_sent sent;   /**< what an update has of the weights */
    float *initial;  /**< weights that every training starts from */
    msfl_augment augment;
    bool flips;        /**< augmentation mirrors pictures */
    bool is_pixelwise; /**< the model gives a class to every pixel */
    uint64_t n_norms;  /**< values that every hospital keeps to itself; 0: none */
    fed_workers *workers;
    const msfl_scheme *scheme;
    msfl_custody custody;            /**< as named; 0: the scheme's choice */
    msfl_delivery delivery;          /**< as named; 0: to the coordinator */
    bool encrypts;                   /**< whether that scheme does; if not, everything that is said says so */
    fed_channel updates, evaluation; /**< of the two kinds of sums; empty unless `encrypts` */
    uint8_t task[MSFL_HASH_BYTES];
} fed_job;

/** Of flips in data whose recipe says nothing of them. */
extern const char fed_flips_warning[];

/** What the options say of how a training goes from round to round. */
job_rule fed_course_rule(const msfl_simulate_options *options);
/** How clipping bounds of the job's encodings are chosen. */
job_clip_rule fed_clip_rule(const fed_job *job);

/** Opens the data, splits and deals it out, builds the model. `job` is zeroed by the caller. Clear it either way. */
msfl_status fed_job_init(fed_job *job, const msfl_simulate_options *options) MSFL_NODISCARD;
void fed_job_clear(fed_job *job);

/** msfl_simulate_open, with this observer in place of the options'. */
msfl_status fed_job_open(const msfl_simulate_options *options, const msfl_observer *observer, const char *path,
                         msfl_dataset **out) MSFL_NODISCARD;

/** What msfl_train and msfl_predict read: a list of images, augmented when asked. Lives on the caller's stack. */
typedef struct fed_samples {
    const fed_job *job;
    const uint32_t *images;
    msfl_augment augment;
    bool is_pixelwise;
} fed_samples;
msfl_samples fed_samples_of(const fed_job *job, const msfl_indices *images, fed_samples *storage);

#endif
