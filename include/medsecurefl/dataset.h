/* What a hospital holds: labelled images of one size, split by patient, dealt out to hospitals. Layer: dataset. */
#ifndef MEDSECUREFL_DATASET_H
#define MEDSECUREFL_DATASET_H

#include "medsecurefl/observe.h"
#include "medsecurefl/status.h"

MSFL_BEGIN_DECLS

typedef struct msfl_dataset msfl_dataset;

typedef enum msfl_normalise { MSFL_NORMALISE_IMAGE, MSFL_NORMALISE_SET, MSFL_NORMALISE_NONE } msfl_normalise;

typedef struct msfl_dataset_options {
    const char *label;      /**< NULL: folder name / y / train_labels; else another label array or labels.csv column */
    uint32_t width, height; /**< pixels of every image after resizing; 0: that of the most common image */
    uint32_t channels;      /**< 1 grey, 3 RGB; 0: as the images are; of an imported set also what it has */
    msfl_normalise normalise;
    bool refuse_bad;               /**< a broken image fails the load; else it is skipped, named and counted */
    uint64_t seed;                 /**< phantom: which images are drawn */
    uint32_t phantom_images;       /**< phantom: how many (default 1800) */
    uint32_t n_threads;            /**< decoding; 0: all cores */
    const msfl_observer *observer; /**< may be NULL */
    const char *key;               /**< file with the hospital's key, for an imported set that is sealed; else NULL */
    /* Of .npz files only. */
    const char *labels;  /**< table with a column "index"; NULL: labels.csv beside the file */
    const char *patient; /**< array or column that tells patients apart; NULL: "group", else the table's usual names */
    const char *masks;   /**< array of masks; NULL: "masks" or "mask" where there is one */
} msfl_dataset_options;

/**
 * Open "phantom", a .npz file (MedMNIST or x/y layout), or a folder with one folder per class of PNG and JPEG files
 * (optionally below Train/Val/Test folders of any case), with labels.csv beside it or above it when present; or a
 * folder that data import wrote.
 * ERR_DATA: no images, one class only, labels and images that do not match, ... The message says what and where.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_dataset_open(const char *path, const msfl_dataset_options *options,
                                                      msfl_dataset **out);
/** Free; NULL is fine. */
MSFL_API void msfl_dataset_free(msfl_dataset *dataset);

/** What a mirrored picture of a set would be, as the recipe that it was imported by says. */
typedef enum msfl_laterality {
    MSFL_LATERALITY_UNSAID,     /**< nobody says: not imported by a recipe */
    MSFL_LATERALITY_MATTERS,    /**< another picture: left and right mean something */
    MSFL_LATERALITY_IRRELEVANT, /**< one of these too, if left and right change places */
    MSFL_LATERALITY_UNORIENTED  /**< one of these too, also upside down */
} msfl_laterality;
/** By its word in a recipe ("matters", "irrelevant", "unoriented"); UNSAID for NULL and any other. */
MSFL_API msfl_laterality msfl_laterality_of(const char *word);
/** Static storage; "unsaid" for UNSAID. */
MSFL_API const char *msfl_laterality_word(msfl_laterality laterality);

typedef struct msfl_dataset_info {
    const char *source; /**< path as given */
    const char *kind;   /**< "phantom", "npz", "npz-medmnist", "folder", "imported" */
    bool synthetic;     /**< drawn by this program */
    uint32_t n_images, n_classes;
    uint32_t width, height, channels;
    uint32_t depth;          /**< slices of a volume; 1: pictures. A volume is one image: depth x height x width */
    uint32_t bits;           /**< of the stored pixels: 8 or 16 */
    uint32_t n_groups;       /**< distinct patients (or whatever the key was) */
    const char *group_key;   /**< "patient_key in labels.csv", "array 'group'", or NULL: every image stands alone */
    const char *label_key;   /**< what gave the labels */
    uint32_t n_skipped;      /**< broken images left out */
    uint32_t n_sizes;        /**< distinct sizes before resizing */
    const char *recipe;      /**< imported: hash of the recipe, hexadecimal; else NULL */
    const char *recipe_name; /**< imported: what it is called; NULL: nothing */
    msfl_laterality laterality;
    double
        spacing[3]; /**< imported volumes: mm between a picture's columns, its rows, a volume's slices; 0: not known */
    uint32_t shown; /**< imported, channels that are no colours: 1 + the one that a picture shows; else 0 */
    bool has_masks; /**< every image comes with a mask */
    bool has_split; /**< the source comes with its own train/test split */
    uint32_t n_ignored; /**< hidden files and files that are no pictures, in a folder */
    const char
        *conversion; /**< how samples became `bits`, when they are neither 8 nor 16 bits at the source; or NULL */
} msfl_dataset_info;
/** Counts, sizes and names; lives as long as the data set. */
MSFL_API const msfl_dataset_info *msfl_dataset_info_borrow(const msfl_dataset *dataset);
/** Name of a class below n_classes; lives as long as the data set. */
MSFL_API const char *msfl_dataset_class_name(const msfl_dataset *dataset, uint32_t class_index);
/** Class of an image below n_images. */
MSFL_API uint32_t msfl_dataset_label(const msfl_dataset *dataset, uint32_t image);
/** Patient (0-based, dense) of an image. */
MSFL_API uint32_t msfl_dataset_group(const msfl_dataset *dataset, uint32_t image);
/** Where a picture of an imported set comes from. */
typedef struct msfl_place {
    uint32_t volume; /**< its number in the set, from 1; 0: of none, or not known */
    uint32_t slice;  /**< its number in the volume */
} msfl_place;
/** Place of an image below n_images. */
MSFL_API msfl_place msfl_dataset_place(const msfl_dataset *dataset, uint32_t image);
/** File name or "npz[index]": for error messages and local reports only. */
MSFL_API const char *msfl_dataset_image_name(const msfl_dataset *dataset, uint32_t image);
/** i-th skipped file with the reason; i < n_skipped, of which at most 1000 are kept (then NULL). */
MSFL_API const char *msfl_dataset_skipped(const msfl_dataset *dataset, uint32_t i);
/** The reason alone, for what is kept: a file's name may name its patient. */
MSFL_API const char *msfl_dataset_skip_reason(const msfl_dataset *dataset, uint32_t i);

typedef enum msfl_part { MSFL_PART_NONE, MSFL_PART_TRAIN, MSFL_PART_VALIDATION, MSFL_PART_TEST } msfl_part;

/** An image as it was at the source, before resizing and conversion. */
typedef struct msfl_origin {
    uint32_t width, height, channels, bits;
    msfl_part part;     /**< of the source's own split */
    const char *format; /**< "PNG", "JPEG", "array", "drawing"; static text */
} msfl_origin;
/** Of image number `image` < n_images. */
MSFL_API msfl_origin msfl_dataset_origin(const msfl_dataset *dataset, uint32_t image);

/** How well the class can be told from one trait of the files alone (their size, the scanner), without a look at the
 *  pictures: what a network may learn instead of the disease. */
typedef struct msfl_trait {
    uint32_t n_values; /**< that occur */
    double accuracy;   /**< of naming, for each image, the most common class among the others of its value */
    double guessing;   /**< of always naming the most common class */
    bool telling;      /**< it removes more than 30 % of the errors of guessing */
} msfl_trait;
/** Judge a trait: `keys`, its value for each of `n` images; `labels`, their classes, below `n_classes`. A value that
 *  occurs once, and one whose two most common classes are within one image, tell nothing. ERR_MEMORY; `*out` is then
 *  unchanged. */
MSFL_API MSFL_NODISCARD msfl_status msfl_trait_judge(const uint64_t *keys, const uint32_t *labels, size_t n,
                                                     uint32_t n_classes, msfl_trait *out);

/** Stored samples of all images. `histogram` divides the range from 0 to full scale into equal bins. */
enum { MSFL_HISTOGRAM_BINS = 32 };
typedef struct msfl_intensity {
    double minimum, maximum, mean, deviation; /**< in units of full scale: 0 to 1 */
    uint64_t histogram[MSFL_HISTOGRAM_BINS];
} msfl_intensity;
/** Mean and deviation of the set; lives as long as it. */
MSFL_API const msfl_intensity *msfl_dataset_intensity_borrow(const msfl_dataset *dataset);

/** What augmentation may do; all zero: nothing. Applied in float after decoding, before normalisation; deterministic in
 *  (seed of the call). Defaults of msfl_augment_default() respect anatomy: no flip, since laterality carries meaning.
 */
typedef struct msfl_augment {
    float rotate_degrees; /**< uniform in +- */
    float shift;          /**< fraction of the size, uniform in +- */
    float zoom;           /**< factor uniform in 1 +- */
    float gain, offset;   /**< intensity: factor 1 +- gain, offset +- of the range */
    bool flip_horizontal;
    bool flip_vertical;
    float shear_degrees; /**< uniform in +- */
    float elastic;       /**< displacement of each of 5 x 5 points, smooth between them: fraction of the size, +- */
    float gamma;         /**< exponent from 1 / (1 + gamma) to 1 + gamma, uniform in its logarithm */
    float noise;         /**< standard deviation of noise on every sample, of the range: uniform from 0 */
    float blur;          /**< standard deviation of a Gaussian, pixels: uniform from 0 */
    float cutout;        /**< every other image loses a rectangle of this fraction of the sides */
} msfl_augment;
/** Small rotations, shifts, zooms and changes of intensity; no flips. */
MSFL_API msfl_augment msfl_augment_default(void);
/** In words: "none", "default" or "strong", or nothing of these, then any of rotate=DEGREES, shift=, zoom=, shear=,
 *  elastic=, gain=, offset=, gamma=, noise=, blur=, cutout=NUMBER, flip-horizontal, flip-vertical; commas between.
 *  ERR_USAGE says what is wrong; `*out` is then unchanged. */
MSFL_API MSFL_NODISCARD msfl_status msfl_augment_parse(const char *text, msfl_augment *out);

/** Image as (depth x) height x width x channels floats (HWC), normalised; without normalisation 0 to 1, or, of an
 * imported set, the recipe's values. `augment` NULL: as it is; else drawn from `augment_seed`. Thread-safe. `pixels`
 * holds depth*height*width*channels floats. Of volumes every slice is moved by the same draw, within its plane. */
MSFL_API MSFL_NODISCARD msfl_status msfl_dataset_pixels(const msfl_dataset *dataset, uint32_t image,
                                                        const msfl_augment *augment, uint64_t augment_seed,
                                                        float *pixels);
/** Mask of an image, (depth x) height x width of uint8_t; NULL without. */
MSFL_API const uint8_t *msfl_dataset_mask(const msfl_dataset *dataset, uint32_t image);
/** Whether a folder holds what data import wrote: its pictures have the recipe's size. */
MSFL_API bool msfl_dataset_is_imported(const char *path);
/** What the recipe of an imported set says of it, without a look at its pictures; UNSAID for any other `path`. */
MSFL_API MSFL_NODISCARD msfl_status msfl_dataset_laterality(const char *path, msfl_laterality *out);
/** ERR_POLICY, with `source` and what to do, if `augment` mirrors what must not be mirrored. What is unsaid is allowed
 *  here: who asks for it must know. */
MSFL_API MSFL_NODISCARD msfl_status msfl_augment_allowed(const msfl_augment *augment, msfl_laterality laterality,
                                                         const char *source);
/** Stored pixels scaled to 0..255, (D)HWC, for pictures in a report. */
MSFL_API void msfl_dataset_preview(const msfl_dataset *dataset, uint32_t image, uint8_t *pixels);
/** What can be looked at of such pixels, in place: where channels are sequences or slices (`info->shown`, or 2 and more
 *  than 3 of them), one of them alone. Returns the number of channels left: 1 or 3. */
MSFL_API uint32_t msfl_dataset_shown(const msfl_dataset_info *info, uint8_t *pixels);

/** How one hospital's scanner differs from another's; {.gamma = 1, .resolution = 1} is not at all. In this order:
 *  contrast v -> v^gamma, Gaussian blur, fewer pixels, noise. */
typedef struct msfl_shift {
    float gamma;      /**< of values from 0 to 1 */
    float blur;       /**< deviation, as a share of the longer side */
    float resolution; /**< share of the pixels along a side that are left */
    float noise;      /**< deviation, of the range */
    uint64_t seed;    /**< of the noise */
} msfl_shift;

/**
 * A shift for each of `n_clients` hospitals: "none" (or NULL), "contrast:S" (gamma 2^-S to 2^S), "blur:S" (0 to S / 32
 * of the side), "noise:S" (0 to 0.15 S), "resolution:S" (1 to 1 - 0.75 S), or "mixed:S", all four. Hospitals stand
 * evenly along each scale, in an order drawn from `seed`. ERR_USAGE for anything else. On error `out` is unchanged or
 * partly written.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_shift_draw(const char *spec, uint32_t n_clients, uint64_t seed,
                                                    msfl_shift *out);

/** msfl_dataset_pixels of an image as that scanner would have made it, before augmentation. `shift` NULL: as it is. */
MSFL_API MSFL_NODISCARD msfl_status msfl_dataset_pixels_shifted(const msfl_dataset *dataset, uint32_t image,
                                                                const msfl_shift *shift, const msfl_augment *augment,
                                                                uint64_t augment_seed, float *pixels);
/** msfl_dataset_preview of the same: one byte a sample. */
MSFL_API MSFL_NODISCARD msfl_status msfl_dataset_preview_shifted(const msfl_dataset *dataset, uint32_t image,
                                                                 const msfl_shift *shift, uint8_t *pixels);
/** Largest value in any mask, plus one; 0 without masks. Looks at all of them. */
MSFL_API uint32_t msfl_dataset_mask_classes(const msfl_dataset *dataset);
/** As msfl_dataset_pixels_shifted, and the mask moved like the image (by the nearest pixel) as (depth x) height x width
 * numbers in `mask`. ERR_DATA without masks. */
MSFL_API MSFL_NODISCARD msfl_status msfl_dataset_pixels_mask(const msfl_dataset *dataset, uint32_t image,
                                                             const msfl_shift *shift, const msfl_augment *augment,
                                                             uint64_t augment_seed, float *pixels, uint32_t *mask);

/** A list of images of a data set. Zero-initialise; msfl_indices_clear. */
typedef struct msfl_indices {
    uint32_t *at;
    uint32_t n;
} msfl_indices;
/** Frees the numbers and empties the list; one that is empty is fine. */
MSFL_API void msfl_indices_clear(msfl_indices *list);

/** Images of a data set in three parts, disjoint and each sorted. */
typedef struct msfl_split {
    msfl_indices train, validation, test;
    const char *how; /**< static text: "by patient (labels.csv)", "by image: no patient key", "as the source" ... */
} msfl_split;
/**
 * Split all images, patient by patient (stratified by class as far as patients allow), into test, validation and
 * training parts of about these fractions. The source's own test folder or arrays are used as test part when there are
 * any (and a patient on both sides is moved to test).
 *
 * `out` is freed with msfl_split_clear. The same `seed` gives the same parts.
 *
 * @retval MSFL_ERR_USAGE  a fraction below 0, or both together 1 or more
 * @retval MSFL_ERR_DATA   a part that was asked for stays empty
 * On error `out` is empty.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_dataset_split(const msfl_dataset *dataset, double test_fraction,
                                                       double validation_fraction, uint64_t seed, msfl_split *out);
/** Frees the three lists and empties them. */
MSFL_API void msfl_split_clear(msfl_split *split);

/**
 * Deal `images` out to `n_clients` hospitals, patients whole. `spec`: "iid", "dirichlet:ALPHA" (label skew),
 * "quantity:ALPHA" (size skew), "by-group" (whole groups in order: sites). Each list is sorted. A hospital that ends up
 * with fewer than `min_images` fails with ERR_DATA naming it and what to change (more images, larger alpha, other
 * seed).
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_dataset_partition(const msfl_dataset *dataset, const msfl_indices *images,
                                                           const char *spec, uint32_t n_clients, uint32_t min_images,
                                                           uint64_t seed, msfl_indices *out);
/** Whether `spec` is one that msfl_dataset_partition knows; ERR_USAGE with the forms that there are. */
MSFL_API MSFL_NODISCARD msfl_status msfl_partition_check(const char *spec);

/** Decode one PNG or JPEG file to the given size as msfl_dataset_pixels would. `pixels` holds h*w*c floats,
 *  `preview` (may be NULL) h*w*c bytes. */
MSFL_API MSFL_NODISCARD msfl_status msfl_image_load(const char *path, uint32_t height, uint32_t width,
                                                    uint32_t channels, msfl_normalise normalise, float *pixels,
                                                    uint8_t *preview);

MSFL_END_DECLS

#endif
