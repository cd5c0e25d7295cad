/* A data set inside: the arrays behind dataset.h, and how the three sources fill them. */
#ifndef MSFL_DATASET_SET_H
#define MSFL_DATASET_SET_H

#include "dataset/texts.h"
#include "medsecurefl/dataset.h"

#include <pthread.h>

enum {
    MSFL_IMAGES_MAX = 16 << 20,
    MSFL_CLASSES_MAX = 1000,
    MSFL_SKIPPED_KEPT_MAX = 1000,
    MSFL_PHANTOM_IMAGES_DEFAULT = 1800,
    MSFL_PHANTOM_SIDE_DEFAULT = 64
};

struct msfl_dataset {
    msfl_dataset_info info;
    msfl_normalise normalise;
    size_t image_samples; /* depth x height x width x channels */
    size_t mapped_bytes;  /* not 0: `samples` are pages of a file, not to be written */
    size_t masks_mapped_bytes;
    void *masks;      /* n_images x depth x height x width of uint8_t; NULL: none */
    double low, high; /* what 0 and full scale stand for; both 0: 0 to 1 */
    void *samples;    /* n_images x image_samples of uint8_t or uint16_t by info.bits */
    uint32_t *labels, *groups;
    msfl_origin *origins;
    msfl_place *places; /* NULL: none is known */
    msfl_texts names, class_names, skipped;
    msfl_texts reasons; /* of `skipped`, without the paths */
    msfl_intensity intensity;
    double stored_min, stored_max; /* in units of one sample step, for previews */
    char *source, *group_key, *label_key, *conversion, *recipe, *recipe_name;
};

/** Counts the steps of a parallel job for its observer, one call at a time, at most every 40 ms. */
typedef struct msfl_progress {
    const msfl_observer *observer;
    pthread_mutex_t mutex;
    uint64_t done, total, told_ns;
} msfl_progress;
void msfl_progress_init(msfl_progress *p, const msfl_observer *observer, const char *phase, uint64_t total);
/** `n` more steps are done. ERR_CANCELLED when the observer asked to stop. */
msfl_status msfl_progress_step(msfl_progress *p, uint64_t n) MSFL_NODISCARD;
void msfl_progress_clear(msfl_progress *p);

/** ERR_LIMIT when `bytes` are more than three quarters of this machine's memory; `purpose` stands in the message. */
msfl_status msfl_set_check_memory(const msfl_dataset *set, double bytes, const char *purpose) MSFL_NODISCARD;

/** Room for `n` images; the size and depth in `set->info` must be set. ERR_LIMIT by msfl_set_check_memory. */
msfl_status msfl_set_allocate(msfl_dataset *set, size_t n) MSFL_NODISCARD;

/** Pixels of an image, all slices. */
size_t msfl_set_pixels(const msfl_dataset *set);
/** Stored samples of an image. */
void *msfl_set_samples(const msfl_dataset *set, size_t image);

/** Samples of one image's size and of `bits` as msfl_dataset_pixels hands them out. */
msfl_status msfl_set_prepare(const msfl_dataset *set, const void *samples, uint32_t bits, const msfl_augment *augment,
                             uint64_t augment_seed, float *pixels) MSFL_NODISCARD;

/** Note a broken image: `name` is what of its path the message has; NULL: none. With `refuse_bad` this fails, with the
 * reason as message; `status` and message are those of the failing call that found it. Out of memory and a request to
 * stop always fail. */
msfl_status msfl_set_skip(msfl_dataset *set, const msfl_dataset_options *options, const char *name,
                          msfl_status status) MSFL_NODISCARD;

/** Close the gaps that images with broken[i] leave in samples, origins, names and `n_lists` lists of one text per image
 *  (empty lists stay so). */
msfl_status msfl_set_compact(msfl_dataset *set, const bool *broken, msfl_texts **lists, size_t n_lists) MSFL_NODISCARD;

/**
 * Number classes and groups out of one text each per image, check that there are two classes, and measure intensities.
 * An empty key stands alone. `group_key` and `label_key` are taken over (also on failure); group_key may be NULL.
 */
msfl_status msfl_set_finish(msfl_dataset *set, const msfl_texts *labels, const msfl_texts *keys, char *label_key,
                            char *group_key) MSFL_NODISCARD;

/** The sources. `set` holds path and options checked; they fill it up to and including msfl_set_finish. */
msfl_status msfl_set_load_phantom(msfl_dataset *set, const msfl_dataset_options *options) MSFL_NODISCARD;
msfl_status msfl_set_load_npz(msfl_dataset *set, const msfl_dataset_options *options) MSFL_NODISCARD;
msfl_status msfl_set_load_store(msfl_dataset *set, const msfl_dataset_options *options) MSFL_NODISCARD;
msfl_status msfl_set_load_folder(msfl_dataset *set, const msfl_dataset_options *options) MSFL_NODISCARD;

#endif
